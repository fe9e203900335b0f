"""Questions to a run on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpovae_core import keys
from gpovae_core.cli.shared import Jobs, Json, RunArgument, progress_bar, show
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    from gpovae_core.questions.interactions import Interaction
    from gpovae_core.questions.whatif import Answer
    from gpovae_core.runs.folder import RunFolder


def predict(
    run: RunArgument,
    perturbation: Annotated[
        list[str] | None,
        typer.Option(
            help="Panel gene, or several joined by '+'; repeatable. With --cells: all trained on without it."
        ),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENE=FRACTION",
            help="Share of a gene's mRNA that is lost, as STAT1=0.8; else as in the screen. Repeatable.",
        ),
    ] = None,
    fold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENE=TIMES",
            help=(
                "To how many times its mRNA a gene that is asked for as activated is raised, as STAT1=3; "
                "else as in the screen. Repeatable."
            ),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=(
                "CSV to write: perturbation,gene,effect,sd,low,high (the model's spread), for combinations "
                "also the additive sum, and log_difference, the scale on which predictions are scored."
            )
        ),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(
            help=(
                "In place of effects: .h5ad of cells drawn from the model, as cell-eval and the Virtual Cell "
                "Challenge take them (log-normalised, obs['target_gene'], 'non-targeting')."
            )
        ),
    ] = None,
    cells_each: Annotated[int, typer.Option(help="Cells of each perturbation, and of the control.")] = 100,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Predict the effects of perturbing genes.

    They are log2 fold changes of mean shares against control, with spread, and what they rest on. Genes
    without training cells are answered by the network alone. Combinations stand beside the sum of their
    parts.
    """
    from gpovae_core.data.write import write_table
    from gpovae_core.evaluation.stored import read_evaluation
    from gpovae_core.questions.whatif import Respondent, effects_of
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    if cells is not None:
        if out is not None or loss or fold:
            raise SettingsError("--cells writes cells as in the screen: leave out --out, --loss and --fold.")
        _draw_cells(folder, tuple(perturbation or ()), cells, cells_each, as_json)
        return
    if not perturbation:
        raise SettingsError("Say what to predict: --perturbation GENE, or --cells FILE for all of them.")
    scores = read_evaluation(folder)
    widening = 1.0 if scores is None else scores.widening
    with progress_bar() as progress:
        answers = Respondent.of(folder, widening=widening).ask_all(
            tuple(perturbation),
            dict(_parse_loss(text) for text in loss or []) | dict(_parse_fold(text) for text in fold or []),
            progress,
        )
    table = effects_of(answers)
    if out is not None:
        write_table(table, ("perturbation", "gene"), out)
    strongest = (
        table.sort_values("effect", key=abs, ascending=False).groupby("perturbation", sort=False).head(10)
    )
    text = strongest.to_string(index=False) if out is None else f"Wrote {len(table)} effects to {out}."
    show(_plain_answers(answers), as_json, "\n".join([text, *_what_they_rest_on(answers)]))


def _draw_cells(
    folder: RunFolder, perturbations: tuple[str, ...], out: Path, each: int, as_json: bool
) -> None:
    from gpovae_core.data.write import write_cells
    from gpovae_core.questions.cells import predicted_cells
    from gpovae_core.questions.whatif import Respondent

    with progress_bar() as progress:
        drawn = predicted_cells(Respondent.of(folder), perturbations, each, progress=progress)
    write_cells(drawn, out)
    number = drawn.n_obs // each - 1
    answer = {"out": str(out), "cells": drawn.n_obs, "perturbations": number, "genes": drawn.n_vars}
    words = (
        f"Wrote {drawn.n_obs:,} cells to {out}: {each:,} of each of {number:,} perturbations, and of control."
    )
    show(answer, as_json, words)


def _plain_answers(answers: Sequence[Answer]) -> dict[str, Any]:
    """Effects by perturbation and gene, null where they are not finite, and what they rest on."""
    import numpy as np

    return {
        "effects": {
            a.question.perturbation: {
                gene: {"effect": float(e) if np.isfinite(e) else None, "sd": float(d)}
                for gene, e, d in zip(a.table["gene"], a.table["effect"], a.table["sd"], strict=True)
            }
            for a in answers
        },
        "monte_carlo_error": max(a.monte_carlo_error for a in answers),
        "rests_on": {a.question.perturbation: a.basis for a in answers},
        "not_in_training": [
            a.question.perturbation for a in answers if a.basis not in ("seen", "seen combination")
        ],
        "interactions": {
            a.question.perturbation: _interaction(a.interaction) for a in answers if a.interaction is not None
        },
    }


def _what_they_rest_on(answers: Sequence[Answer]) -> list[str]:
    notes = [f"{a.question.perturbation} rests on: {a.basis}." for a in answers]
    notes += [
        f"No training cells of {', '.join(a.by_network)}: answered by the network alone."
        for a in answers
        if a.by_network
    ]
    return notes + [_interaction_words(a.interaction) for a in answers if a.interaction is not None]


def pairs(
    run: RunArgument,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            help="A pair, as JAK2+STAT1, whose place is told and for which the model is asked; repeatable."
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="Sort by size, departure (from the sum of the genes) or trust.")] = (
        "size"
    ),
    top: Annotated[int, typer.Option(min=1, help="How many pairs, and genes, are printed.")] = 20,
    ask: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="For how many pairs the model itself is asked; the others stand by the sum of their genes. "
            "By the size of the screen when not given.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV to write, with every pair.")] = None,
    as_json: Json = False,
) -> None:
    """Rank pairs of genes that are worth perturbing.

    All pairs of genes with training cells, and all genes of the panel, by expected size, departure from
    additivity, and trust.
    """
    from gpovae_core.data.write import write_table
    from gpovae_core.evaluation.stored import read_evaluation
    from gpovae_core.questions.pairs import ORDERS, rank_pairs
    from gpovae_core.questions.whatif import Respondent
    from gpovae_core.reporting import pairs as words
    from gpovae_core.runs.folder import RunFolder

    if by not in ORDERS:
        raise SettingsError(f"--by takes {', '.join(ORDERS)}; got '{by}'.")
    also = [_parse_pair(text) for text in pair or []]
    folder = RunFolder.open(run)
    scores = read_evaluation(folder)
    respondent = Respondent.of(folder, widening=1.0 if scores is None else scores.widening)
    with progress_bar() as progress:
        effects = folder.effects() if folder.has("effects.h5ad") else None
        found = rank_pairs(respondent, effects, also, ask, progress)
    ranked = found.ordered(by)
    if out is not None:
        write_table(ranked, ("first", "second"), out)
    panel = respondent.prepared.panel
    places = {
        "+".join(one): words.place_of(found, (panel.canonical(one[0]), panel.canonical(one[1])))
        for one in also
    }
    answer = {
        "pairs": words.plain_rows(ranked.head(top)),
        "genes": words.plain_rows(found.genes.head(top)),
        "possible": found.possible,
        "asked": found.asked,
        "places": places,
        "refused": found.refused,
        "checked": None if found.checked is None else asdict(found.checked),
    }
    shown = ranked.head(top).rename(columns={"by": "said_by"})
    lines = [
        words.answer_in_words(found),
        *(f"{name} is number {place:,} of {found.possible:,} by size." for name, place in places.items()),
        shown.to_string(index=False, float_format=lambda value: f"{value:.2f}"),
        "Single genes:",
        found.genes.head(top).to_string(index=False, float_format=lambda value: f"{value:.2f}"),
        words.how_ranked(found),
        words.checked_in_words(found),
        *words.refused_in_words(found),
    ]
    if out is not None:
        lines.append(f"Wrote {len(ranked):,} pairs to {out}.")
    show(answer, as_json, "\n".join(lines))


def _parse_pair(text: str) -> tuple[str, str]:
    """`JAK2+STAT1` -> ("JAK2", "STAT1")."""
    genes = [gene.strip() for gene in text.split("+")]
    if len(genes) != 2 or not all(genes):
        raise SettingsError(f"--pair takes two genes, for example JAK2+STAT1; got '{text}'.")
    return genes[0], genes[1]


def _parse_loss(text: str) -> tuple[str, float]:
    """`STAT1=0.8` -> ("STAT1", 0.8)."""
    gene, _, fraction = text.partition("=")
    try:
        return gene.strip(), float(fraction)
    except ValueError:
        raise SettingsError(f"--loss takes GENE=FRACTION, for example STAT1=0.8; got '{text}'.") from None


def _parse_fold(text: str) -> tuple[str, float]:
    """`STAT1=3` -> ("STAT1 (activated)", -2.0), the loss of an activated gene."""
    gene, _, times = text.partition("=")
    try:
        return gene.strip().removesuffix(keys.ACTIVATED) + keys.ACTIVATED, 1.0 - float(times)
    except ValueError:
        raise SettingsError(f"--fold takes GENE=TIMES, for example STAT1=3; got '{text}'.") from None


def _interaction(found: Interaction) -> dict[str, Any]:
    """A combination beside its parts, for scripts."""
    table = found.table.loc[
        found.table["non_additive"], ["gene", "additive", "both", "departure", "error", "q"]
    ]
    c = found.coefficients
    coefficients = (
        None if c is None else {name: None if value != value else value for name, value in asdict(c).items()}
    )
    return {"coefficients": coefficients, "non_additive": table.to_dict("records")}


def _interaction_words(found: Interaction) -> str:
    c = found.coefficients
    weights = (
        "" if c is None else ", ".join(f"{w:.2f} {part}" for w, part in zip(c.weights, c.parts, strict=True))
    )
    dominance = "" if c is None or c.dominance is None else f", dominance {c.dominance:.2f}"
    shown = (
        "coefficients undefined (too few genes respond)"
        if c is None
        else f"coefficients {weights}, magnitude {c.magnitude:.2f}{dominance}"
    )
    genes = found.table.loc[found.table["non_additive"], "gene"].tolist()
    return (
        f"{found.name}: {shown}; {len(genes)} predicted non-additive "
        f"genes{': ' + ', '.join(genes[:10]) if genes else ''}."
    )
