"""Commands about files of cells: draw them, check them, fetch public ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gpovae_core.cli.flags import in_flags
from gpovae_core.cli.shared import (
    Batch,
    Condition,
    ConditionAsBatch,
    Conditions,
    ControlLabel,
    Direction,
    Donor,
    FileArgument,
    Guide,
    GuideRule,
    Guides,
    GuideTargets,
    Jobs,
    Json,
    LabelColumn,
    Sets,
    SizeFactor,
    assign,
    given_values,
    guide_values,
    plain_assignment,
    progress_bar,
    show,
)
from gpovae_core.errors import DataError, SettingsError


def simulate(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.h5ad", help="File to write; the true edges go beside it, to OUT.edges.csv."
        ),
    ],
    genes: Annotated[int, typer.Option(help="Genes in the network.")] = 100,
    perturbations: Annotated[int, typer.Option(help="Genes perturbed one at a time.")] = 30,
    cells: Annotated[int, typer.Option(help="Cells in all, controls among them.")] = 5000,
    network: Annotated[
        str, typer.Option(help="mixed, hubs, chains, random, forks or feedforward.")
    ] = "mixed",
    direction: Annotated[
        str, typer.Option(help="knock-down, knock-out, activation or mixed.")
    ] = "knock-down",
    batches: Annotated[int, typer.Option(help="Batches, cells spread evenly over them.")] = 2,
    batch_imbalance: Annotated[
        float, typer.Option(help="Share of a perturbation's cells that come from one batch of its own.")
    ] = 0.0,
    donors: Annotated[int, typer.Option(help="Donors, cells spread evenly over them.")] = 1,
    guides_per_gene: Annotated[int, typer.Option(help="Guides of every perturbation.")] = 1,
    off_target_share: Annotated[
        float, typer.Option(help="Share of the genes one of whose guides hits another gene too.")
    ] = 0.0,
    escape_share: Annotated[
        float, typer.Option(help="Share of perturbed cells in which nothing happens.")
    ] = 0.05,
    library_effect_share: Annotated[
        float, typer.Option(help="Share of the genes that change how many counts a cell has.")
    ] = 0.0,
    composition_share: Annotated[
        float, typer.Option(help="Share of the genes that move cells between two states.")
    ] = 0.0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING=VALUE",
            help="Any other setting, for example library_median=500; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same cells.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw cells from a process with a known network.

    The process is stated and seeded; the true edges are written beside the cells.
    """
    from gpovae_core.data.simulate import SimulationSettings
    from gpovae_core.data.simulate import simulate as draw

    values: dict[str, Any] = {
        "genes": genes,
        "perturbations": perturbations,
        "cells": cells,
        "network": network,
        "direction": direction,
        "batches": batches,
        "batch_imbalance": batch_imbalance,
        "donors": donors,
        "guides_per_gene": guides_per_gene,
        "off_target_share": off_target_share,
        "escape_share": escape_share,
        "library_effect_share": library_effect_share,
        "composition_share": composition_share,
        "seed": seed,
    }
    values |= dict(plain_assignment(text) for text in set_ or [])
    simulation = draw(SimulationSettings(**values))
    edges = simulation.write(out)
    answer = {
        "cells": str(out),
        "edges": str(edges),
        "n_obs": simulation.adata.n_obs,
        "n_edges": len(simulation.edges),
    }
    show(
        answer,
        as_json,
        f"Wrote {answer['n_obs']} cells to {out} and {answer['n_edges']} true edges to {edges}.",
    )


def validate(
    file: FileArgument,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    guides: Guides = None,
    guide_targets: GuideTargets = None,
    guide_rule: GuideRule = None,
    batch: Batch = None,
    donor: Donor = None,
    guide: Guide = None,
    condition: Condition = None,
    conditions: Conditions = None,
    condition_as_batch: ConditionAsBatch = None,
    size_factor: SizeFactor = None,
    direction: Direction = None,
    set_: Sets = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a file, and what is usable.

    All faults are named at once. Exit code 2 where the file cannot be used.
    """
    from gpovae_core.config import DataSettings, NetworkSettings, checked
    from gpovae_core.data.effect_tables.read import holds_effects, read_effects
    from gpovae_core.data.validate import Examination, examine_file
    from gpovae_core.reporting.sentences import (
        decisions_in_words,
        effects_file_in_words,
        told_direction,
        usable_in_words,
    )

    told = given_values(
        label_column=label_column,
        control_label=control_label,
        batch=batch,
        donor=donor,
        guide=guide,
        condition=condition,
        conditions=tuple(conditions) if conditions else None,
        condition_as_batch=condition_as_batch,
        size_factor=size_factor,
    )
    given: dict[str, dict[str, object]] = {"data": guide_values(guides, guide_targets, guide_rule) | told}
    assign(given, set_)
    if unread := sorted(set(given) - {"data"}):
        raise SettingsError(
            f"Settings of '{unread[0]}' have no part in reading a file; --set data.FIELD=VALUE."
        )
    settings = checked(DataSettings, given["data"], "These settings cannot be used")
    asked = {} if direction is None else {"perturbation": direction}
    told = checked(NetworkSettings, asked, "--direction cannot be used").perturbation
    try:
        if holds_effects(file):
            report = read_effects(file).report
            words = [
                *map(in_flags, effects_file_in_words(report)),
                "A network without cells: gpovae network-from-effects.",
            ]
            answer = {"ok": True, "problems": [], "effects": report.model_dump(mode="json")}
            show(answer, as_json, "\n".join(words))
            return
        examination = examine_file(file, settings)
    except DataError as error:  # a table of effects that cannot be used
        examination = Examination(error.problems, {})
    ok, problems, summary = examination.ok, examination.problems, examination.summary
    rows = [
        {"code": p.code, "message": in_flags(p.message), "hint": in_flags(p.hint), "severity": p.severity}
        for p in problems
    ]
    lines = [f"{p.severity.capitalize()} [{p.code}]: {in_flags(str(p))}" for p in problems]
    lines += decisions_in_words(summary.get("decisions", []))
    lines += [in_flags(line) for line in usable_in_words(summary, told)] if ok else []
    if "design" in summary:
        direction = told_direction(summary["design"]["direction"], told)
        summary = summary | {"design": summary["design"] | {"direction": direction}}
    lines.append(f"'{file}' can be used." if ok else f"'{file}' cannot be used as it is.")
    show({"ok": ok, "problems": rows, "summary": summary}, as_json, "\n".join(lines))
    if not ok:
        raise typer.Exit(2)


def fetch(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Key of the data set; without it, the list is shown.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the file goes.")] = Path("data"),
    as_json: Json = False,
) -> None:
    """List public Perturb-seq data sets, or fetch one.

    Size and checksum come from Zenodo's record; what was cut off is continued.
    """
    from gpovae_core.data import catalogue

    if name is None:
        rows = [
            {"key": d.key, "title": d.title, "what": d.what, "paper": d.paper} for d in catalogue.CATALOGUE
        ]
        lines = [f"{d.key:14} {d.title}: {d.what} doi {d.paper}" for d in catalogue.CATALOGUE]
        show(
            {"data": rows, "licence": catalogue.LICENCE},
            as_json,
            "\n".join([*lines, f"From {catalogue.COLLECTION}, {catalogue.LICENCE}."]),
        )
        return
    listing = catalogue.look_up(catalogue.find(name))
    print(
        f"{listing.name}, {listing.size / 1e6:,.0f} MB, {listing.checksum}, {catalogue.LICENCE}, "
        f"{listing.address}",
        file=sys.stderr,
    )
    with progress_bar() as progress:
        path = catalogue.fetch(listing, folder, progress)
    answer = {"path": str(path), "bytes": listing.size, "checksum": listing.checksum}
    show(answer, as_json, f"{path}: {listing.size / 1e6:,.0f} MB, checksum as in the record.")
