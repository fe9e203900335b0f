"""What scores say in sentences, plain text: for commands, pages and reports alike."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gpovae_core.data.decisions import Decision
from gpovae_core.data.effect_tables.report import EffectReport
from gpovae_core.data.kinds import KNOCK_OUT, TOLD
from gpovae_core.data.schema import Directions, Dropped, PreparationReport
from gpovae_core.data.wording import counted
from gpovae_core.evaluation.listing import listed
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.evaluation.predictions import PREDICTIONS, TITLES, UNSEEN
from gpovae_core.evaluation.scores import EffectScores, Evaluation, Line, UnseenProtocol
from gpovae_core.evaluation.summary import RESPONSE, lines, passes_ceiling, plain_name
from gpovae_core.methods import registry
from gpovae_core.reporting.notes import once
from gpovae_core.reporting.tables import MAIN_SCORES, UNSEEN_PARTS, UNSEEN_SCORES
from gpovae_core.reporting.words import count, number, percent, share

SHARE_IN_WORDS = (
    "Share of the achievable: 0 % at the baseline, 100 % at the ceiling. The ceiling of predicted effects "
    "is what the true effects would score against measurements as noisy as these; that of the network is "
    "the ranking by the same test in the training cells, which a model that smooths out noise may pass. "
    "Not defined where baseline and ceiling are too close, or no ceiling is known."
)
CURVES_IN_WORDS = (
    "Mean distance and the share of significant pairs fall with the number of edges almost whatever the "
    "method, so only values above the same number can be compared. 'Best possible' ranks by the held-out "
    "cells themselves, their noise included: nothing can lie above it."
)
FALSE_IN_WORDS = (
    "False: perturbing the source does not change the target at all, judged by control cells in the place "
    "of perturbed ones. Whether an effect is direct, controls cannot tell."
)
GROUPS = {  # {}: held-out cells, guides, ...
    "response": "Predicted effects on {}",
    "network": "Network against {}",
    "references": "Known networks",
    "truth": "The true network",
}
LIFT = {"as_measured": "as measured", "without_common_lift": "without the common lift of all shares"}
"""The pair tests of a network, for reading."""
LEAST_LIFT = 0.01
"""A common lift that is not said in numbers, as it would be none in whole percent."""


def scores_in_words(evaluation: Evaluation) -> str:
    """All scores for reading, line by line: every number beside its baselines, its ceiling and its edge
    count.
    """
    found = [f"Held out: {held_out_in_words(evaluation)}"]
    held_out = evaluation.held_out_words
    for reference, words in (("test", held_out), ("all", "all cells, the model's own included")):
        found += _effect_lines(evaluation.against(reference), words)
    if evaluation.network is not None:
        found += _network_lines(evaluation.network)
    found.append(intervals_in_words(evaluation))
    health = evaluation.health
    if health is not None:
        found.append(f"Latent dimensions in use: {count(health.active_latent)} of {count(health.latent)}")
        found += [f"Warning: {text}" for text in health.warnings or ()]
    in_short = [words for words in (in_one_sentence(evaluation),) if words]
    notes = [f"Note: {text}" for text in once(evaluation.notes)]
    return "\n".join([*found, *in_short, *verdicts(evaluation), *notes])


def predictions_in_short(evaluation: Evaluation) -> str:
    """How near predicted effects come to held-out ones, beside baseline and ceiling; "" where that was not
    measured.
    """
    rho = evaluation.against("test").by_prediction("ate_rho")
    if rho.get("model") is None:
        return ""
    beside = [
        f"{words} {number(rho[key])}"
        for key, words in (("train_mean", "baseline, the training mean:"), ("ceiling", "ceiling:"))
        if rho.get(key) is not None
    ]
    return f"Predicted effects: correlation with {evaluation.held_out_words} {number(rho['model'])}" + (
        f" ({'; '.join(beside)})." if beside else "."
    )


_CLAIMS = {
    "response": "at predicting what these perturbations do",
    "network": "at listing which genes change",
}
"""Group of scores -> at what the model is judged by them."""
AHEAD, LEVEL, BEHIND = "better than", "no better than", "worse than"
_NEAR = 0.01
"""Correlations, or shares, that differ by less are called level."""


def in_one_sentence(evaluation: Evaluation, strong: str = "") -> str:
    """What the model is good for and what not, for whoever knows no score, every number beside what needs no
    model; "" where nothing of it was measured. strong: what stands around the words that judge, as "**".
    """
    numbers = {"response": _correlations(evaluation), "network": _edges_that_show(evaluation)}
    claims = [
        (standing, f"{claim} ({numbers[group]})")
        for group, claim in _CLAIMS.items()
        if numbers[group] and (standing := _standing(evaluation, group)) is not None
    ]
    if not claims:
        return ""
    (first, told), *others = claims
    words = f"{strong}{first}{strong} methods without a model {told}"
    for standing, more in others:
        joint = "but" if (standing == AHEAD) != (first == AHEAD) else "and"
        words += f", {joint} {strong}{standing}{strong} them {more}"
    return f"This model is {words}."


def _standing(evaluation: Evaluation, group: str) -> str | None:
    """Of the first score of a group that a reader would ask for, beside the best method without a model; one
    that is ahead there and behind on most others is level.
    """
    found = {line.key: line for line in lines(evaluation)}
    line = found.get({"response": "ate_rho", "network": "bh_share"}[group])
    if line is None or line.value is None or line.rival is None:
        return None
    if abs(line.value - line.rival) < _NEAR:
        return LEVEL
    beats = [one.beats for one in found.values() if one.group == group and one.beats is not None]
    most = 2 * sum(beats) > len(beats)
    return LEVEL if most != line.beats else AHEAD if line.beats else BEHIND


def _correlations(evaluation: Evaluation) -> str:
    """'correlation with held-out cells 0.47; the plain mean of the training cells: 0.42; ...'; "" where that
    was not measured.
    """
    line = next((one for one in lines(evaluation) if one.key == "ate_rho"), None)
    if line is None or line.value is None or line.rival is None:
        return ""
    rival = (
        "the plain mean of the training cells" if line.rival_name == TITLES["train_mean"] else line.rival_name
    )
    words = f"correlation with {evaluation.held_out_words} {number(line.value, 2)}; {rival}: "
    words += number(line.rival, 2)
    if line.ceiling is None:
        return words
    return f"{words}; about the most that cells as noisy as these allow: {number(line.ceiling, 2)}"


def _edges_that_show(evaluation: Evaluation) -> str:
    """'26 % of its 131 edges that can be tested show a significant effect in held-out cells; of as many pairs
    by ...'; "" where that was not measured.
    """
    network = evaluation.network
    line = next((one for one in lines(evaluation) if one.key == "bh_share"), None)
    if network is None or line is None or line.value is None or line.rival is None:
        return ""
    words = (
        f"{share(line.value)} of its {count(network.edges)} edges that can be tested show a significant "
        f"effect in {evaluation.held_out_words}; of as many pairs ranked by {line.rival_name}: "
        f"{share(line.rival)}"
    )
    return words if line.baseline is None else f"{words}; of random pairs: {share(line.baseline)}"


def shares_in_words(shown: Sequence[Line]) -> list[str]:
    """What is not as a reader of the shares of the achievable would expect it, each with its reason: above
    the ceiling, without another method, not drawn. shown: all lines of a run.
    """
    above = [
        f"{plain_name(line)}, {name} ({share(part)}: {number(value)}, ceiling {number(line.ceiling)})"
        for line in shown
        for name, value, part in (
            ("this run", line.value, line.share),
            (line.rival_name, line.rival, line.rival_share),
        )
        if passes_ceiling(part)
    ]
    known = [line for line in shown if line.share is not None]
    alone = [plain_name(line) for line in known if line.rival_share is None]
    missing = [plain_name(line) for line in shown if line.share is None]
    told = (
        (
            above,
            "Above 100 %: {}. A ceiling is an estimate with an error of its own, so read a share above it as "
            "at the ceiling.",
        ),
        (
            alone,
            "Without a mark of another method: {}. Other methods only rank pairs, without paths and signs, "
            "so they have no such score.",
        ),
        (missing, "Not drawn, as no ceiling is known or it is too near the baseline: {}."),
    )
    return [words.format("; ".join(names)) for names, words in told if names]


def rows_in_words(shown: Sequence[Line]) -> list[tuple[str, str]]:
    """Every row of the shares of the achievable, and what it is: the name of the score, its meaning, and on
    what it rests.
    """
    return [(plain_name(line), f"{line.name}: {line.meaning} ({line.amount})") for line in shown]


W_IN_WORLDS = ((0.5, 0.8, 0.74), (0.8, 0.95, 0.86), (0.95, 0.99, 0.92), (0.99, 1.0, 0.95))
"""From, to, and the share of edges with such a W that were direct, in the worlds of other simulators
together: docs/results.md, "What W has meant".
"""
BEFORE_RESTS = ((0.5, 0.8, 0.48), (0.8, 0.95, 0.66), (0.95, 0.99, 0.67), (0.99, 1.0, 0.92))
"""The same of runs whose W does not count rests (methods.leftover): the twelve given worlds."""


def w_in_words(weight: float, rests: bool | None) -> str:
    """What a W of about this has meant where the truth is known. weight: W of an edge, or a threshold; rests:
    whether W counts them, None of a run without a network stage.
    """
    if rests is None:
        return "What a W of this preset means was not measured where the truth is known."
    ranges = W_IN_WORLDS if rests else BEFORE_RESTS
    low, high, direct = next((one for one in reversed(ranges) if one[0] <= weight), (0.0, 0.0, 0.0))
    if not high:
        return "What a W below 0.5 means was not measured where the truth is known."
    told = "Of" if rests else "W of this older run is no probability: of"
    return (
        f"{told} edges with W from {low:g} to {high:g}, {100 * direct:.0f} % were direct in simulated worlds "
        "whose truth is known (other simulators than ours; docs/results.md); nearly all others had a path."
    )


def intervals_in_words(evaluation: Evaluation | None) -> str:
    """What the intervals around predicted effects are, and how many effects they held."""
    found = None if evaluation is None else evaluation.intervals
    if found is None or found.factor is None:
        return (
            "Intervals are the model's own spread, 1.96 standard deviations over its draws. They were not "
            "calibrated for this run, and hold fewer measured effects than 95 %."
        )
    words = (
        f"Intervals: 1.96 standard deviations over the model's own draws, times {found.factor:.1f}, the "
        f"factor with which they hold at least 95 % of {count(found.pairs)} effects in validation cells (the "
        "strongest predicted ones of each perturbation; the error of the measurement added)"
    )
    if found.held is None:
        return f"{words}."
    words = (
        f"{words}. In held-out cells they hold {share(found.held)} of {count(found.held_out_pairs)}; the "
        f"model's own spread alone holds {share(found.held_by_model)}."
    )
    if found.largest_held is None:
        return words
    return (
        f"{words} Of the {count(found.largest_pairs)} largest measured effects of the perturbations they "
        f"hold {share(found.largest_held)}, and as they are drawn, without the error of the measurement, "
        f"{share(found.largest_held_as_drawn)}: the largest measured are in part the most exaggerated. "
        "All of this was counted in differences of mean log2(counts per 10,000 + 1)."
    )


def intervals_in_short(evaluation: Evaluation | None) -> str:
    """How much the intervals held, in a line; "" where that was not measured."""
    found = None if evaluation is None else evaluation.intervals
    if found is None or found.held is None or found.largest_held is None:
        return ""
    return (
        f"Intervals as drawn held {share(found.largest_held_as_drawn)} of the largest effects measured in "
        f"held-out cells, not 95 %; with the error of the measurement {share(found.largest_held)}, and "
        f"{share(found.held)} of the strongest predicted."
    )


def responders_in_words(evaluation: Evaluation | None, perturbation: str) -> str:
    """Share of the cells of a perturbation, and of its guides, that respond; "" where it was not measured."""
    rows = [
        one for one in (evaluation.responders or () if evaluation else ()) if one.perturbation == perturbation
    ]
    whole = next((one for one in rows if one.guide is None), None)
    if whole is None:
        return ""
    if whole.share is None:
        return (
            "Responding cells: cannot be told, its cells are not apart enough from controls along its own "
            "effect."
        )
    words = (
        f"Responding cells: {share(whole.share)} of {count(whole.cells)} training cells (95 % "
        f"interval {share(whole.low)} to {share(whole.high)})"
    )
    guides = [
        f"{one.guide} {share(one.share)}" for one in rows if one.guide is not None and one.share is not None
    ]
    return f"{words}; by guide: {', '.join(guides)}." if guides else f"{words}."


def states_in_words(evaluation: Evaluation | None, perturbation: str) -> str:
    """Whether a perturbation moves cells between states; "" where it does not, as far as can be seen."""
    states = None if evaluation is None else evaluation.states
    rows = () if states is None else states.perturbations or ()
    found = next((one for one in rows if one.perturbation == perturbation and one.flagged), None)
    if found is None:
        return ""
    return (
        f"{perturbation} moves cells between states: {share(found.share)} of its cells are in the rarer of "
        f"two states that controls show, of the controls {share(found.control_share)} (apart by "
        f"{number(abs(found.z or 0), 1)} standard errors). Every gene that differs between the states "
        "changes by that alone, so edges out of it may be no regulation."
    )


_HELD_OUT = {
    "cells": (
        "cells drawn at random from every perturbation. Other cells of the same guides and batches were "
        "learned from, so the scores say nothing of another guide of the same gene, or another donor."
    ),
    "guides": (
        "whole guides. Other guides of the same perturbations were learned from; controls were drawn cell by "
        "cell."
    ),
    "donors": "all cells of some donors, controls among them. Other donors were learned from.",
    "batches": "all cells of some batches, controls among them. Other batches were learned from.",
}


def held_out_in_words(evaluation: Evaluation) -> str:
    """Which kind of held-out the scores are measured on, for reading."""
    found = evaluation.held_out
    kind = "cells" if found is None or found.kind not in _HELD_OUT else found.kind
    if kind == "cells":
        return _HELD_OUT[kind]
    words = (
        f"{_HELD_OUT[kind]} The ceilings know the noise between cells, not what {kind} disagree on, and can "
        "lie higher than anything could reach."
    )
    if found is not None and found.by_cells:
        words += f" Split cell by cell, for want of other {kind}: {listed(found.by_cells)}."
    return words


def _effect_lines(scores: EffectScores, words: str) -> list[str]:
    found = [f"Effects, {words} ({count(scores.perturbations)} perturbations, {count(scores.cells)} cells):"]
    for score in MAIN_SCORES:
        values = scores.by_prediction(score)
        shown = [f"{title} {number(values[key])}" for key, title in TITLES.items() if key in values]
        if shown:
            found.append(f"  {RESPONSE[score][0]}: {', '.join(shown)}")
    return found if len(found) > 1 else []


def _network_lines(network: Network) -> list[str]:
    cut = "listed edges" if network.threshold is None else f"threshold {network.threshold:g}"
    found = [f"Network, {cut}: {count(network.edges)} edges of {count(network.pairs)} testable pairs"]
    same = network.at_same_edges
    for key, words in (
        ("mu_wd", "mean Wasserstein distance"),
        ("bh_share", "share with BH p below the level"),
    ):
        others = {} if same is None else {"random": same.random, **same.methods}
        beside = ", ".join(
            f"{registry.title(method)} {number(getattr(score, key))}" for method, score in others.items()
        )
        own = f"  {words} {number(getattr(network, key))}"
        found.append(f"{own} (same number of edges: {beside})" if beside else own)
    found.append(
        f"  false omission rate {number(network.omission)} over {count(network.omission_pairs)} pairs "
        f"without a path (network without an edge: {number(network.for_any_pair)}; relabelled controls: "
        f"{number(network.for_null_controls)})"
    )
    return found + _stage_lines(network)


def _stage_lines(network: Network) -> list[str]:
    """What the network stage knows of its errors, and the strongest pairs by every method."""
    stage = network.stage
    if stage is None:
        return []
    rate = network.estimated_false_edge_rate
    share_of = "unknown" if rate is None else f"{number(rate)} (no effect at all; from controls)"
    found = [f"  estimated share of false edges {share_of}"]
    found += [f"  {words}" for words in (depth_in_words(network), unclear_lift_in_words(network)) if words]
    for reference, title in LIFT.items():
        for entry in () if stage.rankings is None else getattr(stage.rankings, reference):
            scores = ", ".join(
                f"{registry.title(method)} {number(score.bh_share)} / {number(score.mu_wd)}"
                for method, score in entry.methods.items()
            )
            found.append(f"  top {count(entry.edges)}, {title}, BH share / mean Wasserstein: {scores}")
    return found


def verdicts(evaluation: Evaluation) -> list[str]:
    """What the numbers say, a line per group: wins and losses against the strongest method without a model,
    and what follows for whoever wants to use them.
    """
    sentences = []
    for group, title, won, lost in _judged(evaluation):
        words = (
            f"{title}: better than the best method without a model on {len(won)} of {len(won) + len(lost)} "
            "scores"
        )
        if won and lost:  # the shorter list says it all
            names = "; ".join(plain_name(line) for line in (won if len(won) <= len(lost) else lost))
            words += f" ({names})" if len(won) <= len(lost) else f" (not on: {names})"
        sentences.append(f"{words}. {_what_follows(evaluation, group, won, lost)}")
    return sentences


def verdicts_in_short(evaluation: Evaluation) -> list[str]:
    """On how many scores a run is better than what needs no model, and what follows for whoever wants to use
    it.
    """
    judged = _judged(evaluation)
    counts = [f"{title}, {len(won)} of {len(won) + len(lost)}" for _, title, won, lost in judged]
    better = f"Scores better than the best method without a model: {'; '.join(counts)}." if counts else ""
    follows = [_what_follows(evaluation, group, won, lost) for group, _, won, lost in judged]
    return [words for words in (better, " ".join(follows)) if words]


def _judged(evaluation: Evaluation) -> list[tuple[str, str, list[Line], list[Line]]]:
    """Group of scores, its title, those won and those lost against the strongest method without a model."""
    found, judged = lines(evaluation), []
    for group, title in GROUPS.items():
        won, lost = (
            [line for line in found if line.group == group and line.beats is beats] for beats in (True, False)
        )
        if won or lost:
            judged.append((group, title.format(evaluation.held_out_words), won, lost))
    return judged


_RANKED_FOR = {
    "network": "pairs that change in held-out cells",
    "references": "edges that these networks list",
    "truth": "the true edges",
}
"""Group of scores -> what a ranking is judged by there."""
_TAKEN = tuple(one.key for one in PREDICTIONS if one.role != "ceiling")
"""Predictions that a reader may take, the model's first: of two that score alike it is named."""


def _what_follows(evaluation: Evaluation, group: str, won: Sequence[Line], lost: Sequence[Line]) -> str:
    """What to use, by the scores of a group on which the model leads and those on which another one does."""
    rivals = [name for name, _ in Counter(line.rival_name for line in lost).most_common()]
    if group == "response":
        return _predictions_to_take(evaluation)
    what = _RANKED_FOR[group]
    if not rivals:
        return f"To find {what}, rank by W or T_K."
    best = " or ".join(rivals[:2])
    told = (
        f"To find {what}, rank by W or T_K where they lead, else by {best}."
        if won
        else f"To find {what}, rank by {best}, not by W or T_K."
    )
    return f"{told} Which changes are direct these scores cannot say." if group == "network" else told


_LEADS = {
    "model": "the model alone",
    "calibrated": "the model with training mean (the average of both, weighed by how sure the mean is)",
}
"""Key of a prediction -> its name where it leads; of others their title."""


def _predictions_to_take(evaluation: Evaluation) -> str:
    """Which prediction leads on most scores, and which on most of the others; those of fewer perturbations
    than the model's are not asked.
    """
    part = evaluation.against("test")
    compared = part.compared or {}
    taken = [key for key in _TAKEN if (compared.get(key) or 0) >= (compared.get("model") or 0)]
    leads: Counter[str] = Counter()
    for score in RESPONSE:
        values = part.by_prediction(score)
        known = {key: value for key in taken if (value := values.get(key)) is not None}
        if known:
            leads[max(known, key=known.__getitem__)] += 1
    whole = leads.total()
    (first, most), *others = leads.most_common()
    told = f"Of all predictions {_leading(first)} is best on most scores, {most} of {whole}"
    if not others:
        return f"{told}."
    second, times = others[0]
    return f"{told}; next {_leading(second)}, on {times}."


def _leading(key: str) -> str:
    return _LEADS.get(key, f"the {TITLES[key]}")


def effects_note(evaluation: Evaluation, reference: str) -> str:
    """What stands under a table of scores of predicted effects."""
    part = evaluation.against(reference)
    shown = {key for score in MAIN_SCORES for key in part.by_prediction(score)}
    told = [one.sentence for one in PREDICTIONS if one.key in shown and one.key != "model"]
    return " ".join(
        [
            f"{count(part.perturbations)} perturbations, {_cells(evaluation, reference)}.",
            *told,
            "Below a baseline the model adds nothing to a plain mean; at the ceiling nothing is left to gain "
            "with these data.",
        ]
    )


def _cells(evaluation: Evaluation, reference: str) -> str:
    """'1,236 held-out cells', '1,236 cells of held-out guides', '6,174 cells'."""
    cells, of = count(evaluation.against(reference).cells), evaluation.held_out_words
    if reference != "test":
        return f"{cells} cells"
    return f"{cells} {of}" if of == "held-out cells" else f"{cells} cells of {of}"


def network_note(network: Network) -> str:
    """What stands under a table of network scores: the edge count, and the false omission rate."""
    omitted = (
        "not defined, because every pair has a path"
        if network.omission is None
        else f"{number(network.omission)} of {number(network.omission_pairs)} pairs without a path"
    )
    return (
        f"W above {number(network.threshold, 2)} leaves {number(network.edges)} edges of "
        f"{number(network.pairs)} possible pairs (perturbed source, measured target, held-out cells). False "
        f"omission rate, the share of pairs without a path that do show an effect: {omitted}. The "
        "Wasserstein distance falls with the number of edges, so compare networks only at the same number."
    )


def lift_in_words(network: Network | None) -> str | None:
    """How far shares move together under single perturbations; None where not measured."""
    lifts = network.stage.common_lift if network is not None and network.stage is not None else None
    known = {gene: lift for gene, lift in (lifts or {}).items() if lift is not None}
    if not known or unclear_lift_in_words(network):
        return unclear_lift_in_words(network) or None
    gene = max(known, key=lambda name: abs(known[name]))
    lift = math.expm1(known[gene])
    size = f"{lift:+.0%}, under {gene}" if abs(lift) >= LEAST_LIFT else f"below {share(LEAST_LIFT)}"
    return (
        "Shares of all counts add up to one: where an abundant gene falls, all others rise. The largest such "
        f"common lift here is {size}. Tests take it out where it is "
        "beyond doubt; the second table takes it out of the held-out cells altogether. W speaks of genes, "
        "not of shares, and belongs to that table; T_K is scored with the lift that it predicts."
    )


def unclear_lift_in_words(network: Network | None) -> str:
    """Which perturbations move so many genes that no common lift can be told; "" where none does."""
    stage = None if network is None else network.stage
    genes = None if stage is None else stage.lift_unclear
    if not genes:
        return ""
    moves, its, it = ("moves", "its", "it") if len(genes) == 1 else ("move", "their", "them")
    return (
        f"{listed(genes)} {moves} most of the measured genes, and which of these did not change cannot be "
        f"told: all of {its} effects may be off by one common shift, edges out of {it} are uncertain, and "
        "how many edges are false is unknown. The counts of the whole transcriptome as a column of obs "
        "(size factor) would tell."
    )


def what_false_means(network: Network | None) -> str:
    """What a false edge is, and how it was judged."""
    told = FALSE_IN_WORDS, depth_in_words(network), unclear_lift_in_words(network)
    return " ".join(words for words in told if words)


def depth_in_words(network: Network | None) -> str:
    """Which genes had no say in how deep a control is; "" where all had."""
    stage = None if network is None else network.stage
    without = {} if stage is None else stage.depth_without or {}
    if not without:
        return ""
    genes = listed(f"{gene} ({share(part)} of the controls' counts)" for gene, part in without.items())
    was, it = ("was", "it") if len(without) == 1 else ("were", "one of them")
    return (
        f"{genes} {was} left out of the depth by which controls were drawn: a cell that loses {it} is "
        "shallow for that alone."
    )


def null_in_words(evaluation: Evaluation) -> str | None:
    """What relabelled controls say, for whoever is about to read W as confidence; None where not measured."""
    network = evaluation.network
    rate = network.estimated_false_edge_rate if network is not None else None
    if network is not None and rate is not None:
        rows = (network.stage and network.stage.false_edges) or ()
        judged = next((row.edges for row in rows if row.threshold == network.threshold), network.edges)
        told = (
            f"Check against noise, at the threshold of the scores: with W above "
            f"{number(network.threshold, 2)}, an estimated {percent(rate)} of the {number(judged)} edges out "
            "of perturbed genes join genes without any effect, judged by control cells in the place of the "
            "perturbed ones. Controls cannot tell whether an effect is direct."
        )
        return f"{told} {depth_in_words(network)}".strip()
    if unclear := unclear_lift_in_words(network):
        return f"Check against noise: not possible here. {unclear}"
    null = evaluation.alignment_null
    if null is None or null.real is None or null.null is None:
        return None
    return (
        f"Check against noise: the alignment alone would call {percent(null.real)} of pairs an edge, and "
        f"{percent(null.null)} where control cells are relabelled as perturbed. The closer the two, the "
        "less W above the threshold means."
    )


def unseen_in_words(found: UnseenProtocol) -> str:
    """Scores of the network's predictions of held-out perturbations, each beside its baselines."""
    told = [
        f"Whole perturbations held out, {count(found.at_once)} at a time, {count(found.draws)} draws, seed "
        f"{count(found.seed)}; the perturbed gene's own column is left out."
    ]
    for key, words in UNSEEN_PARTS.items():
        part = getattr(found, key)
        if part is None:
            continue
        told.append(f"{words} ({count(part.perturbations)}):")
        for score, label in UNSEEN_SCORES.items():
            values = getattr(part, score)
            shown = (f"{title} {number(values[key])}" for key, title in UNSEEN.items() if key in values)
            told.append(f"  {label}: {', '.join(shown)}")
    if found.screen is not None:
        weights = ", ".join(f"{name} {number(value, 2)}" for name, value in found.screen.weights.items())
        told.append(f"Weights of the parts over all perturbations of the screen: {weights}.")
    return "\n".join(told)


def unseen_verdict(found: UnseenProtocol) -> str:
    """What to make of predictions of unseen perturbations, in one sentence."""
    part = found.pooled
    rho, error = ({}, {}) if part is None else (part.rho, part.rmse)
    own, base = rho.get("network"), rho.get("perturbation_mean")
    missed, base_missed = error.get("network"), error.get("mean_of_others")
    if own is None or base is None or missed is None or base_missed is None:
        return "What was measured does not suffice to compare the network with the mean."
    if own > base + 0.02 and missed < base_missed:
        return (
            "In this run the network alone predicts unseen perturbations better than the mean over the "
            "others."
        )
    return (
        "In this run the network alone does not predict unseen perturbations better than the mean over the "
        "others: take such answers as little more than what an average perturbation of this screen does."
    )


def decisions_in_words(decisions: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each decision on the way through a file, with the options where it waits for a person.

    decisions: as in the summary of an examination of a file.
    """
    told = []
    for values in decisions:
        decision = Decision.model_validate(values)
        told.append(f"{'To choose: ' if decision.asked else ''}{decision.line}")
        if decision.asked and decision.setting:
            for option in decision.options:
                told.append(
                    f"  --set {shlex.quote(f'data.{decision.setting}={option.value}')}  {option.text}"
                )
    return told


def told_direction(found: str | None, told: str) -> str | None:
    """The direction in one word: knock-down, knock-out, activation, mixed, or None where it is not known.
    found: what the file states or the targets show; told: `network.perturbation`.
    """
    if told == "auto":
        return found
    return None if told == "none" else TOLD.get(told, told)


def direction_in_words(
    found: str | None, told: str = "auto", known: Directions | None = None, loss: float = 0.9
) -> str:
    """What was done to the genes, and how that is known. found, told: as in `told_direction`; known: what the
    file states and the targets show; loss: `network.complete_loss`.
    """
    known = Directions() if known is None else known
    assumed = f"a knock-out that removes {100 * loss:.0f} % of the function is assumed"
    shown = f" ({known.seen})" if known.seen else ""
    if told == "none":
        return f"not read, as told; {assumed}."
    if told == "mixed":
        return f"mixed, as told: each perturbation goes by its target's own expression{shown}."
    if told != "auto":
        said = f"{known.where} states" if known.stated else "the targets' own expression says"
        also = "" if found in (None, told_direction(None, told)) else f"; {said} {found}"
        return f"{told}, as told{also}."
    if found is None:
        return (
            "not known: the file does not state it, and no target is measured well enough to tell, so "
            f"{assumed}. If it was something else, say so (network.perturbation)."
        )
    if known.stated:
        others = (
            f"; of {counted(known.silent, 'perturbation')} it says nothing, they go by their targets' own "
            "expression"
            if known.silent
            else ""
        )
        return f"{found}, stated in {known.where}{others}."
    if found != KNOCK_OUT:
        return f"{found}, by the targets' own expression{shown}."
    return (
        f"{found}, by the targets' own expression{shown}: taken so where the typical target keeps more than "
        f"half of its mRNA. A loss of {100 * loss:.0f} % of the function is assumed; a weak knock-down would "
        "look the same. If it was one, say so (network.perturbation)."
    )


NULL_WORDS = {
    "controls": "the control rows of the table, each value over its error",
    "normal": "noise of exactly the stated errors",
}


def false_rate_of_effects(report: EffectReport) -> str:
    """Where the share of false edges of a network from effects comes from."""
    if not report.null:
        return "Share of false edges: unknown, as the table holds no controls and no null was stated."
    return f"Share of false edges: estimated from {NULL_WORDS.get(report.null, report.null)}."


LEFT_OUT_NAMED = 6
"""Perturbations that were left out named at most, of one reason."""


def left_out_in_words(used: int, dropped: Sequence[Dropped]) -> str:
    """Why a run has fewer perturbations than its file: '23 of the file's 25 perturbations are used; left
    out: MYC (33 cells), SPI1 (21): fewer than 40 cells.' "" where none was. used: how many are used; dropped:
    everything that was left out.
    """
    reasons: dict[str, list[Dropped]] = {}
    for one in dropped:
        if one.what == "perturbation":
            reasons.setdefault(one.reason, []).append(one)
    if not reasons:
        return ""
    told = []
    for reason, left in reasons.items():
        most = sorted(left, key=lambda one: (-one.count, one.name))
        named = [f"{one.name} ({one.count:,}{'' if k else ' cells'})" for k, one in enumerate(most)]
        more = f" and {len(named) - LEFT_OUT_NAMED:,} more" if len(named) > LEFT_OUT_NAMED else ""
        told.append(f"{', '.join(named[:LEFT_OUT_NAMED])}{more}: {reason}")
    whole = used + sum(map(len, reasons.values()))
    return f"{used:,} of the file's {whole:,} perturbations are used; left out: {'; '.join(told)}."


def without_controls_in_words(report: PreparationReport) -> str:
    """Which perturbations have no effect that could be measured, for want of controls beside them; "" where
    all can be compared.
    """
    names, whole = report.without_controls, len(report.perturbations)
    if not names:
        return ""
    have, their = ("has", "its") if len(names) == 1 else ("have", "their")
    return (
        f"{len(names):,} of {whole:,} perturbations {have} no control cells in {their} "
        f"{_compared_within(report)}, so none of {their} effects can be measured: {listed(names)}."
    )


def _compared_within(report: PreparationReport) -> str:
    """'batch', 'condition and batch': within what cells are compared."""
    design = report.design
    parts = () if design is None else ("condition", "batch", "donor")
    return " and ".join(part for part in parts if getattr(design, part)) or "batch"


def effects_file_in_words(report: EffectReport) -> list[str]:
    """How a table of effects was read, line by line."""
    base = "log2 fold changes" if report.unit == "log2" else "natural logarithms of fold changes"
    measured = report.perturbations - len(report.unmeasured)
    lines = [
        f"{report.source} is {report.form} of effects, without cells: {report.perturbations:,} perturbations "
        f"and {report.genes:,} genes; {report.pairs:,} pairs with an effect and an error, {report.missing:,} "
        "without.",
        f"Perturbed genes: {report.perturbation_from}. Measured genes: {report.gene_from}.",
        f"Effects: {report.effect_from}, read as {base} (by {report.unit_from}). Errors: "
        f"{report.error_from}.",
        f"Own change: of {measured:,} perturbed genes that are measured, {report.own_down:,} fall and "
        f"{report.own_up:,} rise by more than two standard errors.",
    ]
    if report.unmeasured:
        lines.append(
            f"Perturbed but not measured ({len(report.unmeasured):,}): {', '.join(report.unmeasured[:12])}"
            f"{' …' if len(report.unmeasured) > 12 else ''}. They start edges, none can be seen to end "
            "there, and their own change is taken to be as that of the others."
        )
    if report.null_rows:
        lines.append(
            f"Control rows ({len(report.null_rows):,}): {', '.join(report.null_rows[:5])}. They are no "
            "perturbations; they tell what is seen without an effect."
        )
    if report.panel:
        lines.append(false_rate_of_effects(report))
    return [*lines, *(f"Note: {note}" for note in report.notes)]


def usable_in_words(summary: dict[str, Any], told: str = "auto") -> list[str]:
    """What would be used of a file, line by line. summary: of `data.validate.Examination`; told: as in
    `direction_in_words`.
    """
    sizes = summary["perturbations"]
    listed = ", ".join(
        f"{name} {cells:,}" for name, cells in sorted(sizes.items(), key=lambda item: -item[1])
    )
    dropped = [
        f"Dropped: {item['what']} {item['name']}, {item['count']:,} cells: {item['reason']}"
        for item in summary["dropped"]
    ]
    known = Directions.model_validate(summary["directions"])
    return [
        f"Cells: {summary['cells_kept']:,} of {summary['cells']:,}; genes: {summary['genes']:,}; counts "
        f"from {summary['counts_from']}{f' ({how})' if (how := summary.get('counts_how')) else ''}.",
        f"Labels from '{summary['label_column']}'; control '{summary['control_label']}' with "
        f"{summary['control_cells']:,} cells.",
        f"Perturbations ({len(sizes)}) with their cells: {listed}.",
        f"Direction: {direction_in_words(summary['design']['direction'], told, known)}",
        *dropped,
        *(f"Note: {note}" for note in summary["notes"]),
    ]
