from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anndata
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import Panel, PanelData, PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.changes import fold_table
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.effects_table import effects_table
from gpovae_core.evaluation.evaluate import evaluate as typed_scores
from gpovae_core.evaluation.evaluate import evaluate_edges as typed_scores_of_edges
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.score_effects import SCORES
from gpovae_core.evaluation.scored import Scored
from tests.evaluation.conftest import EDGES, EXTENDED, PERTURBED, UNMEASURED, build_screen, true_network

SETTINGS = EvaluationSettings(split_halves=5)


def prediction(prepared: PreparedCells, seed: int = 0) -> pd.DataFrame:
    """Effects a model might predict: those of the training cells, blurred."""
    observed = average_effects(prepared, (keys.TRAIN, keys.VALIDATION)).mean
    observed = observed.fillna(0.0)
    return observed + np.random.default_rng(seed).normal(0, 0.05, size=observed.shape)


def evaluate(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    weights: np.ndarray,
    settings: EvaluationSettings = SETTINGS,
    threshold: float = SETTINGS.threshold,
    **rest: Any,
) -> dict[str, Any]:
    """The scores as scripts read them."""
    return typed_scores(Scored(prepared, predicted, weights, threshold), settings, **rest).to_json()


def evaluate_edges(*given: Any, **rest: Any) -> dict[str, Any]:
    return typed_scores_of_edges(*given, **rest).to_json()


def network_of(prepared: PreparedCells, adjacency: np.ndarray) -> dict:
    return evaluate(prepared, prediction(prepared), np.where(adjacency, 0.9, 0.1), SETTINGS)["network"]


@pytest.fixture(scope="module")
def report(screen):
    return evaluate(screen, prediction(screen), np.where(true_network(screen.panel), 0.9, 0.1), SETTINGS)


def test_the_report_has_the_names_that_scripts_rely_on(report):
    parts = ["response", "calibration", "linear", "network", "notes", "summary", "held_out"]
    assert list(report) == ["schema", *parts]
    assert set(report["response"]) == {"test", "all"}
    for section in report["response"].values():
        predictions = {"model", "calibrated", "train_mean", "perturbation_mean", "own_only", "no_effect"}
        predictions.add("linear")
        for key in SCORES:
            assert set(section[key]) == {*predictions, "ceiling"}
        assert set(section["compared"]) == predictions
        for key in ("split_half", "perturbations", "cells"):
            assert key in section
        assert set(section["per_perturbation"][0]) == {"perturbation", "cells", "rho", "ceiling"}
        assert set(section["per_perturbation"][0]["rho"]) == {"model", "train_mean"}
    wanted = {
        "threshold",
        "edges",
        "pairs",
        "mu_wd",
        "for",
        "for_pairs",
        "bh_share",
        "at_same_edges",
        "edges_total",
        "self_loops",
    }
    assert wanted <= set(report["network"])
    for baseline in ("random", "mean_difference"):
        assert {"mu_wd", "bh_share"} <= set(report["network"]["at_same_edges"][baseline])
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_scoring_says_what_it_does_and_changes_nothing_by_it(screen, report):
    told = []
    weights = np.where(true_network(screen.panel), 0.9, 0.1)
    again = evaluate(
        screen, prediction(screen), weights, SETTINGS, progress=lambda what, share: told.append((what, share))
    )
    assert again == report
    assert len({what for what, _ in told}) > 3
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] < 1


def test_response_numbers_against_the_definitions(screen, report):
    held_out = screen.where(splits=keys.HELD_OUT)
    table = np.log2(1 + 1e4 * screen.counts.toarray() / screen.library_size[:, None])
    observed = np.stack(
        [
            table[held_out & (screen.labels == p)].mean(0)
            - table[held_out & (screen.labels == keys.CONTROL)].mean(0)
            for p in PERTURBED
        ]
    )
    section = report["response"]["test"]
    predicted = prediction(screen).loc[list(PERTURBED)].to_numpy()
    assert section["ate_rho"]["model"] == pytest.approx(
        stats.pearsonr(observed.ravel(), predicted.ravel()).statistic
    )
    assert section["perturbations"] == 6
    assert section["cells"] == int((held_out & (screen.labels != keys.CONTROL)).sum())
    assert section["per_perturbation"][2]["rho"]["model"] == pytest.approx(
        stats.pearsonr(observed[2], predicted[2]).statistic
    )
    assert section["ate_rho"]["no_effect"] is None
    assert section["r2"]["no_effect"] <= 0
    assert section["ate_rho"]["train_mean"] > section["ate_rho"]["perturbation_mean"]
    assert section["ate_rho"]["train_mean"] < section["ate_rho"]["ceiling"]


def test_the_held_out_reference_holds_no_training_cells(screen, report):
    # the released reference did: its scores rewarded remembering the training cells
    scrambled = screen.cells.copy()
    training = screen.where(splits=(keys.TRAIN, keys.VALIDATION))
    counts = scrambled.X.toarray()
    counts[training] = np.random.default_rng(0).permutation(counts[training], axis=1)
    scrambled.X = type(scrambled.X)(counts)
    other = evaluate(
        replace(screen, cells=scrambled),
        prediction(screen),
        np.where(true_network(screen.panel), 0.9, 0.1),
        SETTINGS,
    )
    assert other["network"]["mu_wd"] == pytest.approx(report["network"]["mu_wd"], abs=1e-12)
    assert other["network"]["for"] == report["network"]["for"]
    one, two = report["response"], other["response"]
    assert two["test"]["ate_rho"]["model"] == pytest.approx(one["test"]["ate_rho"]["model"], abs=1e-12)
    assert two["test"]["ate_rho"]["ceiling"] == pytest.approx(one["test"]["ate_rho"]["ceiling"], abs=1e-12)
    assert two["test"]["ate_rho"]["train_mean"] != pytest.approx(
        one["test"]["ate_rho"]["train_mean"], abs=1e-3
    )
    assert two["all"]["ate_rho"]["model"] != pytest.approx(one["all"]["ate_rho"]["model"], abs=1e-3)


def test_network_numbers_against_scipy_and_networkx(screen, report):
    held_out = screen.where(splits=keys.HELD_OUT)
    table = log_expression(screen.counts, screen.library_size).toarray()
    column = {gene: i for i, gene in enumerate(screen.cells.var_names)}

    def samples(source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        one, two = (
            table[held_out & (screen.labels == label), column[target]] for label in (keys.CONTROL, source)
        )
        return one, two

    targets = [g for g in (*PERTURBED, *EXTENDED) if g in column]
    pairs = [(i, j) for i in PERTURBED for j in targets if i != j]
    p = np.array([stats.mannwhitneyu(*samples(*pair)).pvalue for pair in pairs])
    adjusted = stats.false_discovery_control(p)
    edges = [pair in EDGES for pair in pairs]
    graph = nx.DiGraph(list(EDGES))
    omitted = np.array([not nx.has_path(graph, i, j) for i, j in pairs])

    network = report["network"]
    assert network["pairs"] == len(pairs)
    assert network["edges"] == sum(edges) == 5  # VIA0 -> PERT3 has no cells: VIA0 was never perturbed
    assert network["edges_total"] == 6
    assert network["mu_wd"] == pytest.approx(
        np.mean([stats.wasserstein_distance(*samples(*e)) for e in np.array(pairs)[edges]])
    )
    assert network["bh_share"] == pytest.approx((adjusted[edges] < 0.05).mean())
    assert network["for_pairs"] == omitted.sum()
    assert network["for"] == pytest.approx((p[omitted] < 0.05).mean())
    assert network["true_positives"] + network["false_positives"] == 5
    assert (
        network["mu_wd"]
        > network["at_same_edges"]["random"]["mu_wd"] + 2 * network["at_same_edges"]["random"]["mu_wd_sd"]
    )


def test_the_omission_rate_looks_at_the_network(screen, report):
    n = len(screen.panel)
    empty = network_of(screen, np.zeros((n, n), dtype=bool))
    true = report["network"]
    complete = network_of(screen, np.ones((n, n), dtype=bool))
    assert empty["for"] > true["for"]
    assert complete["for"] is None
    assert complete["for_pairs"] == 0
    assert empty["edges"] == 0
    assert empty["mu_wd"] is None
    assert empty["bh_share"] is None
    assert empty["at_same_edges"]["random"]["mu_wd"] is None
    assert empty["for_pairs"] == empty["pairs"] == true["pairs"]
    assert complete["edges"] == complete["pairs"]
    assert complete["self_loops"] == n


def test_paths_may_pass_through_genes_that_were_never_perturbed(screen):
    adjacency = true_network(screen.panel)
    through = network_of(screen, adjacency)
    cut = adjacency.copy()
    cut[screen.panel.index["VIA0"]] = False
    # without VIA0 -> PERT3 the pair PERT0 -> PERT3 counts as omitted, and it is a real effect
    assert network_of(screen, cut)["for_pairs"] == through["for_pairs"] + 1
    assert network_of(screen, cut)["for"] > through["for"]


def test_self_loops_change_nothing_but_their_count(screen, report):
    adjacency = true_network(screen.panel)
    np.fill_diagonal(adjacency, True)
    looped = network_of(screen, adjacency)
    assert looped.pop("self_loops") == len(screen.panel)
    plain = dict(report["network"])
    assert plain.pop("self_loops") == 0
    assert looped == plain


def renamed(prepared: PreparedCells, names: dict[str, str]) -> PreparedCells:
    """The same screen under other gene names, which sorts its panel anew."""
    cells = prepared.cells.copy()
    cells.var_names = [names.get(g, g) for g in cells.var_names]
    cells.obs[keys.PERTURBATION] = [names.get(label, label) for label in prepared.labels]
    data = prepared.panel.data
    perturbed, extended = (
        tuple(sorted(names[g] for g in group)) for group in (data.perturbed, data.extended)
    )
    measured = {names[g] for g in data.measured}
    panel = Panel(
        PanelData(
            perturbed=perturbed,
            extended=extended,
            measured=tuple(g for g in (*perturbed, *extended) if g in measured),
        )
    )
    return PreparedCells(cells=cells, panel=panel, report=prepared.report)


def assert_alike(one: object, two: object, path: str = "") -> None:
    """The same report, numbers up to rounding."""
    if isinstance(one, dict) and isinstance(two, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            assert_alike(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(two, list):
        assert len(one) == len(two), path
        for at, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_alike(a, b, f"{path}[{at}]")
    else:
        assert one == (pytest.approx(two) if isinstance(two, float) else two), path


def test_names_decide_not_positions(screen, report):
    # the released code mapped ids by order of appearance onto a matrix in sorted order
    rng = np.random.default_rng(1)
    genes, columns = rng.permutation(screen.cells.n_obs), rng.permutation(screen.cells.n_vars)
    shuffled = replace(screen, cells=screen.cells[genes][:, columns].copy())
    old = [*PERTURBED, *EXTENDED]
    names = dict(zip(old, ["Z9", "A5", "M7", "B2", "Y1", "C3", "V2", "V1", "V0"], strict=True))
    other = renamed(shuffled, names)
    order = [screen.panel.index[g] for n in other.panel.genes for g in old if names[g] == n]
    assert order != list(range(9))
    predicted = prediction(screen).rename(index=names, columns=names).iloc[::-1, ::-1]
    weights = np.where(true_network(screen.panel), 0.9, 0.1)[np.ix_(order, order)]
    got = evaluate(other, predicted, weights, SETTINGS)
    assert_alike(got["network"], report["network"])
    for key in ("model", "train_mean", "perturbation_mean"):
        assert got["response"]["test"]["ate_rho"][key] == pytest.approx(
            report["response"]["test"]["ate_rho"][key]
        )


def test_threshold(screen):
    weights = np.where(true_network(screen.panel), 0.4, 0.1)
    assert evaluate(screen, prediction(screen), weights, SETTINGS)["network"]["edges"] == 0
    got = evaluate(screen, prediction(screen), weights, SETTINGS, threshold=0.3)["network"]
    assert (got["edges"], got["threshold"]) == (5, 0.3)
    with pytest.raises(QueryError, match="between 0 and 1"):
        evaluate(screen, prediction(screen), weights, SETTINGS, threshold=1.5)
    with pytest.raises(ValueError, match="panel has 9"):
        evaluate(screen, prediction(screen), weights[:4, :4], SETTINGS)


@pytest.fixture(scope="module")
def mixed():
    return build_screen(extra={"PERT0+PERT2": 40}, unseen=("PERT4",))


def test_combinations_and_unseen_perturbations(mixed):
    got = evaluate(mixed, prediction(mixed), np.where(true_network(mixed.panel), 0.9, 0.1), SETTINGS)
    section = got["response"]["test"]
    rho = {row["perturbation"]: row["rho"] for row in section["per_perturbation"]}
    assert section["perturbations"] == 6
    assert "PERT4" not in rho
    assert set(section["compared"].values()) == {6}
    assert rho["PERT0+PERT2"]["train_mean"] is not None
    notes = " ".join(got["notes"])
    assert "in no score of seen perturbations: PERT4." in notes
    assert "not counted as sources of edges: PERT0+PERT2" in notes
    assert "their edges are not scored" not in notes
    assert held_out_pairs(mixed).sources == tuple(name for name in PERTURBED if name != "PERT4")


def test_what_is_predicted_of_an_unseen_perturbation_changes_no_score_of_the_others(mixed):
    weights = np.where(true_network(mixed.panel), 0.9, 0.1)
    wild = prediction(mixed)
    wild.loc["PERT4"] = 50.0
    assert evaluate(mixed, wild, weights, SETTINGS) == evaluate(mixed, prediction(mixed), weights, SETTINGS)


def test_what_is_missing_is_said(screen):
    predicted = prediction(screen).drop(index="PERT3")
    cells = screen.cells.copy()
    cells.obs.loc[(screen.labels == "PERT1") & screen.where(splits=keys.HELD_OUT), keys.SPLIT] = keys.TRAIN
    got = evaluate(replace(screen, cells=cells), predicted, np.zeros((9, 9)), SETTINGS)
    notes = " ".join(got["notes"])
    assert "no prediction for PERT3" in notes
    assert "No held-out cells of their own, so their edges are not scored: PERT1" in notes
    assert [row["perturbation"] for row in got["response"]["test"]["per_perturbation"]] == [
        "PERT0",
        "PERT2",
        "PERT3",
        "PERT4",
        "PERT5",
    ]
    assert got["response"]["test"]["per_perturbation"][2]["rho"]["model"] is None
    with pytest.raises(ValueError, match=r"lacks 1 measured genes, .*VIA0"):
        evaluate(screen, prediction(screen).drop(columns="VIA0"), np.zeros((9, 9)), SETTINGS)


def test_without_held_out_cells_nothing_is_made_up(screen):
    cells = screen.cells.copy()
    cells.obs[keys.SPLIT] = keys.TRAIN
    got = evaluate(replace(screen, cells=cells), prediction(screen), np.full((9, 9), 0.9), SETTINGS)
    section = got["response"]["test"]
    assert (
        section["perturbations"],
        section["cells"],
        section["split_half"],
        section["per_perturbation"],
    ) == (0, 0, None, [])
    assert set(section["ate_rho"].values()) == {None}
    assert (got["network"]["edges"], got["network"]["pairs"], got["network"]["for"]) == (0, 0, None)
    assert json.dumps(got, allow_nan=False)


def test_an_edge_table_in_place_of_w(screen, report):
    edges = pd.DataFrame(EDGES, columns=["source", "target"])
    got = evaluate_edges(screen, edges, SETTINGS)
    assert got["network"]["threshold"] is None
    assert evaluate_edges(screen, edges, SETTINGS, threshold=1.0)["network"] == got["network"]
    of_w_alone = {"threshold", "matched", "hops", "references"}
    assert {k: v for k, v in got["network"].items() if k not in of_w_alone} == {
        k: v for k, v in report["network"].items() if k not in of_w_alone
    }
    curves = got["network"]["matched"]["as_measured"]
    assert curves["w"]["mu_wd"][0] == pytest.approx(got["network"]["mu_wd"])  # 5 edges, all that are listed
    assert curves["w"]["mu_wd"][1:] == [None, None]
    assert curves["mean_difference"] == report["network"]["matched"]["as_measured"]["mean_difference"]
    assert json.dumps(got, allow_nan=False)
    weighted = edges.assign(weight=[0.9, 0.8, 0.7, 0.2, 0.6, 0.1])
    half = evaluate_edges(screen, weighted, SETTINGS)
    assert (half["network"]["edges_total"], half["network"]["threshold"]) == (4, 0.5)
    assert any("4 of 6 listed edges" in note for note in half["notes"])
    assert evaluate_edges(screen, weighted, SETTINGS, threshold=0.15)["network"]["edges_total"] == 5
    scores = evaluate_edges(screen, edges.assign(weight=np.arange(6) * 10.0), SETTINGS)
    assert (scores["network"]["edges_total"], scores["network"]["threshold"]) == (6, None)
    with pytest.raises(QueryError, match="Did you mean PERT"):
        evaluate_edges(screen, pd.DataFrame({"source": ["PERT00"], "target": ["VIA0"]}), SETTINGS)


def test_effects_table_round_trip(mixed, tmp_path):
    predicted = prediction(mixed).drop(index="PERT1").iloc[::-1, ::-1]
    table = effects_table(mixed, predicted, 0.1 * predicted.abs())
    table.write_h5ad(tmp_path / "effects.h5ad")
    back = anndata.read_h5ad(tmp_path / "effects.h5ad")
    assert list(back.obs_names) == list(mixed.perturbations)
    assert list(back.var_names) == list(mixed.cells.var_names)
    layers = (keys.OBSERVED_TEST, keys.OBSERVED_ALL, keys.OBSERVED_TRAIN, keys.PREDICTED)
    folds = [keys.fold(layer) for layer in layers[:3]]  # no prediction of them was given
    read = {*folds, *map(keys.standard_error, folds), *map(keys.shrunk, folds)}
    assert set(back.layers) == {*layers, *map(keys.standard_error, layers)} | read
    shown = fold_table(mixed, keys.HELD_OUT)
    np.testing.assert_allclose(back.layers[keys.fold(keys.OBSERVED_TEST)], shown.effect, rtol=1e-5, atol=1e-6)
    reference = average_effects(mixed, keys.HELD_OUT)
    np.testing.assert_allclose(back.layers[keys.OBSERVED_TEST], reference.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        back.layers[keys.standard_error(keys.OBSERVED_TEST)], reference.standard_error, rtol=1e-5
    )
    assert list(back.obs[keys.cell_count(keys.OBSERVED_TEST)]) == list(reference.cells)
    assert back.obs.loc["PERT4", keys.cell_count(keys.OBSERVED_TRAIN)] == 0
    assert np.isnan(back["PERT4"].layers[keys.OBSERVED_TRAIN]).all()
    assert np.isnan(back["PERT1"].layers[keys.PREDICTED]).all()
    gene = EXTENDED[0]
    assert back["PERT0", gene].layers[keys.PREDICTED].item() == pytest.approx(
        predicted.loc["PERT0", gene], rel=1e-5
    )
    assert UNMEASURED not in back.var_names


def test_a_perturbation_without_controls_in_its_batch_is_noted_with_this_reason(screen) -> None:
    cells = screen.cells.copy()
    cells.obs[keys.BATCH] = np.where(screen.labels == PERTURBED[0], "late", "early")
    alone = PreparedCells(cells, screen.panel, screen.report)
    weights = np.full((len(screen.panel),) * 2, 0.1)
    notes = evaluate(alone, prediction(screen), weights)["notes"]
    (note,) = [one for one in notes if "train_mean" in one]
    assert note.startswith("No control cells beside the training cells")
    assert PERTURBED[0] in note
    apart = replace(screen, report=screen.report.model_copy(update={"unseparated": ("lane",)}))
    (note,) = [one for one in evaluate(apart, prediction(screen), weights)["notes"] if "'lane'" in one]
    assert note.startswith("How many edges are false is not known")
