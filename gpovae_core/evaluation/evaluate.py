"""The scores of a run, or of any other network on its cells: each beside what needs no model and what the
data allow at best.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.wording import unseparated_in_words
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.edges import check_edge_table, chosen_edges, edge_weights
from gpovae_core.evaluation.effect_tables import of_this_run
from gpovae_core.evaluation.held_out import held_out_pairs, sources_left_out
from gpovae_core.evaluation.known import Known
from gpovae_core.evaluation.listing import listed
from gpovae_core.evaluation.plain import defined
from gpovae_core.evaluation.score_effects import Predictions, predictions, score_effects
from gpovae_core.evaluation.score_network import (
    Edges,
    Judges,
    score_matched,
    score_network,
    score_run_network,
)
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation, HeldOut
from gpovae_core.evaluation.summary import lines
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.registry import rank

NOTHING_KNOWN = Known()


def evaluate(
    scored: Scored,
    settings: EvaluationSettings,
    known: Known = NOTHING_KNOWN,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores of predicted effects and of W: response, calibration, linear, network, notes and summary.

    Response: keys.TEST cells ("test") and every cell ("all"); `cells` counts perturbed cells. Network:
    keys.TEST cells. Perturbations held out as a whole are in no score: nothing was learned of them, so they
    answer another question (evaluation.unseen). progress: told what is being scored and, roughly, the share
    that is done.
    """
    prepared, seen = scored.prepared, scored.prepared.without_unseen()
    tell(progress, "mean effects", 0.0)
    expression = log_expression(prepared.counts, prepared.library_size)
    begun = stretch(progress, 0.0, 0.2)
    predicted = predictions(prepared, scored.predicted, expression, settings.seed, begun)
    tell(progress, "predicted effects and their ceilings", 0.2)
    own = log_expression(seen.counts, seen.library_size) if prepared.unseen else expression
    response = score_effects(seen, own, predicted, settings, stretch(progress, 0.2, 0.5))
    found = Evaluation(
        held_out=HeldOut(prepared.report.hold_out, prepared.report.split_by_cells),
        response=response,
        calibration=predicted.calibration,
        linear=predicted.linear,
    )
    notes = [
        *_conditions(prepared),
        *filter(None, [unseparated_in_words(prepared.report.unseparated)]),
        *_held_out_as_a_whole(prepared),
        *predicted.notes(),
        "The reference 'all' holds the cells that the model and the baselines were fitted to: its scores "
        "flatter, and may pass its ceiling.",
    ]
    if scored.weights is None:
        notes.append("There is no W, so that nothing is said of a network.")
    else:
        found, more = _with_network(found, scored, predicted, expression, settings, known, progress)
        notes += more
    found = defined(replace(found, notes=tuple(notes)))
    return replace(found, summary=tuple(lines(found)))


def _with_network(
    found: Evaluation,
    scored: Scored,
    predicted: Predictions,
    expression: Any,
    settings: EvaluationSettings,
    known: Known,
    progress: Progress | None,
) -> tuple[Evaluation, list[str]]:
    """The same with the scores of W, and what is to be noted of them."""
    prepared = scored.prepared
    tell(progress, "testing pairs of genes", 0.5)
    pairs = held_out_pairs(prepared, expression, stretch(progress, 0.5, 0.6, "testing pairs of genes: {}"))
    inputs = Inputs(
        prepared=prepared,
        sources=pairs.sources,
        targets=pairs.targets,
        effects=predicted.training,
        log_counts=expression,
        weights=scored.weights,
        hops=scored.hops,
        prediction=predicted.model,
        fit=scored.fit,
        progress=stretch(progress, 0.6, 0.7, "testing pairs of genes, training cells: {}"),
    )
    _ = inputs.tests  # before the rankings, of which several look at them: they take longer than all of these
    ranked = rank(inputs, stretch(progress, 0.7, 0.8))
    judges = Judges(pairs, inputs, ranked, settings)
    network = score_run_network(scored, judges, known, progress)
    return replace(found, network=network), [*sources_left_out(prepared, pairs), *judges.rankings.notes]


def evaluate_edges(
    prepared: PreparedCells, edges: pd.DataFrame, settings: EvaluationSettings, threshold: float | None = None
) -> Evaluation:
    """Scores of any other edge table (source, target[, weight]) in place of W: network and notes alone.

    Without weights every listed edge counts; with them see `edges.chosen_edges`. Raises QueryError for genes
    outside the panel and for a table that `edges.check_edge_table` refuses.
    """
    table = check_edge_table(edges)
    weights = edge_weights(prepared.panel, table)
    adjacency, cut = (
        chosen_edges(weights, threshold, settings.threshold)
        if keys.WEIGHT in table
        else (~np.isnan(weights), None)
    )
    count = int((~np.isnan(weights)).sum())
    notes = [
        f"All {count} listed edges count."
        if cut is None
        else f"{int(adjacency.sum())} of {count} listed edges have a weight above {cut:g}."
    ]
    if threshold is not None and cut is None:
        notes.append("The edge table has no weights, so the threshold was not applied.")
    expression = log_expression(prepared.counts, prepared.library_size)
    pairs = held_out_pairs(prepared, expression)
    training = average_effects(prepared, (keys.TRAIN,)).mean
    inputs = Inputs(prepared, pairs.sources, pairs.targets, training, expression, weights)
    judges = Judges(pairs, inputs, rank(inputs), settings)
    network = score_network(Edges(adjacency, cut), judges)
    matched = score_matched({"as_measured": pairs}, judges, network.edges or 0)
    notes += [*sources_left_out(prepared, pairs), *judges.rankings.notes]
    held_out = HeldOut(prepared.report.hold_out, prepared.report.split_by_cells)
    return defined(
        Evaluation(held_out=held_out, network=replace(network, matched=matched), notes=tuple(notes))
    )


def _conditions(prepared: PreparedCells) -> list[str]:
    found = prepared.report.conditions
    if len(found) < 2:
        return [f"Cells of the condition {listed(found)} alone."] if found else []
    return [
        f"Cells of {len(found)} conditions together ({listed(found)}): effects are means of what each shows "
        "within itself."
    ]


def evaluate_effects(
    prepared: PreparedCells, effects: pd.DataFrame, settings: EvaluationSettings, name: str = "the table"
) -> Evaluation:
    """Scores of effects that another program predicted, in place of the model's: response, calibration,
    linear, notes and summary, with the same baselines and ceilings.

    effects: (perturbations x genes), log2(counts per 10,000 + 1) against control; name: of it, in a note.
    Perturbations that it lacks are not scored. Raises QueryError as `effect_tables.of_this_run` does.
    """
    seen = prepared.without_unseen()
    table, left_out = of_this_run(effects, seen)
    expression = log_expression(prepared.counts, prepared.library_size)
    predicted = predictions(prepared, table, expression, settings.seed)
    own = log_expression(seen.counts, seen.library_size) if prepared.unseen else expression
    found = Evaluation(
        response=score_effects(seen, own, predicted, settings),
        calibration=predicted.calibration,
        linear=predicted.linear,
        notes=(
            f"'This model' is {name}: what it was fitted to, nobody here knows. Scores count only if it has "
            "not seen the cells that this run holds out.",
            *left_out,
            *_held_out_as_a_whole(prepared),
            *predicted.notes(),
        ),
    )
    found = defined(found)
    return replace(found, summary=tuple(lines(found)))


def _held_out_as_a_whole(prepared: PreparedCells) -> list[str]:
    if not prepared.unseen:
        return []
    return [
        "Held out as a whole, with all their cells, and in no score of seen perturbations: "
        f"{listed(prepared.unseen)}."
    ]
