"""Commands about work that goes on elsewhere: where it can be sent, and how it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import Json, show
from gpovae_core.errors import RunError


def sites(
    runs: Annotated[
        Path, typer.Option(help="Folder of runs, beside which clusters.toml is looked for.")
    ] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the clusters that --on can send work to.

    They are the sites of clusters.toml; what is sent is a training, an ensemble or a sweep.
    """
    from gpovae_core.runs.clusters.sites import FILE, clusters_file, read_sites

    found, path = read_sites(runs), clusters_file(runs)
    answer = {
        "file": None if path is None else str(path),
        "sites": {name: site.model_dump() for name, site in found.items()},
    }
    lines = [f"{path}:"] if path else [f"There is no {FILE}; docs/devices.md shows one, and where to put it."]
    for name, site in found.items():
        lines.append(f"{name:20} {site.words}, as asked for nothing else. {site.about}".rstrip())
    show(answer, as_json, "\n".join(lines))


def stop(
    folder: Annotated[Path, typer.Argument(metavar="RUN|SWEEP", help="A run, or a sweep.")],
    as_json: Json = False,
) -> None:
    """Stop the work on a run or a sweep.

    Its training, ensemble and workers are stopped, here or on a cluster. What is finished is kept; jobs that
    wait leave the queue.
    """
    from gpovae_core.errors import GpoVaeError
    from gpovae_core.runs import jobs
    from gpovae_core.runs.ensemble import EnsembleJob
    from gpovae_core.runs.folder import JobFolder, RunFolder, is_run
    from gpovae_core.sweeps.folder import SWEEP, SweepFolder

    found: list[JobFolder]
    if is_run(folder):
        run = RunFolder.open(folder)
        found = [run, EnsembleJob.of(run)]
    elif (folder / SWEEP).is_file():
        found = list(SweepFolder.open(folder).workers())
    else:
        raise RunError(f"'{folder}' is no run and no sweep.")
    asked, problems = 0, []
    for one in found:
        try:
            asked += one.has("status.json") and jobs.stop(one)
        except GpoVaeError as error:
            problems.append(str(error))
    if problems:
        raise RunError("\n".join(problems))
    words = f"Asked {asked} to stop." if asked else "Nothing is at work there that could be asked to stop."
    show({"folder": str(folder), "asked": asked}, as_json, words)
