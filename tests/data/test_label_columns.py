"""The label column is chosen by what it holds; a person is asked where two columns say different things."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gpovae_core.config import DataSettings
from gpovae_core.data.labels.columns import ColumnChoice, find_labels
from gpovae_core.data.labels.names import Names

GENES = ("STAT1", "JAK2", "AHR", "FEV", "IFNG", "HLA-A")


def _found(columns: dict[str, list[Any]], **settings: Any) -> ColumnChoice:
    return find_labels(pd.DataFrame(columns), Names(GENES), DataSettings(**settings))


GENE_COLUMN = ["NT", "AHR", "FEV", "STAT1"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({"perturbation": ["NT", "AHR"]}, "perturbation", id="known name"),
        pytest.param(
            {"Condition": ["ctrl", "AHR+ctrl"], "batch": ["a", "b"]}, "Condition", id="known name, other case"
        ),
        pytest.param({"gene": ["x", "y"], "target": ["NT", "AHR"]}, "target", id="the one with a control"),
        pytest.param({"guide": ["NT_1", "AHR"], "element": ["q", "r"]}, "guide", id="by content"),
        pytest.param({"gene": ["NT", "AHR"], "target": ["NT", "AHR"]}, "gene", id="two that agree"),
        pytest.param({"gene": ["p", "q"], "cells": [1, 2]}, "gene", id="a known name without control"),
        pytest.param(
            {"condition": ["control", "TNFA", "IFNB", "TNFA"], "sgRNA_gene": GENE_COLUMN},
            "sgRNA_gene",
            id="treatments with a usual name",
        ),
        pytest.param(
            {"perturbation": ["control", "drug a", "drug b", "control"], "my_target": GENE_COLUMN},
            "my_target",
            id="drugs with the most usual name",
        ),
        pytest.param(
            {"perturbation": GENE_COLUMN, "Perturbation": ["control", "drugX", "DMSO", "drugX"]},
            "perturbation",
            id="two cases, the genes first",
        ),
        pytest.param(
            {"Perturbation": GENE_COLUMN, "perturbation": ["control", "drugX", "DMSO", "drugX"]},
            "Perturbation",
            id="two cases, the genes in the unusual one",
        ),
        pytest.param(
            {"guide_id": ["NT_1", "AHR_g1", "FEV_g2", "STAT1_g1"], "target_gene": GENE_COLUMN},
            "target_gene",
            id="guides of the same genes",
        ),
        pytest.param(
            {"guide": ["NT_1", "HS2-A", "HS2-B", "STAT1_g1"], "element": ["NT", "HS2", "HS2", "STAT1"]},
            "element",
            id="letters of the guides of a target that is not measured",
        ),
    ],
)
def test_the_label_column_is_found(columns: dict[str, list[Any]], expected: str) -> None:
    found = _found(columns)
    assert found.column == expected
    assert found.problems == ()
    assert found.decision is not None
    assert expected in found.decision.line
    assert not found.decision.asked


@pytest.mark.parametrize(
    ("columns", "code", "words"),
    [
        pytest.param(
            {"target": ["NT", "AHR"], "gene": ["NT", "FEV"]},
            "label-column-ambiguous",
            ["'gene' (NT, FEV)", "'target'"],
            id="two usual names",
        ),
        pytest.param(
            {"perturbation": ["NT", "AHR"], "gene": ["NT", "FEV"]},
            "label-column-ambiguous",
            ["'perturbation'", "'gene'"],
            id="also where one is the most usual",
        ),
        pytest.param(
            {"a": ["NT", "AHR"], "b": ["NT", "FEV"]},
            "label-column-ambiguous",
            ["'a'", "'b'"],
            id="no usual name",
        ),
        pytest.param(
            {"condition": ["control", "IFNG", "control", "IFNG"], "target": GENE_COLUMN},
            "label-column-ambiguous",
            ["'condition' (control, IFNG)", "'target'"],
            id="a treatment that is a measured gene",
        ),
        pytest.param(
            {"condition": ["control", "IFNG", "control", "IFNG"], "target": ["LacZ", "AHR", "FEV", "STAT1"]},
            "label-column-ambiguous",
            ["'condition'", "'target' (LacZ"],
            id="genes beside a control without a usual name",
        ),
        pytest.param(
            {"tissue": ["blood", "liver"], "n": [1, 2]},
            "label-column-missing",
            ["'tissue' (blood, liver)"],
            id="nothing that could be",
        ),
        pytest.param({"n": [1, 2]}, "label-column-missing", ["No column of obs holds text"], id="no text"),
    ],
)
def test_candidates_are_shown_and_a_person_is_asked(
    columns: dict[str, list[Any]], code: str, words: list[str]
) -> None:
    found = _found(columns)
    assert found.column is None
    (problem,) = found.problems
    assert problem.code == code
    for word in words:
        assert word in problem.message
    assert found.decision is not None
    assert found.decision.asked
    assert found.decision.setting == "label_column"


def test_what_is_asked_can_be_answered_with_any_of_the_options() -> None:
    columns = {"target": ["NT", "AHR"], "gene": ["NT", "FEV"]}
    decision = _found(columns).decision
    assert decision is not None
    assert [option.value for option in decision.options] == ["gene", "target"]
    for option in decision.options:
        assert _found(columns, label_column=option.value).column == option.value


def test_a_misspelt_column_is_said_with_those_that_are_there() -> None:
    found = _found({"perturbation": ["NT", "AHR"]}, label_column="guide")
    assert found.column is None
    assert "'guide'" in found.problems[0].message
    assert "perturbation" in found.problems[0].message


def test_two_columns_may_differ_in_a_hundredth_of_the_cells() -> None:
    labels = ["NT"] * 100 + ["AHR"] * 100
    one_other = [*labels[:-1], "FEV"]
    assert _found({"gene": labels, "target": one_other}).column is not None
    five_others = [*labels[:-5], *["FEV"] * 5]
    assert _found({"gene": labels, "target": five_others}).column is None


def test_a_column_with_a_name_for_every_cell_is_not_looked_at() -> None:
    labels = ["NT"] * 100 + ["AHR"] * 100
    assert _found({"gene": labels, "barcode": [f"AHR_{i}" for i in range(199)] + ["NT"]}).column == "gene"


def test_a_column_that_few_cells_have_is_no_candidate() -> None:
    labels = ["NT", "AHR", "FEV", "STAT1"]
    assert _found({"gene": labels, "doublet_with": ["", "IFNG", "", ""]}).column == "gene"
    partners = ["AHR", "NT", "", "", "", "", "", ""]
    assert _found({"gene": labels * 2, "second_guide": partners}).column == "gene"


def test_a_column_with_a_usual_name_and_no_genes_is_mentioned() -> None:
    found = _found({"Perturbation": ["control", "drugX", "DMSO", "drugX"], "target": GENE_COLUMN})
    assert found.decision is not None
    assert "'Perturbation' (drugX, control, DMSO) names none" in found.decision.why


def test_a_column_that_is_there_twice_is_not_read() -> None:
    obs = pd.DataFrame([["NT", "NT"], ["AHR", "FEV"]], columns=["gene", "gene"])
    assert find_labels(obs, Names(GENES)).column is None
    found = find_labels(obs, Names(GENES), DataSettings(label_column="gene"))
    assert "several columns of this name" in found.problems[0].message
