"""A network against held-out cells: its edges, every method at equal numbers of edges, path lengths, known
networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gpovae_core.config import EvaluationSettings
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.pairs import PairStatistics
from gpovae_core.evaluation.held_out import pairs_without_lift
from gpovae_core.evaluation.known import Known, reference_scores, truth_scores
from gpovae_core.evaluation.matched import HOPS, edge_counts, edge_curves, hop_table, omission_curve
from gpovae_core.evaluation.network import Tested, network_scores, reachable, score_edges, top_pairs
from gpovae_core.evaluation.network_scores import (
    EdgeScore,
    FalseEdgeRate,
    Matched,
    Network,
    RandomEdges,
    SameEdges,
    StageScores,
    TopScores,
)
from gpovae_core.evaluation.network_scores import Rankings as TopRankings
from gpovae_core.evaluation.relabelled import null_differences, null_omission
from gpovae_core.evaluation.response import pearson
from gpovae_core.evaluation.scored import Scored
from gpovae_core.methods import w
from gpovae_core.methods.expected import common_lift
from gpovae_core.methods.false_edges import false_edge_rate, false_edges
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.influence import reach
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.registry import Rankings

TOPS = (50, 100)


@dataclass(frozen=True)
class Edges:
    """A network that is judged. adjacency: (n, n) bool in panel order, row = source; threshold: that made
    it.
    """

    adjacency: np.ndarray
    threshold: float | None


@dataclass(frozen=True)
class Judges:
    """What a network is judged by and beside. pairs: the held-out tests; inputs, rankings: of the methods, on
    the same pairs.
    """

    pairs: PairStatistics
    inputs: Inputs
    rankings: Rankings
    settings: EvaluationSettings

    @property
    def significance(self) -> float:
        return self.settings.significance


def score_run_network(
    scored: Scored,
    judges: Judges,
    known: Known,
    progress: Progress | None = None,
) -> Network:
    """Everything that is said of W; progress: told what is being scored and the share of all scoring that is
    done.
    """
    tell(progress, "the network", 0.8)
    network = score_network(Edges(scored.adjacency, scored.threshold), judges, progress)
    references = {"as_measured": judges.pairs}
    if scored.fit is not None and scored.weights is not None:
        doing = stretch(progress, 0.82, 0.86, "testing pairs of genes: {}")
        references["without_common_lift"] = pairs_without_lift(scored.prepared, scored.fit, doing)
        rate = float(false_edge_rate(scored.fit, scored.weights, scored.threshold)[0])
        stage = _stage(scored, scored.fit, references, judges)
        network = replace(network, stage=stage, estimated_false_edge_rate=rate)
    tell(progress, "as many edges of every method", 0.86)
    matched = score_matched(references, judges, network.edges or 0)
    tell(progress, "what no path joins", 0.88)
    omission = omission_curve(
        judges.pairs,
        w.ordered(judges.inputs),
        judges.inputs.places,
        [count for count in matched.edges if count is not None],
        judges.settings.omission_hops,
        judges.significance,
    )
    hops = hop_table(
        judges.pairs,
        scored.adjacency,
        [reach(judges.inputs, hops) for hops in HOPS],
        judges.rankings.ceilings(),
        judges.inputs.places,
        judges.significance,
    )
    network = replace(network, matched=replace(matched, omission=omission), hops=hops)
    tell(progress, "known networks", 0.9)
    return _beside_known(network, scored, judges, known)


def score_network(edges: Edges, judges: Judges, progress: Progress | None = None) -> Network:
    """The edges, beside random ones and those that the methods rank first, as many of each."""
    pairs, (rows, columns) = judges.pairs, judges.inputs.places
    linked = reachable(edges.adjacency, rows, judges.settings.omission_hops)[:, columns]
    tested = network_scores(
        pairs,
        edges.adjacency[np.ix_(rows, columns)],
        linked,
        judges.rankings.scored_in("same_edges"),
        judges.significance,
    )
    self_loops = int(np.diag(edges.adjacency).sum())
    tell(progress, "the network: controls in the place of perturbed cells", 0.81)
    null = null_omission(judges.inputs, pairs, judges.significance, judges.settings.seed)
    return Network(
        threshold=edges.threshold,
        edges=tested.edges,
        pairs=tested.pairs,
        **vars(tested.score),
        omission=tested.omission,
        omission_pairs=tested.omission_pairs,
        true_positives=tested.true_positives,
        false_positives=tested.false_positives,
        bh_true_positives=tested.bh_true_positives,
        bh_false_positives=tested.edges - tested.bh_true_positives,
        at_same_edges=_same_edges(tested),
        for_any_pair=score_edges(pairs, pairs.evaluated, judges.significance).raw_share,
        for_ceiling=_least_omission(judges, tested.omission_pairs),
        for_null_controls=null,
        edges_total=int(edges.adjacency.sum()) - self_loops,
        self_loops=self_loops,
    )


def score_matched(references: Mapping[str, PairStatistics], judges: Judges, own: int) -> Matched:
    """Every method at every number of edges, `own` among them, against each of `references`."""
    counts = edge_counts(references["as_measured"], own)
    rankings = judges.rankings.scored_in("curves")
    curves = {
        name: edge_curves(pairs, rankings, counts, judges.significance) for name, pairs in references.items()
    }
    return Matched(
        edges=tuple(counts),
        as_measured=curves["as_measured"],
        without_common_lift=curves.get("without_common_lift"),
    )


def _same_edges(tested: Tested) -> SameEdges:
    random, spread = tested.random, tested.random_spread
    return SameEdges(
        random=RandomEdges(
            **vars(random),
            mu_wd_sd=spread.mu_wd,
            bh_share_sd=spread.bh_share,
            raw_share_sd=spread.raw_share,
        ),
        methods=tested.ranked,
    )


def _least_omission(judges: Judges, omitted: int) -> float | None:
    """Share of raw p below the level among as many pairs as the network omits, taking those that the training
    cells rank last; None where they could not be ranked.
    """
    pairs, again = judges.pairs, judges.rankings.ceilings().get("left_out")
    if again is None:
        return None
    rest = pairs.evaluated & ~top_pairs(pairs, again, int(pairs.evaluated.sum()) - omitted)
    return score_edges(pairs, rest, judges.significance).raw_share


def _stage(
    scored: Scored, fit: NetworkFit, references: Mapping[str, PairStatistics], judges: Judges
) -> StageScores:
    """What the network stage knows of its own errors, and the strongest pairs with and without the lift."""
    assert scored.weights is not None
    rankings = judges.rankings.scored_in("top")
    return StageScores(
        false_edges=tuple(
            FalseEdgeRate(
                threshold=float(row["threshold"]),
                edges=int(row["edges"]),
                estimated_false_edge_rate=float(row["estimated_false_edge_rate"]),
            )
            for row in false_edges(fit, scored.weights).to_dict("records")
        ),
        rankings=TopRankings(
            **{name: _tops(pairs, rankings, judges.significance) for name, pairs in references.items()}
        ),
        common_lift=fit.lifts(scored.prepared.panel),
        lift_by_network=_lift_agreement(fit, scored.prepared),
        depth_without=genes_left_out(fit, scored.prepared),
        lift_unclear=tuple(scored.prepared.panel.genes[int(i)] for i in fit.lift_unclear) or None,
    )


def genes_left_out(fit: NetworkFit, prepared: PreparedCells) -> dict[str, float] | None:
    """`StageScores.depth_without`, None without any."""
    names = np.sort(prepared.cells.var_names.to_numpy(dtype=str))
    return {str(names[int(place)]): float(share) for place, share in fit.depth_without} or None


def _tops(
    pairs: PairStatistics, rankings: Mapping[str, np.ndarray], significance: float
) -> tuple[TopScores, ...]:
    """One entry per number of edges in TOPS that the pairs allow, with what random pairs give."""
    total = int(pairs.evaluated.sum())

    def top(edges: int) -> dict[str, EdgeScore]:
        return {
            "random": score_edges(pairs, pairs.evaluated, significance),
            **{
                name: score_edges(pairs, top_pairs(pairs, ranking, edges), significance)
                for name, ranking in rankings.items()
            },
        }

    return tuple(TopScores(edges, top(edges)) for edges in TOPS if edges <= total)


def _lift_agreement(fit: NetworkFit, prepared: PreparedCells) -> float:
    """Correlation over perturbations of the observed common lift with the one that the network's changes
    bring about; NaN below three.
    """
    known = np.isfinite(fit.shift)
    if known.sum() < 3:
        return float("nan")
    return pearson(fit.shift[known], common_lift(fit, prepared)[known])


def _beside_known(network: Network, scored: Scored, judges: Judges, known: Known) -> Network:
    """The same with its scores against known networks and, for simulated cells, the truth."""
    pairs, rankings = judges.pairs, judges.rankings.scored_in("known")
    null = null_differences(judges.inputs, judges.settings.seed) if known.references else []
    references = tuple(
        reference_scores(one, pairs.sources, pairs.targets, rankings, null=null, seed=judges.settings.seed)
        for one in known.references
    )
    if known.truth is None:
        return replace(network, references=references)
    truth = truth_scores(
        known.truth,
        pairs.sources,
        pairs.targets,
        rankings,
        judges.inputs.of_pairs(scored.adjacency),
        w.signs(judges.inputs),
        pairs.evaluated,
    )
    return replace(network, references=references, truth=truth)
