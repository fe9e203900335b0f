"""Networks as functions of the number of edges, and by path length: what W, T_K and the baselines find with
equally many pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from gpovae_core.effects.pairs import PairStatistics
from gpovae_core.evaluation.network import reachable
from gpovae_core.evaluation.network_scores import (
    Curve,
    HopScores,
    OmissionCurve,
    PairMeasures,
    PairScores,
    WithinScores,
)

COUNTS = (
    10,
    20,
    50,
    100,
    200,
    500,
    1000,
    2000,
    5000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
)
"""Numbers of edges at which rankings are compared."""
HOPS = (1, 2, 3, 4, 5)
MEASURES = tuple(one.name for one in fields(Curve))


def edge_counts(pairs: PairStatistics, own: int = 0) -> list[int]:
    """The COUNTS that the pairs allow, and `own`, the number of edges of the network itself."""
    total = int(pairs.evaluated.sum())
    return sorted({count for count in (*COUNTS, own) if 0 < count <= total})


def edge_curves(
    pairs: PairStatistics,
    rankings: Mapping[str, np.ndarray],
    counts: Sequence[int],
    significance: float = 0.05,
) -> dict[str, Curve]:
    """For every ranking (s, t) its curve: one value per count.

    mu_wd: mean Wasserstein distance of the best k pairs; bh_share, raw_share: share of them with an adjusted,
    a raw p below the level; left_out: share of raw p below the level among the pairs that are *not* among
    them. Of pairs that tie at the cut the expectation over their order is taken. NaN beyond what a ranking
    ranks. `random` is the expectation over random pairs, `bound` the best that any ranking could do on these
    very cells, their noise included.
    """
    tested = pairs.evaluated
    wasserstein, raw = pairs.wasserstein[tested], (pairs.p[tested] < significance).astype(np.float64)
    real = (pairs.adjusted[tested] < significance).astype(np.float64)
    k = np.asarray(counts, dtype=np.int64)
    answer = {name: _along(ranking[tested], wasserstein, raw, real, k) for name, ranking in rankings.items()}
    by_distance, by_raw, by_real = (
        _along(values, wasserstein, raw, real, k) for values in (wasserstein, raw, real)
    )
    answer["bound"] = replace(by_raw, mu_wd=by_distance.mu_wd, bh_share=by_real.bh_share)
    anyone = _along(np.zeros(len(raw)), wasserstein, raw, real, k)
    return answer | {"random": anyone}


def _along(
    ranking: np.ndarray, wasserstein: np.ndarray, raw: np.ndarray, real: np.ndarray, k: np.ndarray
) -> Curve:
    """Measures of the k pairs ranked first, for every k; NaN beyond what is ranked. All (m,) over the tested
    pairs.
    """
    order = np.flatnonzero(np.isfinite(ranking))
    order = order[np.argsort(-ranking[order], kind="stable")]
    ranked = ranking[order]
    ends = (
        np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
        if len(order)
        else np.zeros(0, dtype=np.int64)
    )
    within = k <= len(order)

    def summed(values: np.ndarray) -> np.ndarray:
        sums = np.cumsum(values[order])
        return np.interp(
            k, np.append(0, ends), np.append(0.0, sums[ends - 1])
        )  # within a tie: a random part of it

    hits, some = summed(raw), np.where(within, k, 0)
    left = np.where(within, len(ranking) - k, 0)
    return Curve(
        mu_wd=_ratio(summed(wasserstein), some),
        bh_share=_ratio(summed(real), some),
        raw_share=_ratio(hits, some),
        left_out=_ratio(raw.sum() - hits, left),
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> tuple[float, ...]:
    return tuple(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0).tolist())


def omission_curve(
    pairs: PairStatistics,
    weights: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    counts: Sequence[int],
    hops: int,
    significance: float,
) -> OmissionCurve:
    """False omission rate of W cut at every number of edges, and the pairs it is a share of: those without a
    path of at most `hops` edges.

    weights: (n, n), any scale; places: rows and columns of the sources and targets in it. The cut leaves
    `count` edges among the tested pairs; paths may run over all edges above it. Ties at the cut come in
    together. NaN where every pair is joined.
    """
    rows, columns = places
    ordered = -np.sort(-weights[np.ix_(rows, columns)][pairs.evaluated])
    rates, left = [], []
    for count in counts:
        linked = reachable(weights >= ordered[count - 1], rows, hops)[:, columns]
        omitted = pairs.evaluated & ~linked
        left.append(int(omitted.sum()))
        rates.append(float((pairs.p[omitted] < significance).mean()) if left[-1] else float("nan"))
    return OmissionCurve(tuple(rates), tuple(left))


def hop_table(
    pairs: PairStatistics,
    adjacency: np.ndarray,
    influences: Sequence[np.ndarray],
    ceilings: Mapping[str, np.ndarray],
    places: tuple[np.ndarray, np.ndarray],
    significance: float = 0.05,
) -> tuple[HopScores, ...]:
    """One entry per path length 1, 2, ...: what W finds at exactly that distance, up to it, and T_K with
    equally many pairs.

    adjacency: (n, n) bool, W above the threshold; influences: T_1, T_2, ..., each (s, t), sizes; ceilings:
    measure -> (s, t) the ranking by the same measure in the training cells. exactly: pairs whose shortest
    path has so many edges; within: pairs with a path of at most so many, with the false omission rate of the
    others; influence, ceiling, random: the same number of pairs as `within`, ranked by T_h, by `ceilings`,
    and drawn.
    """
    rows, columns = places
    before = np.zeros(pairs.p.shape, dtype=bool)
    table = []
    for hops, influence in enumerate(influences, start=1):
        within = reachable(adjacency, rows, hops)[:, columns] & pairs.evaluated
        count = int(within.sum())
        curves = edge_curves(
            pairs, {"influence": influence, **ceilings}, [count] if count else [], significance
        )
        table.append(
            HopScores(
                hops=hops,
                exactly=_pair_scores(pairs, within & ~before, significance),
                within=_within(pairs, within, significance),
                influence=_only(curves, dict.fromkeys(MEASURES, "influence")),
                ceiling=_only(curves, {measure: measure for measure in ceilings}),
                random=_only(curves, dict.fromkeys(MEASURES, "random")),
            )
        )
        before = within
    return tuple(table)


def _only(curves: Mapping[str, Curve], chosen: Mapping[str, str]) -> PairMeasures:
    """The one value of every measure. chosen: measure -> the curve it is taken from."""
    found = {measure: curves[name].at(measure, 0) for measure, name in chosen.items()}
    return PairMeasures(
        **{measure: float("nan") if value is None else value for measure, value in found.items()}
    )


def _pair_scores(pairs: PairStatistics, chosen: np.ndarray, significance: float) -> PairScores:
    p, adjusted = pairs.p[chosen], pairs.adjusted[chosen]
    n = len(p)
    return PairScores(
        pairs=n,
        mu_wd=float(pairs.wasserstein[chosen].mean()) if n else float("nan"),
        raw_share=float((p < significance).mean()) if n else float("nan"),
        bh_share=float((adjusted < significance).mean()) if n else float("nan"),
        true_positives=int((p < significance).sum()),
        false_positives=int((p >= significance).sum()),
        bh_true_positives=int((adjusted < significance).sum()),
        bh_false_positives=int((adjusted >= significance).sum()),
    )


def _within(pairs: PairStatistics, within: np.ndarray, significance: float) -> WithinScores:
    others = pairs.evaluated & ~within
    n = int(others.sum())
    omission = float((pairs.p[others] < significance).mean()) if n else float("nan")
    return WithinScores(
        **vars(_pair_scores(pairs, within, significance)), omission=omission, omission_pairs=n
    )
