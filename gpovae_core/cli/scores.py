"""Commands that score: a run, its null, what it says of perturbations it never saw; and the report of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import (
    CELLS,
    Anyway,
    Jobs,
    Json,
    Preset,
    References,
    RunArgument,
    Sets,
    Threshold,
    assign,
    given_values,
    progress_bar,
    settings_given,
    show,
)
from gpovae_core.errors import SettingsError

SHIPPED = "shipped"
"""In the place of a file of knowledge: the gene sets that come with the project."""


def evaluate(
    run: RunArgument,
    edges: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Table with source,target[,weight], or a square .npy matrix with its genes in a .txt beside "
                "it, to score in place of W."
            )
        ),
    ] = None,
    effects: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Another program's predicted effects to score in place of the model's: a CSV (a perturbation "
                "a line, genes in the header; log2(counts per 10,000 + 1) against control), or predicted "
                "cells (.h5ad, as cell-eval and the Virtual Cell Challenge take them)."
            )
        ),
    ] = None,
    threshold: Threshold = None,
    reference: References = None,
    truth: Annotated[
        Path | None, typer.Option(help="For simulated cells: the true edges, as gpovae simulate writes them.")
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Score a run, an edge table or predicted effects.

    All are scored against the held-out cells of the run, beside baselines and ceilings.
    """
    from gpovae_core.reporting.sentences import scores_in_words
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.workflow import score_run

    if edges is not None and effects is not None:
        raise SettingsError("Give --edges or --effects, not both: one answer is about one of them.")
    folder = RunFolder.open(run)
    if effects is not None:
        from gpovae_core.evaluation.effect_tables import read_effect_table
        from gpovae_core.evaluation.evaluate import evaluate_effects
        from gpovae_core.evaluation.predicted_cells import effects_of_cells

        of_cells = effects.suffix.casefold() == ".h5ad"
        table = effects_of_cells(effects) if of_cells else read_effect_table(effects)
        answer = evaluate_effects(folder.cells(), table, folder.settings().evaluation, f"'{effects.name}'")
    elif edges is not None:
        from gpovae_core.evaluation.edges import read_edge_table
        from gpovae_core.evaluation.evaluate import evaluate_edges

        answer = evaluate_edges(
            folder.cells(), read_edge_table(edges), folder.settings().evaluation, threshold
        )
    else:
        with progress_bar() as progress, folder.working():
            answer = score_run(folder, threshold, progress, reference, truth)
    show(answer.to_json(), as_json, scores_in_words(answer))


def null(
    data: Annotated[
        Path,
        typer.Argument(help=f"{CELLS}, or the folder of a run, whose cells and settings are taken."),
    ],
    preset: Preset = None,
    threshold: Threshold = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the relabelling and the training.")] = None,
    run: Annotated[Path | None, typer.Option(help="Keep the run of the null in this new folder.")] = None,
    set_: Sets = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    as_json: Json = False,
) -> None:
    """Count the edges found where there are none.

    Controls are relabelled as perturbed cells and taken the whole way to W: every edge that appears is false.
    Kept with a run it was asked of.
    """
    from gpovae_core.config import make_settings, parse_settings
    from gpovae_core.runs.folder import RunFolder, is_run
    from gpovae_core.workflow import null_network

    given: dict[str, dict[str, object]] = {name: given_values(seed=seed) for name in ("data", "training")}
    given["evaluation"] = given_values(threshold=threshold)
    assign(given, set_)
    if is_run(data) and preset is None:
        own = RunFolder.open(data).settings().model_dump(mode="json")
        settings = parse_settings(
            {**own, **{name: {**own[name], **fields} for name, fields in given.items() if fields}}
        )
    else:
        settings = make_settings(preset, given)
    with progress_bar() as progress:
        answer = null_network(data, settings, progress, run)
    if is_run(data) and preset is None and not set_:
        RunFolder.open(data).write_null(answer)
    lines = [
        f"  W > {row['threshold']:g}: {row['edges']} of {row['pairs']} pairs"
        + (f"; the run has {row['run_edges']}" if "run_edges" in row else "")
        for row in answer["thresholds"][1::2]
    ]
    share = "undefined" if answer["share"] is None else f"{answer['share']:.2%}"
    text = (
        f"Controls relabelled as perturbed, preset {answer['preset']}: {answer['edges']} of "
        f"{answer['pairs']} pairs have W > "
    )
    show(answer, as_json, text + f"{answer['threshold']:g} ({share}).\n" + "\n".join(lines))


def unseen(
    data: Annotated[
        Path,
        typer.Argument(
            help=f"{CELLS}, or the folder of a run, whose cells are taken and which keeps the answer."
        ),
    ],
    at_once: Annotated[
        int, typer.Option(min=1, help="Perturbations held out at a time, with all their cells.")
    ] = 3,
    draws: Annotated[int, typer.Option(min=1, help="How often such a set is drawn.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is held out.")] = 0,
    knowledge: Annotated[
        list[Path] | None,
        typer.Option(
            help=(
                "Known edges or gene sets (.gmt) to predict them from in place of the network, beside "
                "rewired ones; `shipped` for Reactome and WikiPathways; repeatable. Takes tables of effects."
            )
        ),
    ] = None,
    set_: Sets = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    as_json: Json = False,
) -> None:
    """Predict perturbations that were held out whole.

    The network alone predicts them, beside the mean over the other perturbations; with --knowledge what
    tables say that genes share.
    """
    from gpovae_core.config import make_settings
    from gpovae_core.reporting.sentences import unseen_in_words
    from gpovae_core.runs.folder import RunFolder, is_run
    from gpovae_core.workflow import measure_unseen

    of_run = is_run(data)
    if knowledge:
        _known_unseen(data, knowledge, seed, set_, as_json)
        return
    if of_run and set_:
        raise SettingsError("A run keeps its settings: --set goes with a file of cells.")
    settings = RunFolder.open(data).settings() if of_run else make_settings(None, settings_given(sets=set_))
    with progress_bar() as progress:
        answer = measure_unseen(data, settings, at_once, draws, seed, progress)
    show(answer.to_json(), as_json, unseen_in_words(answer))


def _known_unseen(data: Path, files: list[Path], seed: int, sets: list[str] | None, as_json: bool) -> None:
    from gpovae_core.config import make_settings
    from gpovae_core.evaluation.known_unseen import measure_known
    from gpovae_core.network.features import features_of
    from gpovae_core.questions.elsewhere import read_elsewhere
    from gpovae_core.reporting.knowledge import known_unseen_in_words

    with progress_bar() as progress:
        screen = read_elsewhere(data, None, make_settings(None, settings_given(sets=sets)), progress)
        named = [file for file in files if str(file) != SHIPPED]
        features = features_of(named, screen.names, screen.panel.genes) if named else []
        if len(named) < len(files):
            features += features_of((), screen.names, screen.panel.genes)
        found = measure_known(screen, features, seed=seed, progress=progress)
    show(found.plain(), as_json, known_unseen_in_words(found))


def report(
    run: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folder of an evaluated run; several are put side by side."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .html (one page, no requests), .json, or .txt (Methods paragraph)."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write the scores of runs as a page or as text.

    Scores stand beside baselines and ceilings; the text is a Methods paragraph with all settings, and JSON is
    for scripts.
    """
    from gpovae_core.reporting.document import write_report
    from gpovae_core.runs.folder import RunFolder

    write_report([RunFolder.open(path) for path in run], out)
    show(
        {"runs": [str(path) for path in run], "out": str(out)},
        as_json,
        f"Wrote the report of {len(run)} run(s) to {out}.",
    )
