"""The network object: names, direction, signs, and the tables, against loops and networkx."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import anndata
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError, RunError
from gpovae_core.model.hops import hop_series
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.folder import MASK_LOGITS, DataSource, RunFolder

PANEL = Panel(PanelData(perturbed=("B", "D", "F"), extended=("A", "C"), measured=("A", "B", "C", "D")))
GENES = ("B", "D", "F", "A", "C")


def random_network(seed: int = 0, density: float = 0.5) -> GeneNetwork:
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((5, 5)) < density, rng.choice([0.25, 0.5, 0.75, 1.0], (5, 5)), 0.0)
    return GeneNetwork(PANEL, weights, rng.integers(-1, 2, (5, 5)), rng.normal(size=(5, 5)), name="toy")


def graph_of(network: GeneNetwork, threshold: float) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(GENES)
    for i, j in itertools.permutations(range(5), 2):
        if network.weights[i, j] > threshold:
            graph.add_edge(GENES[i], GENES[j], weight=network.weights[i, j])
    return graph


def write_run(folder: Path, layers: dict[str, np.ndarray] | None = None) -> RunFolder:
    """A run with W, and effects whose rows and columns come in another order than the panel, with strangers
    among them.
    """
    run = RunFolder.create(folder, make_settings(), DataSource(path="toy.h5ad", simulated=True))
    (folder / "panel.json").write_text(PANEL.data.model_dump_json())
    save_file(
        {MASK_LOGITS: np.linspace(-3, 3, 25, dtype=np.float32).reshape(5, 5)}, folder / "model.safetensors"
    )
    if layers is not None:
        obs = pd.DataFrame(index=["D", "B+D", "B", "dropped"])
        var = pd.DataFrame(index=["C", "other", "A", "B", "D"])
        run.write_effects(
            anndata.AnnData(np.zeros((4, 5), dtype=np.float32), obs=obs, var=var, layers=layers)
        )
    return run


def test_a_run_gives_weights_and_name(tmp_path: Path) -> None:
    network = GeneNetwork.from_run(write_run(tmp_path / "toy"))
    np.testing.assert_allclose(
        network.weights, 1 / (1 + np.exp(-np.linspace(-3, 3, 25).reshape(5, 5))), rtol=1e-6
    )
    assert (network.name, network.simulated, len(network)) == ("toy", True, 5)
    assert '"preset":"evidence"' in network.settings
    assert not network.signs.any()
    assert np.isnan(network.effects).all()


def test_effects_and_signs_are_found_by_name(tmp_path: Path) -> None:
    observed = np.arange(20, dtype=float).reshape(4, 5) - 9.5
    network = GeneNetwork.from_run(write_run(tmp_path / "toy", {keys.OBSERVED_TRAIN: observed}))
    place = PANEL.index
    assert network.effects[place["D"], place["C"]] == -9.5
    assert network.effects[place["B"], place["A"]] == 2.5
    assert network.effects[place["B"], place["B"]] == 3.5
    assert np.isfinite(network.effects).sum() == 2 * 4  # two single perturbations, four measured panel genes
    # The knock-down of D lowers C: D activates it. The knock-down of B raises A: B represses it.
    assert network.signs[place["D"], place["C"]] == 1
    assert network.signs[place["B"], place["A"]] == -1
    assert not network.signs.diagonal().any()
    assert not network.signs[place["F"]].any()


def test_a_sign_needs_an_effect_above_its_error(tmp_path: Path) -> None:
    observed, error = np.full((4, 5), -1.0), np.full((4, 5), 0.4)
    error[0, 0], error[0, 2] = 0.6, np.nan
    layers = {keys.OBSERVED_TRAIN: observed, keys.standard_error(keys.OBSERVED_TRAIN): error}
    network = GeneNetwork.from_run(write_run(tmp_path / "toy", layers))
    place = PANEL.index
    signs = network.signs[place["D"]]
    assert signs[place["C"]] == signs[place["A"]] == 0
    assert signs[place["B"]] == 1


def test_a_run_without_weights_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "toy")
    (run.path / "model.safetensors").unlink()
    with pytest.raises(RunError, match="no trained weights"):
        GeneNetwork.from_run(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros((4, 5))}, r"weights must have .*shape \(5, 5\); got \(4, 5\)"),
        ({"weights": np.full((5, 5), 1.5)}, "between 0 and 1; got 1.5"),
        ({"weights": np.full((5, 5), -1.0)}, "Are these logits"),
        ({"weights": np.full((5, 5), np.nan)}, "not numbers"),
        ({"signs": np.full((5, 5), 2)}, "-1, 0 or 1"),
        ({"effects": np.zeros(5)}, "effects must have"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    good = {"weights": np.zeros((5, 5)), "signs": np.zeros((5, 5)), "effects": np.zeros((5, 5))}
    with pytest.raises(QueryError, match=message):
        GeneNetwork(PANEL, **{**good, **change})


def test_arrays_cannot_be_changed_by_accident() -> None:
    weights = np.zeros((5, 5))
    network = GeneNetwork.from_weights(PANEL, weights)
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0, 0] = 1.0
    weights[0, 0] = 1.0  # the caller's own array stays writable


@given(
    st.integers(0, 50), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.booleans(), st.none() | st.integers(0, 30)
)
@settings(max_examples=100)
def test_edges_are_those_of_a_loop(seed: int, threshold: float, loops: bool, top: int | None) -> None:
    network = random_network(seed)
    expected = sorted(
        (
            (GENES[i], GENES[j], network.weights[i, j], network.signs[i, j])
            for i, j in itertools.product(range(5), repeat=2)
            if network.weights[i, j] > threshold and (loops or i != j)
        ),
        key=lambda edge: (-edge[2], edge[0], edge[1]),
    )
    table = network.edges(threshold, self_loops=loops, top=top)
    measured = [keys.EFFECT, keys.EFFECT_SE, keys.P, keys.P_ADJUSTED, keys.CELLS]
    assert table.columns.tolist() == [keys.SOURCE, keys.TARGET, keys.WEIGHT, keys.SIGN, *measured]
    assert table[measured].isna().all(axis=None)  # only W is known of this network
    assert list(table.iloc[:, :4].itertuples(index=False, name=None)) == expected[:top]
    if top is None:
        assert network.count_edges([threshold], self_loops=loops)[0] == len(expected)


@given(st.integers(0, 50), st.integers(1, 30))
@settings(max_examples=100)
def test_the_suggested_threshold_is_the_largest_that_shows_enough(seed: int, edges: int) -> None:
    network = random_network(seed)
    threshold = network.suggest_threshold(edges)
    counts = network.count_edges(np.round(np.arange(0, 1.001, 0.001), 3))
    enough = np.flatnonzero(counts >= edges)
    if len(enough) == 0:
        assert threshold is None
    else:
        assert threshold == pytest.approx(enough[-1] / 1000)
        assert network.count_edges([threshold])[0] >= edges


def test_suggested_threshold_of_tiny_weights() -> None:
    assert GeneNetwork.from_weights(PANEL, np.full((5, 5), 1e-5)).suggest_threshold() == 0.0
    assert GeneNetwork.from_weights(PANEL, np.zeros((5, 5))).suggest_threshold() is None
    assert GeneNetwork.from_weights(PANEL, np.full((5, 5), 0.3)).suggest_threshold() == 0.299
    with pytest.raises(QueryError, match="1 or more"):
        random_network().suggest_threshold(0)


def test_degrees_agree_with_networkx() -> None:
    network = random_network(2)
    graph = graph_of(network, 0.3)
    table = network.degrees(0.3).set_index("gene")
    assert table["targets"].to_dict() == dict(graph.out_degree())
    assert table["regulators"].to_dict() == dict(graph.in_degree())
    assert table["target_weight"].to_dict() == pytest.approx(dict(graph.out_degree(weight="weight")))
    assert table["regulator_weight"].to_dict() == pytest.approx(dict(graph.in_degree(weight="weight")))
    assert table["targets"].is_monotonic_decreasing
    assert set(table.index[table["perturbed"]]) == {"B", "D", "F"}
    assert set(table.index[~table["measured"]]) == {"F"}


@given(
    st.integers(0, 60), st.integers(1, 4), st.sampled_from(["out", "in", "both"]), st.sampled_from([0.0, 0.3])
)
@settings(max_examples=100)
def test_reach_and_neighbourhood_agree_with_networkx(
    seed: int, hops: int, direction: Any, threshold: float
) -> None:
    network = random_network(seed, density=0.35)
    graph = graph_of(network, threshold)
    walked = {"out": graph, "in": graph.reverse(), "both": nx.compose(graph, graph.reverse())}[direction]
    if direction == "both":
        for a, b in walked.edges:
            walked[a][b]["weight"] = max(
                graph.get_edge_data(*pair, default={"weight": 0})["weight"] for pair in ((a, b), (b, a))
            )
    distance = nx.single_source_shortest_path_length(walked, "D", cutoff=hops)
    table = network.reach("D", hops, threshold, direction)
    assert dict(zip(table["gene"], table["hops"], strict=True)) == {
        g: h for g, h in distance.items() if g != "D"
    }
    for gene, probability in zip(table["gene"], table["probability"], strict=True):
        products = [
            np.prod([walked[a][b]["weight"] for a, b in itertools.pairwise(path)])
            for path in nx.all_simple_paths(walked, "D", gene, cutoff=hops)
        ]
        assert probability == pytest.approx(max(products))
    assert table["hops"].is_monotonic_increasing

    ego = network.neighbourhood("D", hops, direction, threshold)
    inside = graph.subgraph(distance)
    assert ego.genes["gene"].tolist() == ["D", *table["gene"]]
    assert set(zip(ego.edges[keys.SOURCE], ego.edges[keys.TARGET], strict=True)) == set(inside.edges)
    assert ego.edges[keys.WEIGHT].is_monotonic_decreasing


def test_influence_is_the_series_of_matrix_powers() -> None:
    network = random_network(3)
    series = hop_series("paper", 5, 4)
    expected = sum(series.coefficient(k) * np.linalg.matrix_power(network.weights, k) for k in range(1, 5))
    np.testing.assert_allclose(network.influence(4), expected)
    np.testing.assert_allclose(network.influence(4, ["C", "B"]), expected[[4, 0]])


def test_case_of_a_gene_name_does_not_matter() -> None:
    assert random_network().reach("d", 1).equals(random_network().reach("D", 1))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda network: network.edges(-0.1), "between 0 and 1"),
        (lambda network: network.edges(float("nan")), "between 0 and 1"),
        (lambda network: network.degrees(2.0), "between 0 and 1"),
        (lambda network: network.reach("D", 0), "hops must lie between"),
        (lambda network: network.reach("Z", 1), "not in the panel"),
        (lambda network: network.reach("D", 1, direction="up"), "choose out, in or both"),
        (lambda network: network.influence(0), "hops must lie between"),
        (lambda network: network.influence(2, ["Z"]), "not in the panel"),
    ],
)
def test_impossible_questions(ask: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        ask(random_network())


def strong_network(seed: int = 0) -> GeneNetwork:
    rng = np.random.default_rng(seed)
    net = random_network(seed)
    return GeneNetwork(PANEL, net.weights, net.signs, net.effects, strength=rng.normal(0, 0.4, (5, 5)))


def test_strength_gives_the_signs_and_the_walks() -> None:
    net = strong_network()
    assert net.strength is not None
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_array_equal(net.signs[off], np.sign(net.strength)[off])
    step = net.weights * net.strength
    expected = step + step @ step + step @ step @ step
    np.testing.assert_allclose(net.influence(3), expected)
    np.testing.assert_allclose(net.influence(3, ["D"]), expected[[1]])


def test_an_unknown_strength_leaves_the_observed_sign() -> None:
    net = random_network()
    with_none = GeneNetwork(PANEL, net.weights, net.signs, net.effects, strength=np.zeros((5, 5)))
    np.testing.assert_array_equal(with_none.signs, net.signs)


@pytest.mark.parametrize("stored", [False, True])
def test_the_influence_is_a_network_with_its_own_scale(stored: bool) -> None:
    net = strong_network(1)
    total = np.random.default_rng(2).normal(0, 3, (5, 5)) if stored else net.influence(4)
    if stored:
        net = GeneNetwork(
            PANEL, net.weights, net.signs, net.effects, strength=net.strength, influence_matrix=total
        )
    shown = net.influence_network(4)
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(shown.weights, np.abs(total))
    np.testing.assert_array_equal(shown.signs[off], np.sign(total)[off])
    largest = np.abs(total)[off].max()
    assert largest <= shown.top <= 1.34 * largest
    assert len(shown.edges(0.0)) == (total[off] != 0).sum()
    assert len(shown.edges(shown.top)) == 0
    best = shown.suggest_threshold(3)
    assert best is not None
    assert shown.count_edges([best])[0] >= 3
    with pytest.raises(QueryError, match="threshold on T lies between 0"):
        shown.edges(shown.top * 1.01)


def test_without_strength_the_influence_keeps_the_observed_signs() -> None:
    net = random_network(3)
    shown = net.influence_network(3)
    np.testing.assert_array_equal(shown.signs, net.signs)
    assert (shown.weights >= net.weights - 1e-12).all()


def test_direct_evidence_defaults_to_the_perturbed_genes() -> None:
    net = random_network()
    np.testing.assert_array_equal(net.has_evidence, PANEL.is_perturbed)
    mine = GeneNetwork(
        PANEL, net.weights, net.signs, net.effects, direct_evidence=np.array([True, False, True, True, False])
    )
    assert mine.has_evidence.tolist() == [True, False, True, True, False]
    with pytest.raises(QueryError, match="direct_evidence must have one entry"):
        GeneNetwork(PANEL, net.weights, net.signs, net.effects, direct_evidence=np.array([True]))


@pytest.mark.parametrize("what", ["strength", "influence_matrix"])
def test_matrices_that_are_no_numbers_are_refused(what: str) -> None:
    net = random_network()
    with pytest.raises(QueryError, match=what):
        GeneNetwork(PANEL, net.weights, net.signs, net.effects, **{what: np.full((5, 5), np.nan)})


@pytest.mark.parametrize("edges", [1, 4, 10])
def test_the_threshold_for_a_number_of_edges_is_exact(edges: int) -> None:
    net = GeneNetwork.from_weights(PANEL, np.random.default_rng(0).random((5, 5)))
    threshold = net.threshold_for(edges)
    assert threshold is not None
    assert len(net.edges(threshold)) == edges
    assert net.threshold_for(21) is None
    assert GeneNetwork.from_weights(PANEL, np.zeros((5, 5))).threshold_for(1) is None


def test_self_loops_are_in_the_neighbourhood_only_where_asked_for() -> None:
    net = GeneNetwork.from_weights(PANEL, np.full((5, 5), 0.9))
    assert len(net.neighbourhood("B", 1, "both", 0.5).edges) == 20
    assert len(net.neighbourhood("B", 1, "both", 0.5, self_loops=True).edges) == 25


def test_edges_with_evidence_start_at_perturbed_genes() -> None:
    net = strong_network()
    kept = net.with_evidence()
    np.testing.assert_array_equal(kept.weights[:3], net.weights[:3])
    assert (kept.weights[3:] == 0).all()
    assert set(kept.edges(0.0)["source"]) <= set(PANEL.data.perturbed)
    nobody = GeneNetwork(PANEL, net.weights, net.signs, net.effects, direct_evidence=np.zeros(5, dtype=bool))
    assert nobody.with_evidence() is nobody
    influence = net.influence_network(2)
    assert influence.with_evidence().measure == "T"


def test_a_run_gives_the_strengths_and_influences_it_stores(tmp_path: Path) -> None:
    run = write_run(tmp_path / "toy")
    rng = np.random.default_rng(0)
    strength, total = rng.normal(size=(2, 5, 5)).astype(np.float32)
    run.write_network({"strength": strength, "influence": total})
    network = GeneNetwork.from_run(run)
    assert network.strength is not None
    np.testing.assert_allclose(network.strength, strength)
    np.testing.assert_allclose(network.influence_network(3).weights, np.abs(total))
