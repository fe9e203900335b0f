"""Labels that nearly name a measured gene: understood where only one gene fits, else not."""

from __future__ import annotations

import pytest

from gpovae_core.data.labels.affixes import without_genotype
from gpovae_core.data.labels.dates import date_in
from gpovae_core.data.labels.names import Names

GENES = ("STAT1", "JAK2", "HLA-A", "HLA-B", "NKX2-1", "MT-CO1", "C9orf72", "ZNF503", "TP53", "GATA1", "H3-3A")
NAMES = Names(GENES, {"STAT1": "ENSG00000115415.20", "JAK2": "ENSG00000096968"})


@pytest.mark.parametrize("gene", ["STAT1", "HLA-A", "NKX2-1", "H3-3A", "FEV"])
@pytest.mark.parametrize(
    "form",
    [
        *("{}_g1", "{}-g2", "{}.g3", "{}_sg1", "{}_sgRNA2", "{} guide 3", "{}_guide1", "{}g1", "{}sg2"),
        *("sg{}", "sg{}_2", "sh{}", "sh{}_1", "si{}", "sgRNA_{}", "shRNA-{}", "siRNA:{}", "sgRNA_{}_3"),
        *("{} KO", "{}_KO", "{}-KO", "{} KD", "{} OE", "{}_knockdown", "{} knock-out", "KO_{}", "KD:{}"),
        *("{}-/-", "{} -/-", "{}+/-", "{}(-/-)", "{}_del", "{}_crispri", "CRISPRi:{}", "CRISPRa_{}"),
        *("CRISPRko-{}", "dCas9-KRAB:{}", "hg38_{}", "target:{}", "CROPseq_dCas9_DS_{}_g2"),
        *("{}_ACGTTGCATGCATGCATGCA", "ACGTTGCATGCATGCATGCA_{}", "{}_P1P2"),
    ],
)
def test_what_stands_beside_a_gene_is_left_aside(form: str, gene: str) -> None:
    assert NAMES.find(without_genotype(form.format(gene))).genes == (gene,)


@pytest.mark.parametrize("gene", ["STAT1", "HLA-A", "NKX2-1"])
@pytest.mark.parametrize(
    "form", ["{}_1", "{}-2", "{}.3", "{}#4", "{}:5", "{} 6", "1_{}", "{}_A", "{}_s2", "{}-01"]
)
def test_a_bare_number_goes_where_the_gene_is_measured(form: str, gene: str) -> None:
    assert NAMES.find(form.format(gene)).genes == (gene,)


@pytest.mark.parametrize(
    ("label", "gene"),
    [
        ("HLA.A", "HLA-A"),
        ("hla_a", "HLA-A"),
        ("HLA.A.2", "HLA-A"),
        ("NKX2.1", "NKX2-1"),
        ("MT.CO1", "MT-CO1"),
        ("stat1", "STAT1"),
        ("C9ORF72", "C9orf72"),
        ("H3.3A", "H3-3A"),
        ("ENSG00000115415", "STAT1"),
        ("ENSG00000115415.3", "STAT1"),
        ("ENSG00000096968.17", "JAK2"),
        ("ENSG00000096968_sg2", "JAK2"),
        ("STAT1_+_191878894.23-P1P2", "STAT1"),
    ],
)
def test_other_spellings_are_matched(label: str, gene: str) -> None:
    assert NAMES.find(without_genotype(label)).genes == (gene,)


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("ENSG00000115415.20",), "ENSG00000115415"),
        (("ENSG00000115415",), "ENSG00000115415.20"),
        (("ENSG00000115415.20",), "ENSG00000115415.7"),
        (("ENSMUSG00000026104.14",), "ENSMUSG00000026104"),
    ],
)
def test_versions_of_ids_do_not_matter_on_either_side(names: tuple[str, ...], label: str) -> None:
    assert Names(names).find(label).genes == names


@pytest.mark.parametrize(
    "label", ["STAT2", "NKX2-2", "ZNF503-AS2", "STAT1-DT", "HLA-DRB1", "FEV", "TP63", "HS_2"]
)
def test_another_gene_is_not_taken_for_its_neighbour(label: str) -> None:
    assert NAMES.find(label).genes == (label,)


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("STAT1_enh1", ("STAT1",)),
        ("STAT1-FEV", ("STAT1",)),
        ("STAT1-JAK2", ("JAK2", "STAT1")),
        ("STAT1.JAK2", ("JAK2", "STAT1")),
        ("zz_STAT1", ("STAT1",)),
        ("TP53_R175H", ("TP53",)),
        ("STAT1_WT", ("STAT1",)),
        ("STAT1_day7", ("STAT1",)),
        ("STAT1 promoter region", ("STAT1",)),
    ],
)
def test_what_is_not_clear_names_what_it_is_near_to(label: str, near: tuple[str, ...]) -> None:
    found = NAMES.find(label)
    assert found.genes == ()
    assert found.near == near


def test_a_spelling_that_fits_two_genes_is_not_decided() -> None:
    found = Names(("AbC1", "ABc1")).find("abc1")
    assert found.genes == ()
    assert found.near == ("ABc1", "AbC1")


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("1-Mar", (3, 1)),
        ("01-Mar", (3, 1)),
        ("Mar-01", (3, 1)),
        ("1. Mrz", (3, 1)),
        ("1/Mar", (3, 1)),
        ("2-Sep", (9, 2)),
        ("Sept-2", (9, 2)),
        ("1-Mar-2024", (3, 1)),
        ("2024-03-01", (3, 1)),
        ("2024-03-01 00:00:00", (3, 1)),
        ("01.03.2024", (3, 1)),
        ("1-Dez", (12, 1)),
        ("MARCH1", None),
        ("SEPT2", None),
        ("NKX2-1", None),
        ("1-Mars-3", None),
        ("40-Mar", None),
    ],
)
def test_dates_are_recognised(written: str, date: tuple[int, int] | None) -> None:
    assert date_in(written) == date


@pytest.mark.parametrize(
    ("genes", "label", "found"),
    [
        (("MARCH1",), "1-Mar", ("MARCH1",)),
        (("MARCHF1", "SEPTIN2"), "Mar-01", ("MARCHF1",)),
        (("MARCHF1", "SEPTIN2"), "2-Sep", ("SEPTIN2",)),
        (("MARCHF1", "MTARC1"), "1-Mar", ()),
        (("STAT1",), "1-Mar", ()),
        (("DELEC1",), "1-Dec", ("DELEC1",)),
        (("SEPTIN2",), "SEPT2", ("SEPTIN2",)),
        (("MARCH1",), "MARCHF1", ("MARCH1",)),
        (("1-Mar",), "01-Mar", ("1-Mar",)),
    ],
)
def test_a_date_is_a_gene_only_where_one_fits(
    genes: tuple[str, ...], label: str, found: tuple[str, ...]
) -> None:
    assert Names(genes).find(label).genes == found


@pytest.mark.parametrize(
    ("label", "gene"),
    [
        *(("HLAA", "HLA-A"), ("NKX21", "NKX2-1"), ("\u0394STAT1", "STAT1"), ("STAT1sh2", "STAT1")),
        *(("STAT1_ENSG00000115415", "STAT1"), ("1234_TP53_P1P2_ENSG00000999999", "TP53")),
        *(("OLDNAME_ENSG00000115415.3", "STAT1"), ("FEV_ENSG00000999999", "FEV")),
    ],
)
def test_separators_left_out_and_ids_beside_a_gene(label: str, gene: str) -> None:
    assert NAMES.find(label).genes == (gene,)


@pytest.mark.parametrize(
    ("label", "near"),
    [
        *(("dSTAT1", ("STAT1",)), ("STAT1i", ("STAT1",)), ("hHLA-A", ("HLA-A",))),
        ("JAK2_ENSG00000115415", ("JAK2", "STAT1")),
    ],
)
def test_letters_written_onto_a_gene_and_the_id_of_another_are_not_clear(
    label: str, near: tuple[str, ...]
) -> None:
    assert (NAMES.find(label).genes, NAMES.find(label).near) == ((), near)
