"""Commands that train a run, or say beforehand what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpovae_core.cli.shared import (
    Anyway,
    Batch,
    Condition,
    ConditionAsBatch,
    Conditions,
    ControlLabel,
    Device,
    Direction,
    Donor,
    FileArgument,
    Gpus,
    Guide,
    GuideRule,
    Guides,
    GuideTargets,
    HoldOut,
    Hours,
    Jobs,
    Json,
    LabelColumn,
    Memory,
    On,
    Preset,
    Published,
    Sets,
    SizeFactor,
    given_values,
    guide_values,
    progress_bar,
    request_given,
    settings_given,
    show,
    show_sent,
)
from gpovae_core.data.progress import stretch
from gpovae_core.errors import GpoVaeError, SettingsError

if TYPE_CHECKING:
    from gpovae_core.config import Settings
    from gpovae_core.runs.clusters.sites import Request
    from gpovae_core.runs.folder import RunFolder

STOPPED = 130
"""Exit code of a training that somebody stopped, as a shell has it for Ctrl-C."""


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
    hold_out: HoldOut = None,
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
    each_condition: Annotated[
        bool,
        typer.Option(
            "--each-condition",
            help="A run for each condition, all over one panel, in the folder --run, as a sweep.",
        ),
    ] = False,
    on: On = None,
    gpus: Gpus = None,
    hours: Hours = None,
    memory: Memory = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    as_json: Json = False,
) -> None:
    """Prepare cells, train on them and score the run.

    The training ends with the early stop; the scores are measured on held-out cells.
    """
    from gpovae_core.config import make_settings
    from gpovae_core.reporting.ending import ending
    from gpovae_core.training.ranks import is_first
    from gpovae_core.workflow import resume_in_turn, resume_run, start_run

    given = settings_given(epochs, seed, device, label_column, control_label, set_)
    design = given_values(
        batch=batch,
        donor=donor,
        guide=guide,
        condition=condition,
        conditions=conditions,
        condition_as_batch=condition_as_batch,
        size_factor=size_factor,
        hold_out=hold_out,
    )
    of_guides = guide_values(guides, guide_targets, guide_rule)
    given["data"] = {**of_guides, **design, **given["data"]}
    given["network"] = {**given_values(perturbation=direction), **given.get("network", {})}
    given["training"] |= given_values(devices=devices, nodes=nodes, strategy=strategy)
    asked = request_given(on, gpus, hours, memory, jobs, run.parent)
    if each_condition:
        if resume:
            raise SettingsError(f"--each-condition made a sweep; `gpovae sweep {run}` goes on with it.")
        given["data"] = {**given_values(seed=seed), **given["data"]}
        _each_condition(file, run, make_settings(preset, given, published), asked, as_json)
        return
    if asked is not None:
        if resume:
            _only_training(given, published)
            sent = _resume_there(run, given["training"], asked)
        else:
            given["data"] = {**given_values(seed=seed), **given["data"]}
            settings = make_settings(preset, given, published)
            _say_what_is_idle(settings, given)
            sent = _submit(file, run, settings, asked)
        show_sent(f"Run {sent.path}", sent, as_json)
        return
    with progress_bar() as progress:
        if resume:
            _only_training(given, published)
            folder = (resume_in_turn if wait else resume_run)(run, given["training"], progress)
        else:
            given["data"] = {**given_values(seed=seed), **given["data"]}
            settings = make_settings(preset, given, published)
            _say_what_is_idle(settings, given)
            folder = start_run(file, run, settings, progress, warn=_warn)
    if not is_first(folder.settings().training):
        return
    status = folder.status()
    answer = {
        "run": str(folder.path),
        "state": status.state,
        "epochs": status.epoch,
        "best_epoch": status.best_epoch,
    }
    if as_json:  # a script learns at once that the run is done
        show(answer, as_json, "")
    if status.state == "done":
        _how_often(folder)
    if not as_json:
        print("\n".join(ending(folder)))
    if status.state == "stopped":  # what a script would do next needs a run that is done
        raise typer.Exit(STOPPED)


def _submit(file: Path, run: Path, settings: Settings, asked: Request) -> RunFolder:
    from gpovae_core.runs.jobs import submit

    return submit(file, run, settings, asked)


def _resume_there(run: Path, changes: dict[str, Any], asked: Request) -> RunFolder:
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.runs.jobs import resume
    from gpovae_core.workflow import check_changes

    folder = RunFolder.open(run)
    check_changes(changes)
    resume(folder, changes, asked)
    return folder


def _only_training(given: dict[str, dict[str, Any]], published: str | None) -> None:
    """Raises SettingsError where a resumed run is given settings that it keeps."""
    fixed = [name for name, fields in given.items() if name != "training" and fields]
    fixed += ["published"] * (published is not None)
    if fixed:
        raise SettingsError(f"A resumed run keeps its settings; leave out those of {', '.join(fixed)}.")


def _say_what_is_idle(settings: Settings, given: dict[str, dict[str, Any]]) -> None:
    from gpovae_core.config import idle_given

    for note in idle_given(settings, given):
        typer.echo(f"Note: {note}", err=True)


def _how_often(folder: RunFolder) -> None:
    """What follows a run that is done may be stopped, and takes nothing from it."""
    from gpovae_core.runs.ensemble import follow_training

    with progress_bar() as progress:
        try:
            follow_training(folder, stretch(progress, words="how often edges come back"))
        except GpoVaeError as error:
            typer.echo(f"Note: how often edges come back is not known: {error}", err=True)


def _each_condition(
    file: Path, folder: Path, settings: Settings, asked: Request | None, as_json: bool
) -> None:
    from gpovae_core.sweeps.conditions import plan_of_conditions
    from gpovae_core.sweeps.folder import SweepFolder, submit
    from gpovae_core.sweeps.results import summary, summary_words
    from gpovae_core.sweeps.work import work_together

    if asked is not None:
        with progress_bar() as progress:
            plan = plan_of_conditions(file, settings, progress)
        show_sent(f"Sweep {folder}", submit(folder, plan, file, asked=asked).workers()[0], as_json)
        return
    with progress_bar() as progress:
        opened = SweepFolder.create(folder, plan_of_conditions(file, settings, progress), file)
        work_together(opened, 1, progress)
    found = summary(opened)
    show(found, as_json, summary_words(found))


def _warn(text: str) -> None:
    typer.echo(f"Warning: {text}", err=True)


def estimate(
    file: FileArgument,
    preset: Preset = None,
    published: Published = None,
    device: Device = None,
    label_column: LabelColumn = None,
    control_label: ControlLabel = None,
    set_: Sets = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    as_json: Json = False,
) -> None:
    """Say how long an epoch takes here, and its memory.

    Both are measured on this machine, on a few steps.
    """
    from gpovae_core import workflow
    from gpovae_core.config import make_settings

    settings = make_settings(
        preset,
        settings_given(device=device, label_column=label_column, control_label=control_label, sets=set_),
        published,
    )
    with progress_bar() as progress:
        probe = workflow.estimate(file, settings, progress)
    text = (
        f"On {probe.device}: {probe.seconds_per_epoch:.1f} s per epoch ({probe.steps_per_epoch} steps; "
        f"{probe.cells:,} training cells, {probe.panel:,} panel genes, {probe.genes:,} measured genes), "
        f"{probe.peak_bytes / 1e9:.2f} GB of memory"
        + (f", {probe.device_bytes / 1e9:.2f} GB of the GPU's." if probe.device_bytes else ".")
    )
    show(probe.model_dump(), as_json, text)
