"""What the commands share: their common options, settings out of options, the answer and the bar."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpovae_core.data import cores, room
from gpovae_core.data.progress import without_numbers
from gpovae_core.data.readers import forms_in_words
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    from gpovae_core.data.progress import Progress
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.network.references import ReferenceNetwork
    from gpovae_core.runs.clusters.sites import Request
    from gpovae_core.runs.folder import JobFolder


RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, as made by `gpovae train --run`.")
]
CELLS = f"Cells ({forms_in_words()})"
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help=f"Cells with raw counts: {forms_in_words()}.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="A pair whose weight W (0 to 1) is above this is an edge (default: the run's own setting, 0.5)."
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of obs with the perturbed gene; found by name when not given.")
]
ControlLabel = Annotated[
    str | None, typer.Option(help="Value of that column that marks control cells; recognised when not given.")
]
Batch = Annotated[
    str | None,
    typer.Option(help="Column of obs with the batch; found when not given, `none` switches it off."),
]
Donor = Annotated[
    str | None,
    typer.Option(help="Column of obs with the donor; found when not given, `none` switches it off."),
]
Guide = Annotated[
    str | None,
    typer.Option(help="Column of obs with the guide; found when not given, `none` switches it off."),
]
Condition = Annotated[
    str | None,
    typer.Option(help="Column of obs with the condition; found when not given, `none` switches it off."),
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--conditions", metavar="VALUE", help="Use the cells of this condition alone; repeatable for several."
    ),
]
ConditionAsBatch = Annotated[
    bool | None,
    typer.Option(
        "--condition-as-batch/",
        help="Conditions are batches of one experiment: compare within each, one network for all.",
    ),
]
SizeFactor = Annotated[
    str | None,
    typer.Option(
        help="Column of obs with counts of the whole transcriptome; found when not given, `none` for none."
    ),
]
Guides = Annotated[
    str | None,
    typer.Option(
        "--guides",
        metavar="FILE",
        help="Guide UMIs of the cells in a file of their own (.csv, .tsv, .mtx, .h5, .h5ad).",
    ),
]
GuideTargets = Annotated[
    str | None,
    typer.Option(
        "--guide-targets", metavar="FILE", help="Table with the target of every guide (.csv, .tsv)."
    ),
]
GuideRule = Annotated[
    str | None,
    typer.Option(help="How guides are called from their UMIs: mixture (default) or threshold."),
]
Direction = Annotated[
    str | None,
    typer.Option(
        help="What was done to the genes: auto (as the file states it, else read off the data), knock-down, "
        "knock-out, activation, over-expression, mixed (read one by one) or none (a knock-out is assumed)."
    ),
]
HoldOut = Annotated[
    str | None,
    typer.Option(
        help="What the scores are measured on: cells (default), or whole guides, donors or batches."
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help=(
            "How the network is found. evidence (default): from the effects and their errors; released or "
            "paper: by the published formulas; sams-vae or cradle-vae: none is."
        )
    ),
]
Published = Annotated[
    str | None, typer.Option(help="K562, RPE1 or Adamson: the settings released for that data set.")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        callback=cores.use,
        help="Cores to use from reading to scoring (default: all); the result is the same for any number. "
        "The training itself takes the threads of OMP_NUM_THREADS.",
    ),
]
Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway",
        callback=room.anyway,
        help="Begin although it is reckoned to need more memory or disk than there is.",
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        metavar="SITE",
        help="Send it to a cluster: a site of clusters.toml (see `gpovae sites`); --jobs asks for cores.",
    ),
]
Gpus = Annotated[int | None, typer.Option(min=0, help="With --on: GPUs, on one machine.")]
Hours = Annotated[float | None, typer.Option(help="With --on: time limit in hours.")]
Memory = Annotated[float | None, typer.Option(help="With --on: memory in GB.")]
References = Annotated[
    list[Path] | None,
    typer.Option(
        "--reference",
        help=(
            "Table of known edges: source,target or gene1,gene2, or TRRUST, CollecTRI, DoRothEA, OmniPath, "
            "BioGRID, CORUM, STRING (with its file of names) as distributed; repeatable. Without it, those "
            "in the folder networks."
        ),
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help="Any other setting, as loss.hops=3; repeatable. config.json of a run holds them all.",
    ),
]


def given_values(**values: object) -> dict[str, object]:
    """Those that were given, that is, are not None."""
    return {name: value for name, value in values.items() if value is not None}


def guide_values(guides: str | None, guide_targets: str | None, guide_rule: str | None) -> dict[str, object]:
    """Settings of the guide calls that were given; files by their whole path, since a run may be continued
    from elsewhere.
    """
    files = {"guides": guides, "guide_targets": guide_targets}
    whole = {name: str(Path(path).resolve()) for name, path in files.items() if path is not None}
    return {**whole, **given_values(guide_rule=guide_rule)}


def request_given(
    on: str | None, gpus: int | None, hours: float | None, memory: float | None, jobs: int | None, runs: Path
) -> Request | None:
    """What a cluster is asked for; None where the work is to be done here. runs: the folder of runs. Raises
    SettingsError for a site that is not there, or options that ask for nothing.
    """
    from gpovae_core.runs.clusters.sites import find_site, request

    if on is None:
        if given_values(gpus=gpus, hours=hours, memory=memory):
            raise SettingsError(
                "--gpus, --hours and --memory say what a job on a cluster gets: give --on SITE with them."
            )
        return None
    return request(on, find_site(on, runs), gpus=gpus, hours=hours, memory_gb=memory, cores=jobs)


def show_sent(what: str, folder: JobFolder, as_json: bool) -> None:
    """The answer of a command that sent its work to a cluster. what: the work in words; folder: its job."""
    from gpovae_core.runs.clusters.told import in_words

    status = folder.status()
    answer = {"folder": str(folder.path), "state": status.state, "site": status.site, "job": status.job}
    show(answer, as_json, f"{what}: {in_words(status)}, job {status.job}.")


def settings_given(
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    label_column: str | None = None,
    control_label: str | None = None,
    sets: list[str] | None = None,
) -> dict[str, dict[str, object]]:
    """Section -> field -> value of what was given on the command line."""
    given: dict[str, dict[str, object]] = {
        "training": given_values(epochs=epochs, seed=seed, device=device),
        "data": given_values(label_column=label_column, control_label=control_label),
    }
    assign(given, sets)
    return given


def assign(sections: dict[str, dict[str, object]], sets: list[str] | None) -> None:
    """Put every SECTION.FIELD=VALUE of --set into its section."""
    for assignment in sets or []:
        section, field, value = parse_assignment(assignment)
        sections.setdefault(section, {})[field] = value


def parse_assignment(text: str) -> tuple[str, str, object]:
    """`loss.hops=3` -> ("loss", "hops", 3); values are JSON, or else plain text."""
    name, equals, value = text.partition("=")
    section, dot, field = name.strip().partition(".")
    if not (equals and dot and section and field):
        raise SettingsError(f"--set takes SECTION.FIELD=VALUE, for example loss.hops=3; got '{text}'.")
    return section, field, _value(value)


def plain_assignment(text: str) -> tuple[str, object]:
    """`library_median=500` -> ("library_median", 500), of settings that have no sections."""
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise SettingsError(f"--set takes SETTING=VALUE, for example library_median=500; got '{text}'.")
    return name.strip(), _value(value)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def show(answer: dict[str, Any], as_json: bool, text: str) -> None:
    """The answer of a command on standard output: one JSON object, or text."""
    print(json.dumps(answer, allow_nan=False) if as_json else text)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error, so that standard output stays clean for scripts; plain lines where it is no
    terminal.
    """
    if not sys.stderr.isatty():
        yield _plain_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda stage, share: bar.update(task, description=stage, completed=share)


LINE_SECONDS = 10.0
"""Between two plain lines that differ in numbers alone."""


def _plain_lines() -> Progress:
    last, when, heard = "", 0.0, True

    def told(stage: str, share: float) -> None:
        nonlocal last, when, heard
        kind, now = without_numbers(stage), time.monotonic()
        if not heard or (kind == last and now - when < LINE_SECONDS):
            return
        last, when = kind, now
        try:
            print(f"{share:4.0%} {stage}", file=sys.stderr, flush=True)
        except OSError:  # whoever read it is gone (`| head`, a closed window): no reason to stop the work
            heard = False

    return told


def network_of(run: Path, threshold: float | None) -> tuple[GeneNetwork, float]:
    """The network of a run, and the threshold: as given, or that of its settings."""
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    cut = folder.settings().evaluation.threshold if threshold is None else threshold
    return GeneNetwork.from_run(folder), cut


def references_for(net: GeneNetwork, files: list[Path] | None) -> list[ReferenceNetwork]:
    """Tables of known edges: those given, else those of the folder for measured genes; made-up genes are in
    no table. What cannot be read of the folder is said on standard error.
    """
    from gpovae_core.network.references import networks_folder, read_reference_files, read_references

    if files:
        return read_reference_files(files)
    if net.simulated:
        return []
    found, faults = read_references(networks_folder())
    for fault in faults:
        print(fault, file=sys.stderr)
    return found
