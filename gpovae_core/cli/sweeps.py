"""Many runs as one job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import (
    CELLS,
    Anyway,
    Gpus,
    Hours,
    Jobs,
    Json,
    Memory,
    On,
    Sets,
    assign,
    progress_bar,
    request_given,
    show,
    show_sent,
)
from gpovae_core.errors import SettingsError


def sweep(
    plan: Annotated[
        str | None,
        typer.Argument(
            metavar="PLAN|FOLDER",
            help="A sweep file, a shipped one by name, or a sweep to go on; none: the list.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help=f"{CELLS}, for a new sweep.")] = None,
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
    on: On = None,
    gpus: Gpus = None,
    hours: Hours = None,
    memory: Memory = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    worker: Annotated[
        str, typer.Option(help="Of a job on a cluster: folder of this worker, made by whoever sent it.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Train runs at several settings and compare them.

    Runs go over conditions, axes and seeds (Optuna). Stopped by Ctrl-C; `gpovae sweep FOLDER` goes on.

    Several machines share a sweep by giving the same plan, the same cells and the same --storage, each with a
    --folder of its own or on a shared disk. With --on every one of --workers is a job of a cluster.
    """
    from gpovae_core.sweeps.folder import SweepFolder, launch, submit
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
        show({"sweeps": rows}, as_json, "\n".join(lines))
        return
    if (Path(plan) / "sweep.json").is_file():
        if data is not None or folder is not None or storage or set_ or seeds:
            raise SettingsError(
                f"The sweep in '{plan}' keeps its cells, its place and its settings; leave out the options "
                "for a new one."
            )
        opened = SweepFolder.open(Path(plan))
        asked = request_given(on, gpus, hours, memory, jobs, opened.path.resolve().parent)
        if asked is not None:
            launch(opened, workers, retry, asked)
    else:
        wanted = find_plan(plan)
        if data is None or folder is None:
            raise SettingsError("A new sweep needs --data FILE and --folder DIR.")
        values = wanted.model_dump()
        assign(values["changes"], set_)
        if seeds:
            values["seeds"] = seeds
        asked = request_given(on, gpus, hours, memory, jobs, folder.resolve().parent)
        if asked is not None:
            opened = submit(folder, plan_from(values, plan), data, workers, asked, storage)
        else:
            opened = SweepFolder.create(folder, plan_from(values, plan), data, storage)
    if asked is not None:
        show_sent(f"Sweep {opened.path}, the last of {workers}", opened.workers()[0], as_json)
        return
    with progress_bar() as progress:
        work_together(opened, workers, progress, wait, retry, worker)
    found = summary(opened)
    show(found, as_json, summary_words(found))
