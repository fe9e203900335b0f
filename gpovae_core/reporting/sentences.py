"""What scores say in sentences, plain text: for commands, pages and reports alike."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gpovae_core.data.decisions import Decision
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.evaluation.predictions import PREDICTIONS, TITLES, UNSEEN
from gpovae_core.evaluation.scores import EffectScores, Evaluation, UnseenProtocol
from gpovae_core.evaluation.summary import RESPONSE, lines
from gpovae_core.methods import registry
from gpovae_core.reporting.tables import MAIN_SCORES, UNSEEN_PARTS, UNSEEN_SCORES
from gpovae_core.reporting.words import count, number, percent

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
GROUPS = {
    "response": "Predicted effects on held-out cells",
    "network": "Network against held-out cells",
    "references": "Known networks",
    "truth": "The true network",
}
LIFT = {"as_measured": "as measured", "without_common_lift": "without the common lift of all shares"}
"""The pair tests of a network, for reading."""


def scores_in_words(evaluation: Evaluation) -> str:
    """All scores for reading, line by line: every number beside its baselines, its ceiling and its edge
    count.
    """
    found = []
    for reference, words in (("test", "held-out cells"), ("all", "all cells, the model's own included")):
        found += _effect_lines(evaluation.against(reference), words)
    if evaluation.network is not None:
        found += _network_lines(evaluation.network)
    health = evaluation.health
    if health is not None:
        found.append(f"Latent dimensions in use: {count(health.active_latent)} of {count(health.latent)}")
        found += [f"Warning: {text}" for text in health.warnings or ()]
    return "\n".join([*found, *verdicts(evaluation), *(f"Note: {text}" for text in evaluation.notes or ())])


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
    rate = number(network.estimated_false_edge_rate)
    found = [f"  estimated share of false edges {rate} (no effect at all; from controls)"]
    for reference, title in LIFT.items():
        for entry in () if stage.rankings is None else getattr(stage.rankings, reference):
            scores = ", ".join(
                f"{registry.title(method)} {number(score.bh_share)} / {number(score.mu_wd)}"
                for method, score in entry.methods.items()
            )
            found.append(f"  top {count(entry.edges)}, {title}, BH share / mean Wasserstein: {scores}")
    return found


def verdicts(evaluation: Evaluation) -> list[str]:
    """What the numbers say, a plain sentence per group: wins and losses against the strongest method without
    a model.
    """
    found = lines(evaluation)
    sentences = []
    for group, title in GROUPS.items():
        judged = [line for line in found if line.group == group and line.beats is not None]
        if not judged:
            continue
        lost, won = ([line.name for line in judged if line.beats is beats] for beats in (False, True))
        words = f"{title}: better than the best method without a model on {len(won)} of {len(judged)} scores"
        if won and lost:  # the shorter list says it all
            words += f": {'; '.join(won)}" if len(won) <= len(lost) else f", all but: {'; '.join(lost)}"
        sentences.append(f"{words}.")
    return sentences


def effects_note(evaluation: Evaluation, reference: str) -> str:
    """What stands under a table of scores of predicted effects."""
    part = evaluation.against(reference)
    shown = {key for score in MAIN_SCORES for key in part.by_prediction(score)}
    told = [one.sentence for one in PREDICTIONS if one.key in shown and one.key != "model"]
    return " ".join(
        [
            f"{count(part.perturbations)} perturbations, {count(part.cells)} cells.",
            *told,
            "Below a baseline the model adds nothing to a plain mean; at the ceiling nothing is left to gain "
            "with these data.",
        ]
    )


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
    if not known:
        return None
    gene = max(known, key=lambda name: abs(known[name]))
    return (
        "Shares of all counts add up to one: where an abundant gene falls, all others rise, and tests on "
        "normalised expression call them changed. The largest such common lift here is "
        f"{math.expm1(known[gene]):+.0%}, under {gene}. The second table takes it out of the held-out "
        "cells. W speaks of genes, not of shares, and belongs to that table; T_K is scored with the lift "
        "that it predicts."
    )


def null_in_words(evaluation: Evaluation) -> str | None:
    """What relabelled controls say, for whoever is about to read W as confidence; None where not measured."""
    network = evaluation.network
    rate = network.estimated_false_edge_rate if network is not None else None
    if network is not None and rate is not None:
        return (
            f"Check against noise: with W above {number(network.threshold, 2)}, an estimated {percent(rate)} "
            f"of the {number(network.edges)} edges out of perturbed genes join genes without any effect, "
            "judged by control cells in the place of the perturbed ones. Controls cannot tell whether an "
            "effect is direct."
        )
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


def direction_in_words(found: str | None, told: str = "auto") -> str:
    """What was done to the genes. found: what their own expression says; told: the direction that the
    settings name (`network.perturbation`).
    """
    if told != "auto":
        also = "" if found in (None, told) else f"; the targets' own expression says {found}"
        return f"{told}, as told{also}."
    if found is None:
        return "not known, no target is measured well enough to tell."
    return f"{found}, by the targets' own expression."


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
    return [
        f"Cells: {summary['cells_kept']:,} of {summary['cells']:,}; genes: {summary['genes']:,}; counts "
        f"from {summary['counts_from']}{f' ({how})' if (how := summary.get('counts_how')) else ''}.",
        f"Labels from '{summary['label_column']}'; control '{summary['control_label']}' with "
        f"{summary['control_cells']:,} cells.",
        f"Perturbations ({len(sizes)}) with their cells: {listed}.",
        f"Direction: {direction_in_words(summary['design']['direction'], told)}",
        *dropped,
        *(f"Note: {note}" for note in summary["notes"]),
    ]
