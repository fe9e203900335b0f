from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.panel import choose_panel, select_extended, wilcoxon_table
from tests.data.small import GENES, PERTURBED, small_cells

WILCOXON = DataSettings(panel="wilcoxon", extended_min_abs_lfc=1.5)


def _data(per_label: int = 60) -> tuple:
    cells = small_cells(per_label)
    labels = cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    return cells.X.tocsr(), list(cells.var_names), labels


def _table(*rows: tuple[str, str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["perturbation", "gene", "score", "lfc", "p"])


def test_statistics_are_those_of_scipy() -> None:
    counts, genes, labels = _data()
    table = wilcoxon_table(counts, genes, labels, 1e4).set_index(["perturbation", "gene"])
    values = log_expression(counts).toarray()
    control, own = values[(labels == keys.CONTROL).to_numpy()], values[(labels == "GENE03").to_numpy()]
    raw = np.array(
        [
            stats.mannwhitneyu(own[:, g], control[:, g], use_continuity=False, method="asymptotic").pvalue
            for g in range(len(genes))
        ]
    )
    adjusted = stats.false_discovery_control(raw)
    np.testing.assert_allclose(table.loc["GENE03"].loc[genes, "p"], adjusted, rtol=1e-6)
    fold = np.log2((np.expm1(own.mean(axis=0)) + 1e-9) / (np.expm1(control.mean(axis=0)) + 1e-9))
    np.testing.assert_allclose(table.loc["GENE03"].loc[genes, "lfc"], fold, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_both_limits_hold_in_both_directions(sign: float) -> None:
    table = _table(
        ("A", "clear", sign * 5, sign * 4.0, 0.001),
        ("B", "unsure", sign * 9, sign * 4.0, 0.2),
        ("C", "small", sign * 9, sign * 2.0, 0.001),
    )
    assert select_extended(table, 5, 3.0, 0.01)["gene"].tolist() == ["clear"]


def test_the_best_score_wins_whatever_its_sign_and_ties_go_by_name() -> None:
    table = _table(
        ("A", "up", 5, 4.0, 0.001),
        ("A", "down", -6, -4.0, 0.001),
        ("B", "y", 5, 4.0, 0.001),
        ("B", "x", 5, -4.0, 0.001),
    )
    assert select_extended(table, 1, 3.0, 0.01)["gene"].tolist() == ["down", "x"]
    assert select_extended(table, 2, 3.0, 0.01)["gene"].tolist() == ["down", "up", "x", "y"]


def test_the_wilcoxon_rule_finds_the_gene_that_follows() -> None:
    counts, genes, labels = _data()
    panel = choose_panel(counts, genes, labels, np.ones(len(labels), dtype=bool), WILCOXON)
    assert panel.data.perturbed == PERTURBED
    assert panel.data.extended == ("GENE04", "GENE12", "GENE21")
    assert all(panel.data.reasons[gene].startswith("changed by GENE") for gene in panel.data.extended)
    assert panel.genes == (*PERTURBED, "GENE04", "GENE12", "GENE21")


def test_the_rule_looks_at_training_cells_only() -> None:
    counts, genes, labels = _data()
    training = np.random.default_rng(0).random(len(labels)) < 0.6
    changed = counts.toarray()
    changed[~training] = changed[~training][:, ::-1]
    before = choose_panel(counts, genes, labels, training, WILCOXON).data
    assert choose_panel(type(counts)(changed), genes, labels, training, WILCOXON).data == before


def test_unseen_perturbations_have_no_say_but_keep_their_row() -> None:
    counts, genes, labels = _data()
    training = (labels != "GENE11").to_numpy()
    panel = choose_panel(counts, genes, labels, training, WILCOXON)
    assert "GENE11" in panel.data.perturbed
    assert "GENE12" not in panel.data.extended


@pytest.mark.parametrize(
    ("panel", "limit", "extended"), [("all", 1, 27), ("auto", 31, 27), ("auto", 30, 3), ("wilcoxon", 1000, 3)]
)
def test_small_measured_panels_are_taken_whole(panel: str, limit: int, extended: int) -> None:
    counts, genes, labels = _data()
    settings = DataSettings(panel=panel, panel_all_below=limit, extended_min_abs_lfc=1.5)
    chosen = choose_panel(counts, genes, labels, np.ones(len(labels), dtype=bool), settings)
    assert len(chosen.data.extended) == extended
    assert set(chosen.data.reasons) == set(chosen.data.extended)


def test_unmeasured_genes_and_pairs() -> None:
    counts, genes, labels = _data()
    labels = labels.replace({"GENE03": "HS2", "GENE11": "GENE11+GENE20"})
    panel = choose_panel(
        counts,
        genes,
        labels,
        np.ones(len(labels), dtype=bool),
        DataSettings(panel="all"),
        {"GENE20": "ENSG1", "HS2": "E"},
    )
    assert panel.data.perturbed == ("GENE11", "GENE20", "HS2")
    assert set(panel.data.measured) == set(GENES)
    assert panel.data.ids == {"GENE20": "ENSG1", "HS2": "E"}


def test_no_gene_may_pass() -> None:
    counts, genes, labels = _data()
    settings = DataSettings(panel="wilcoxon", extended_min_abs_lfc=50.0)
    assert choose_panel(counts, genes, labels, np.ones(len(labels), dtype=bool), settings).data.extended == ()
