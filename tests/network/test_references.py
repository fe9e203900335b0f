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


@pytest.mark.parametrize(
    ("header", "cell", "expected"),
    [
        ("pubmed", "22909821", ("PMID 22909821",)),
        ("PMIDs", "1;2|3, 2", ("PMID 1", "PMID 2", "PMID 3")),
        ("Publication Source", "PUBMED:9006895", ("PMID 9006895",)),
        ("references", "SIGNOR:17145764;TRRUST:22", ("PMID 17145764", "PMID 22")),
        ("references", "CA1:PUBMED:11;IntAct:12", ("PMID 11", "PMID 12")),
        ("doi", "https://doi.org/10.1038/s41586-020-1 ", ("doi 10.1038/s41586-020-1",)),
        ("reference", "Smith et al. 2020", ()),
        ("reference", "Smith et al., 2020; PMID: 33", ("PMID 33",)),
        ("pubmed", "22;Other", ("PMID 22",)),
        ("PubmedID", "7.0", ("PMID 7",)),
        ("PMID(s)", "7|8", ("PMID 7", "PMID 8")),
        ("References (PMID)", "7", ("PMID 7",)),
        ("Publication Identifier(s)", "", ()),
        ("n_pubmed", "7", ()),
        ("pubmed", "Other", ()),
        ("pubmed", "", ()),
        ("year", "2020", ()),
    ],
)
def test_publications_are_read_as_tables_write_them(header: str, cell: str, expected: tuple) -> None:
    table = read_reference(f"source\ttarget\t{header}\nA\tB\t{cell}\n".encode(), "t.tsv")
    assert table.knows("a", "b").publications == expected
    assert table.knows("b", "a").publications == ()


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
        (b"\x1f\x8bnot gzip", "torn.tsv.gz", "not a text file"),
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


# As they are distributed ------------------------------------------------------------------------------------

BIOGRID = (
    "#BioGRID Interaction ID\tEntrez Gene Interactor A\tEntrez Gene Interactor B\tBioGRID ID Interactor A\t"
    "BioGRID ID Interactor B\tSystematic Name Interactor A\tSystematic Name Interactor B\t"
    "Official Symbol Interactor A\tOfficial Symbol Interactor B\tSynonyms Interactor A\t"
    "Synonyms Interactor B\tExperimental System\tExperimental System Type\tAuthor\tPublication Source\t"
    "Organism ID Interactor A\tOrganism ID Interactor B\tThroughput\tScore\n"
    "103\t6416\t2318\t112315\t108607\t-\t-\tMAP2K4\tFLNC\tJNKK|MEK4\tABP-280|ABPA\tTwo-hybrid\tphysical\t"
    "Marti A (1997)\tPUBMED:9006895\t9606\t9606\tLow Throughput\t-\n"
    "117\t84665\t88\t124185\t106603\t-\t-\tMYPN\tACTN2\tCMD1DD\tCMD1AA\tTwo-hybrid\tphysical\tBang (2001)\t"
    "PUBMED:11309420\t9606\t9606\tLow Throughput\t-\n"
)
CORUM = (
    "ComplexID\tComplexName\tOrganism\tSynonyms\tCell line\tsubunits(UniProt IDs)\tsubunits(Entrez IDs)\t"
    "Protein complex purification method\tsubunits(Gene name)\n"
    "1\tBCL6-HDAC4 complex\tHuman\tNone\tNone\tP41182;P56524\t604;9759\tMI:0007\tBCL6;HDAC4\n"
    "3\tthree\tHuman\tNone\tNone\tA;B;C\t1;2;3\tMI:0007\tSMAD2;SMAD3;SMAD4\n"
)
CORUM_5 = (
    "complex_id\tcomplex_name\torganism\tsynonyms\tcell_line\tsubunits_uniprot_id\tsubunits_gene_name\n"
    "1\tBCL6-HDAC4 complex\tHuman\tNone\tNone\tP41182;P56524\tBCL6;HDAC4\n"
)
OMNIPATH = (
    "source\ttarget\tsource_genesymbol\ttarget_genesymbol\tis_directed\tis_stimulation\tis_inhibition\t"
    "consensus_direction\tconsensus_stimulation\tconsensus_inhibition\n"
    "P0DP23\tP48995\tCALM1\tTRPC1\t1\t0\t1\t1\t0\t1\n"
    "Q13976\tQ13507\tPRKG1\tTRPC3\tTrue\tTrue\tFalse\tTrue\tTrue\tFalse\n"
    "P1\tP2\tAAA\tBBB\t0\t0\t0\t0\t0\t0\n"
    "COMPLEX:P01_P02\tP9\tFOS_JUN\tMMP1\t1\t1\t0\t1\t1\t0\n"
)
HARMONIZOME = (
    "source\tsource_desc\tsource_id\ttarget\ttarget_desc\ttarget_id\tweight\n"
    "GeneSym\tNA\tGeneID\tTF\tNA\tNA\tNA\n"
    "IRF1\tna\t3659\tSTAT1\tna\t6772\t1.000000\n"
)
WEB = (
    "#node1\tnode2\tnode1_string_id\tnode2_string_id\tneighborhood_on_chromosome\tgene_fusion\t"
    "phylogenetic_cooccurrence\thomology\tcoexpression\texperimentally_determined_interaction\t"
    "database_annotated\tautomated_textmining\tcombined_score\n"
    "JAK2\tSTAT1\t9606.ENSP00000371067\t9606.ENSP00000354394\t0\t0\t0\t0\t0.1\t0.3\t0.9\t0.9\t0.21\n"
)
LINKS = (
    "protein1 protein2 combined_score\n"
    "9606.ENSP00000371067 9606.ENSP00000354394 999\n9606.ENSP00000371067 9606.ENSP00000000233 173\n"
    "9606.ENSP00000354394 9606.ENSP00000999999 800\n"
)
ALIASES = (
    "#string_protein_id\talias\tsource\n"
    "9606.ENSP00000371067\tP-JAK\tUniProt_DE\n9606.ENSP00000371067\tJAK2\tEnsembl_HGNC_symbol\n"
    "9606.ENSP00000354394\tSTAT1\tEnsembl_HGNC_symbol\n9606.ENSP00000354394\t6772\tEnsembl_EntrezGene\n"
)
INFO = (
    "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
    "9606.ENSP00000371067\tJAK2\t1132\tTyrosine-protein kinase\n"
    '9606.ENSP00000354394\tSTAT1\t750\tSignal transducer; binds, "quoted\n'
)


def form(text: str, name: str, source: str, target: str, **options):
    table = read_reference(text.encode(), name, **options)
    packed = read_reference(gzip.compress(text.encode()), f"{name}.gz", **options)
    assert packed.known == table.known
    return table, table.knows(source, target)


@pytest.mark.parametrize(
    ("text", "name", "edge", "sign"),
    [
        ("AATF\tBAX\tRepression\t22909821\nA\tB\tUnknown\t1\n", "trrust_rawdata.human.tsv", "AATF BAX", -1),
        (
            "source,target,weight,resources,references,sign_decision\nMYC,TERT,1.0,ExTRI,1,default\n"
            "SPI1,BGLAP,-1.0,ExTRI,1,PMID\n",
            "collectri.csv",
            "SPI1 BGLAP",
            -1,
        ),
        ("source,target,weight,PMID\nMYC,TERT,1,10022128\n", "collectri.csv", "MYC TERT", 1),
        ("tf\tconfidence\ttarget\tmor\nADNP\tD\tATF7IP\t-1\n", "dorothea_hs.tsv", "ADNP ATF7IP", -1),
        (
            "source,confidence,target,weight\nMYC,A,TERT,1.0\nMYC,B,CDKN1A,-0.5\n",
            "dorothea.csv",
            "MYC CDKN1A",
            -1,
        ),
        (OMNIPATH, "omnipath_webservice_interactions.tsv", "CALM1 TRPC1", -1),
        (OMNIPATH, "omnipath.tsv", "PRKG1 TRPC3", 1),
        (OMNIPATH, "omnipath.tsv", "JUN MMP1", 1),
        ("TF;target gene;sign\nSTAT1;IRF1;+\n", "mine.csv", "STAT1 IRF1", 1),
        ("# from somewhere\n# 2024\nsource|target\nSTAT1|IRF1\n", "mine.txt", "STAT1 IRF1", 0),
        ("source target\nZBTB33 AAMP\n", "encode.txt", "ZBTB33 AAMP", 0),
        ("source,target,weight\nA,B,0.4\nC,D,1\n", "probabilities.csv", "A B", 0),
        ('"source" "target" "mor"\n"1" "MYC" "TERT" 1\n"2" "SPI1" "B" -1\n', "of_r.txt", "SPI1 B", -1),
        ("source\ttarget\tmor\n1\tMYC\tTERT\t1\n2\tSPI1\tB\t-1\n", "of_r.tsv", "SPI1 B", -1),
        (
            "ENTITYA\tTYPEA\tENTITYB\tTYPEB\tEFFECT\nA\tprotein\tB\tprotein\tdown-regulates activity\n",
            "signor.tsv",
            "A B",
            -1,
        ),
        (HARMONIZOME, "gene_attribute_edges.txt", "STAT1 IRF1", 0),
    ],
)
def test_directed_forms(text: str, name: str, edge: str, sign: int) -> None:
    source, target = edge.split()
    table, known = form(text, name, source, target)
    assert table.directed
    assert known.found
    assert known.sign == sign
    assert not table.knows(target, source).found


@pytest.mark.parametrize(
    ("text", "name", "shown", "edge"),
    [
        (BIOGRID, "BIOGRID-ORGANISM-Homo_sapiens-4.4.tab3.txt", "BioGRID", "FLNC MAP2K4"),
        (CORUM, "allComplexes.txt", "CORUM", "SMAD4 SMAD2"),
        (CORUM_5, "corum_humanComplexes.txt", "CORUM", "HDAC4 BCL6"),
        (WEB, "string_interactions.tsv", "STRING", "STAT1 JAK2"),
        ("Gene A;Gene B\nSTAT1;JAK2\n", "mine.csv", "mine", "JAK2 STAT1"),
    ],
)
def test_forms_without_direction(text: str, name: str, shown: str, edge: str) -> None:
    table, known = form(text, name, *edge.split())
    assert (table.name, table.directed) == (shown, False)
    assert known.found


def test_interactions_without_a_direction_are_no_edges_of_a_directed_table() -> None:
    table = read_reference(OMNIPATH.encode(), "omnipath.tsv")
    assert not table.knows("AAA", "BBB").found
    assert table.remarks == ("1 interactions without a direction are left out.",)


@pytest.mark.parametrize("names", [ALIASES, INFO])
def test_links_of_string_with_their_names(names: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"names proteins of STRING .*protein\.info"):
        read_reference(LINKS.encode(), "9606.protein.links.v12.0.txt")
    with pytest.raises(QueryError, match="lists no edges: give it together"):
        read_reference(names.encode(), "9606.protein.info.v12.0.txt")
    (tmp_path / "9606.protein.links.v12.0.txt.gz").write_bytes(gzip.compress(LINKS.encode()))
    (tmp_path / "9606.protein.info.v12.0.txt").write_text(names)
    found, faults = read_references(tmp_path)
    assert faults == []
    [beside] = references.read_reference_files([tmp_path / "9606.protein.links.v12.0.txt.gz"])
    [both] = references.read_reference_files(sorted(tmp_path.iterdir()))
    for table in (*found, beside, both):
        assert (table.name, set(table.known)) == ("STRING", {("jak2", "stat1")})
        assert "1 links with a combined score below 400" in table.remarks[0]
        assert "9606.ENSP00000999999" in table.remarks[1]


def test_a_table_without_overlap_says_so() -> None:
    table = read_reference(TRRUST, "trrust.tsv")
    assert table.without_overlap(["STAT1", "irf1"]) == ""
    assert "no edge between two" in table.without_overlap(["STAT1", "MYC"])
    words = table.without_overlap(["ENSG00000115415", "ENSG00000125347"])
    assert "shares no gene" in words
    assert "ENSG00000115415" in words


@pytest.mark.parametrize("line", ["", "source", "a,b,c\n1,2,3\n"])
def test_other_tables_are_refused_with_their_columns(line: str) -> None:
    with pytest.raises(QueryError, match="has the columns"):
        read_reference(line.encode(), "x.csv")
