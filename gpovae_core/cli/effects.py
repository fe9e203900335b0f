"""The command that makes a network of effects, without cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gpovae_core.cli.shared import Direction, Jobs, Json, Sets, assign, given_values, progress_bar, show

if TYPE_CHECKING:
    from gpovae_core.data.effect_tables.report import EffectReport
    from gpovae_core.runs.from_effects import FromEffects

EffectsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=(
            "Effects, perturbation by gene: an .h5ad with layers of log fold changes and errors, a long "
            "table (CSV, TSV, parquet; gzip or not), or a folder with one table for each perturbation."
        ),
    ),
]
PanelExtra = Annotated[
    int, typer.Option(help="Genes beside the perturbed ones: of largest effect over its error.")
]
UnitOption = Annotated[
    str | None,
    typer.Option(help="Of the effects: log2 or ln; told by the name of their column when not given."),
]
PerturbationColumn = Annotated[
    str | None, typer.Option(help="Column with the perturbed gene; found when not given.")
]
GeneColumn = Annotated[str | None, typer.Option(help="Column with the measured gene; found when not given.")]
EffectColumn = Annotated[
    str | None, typer.Option(help="Column or layer with the log fold changes; found when not given.")
]
ErrorColumn = Annotated[
    str | None,
    typer.Option(
        help=(
            "Column or layer with their standard errors; found when not given, or worked out from "
            "intervals, the statistic or p values."
        )
    ),
]
NullOption = Annotated[
    str,
    typer.Option(
        help=(
            "What is seen without an effect, for the share of false edges: controls (rows of the table "
            "that name one), normal (noise of exactly the stated errors), none (it stays unknown), or "
            "auto (controls where there are any)."
        )
    ),
]


def network_from_effects(
    file: EffectsArgument,
    run: Annotated[Path, typer.Option(help="Folder of the new run.")],
    panel_extra: PanelExtra = 1000,
    direction: Direction = None,
    unit: UnitOption = None,
    perturbation_column: PerturbationColumn = None,
    gene_column: GeneColumn = None,
    effect_column: EffectColumn = None,
    error_column: ErrorColumn = None,
    null: NullOption = "auto",
    set_: Sets = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Make a network from a table of effects.

    No cells are needed: W, S and T_K, the evidence, and a run that opens on the page Network.
    """
    from gpovae_core.config import make_settings
    from gpovae_core.data.effect_tables.known import EffectColumns, Unit
    from gpovae_core.runs import from_effects

    given: dict[str, dict[str, object]] = {"network": given_values(perturbation=direction)}
    assign(given, set_)
    columns = EffectColumns(
        perturbation_column, gene_column, effect_column, error_column, cast("Unit | None", unit)
    )
    with progress_bar() as progress:
        made = from_effects.network_from_effects(
            file,
            run,
            panel_extra,
            columns,
            cast("from_effects.Null", null),
            make_settings("evidence", given),
            progress,
        )
    report = made.run.effects_report()
    assert report is not None
    show(_answer(made, report), as_json, _words(made, report))


def _answer(made: FromEffects, report: EffectReport) -> dict[str, Any]:
    return {
        "run": str(made.run.path),
        "edges": made.edges,
        "threshold": made.threshold,
        "genes": report.panel,
        "perturbations": report.perturbations,
        "null": made.null,
        "estimated_false_edge_rate": made.false_edge_rate,
        "read": report.model_dump(mode="json"),
    }


def _words(made: FromEffects, report: EffectReport) -> str:
    from gpovae_core.reporting.sentences import effects_file_in_words

    false = "unknown" if made.false_edge_rate is None else f"{made.false_edge_rate:.1%}"
    return "\n".join(
        [
            *effects_file_in_words(report),
            f"Run {made.run.path}: {made.edges:,} edges with W > {made.threshold:g} out of perturbed genes, "
            f"over {report.panel:,} genes; estimated share of false edges {false}.",
        ]
    )
