"""Does perturbing i move j? Tests of every (source, target) pair on held-out cells, and scores of a predicted
network.

Row = source (perturbed gene), column = target (measured gene), as everywhere. MODEL.md section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gpovae_core.effects.pairs import PairStatistics
from gpovae_core.evaluation.network_scores import EdgeScore


def reachable(adjacency: np.ndarray, rows: np.ndarray, hops: int) -> np.ndarray:
    """(r, n) bool: is there a path of 1 to `hops` edges from each of `rows` to each gene? adjacency: (n, n)
    bool, row = source.

    At most `hops` products of an (r, n) with an (n, n) matrix, however dense the network.
    """
    step = (adjacency & ~np.eye(len(adjacency), dtype=bool)).astype(np.float32)
    found = step[rows] > 0
    for _ in range(hops - 1):
        wider = found | ((found.astype(np.float32) @ step) > 0)
        if (wider == found).all():
            break
        found = wider
    return found


@dataclass(frozen=True)
class Tested:
    """A predicted network against the held-out cells; NaN = undefined.

    edges: predicted among the `pairs` evaluated; true_positives: of these, raw Mann-Whitney p below the
    level, bh_true_positives: adjusted; omission: false omission rate, the share of raw p below the level
    among the `omission_pairs` pairs without a short path; random: expectation over networks with as many
    edges, random_spread: standard deviation of it over such networks; ranked: the as many pairs that a
    ranking has first, by its name.
    """

    edges: int
    pairs: int
    score: EdgeScore
    true_positives: int
    false_positives: int
    bh_true_positives: int
    omission: float
    omission_pairs: int
    random: EdgeScore
    random_spread: EdgeScore
    ranked: dict[str, EdgeScore]


def network_scores(
    pairs: PairStatistics,
    predicted: np.ndarray,
    linked: np.ndarray,
    rankings: Mapping[str, np.ndarray],
    significance: float = 0.05,
) -> Tested:
    """Score `predicted` edges (s, t) bool; pairs that are not evaluated do not count.

    linked: (s, t) bool, is there a short predicted path, an edge or longer, in the whole network
    (`reachable`, over all panel genes)? All other pairs enter the omission rate, none is drawn: every pair
    has been tested anyway. rankings: (s, t) each, larger = more of an edge, NaN ranks last.
    """
    edges = predicted & pairs.evaluated
    hit = edges & (pairs.p < significance)
    omitted = pairs.evaluated & ~linked
    k = int(edges.sum())
    return Tested(
        edges=k,
        pairs=int(pairs.evaluated.sum()),
        score=score_edges(pairs, edges, significance),
        true_positives=int(hit.sum()),
        false_positives=k - int(hit.sum()),
        bh_true_positives=int((pairs.adjusted[edges] < significance).sum()),
        omission=_share(pairs.p[omitted] < significance),
        omission_pairs=int(omitted.sum()),
        random=score_edges(pairs, pairs.evaluated if k else edges, significance),
        random_spread=_random_spread(pairs, k, significance),
        ranked={
            name: score_edges(pairs, top_pairs(pairs, ranking, k), significance)
            for name, ranking in rankings.items()
        },
    )


def score_edges(pairs: PairStatistics, edges: np.ndarray, significance: float = 0.05) -> EdgeScore:
    """Scores of the pairs marked in `edges` (s, t) bool; NaN for none."""
    return EdgeScore(
        _share(pairs.wasserstein[edges]),
        _share(pairs.adjusted[edges] < significance),
        _share(pairs.p[edges] < significance),
    )


def top_pairs(pairs: PairStatistics, ranking: np.ndarray, count: int) -> np.ndarray:
    """(s, t) bool: the `count` evaluated pairs with the largest `ranking` (s, t); NaN ranks last, ties go to
    the earlier pair.
    """
    candidates = np.flatnonzero(pairs.evaluated)
    value = np.where(np.isfinite(ranking), ranking, -np.inf).ravel()[candidates]
    chosen = np.zeros(pairs.p.shape, dtype=bool)
    chosen.ravel()[candidates[np.argsort(-value, kind="stable")[:count]]] = True
    return chosen


def _random_spread(pairs: PairStatistics, k: int, significance: float) -> EdgeScore:
    """Standard deviation of the scores of k pairs drawn without replacement: sd sqrt((N - k) / (N - 1) / k),
    exact, so nothing is drawn.
    """
    total = int(pairs.evaluated.sum())
    if k == 0:
        return EdgeScore(float("nan"), float("nan"), float("nan"))
    factor = np.sqrt((total - k) / max(total - 1, 1) / k)
    tested = pairs.evaluated
    values = (
        pairs.wasserstein[tested],
        pairs.adjusted[tested] < significance,
        pairs.p[tested] < significance,
    )
    return EdgeScore(*(float(one.std() * factor) for one in values))


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
