"""Commands that hold a network against other cells: those of another set, or of another condition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import (
    Condition,
    Conditions,
    ControlLabel,
    Json,
    LabelColumn,
    RunArgument,
    Sets,
    Threshold,
    given_values,
    progress_bar,
    settings_given,
    show,
)
from gpovae_core.errors import SettingsError


def transfer(
    run: RunArgument,
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Another run, a file of cells, or a table of effects.")
    ],
    threshold: Threshold = None,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    condition: Condition = None,
    conditions: Conditions = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: every edge with what is seen there.")
    ] = None,
    set_: Sets = None,
    as_json: Json = False,
) -> None:
    """Say whether a network holds in other cells.

    Its edges and what T_K predicts stand against effects measured there. The share of edges that comes back
    stands beside a ceiling (the same effects, measured as well as they are there) and beside other pairs. The
    options about labels and conditions are for a file of cells.
    """
    from gpovae_core.config import make_settings
    from gpovae_core.data.write import write_table
    from gpovae_core.questions.elsewhere import read_elsewhere
    from gpovae_core.questions.transfer import transfer as held_against
    from gpovae_core.reporting.transfer import transfer_in_words
    from gpovae_core.runs.folder import RunFolder, is_run

    folder = RunFolder.open(run)
    given = settings_given(label_column=label_column, control_label=control_label, sets=set_)
    given["data"] |= given_values(condition=condition, conditions=conditions)
    if is_run(other) and any(given.values()):
        raise SettingsError(
            f"'{other}' is a run, and a run keeps its settings: the options about labels and conditions, and "
            "--set, go with a file of cells."
        )
    if is_run(other) and other.resolve() == folder.path.resolve():
        raise SettingsError(
            "A run comes back in itself: give other cells, another run, or another condition."
        )
    with progress_bar() as progress:
        there = read_elsewhere(other, folder.panel().genes, make_settings(None, given), progress)
    found = held_against(folder, there, threshold)
    if out is not None:
        write_table(found.edges, ("source", "target"), out)
    show(found.plain(), as_json, transfer_in_words(found))


def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run of one condition.")],
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="The run of another condition.")],
    threshold: Threshold = None,
    permutations: Annotated[int, typer.Option(help="Permutations of the condition labels.")] = 50,
    fdr: Annotated[
        float, typer.Option(help="Rate of false differences up to which an edge is said to differ.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the permutations.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: every edge of either network, and how it differs.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the networks of two conditions.

    Of one screen (gpovae train --each-condition): edges in both, in one alone, with another sign or strength,
    each with the rate of false ones that permuted condition labels give.
    """
    from gpovae_core.data.write import write_table
    from gpovae_core.network.differences import differences
    from gpovae_core.reporting.conditions import differences_in_words
    from gpovae_core.runs.folder import RunFolder

    with progress_bar() as progress:
        found = differences(
            RunFolder.open(run), RunFolder.open(other), threshold, permutations, fdr, seed, progress
        )
    if out is not None:
        write_table(found.edges, ("source", "target"), out)
    show(found.plain(), as_json, differences_in_words(found))
