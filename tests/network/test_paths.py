"""Path tracing against brute force: every simple path listed, ranked, and the influence summed by matrix
powers.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.model.hops import hop_series
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import trace_paths

NAMES = ("D", "B", "F", "A", "H", "C", "G", "E")
WEIGHTS = st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 1.0]) | st.floats(0.0, 1.0)


def network_of(weights: Any, signs: Any = None) -> GeneNetwork:
    weights = np.asarray(weights, dtype=float)
    names = NAMES if len(weights) <= len(NAMES) else tuple(f"G{i:04d}" for i in range(len(weights)))
    panel = Panel(PanelData(perturbed=names[: len(weights)], extended=(), measured=names[: len(weights)]))
    n = len(weights)
    return GeneNetwork(panel, weights, np.zeros((n, n)) if signs is None else signs, np.full((n, n), np.nan))


def all_paths(
    weights: np.ndarray, start: int, end: int, hops: int, threshold: float = 0.0
) -> list[tuple[float, int, tuple[str, ...]]]:
    """(probability, hops, names) of every simple path, best first: by listing all orders of all subsets."""
    others = [i for i in range(len(weights)) if i not in (start, end)]
    found = []
    for between in range(hops):
        for middle in itertools.permutations(others, between):
            path = (start, *middle, end)
            steps = [weights[a, b] for a, b in itertools.pairwise(path)]
            if min(steps) > threshold:
                found.append((float(np.prod(steps)), len(steps), tuple(NAMES[i] for i in path)))
    return sorted(found, key=lambda item: (-item[0], item[1], item[2]))


@st.composite
def graphs(draw: st.DrawFn) -> np.ndarray:
    n = draw(st.integers(2, 8))
    return np.array(draw(st.lists(WEIGHTS, min_size=n * n, max_size=n * n))).reshape(n, n)


@given(graphs(), st.integers(1, 6), st.integers(1, 40), st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=300)
def test_the_best_paths_are_those_of_brute_force(
    weights: np.ndarray, hops: int, top: int, threshold: float
) -> None:
    trace = trace_paths(network_of(weights), NAMES[0], NAMES[1], hops, top, threshold)
    expected = all_paths(weights, 0, 1, hops, threshold)
    assert len(trace.paths) == min(top, len(expected))
    for path, (probability, _, _) in zip(trace.paths, expected, strict=False):
        assert path.probability == pytest.approx(probability, rel=1e-9)
    for path in trace.paths:
        assert (pytest.approx(path.probability), path.hops, path.genes) in expected
    assert len({path.genes for path in trace.paths}) == len(trace.paths)


@given(
    st.integers(2, 7).flatmap(
        lambda n: st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n * n, max_size=n * n)
    ),
    st.integers(1, 6),
)
@settings(max_examples=200)
def test_ties_are_ordered_by_hops_and_names(values: list[float], hops: int) -> None:
    n = int(np.sqrt(len(values)))
    weights = np.array(values).reshape(
        n, n
    )  # powers of two: products are exact, so ties are ties in brute force too
    trace = trace_paths(network_of(weights), NAMES[0], NAMES[1], hops, 25)
    expected = all_paths(weights, 0, 1, hops)[:25]
    assert [(p.probability, p.hops, p.genes) for p in trace.paths] == expected


@given(graphs(), st.integers(1, 6))
@settings(max_examples=200)
def test_shares_add_up_to_the_hop_influence(weights: np.ndarray, hops: int) -> None:
    n = len(weights)
    trace = trace_paths(network_of(weights), NAMES[0], NAMES[1], hops, 1000)
    series = hop_series("paper", n, hops)
    parts = [series.coefficient(k) * np.linalg.matrix_power(weights, k)[0, 1] for k in range(1, hops + 1)]
    assert trace.influence == pytest.approx(sum(parts), rel=1e-9, abs=1e-300)
    if trace.influence == 0:
        assert trace.share_by_hops == (0.0,) * hops
        assert trace.explained == trace.remainder == 0
        return
    assert sum(trace.share_by_hops) == pytest.approx(1.0)
    np.testing.assert_allclose(trace.share_by_hops, np.array(parts) / sum(parts), rtol=1e-9, atol=1e-300)
    assert trace.explained + trace.remainder == pytest.approx(1.0)
    for k in range(1, hops + 1):
        assert sum(path.share for path in trace.paths if path.hops == k) <= trace.share_by_hops[k - 1] * (
            1 + 1e-9
        )


def test_without_cycles_the_paths_are_the_whole_influence() -> None:
    weights = np.triu(np.random.default_rng(0).random((6, 6)), k=1)
    names = NAMES[:6]
    trace = trace_paths(network_of(weights), names[0], names[5], 5, 1000)
    assert len(trace.paths) == 2**4
    assert trace.explained == pytest.approx(1.0)
    for hops, share in enumerate(trace.share_by_hops, start=1):
        assert sum(path.share for path in trace.paths if path.hops == hops) == pytest.approx(share)


@given(graphs(), st.integers(1, 5))
@settings(max_examples=100)
def test_two_sources_are_the_two_searches_merged(weights: np.ndarray, hops: int) -> None:
    if len(weights) < 3:
        weights = np.pad(weights, (0, 1))
    network = network_of(weights)
    both = trace_paths(network, [NAMES[0], NAMES[2]], NAMES[1], hops, 15)
    single = [trace_paths(network, NAMES[i], NAMES[1], hops, 15) for i in (0, 2)]
    assert both.influence == pytest.approx(sum(trace.influence for trace in single), rel=1e-9, abs=1e-300)
    expected = sorted((path.probability for trace in single for path in trace.paths), reverse=True)[:15]
    np.testing.assert_allclose([path.probability for path in both.paths], expected, rtol=1e-9)
    assert sum(both.share_by_hops) == pytest.approx(1.0 if both.influence else 0.0)


def test_renaming_by_permutation_changes_nothing_but_order_of_ties() -> None:
    weights = np.random.default_rng(1).random((8, 8))
    order = np.array([3, 1, 0, 2, 7, 5, 6, 4])
    plain = trace_paths(network_of(weights), NAMES[3], NAMES[1], 4, 30)
    moved = network_of(weights[np.ix_(order, order)])
    back = {NAMES[new]: NAMES[old] for new, old in enumerate(order)}
    other = trace_paths(moved, NAMES[0], NAMES[1], 4, 30)
    assert [tuple(back[g] for g in path.genes) for path in other.paths] == [
        path.genes for path in plain.paths
    ]


def test_threshold_leaves_out_edges_but_not_influence() -> None:
    weights = np.array([[0, 0.4, 0.9], [0, 0, 0], [0, 0.9, 0]])
    free, bound = (trace_paths(network_of(weights), "D", "B", 2, 5, threshold) for threshold in (0.0, 0.4))
    assert [path.genes for path in free.paths] == [("D", "F", "B"), ("D", "B")]
    assert [path.genes for path in bound.paths] == [("D", "F", "B")]
    assert bound.influence == free.influence == pytest.approx(0.4 + 0.81 / 6)
    assert bound.remainder == pytest.approx(0.4 / bound.influence)


def test_sign_of_a_path_is_the_product_of_its_edges() -> None:
    weights = np.array([[0, 0.2, 0.9, 0.8], [0, 0, 0, 0], [0, 0.9, 0, 0], [0, 0.8, 0, 0]])
    signs = np.zeros((4, 4), dtype=np.int8)
    signs[0, 2], signs[2, 1], signs[0, 3] = -1, -1, 1
    paths = {path.genes: path.sign for path in trace_paths(network_of(weights, signs), "D", "B", 3, 9).paths}
    assert paths == {("D", "F", "B"): 1, ("D", "A", "B"): 0, ("D", "B"): 0}
    table = trace_paths(network_of(weights, signs), "D", "B", 3, 9).table()
    assert table["path"].tolist()[0] == "D → F → B"
    assert table["weakest"].tolist() == [0.9, 0.8, 0.2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": "B"}, "both source and target"),
        ({"sources": ["D", "b"]}, "both source and target"),
        ({"sources": []}, "at least one source"),
        ({"sources": "NOPE"}, "not in the panel"),
        ({"target": "NOPE"}, "not in the panel"),
        ({"hops": 0}, "between 1 and 15"),
        ({"hops": 16}, "between 1 and 15"),
        ({"top": 0}, "top must be"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"threshold": float("nan")}, "between 0 and 1"),
    ],
)
def test_questions_without_an_answer(change: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        trace_paths(network_of(np.full((3, 3), 0.5)), **{"sources": "D", "target": "B", **change})


def adversaries(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    trap = np.full((n, n), 1e-4) * (
        1 + 0.1 * rng.random((n, n))
    )  # the best bound always runs back through gene 7
    trap[7, :] = trap[:, 7] = 1.0
    trap[0, :7] = trap[0, 8:] = 1e-4
    return {
        "ones": np.ones((n, n)),
        "equal": np.full((n, n), 0.5),
        "uniform": rng.random((n, n)),
        "tiny": np.full((n, n), 5e-324),
        "trap": trap,
    }


@pytest.mark.parametrize("kind", list(adversaries(9)))
def test_large_panels_of_ties_and_traps_stay_small(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpovae_core.network import paths as module

    network = network_of(adversaries(400)[kind])
    tables = []
    made = module._Remaining.__init__
    monkeypatch.setattr(
        module._Remaining, "__init__", lambda self, *rest: tables.append(1) or made(self, *rest)
    )
    trace = trace_paths(network, "G0000", "G0001", 5, 20)
    assert len(trace.paths) == 20
    assert (
        len(tables) <= 20 * 5
    )  # the bound that Lawler's procedure promises: work grows with paths shown, not with paths there are
    ranks = [(-round(np.log(max(p.probability, 5e-324)), 8), p.hops, p.genes) for p in trace.paths]
    if kind in ("ones", "equal"):
        assert ranks == sorted(ranks)
        assert [p.genes for p in trace.paths[:3]] == [
            ("G0000", "G0001"),
            ("G0000", "G0002", "G0001"),
            ("G0000", "G0003", "G0001"),
        ]


def test_most_hops_are_still_exact() -> None:
    weights = np.zeros((17, 17))
    weights[np.arange(16), np.arange(1, 17)] = 5e-324
    weights[15, 16] = 1.0
    trace = trace_paths(network_of(weights), "G0001", "G0016", 15, 3)
    assert [path.hops for path in trace.paths] == [15]
    assert trace_paths(network_of(weights), "G0000", "G0016", 15, 3).paths == ()


@given(graphs(), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=100)
def test_with_strengths_the_shares_are_of_the_signed_influence(
    weights: np.ndarray, hops: int, seed: int
) -> None:
    n = len(weights)
    plain = network_of(weights)
    strength = np.random.default_rng(seed).normal(0, 1, (n, n))
    network = GeneNetwork(plain.panel, weights, plain.signs, plain.effects, strength=strength)
    trace = trace_paths(network, NAMES[0], NAMES[1], hops, 1000)
    step = weights * strength
    parts = [np.linalg.matrix_power(step, k)[0, 1] for k in range(1, hops + 1)]
    assert trace.influence == pytest.approx(sum(parts), rel=1e-9, abs=1e-12)
    if trace.influence == 0:
        return
    assert sum(trace.share_by_hops) == pytest.approx(1.0, abs=1e-6)
    assert trace.explained + trace.remainder == pytest.approx(1.0, abs=1e-9)
    for path in trace.paths:
        places = [network.panel.index[gene] for gene in path.genes]
        carried = np.prod([step[a, b] for a, b in itertools.pairwise(places)])
        assert path.share * trace.influence == pytest.approx(carried, rel=1e-6, abs=1e-12)
