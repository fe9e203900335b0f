"""Gzip files of strangers, by every way they come in: refused where the stream turns out too long."""

import gzip
import io
import time

import pytest

from gpovae_core.data.effect_tables.read import read_effects
from gpovae_core.data.files import start_of
from gpovae_core.data.gene_sets import read_gene_sets
from gpovae_core.data.guide_files import read_guides
from gpovae_core.data.gzips import OF_ZEROS, open_gzip, open_packed_or_not
from gpovae_core.data.read import read_cells
from gpovae_core.data.room import RoomError
from gpovae_core.data.zips import SMALL
from gpovae_core.errors import GpoVaeError
from gpovae_core.network.references import read_reference

BOMB = gzip.compress(bytes(10_000_000), 9)
SETS = gzip.compress(b"set\tof\tA\n" + b"\n" * 5_000_000, 9)
LINES = gzip.compress(b"A\tB\n" + b"\n" * 5_000_000, 9)


def test_what_is_packed_comes_out(tmp_path):
    text = b"".join(b"%d\t%d\n" % (i, i * i % 9973) for i in range(200_000))
    file = tmp_path / "a.tsv.gz"
    file.write_bytes(gzip.compress(text))
    with open_gzip(file) as opened:
        assert opened.read() == text
    with open_gzip(io.BytesIO(file.read_bytes())) as opened:
        assert opened.readline() == b"0\t0\n"
    plain = tmp_path / "a.tsv"
    plain.write_bytes(text)
    with open_packed_or_not(plain) as one, open_packed_or_not(file) as other:
        assert one.read() == other.read()


def test_a_small_file_may_be_all_alike_and_a_table_of_zeros_large(tmp_path):
    with open_gzip(io.BytesIO(gzip.compress(bytes(SMALL)))) as opened:
        assert len(opened.read()) == SMALL
    line = b"\t".join([b"0"] * 1500)
    rows = b"".join(b"CELL%06d%s\t1\n" % (i * 7919 % 10**6, line) for i in range(6000))
    packed = gzip.compress(rows)
    assert 100 < len(rows) / len(packed) < OF_ZEROS
    with open_gzip(io.BytesIO(packed), OF_ZEROS) as opened:
        assert len(opened.read()) == len(rows)


def references(path):
    return read_reference(path.read_bytes(), path.name)


def guides(path):
    return read_guides(path, ["c1"], lambda *_: None)


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("edges.tsv.gz", LINES, references),
        ("sets.gmt.gz", SETS, read_gene_sets),
        ("guides.csv.gz", BOMB, guides),
        ("guides.tsv.gz", LINES, guides),
        ("cells.h5ad.gz", b"", read_cells),
        ("effects.csv.gz", LINES, read_effects),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_that_would_fill_a_machine_is_refused_at_once(tmp_path, name, content, read):
    path = tmp_path / name
    path.write_bytes(content or gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(30_000_000), 9))
    before = set(tmp_path.iterdir())
    begun = time.process_time()
    with pytest.raises(GpoVaeError, match="times its size"):
        read(path)
    assert time.process_time() - begun < 2
    assert set(tmp_path.iterdir()) == before
    assert start_of(path, 2) == b"\x1f\x8b"


def test_damage_is_gzips_own_word():
    content = gzip.compress(b"cells" * 1000)[:40]
    with open_gzip(io.BytesIO(content)) as opened, pytest.raises(EOFError):
        opened.read()
    assert issubclass(RoomError, GpoVaeError)
