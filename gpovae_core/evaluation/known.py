"""How well rankings of pairs find edges that are known from elsewhere: curated networks, or the truth of
simulated cells.

A reference lists what somebody has looked at, so only pairs that it could have listed are judged: its
sources, its genes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.simulate import downstream
from gpovae_core.evaluation.network_scores import (
    Called,
    RankingScore,
    ReferenceScores,
    ShuffledScore,
    Signs,
    TrueScores,
    TruthScores,
)

SHUFFLES = 100
SWAPS = 10
"""Swaps per edge of a shuffled reference."""


@dataclass(frozen=True)
class KnownEdges:
    """pairs: casefolded (source, target); without a direction, either order once. name: as shown."""

    name: str
    directed: bool
    pairs: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Known:
    """What is known of the network from elsewhere. truth: the true edges of simulated cells (source, target,
    weight), None where the cells are measured.
    """

    references: Sequence[KnownEdges] = ()
    truth: pd.DataFrame | None = None


@dataclass(frozen=True)
class Judged:
    """The pairs a reference can judge. usable: (s, t) bool; hits: (s, t) bool, those of them that it lists;
    sources: how many it knows.
    """

    usable: np.ndarray
    hits: np.ndarray
    sources: int


def judge(known: KnownEdges, sources: Sequence[str], targets: Sequence[str]) -> Judged:
    """Which pairs of a source and a target a reference lists, and which it could have listed.

    Directed: sources that it lists as a source, targets it lists at all. Undirected: both genes listed; of a
    pair that is there in both orders the one with the source first by name is kept, so that no pair counts
    twice.
    """
    start = np.array([source.casefold() for source in sources], dtype=object)
    end = np.array([target.casefold() for target in targets], dtype=object)
    genes = {gene for pair in known.pairs for gene in pair}
    regulators = {source for source, _ in known.pairs} if known.directed else genes
    usable = (
        np.isin(start, list(regulators))[:, None]
        & np.isin(end, list(genes))[None, :]
        & (start[:, None] != end[None, :])
    )
    if not known.directed:
        both = np.isin(start, end)[:, None] & np.isin(end, start)[None, :]
        usable &= ~(both & (start[:, None] > end[None, :]).astype(bool))
    place = ({gene: i for i, gene in enumerate(start)}, {gene: j for j, gene in enumerate(end)})
    hits = np.zeros(usable.shape, dtype=bool)
    for pair in known.pairs:
        for a, b in (pair,) if known.directed else (pair, pair[::-1]):
            if a in place[0] and b in place[1]:
                hits[place[0][a], place[1][b]] = True
    return Judged(usable, hits & usable, int(usable.any(axis=1).sum()))


def both_ways(ranking: np.ndarray, sources: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """(s, t) the larger of a pair's two orders where both are ranked: for references without a direction."""
    row, column = ({gene: i for i, gene in enumerate(names)} for names in (sources, targets))
    shared = [gene for gene in sources if gene in column]
    at = np.ix_([row[gene] for gene in shared], [column[gene] for gene in shared])
    result = ranking.copy()
    result[at] = np.fmax(ranking[at], ranking[at].T)
    return result


class RankedPairs:
    """Pairs in falling order of a ranking, so that any set of true pairs is scored without sorting again.
    ranking: (m,); NaN ranks last.
    """

    def __init__(self, ranking: np.ndarray) -> None:
        values = np.where(np.isfinite(ranking), ranking, -np.inf)
        ordered = np.sort(-values)
        self.above = np.searchsorted(
            ordered, -values, side="right"
        )  # pairs ranked at least as high, ties included
        self.order = np.argsort(-values, kind="stable")

    def average_precision(self, hits: np.ndarray) -> float:
        """Area under precision and recall as sklearn's average_precision_score, ties in one step. hits: (m,)
        bool. NaN without hits.
        """
        at = np.sort(self.above[hits])
        if not len(at):
            return float("nan")
        return float((np.searchsorted(at, at, side="right") / at).mean())

    def early_precision(self, hits: np.ndarray) -> float:
        """Share of hits among the first k pairs, k = number of hits. NaN without hits."""
        k = int(hits.sum())
        return float(hits[self.order[:k]].mean()) if k else float("nan")


def ranking_scores(usable: np.ndarray, hits: np.ndarray, rankings: Mapping[str, np.ndarray]) -> TrueScores:
    """How every ranking finds the hits among the usable pairs; usable, hits, rankings: (s, t)."""
    true = hits[usable]
    prevalence = float(true.mean()) if len(true) else float("nan")
    chance = prevalence or float("nan")
    scores = {}
    for name, ranking in rankings.items():
        ranked = RankedPairs(ranking[usable])
        area, early = ranked.average_precision(true), ranked.early_precision(true)
        scores[name] = RankingScore(area, area / chance, early, early / chance)
    return TrueScores(int(true.sum()), len(true), prevalence, scores)


def reference_scores(
    known: KnownEdges,
    sources: Sequence[str],
    targets: Sequence[str],
    rankings: Mapping[str, np.ndarray],
    shuffles: int = SHUFFLES,
    seed: int = 0,
    null: Sequence[np.ndarray] = (),
) -> ReferenceScores:
    """`ranking_scores` against a reference, each ranking also against references shuffled at the same
    degrees.

    The null keeps how many targets every source and how many sources every target has: a ranking that merely
    prefers much studied hubs scores as well there. null: (s, t) rankings of cells that know of no edge
    (`relabelled.null_differences`); a reference that prefers highly expressed targets rewards them too.
    """
    judged = judge(known, sources, targets)
    if not known.directed:
        rankings = {name: both_ways(ranking, sources, targets) for name, ranking in rankings.items()}
    found = ranking_scores(judged.usable, judged.hits, rankings)
    shuffled = []
    for at in range(shuffles if judged.hits.sum() > 1 else 0):
        hits = shuffled_hits(judged.hits, sources, targets, seed + at)
        if not known.directed:
            hits = both_ways(hits.astype(float), sources, targets) > 0
        shuffled.append(hits[judged.usable])
    return ReferenceScores(
        name=known.name,
        directed=known.directed,
        listed=len(known.pairs),
        sources=judged.sources,
        edges=found.edges,
        pairs=found.pairs,
        prevalence=found.prevalence,
        rankings={
            name: _beside_shuffles(found.rankings[name], RankedPairs(ranking[judged.usable]), shuffled)
            for name, ranking in rankings.items()
        },
        shuffles=len(shuffled),
        null_controls=_mean_area(judged, known, null, sources, targets),
    )


def _mean_area(
    judged: Judged,
    known: KnownEdges,
    rankings: Sequence[np.ndarray],
    sources: Sequence[str],
    targets: Sequence[str],
) -> float | None:
    """Mean area under precision and recall of rankings (s, t); None without any."""
    if not len(rankings):
        return None
    scored = rankings if known.directed else [both_ways(one, sources, targets) for one in rankings]
    ranked = (RankedPairs(one[judged.usable]) for one in scored)
    return float(np.mean([one.average_precision(judged.hits[judged.usable]) for one in ranked]))


def _beside_shuffles(score: RankingScore, ranked: RankedPairs, null: Sequence[np.ndarray]) -> ShuffledScore:
    """null: (m,) bool each, the hits of the shuffled references."""
    areas = np.array([ranked.average_precision(hits) for hits in null])
    return ShuffledScore(
        **vars(score),
        null_auprc=float(areas.mean()) if len(areas) else float("nan"),
        null_sd=float(areas.std(ddof=1)) if len(areas) > 1 else float("nan"),
        p=float((1 + (areas >= score.auprc).sum()) / (1 + len(areas))) if len(areas) else float("nan"),
    )


def shuffled_hits(hits: np.ndarray, sources: Sequence[str], targets: Sequence[str], seed: int) -> np.ndarray:
    """(s, t) bool: the same edges after random swaps of their ends, no edge from a gene to itself: all
    degrees stay.

    igraph's rewiring, SWAPS tries per edge.
    """
    import igraph

    names = list(dict.fromkeys([*sources, *targets]))
    place = {name: i for i, name in enumerate(names)}
    rows, columns = np.nonzero(hits)
    edges = [
        (place[sources[i]], place[targets[j]]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    graph = igraph.Graph(n=len(names), edges=edges, directed=True)
    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311
    try:
        graph.rewire(n=SWAPS * len(edges))
    finally:
        igraph.set_random_number_generator(random)
    row, column = ({name: i for i, name in enumerate(group)} for group in (sources, targets))
    result = np.zeros(hits.shape, dtype=bool)
    for a, b in graph.get_edgelist():
        result[row[names[a]], column[names[b]]] = True
    return result


def true_pairs(
    edges: pd.DataFrame, sources: Sequence[str], targets: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(s, t) signed strength of the true direct edges, and (s, t) bool: is the source an ancestor of the
    target, over whatever genes?

    edges: source, target, weight (signed), as `gpovae simulate` writes them.
    """
    paths = downstream(edges, hops=len(edges))
    strength, ancestor = (
        np.zeros((len(sources), len(targets))),
        np.zeros((len(sources), len(targets)), dtype=bool),
    )
    row, column = ({name: i for i, name in enumerate(group)} for group in (sources, targets))
    for table, put in ((edges, _setter(strength)), (paths.assign(**{keys.WEIGHT: 1.0}), _setter(ancestor))):
        for source, target, weight in zip(
            table[keys.SOURCE], table[keys.TARGET], table[keys.WEIGHT], strict=True
        ):
            if source in row and target in column:
                put(row[source], column[target], weight)
    return strength, ancestor


def _setter(array: np.ndarray) -> Callable[[int, int, float], None]:
    def put(i: int, j: int, value: float) -> None:
        array[i, j] = value

    return put


def truth_scores(
    edges: pd.DataFrame,
    sources: Sequence[str],
    targets: Sequence[str],
    rankings: Mapping[str, np.ndarray],
    predicted: np.ndarray,
    signs: np.ndarray,
    counted: np.ndarray,
) -> TruthScores:
    """Against the true network of simulated cells.

    predicted: (s, t) bool, the network's edges; signs: (s, t) -1, 0, +1, its signs (0 = says none); counted:
    (s, t) bool, pairs that are judged.
    """
    strength, ancestor = true_pairs(edges, sources, targets)
    direct = (strength != 0) & counted
    called = predicted & counted
    true = called & direct & (signs != 0)
    right = np.sign(strength)[true] == signs[true]
    positive = float((strength[true] > 0).mean()) if true.any() else float("nan")
    return TruthScores(
        direct=ranking_scores(counted, direct, rankings),
        ancestors=ranking_scores(counted, ancestor & counted, rankings),
        called=Called(
            edges=int(called.sum()),
            direct=int((called & direct).sum()),
            ancestors=int((called & ancestor).sum()),
            true_edges=int(direct.sum()),
        ),
        signs=Signs(
            edges=int(true.sum()),
            right=float(right.mean()) if len(right) else float("nan"),
            one_sign_for_all=max(positive, 1 - positive) if true.any() else float("nan"),
        ),
    )
