"""The `gpovae` command. Each command reads its options, calls one function, and shows the answer.

Heavy libraries are imported where they are used: `gpovae --help` must not wait for torch.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gpovae_core.errors import DataError, GpoVaeError, SettingsError

if TYPE_CHECKING:
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.questions.interactions import Interaction
    from gpovae_core.runs.ensemble import Ensemble
    from gpovae_core.workflow import Report

LEAST_INFLUENCE = 0.01
"""`gpovae network --influence` writes entries of T_K larger than this unless told otherwise: a hundredth of
the source's own change.
"""

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, as made by `gpovae train --run`.")
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Cells with raw counts, .h5ad or .zarr.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Threshold = Annotated[
    float | None, typer.Option(help="W above this is an edge (default: the run's own setting, 0.5).")
]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of obs with the perturbed gene; found by name when not given.")
]
ControlLabel = Annotated[
    str | None, typer.Option(help="Value of that column that marks control cells; recognised when not given.")
]

Preset = Annotated[
    str | None,
    typer.Option(
        help="evidence (default): W from calibrated effects; released or paper: the published formulas."
    ),
]
Published = Annotated[
    str | None, typer.Option(help="K562, RPE1 or Adamson: the settings released for that data set.")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any other setting; repeatable."),
]


def main() -> NoReturn:
    """Entry point: what a user can mend is one clear message and exit code 2; a traceback is a bug."""
    # Threads of torch that wait busily slow training tenfold as soon as anything else wants the cores. Read
    # when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except GpoVaeError as error:
        print(f"Error: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"Error: {error.strerror or error}" + (f": '{error.filename}'" if error.filename else ""),
            file=sys.stderr,
        )
    raise SystemExit(2)


@app.callback()
def _root() -> None:
    """Train a GPO-VAE on Perturb-seq cells and question the gene regulatory network it learned."""


@app.command()
def simulate(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.h5ad", help="File to write; the true edges go beside it, to OUT.edges.csv."
        ),
    ],
    genes: Annotated[int, typer.Option(help="Genes in the network.")] = 100,
    perturbations: Annotated[int, typer.Option(help="Genes knocked down one at a time.")] = 30,
    cells: Annotated[int, typer.Option(help="Cells in all, controls among them.")] = 5000,
    network: Annotated[
        str, typer.Option(help="mixed, hubs, chains, random, forks or feedforward.")
    ] = "mixed",
    seed: Annotated[int, typer.Option(help="Same seed, same cells.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw cells from a stated process with a known network."""
    from gpovae_core.data.simulate import SimulationSettings
    from gpovae_core.data.simulate import simulate as draw

    values: dict[str, Any] = {
        "genes": genes,
        "perturbations": perturbations,
        "cells": cells,
        "network": network,
        "seed": seed,
    }
    simulation = draw(SimulationSettings(**values))
    edges = simulation.write(out)
    answer = {
        "cells": str(out),
        "edges": str(edges),
        "n_obs": simulation.adata.n_obs,
        "n_edges": len(simulation.edges),
    }
    _show(
        answer,
        as_json,
        f"Wrote {answer['n_obs']} cells to {out} and {answer['n_edges']} true edges to {edges}.",
    )


@app.command()
def validate(
    file: FileArgument,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a file, all at once, and what would be used of it. Exit code 2 where it cannot
    be used.
    """
    from gpovae_core.config import DataSettings
    from gpovae_core.data.io import read_cells
    from gpovae_core.data.validate import examine

    try:
        examination = examine(
            read_cells(file), DataSettings(label_column=label_column, control_label=control_label)
        )
        ok, problems, summary = examination.ok, examination.problems, examination.summary
    except DataError as error:
        ok, problems, summary = False, error.problems, {}
    rows = [{"code": p.code, "message": p.message, "hint": p.hint, "severity": p.severity} for p in problems]
    lines = [f"{p.severity.capitalize()} [{p.code}]: {p}" for p in problems]
    lines += _usable(summary) if ok else []
    lines.append(f"'{file}' can be used." if ok else f"'{file}' cannot be used as it is.")
    _show({"ok": ok, "problems": rows, "summary": summary}, as_json, "\n".join(lines))
    if not ok:
        raise typer.Exit(2)


@app.command()
def train(
    file: FileArgument,
    run: Annotated[Path, typer.Option(help="Folder of the run; must be new, unless --resume.")],
    preset: Preset = None,
    published: Published = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most epochs; the early stop usually comes before.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, weights, batches and draws.")] = None,
    device: Device = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Processes on a machine that train together, one for each GPU.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Machines that train together; see docs/devices.md.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="How several devices train together: auto or ddp.")
    ] = None,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    set_: Sets = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run after its last finished epoch.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="With --resume: first wait until no other run in the same folder trains."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Prepare the cells, train to the early stop, and score the run on held-out cells."""
    from gpovae_core.config import idle_settings, make_settings
    from gpovae_core.training.ranks import is_first
    from gpovae_core.workflow import resume_in_turn, resume_run, start_run

    given = _settings_given(epochs, seed, device, label_column, control_label, set_)
    given["training"] |= _given(devices=devices, nodes=nodes, strategy=strategy)
    with _progress() as report:
        if resume:
            fixed = [name for name, fields in given.items() if name != "training" and fields] + [
                "published"
            ] * (published is not None)
            if fixed:
                raise SettingsError(
                    f"A resumed run keeps its settings; leave out those of {', '.join(fixed)}."
                )
            folder = (resume_in_turn if wait else resume_run)(run, given["training"], report)
        else:
            given["data"] = {**_given(seed=seed), **given["data"]}
            settings = make_settings(preset, given, published)
            for path, why in idle_settings(settings).items():
                section, _, name = path.partition(".")
                if name in given.get(section, {}):
                    typer.echo(f"Note: {path} has no effect here: {why}.", err=True)
            folder = start_run(file, run, settings, report)
    if not is_first(folder.settings().training):
        return
    status = folder.status()
    answer = {
        "run": str(folder.path),
        "state": status.state,
        "epochs": status.epoch,
        "best_epoch": status.best_epoch,
    }
    _show(
        answer,
        as_json,
        f"Run {folder.path}: {status.state}, {status.message}."
        + (f"\n{_scores(folder.evaluation())}" if folder.has("evaluation.json") else ""),
    )


@app.command()
def estimate(
    file: FileArgument,
    preset: Preset = None,
    published: Published = None,
    device: Device = None,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    set_: Sets = None,
    as_json: Json = False,
) -> None:
    """Say how long an epoch takes on this machine and how much memory it needs, measured on a few steps."""
    from gpovae_core import workflow
    from gpovae_core.config import make_settings

    settings = make_settings(
        preset, _settings_given(None, None, device, label_column, control_label, set_), published
    )
    with _progress() as report:
        probe = workflow.estimate(file, settings, report)
    text = (
        f"On {probe.device}: {probe.seconds_per_epoch:.1f} s per epoch ({probe.steps_per_epoch} steps; "
        f"{probe.cells:,} training cells, {probe.panel:,} panel genes, {probe.genes:,} measured genes), "
        f"{probe.peak_bytes / 1e9:.2f} GB of memory."
    )
    _show(probe.model_dump(), as_json, text)


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Key of the data set; without it, the list is shown.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the file goes.")] = Path("data"),
    as_json: Json = False,
) -> None:
    """List public Perturb-seq data sets, or fetch one: size and checksum from Zenodo's record, continued
    where it was cut off.
    """
    from gpovae_core.data import catalogue

    if name is None:
        rows = [
            {"key": d.key, "title": d.title, "what": d.what, "paper": d.paper} for d in catalogue.CATALOGUE
        ]
        lines = [f"{d.key:14} {d.title}: {d.what} doi {d.paper}" for d in catalogue.CATALOGUE]
        _show(
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
    with _progress() as report:
        path = catalogue.fetch(
            listing, folder, lambda here, all_: report(f"fetching {listing.name}", here / max(1, all_))
        )
    answer = {"path": str(path), "bytes": listing.size, "checksum": listing.checksum}
    _show(answer, as_json, f"{path}: {listing.size / 1e6:,.0f} MB, checksum as in the record.")


@app.command()
def evaluate(
    run: RunArgument,
    edges: Annotated[
        Path | None, typer.Option(help="CSV with source,target[,weight] to score in place of W.")
    ] = None,
    threshold: Threshold = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            help=(
                "Table of known edges (source,target or gene1,gene2); repeatable. Without it, those in the "
                "folder networks."
            )
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="For simulated cells: the true edges, as gpovae simulate writes them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a run, or any other edge table against its held-out cells, with baselines and ceilings."""
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.workflow import score_run

    folder = RunFolder.open(run)
    if edges is not None:
        from gpovae_core.evaluation.report import evaluate_edges, read_edge_table

        answer = evaluate_edges(
            folder.cells(), read_edge_table(edges), folder.settings().evaluation, threshold
        )
    else:
        with _progress() as report, folder.working():
            answer = score_run(folder, threshold, report, reference, truth)
    _show(answer, as_json, _scores(answer))


@app.command()
def null(
    data: Annotated[
        Path,
        typer.Argument(help="Cells (.h5ad), or the folder of a run, whose cells and settings are taken."),
    ],
    preset: Preset = None,
    threshold: Threshold = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the relabelling and the training.")] = None,
    run: Annotated[Path | None, typer.Option(help="Keep the run of the null in this new folder.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any other setting; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Relabel controls as perturbed cells and go the whole way to W: every edge that appears is false. Kept
    with a run it was asked of.
    """
    from gpovae_core.config import make_settings, parse_settings
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.workflow import null_network

    given: dict[str, dict[str, object]] = {name: _given(seed=seed) for name in ("data", "training")}
    given["evaluation"] = _given(threshold=threshold)
    for assignment in set_ or []:
        section, field, value = _parse_assignment(assignment)
        given.setdefault(section, {})[field] = value
    if (data / "config.json").is_file() and preset is None:
        own = RunFolder.open(data).settings().model_dump(mode="json")
        settings = parse_settings(
            {**own, **{name: {**own[name], **fields} for name, fields in given.items() if fields}}
        )
    else:
        settings = make_settings(preset, given)
    with _progress() as report:
        answer = null_network(data, settings, report, run)
    if (data / "config.json").is_file() and preset is None and not set_:
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
    _show(answer, as_json, text + f"{answer['threshold']:g} ({share}).\n" + "\n".join(lines))


@app.command()
def ensemble(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE", help="A run folder; or cells, of which a run is made first (--run)."
        ),
    ],
    members: Annotated[int, typer.Option(help="How many networks; more than before continues.")] = 20,
    vary: Annotated[str, typer.Option(help="cells (drawn again with replacement), seeds, or both.")] = "both",
    threshold: Threshold = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws of cells.")] = 0,
    run: Annotated[Path | None, typer.Option(help="For cells: folder of the new run.")] = None,
    preset: Preset = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="For cells: any setting.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the network again from other draws of the cells and other seeds: how often does each edge come
    back?

    With W from calibrated effects (preset evidence) no autoencoder is trained for it; elsewhere every member
    is a training. Stopped by Ctrl-C, continued by the same command.
    """
    from gpovae_core.config import checked, make_settings
    from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, make_ensemble
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.workflow import start_run

    plan = checked(
        EnsemblePlan,
        {"members": members, "vary": vary, "threshold": threshold, "seed": seed},
        "An ensemble that cannot be made",
    )
    with _progress() as report:
        if (source / "config.json").is_file():
            if run is not None or preset is not None or set_:
                raise SettingsError(
                    "A run keeps its settings and its place; leave out --run, --preset and --set."
                )
            folder = RunFolder.open(source)
        elif run is None:
            raise SettingsError(
                f"'{source}' is no run. To make one of these cells first, say where: --run runs/NAME."
            )
        else:
            folder = start_run(
                source,
                run,
                make_settings(preset, _settings_given(None, None, None, None, None, set_)),
                report,
            )
        found = make_ensemble(folder, plan, report)
    status = EnsembleJob.of(folder).status()
    answer = {"run": str(folder.path), "state": status.state, "ensemble": found.facts() if found else None}
    _show(
        answer,
        as_json,
        f"Ensemble of {folder.path}: {status.state}, {status.message}.\n"
        + (_ensemble_words(found) if found else ""),
    )


@app.command()
def unseen(
    data: Annotated[
        Path,
        typer.Argument(
            help="Cells (.h5ad), or the folder of a run, whose cells are taken and which keeps the answer."
        ),
    ],
    at_once: Annotated[
        int, typer.Option(min=1, help="Perturbations held out at a time, with all their cells.")
    ] = 3,
    draws: Annotated[int, typer.Option(min=1, help="How often.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is held out.")] = 0,
    set_: Sets = None,
    as_json: Json = False,
) -> None:
    """Hold out whole perturbations and predict them by the network alone, beside the mean over the other
    perturbations.
    """
    from gpovae_core.config import make_settings
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.workflow import measure_unseen

    is_run = (data / "config.json").is_file()
    if is_run and set_:
        raise SettingsError("A run keeps its settings: --set goes with a file of cells.")
    settings = (
        RunFolder.open(data).settings()
        if is_run
        else make_settings(None, _settings_given(None, None, None, None, None, set_))
    )
    with _progress() as report:
        answer = measure_unseen(data, settings, at_once, draws, seed, report)
    _show(answer, as_json, _unseen_scores(answer))


@app.command()
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
    """Write the scores of runs with baselines and ceilings, as a page, as JSON, or as a Methods paragraph
    with all settings.
    """
    from gpovae_core.reporting.document import write_report
    from gpovae_core.runs.folder import RunFolder

    write_report([RunFolder.open(path) for path in run], out)
    _show(
        {"runs": [str(path) for path in run], "out": str(out)},
        as_json,
        f"Wrote the report of {len(run)} run(s) to {out}.",
    )


@app.command()
def sweep(
    plan: Annotated[
        str | None,
        typer.Argument(
            metavar="PLAN|FOLDER",
            help="A sweep file, a shipped one by name, or a sweep to go on; none: the list.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Cells (.h5ad, .zarr), for a new sweep.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the new sweep, with a run for every point and seed in it.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs at a time on this machine.")] = 1,
    storage: Annotated[
        str,
        typer.Option(help="Where several machines keep the study: a file on a shared disk, or an address."),
    ] = "",
    set_: Sets = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Seeds in the place of those of the plan; repeatable.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Before every run, let those trained or waiting beside the sweep go first."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train runs over conditions, axes and seeds (Optuna), and compare them. Stopped by Ctrl-C; `gpovae sweep
    FOLDER` goes on.

    Several machines share a sweep by giving the same plan, the same cells and the same --storage, each with a
    --folder of its own or on a shared disk.
    """
    from gpovae_core.sweeps.folder import SweepFolder
    from gpovae_core.sweeps.plan import find_plan, plan_from, shipped_plans
    from gpovae_core.sweeps.results import summary, summary_words
    from gpovae_core.sweeps.work import work_together

    if plan is None:
        shipped = shipped_plans()
        rows = [
            {"name": name, "title": p.title, "about": p.about, "points": p.size, "seeds": len(p.seeds)}
            for name, p in shipped.items()
        ]
        lines = [
            f"{row['name']:24} {row['points']} points x {row['seeds']} seeds. {row['about']}" for row in rows
        ]
        _show({"sweeps": rows}, as_json, "\n".join(lines))
        return
    if (Path(plan) / "sweep.json").is_file():
        if data is not None or folder is not None or storage or set_ or seeds:
            raise SettingsError(
                f"The sweep in '{plan}' keeps its cells, its place and its settings; leave out the options "
                "for a new one."
            )
        opened = SweepFolder.open(Path(plan))
    else:
        wanted = find_plan(plan)
        if data is None or folder is None:
            raise SettingsError("A new sweep needs --data FILE and --folder DIR.")
        values = wanted.model_dump()
        for assignment in set_ or []:
            section, field, value = _parse_assignment(assignment)
            values["changes"].setdefault(section, {})[field] = value
        if seeds:
            values["seeds"] = seeds
        opened = SweepFolder.create(folder, plan_from(values, plan), data, storage)
    with _progress() as report:
        work_together(opened, workers, report, wait, retry)
    found = summary(opened)
    _show(found, as_json, summary_words(found))


@app.command()
def predict(
    run: RunArgument,
    perturbation: Annotated[
        list[str], typer.Option(help="Panel gene, or several joined by '+'; repeatable.")
    ],
    loss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENE=FRACTION",
            help="Share of a gene's mRNA that is lost, as STAT1=0.8; else as in the screen. Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="CSV to write: perturbation,gene,effect,sd; for combinations also the additive sum."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Expected effects of perturbations: log2(counts per 10,000 + 1) against control, with spread, and what
    they rest on.

    Genes without training cells are answered by the network alone. Combinations stand beside the sum of their
    parts.
    """
    import numpy as np
    import pandas as pd

    from gpovae_core.questions.whatif import ask_run
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    with _progress() as report:
        answers = ask_run(
            folder,
            tuple(perturbation),
            dict(_parse_loss(text) for text in loss or []),
            lambda s: report("predicting", s),
        )
    table = pd.concat(
        [a.table.assign(perturbation=a.question.perturbation) for a in answers], ignore_index=True
    )
    columns = ["perturbation", "gene", "effect", "sd"] + ["additive"] * ("additive" in table)
    table = table.reindex(columns=columns)
    if out is not None:
        table.to_csv(out, index=False)
    effects = {
        a.question.perturbation: {
            gene: {"effect": float(e) if np.isfinite(e) else None, "sd": float(d)}
            for gene, e, d in zip(a.table["gene"], a.table["effect"], a.table["sd"], strict=True)
        }
        for a in answers
    }
    unseen = [a.question.perturbation for a in answers if a.basis not in ("seen", "seen combination")]
    answer = {
        "effects": effects,
        "monte_carlo_error": max(a.monte_carlo_error for a in answers),
        "rests_on": {a.question.perturbation: a.basis for a in answers},
        "not_in_training": unseen,
        "interactions": {
            a.question.perturbation: _interaction(a.interaction) for a in answers if a.interaction is not None
        },
    }
    strongest = (
        table.sort_values("effect", key=abs, ascending=False).groupby("perturbation", sort=False).head(10)
    )
    text = strongest.to_string(index=False) if out is None else f"Wrote {len(table)} effects to {out}."
    notes = [f"{a.question.perturbation} rests on: {a.basis}." for a in answers]
    notes += [
        f"No training cells of {', '.join(a.by_network)}: answered by the network alone."
        for a in answers
        if a.by_network
    ]
    notes += [_interaction_words(a.interaction) for a in answers if a.interaction is not None]
    _show(answer, as_json, "\n".join([text, *notes]))


def _parse_loss(text: str) -> tuple[str, float]:
    """`STAT1=0.8` -> ("STAT1", 0.8)."""
    gene, _, fraction = text.partition("=")
    try:
        return gene.strip(), float(fraction)
    except ValueError:
        raise SettingsError(f"--loss takes GENE=FRACTION, for example STAT1=0.8; got '{text}'.") from None


def _interaction(found: Interaction) -> dict[str, Any]:
    """A combination beside its parts, for scripts."""
    from dataclasses import asdict

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


@app.command()
def network(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write: .csv, .graphml, .gexf, .sif, .cx2 or .html.")],
    threshold: Threshold = None,
    influence: Annotated[
        bool,
        typer.Option(
            "--influence",
            help="T_K in place of W: all that a change of the source changes, over up to K hops.",
        ),
    ] = False,
    frequency: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Only edges that at least this share of the ensemble has (gpovae ensemble).",
        ),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Write the edges above a threshold: source, target, weight, sign, strength with its interval and
    frequency where the run has them.
    """
    from gpovae_core.network.exports import write_edges
    from gpovae_core.runs.ensemble import read_ensemble
    from gpovae_core.runs.folder import RunFolder

    net, cut = _network(run, threshold)
    if frequency:
        read_ensemble(RunFolder.open(run))  # says what is wrong with it, if anything is
        net = net.found_often(frequency)
    if influence:
        net = net.influence_network(RunFolder.open(run).settings().loss.shown_hops)
        cut = LEAST_INFLUENCE if threshold is None else threshold
    write_edges(net, cut, out)
    edges = net.edges(cut)
    answer = {"matrix": "T_K" if influence else "W", "threshold": cut, "edges": len(edges), "out": str(out)}
    _show(
        answer,
        as_json,
        f"Wrote {len(edges)} edges with {'abs(T_K)' if influence else 'W'} > {cut:g} to {out}.",
    )


@app.command()
def paths(
    run: RunArgument,
    source: Annotated[list[str], typer.Option(help="Gene the path starts from; repeatable.")],
    target: Annotated[str, typer.Option(help="Gene it leads to.")],
    hops: Annotated[int, typer.Option(min=1, help="Most edges in a path.")] = 5,
    top: Annotated[int, typer.Option(min=1, help="How many paths.")] = 10,
    threshold: Annotated[float, typer.Option(help="Only edges with W above this.")] = 0.0,
    as_json: Json = False,
) -> None:
    """The most probable paths from a gene to another, and their share of what reaches the target within the
    hops.
    """
    from gpovae_core.network.paths import trace_paths

    net, _ = _network(run, None)
    trace = trace_paths(net, source, target, hops, top, threshold)
    found = [
        {"genes": list(path.genes), "probability": path.probability, "share": path.share}
        for path in trace.paths
    ]
    answer = {
        "paths": found,
        "share_by_hops": list(trace.share_by_hops),
        "influence": trace.influence,
        "explained": trace.explained,
        "remainder": trace.remainder,
    }
    lines = [f"probability, share of the influence over {hops} hops, path"]
    lines += [f"{path.probability:.3g}  {path.share:.1%}  {' -> '.join(path.genes)}" for path in trace.paths]
    lines.append(
        f"These paths carry {trace.explained:.1%}; {trace.remainder:.1%} runs over others and over walks "
        "that revisit genes."
    )
    _show(answer, as_json, "\n".join(lines) if found else f"No path of at most {hops} hops.")


@app.command()
def info(run: RunArgument, as_json: Json = False) -> None:
    """What a run is: data, settings, state, panel."""
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    panel = folder.panel().data if folder.has("panel.json") else None
    answer = {
        "run": str(folder.path),
        "source": folder.source().model_dump(),
        "status": folder.status().model_dump(),
        "panel": {
            "perturbed": len(panel.perturbed),
            "extended": len(panel.extended),
            "measured": len(panel.measured),
        }
        if panel
        else None,
        "settings": folder.settings().model_dump(mode="json"),
    }
    _show(answer, as_json, json.dumps(answer, indent=2))


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A run exported as .zip, a .ckpt of the authors' release, or a matrix (.csv, .tsv, .npz).",
        ),
    ],
    run: Annotated[Path, typer.Option(help="Folder of the new run.")],
    genes: Annotated[
        Path | None,
        typer.Option(help="Gene names in the order of the matrix: one a line, or the release's grn.csv."),
    ] = None,
    perturbed: Annotated[
        Path | None, typer.Option(help="For a matrix: which of its genes were perturbed, one a line.")
    ] = None,
    values: Annotated[str, typer.Option(help="For a matrix: probabilities, logits, or auto.")] = "auto",
    transpose: Annotated[
        bool, typer.Option("--transpose", help="For a matrix: its rows are targets, not sources.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a run from a network that was trained elsewhere. Nothing in the file is executed."""
    from gpovae_core.runs.importing import import_file

    if values not in ("auto", "probabilities", "logits"):
        raise SettingsError(f"--values takes probabilities, logits or auto; got '{values}'.")
    folder = import_file(file, run, genes, perturbed, values, transpose)
    panel, status = folder.panel(), folder.status()
    answer = {
        "run": str(folder.path),
        "state": status.state,
        "genes": len(panel),
        "perturbed": len(panel.data.perturbed),
    }
    text = (
        f"Run {folder.path}: {status.state}, {len(panel)} genes, {len(panel.data.perturbed)} of them "
        f"perturbed. {status.message}"
    ).rstrip()
    _show(answer, as_json, text)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write, .zip; `gpovae import` reads it again.")],
    resumable: Annotated[bool, typer.Option("--resumable", help="With what is needed to train on.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run as one file, to keep it or to carry it to another machine."""
    from gpovae_core.runs.archive import export_run
    from gpovae_core.runs.folder import RunFolder

    export_run(RunFolder.open(run), out, resumable)
    answer = {"run": str(run), "out": str(out), "bytes": out.stat().st_size}
    _show(answer, as_json, f"Wrote {run} to {out} ({answer['bytes'] / 1e6:,.1f} MB).")


def _network(run: Path, threshold: float | None) -> tuple[GeneNetwork, float]:
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    cut = folder.settings().evaluation.threshold if threshold is None else threshold
    return GeneNetwork.from_run(folder), cut


def _ensemble_words(found: Ensemble) -> str:
    """How many edges come back how often, and how much two members agree, beside chance."""
    counts = ", ".join(
        f"{int((found.frequency >= share).sum())} in at least {share:.0%}" for share in (0.5, 0.8, 0.95)
    )
    lines = [
        f"Edges (W > {found.threshold:g}): {found.edges:.1f} in a member on average; {counts} of "
        f"{found.members} members."
    ]
    for row in found.stability.to_dict("records"):
        lines.append(
            f"  strongest {row['edges']:.0f}: two members share {row['overlap']:.0%} (Jaccard "
            f"{row['jaccard']:.2f}; random {row['random_jaccard']:.2f})"
        )
    return "\n".join(lines)


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _settings_given(
    epochs: int | None,
    seed: int | None,
    device: str | None,
    label_column: str | None,
    control_label: str | None,
    sets: list[str] | None,
) -> dict[str, dict[str, object]]:
    """Section -> field -> value of what was given on the command line."""
    given: dict[str, dict[str, object]] = {
        "training": _given(epochs=epochs, seed=seed, device=device),
        "data": _given(label_column=label_column, control_label=control_label),
    }
    for assignment in sets or []:
        section, field, value = _parse_assignment(assignment)
        given.setdefault(section, {})[field] = value
    return given


def _parse_assignment(text: str) -> tuple[str, str, object]:
    """`loss.hops=3` -> ("loss", "hops", 3); values are JSON, or else plain text."""
    name, equals, value = text.partition("=")
    section, dot, field = name.strip().partition(".")
    if not (equals and dot and section and field):
        raise SettingsError(f"--set takes SECTION.FIELD=VALUE, for example loss.hops=3; got '{text}'.")
    try:
        return section, field, json.loads(value)
    except json.JSONDecodeError:
        return section, field, value


def _show(answer: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(answer, allow_nan=False) if as_json else text)


def _usable(summary: dict[str, Any]) -> list[str]:
    """What would be used of a file, for reading."""
    sizes = summary["perturbations"]
    listed = ", ".join(
        f"{name} {count:,}" for name, count in sorted(sizes.items(), key=lambda item: -item[1])
    )
    dropped = [
        f"Dropped: {item['what']} {item['name']}, {item['count']:,} cells: {item['reason']}"
        for item in summary["dropped"]
    ]
    return [
        f"Cells: {summary['cells_kept']:,} of {summary['cells']:,}; genes: {summary['genes']:,}; counts "
        f"from {summary['counts_from']}.",
        f"Labels from '{summary['label_column']}'; control '{summary['control_label']}' with "
        f"{summary['control_cells']:,} cells.",
        f"Perturbations ({len(sizes)}) with their cells: {listed}.",
        *dropped,
        *(f"Note: {note}" for note in summary["notes"]),
    ]


def _scores(report: dict[str, Any]) -> str:
    """Scores for reading: every number beside its baselines, its ceiling and its edge count."""

    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    lines = []
    for name, words in (("test", "held-out cells"), ("all", "all cells, the model's own included")):
        scores = report.get("response", {}).get(name)
        if scores:
            lines.append(
                f"Effects, {words} ({scores['perturbations']} perturbations, {scores['cells']} cells):"
            )
            for metric, label in (
                ("ate_rho", "ATE-rho, pooled"),
                ("median_rho", "rho, median of perturbations"),
                ("r2", "R2"),
            ):
                lines.append(
                    f"  {label}: "
                    + ", ".join(
                        f"{key.replace('_', ' ')} {number(value)}" for key, value in scores[metric].items()
                    )
                )
    net = report["network"]
    cut = "listed edges" if net["threshold"] is None else f"threshold {net['threshold']:g}"
    same = net["at_same_edges"]
    lines += [
        f"Network, {cut}: {net['edges']} edges of {net['pairs']} testable pairs",
        f"  mean Wasserstein {number(net['mu_wd'])} (same number of edges: random "
        f"{number(same['random']['mu_wd'])}, mean difference {number(same['mean_difference']['mu_wd'])})",
        f"  share with BH p < 0.05 {number(net['bh_share'])} (random {number(same['random']['bh_share'])}, "
        f"mean difference {number(same['mean_difference']['bh_share'])})",
        f"  false omission rate {number(net['for'])} over {net['for_pairs']} pairs without a path",
    ]
    if "rankings" in net:
        lines.append(
            f"  estimated share of false edges {number(net['false_edge_rate'])} (no effect at all; from "
            "controls)"
        )
        lines += _ranking_lines(net["rankings"], number)
    health = report.get("health")
    if health:
        lines.append(f"Latent dimensions in use: {health['active_latent']} of {health['latent']}")
        lines += [f"Warning: {text}" for text in health["warnings"]]
    from gpovae_core.evaluation.summary import verdicts

    return "\n".join([*lines, *verdicts(report), *(f"Note: {text}" for text in report.get("notes", []))])


def _unseen_scores(answer: dict[str, Any]) -> str:
    """Scores of the network's predictions of held-out perturbations, each beside its baselines."""

    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    lines = [
        f"Whole perturbations held out, {answer['at_once']} at a time, {answer['draws']} draws, seed "
        f"{answer['seed']}; the perturbed gene's own column is left out."
    ]
    for key, words in (
        ("pooled", "All held-out perturbations"),
        ("with_known_path", "Those that some training perturbation moves"),
    ):
        part = answer[key]
        lines.append(f"{words} ({part['perturbations']}):")
        for score, label in (
            ("rho", "rho, pooled"),
            ("median_rho", "rho, median of perturbations"),
            ("rmse", "root mean square error"),
        ):
            lines.append(
                f"  {label}: "
                + ", ".join(
                    f"{name.replace('_', ' ')} {number(value)}" for name, value in part[score].items()
                )
            )
    weights = ", ".join(f"{name} {value:.2f}" for name, value in answer["screen"]["weights"].items())
    return "\n".join([*lines, f"Weights of the parts over all perturbations of the screen: {weights}."])


def _ranking_lines(rankings: dict[str, Any], number: Callable[[float | None], str]) -> list[str]:
    """Rankings of pairs at equal numbers of edges, against held-out cells."""
    words = {
        "w": "W",
        "influence": "T_K",
        "model": "predicted effects",
        "mean_difference": "mean difference",
        "z": "z score",
        "random": "random",
    }
    lines = []
    for reference, title in (
        ("as_measured", "as measured"),
        ("without_common_lift", "without the common lift of all shares"),
    ):
        for entry in rankings[reference]:
            scores = (
                f"{label} {number(entry[k]['bh_share'])} / {number(entry[k]['mu_wd'])}"
                for k, label in words.items()
                if k in entry
            )
            lines.append(f"  top {entry['edges']}, {title}, BH share / mean Wasserstein: {', '.join(scores)}")
    return lines


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on standard error, so that standard output stays clean for scripts; plain lines where it is no
    terminal.
    """
    if not sys.stderr.isatty():
        last = [""]

        def plain(stage: str, share: float) -> None:
            if stage != last[0]:
                last[0] = stage
                print(f"{share:4.0%} {stage}", file=sys.stderr, flush=True)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda stage, share: bar.update(task, description=stage, completed=share)
