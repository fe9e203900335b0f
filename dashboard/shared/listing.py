"""Which runs and sweeps there are, and the way to open one by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs.folder import RunFolder, find_runs, is_run, runs_folder
from gpovae_core.runs.shipped import DEMOS

if TYPE_CHECKING:
    from gpovae_core.sweeps.folder import SweepFolder


def all_runs() -> dict[str, RunFolder]:
    """Name -> run: those in the runs folder, newest first, then the demo runs, which give way where a run of
    one's own has their name.
    """
    runs = {run.name: run for run in find_runs(runs_folder())}
    for name, path in DEMOS.items():
        if is_run(path):
            runs[f"{name} (comes with gpovae)" if name in runs else name] = RunFolder(path)
    return runs


def is_demo(run: RunFolder) -> bool:
    """Whether a run came with the program."""
    return run.path.resolve() in {path.resolve() for path in DEMOS.values()}


def newest(but: str | None = None) -> str | None:
    """Name of the newest run that has a network, `but` that one; of the demo where there is no other."""
    found = (name for name, run in all_runs().items() if name != but and run.has("model.safetensors"))
    return next(found, None)


def at_work() -> list[RunFolder]:
    """Runs that are being worked on or wait for it, in their order."""
    found = []
    for run in all_runs().values():
        try:
            status = run.status()
        except GpoVaeError:
            continue
        if status.busy and not status.dead():
            found.append((status.state == "queued", status.started, run))
    return [run for *_, run in sorted(found, key=lambda item: item[:2])]


def open_run(name: str) -> RunFolder:
    """The run called `name`. Only names in the listing are opened, so no name can lead out of the runs
    folder.
    """
    sweep, slash, inside = name.partition("/")
    runs = next((found.runs() for found in all_sweeps() if found.name == sweep), {}) if slash else all_runs()
    run = runs.get(inside if slash else name)
    if run is None:
        raise RunError(f"There is no run called '{name}' in '{runs_folder()}'. Choose one on the page Runs.")
    return RunFolder.open(run.path)


def all_sweeps() -> list[SweepFolder]:
    """The sweeps in the runs folder, newest first."""
    from gpovae_core.sweeps.folder import find_sweeps

    return find_sweeps(runs_folder())


def open_sweep(name: str) -> SweepFolder:
    """The sweep called `name`; only names in the listing are opened."""
    from gpovae_core.sweeps.folder import SweepFolder

    found = {sweep.name: sweep for sweep in all_sweeps()}.get(name)
    if found is None:
        raise RunError(
            f"There is no sweep called '{name}' in '{runs_folder()}'. Choose one on the page Experiments."
        )
    return SweepFolder.open(found.path)
