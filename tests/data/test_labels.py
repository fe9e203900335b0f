from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core import keys
from gpovae_core.data.labels import control_kind, find_label_column, read_labels

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


def _read(*labels: Any, **options: Any) -> list[str | None]:
    result = read_labels(_column(*labels), GENES, **options)
    assert result.canonical is not None, result.problems
    return [None if label is None or label != label else label for label in result.canonical]


def _codes(*labels: Any, **options: Any) -> list[str]:
    return [problem.code for problem in read_labels(_column(*labels), GENES, **options).problems]


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
    result = read_labels(_column("NT", np.nan, "AHR+", "unassigned", "unassigned", "AHR"), GENES)
    assert result.left_out == {
        "no label": {"": 1},
        "malformed label": {"AHR+": 1},
        "no single perturbation assigned": {"unassigned": 2},
    }


def test_numbered_controls_of_one_kind_are_merged_and_said_so() -> None:
    result = read_labels(_column("non-targeting_001", "non-targeting_002", "non-targeting_002", "AHR"), GENES)
    assert result.control_label == "non-targeting_002"
    assert any("2 control labels of one kind" in note for note in result.notes)


def test_different_kinds_of_control_are_listed_with_counts_and_not_guessed() -> None:
    result = read_labels(_column("NT_1", "NT_2", "safe-targeting", "AHR"), GENES)
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
        (("NT", "FOOg1", "FOOg2", "BARg1", "BARg2"), {}, "guide-level-labels"),
        (("NT", "foo", "FOO"), {}, "labels-alike"),
    ],
)
def test_labels_that_need_an_answer(labels: tuple[Any, ...], options: dict[str, str], code: str) -> None:
    assert _codes(*labels, **options) == [code]


def test_gene_families_are_not_taken_for_guides() -> None:
    assert _codes("NT", "ATG5", "ATG7", "STAT1", "STAT2") == []
    assert _codes("NT", "NKX2-1", "NKX2-5", "JAK2", "AHR") == []


def test_a_perturbed_gene_with_a_plus_in_its_name_is_an_error() -> None:
    result = read_labels(_column("NT", "HLA+A", "AHR"), (*GENES, "HLA+A"))
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


def _obs(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("obs", "expected"),
    [
        pytest.param(_obs(perturbation=["NT", "AHR"]), "perturbation", id="known name"),
        pytest.param(
            _obs(Condition=["ctrl", "AHR+ctrl"], batch=["a", "b"]), "Condition", id="known name, other case"
        ),
        pytest.param(
            _obs(gene=["x", "y"], target=["NT", "AHR"]), "target", id="the known name that has a control"
        ),
        pytest.param(_obs(guide=["NT_1", "AHR"], element=["q", "r"]), "guide", id="by content"),
        pytest.param(_obs(gene=["NT", "AHR"], target=["NT", "AHR"]), "gene", id="two that agree"),
        pytest.param(
            _obs(perturbation=["NT", "AHR"], gene=["NT", "FEV"]),
            "perturbation",
            id="the scPerturb convention wins",
        ),
        pytest.param(
            _obs(gene=["p", "q"], cells=[1, 2]),
            "gene",
            id="one known name without control: the control is the problem",
        ),
    ],
)
def test_the_label_column_is_found(obs: pd.DataFrame, expected: str) -> None:
    column, problems, _ = find_label_column(obs, GENES)
    assert column == expected
    assert problems == []


@pytest.mark.parametrize(
    ("obs", "wanted", "code", "words"),
    [
        (
            _obs(target=["NT", "AHR"], gene=["NT", "FEV"]),
            None,
            "label-column-ambiguous",
            ["'gene' (NT, FEV)", "'target'"],
        ),
        (_obs(a=["NT", "AHR"], b=["NT", "FEV"]), None, "label-column-ambiguous", ["'a'", "'b'"]),
        (
            _obs(tissue=["blood", "liver"], n=[1, 2]),
            None,
            "label-column-missing",
            ["'tissue' (blood, liver)"],
        ),
        (_obs(n=[1, 2]), None, "label-column-missing", ["No column of obs holds text"]),
        (_obs(perturbation=["NT", "AHR"]), "guide", "label-column-missing", ["'guide'", "perturbation"]),
    ],
)
def test_candidates_for_the_label_column_are_listed(
    obs: pd.DataFrame, wanted: str | None, code: str, words: list[str]
) -> None:
    column, (problem,), _ = find_label_column(obs, GENES, wanted)
    assert column is None
    assert problem.code == code
    for word in words:
        assert word in problem.message
