"""What is said of a network: scores of its edges, of rankings at equal numbers of edges, by path length, and
against known and true networks.

Row = source (perturbed gene), column = target (measured gene). Distances are 1-Wasserstein distances of
log(1 + counts per 10,000); shares, rates and areas lie between 0 and 1. None = not defined (no edges, no
cells) or, in runs of an earlier version, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from gpovae_core.evaluation.plain import Inline, Key, Part

Number = float | None
Count = int | None


@dataclass(frozen=True)
class EdgeScore:
    """Scores of a set of pairs. mu_wd: mean Wasserstein distance; bh_share, raw_share: share with a
    significant adjusted, and raw, p of Mann and Whitney's test.
    """

    mu_wd: Number
    bh_share: Number
    raw_share: Number


@dataclass(frozen=True)
class RandomEdges:
    """Expectation over networks with as many edges, and its standard deviation over such networks."""

    mu_wd: Number
    bh_share: Number
    raw_share: Number
    mu_wd_sd: Number
    bh_share_sd: Number
    raw_share_sd: Number


@dataclass(frozen=True)
class SameEdges:
    """As many pairs as W has edges. random: drawn; methods: key of a method -> the pairs it ranks first."""

    random: RandomEdges
    methods: Inline[Mapping[str, EdgeScore]]


@dataclass(frozen=True)
class TopScores:
    """The `edges` strongest pairs by every method that is scored there; "random" is the expectation."""

    edges: Count
    methods: Inline[Mapping[str, EdgeScore]]


@dataclass(frozen=True)
class Rankings:
    """The strongest pairs on the held-out cells as measured, and with each perturbation's cells scaled by the
    common lift of all shares that its training cells showed.
    """

    as_measured: tuple[TopScores, ...]
    without_common_lift: tuple[TopScores, ...]


@dataclass(frozen=True)
class FalseEdgeRate:
    """With W above `threshold`: edges of perturbed genes, and the estimated share of them that join genes
    without any effect.
    """

    threshold: Number
    edges: Count
    estimated_false_edge_rate: Number


@dataclass(frozen=True)
class StageScores:
    """What only a run with a network stage can say. false_edges: estimated share of false edges by
    threshold; rankings: the strongest pairs; common_lift: gene -> log fold change of
    all shares when it is perturbed, in the training cells; lift_by_network: correlation of that with the lift
    that the network's changes bring about; depth_without: gene -> its share of the controls' counts, of those
    genes that controls for the false edges were drawn without (effects.draws), the largest first;
    lift_unclear: genes that move most of the others, so that no common lift can be told (effects.centre).
    """

    false_edges: Part[tuple[FalseEdgeRate, ...]] = None
    rankings: Part[Rankings] = None
    common_lift: Part[Mapping[str, Number]] = None
    lift_by_network: Number = None
    depth_without: Part[Mapping[str, Number]] = None
    lift_unclear: Part[tuple[str, ...]] = None


@dataclass(frozen=True)
class Curve:
    """A ranking at every number of edges, one value each. mu_wd, bh_share, raw_share: of the best k pairs;
    left_out: share of raw p below the level among all others.
    """

    mu_wd: Part[tuple[Number, ...]] = None
    bh_share: Part[tuple[Number, ...]] = None
    raw_share: Part[tuple[Number, ...]] = None
    left_out: Part[tuple[Number, ...]] = None

    def at(self, measure: str, place: int) -> Number:
        """The value of a measure at the number of edges in that place; None where there is none."""
        values = getattr(self, measure) or ()
        return values[place] if place < len(values) else None


@dataclass(frozen=True)
class OmissionCurve:
    """W cut at every number of edges. rate: share of raw p below the level among the `pairs` without a short
    path.
    """

    rate: tuple[Number, ...]
    pairs: tuple[Count, ...]


@dataclass(frozen=True)
class Matched:
    """Methods at equal numbers of `edges`. as_measured, without_common_lift: key of a method -> its curve,
    see `Rankings`; "random" is an expectation and "bound" the best that any ranking could do.
    """

    edges: tuple[Count, ...]
    as_measured: Mapping[str, Curve]
    without_common_lift: Part[Mapping[str, Curve]] = None
    omission: Part[OmissionCurve] = None

    @property
    def references(self) -> dict[str, Mapping[str, Curve]]:
        """The pair tests there are, by name."""
        found = {"as_measured": self.as_measured, "without_common_lift": self.without_common_lift}
        return {name: curves for name, curves in found.items() if curves is not None}


@dataclass(frozen=True)
class PairMeasures:
    """`Curve` at one number of pairs."""

    mu_wd: Number = None
    bh_share: Number = None
    raw_share: Number = None
    left_out: Number = None


@dataclass(frozen=True)
class PairScores:
    """Pairs at a path length. true and false positives: raw p, and adjusted p (bh), below the level or
    not.
    """

    pairs: Count
    mu_wd: Number
    raw_share: Number
    bh_share: Number
    true_positives: Count
    false_positives: Count
    bh_true_positives: Count
    bh_false_positives: Count


@dataclass(frozen=True)
class WithinScores(PairScores):
    """Pairs with a path of at most that length. omission: share of raw p below the level among the
    `omission_pairs` others.
    """

    omission: Annotated[Number, Key("for")] = None
    omission_pairs: Annotated[Count, Key("for_pairs")] = None


@dataclass(frozen=True)
class HopScores:
    """A path length. exactly: pairs whose shortest path has so many edges; within: at most so many;
    influence, ceiling, random: as many pairs as `within`, ranked by T over so many hops, by the same measure
    in the training cells, and drawn.
    """

    hops: Count
    exactly: PairScores
    within: WithinScores
    influence: PairMeasures
    ceiling: PairMeasures
    random: PairMeasures


@dataclass(frozen=True)
class RankingScore:
    """How a ranking finds true pairs. auprc: area under precision and recall; early_precision: share of true
    ones among the first k, k = how many there are; ratios: over the prevalence, 1 = chance.
    """

    auprc: Number
    auprc_ratio: Number
    early_precision: Number
    early_ratio: Number


@dataclass(frozen=True)
class ShuffledScore(RankingScore):
    """The same beside references shuffled at the same degrees: mean and standard deviation of their area, p =
    (1 + shuffles at least as good) / (1 + shuffles).
    """

    null_auprc: Number = None
    null_sd: Number = None
    p: Number = None


@dataclass(frozen=True)
class TrueScores:
    """Rankings against true pairs: how many there are, among how many, their share, key of a method -> its
    scores.
    """

    edges: Count
    pairs: Count
    prevalence: Number
    rankings: Mapping[str, RankingScore]


@dataclass(frozen=True)
class ReferenceScores:
    """Rankings against a network known from elsewhere. listed: its edges; sources: how many of its sources
    the cells have; edges, pairs: what it lists among the pairs that it could have listed; null_controls: area
    under precision and recall of the mean difference where training controls stand in the place of perturbed
    cells, which know of no edge (mean over draws).
    """

    name: str
    directed: bool | None
    listed: Count
    sources: Count
    edges: Count
    pairs: Count
    prevalence: Number
    rankings: Mapping[str, ShuffledScore]
    shuffles: Count
    null_controls: Part[float] = None


@dataclass(frozen=True)
class Called:
    """Edges of the network that were judged; direct, ancestors: how many of them are true edges, and join at
    least an ancestor; true_edges: how many true ones there are.
    """

    edges: Count
    direct: Count
    ancestors: Count
    true_edges: Count


@dataclass(frozen=True)
class Signs:
    """Of `edges` true edges called with a sign: the share of right ones, and what one sign for all would
    get.
    """

    edges: Count
    right: Number
    one_sign_for_all: Number


@dataclass(frozen=True)
class TruthScores:
    """Against the true network of simulated cells: direct edges, and ancestors over any number of hops."""

    direct: TrueScores
    ancestors: TrueScores
    called: Called
    signs: Signs


@dataclass(frozen=True)
class Network:
    """A network against held-out cells.

    threshold: W above it is an edge, None where every edge of a table counts; edges: among the `pairs` that
    could be tested (perturbed source, measured target); true and false positives: edges with raw, and
    adjusted (bh), p below the level or not; omission: false omission rate, share of raw p below the level
    among the `omission_pairs` pairs without a short path; for_any_pair, for_ceiling: the same among all
    pairs, which is what a network without an edge scores, and among as many as the training cells rank last;
    for_null_controls: among all pairs with held-out controls in the place of perturbed cells, about the
    level; estimated_false_edge_rate: of the edges of perturbed genes at the threshold, those that join genes
    without any effect, None where unknown; edges_total, self_loops: in the whole network. A part is None
    where it was not measured: `stage` without a network stage, `truth` but for simulated cells.
    """

    threshold: Number
    edges: Count
    pairs: Count
    mu_wd: Number
    bh_share: Number
    raw_share: Number
    omission: Annotated[Number, Key("for")] = None
    omission_pairs: Annotated[Count, Key("for_pairs")] = None
    true_positives: Count = None
    false_positives: Count = None
    bh_true_positives: Count = None
    bh_false_positives: Count = None
    at_same_edges: Part[SameEdges] = None
    for_any_pair: Number = None
    for_ceiling: Number = None
    for_null_controls: Part[float] = None
    estimated_false_edge_rate: Number = None
    edges_total: Count = None
    self_loops: Count = None
    stage: Inline[StageScores | None] = None
    matched: Part[Matched] = None
    hops: Part[tuple[HopScores, ...]] = None
    references: Part[tuple[ReferenceScores, ...]] = None
    truth: Part[TruthScores] = None

    @property
    def own(self) -> EdgeScore:
        """The edges of the network itself."""
        return EdgeScore(self.mu_wd, self.bh_share, self.raw_share)
