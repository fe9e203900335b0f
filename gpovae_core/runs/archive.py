"""Runs as things to keep: names, the trash, and one file that carries a run to another machine."""

from __future__ import annotations

import json
import re
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NoReturn

from gpovae_core.data.atomic import replacing
from gpovae_core.data.room import check_room
from gpovae_core.data.zips import ZipLimits, open_zip, unpack
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs.folder import CONFIG, EFFECTS_REPORT, NOWHERE, RunFolder

TO_RESUME = "checkpoints/last.ckpt"
PARTS = frozenset(
    {
        *(CONFIG, "status.json", "panel.json", EFFECTS_REPORT, "evaluation.json", "unseen.json", "null.json"),
        *("metrics.jsonl", "log.txt", "true_edges.csv", "cells.h5ad", "effects.h5ad"),
        *("model.safetensors", "network.safetensors", "ensemble.safetensors"),
    }
)
"""Files of a run that an archive holds, and all (with TO_RESUME) that are ever taken out of one."""
COMPRESSED = (".h5ad", ".safetensors", ".ckpt")
LIMITS = ZipLimits(entries=1000, unpacked=64 * 10**9)
"""Of an exported run; beyond them it is refused before anything is written."""
TRASH = ".trash"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,79}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def check_run_name(name: str) -> str:
    """The name itself where a run can be called that on every system; RunError where not. Never a path."""
    name = name.strip()
    if not _NAME.fullmatch(name) or name.endswith(".") or _RESERVED.fullmatch(name):
        raise RunError(
            f"A run cannot be called '{name[:90]}'. Use 1 to 80 letters, digits, spaces, and . _ + -, "
            "beginning with a letter or a digit."
        )
    return name


def free_name(folder: Path, wish: str) -> str:
    """A valid name that no run in `folder` has: the wish, with what cannot stay replaced, and a number where
    it is taken.
    """
    name = re.sub(r"[^A-Za-z0-9 ._+-]+", "_", wish).strip(" ._+-")[:60].strip(" ._+-") or "run"
    if _RESERVED.fullmatch(name):
        name = f"run {name}"
    taken = {path.name.casefold() for path in folder.iterdir()} if folder.is_dir() else set()
    number, candidate = 1, name
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def rename(run: RunFolder, name: str) -> RunFolder:
    """Give a run another name, in the same folder. Raises RunError while it is being worked on, and where the
    name is taken.
    """
    target = run.path.with_name(check_run_name(name))
    _at_rest(run)
    if target.exists() and not (
        run.path.name.casefold() == target.name.casefold() and target.samefile(run.path)
    ):
        raise RunError(f"There is already a run called '{target.name}'. Choose another name.")
    run.path.rename(target)
    return RunFolder(target)


def trash(run: RunFolder) -> Path:
    """Move a run into the trash folder beside it, from where it can come back; returns where it lies now."""
    _at_rest(run)
    folder = run.path.parent / TRASH
    folder.mkdir(exist_ok=True)
    stamp = time.strftime("%Y-%m-%d %H.%M.%S")
    target = folder / f"{run.name} ({stamp})"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{run.name} ({stamp}, {number})"
    run.path.rename(target)
    return target


def in_trash(folder: Path) -> list[Path]:
    """The runs in the trash of a folder of runs, the last thrown away first."""
    found = [path for path in (folder / TRASH).glob("*") if (path / CONFIG).is_file()]
    return sorted(found, key=lambda path: path.name.rpartition(" (")[2], reverse=True)


def restore(path: Path) -> RunFolder:
    """Take a run out of the trash, under its old name or the next free one."""
    folder = path.parent.parent
    target = folder / free_name(folder, path.name.rpartition(" (")[0] or path.name)
    path.rename(target)
    return RunFolder(target)


def _at_rest(run: RunFolder) -> None:
    from gpovae_core.runs.ensemble import at_work  # here: a refused archive need not wait for its libraries

    try:
        status = run.status()
    except GpoVaeError:  # damaged: nobody can be working on it
        return
    if status.busy and not status.dead():
        raise RunError(f"Run '{run.name}' is {status.state}. Stop it first.")
    if at_work(run):
        raise RunError(f"An ensemble of run '{run.name}' is being made. Stop it first.")


def export_run(run: RunFolder, out: Path | IO[bytes], resumable: bool = False) -> None:
    """Write a run as one zip file. resumable: with what is needed to train on. Paths of this machine are left
    out.
    """
    _at_rest(run)
    if isinstance(out, Path):
        with replacing(out) as aside, aside.open("wb") as stream:
            export_run(run, stream, resumable)
        return
    names = sorted(path.name for path in run.path.iterdir() if path.is_file() and path.name in PARTS)
    retold = _retold(run)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name in [*names, *([TO_RESUME] if resumable and run.has(TO_RESUME) else [])]:
            if name in retold:
                archive.writestr(f"{run.name}/{name}", retold[name])
            else:
                kind = zipfile.ZIP_STORED if name.endswith(COMPRESSED) else zipfile.ZIP_DEFLATED
                archive.write(run.path / name, f"{run.name}/{name}", compress_type=kind)


def _retold(run: RunFolder) -> dict[str, str]:
    """The files that name places and processes of this machine, without them."""
    config, status = json.loads((run.path / CONFIG).read_text()), run.status()
    config["source"] = run.source().model_copy(update={"path": _file_name(run.source().path)}).model_dump()
    if status.busy:
        status = status.model_copy(update={"state": "stopped", "message": "it had died when it was exported"})
    status = status.model_copy(update=NOWHERE)
    return {CONFIG: json.dumps(config, indent=2), "status.json": status.model_dump_json(indent=2)}


def _file_name(path: str) -> str:
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


def import_archive(file: Path, path: Path) -> RunFolder:
    """Unpack an exported run to `path`, which must be new. An archive that holds anything but the files of a
    run, each where a run has it, is refused, as is one beyond LIMITS or the room there is. A run that was
    busy when it was exported comes back as stopped.
    """
    path = Path(path)
    if path.exists():
        raise RunError(f"'{path}' already exists. Choose another name.")
    with replacing(path) as aside:
        try:
            _unpack(file, aside)
            run = RunFolder.open(aside)
            source, status = run.source(), run.status()
            run.settings()
            run.write_source(source.model_copy(update={"path": _file_name(source.path)}))
            if status.busy:
                run.write_status(state="stopped", message="it was being worked on when it was exported")
        # NotImplementedError: how zipfile answers a packing it does not know
        except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
            _refuse(file, f"it is damaged ({error})", error)
        except RunError as error:
            words = str(error).replace(aside.name, path.name).replace(str(aside), str(path))
            raise RunError(words) from error
    return RunFolder.open(path)


def _unpack(file: Path, into: Path) -> None:
    with open_zip(file, LIMITS) as archive:
        chosen: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = _known(file, info)
            if name in chosen:
                _refuse(file, f"it holds '{name}' twice")
            if name:
                chosen[name] = info
        if not {CONFIG, "status.json"} <= set(chosen):
            _refuse(file, "a run needs at least config.json and status.json")
        size = sum(info.file_size for info in chosen.values())
        check_room(size, into.parent, f"The run in '{file.name}'")
        (into / "checkpoints").mkdir(parents=True)
        for name, info in chosen.items():
            unpack(archive, info, into / name)


def _known(file: Path, member: zipfile.ZipInfo) -> str | None:
    """The part of a run that a member is (`NAME/config.json` or `config.json` -> `config.json`); None for the
    folders that parts lie in. Raises RunError for anything else.
    """
    name = member.filename
    folder, _, below = name.partition("/")
    if folder not in ("", ".", ".."):
        if member.is_dir() and below in ("", "checkpoints/"):
            return None
        for part in (name, below):
            if part == TO_RESUME or part in PARTS:
                return part
    _refuse(file, f"'{name[:80]}' is no part of a run. Remove it, or export the run again")


def _refuse(file: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise RunError(f"'{file.name}' is no run exported as one file: {why}.") from cause
