from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gpovae_core.data.gene_sets import read_gene_sets, shipped_gene_sets
from gpovae_core.errors import QueryError

GMT = b"one\tR-HSA-1\tSTAT1\tIRF1\t\ntwo\t\tJAK2,0.5\tHLA-A\tNA\n\none\tR-HSA-2\tB2M\n"


@pytest.mark.parametrize(
    "content", [GMT, gzip.compress(GMT, mtime=0), GMT.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + GMT]
)
def test_sets_are_read_packed_or_not(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.gmt").write_bytes(content)
    found = read_gene_sets(tmp_path / "mine.gmt")
    assert [one.name for one in found] == ["one (R-HSA-1)", "two", "one (R-HSA-2)"]
    assert [one.genes for one in found] == [{"STAT1", "IRF1"}, {"JAK2", "HLA-A", "NA"}, {"B2M"}]
    assert {one.source for one in found} == {"mine"}
    assert read_gene_sets(content, "X")[0].source == "X"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no gene sets"),
        (b"one two three\n", "line 1: no name, description and genes"),
        (b"a\tb\tC\nd\te\n", "line 2"),
        (b"\tb\tC\n", "a set without a name"),
        (b"\x89PNG\xff\t\t", "not a text file"),
        (gzip.compress(GMT, mtime=0)[:-12], "not a text file"),
    ],
)
def test_what_is_no_gmt_says_so(content: bytes, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        read_gene_sets(content, "x.gmt")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="There is no file"):
        read_gene_sets(tmp_path / "nothing.gmt")


def test_shipped_sets() -> None:
    sets = shipped_gene_sets()
    by_source = {source: [s for s in sets if s.source == source] for source in ("Reactome", "WikiPathways")}
    assert {source: len(found) for source, found in by_source.items()} == {
        "Reactome": 1448,
        "WikiPathways": 500,
    }
    assert len({(one.name, one.source) for one in sets}) == len(sets)
    interferon = next(s for s in by_source["Reactome"] if s.name == "Interferon gamma signaling")
    assert {"STAT1", "JAK2", "IRF1"} <= interferon.genes
