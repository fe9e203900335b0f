"""The network stage on simulated cells: shapes, what NaN means, the rate of false edges, what the knock-down
is taken to be.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.config import DataSettings, Settings, make_settings
from gpovae_core.data.kinds import KNOCK_DOWN, KNOCK_OUT
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.effects.contrasts import Contrasts, contrasts, null_contrasts
from gpovae_core.effects.shrinkage import fit_evidence
from gpovae_core.errors import QueryError
from gpovae_core.methods.direct import DirectEdges, direct_edges
from gpovae_core.methods.expected import measured_influence
from gpovae_core.methods.explained import Tolerance, TotalEffects, felt
from gpovae_core.methods.false_edges import NULL_THRESHOLDS, false_edge_rate, false_pairs, nulls_of
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.methods.own_change import ASSUMED, MOST_FALL, READ, TYPICAL, own_change
from gpovae_core.methods.passing import total

SIZE = {
    "genes": 24,
    "perturbations": 10,
    "cells": 1600,
    "mitochondrial_genes": 2,
    "network": "chains",
    "seed": 2,
}


@cache
def cells(**changes: object) -> tuple[PreparedCells, np.ndarray]:
    """Prepared cells, and the true strengths (n, n) in panel order."""
    simulation = simulate(SimulationSettings(**{**SIZE, **changes}))
    prepared = prepare(simulation.adata, DataSettings(pairing="exact", detect_doublets=False))
    truth = np.zeros((len(prepared.panel), len(prepared.panel)))
    for source, target, weight in simulation.edges[[keys.SOURCE, keys.TARGET, keys.WEIGHT]].itertuples(
        index=False
    ):
        if source in prepared.panel.index and target in prepared.panel.index:
            truth[prepared.panel.index[source], prepared.panel.index[target]] = weight
    return prepared, truth


def evidence(**network: object) -> Settings:
    return make_settings("evidence", {"network": network})


@cache
def fitted(**changes: object) -> NetworkFit:
    return fit_network(cells(**changes)[0], evidence())


def weights(fit: NetworkFit) -> np.ndarray:
    return 1 / (1 + np.exp(-fit.log_odds))


def to_explain(prepared: PreparedCells, settings: Settings) -> tuple[Contrasts, TotalEffects]:
    """What is seen in the cells, and what of it `fit_network` has to explain."""
    observed = contrasts(prepared)
    rule = fit_evidence(observed.effect, observed.error, observed.counted, settings.network.least_effect)
    belief = rule.judge(observed.effect, observed.error)
    own = own_change(observed, settings.network.perturbation, settings.network.complete_loss).change
    return observed, TotalEffects(
        observed.sources, observed.effect, observed.error, belief.probability, belief.effect, own, rule
    )


def direct(total: TotalEffects, n: int, settings: Settings, tolerance: Tolerance) -> DirectEdges:
    return direct_edges(
        total, n, settings.network.least_effect, tolerance, settings.network.unperturbed_prior
    )


def with_own(effect: list[float], error: list[float]) -> Contrasts:
    """Contrasts of which only the effects on the perturbed genes themselves matter."""
    p = len(effect)
    return Contrasts(
        np.arange(p),
        np.diag(effect),
        np.where(np.eye(p) > 0, np.diag(error), 0.1),
        np.zeros(p),
        np.full(p, 50),
        200,
        np.full(p, 0.1),
    )


# What a fit holds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"unmeasured_share": 0.3}])
def test_shapes_and_what_is_not_a_number(changes: dict[str, object]) -> None:
    (prepared, _), fit = cells(**changes), fitted(**changes)
    panel, n = prepared.panel, len(prepared.panel)
    pairs = panel.is_perturbed[:, None] & panel.is_measured[None, :]
    itself = np.eye(n, dtype=bool)
    for name in (
        "log_odds",
        "strength",
        "strength_sd",
        "influence",
        "passing",
        "evidence",
        "effect",
        "effect_sd",
    ):
        assert getattr(fit, name).shape == (n, n), name
    np.testing.assert_array_equal(np.isfinite(fit.evidence), pairs & ~itself)
    np.testing.assert_array_equal(np.isfinite(fit.effect), pairs)
    np.testing.assert_array_equal(np.isfinite(fit.effect_sd), pairs)
    np.testing.assert_array_equal(np.isfinite(fit.shift), panel.is_perturbed)
    for name in ("log_odds", "strength", "influence", "own_change", "null_share"):
        assert np.isfinite(getattr(fit, name)).all(), name
    assert (weights(fit)[itself] < 1e-9).all()
    assert np.isnan(fit.strength_sd[itself]).all()
    assert (weights(fit)[np.isnan(fit.strength_sd)] < 1e-9).all()
    assert (weights(fit)[:, ~panel.is_measured] < 1e-9).all()


@pytest.mark.parametrize("changes", [{}, {"unmeasured_share": 0.3}])
def test_w_exceeds_the_evidence_only_where_the_paths_predict_an_effect(changes: dict[str, object]) -> None:
    prepared, fit = cells(**changes)[0], fitted(**changes)
    _, total = to_explain(prepared, evidence())
    known = np.isfinite(fit.evidence)
    np.testing.assert_array_equal(fit.evidence[known], total.probability[total.seen])
    unit = np.full(len(known), np.median(felt(total.own) / total.own))
    unit[total.sources] = felt(total.own) / total.own
    passing = np.where(total.seen & (total.probability > 0.05), total.probability * felt(total.believed), 0.0)
    through = np.zeros(known.shape)
    through[total.sources] = passing @ (weights(fit) * fit.strength / unit[:, None])
    free = known & (np.abs(through) <= 0.99 * fit.effect_sd)
    assert free.sum() > 0.5 * known.sum()
    assert (weights(fit)[free] <= fit.evidence[free] + 1e-9).all()
    assert (weights(fit)[known] <= fit.evidence[known] + 0.1).all()  # no effect is missing in a chain


def test_influence_is_that_of_w_times_s() -> None:
    fit = fitted()
    found, passed = total(weights(fit) * fit.strength, fit.own_change, evidence().loss.hops)
    np.testing.assert_allclose(fit.influence, found, atol=1e-12)
    np.testing.assert_allclose(fit.passing, passed)
    np.testing.assert_allclose(fit.expected_change(), np.diag(fit.own_change) @ fit.influence)


def test_a_known_network_is_found() -> None:
    (prepared, truth), fit = cells(), fitted()
    pairs = np.isfinite(fit.evidence)
    assert average_precision_score(truth[pairs] != 0, fit.log_odds[pairs]) > 0.8
    found = pairs & (weights(fit) > 0.5) & (truth != 0)
    assert found.sum() > 0.7 * (truth[pairs] != 0).sum() > 4
    np.testing.assert_array_equal(np.sign(fit.strength[found]), np.sign(truth[found]))
    assert np.median(np.abs(fit.strength[found] - truth[found])) < 0.3
    assert (weights(fit)[~prepared.panel.is_perturbed] > 0.5).sum() <= 1


def test_the_same_cells_give_the_same_network_in_any_order() -> None:
    prepared, _ = cells()
    again = fit_network(prepared, evidence())
    rng = np.random.default_rng(0)
    moved = prepared.cells[rng.permutation(prepared.cells.n_obs)][
        :, rng.permutation(prepared.cells.n_vars)
    ].copy()
    shuffled = fit_network(PreparedCells(moved, prepared.panel, prepared.report), evidence())
    for name, values in fitted().arrays().items():
        np.testing.assert_array_equal(getattr(again, name), values, err_msg=name)
        np.testing.assert_allclose(getattr(shuffled, name), values, rtol=1e-6, atol=1e-8, err_msg=name)


def test_each_tolerance_has_a_setting_of_its_own() -> None:
    """Chains with repressors: genes in between move both ways."""
    prepared, _ = cells()
    settings = evidence(hop_tolerance=0.05, turned_tolerance=0.6)
    n = len(prepared.panel)
    _, total = to_explain(prepared, settings)
    got = fit_network(prepared, settings)
    edges = direct(total, n, settings, Tolerance(along=0.05, against=0.6))
    np.testing.assert_array_equal(got.log_odds, edges.log_odds)
    np.testing.assert_array_equal(got.strength, edges.strength)
    np.testing.assert_array_equal(got.strength_sd, edges.deviation)
    for other in (Tolerance(0.6, 0.05), Tolerance(0.05, 0.05), Tolerance(0.6, 0.6)):
        assert np.abs(direct(total, n, settings, other).log_odds - edges.log_odds).max() > 0.1


def test_strengths_are_reported_per_log_of_the_own_change_that_was_taken() -> None:
    """An effect that is direct is S times the source's own change, to first order in what noise takes off."""
    fit = fitted()
    sure = np.isfinite(fit.evidence) & (weights(fit) > 0.9)
    assert sure.sum() > 4
    direct_part = (fit.own_change[:, None] * fit.strength)[sure]
    spread = (np.abs(fit.own_change)[:, None] * fit.strength_sd)[sure]
    assert (np.abs(direct_part - fit.effect[sure]) < 3 * spread + 0.1 * np.abs(fit.effect[sure])).mean() > 0.7


def test_only_training_cells_are_looked_at() -> None:
    prepared, _ = cells()
    spoiled = prepared.cells.copy()
    held_out = (spoiled.obs[keys.SPLIT] != keys.TRAIN).to_numpy()
    spoiled.X = spoiled.X.copy()
    spoiled.X.data[np.repeat(held_out, np.diff(spoiled.X.indptr))] = 50.0
    other = fit_network(PreparedCells(spoiled, prepared.panel, prepared.report), evidence())
    np.testing.assert_array_equal(other.log_odds, fitted().log_odds)
    np.testing.assert_array_equal(other.null_share, fitted().null_share)


def test_arrays_and_back() -> None:
    again = NetworkFit.from_arrays(fitted().arrays())
    for name, values in fitted().arrays().items():
        np.testing.assert_array_equal(getattr(again, name), values)


def test_influence_on_every_measured_gene_with_the_knock_down_itself() -> None:
    (prepared, _), fit = cells(unmeasured_share=0.3), fitted(unmeasured_share=0.3)
    change = measured_influence(fit, prepared)
    assert change.shape == (len(prepared.panel), prepared.cells.n_vars)
    names = list(prepared.cells.var_names)
    for i, gene in enumerate(prepared.panel.genes):
        for j, target in enumerate(prepared.panel.genes):
            if target in names:
                own = fit.effect[i, i] if np.isfinite(fit.effect[i, i]) else 0.0
                expected = own if i == j else fit.own_change[i] * fit.influence[i, j]
                assert change[i, names.index(target)] == pytest.approx(expected, abs=1e-12), (gene, target)


def test_without_a_gene_perturbed_alone_there_is_no_network_and_moi_is_named() -> None:
    prepared = cells()[0]
    together = prepared.cells.copy()
    names = prepared.panel.data.perturbed
    partner = {name: names[(at + 1) % len(names)] for at, name in enumerate(names)}
    together.obs[keys.PERTURBATION] = [
        label if label == keys.CONTROL else keys.PAIR_SEPARATOR.join(sorted((label, partner[label])))
        for label in prepared.labels
    ]
    with pytest.raises(QueryError, match="MOI"):
        fit_network(PreparedCells(together, prepared.panel, prepared.report), evidence())


# The rate of false edges ------------------------------------------------------------------------------------


def test_the_rate_lies_between_0_and_1_and_is_0_without_edges() -> None:
    fit = fitted()
    rate = false_edge_rate(fit, weights(fit), NULL_THRESHOLDS)
    assert ((rate >= 0) & (rate <= 1)).all()
    assert rate[0] > rate[50]
    assert (false_edge_rate(fit, np.zeros_like(fit.log_odds), NULL_THRESHOLDS) == 0).all()
    assert false_edge_rate(fit, weights(fit), 1.0)[0] == 0
    assert (np.diff(fit.null_share) <= 0).all()


def test_the_rate_by_hand() -> None:
    fit = fitted()
    w, pairs = weights(fit), np.isfinite(fit.evidence)
    for threshold in (0.05, 0.2, 0.5):
        edges = (w[pairs] > threshold).sum()
        expected = fit.null_share[round(100 * threshold)] * pairs.sum() / edges
        assert false_edge_rate(fit, w, threshold)[0] == pytest.approx(min(expected, 1.0))


def test_edges_of_genes_never_perturbed_do_not_change_the_rate() -> None:
    (prepared, _), fit = cells(), fitted()
    w = weights(fit)
    w[~prepared.panel.is_perturbed] = 0.9
    np.testing.assert_array_equal(
        false_edge_rate(fit, w, NULL_THRESHOLDS), false_edge_rate(fit, weights(fit), NULL_THRESHOLDS)
    )


def test_controls_in_the_place_of_perturbations_pass_seldom_and_less_often_than_their_evidence() -> None:
    prepared, _ = cells()
    settings = evidence(null_draws=4)
    observed, total = to_explain(prepared, settings)
    assert total.rule is not None
    rule, n = total.rule, len(prepared.panel)
    edges = direct(
        total, n, settings, Tolerance(settings.network.hop_tolerance, settings.network.turned_tolerance)
    )
    draws = list(null_contrasts(prepared, observed, 4, 0))
    nulls = [list(drawn) for drawn in nulls_of(prepared, observed, settings)]
    thresholds, share = false_pairs(nulls, observed, total, edges, 0)
    counted = observed.counted
    weight = np.broadcast_to(rule.null_share[:, None], counted.shape)[counted]
    assert share[0] == pytest.approx(weight.mean())
    assert share[thresholds == 0.5][0] < 0.01
    judged = [rule.judge(null.effect, null.error).probability[counted] for null in draws]
    by_evidence = np.mean([[(weight * (values > t)).mean() for t in thresholds] for values in judged], axis=0)
    assert (share <= by_evidence + 1e-12).all()
    assert share[thresholds == 0.05][0] > 0  # there is something to count
    assert (false_pairs(nulls, observed, total, edges, 0)[1] == share).all()
    np.testing.assert_array_equal(fit_network(prepared, settings).null_share, share)


def test_without_controls_the_rate_is_unknown_and_there_are_no_edges() -> None:
    prepared, _ = cells()
    cut = PreparedCells(
        prepared.cells[prepared.labels != keys.CONTROL].copy(), prepared.panel, prepared.report
    )
    fit = fit_network(cut, evidence())
    assert np.isnan(fit.null_share).all()
    assert (weights(fit) < 1e-9).all()
    assert np.isnan(false_edge_rate(fit, weights(fit), 0.5)).all()
    assert np.isfinite(fit.influence).all()


def test_without_perturbations_there_is_a_network_without_edges() -> None:
    prepared, _ = cells()
    cut = PreparedCells(
        prepared.cells[prepared.labels == keys.CONTROL].copy(), prepared.panel, prepared.report
    )
    fit = fit_network(cut, evidence())
    assert (weights(fit) < 1e-9).all()
    assert np.isnan(fit.evidence).all()
    assert np.isnan(fit.shift).all()


# What the perturbation did to the gene itself ---------------------------------------------------------------


def test_a_knock_down_is_read_off_the_genes_own_expression() -> None:
    (prepared, _), fit = cells(escape_share=0.0), fitted(escape_share=0.0)
    knockdown = simulate(SimulationSettings(**{**SIZE, "escape_share": 0.0})).adata.var["knockdown"]
    perturbed = np.flatnonzero(prepared.panel.is_perturbed)
    for i in perturbed:
        true = np.log1p(-knockdown[prepared.panel.genes[i]])
        assert fit.own_change[i] == pytest.approx(max(true, MOST_FALL), abs=0.35)
        assert fit.own_change[i] == max(fit.effect[i, i], MOST_FALL)
    assert 0 < (fit.own_change[perturbed] == MOST_FALL).sum() < len(perturbed) / 2
    assert fit.knock_out[0] == 0.0
    extended = fit.own_change[~prepared.panel.is_perturbed]
    np.testing.assert_allclose(extended, np.median(fit.own_change[prepared.panel.is_perturbed]))


def test_an_unmeasured_target_takes_the_median_of_the_others() -> None:
    (prepared, _), fit = cells(unmeasured_share=0.3), fitted(unmeasured_share=0.3)
    panel = prepared.panel
    hidden = panel.is_perturbed & ~panel.is_measured
    assert hidden.sum() == 3
    np.testing.assert_allclose(
        fit.own_change[hidden], np.median(np.diag(fit.effect)[panel.is_perturbed & panel.is_measured])
    )


def test_one_that_does_not_fall_takes_the_median_of_those_that_do() -> None:
    own = own_change(with_own([-1.0, -2.0, -1.5, 0.3, -0.1], [0.1, 0.1, 0.1, 0.1, np.inf]), "auto", 0.9)
    np.testing.assert_allclose(own.change, [-1.0, -2.0, -1.5, -1.5, -1.5])
    assert own.source.tolist() == [READ] * 3 + [TYPICAL] * 2
    assert own.kind.tolist() == [KNOCK_DOWN] * 5
    panel = own.over(7, np.array([6, 5, 4, 3, 2]), 0.9)
    np.testing.assert_allclose(panel.change, [-1.5, -1.5, -1.5, -1.5, -1.5, -2.0, -1.0])
    assert panel.source.tolist() == [TYPICAL] * 4 + [READ] * 3


def test_how_a_change_is_known_is_stored_and_read_off_runs_that_did_not_store_it() -> None:
    fit = fitted(unmeasured_share=0.3)
    assert set(fit.own.source) == {READ, TYPICAL}
    assert set(fit.own.source[fit.own_change == np.diag(fit.effect)]) == {READ}
    for known in (fit, fitted(silent_share=1.0)):
        stored = {name: values.astype(np.float32).astype(float) for name, values in known.arrays().items()}
        older = {name: values for name, values in stored.items() if name not in ("own_source", "passing")}
        seen = np.diag(older["effect"])  # such runs took all that was seen, however far it fell
        older["own_change"] = np.where(
            known.own.source == READ, np.minimum(seen, older["own_change"]), older["own_change"]
        )
        for arrays in (stored, older):
            again = NetworkFit.from_arrays(arrays).own
            assert again.source.tolist() == known.own.source.tolist()
            assert again.kind.tolist() == known.own.kind.tolist()
        assert (NetworkFit.from_arrays(older).passing == 1).all()  # such runs passed on in proportion


@pytest.mark.parametrize(
    ("kind", "effect", "expected"),
    [
        ("auto", [-0.4, -0.5, -0.4], True),  # most keep more than half
        ("auto", [-0.8, -0.9, -0.4], False),
        ("knock-down", [-0.4, -0.5, -0.4], False),
        ("knock-out", [-0.8, -0.9, -2.0], True),
        ("auto", [0.1, 0.0, 0.2], True),  # nothing falls, so nothing can be read off
    ],
)
def test_a_knock_out_is_assumed_where_targets_keep_their_expression(
    kind: str, effect: list[float], expected: bool
) -> None:
    own = own_change(with_own(effect, [0.05] * 3), kind, 0.9)
    assert set(own.kind) == {KNOCK_OUT if expected else KNOCK_DOWN}
    assert set(own.source) == {ASSUMED if expected else READ}
    if expected:
        np.testing.assert_allclose(own.change, np.log(0.1))
    else:
        np.testing.assert_array_equal(own.change, effect)


def test_no_perturbation_no_change() -> None:
    own = own_change(with_own([], []), "auto", 0.9)
    assert own.change.shape == (0,)
    nobody = own.over(2, np.array([], dtype=int), 0.9)
    np.testing.assert_allclose(nobody.change, np.log(0.1))
    assert (nobody.kind.tolist(), nobody.source.tolist()) == ([KNOCK_OUT] * 2, [ASSUMED] * 2)


def test_all_genes_silent_are_taken_for_knock_outs() -> None:
    truth, fit = cells(silent_share=1.0)[1], fitted(silent_share=1.0)
    np.testing.assert_allclose(fit.own_change, np.log(0.1))
    assert fit.knock_out[0] == 1.0
    assert set(fit.own.source) == {ASSUMED}
    found = np.isfinite(fit.evidence) & (weights(fit) > 0.5) & (truth != 0)
    assert found.sum() > 4
    np.testing.assert_array_equal(np.sign(fit.strength[found]), np.sign(truth[found]))


def test_many_perturbations_of_few_cells_say_how_far_their_network_is() -> None:
    genes, perturbed, cells_each = [f"GENE{i:03d}" for i in range(150)], 100, 20
    rng = np.random.default_rng(0)
    labels = np.repeat(["control", *genes[:perturbed]], [200] + [cells_each] * perturbed)
    counts = rng.poisson(1.0, (len(labels), len(genes))).astype(np.float32)
    for i, gene in enumerate(genes[:perturbed]):
        counts[labels == gene, i] *= rng.random(cells_each) < 0.2
    obs = pd.DataFrame({"perturbation": labels}, index=[f"c{i}" for i in range(len(labels))])
    many = AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes))
    prepared = prepare(many, DataSettings(detect_doublets=False, min_cells=10))
    told: list[tuple[str, float]] = []
    fit_network(prepared, make_settings("evidence"), lambda stage, share: told.append((stage, share)))
    shares = np.array([share for _, share in told])
    assert (np.diff(shares) >= -1e-9).all()
    assert len(np.unique(shares)) > 50
    assert {"weighing the effects", "direct edges"} <= {stage for stage, _ in told}
