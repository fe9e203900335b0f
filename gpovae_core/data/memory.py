"""How much memory a file of cells would take, from its header alone: refused before it is read where it would
not fit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gpovae_core.errors import Problem

COPIES = 4.0
"""Preparing holds about so many times the counts at once: as stored, sorted, normalised, and in work. Dense
counts are made sparse first, which costs as much again."""
IN_BLOCKS = 2 * 2**30
"""Preparing counts that stay on disk (data.store) takes about so much, however many there are."""
PANEL_SQUARE, PANEL_EFFECTS = 64, 250
"""The network stage takes so many bytes for each pair of panel genes, and for each pair of a perturbation and
a panel gene: measured at 300 to 4,000 genes and 5 to 2,000 perturbations.
"""
SHARE = 0.5
"""Of the free memory, at most this goes into one file: the training and the browser need some too."""


def free_memory() -> int:
    """Bytes that a process could take now; what is left of the limit of a container or a job where that is
    lower.
    """
    import psutil

    left = (limit - used for limit, used in _limits())
    return max(0, min([psutil.virtual_memory().available, *left]))


def whole_memory() -> int:
    """Bytes that a process could take if nothing else ran."""
    import psutil

    return min([psutil.virtual_memory().total, *(limit for limit, _ in _limits())])


def own_memory() -> int:
    """Bytes that this process holds."""
    import psutil

    return psutil.Process().memory_info().rss


CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
UNLIMITED = 2**60
"""Bytes; the first version of control groups says "no limit" by a number of this size."""


def _limits() -> list[tuple[int, int]]:
    """(limit, used) in bytes of every control group that this process is in: that of a container, of a job of
    SLURM, of a user. Files that the system has at hand and would give up do not count as used.
    """
    found = []
    for group in _groups():
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                most = int((group / limit).read_text())
                taken = int((group / used).read_text()) - _given_up(group)
            except (OSError, ValueError):  # no such group, or no limit ("max")
                continue
            if most < UNLIMITED:
                found.append((most, max(0, taken)))
    return found


def _groups() -> list[Path]:
    """Folders of the control groups of this process, its own first, then those around it."""
    found = []
    try:
        lines = OWN_GROUP.read_text().splitlines()
    except OSError:  # another system
        lines = []
    for line in ["0::/", ":memory:/", *lines]:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers not in ("", "memory"):
            continue
        root = CGROUPS / controllers
        own = root / name.lstrip("/")
        found += [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return list(dict.fromkeys(found))


def _given_up(group: Path) -> int:
    """Bytes of files in memory that were not used of late."""
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def stored_bytes(path: Path) -> int:
    """Bytes of all arrays of an .h5ad file once they are read, from their shapes; nothing but the header is
    opened.
    """
    import h5py

    total = 0

    def add(_name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += int(item.size or 0) * (item.dtype.itemsize if item.dtype.kind != "O" else 64)

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return total


def too_large(path: Path, free: int | None = None, in_blocks: bool = False) -> Problem | None:
    """Why a file cannot be opened on this machine, as a Problem, or None where it can. in_blocks: whether its
    counts stay in it. Raises OSError for what is not HDF5.
    """
    need = int(stored_bytes(path) * COPIES)
    problem = too_many_bytes(path, min(need, IN_BLOCKS) if in_blocks else need, free)
    if problem is None or not _dense(path):
        return problem
    mend = (
        "Its counts are stored dense, zeros and all: `adata.X = scipy.sparse.csr_matrix(adata.X)` makes it "
        "several times smaller. "
    )
    return replace(problem, hint=mend + problem.hint)


def too_many_bytes(path: Path, need: int, free: int | None = None) -> Problem | None:
    """The same for what needs so many bytes to prepare."""
    free = free_memory() if free is None else free
    if need <= SHARE * free:
        return None
    message = (
        f"'{path.name}' would need about {need / 2**30:,.1f} GB of memory to prepare; this machine has "
        f"{free / 2**30:,.1f} GB free, of which at most {SHARE:.0%} are taken."
    )
    hint = "Keep fewer cells or genes, or use a machine with more memory."
    return Problem("file-too-large", message, hint)


def panel_too_large(genes: int, perturbations: int, free: int | None = None) -> Problem | None:
    """Why a network over so many genes cannot be fitted on this machine, as a Problem, or None where it
    can.

    genes: of the panel; perturbations: of single genes.
    """
    free = free_memory() if free is None else free
    need = PANEL_SQUARE * genes * genes + PANEL_EFFECTS * perturbations * genes
    if need <= SHARE * free:
        return None
    message = (
        f"A network over {genes:,} genes, {perturbations:,} of them perturbed, would need about "
        f"{need / 2**30:,.1f} GB of memory; this machine has {free / 2**30:,.1f} GB free, of which at most "
        f"{SHARE:.0%} are taken."
    )
    least = PANEL_SQUARE * perturbations**2 + PANEL_EFFECTS * perturbations**2
    hint = (
        "Set data.panel to 'wilcoxon', which takes the perturbed genes and those that change most, or use a "
        "machine with more memory."
        if least <= SHARE * free and genes > perturbations
        else "Raise min_cells so that fewer perturbations are kept, or use a machine with more memory."
    )
    return Problem("panel-too-large", message, hint)


def _dense(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return isinstance(file.get("X"), h5py.Dataset)
