from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.labels.controls import control_kind
from gpovae_core.data.labels.names import Names
from gpovae_core.data.labels.reading import Labels, read_labels

GENES = (
    "STAT1",
    "JAK2",
    "AHR",
    "FEV",
    "CTRL",
    "NT5E",
    "ATG5",
    "ATG7",
    "SAFB",
    "C9orf72",
    "HLA-A",
    "NKX2-1",
    "NKX2-5",
)


def _column(*labels: Any, name: str = "perturbation") -> pd.Series:
    return pd.Series(list(labels), index=[f"c{i}" for i in range(len(labels))], name=name, dtype=object)


def _labels(
    *labels: Any,
    genes: Sequence[str] = GENES,
    hint: str | None = None,
    ids: dict[str, str] | None = None,
    control: str | None = None,
    **settings: Any,
) -> Labels:
    chosen = DataSettings(control_label=control, **settings)
    return read_labels(_column(*labels), Names(genes, ids), chosen, hint)


def _read(*labels: Any, **options: Any) -> list[str | None]:
    result = _labels(*labels, **options)
    assert result.canonical is not None, result.problems
    return [None if label is None or label != label else label for label in result.canonical]


def _codes(*labels: Any, **options: Any) -> list[str]:
    return [problem.code for problem in _labels(*labels, **options).problems]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("non-targeting", "non-targeting"),
        ("Non Targeting", "non-targeting"),
        ("CROPseq_dCas9_DS_non-targeting_00025", "non-targeting"),
        ("hg_NonTargeting_Human_0012", "non-targeting"),
        ("NT", "non-targeting"),
        ("NT_12", "non-targeting"),
        ("NTg1", "non-targeting"),
        ("NTC", "non-targeting"),
        ("NTC3", "non-targeting"),
        ("ntc_3", "non-targeting"),
        ("control", "control"),
        ("Control", "control"),
        ("ctrl", "control"),
        ("ctrl-2", "control"),
        ("neg_ctrl", "negative control"),
        ("NegCtrl10", "negative control"),
        ("3x_neg_ctrl_pMJ144-1", "negative control"),
        ("safe-targeting", "safe-targeting"),
        ("Safe_Targeting_7", "safe-targeting"),
        ("scramble", "scrambled"),
        ("unperturbed", "unperturbed"),
        ("untransduced", "unperturbed"),
        ("control_nontargeting", "non-targeting"),
        ("control_casonly", "Cas only"),
        ("dCas9-KRAB only", "Cas only"),
        ("control_guideonly", "guide only"),
        ("control_gsh", "safe-targeting"),
        ("control_intergenic", "intergenic"),
        ("ONE_INTERGENIC_SITE", "intergenic"),
        ("control_genedesert", "gene desert"),
        ("NO_SITE", "non-targeting"),
        ("empty vector", "empty vector"),
        ("control_positive", None),
        ("Cas9", None),
        *(
            (gene, None)
            for gene in (
                "NT5E",
                "NTF3",
                "SAFB",
                "STAT1",
                "CTCF",
                "CTRB1",
                "NTRK1",
                "NTN1",
                "CTLA4",
                "positive_control",
            )
        ),
        ("", None),
    ],
)
def test_control_labels_are_told_from_genes(label: str, kind: str | None) -> None:
    assert control_kind(label) == kind


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(("NTC", "STAT1"), ("control", "STAT1"), id="plain"),
        pytest.param(("ctrl", "STAT1+ctrl", "ctrl+STAT1"), ("control", "STAT1", "STAT1"), id="GEARS"),
        pytest.param(
            ("ctrl", "STAT1+AHR", "AHR+STAT1"), ("control", "AHR+STAT1", "AHR+STAT1"), id="pairs are sorted"
        ),
        pytest.param(("ctrl+ctrl", "AHR + FEV"), ("control", "AHR+FEV"), id="spaces and two control guides"),
        pytest.param(("ctrl", "STAT1+STAT1"), ("control", "STAT1"), id="two guides of one gene"),
        pytest.param(
            ("control", "AHR_FEV", "HS_2"),
            ("control", "AHR+FEV", "HS_2"),
            id="underscore only between known genes",
        ),
        pytest.param(
            ("NegCtrl0", "AHR_NegCtrl0", "NegCtrl1_AHR"),
            ("control", "AHR", "AHR"),
            id="gene beside control guide",
        ),
        pytest.param(
            ("NegCtrl0__NegCtrl0", "AHR_FEV__AHR_FEV"), ("control", "AHR+FEV"), id="both barcodes of one cell"
        ),
        pytest.param(("NT_1", "NT_2", "AHR"), ("control", "control", "AHR"), id="numbered controls"),
        pytest.param(("NT", "CTRL", "AHR"), ("control", "CTRL", "AHR"), id="CTRL is also a gene"),
        pytest.param(
            ("NT", "stat1", "c9ORF72"), ("control", "STAT1", "C9orf72"), id="spelling of the measured genes"
        ),
        pytest.param(("NT", "nkx2-1", "HLA-A"), ("control", "NKX2-1", "HLA-A"), id="hyphens do not separate"),
        pytest.param(
            ("NT", np.nan, None, "", "AHR"), ("control", None, None, None, "AHR"), id="missing labels"
        ),
        pytest.param(("NT", "unassigned", "AHR"), ("control", None, "AHR"), id="unassigned guide"),
        pytest.param(
            ("NT", "AHR+", "+", "AHR"), ("control", None, None, "AHR"), id="nothing beside the plus"
        ),
        pytest.param(("NT", "NOVEL", "AHR"), ("control", "NOVEL", "AHR"), id="a gene that is not measured"),
    ],
)
def test_labels_become_canonical(labels: tuple[Any, ...], expected: tuple[str | None, ...]) -> None:
    assert tuple(_read(*labels)) == expected


def test_what_is_left_out_is_listed_with_its_reason() -> None:
    result = _labels("NT", np.nan, "AHR+", "unassigned", "unassigned", "AHR")
    assert result.left_out == {
        "no label": {"": 1},
        "unclear label": {"AHR+": 1},
        "no single perturbation assigned": {"unassigned": 2},
    }


def test_numbered_controls_of_one_kind_are_merged_and_said_so() -> None:
    result = _labels("non-targeting_001", "non-targeting_002", "non-targeting_002", "AHR")
    assert result.control_label == "non-targeting_002"
    assert any("2 control labels of one kind" in note for note in result.notes)


def test_different_kinds_of_control_are_listed_with_counts_and_not_guessed() -> None:
    result = _labels("NT_1", "NT_2", "safe-targeting", "AHR")
    (problem,) = result.problems
    assert problem.code == "control-ambiguous"
    assert "NT_1 (2 cells, 2 labels)" in problem.message
    assert "safe-targeting (1 cell)" in problem.message


@pytest.mark.parametrize("option", ["control", "hint"])
def test_a_chosen_control_leaves_the_other_kind_out(option: str) -> None:
    options = {option: "safe-targeting"}
    assert _read("NT_1", "safe-targeting", "AHR", **options) == [None, keys.CONTROL, "AHR"]
    assert _codes("NT_1", "safe-targeting", "AHR", **options) == ["other-controls"]


@pytest.mark.parametrize(
    ("labels", "options", "code"),
    [
        (("AHR", "FEV"), {}, "control-not-found"),
        (("NT", "AHR"), {"control": "LacZ"}, "control-not-found"),
        (("control", "NT", "AHR"), {}, "control-ambiguous"),
        ((np.nan, "", None), {}, "labels-missing"),
        (("NT", "FOO-1", "FOO-2", "BAR-1", "BAR-2"), {}, "guide-level-labels"),
        (("NT", "1", "2", "3"), {}, "labels-are-numbers"),
        (("NT", "5-Oct", "AHR"), {}, "labels-are-dates"),
        (("NT", "AHR_day7", "FEV"), {}, "labels-near-genes"),
        (("NT", "AHR-FEV", "FEV"), {}, "labels-near-genes"),
        (("NT", "KLF5_SPI1"), {}, "labels-near-genes"),
        (("NT", "foo", "FOO"), {}, "labels-alike"),
    ],
)
def test_labels_that_need_an_answer(labels: tuple[Any, ...], options: dict[str, str], code: str) -> None:
    assert _codes(*labels, **options) == [code]


def test_gene_families_are_not_taken_for_guides() -> None:
    assert _codes("NT", "ATG5", "ATG7", "STAT1", "STAT2") == []
    assert _codes("NT", "NKX2-1", "NKX2-5", "JAK2", "AHR") == []


def test_a_perturbed_gene_with_a_plus_in_its_name_is_an_error() -> None:
    result = _labels("NT", "HLA+A", "AHR", genes=(*GENES, "HLA+A"))
    assert [problem.code for problem in result.problems] == ["plus-in-gene-name"]


def test_a_control_label_of_any_name_is_taken_when_given() -> None:
    assert _read("LacZ", "AHR", control="LacZ") == [keys.CONTROL, "AHR"]


def test_a_given_control_is_found_under_another_number_or_spelling() -> None:
    assert _read("Non_Targeting_3", "AHR", control="non-targeting") == [keys.CONTROL, "AHR"]


def test_ensembl_ids_as_labels_become_symbols() -> None:
    assert _read("NT", "ENSG00000106546", ids={"AHR": "ENSG00000106546.5"}) == [keys.CONTROL, "AHR"]


@given(st.lists(st.sampled_from(["STAT1", "JAK2", "AHR", "ctrl", "NOVEL"]), min_size=1, max_size=4))
def test_the_order_of_the_guides_does_not_matter(parts: list[str]) -> None:
    forward, backward = "+".join(parts), "+".join(reversed(parts))
    first, second, _ = _read(forward, backward, "ctrl")
    assert first == second == (keys.PAIR_SEPARATOR.join(sorted(set(parts) - {"ctrl"})) or keys.CONTROL)


@pytest.mark.parametrize("joint", [*"_-|;,&/: +~.", "__", " + ", "||", " and "])
@pytest.mark.parametrize("target", ["AHR", "NOVEL"])
@pytest.mark.parametrize(
    "control", ["NegCtrl0", "non-targeting", "NTC_3", "ctrl", "Scramble2", "safe harbor"]
)
def test_a_target_beside_a_control_guide_is_a_perturbation(joint: str, target: str, control: str) -> None:
    labels = (f"{target}{joint}{control}", f"{control}{joint}{target}", f"{control}{joint}{control}")
    assert _read(control, *labels) == ["control", target, target, "control"]


@pytest.mark.parametrize("label", ["HS2_NTC", "P53_NTC", "NTC_day7", "A20-NTC"])
def test_a_control_label_with_anything_else_in_it_is_no_control(label: str) -> None:
    assert _read("NTC", label, "AHR")[1] != keys.CONTROL


@pytest.mark.parametrize("joint", ["+", "_", "|", ";", ",", "/"])
@pytest.mark.parametrize("name", ["LacZ", "GFP", "AAVS1", "luciferase"])
def test_a_told_control_without_a_usual_name_stands_beside_genes_too(joint: str, name: str) -> None:
    both = f"{name}{joint}{name}"
    labels = (both, f"AHR{joint}{name}", f"{name}{joint}NOVEL", f"{name}-2", f"sg{name}_1")
    expected = ["control", "AHR", "NOVEL", "control", "control"]
    assert _read(*labels, control=name) == expected
    assert _read(*labels, control=both) == expected


@pytest.mark.parametrize(
    ("missing", "control"), [("None", "None"), (None, "None"), (np.nan, "nan"), ("NA", "na"), ("", "none")]
)
def test_controls_without_a_label_are_accepted_when_told(missing: Any, control: str) -> None:
    assert _read(missing, missing, "AHR", control=control) == ["control", "control", "AHR"]
    problem = _labels(missing, missing, "AHR").problems[0]
    assert problem.code == "control-not-found"
    assert "2 cells without a label" in problem.hint


def test_of_texts_for_missing_labels_only_the_told_one_is_the_control() -> None:
    assert _read("None", "nan", "AHR", control="None") == ["control", None, "AHR"]


def test_bytes_are_decoded_however_they_come() -> None:
    assert _read(b"NT", "b'AHR'", 'b"FEV"', b"STAT1") == ["control", "AHR", "FEV", "STAT1"]


def test_a_gene_called_control_is_no_target() -> None:
    genes = (*GENES, "control")
    assert _read("control", "AHR", "control+FEV", genes=genes) == ["control", "AHR", "FEV"]
    assert _codes("control", "NT", "AHR", genes=genes) == ["control-ambiguous"]
    assert _read("control", "NT", "AHR", genes=genes, control="NT") == [None, "control", "AHR"]


def test_numbers_are_never_looked_up_as_ids() -> None:
    ids = {"AHR": "196", "STAT1": "6772"}
    assert _codes("NT", "196", "6772", ids=ids) == ["labels-are-numbers"]
    assert _read("NT", "196", "6772", ids=ids, unclear_labels="as written") == ["control", "196", "6772"]


def test_a_combination_with_unmeasured_genes_is_one() -> None:
    labels = ("ctrl", "STAT1_NOVEL", "NOVEL_KLF5", "KLF5")
    assert _read(*labels) == ["control", "NOVEL+STAT1", "KLF5+NOVEL", "KLF5"]
    assert _read(*labels, pair_separator="none")[1:] == ["STAT1_NOVEL", "NOVEL_KLF5", "KLF5"]
    (decision,) = [d for d in _labels(*labels).decisions if d.setting == "pair_separator"]
    assert "'NOVEL_KLF5' as KLF5+NOVEL" in decision.why


def test_a_word_beside_most_genes_may_be_a_condition_and_is_asked_about() -> None:
    labels = ("NT", *(f"{gene}_IFNG" for gene in ("STAT1", "JAK2", "AHR", "FEV")))
    result = _labels(*labels)
    assert [problem.code for problem in result.problems] == ["labels-near-genes"]
    assert next(d for d in result.decisions if d.setting == "unclear_labels").asked
    assert _read(*labels, unclear_labels="nearest") == ["control", "STAT1", "JAK2", "AHR", "FEV"]


@pytest.mark.parametrize(
    ("choice", "expected"), [("nearest", "AHR"), ("leave out", None), ("as written", "AHR_day7")]
)
def test_unclear_labels_are_read_as_chosen(choice: str, expected: str | None) -> None:
    result = _labels("NT", "AHR_day7", "FEV", unclear_labels=choice)
    assert result.canonical is not None
    assert result.canonical.tolist() == ["control", expected, "FEV"]
    assert not any(problem.severity == "error" for problem in result.problems)
    assert not any(decision.asked for decision in result.decisions)


def test_a_few_cells_with_unclear_labels_are_left_out_and_said() -> None:
    result = _labels(*["NT"] * 300, *["AHR"] * 300, "AHR_day7")
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert "'AHR_day7' (AHR?) (1 cell). They are left out." in problem.message


@pytest.mark.parametrize("joint", ["|", ";", "_", "-", ":", " ", ","])
def test_a_sequence_beside_a_target_is_that_of_its_guide(joint: str) -> None:
    sequence = "ACGTTGCATGCATGCATGCA"
    labels = (f"AHR{joint}{sequence}", f"{sequence}{joint}NOVEL", f"NT{joint}{sequence}")
    assert _read(*labels) == ["AHR", "NOVEL", "control"]


def test_measured_genes_are_never_guides() -> None:
    genes = ("NKX2-1", "NKX2-2", "NKX6-1", "NKX6-2", "HLA-A", "KRT8", "KRT18")
    assert _read("NT", *genes, genes=genes) == ["control", *genes]
    assert _codes("NT", *genes, genes=genes) == []


def test_numbers_behind_all_genes_are_those_of_guides_also_where_a_gene_is_not_measured() -> None:
    assert _read("NT", "STAT1-1|STAT1-2", "JAK2-1|JAK2-3", "NOVEL-1|NOVEL-2", "NKX2-1-2") == [
        "control",
        "STAT1",
        "JAK2",
        "NOVEL",
        "NKX2-1",
    ]
    assert _read("NT", "STAT1", "JAK2", "AHR", "NKX2-2")[-1] == "NKX2-2"


def test_cells_that_mixscape_calls_not_perturbed_are_kept_or_left_out_as_chosen() -> None:
    labels = ("NT", "AHR KO", "AHR NP", "FEV KD", "FEV_NP")
    assert _read(*labels) == ["control", "AHR", "AHR", "FEV", "FEV"]
    assert any("Mixscape calls not perturbed" in note for note in _labels(*labels).notes)
    assert _read(*labels, non_perturbed="leave out") == ["control", "AHR", None, "FEV", None]
    assert _codes(*labels, non_perturbed="leave out") == ["not-perturbed"]


def test_the_control_is_a_decision_with_what_else_could_be_taken() -> None:
    (taken,) = _labels("NT_1", "NT_2", "NT_2", "AHR").decisions
    assert taken.setting == "control_label"
    assert taken.taken == "NT_2"
    assert not taken.asked
    (asked,) = _labels("NT", "safe-targeting", "AHR").decisions
    assert asked.asked
    assert {"NT", "safe-targeting", "AHR"} <= {option.value for option in asked.options}


@pytest.mark.parametrize(
    "form",
    ["{}_P1", "{}-A", "{} #1", "{}:2", "{}_d7", "K562_{}", "{}ko", "{}-1-KO", "si{}#2", "{}_+_123.4-P1"],
)
def test_what_stands_beside_all_measured_genes_is_no_part_of_one_that_is_not(form: str) -> None:
    genes = ("STAT1", "JAK2", "NKX2-1", "NOVEL3")
    labels = [form.format(gene) for gene in genes]
    assert _read("NT", *labels) == ["control", *genes]
    assert _read("NT", "STAT1", "JAK2", "AHR", "NOVEL-A")[-1] == "NOVEL-A"


@pytest.mark.parametrize("form", ["guide{}", "sg{}", "P{}", "A0{}", "clone_{}", "drug{}"])
def test_codes_are_no_genes(form: str) -> None:
    codes = [form.format(i) for i in range(1, 5)]
    (code,) = _codes("NT", *codes)
    assert code in ("labels-are-numbers", "labels-not-genes")
    assert _read("NT", *codes, unclear_labels="as written")[1:] == codes


def test_sequences_of_guides_and_drugs_are_no_genes() -> None:
    assert _codes("NT", "ACGTTGCATGCATGCATGCA", "CCGTTGCATGCATGCATGCA") == ["labels-are-numbers"]
    assert _codes("NT", "dexamethasone", "tofacitinib", "jq1") == ["labels-not-genes"]


def test_targets_that_are_all_near_to_measured_genes_are_asked_about() -> None:
    assert _codes("NT", "STAT", "JAK", "NKX2") == ["labels-near-genes"]
    assert _codes("NT", "Stat1i", "Jak2i", genes=("Stat1", "Jak2", "Ahr")) == ["labels-near-genes"]
    assert _read("NT", "GATA4", "RUNX1", "KLF5") == ["control", "GATA4", "RUNX1", "KLF5"]


def test_the_id_of_a_gene_beside_it_is_no_second_gene() -> None:
    assert _read("NT", "STAT1|ENSG00000115415", "ENSG00000096968.3;JAK2") == ["control", "STAT1", "JAK2"]
    assert _read("NT", "STAT1+ENSG00000999999")[1] == "ENSG00000999999+STAT1"


@pytest.mark.parametrize("control", ["NO-TARGET", "no target", "NonTargetingControl"])
def test_words_of_guides_may_name_a_control(control: str) -> None:
    assert _read(control, "STAT1") == ["control", "STAT1"]


def test_a_measured_gene_is_no_control_because_a_file_says_so() -> None:
    assert _read("NT", "STAT1", "JAK2", hint="JAK2") == ["control", "STAT1", "JAK2"]


@pytest.mark.parametrize(
    "joint", ["_", "__", ":", " ", "*", "\u00d7", "@", "^", "//", "--", " and ", "_and_"]
)
@pytest.mark.parametrize("single", ["{}", "{}_g1"])
def test_pairs_are_read_whether_one_both_or_none_is_measured(joint: str, single: str) -> None:
    pairs = [("JAK2", "STAT1"), ("GATA4", "STAT1"), ("GATA4", "KLF5")]
    labels = [joint.join(map(single.format, pair)) for pair in pairs]
    singles = [single.format(gene) for gene in ("JAK2", "STAT1", "GATA4", "KLF5")]
    read = _read("NT", *singles, *labels)
    assert read == ["control", "JAK2", "STAT1", "GATA4", "KLF5", *("+".join(pair) for pair in pairs)]


@pytest.mark.parametrize("joint", ["-", ".", "AND", ""])
def test_a_name_made_of_two_targets_of_the_file_is_asked_about(joint: str) -> None:
    labels = ("NT", "STAT1", "GATA4", "KLF5", f"GATA4{joint}KLF5")
    result = _labels(*labels)
    assert [problem.code for problem in result.problems] == ["labels-near-genes"]
    assert _read(*labels, unclear_labels="nearest")[-1] == "GATA4+KLF5"
    assert _read(*labels, unclear_labels="as written")[-1] == labels[-1]


def test_two_guides_of_a_gene_that_is_not_measured_are_that_gene() -> None:
    assert _read("NT", "GATA4_g1_GATA4_g2", "STAT1_g1_STAT1_g2") == ["control", "GATA4", "STAT1"]


def test_many_labels_with_nothing_beside_a_plus_are_asked_about() -> None:
    labels = ("NT", "STAT1", "AHR", "JAK2+")
    assert _codes(*labels) == ["malformed-labels"]
    assert _read(*labels, unclear_labels="nearest")[-1] == "JAK2"
    few = _labels(*["NT"] * 100, *["STAT1"] * 100, "JAK2+")
    assert [problem.severity for problem in few.problems] == ["warning"]
    assert few.left_out == {"unclear label": {"JAK2+": 1}}


def test_names_that_were_cut_off_are_asked_about_beside_other_genes_too() -> None:
    assert _codes("NT", "STAT", "JAK", "NKX2", "GATA4") == ["labels-near-genes"]
    assert _codes("NT", "STAT", "JAK", "NKX2", "AHR") == ["labels-near-genes"]
    assert _read("NT", "STAT1", "JAK2", "AHR", "GATA4") == ["control", "STAT1", "JAK2", "AHR", "GATA4"]
