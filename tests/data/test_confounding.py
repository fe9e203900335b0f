"""Columns of obs that divide the cells as batches do: found by what they hold, never taken for an effect."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.sparse import csgraph
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.confounding import LEAST_MOVED, Controls, confounding
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import CONTROL_LABEL, SimulationSettings, simulate
from gpovae_core.data.validate import examine
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import fit_network

SETTINGS = make_settings("evidence", {"data": {"artifact_criteria": [], "detect_doublets": False}})
PLAIN = {"low_quality_share": 0.0, "doublet_share": 0.0, "mitochondrial_genes": 0}


@cache
def _confounded(seed: int = 4) -> tuple[AnnData, pd.DataFrame]:
    """Every perturbation in one of three batches alone, controls in all, and the true edges."""
    made = simulate(
        SimulationSettings(
            genes=40, perturbations=12, cells=2600, network="chains", library_median=3000, seed=seed,
            batches=3, batch_imbalance=1.0, batch_spread=0.3, **PLAIN,
        )
    )  # fmt: skip
    return made.adata, made.edges


def _screen() -> tuple[AnnData, np.ndarray, np.ndarray]:
    """(cells, batch, whether each is a control)."""
    cells = _confounded()[0].copy()
    return (
        cells,
        cells.obs["batch"].astype(str).to_numpy(dtype=object),
        cells.obs["perturbation"].to_numpy() == CONTROL_LABEL,
    )


def _false(cells: AnnData) -> tuple[int, int, float]:
    """(edges with W > 0.5 that no true path joins, all, the estimated rate)."""
    prepared = prepare(cells, SETTINGS.data)
    fit = fit_network(prepared, SETTINGS)
    weights = expit(fit.log_odds)
    genes, edges = list(prepared.panel.genes), _confounded()[1]
    place = {gene: i for i, gene in enumerate(genes)}
    rows, columns = (edges[side].map(place) for side in (keys.SOURCE, keys.TARGET))
    truth = sparse.csr_matrix((np.ones(len(edges)), (rows, columns)), shape=(len(genes),) * 2)
    path = np.isfinite(csgraph.shortest_path(truth))
    found = (weights > 0.5) & np.isfinite(fit.evidence)
    return int((found & ~path).sum()), int(found.sum()), float(false_edge_rate(fit, weights, 0.5)[0])


def test_only_what_has_controls_in_its_batch_is_estimated() -> None:
    cells, batch, control = _screen()
    cells = cells[~control | (batch == "batch1")].copy()
    report = examine(cells, SETTINGS.data)
    (problem,) = report.problems
    assert problem.code == "no-controls-beside"
    assert "8 perturbations of 12 have no control cells in their batch" in problem.message
    prepared = prepare(cells, SETTINGS.data)
    assert len(prepared.report.without_controls) == 8
    assert str(problem) in prepared.report.warnings
    false, edges, _ = _false(cells)
    assert false <= 2 < 4 < edges


@pytest.mark.parametrize("how", ["a batch of their own", "no batch"])
def test_where_nothing_has_controls_in_its_batch_nobody_knows_how_many_edges_are_false(how: str) -> None:
    cells, batch, control = _screen()
    cells.obs["batch"] = np.where(control, "controls" if how == "a batch of their own" else None, batch)
    (problem,) = examine(cells, SETTINGS.data).problems
    assert problem.code == "batch-not-compared"
    false, edges, rate = _false(cells)
    assert false > edges / 2, "batches are taken for effects, which is why nobody may believe the rate"
    assert np.isnan(rate)


@pytest.mark.parametrize("harmless", ["batch", "gem_group"])
@pytest.mark.parametrize("other", ["replicate", "Lane.ID"])
def test_of_two_columns_that_could_be_the_batch_the_one_that_matters(harmless: str, other: str) -> None:
    cells, batch, _ = _screen()
    del cells.obs["batch"]
    cells.obs[harmless] = np.random.default_rng(0).choice(["x", "y"], cells.n_obs)
    cells.obs[other] = batch
    found = examine(cells, SETTINGS.data)
    assert found.summary["design"]["batch"] == other
    assert found.problems == ()
    assert any(f"not from '{harmless}'" in note for note in found.summary["notes"])


def test_two_that_matter_are_taken_together_where_controls_allow() -> None:
    cells, _, control = _screen()
    rng = np.random.default_rng(0)
    uneven = np.isin(cells.obs["perturbation"], sorted(set(cells.obs["perturbation"]))[::2])
    second = rng.random(cells.n_obs) < np.where(control, 0.5, np.where(uneven, 0.9, 0.1))
    counts = cells.X.toarray()
    counts[second] = rng.poisson(counts[second] * rng.lognormal(0, 0.5, counts.shape[1]))
    cells.X = sparse.csr_matrix(counts.astype(np.float32))
    cells.obs["lane"] = np.where(second, "l1", "l2")
    prepared = prepare(cells, SETTINGS.data)
    assert prepared.report.design is not None
    assert prepared.report.design.batch == "batch"
    assert set(prepared.cells.obs[keys.BATCH]) == {f"batch{i} / l{j}" for i in (1, 2, 3) for j in (1, 2)}
    assert any("within 'batch' and 'lane' together" in note for note in prepared.report.notes)
    cells.obs["lane"] = np.where(control, "l1", "l2")  # nothing beside controls any more
    report = prepare(cells, SETTINGS.data).report
    assert report.unseparated == ("lane",)
    assert report.design is not None
    assert report.design.batch == "batch"
    cells.obs["lane"] = np.where(control, "l1", np.where(second, "l1", "l2"))
    (note,) = [one for one in prepare(cells, SETTINGS.data).report.notes if "compared with none" in one]
    assert "perturbed cells" in note


def test_how_far_a_column_moves_effects_is_told_in_log_fold_changes() -> None:
    """Perturbed cells all in the first value, controls half and half: half of what lies between both."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([keys.CONTROL, "A", "B"], dtype=object), [600, 200, 200])
    value = np.where(labels == keys.CONTROL, rng.integers(0, 2, 1000), 0)
    fold = rng.lognormal(0, 0.2, 200)
    base = rng.gamma(3, 2, 200)
    for spread, expected in ((1.0, 0.1), (0.0, 0.0)):
        mean = base * fold ** (spread * (value == 0))[:, None]
        counts = sparse.csr_matrix(rng.poisson(mean))
        controls = Controls(labels, lambda rows, counts=counts: counts[rows])
        found = confounding(value, labels, None, controls)
        assert found.uneven == 2
        assert found.moved == pytest.approx(expected, abs=0.025)
        assert found.matters == (expected > LEAST_MOVED)
    even = confounding(rng.integers(0, 2, 1000), labels, None, controls)
    assert (even.uneven, even.matters) == (0, False)
    assert not confounding(value, labels, value, None).matters, "nothing is left within its own values"
    assert confounding(value, labels, None, None).matters, "where nobody can look, it may"


@pytest.mark.parametrize("column", ["experiment", "batchID", "donorID", "Batch Number", "mouse_id"])
def test_a_batch_by_another_name_is_found(column: str) -> None:
    cells, batch, _ = _screen()
    del cells.obs["batch"]
    cells.obs[column] = batch
    design = examine(cells, SETTINGS.data).summary["design"]
    assert column in (design["batch"], design["donor"])


@pytest.mark.parametrize("codes", [False, True])
def test_a_column_of_any_name_that_divides_the_cells_as_batches_do_is_a_warning(codes: bool) -> None:
    cells, batch, _ = _screen()
    del cells.obs["batch"]
    cells.obs["tray"] = np.unique(batch, return_inverse=True)[1] if codes else batch
    cells.obs["harmless"] = np.random.default_rng(0).choice(["x", "y"], cells.n_obs)
    cells.obs["leiden"] = batch  # what cells turned out to be
    found = examine(cells, SETTINGS.data)
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("batch-not-compared", "warning")
    assert "'tray'" in problem.message
    assert "12 perturbations are spread over its values otherwise than controls" in problem.message
    assert "--batch tray" in problem.hint
    assert np.isnan(_false(cells)[2])
    named = SETTINGS.data.model_copy(update={"batch": "tray"})
    assert examine(cells, named).problems == ()
    none = SETTINGS.data.model_copy(update={"batch": "none"})
    assert examine(cells, none).problems == (), "somebody says that there is no batch"


def test_a_condition_that_is_not_crossed_is_a_warning_with_an_option_that_works() -> None:
    cells, batch, _ = _screen()
    del cells.obs["batch"]
    cells.obs["cell_type"] = batch
    (problem,) = examine(cells, SETTINGS.data).problems
    assert problem.code == "batch-not-compared"
    assert "--batch cell_type" in problem.hint
    named = SETTINGS.data.model_copy(update={"batch": "cell_type"})
    assert examine(cells, named).problems == ()
