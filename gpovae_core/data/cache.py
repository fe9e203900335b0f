"""Prepared cells, kept by the content of the file and the settings of the preparation: the same work is not
done twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from gpovae_core import __version__
from gpovae_core.config import DataSettings
from gpovae_core.data.atomic import replacing
from gpovae_core.data.readers import reader_of

RECIPE = 3
"""Raise it when the preparation changes: older prepared cells are then not taken."""
MOST_FILES, MOST_BYTES = 20, 20 * 2**30
ABANDONED = 24 * 3600
"""Seconds after which a half-written file is one that a killed process left."""


def cache_folder() -> Path:
    """Environment variable GPOVAE_CACHE_DIR, or the usual place for caches of this user."""
    import pooch

    return Path(os.environ.get("GPOVAE_CACHE_DIR") or pooch.os_cache("gpovae"))


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names; with what is read along with
    it.
    """
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    reader = reader_of(path) if path.exists() else None
    files += [] if reader is None else reader.beside(path)
    for file in files:
        if path.is_dir():
            digest.update(os.path.relpath(file, path).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def prepared_path(sha256: str, settings: DataSettings) -> Path:
    """Where cells of this content, prepared with these settings, are kept."""
    chosen = settings.model_dump(mode="json")
    for name in ("guides", "guide_targets"):  # what these files hold, not what they are called
        beside = Path(chosen[name]) if chosen[name] else None
        chosen[name] = fingerprint(beside) if beside is not None and beside.exists() else chosen[name]
    recipe = json.dumps([RECIPE, __version__, sha256, chosen], sort_keys=True)
    return cache_folder() / "prepared" / f"{hashlib.sha256(recipe.encode()).hexdigest()[:32]}.h5ad"


def take(kept: Path, into: Path) -> bool:
    """Put kept cells where a run wants them, without a second copy where the file system can; False where
    there are none.
    """
    try:
        os.utime(kept)  # used just now: thrown out last
        into.unlink(missing_ok=True)
        _link_or_copy(kept, into)
    except OSError:
        return False
    return True


def keep(cells: Path, kept: Path) -> None:
    """Keep prepared cells; the least recently used go where it gets too much. A cache that cannot be written
    is no reason to fail.
    """
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            _link_or_copy(cells, kept)
        _throw_out(kept.parent)
    except OSError:
        return


def keep_cells(write: Callable[[Path], None], kept: Path) -> None:
    """The same for cells that are in memory; write: puts them into a file, as a whole."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write(kept)
        _throw_out(kept.parent)
    except OSError:
        return


def _link_or_copy(source: Path, target: Path) -> None:
    with replacing(target) as aside:
        try:
            os.link(source, aside)  # never written in place afterwards: a run replaces its files as a whole
        except OSError:  # another disk
            shutil.copyfile(source, aside)


def _throw_out(folder: Path) -> None:
    for part in folder.glob(".*.part"):
        if time.time() - part.stat().st_mtime > ABANDONED:
            part.unlink(missing_ok=True)
    newest = sorted(folder.glob("*.h5ad"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for place, path in enumerate(newest):
        total += path.stat().st_size
        if place >= MOST_FILES or (place and total > MOST_BYTES):
            path.unlink(missing_ok=True)
