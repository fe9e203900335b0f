"""clusters.toml: the places beside this machine where a run may be trained, one table a place.

Looked for in this order: the file that GPOVAE_CLUSTERS names, `clusters.toml` beside the folder of runs, and
`clusters.toml` in the user's folder of settings (~/.config/gpovae on Linux).
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gpovae_core.errors import SettingsError

FILE = "clusters.toml"
VARIABLE = "GPOVAE_CLUSTERS"
OURS = (
    *("array", "batch", "begin", "chdir", "cpus-per-task", "error", "export", "export-file", "gres", "gpus"),
    *("gpus-per-node", "gpus-per-task", "help", "hold", "input", "job-name", "mem", "mem-per-cpu"),
    *("mem-per-gpu", "nodes", "no-requeue", "ntasks", "ntasks-per-node", "open-mode", "output", "parsable"),
    *("partition", "account", "qos", "quiet", "requeue", "signal", "test-only", "time", "uid", "usage"),
    *("wait", "wrap"),
)
"""Options of sbatch that are set from other keys, or would change what a job is."""


def _of_one_line(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("holds a line break or another letter that cannot be seen")
    return text


def _checked_options(options: dict[str, str]) -> dict[str, str]:
    wrong = []
    for name in options:
        if not re.fullmatch(r"[a-z][a-z-]*", name):
            wrong.append(f"'{name[:40]}' is no long option of sbatch; write constraint, not --constraint")
        elif name in OURS:
            wrong.append(f"'{name}' is set by other keys or by gpovae itself; leave it out")
    if wrong:
        raise ValueError("; ".join(wrong))
    return options


def _whole_path(text: str) -> str:
    if text and not PurePosixPath(text).is_absolute():
        raise ValueError("give the whole path, from / on")
    return _of_one_line(text)


Line = Annotated[str, Field(max_length=200), AfterValidator(_of_one_line)]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Wanted(_Closed):
    """What a job gets."""

    gpus: int = Field(default=0, ge=0, le=64, description="GPUs, on one machine.")
    cores: int = Field(default=4, ge=1, le=1024, description="Cores of the processor.")
    memory_gb: float = Field(default=16.0, ge=0.1, le=65536, description="Memory in GB.")
    hours: float = Field(default=24.0, ge=0.02, le=24 * 366, description="Time limit in hours.")

    @property
    def words(self) -> str:
        gpus = f"{self.gpus} GPU{'s' * (self.gpus != 1)}, " if self.gpus else ""
        cores = f"{self.cores} core{'s' * (self.cores != 1)}"
        return f"{gpus}{cores}, {self.memory_gb:g} GB, {self.hours:.3g} h"


class Site(Wanted):
    """One place: a partition of a cluster, and what a job gets there where nothing else is asked for."""

    about: Line = Field(default="", description="What it is, for the page Train.")
    partition: Line = Field(default="", description="Partition; the scheduler's own choice when not given.")
    account: Line = Field(default="", description="Account that is charged.")
    qos: Line = Field(default="", description="Quality of service.")
    gpu_type: Line = Field(default="", description="Kind of GPU, as `sinfo -o %G` calls it.")
    requeue: int = Field(
        default=3,
        ge=0,
        le=100,
        description="How often a job that reached its time limit goes back into the queue by itself.",
    )
    warn_seconds: int = Field(
        default=120,
        ge=10,
        le=3600,
        description="Seconds before the time limit at which a job is told to end after the step at hand.",
    )
    python: Annotated[str, Field(max_length=1000), AfterValidator(_whole_path)] = Field(
        default="", description="Python over there that has gpovae; the one of this process when not given."
    )
    options: Annotated[dict[str, Line], AfterValidator(_checked_options)] = Field(
        default_factory=dict, description="Further long options of sbatch, such as constraint = 'a100'."
    )


class Request(Wanted):
    """What was asked for a job, kept with it so that it can be asked for again."""

    site: str
    reached: int = 0
    """How often the job has reached its time limit and gone back into the queue."""


def request(name: str, site: Site, **asked: float | None) -> Request:
    """What the site gives, with what was asked (gpus, cores, memory_gb, hours; None: nothing) in its place.
    Raises SettingsError that lists all that cannot be.
    """
    values = {field: getattr(site, field) for field in Wanted.model_fields}
    given = {field: value for field, value in asked.items() if value is not None}
    try:
        return Request.model_validate({**values, **given, "site": name})
    except ValidationError as error:
        raise SettingsError(
            f"That cannot be asked of '{name}':\n" + "\n".join(_faults(error, lambda at: at[0]))
        ) from error


def clusters_file(runs: Path) -> Path | None:
    """The file that counts for runs in the folder `runs`; None where there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    beside = (Path(runs).resolve().parent / FILE, _settings_folder() / FILE)
    return next((path for path in beside if path.is_file()), None)


def _settings_folder() -> Path:
    import platformdirs

    return platformdirs.user_config_path("gpovae", appauthor=False)


def read_sites(runs: Path) -> dict[str, Site]:
    """Name -> site, in the order of the file; empty where there is none. Raises SettingsError that names the
    file and lists everything wrong in it, each with its table and key.
    """
    path = clusters_file(runs)
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        told = f" ({VARIABLE} names it)" if os.environ.get(VARIABLE) else ""
        raise SettingsError(f"'{path}' cannot be read{told}: {error.strerror or error}.") from error
    except ValueError as error:  # of TOML, and of what is no text
        raise SettingsError(f"'{path}' is no valid TOML: {error}.") from error
    sites, faults = {}, []
    for name, table in values.items():
        site, wrong = _site(name, table)
        faults += wrong
        if site is not None:
            sites[name] = site
    if faults:
        raise SettingsError(f"'{path}' cannot be used:\n" + "\n".join(faults))
    return sites


def find_site(name: str, runs: Path) -> Site:
    """The site called `name`. Raises SettingsError where there is none, with those that there are."""
    sites, path = read_sites(runs), clusters_file(runs)
    if name in sites:
        return sites[name]
    if path is None:
        raise SettingsError(
            f"There is no site '{name}', since there is no {FILE}: put one beside the folder of runs "
            f"('{Path(runs).resolve().parent / FILE}'), with a table [{name}]. docs/devices.md shows one."
        )
    known = ", ".join(sites) or "none"
    raise SettingsError(f"There is no site '{name}' in '{path}'; there is: {known}.")


def _site(name: str, table: Any) -> tuple[Site | None, list[str]]:
    """One table as a site, or what is wrong with it."""
    if not isinstance(table, dict):
        words = "stands outside a table. Put it below a line [NAME] that names a site"
        return None, [f"{name}: {words} (got {table!r:.80})"]
    wrong = []
    if not _NAME.fullmatch(name):
        wrong.append(
            f"[{name[:60]!r}]: no name for a site. Use 1 to 40 letters, digits, spaces, and . _ + -, "
            "beginning with a letter or a digit."
        )
    try:
        return Site.model_validate(table, strict=True), wrong
    except ValidationError as error:
        return None, wrong + _faults(error, lambda at: f"[{name}] {'.'.join(map(str, at))}")


def _faults(error: ValidationError, place: Any) -> list[str]:
    """Every fault in words: where, what, what was got; an unknown key with those that there are."""
    lines = []
    for one in error.errors():
        words = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            words = f"is no key of a site. There is: {', '.join(Site.model_fields)}"
        lines.append(f"{place(one['loc'])}: {words} (got {one['input']!r:.80})")
    return lines
