"""What a simulated screen may do beyond the plain one: batches, guides, donors, directions, library sizes and
states. The truth that is told is in the cells, and without these settings nothing is drawn differently.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.data.simulate import (
    CONTROL_LABEL,
    DONOR,
    DOUBLET,
    DOUBLET_WITH,
    ESCAPED,
    GUIDE,
    LOW_QUALITY,
    STATE,
    TRUE_DONORS,
    TRUE_GUIDES,
    TRUE_PERTURBATIONS,
    Simulation,
    SimulationSettings,
    simulate,
)
from gpovae_core.errors import SettingsError

SMALL: dict[str, Any] = {"genes": 40, "perturbations": 12, "cells": 600}
CLEAN: dict[str, Any] = {
    **SMALL,
    "cells": 4000,
    "escape_share": 0.0,
    "doublet_share": 0.0,
    "low_quality_share": 0.0,
    "batches": 1,
    "network": "forks",
    "edges_per_gene": 0.05,
}
RICH: dict[str, Any] = {
    "genes": 50,
    "perturbations": 15,
    "cells": 800,
    "pair_share": 0.4,
    "interacting_share": 0.5,
    "interaction_genes": 4,
    "silent_share": 0.4,
    "unmeasured_share": 0.2,
    "batches": 3,
    "network": "chains",
    "seed": 7,
}


def labels(simulation: Simulation) -> np.ndarray:
    return simulation.adata.obs[keys.PERTURBATION].astype(str).to_numpy()


def log_change(simulation: Simulation, gene: str, cells: np.ndarray, base: np.ndarray) -> float:
    """Log ratio of mean shares of a gene, less the common lift of all."""
    counts = simulation.adata.X
    shares = np.asarray(counts.sum(axis=1)).ravel()[:, None]
    mean = [np.asarray((counts[rows] / shares[rows]).mean(axis=0)).ravel() for rows in (cells, base)]
    change = np.log(mean[0] / mean[1])
    return float(change[simulation.adata.var_names.get_loc(gene)] - np.median(change))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (SMALL, "7438688e2a1431bc67156027221aa52509c1c9953c4ca23aa37440ade6cf4761"),
        (RICH, "422d83216cd2be82fbc6c7741b3794208172c7563adb1912a8631a3d88e8ecc4"),
    ],
)
def test_without_the_new_settings_every_count_is_the_one_it_was(
    values: dict[str, Any], expected: str
) -> None:
    counts = simulate(SimulationSettings(**values)).adata.X.tocsr()
    counts.sort_indices()
    digest = hashlib.sha256()
    for part, kind in ((counts.indptr, np.int64), (counts.indices, np.int64), (counts.data, np.float32)):
        digest.update(part.astype(kind).tobytes())
    assert digest.hexdigest() == expected


@pytest.mark.parametrize(
    "values",
    [
        {"batch_imbalance": 0.5, "donors": 2, "donor_effect_spread": 0.3},
        {"guides_per_gene": 3, "guide_spread": 0.4, "off_target_share": 0.5, "pair_share": 0.5},
        {"direction": "mixed", "library_effect_share": 0.5, "composition_share": 0.3},
    ],
)
def test_everything_follows_from_the_seed_and_the_network_from_nothing_else(values: dict[str, Any]) -> None:
    first, again, other = (simulate(SimulationSettings(**SMALL, **values, seed=seed)) for seed in (5, 5, 6))
    assert (first.adata.X != again.adata.X).nnz == 0
    pd.testing.assert_frame_equal(first.adata.obs, again.adata.obs)
    for table in (TRUE_PERTURBATIONS, TRUE_GUIDES, TRUE_DONORS):
        pd.testing.assert_frame_equal(first.adata.uns[table], again.adata.uns[table])
    assert (first.adata.X != other.adata.X).nnz > 0
    plain = simulate(SimulationSettings(**SMALL, seed=5))
    pd.testing.assert_frame_equal(first.edges, plain.edges)
    if "pair_share" not in values:  # which cells carry what, too
        pd.testing.assert_series_equal(first.adata.obs[keys.PERTURBATION], plain.adata.obs[keys.PERTURBATION])


def test_written_truth_reads_back(tmp_path: Any) -> None:
    import anndata

    made = simulate(SimulationSettings(**SMALL, guides_per_gene=2, off_target_share=0.5, donors=2))
    made.write(tmp_path / "x.h5ad")
    again = anndata.read_h5ad(tmp_path / "x.h5ad")
    for table in (TRUE_PERTURBATIONS, TRUE_GUIDES, TRUE_DONORS):
        pd.testing.assert_frame_equal(again.uns[table], made.adata.uns[table], check_dtype=False)


def test_of_an_unbalanced_screen_every_perturbation_has_its_batch_and_controls_have_all() -> None:
    made = simulate(SimulationSettings(**SMALL, batch_imbalance=1.0, doublet_share=0.2))
    obs, own = made.adata.obs, made.adata.uns[TRUE_PERTURBATIONS].set_index(keys.PERTURBATION)["batch"]
    treated = labels(made) != CONTROL_LABEL
    assert (obs["batch"][treated].astype(str) == own[labels(made)[treated]].to_numpy()).all()
    assert own.value_counts().tolist() == [6, 6]
    shares = obs["batch"][~treated].value_counts(normalize=True)
    assert shares.between(0.4, 0.6).all()
    double = obs[obs[DOUBLET] & (obs[DOUBLET_WITH] != CONTROL_LABEL)]
    assert len(double) > 50
    assert (own[double[DOUBLET_WITH]].to_numpy() == double["batch"].astype(str)).all()


def test_half_an_imbalance_leaves_a_quarter_of_the_cells_in_the_other_batch() -> None:
    made = simulate(SimulationSettings(**{**SMALL, "cells": 6000}, batch_imbalance=0.5))
    own = made.adata.uns[TRUE_PERTURBATIONS].set_index(keys.PERTURBATION)["batch"]
    treated = labels(made) != CONTROL_LABEL
    at_home = made.adata.obs["batch"][treated].astype(str) == own[labels(made)[treated]].to_numpy()
    assert at_home.mean() == pytest.approx(0.75, abs=0.02)


def test_guides_share_the_cells_of_their_gene_and_differ_in_strength() -> None:
    made = simulate(SimulationSettings(**CLEAN, guides_per_gene=2, guide_spread=0.6, knockdown_spread=0.0))
    obs, truth = made.adata.obs, made.adata.uns[TRUE_GUIDES]
    assert (obs[GUIDE].value_counts() > 0).all()
    assert truth[GUIDE].is_unique
    assert set(truth[GUIDE]) == set(obs[GUIDE])
    assert (truth[keys.PERTURBATION] == CONTROL_LABEL).sum() == 8
    strengths = truth.loc[truth[keys.PERTURBATION] != CONTROL_LABEL, "strength"]
    assert np.std(np.log(-strengths)) == pytest.approx(0.6, abs=0.2)
    control = np.flatnonzero(labels(made) == CONTROL_LABEL)
    found = []
    for row in truth[truth[keys.PERTURBATION] != CONTROL_LABEL].itertuples(index=False):
        cells = np.flatnonzero(obs[GUIDE] == row.guide)
        assert set(labels(made)[cells]) == {row.perturbation}
        found.append(log_change(made, row.perturbation, cells, control))
    np.testing.assert_allclose(found, strengths, atol=0.3)


def test_a_guide_with_an_off_target_lowers_the_other_gene_and_its_sisters_do_not() -> None:
    made = simulate(SimulationSettings(**CLEAN, guides_per_gene=3, off_target_share=0.5))
    truth = made.adata.uns[TRUE_GUIDES]
    hitting = truth[truth["off_target"] != ""]
    assert len(hitting) == 6
    assert hitting[keys.PERTURBATION].is_unique
    assert (hitting["off_target"] != hitting[keys.PERTURBATION]).all()
    guide, control = made.adata.obs[GUIDE], np.flatnonzero(labels(made) == CONTROL_LABEL)
    edges = set(made.edges[[keys.SOURCE, keys.TARGET]].itertuples(index=False, name=None))
    for row in hitting.itertuples(index=False):
        sisters = (labels(made) == row.perturbation) & (guide != row.guide).to_numpy()
        own = log_change(made, row.off_target, np.flatnonzero(guide == row.guide), control)
        assert own == pytest.approx(row.strength, abs=0.35)
        if (row.perturbation, row.off_target) not in edges:
            assert abs(log_change(made, row.off_target, np.flatnonzero(sisters), control)) < 0.2


def test_a_combination_hits_its_genes_with_the_guides_of_the_same_number() -> None:
    made = simulate(SimulationSettings(**SMALL, pair_share=0.5, guides_per_gene=2))
    guides = made.adata.uns[TRUE_GUIDES]
    pairs = guides[guides[keys.PERTURBATION].str.contains(keys.PAIR_SEPARATOR, regex=False)]
    assert len(pairs) == 12
    for row in pairs.itertuples(index=False):
        first, second = row.perturbation.split(keys.PAIR_SEPARATOR)
        assert row.guide in {f"{first}_g{k}+{second}_g{k}" for k in (1, 2)}


def test_activation_raises_and_a_mixed_screen_does_both() -> None:
    for direction, raised in (("activation", 12), ("mixed", 6), ("knock-down", 0)):
        made = simulate(SimulationSettings(**CLEAN, direction=direction))
        var, control = made.adata.var, np.flatnonzero(labels(made) == CONTROL_LABEL)
        change = {
            gene: log_change(made, gene, np.flatnonzero(labels(made) == gene), control)
            for gene in set(labels(made)) - {CONTROL_LABEL}
        }
        assert sum(value > 0 for value in change.values()) == raised
        for gene, value in change.items():
            up = raised and var.loc[gene, "activation"] > 1
            stated = np.log(var.loc[gene, "activation"] if up else 1 - var.loc[gene, "knockdown"])
            assert value == pytest.approx(stated, abs=0.25)
        assert ("activation" in var) == bool(raised)


def test_an_activated_gene_moves_its_targets_the_way_of_its_edges() -> None:
    made = simulate(SimulationSettings(**{**CLEAN, "edges_per_gene": 1.0}, direction="activation"))
    control = np.flatnonzero(labels(made) == CONTROL_LABEL)
    edges = made.edges[made.edges[keys.SOURCE].isin(set(labels(made)))]
    signs = [
        np.sign(log_change(made, row.target, np.flatnonzero(labels(made) == row.source), control)) == row.sign
        for row in edges.itertuples(index=False)
    ]
    assert len(signs) > 10
    assert np.mean(signs) > 0.9


def test_a_knock_out_is_a_knock_down_in_which_every_gene_is_silent() -> None:
    out = simulate(SimulationSettings(**SMALL, direction="knock-out"))
    silent = simulate(SimulationSettings(**SMALL, silent_share=1.0))
    assert (out.adata.X != silent.adata.X).nnz == 0
    pd.testing.assert_frame_equal(out.adata.var, silent.adata.var)
    mixed = simulate(SimulationSettings(**SMALL, direction="mixed", silent_share=0.5)).adata.var
    assert mixed["silent"].sum() == 3
    assert not (mixed["silent"] & (mixed["activation"] > 1)).any()


def test_the_library_effect_is_in_the_cells_that_did_not_escape() -> None:
    made = simulate(
        SimulationSettings(
            **{**CLEAN, "escape_share": 0.3}, library_effect_share=0.5, library_effect=0.25, batch_spread=0.0
        )
    )
    truth = made.adata.uns[TRUE_PERTURBATIONS].set_index(keys.PERTURBATION)["library_effect"]
    assert (truth == 0.25).sum() == 6
    total = np.asarray(made.adata.X.sum(axis=1)).ravel()
    changed = np.isin(labels(made), truth.index[truth == 0.25])
    escaped = made.adata.obs[ESCAPED].to_numpy()
    base = np.median(total[labels(made) == CONTROL_LABEL])
    assert np.median(total[changed & ~escaped]) / base == pytest.approx(0.25, rel=0.06)
    assert np.median(total[changed & escaped]) / base == pytest.approx(1.0, rel=0.06)
    assert np.median(total[~changed]) / base == pytest.approx(1.0, rel=0.06)


def test_the_stated_perturbations_move_cells_between_states_that_differ_in_the_stated_genes() -> None:
    made = simulate(SimulationSettings(**CLEAN, composition_share=0.25))
    truth = made.adata.uns[TRUE_PERTURBATIONS].set_index(keys.PERTURBATION)["moves_states"]
    assert truth.sum() == 3
    second = (made.adata.obs[STATE] == "second").to_numpy()
    share = pd.Series(second).groupby(labels(made)).mean()
    assert share[CONTROL_LABEL] == pytest.approx(0.4, abs=0.05)
    assert share[truth.index[truth]].between(0.65, 0.85).all()
    assert share[truth.index[~truth]].between(0.3, 0.5).all()
    stated = made.adata.var["state_effect"]
    assert (stated != 0).sum() == 8
    control = labels(made) == CONTROL_LABEL
    targets = set(made.edges[keys.TARGET])
    for gene in stated.index[stated != 0].difference(list(targets)):
        change = log_change(made, gene, np.flatnonzero(control & second), np.flatnonzero(control & ~second))
        assert change == pytest.approx(stated[gene], abs=0.2)
    plain = simulate(SimulationSettings(**SMALL))
    assert STATE not in plain.adata.obs
    assert "state_effect" not in plain.adata.var


def test_donors_differ_in_expression_and_in_the_strength_of_an_effect() -> None:
    made = simulate(
        SimulationSettings(**CLEAN, donors=2, donor_spread=0.5, donor_effect_spread=0.5, knockdown_mean=0.6)
    )
    truth, donor = made.adata.uns[TRUE_DONORS], made.adata.obs[DONOR].astype(str).to_numpy()
    assert truth.index.tolist() == ["donor1", "donor2"]
    control = labels(made) == CONTROL_LABEL
    first, second = (np.flatnonzero(control & (donor == name)) for name in truth.index)
    between = [log_change(made, gene, first, second) for gene in made.adata.var_names[:40]]
    assert np.std(between) == pytest.approx(0.5 * np.sqrt(2), abs=0.2)
    stated, found = [], []
    for gene in truth.columns:
        for name, base in zip(truth.index, (first, second), strict=True):
            own = np.flatnonzero((labels(made) == gene) & (donor == name))
            forced = np.log1p(-made.adata.var.loc[gene, "knockdown"])
            stated.append(forced * truth.loc[name, gene])
            found.append(log_change(made, gene, own, base))
    np.testing.assert_allclose(found, stated, atol=0.35)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"direction": "sideways"}, "direction"),
        ({"direction": "activation", "silent_share": 0.5}, "leave silent_share at 0"),
        ({"direction": "knock-out", "silent_share": 0.5}, "leave silent_share at 0"),
        ({"batch_imbalance": 1.0, "batches": 1}, "raise batches"),
        ({"guides_per_gene": 0}, "guides_per_gene"),
        ({"library_effect": 0.0}, "library_effect"),
        ({"activation_mean": 0.5}, "activation_mean"),
    ],
)
def test_designs_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SimulationSettings(**values)


def test_all_of_it_at_once() -> None:
    """Every effect in one screen: the counts stay finite, and each column of the truth is there."""
    made = simulate(
        SimulationSettings(
            **{**SMALL, "cells": 1200},
            pair_share=0.3,
            direction="mixed",
            silent_share=0.5,
            batch_imbalance=0.7,
            donors=3,
            donor_effect_spread=0.3,
            guides_per_gene=3,
            guide_spread=0.3,
            off_target_share=0.4,
            library_effect_share=0.3,
            composition_share=0.3,
            unmeasured_share=0.2,
        )
    )
    assert {GUIDE, DONOR, STATE, LOW_QUALITY} <= set(made.adata.obs)
    assert np.isfinite(made.adata.X.data).all()
    assert np.asarray(made.adata.X.sum(axis=1)).min() > 0
