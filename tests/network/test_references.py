"""Reference tables in the shapes they come in, and in the shapes they should not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gpovae_core.errors import QueryError
from gpovae_core.network import references
from gpovae_core.network.references import read_reference, read_references, sign_of
from tests.conftest import shared_folder
from tests.fake_run import HOSTILE

TRRUST = (
    b"source\ttarget\tsign\tpubmed\nSTAT1\tIRF1\tActivation\t1\nSTAT1\tIRF1\tUnknown\t2\n"
    b"MYC\tCDKN1A\tRepression\t3\n"
)


def test_directed_tables() -> None:
    table = read_reference(TRRUST, "trrust_v2_human.tsv")
    assert (table.name, table.directed, len(table.known)) == ("TRRUST", True, 2)
    known = table.knows("stat1", "Irf1")
    assert (known.found, known.reverse, known.notes, known.sign) == (
        True,
        False,
        ("Activation", "Unknown"),
        0,
    )
    assert table.knows("MYC", "CDKN1A").sign == -1
    back = table.knows("IRF1", "STAT1")
    assert (back.found, back.reverse) == (False, True)
    assert not table.knows("A", "B").found
    assert (table.knows("A", "B").listed, table.knows("STAT1", "X").listed, back.listed) == (0, 1, 0)
    assert table.genes == {"stat1", "irf1", "myc", "cdkn1a"}


def test_pairs_without_direction_are_known_both_ways() -> None:
    table = read_reference(
        gzip.compress(b"gene1\tgene2\tcomplex\nHDAC4\tBCL6\tone\nBCL6\tHDAC4\ttwo\n"), "corum_pairs.tsv.gz"
    )
    assert (table.name, table.directed) == ("CORUM", False)
    assert table.knows("HDAC4", "BCL6").notes == table.knows("BCL6", "hdac4").notes == ("one", "two")
    assert not table.knows("BCL6", "HDAC4").reverse
    assert table.knows("HDAC4", "X").listed == table.knows("BCL6", "X").listed == 1


def test_exports_of_this_project_can_be_loaded() -> None:
    table = read_reference(b"source,target,weight,sign\nA,B,0.9,-1\nB,C,0.8,0\n", "my run.csv")
    assert table.name == "my run"
    assert (table.knows("A", "B").sign, table.knows("B", "C").sign) == (-1, 0)


@pytest.mark.parametrize(
    ("note", "sign"),
    [
        ("Activation", 1),
        ("upregulates-expression", 1),
        ("down-regulates", -1),
        ("Repression", -1),
        ("1", 1),
        ("-1", -1),
        ("0", 0),
        ("", 0),
        ("Unknown", 0),
        ("inhibits activation", 0),
    ],
)
def test_signs_in_words(note: str, sign: int) -> None:
    assert sign_of(note) == sign


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (b"", "empty.csv", "has the columns none"),
        (b"a,b\n1,2\n", "other.csv", "has the columns a, b"),
        (b"source,target\n", "header.csv", "lists no edges"),
        (b"source,target\nA\n,B\n", "holes.csv", "lists no edges"),
        (b"\x89PNG\xff\xfe", "picture.csv", "not a text file"),
        (b"not gzip", "torn.tsv.gz", "not a text file"),
        (gzip.compress(TRRUST, mtime=0)[:-20], "cut.tsv.gz", "not a text file"),
        (b"source,target\n" + b"A" * 200_000 + b",B\n", "wide.csv", "not a table"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_no_reference_say_so(content: bytes, name: str, part: str) -> None:
    with pytest.raises(QueryError, match=part):
        read_reference(content, name)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_BYTES", 1000)
    with pytest.raises(QueryError, match="holds more than"):
        read_reference(gzip.compress(b"source,target\n" + b"A,B\n" * 100_000), "bomb.csv.gz")


def test_hostile_names_stay_text() -> None:
    lines = "\n".join(f'"{a.replace(chr(34), chr(34) * 2)}"\tB' for a in HOSTILE)
    table = read_reference(f"source\ttarget\n{lines}\n".encode(), "x.tsv")
    assert all(table.knows(name, "B").found for name in HOSTILE)


def test_a_folder_gives_what_it_can_and_names_the_rest(tmp_path: Path) -> None:
    (tmp_path / "trrust.tsv").write_bytes(TRRUST)
    (tmp_path / "bad.csv").write_bytes(b"nothing\n")
    (tmp_path / "README.md").write_text("not a table")
    networks, faults = read_references(tmp_path)
    assert [network.name for network in networks] == ["TRRUST"]
    assert len(faults) == 1
    assert "bad.csv" in faults[0]
    assert read_references(tmp_path / "missing") == ([], [])


@pytest.mark.real
def test_the_published_networks() -> None:
    networks, faults = read_references(shared_folder("networks"))
    assert faults == []
    by_name = {network.name: network for network in networks}
    assert set(by_name) >= {"TRRUST", "CollecTRI", "CORUM"}
    assert by_name["TRRUST"].knows("STAT1", "IRF1").found
    assert by_name["CollecTRI"].knows("MYC", "TERT").sign == 1
    assert by_name["CORUM"].knows("HDAC4", "BCL6").found
    assert not by_name["CORUM"].directed
