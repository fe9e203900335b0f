"""What a training, an ensemble or a sweep takes of memory and disk, reckoned before it begins from the size
of the screen and the settings, and held against what there is.

The coefficients are measured (docs/performance.md, "Will it fit?"); take an estimate as good to a third.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.config import Settings
from gpovae_core.data import memory
from gpovae_core.data.artifacts import LARGEST_DOUBLET_GROUP, SCRUBLET_LOADED, SCRUBLET_PER_VALUE
from gpovae_core.data.cores import jobs
from gpovae_core.data.pairing import LARGEST_DENSE, LARGEST_PLAN
from gpovae_core.data.panel import takes_all
from gpovae_core.data.rank_sums import BESIDE
from gpovae_core.data.room import ANYWAY, NotEnoughError, in_words, kept_free, room_in
from gpovae_core.data.sizes import Size, size_of_file, size_of_kept
from gpovae_core.data.store import BLOCK, HELD
from gpovae_core.runs.folder import RunFolder, is_run

if TYPE_CHECKING:
    from gpovae_core.runs.clusters.sites import Request

LOADED = 0.45e9
"""Bytes of a process that trains, with its libraries, before it has read anything."""
PER_CELL = 600
"""Bytes of a cell's annotations."""
PER_STORED = 8
"""Bytes of a stored count with its column."""
IN_BLOCKS = 0.6e9
"""Bytes that reading takes where counts stay on disk."""
RANKED_PER_VALUE = 56
"""Bytes of the rank-sum tests for each count of a block."""
PAIRED_PER_VALUE, PAIRED_CONTROLS, PAIRED_PER_ENTRY = 12, 0.064, 16
"""Bytes of matching for each count of the panel that is held, and of each entry of a transport plan; share of
the cells that are taken for the controls of a split.
"""
EXPRESSED = 16
"""Bytes of a value of the panel's expression in all cells."""
SCORING_LOADED, SCORED_PER_VALUE, SCORED_AT_MOST, SCORED_PER_PAIR = 0.9e9, 130, 1e9, 370
"""Bytes of a process that scores, with its libraries; of its work on blocks for each stored count, and of
that at most; for each perturbation and measured gene.
"""
PER_WEIGHT = 16
"""Bytes of a weight that is trained: itself, its gradient, two moments of Adam."""
PER_LIKELIHOOD = 12
"""Bytes of a step for each cell, particle and measured gene."""
COMPRESSED, EFFECT, MEMBER, ENSEMBLE, NETWORK = 2.5, 70, 3, 16, 28
"""Bytes on disk: of a count in compressed cells, of a perturbation and a gene in effects.h5ad, of a pair of
panel genes in a member of an ensemble, in the whole of it, and in network.safetensors.
"""


@dataclass(frozen=True)
class Need:
    """Bytes. stages: memory at most by what is done then; disk: written in all, what is replaced included."""

    stages: dict[str, float]
    disk: float

    @property
    def memory(self) -> float:
        return max(self.stages.values())

    @property
    def most(self) -> str:
        """What needs the most memory."""
        return max(self.stages, key=lambda name: self.stages[name])


READING, DOUBLETS, RANKS = "reading the file", "looking for doublets", "choosing the panel"
PAIRING, NETWORK_FIT, TRAINING, SCORING = "matching controls", "fitting the network", "training", "scoring"
MENDS = {
    READING: "keep fewer cells or genes, or store the counts by cell (CSR), so that they may stay on disk",
    DOUBLETS: "switch off the search for doublets by data.detect_doublets",
    RANKS: "keep fewer cells",
    PAIRING: "keep fewer cells",
    NETWORK_FIT: "take a smaller panel by data.panel, or fewer perturbations by data.min_cells",
    TRAINING: "take smaller steps by training.batch_size or training.particles",
    SCORING: "keep fewer genes, or fewer perturbations by data.min_cells",
}
"""What helps most, by what needs the most memory."""


def to_train(size: Size, settings: Settings, prepared: bool = False) -> Need:
    """From a file to scores; prepared: the cells lie in the run already."""
    held = size.stored <= HELD
    base = LOADED + PER_CELL * size.cells + (PER_STORED * size.stored if held else 0)
    panel = EXPRESSED * size.stored * size.panel / max(1, size.genes)
    trained = weights(size, settings)
    step = settings.training.batch_size * settings.training.particles * size.genes
    stages = {
        NETWORK_FIT: base + _network(size) if settings.model.network == "evidence" else base,
        TRAINING: base + PER_WEIGHT * trained + PER_LIKELIHOOD * step,
        SCORING: base - LOADED + panel + _scoring(size),
    }
    if not prepared:
        stages |= _to_prepare(size, settings, base, panel)
    kept = 4 * trained * (1 + 2 * 3)  # weights; the state to resume has three of each, and is written anew
    disk = kept + EFFECT * size.perturbations * size.genes + NETWORK * size.panel**2
    if settings.model.network == "evidence" and settings.network.ensemble:
        disk += _members(size, settings.network.ensemble)
    if not prepared:
        disk += (COMPRESSED if held else PER_STORED) * size.stored + PER_CELL / 2 * size.cells
    return Need(stages, disk)


def _to_prepare(size: Size, settings: Settings, base: float, panel: float) -> dict[str, float]:
    held = size.stored <= HELD
    copies = memory.COPIES * PER_STORED * size.stored if held else IN_BLOCKS
    stages = {READING: LOADED + PER_CELL * size.cells + copies, PAIRING: base + _matching(size, panel)}
    if not takes_all(size.genes, settings.data):
        stages[RANKS] = base + RANKED_PER_VALUE * min(size.stored, min(jobs(), BESIDE) * BLOCK)
    if settings.data.detect_doublets:
        group = size.stored * min(1.0, LARGEST_DOUBLET_GROUP / max(1, size.cells))
        stages[DOUBLETS] = base + SCRUBLET_LOADED + SCRUBLET_PER_VALUE * group
    return stages


def _matching(size: Size, panel: float) -> float:
    """panel: bytes of the expression of the panel, of which little is held where counts stay on disk."""
    values, controls = panel / EXPRESSED, PAIRED_CONTROLS * size.cells
    if size.stored > HELD:
        panel = PAIRED_PER_VALUE * values if values <= HELD else 0
    dense = PER_STORED * min(controls * size.panel, LARGEST_DENSE)
    plan = min(LARGEST_PLAN, controls * size.cells / max(1, size.perturbations))
    return panel + 2 * dense + jobs() * PAIRED_PER_ENTRY * plan


def to_sample(size: Size, settings: Settings, members: int) -> Need:
    """An ensemble of so many members, of a run that is there."""
    if settings.model.network == "evidence":
        base = to_train(size, settings, prepared=True).stages[NETWORK_FIT]
        return Need({NETWORK_FIT: base}, _members(size, members))
    trained = to_train(size, settings, prepared=True)
    return Need({TRAINING: trained.stages[TRAINING]}, trained.disk + _members(size, members))


def _network(size: Size) -> float:
    return memory.PANEL_SQUARE * size.panel**2 + memory.PANEL_EFFECTS * size.perturbations * size.panel


def _scoring(size: Size) -> float:
    blocks = min(SCORED_AT_MOST, SCORED_PER_VALUE * size.stored)
    return SCORING_LOADED + blocks + SCORED_PER_PAIR * size.perturbations * size.genes


def _members(size: Size, members: int) -> float:
    return (MEMBER * members + ENSEMBLE) * size.panel**2


def weights(size: Size, settings: Settings) -> int:
    """Weights of the model, biases and normalisations left out."""
    model = settings.model
    moved = model.latent if model.network == "none" else size.panel
    effect = (moved + size.panel) * model.embedding_width + 2 * model.embedding_width * moved
    artifact = 3 * model.latent * model.embedding_width
    embedded = 2 * (model.embedding_layers - 1) * model.embedding_width**2
    basal = (size.genes + moved + 3 * model.latent) * model.basal_width
    basal += (model.basal_layers - 1) * model.basal_width**2
    decoder = (size.genes + moved + model.latent) * model.decoder_width
    decoder += (model.decoder_layers - 1) * model.decoder_width**2
    return size.panel * moved + effect + artifact + embedded + basal + decoder


def size_of_run(run: RunFolder) -> Size:
    """Of the cells of a run, without reading them."""
    report, panel = run.report(), len(run.panel())
    return size_of_kept(run.path / "cells.h5ad", len(report.perturbations), panel)


def check_training(
    source: Path,
    folder: Path,
    settings: Settings,
    asked: Request | None = None,
    later: bool = False,
    runs: int = 1,
    at_once: int = 1,
) -> None:
    """Raises NotEnoughError where a training on a file is reckoned not to fit, by the header of the file:
    into the disk of `folder`, or the memory of this machine, or what a cluster is `asked` for. A file whose
    header does not say how large it is passes.

    later: other work goes first, so that what is free now does not count; runs: so many trainings, of which
    at_once at a time.
    """
    size = None if waived() else size_of_file(source, settings.data)
    if size is None:
        return
    each = to_train(size, settings)
    need = Need({name: at_once * most for name, most in each.stages.items()}, runs * each.disk)
    what = f"Training on '{source.name}'"
    what += f", {runs:,} times," if runs > 1 else f", {at_once} at a time," if at_once > 1 else ""
    check(need, folder, what, asked, later)


def check_run(
    run: RunFolder,
    need: Callable[[Size], Need],
    what: str,
    asked: Request | None = None,
    own: bool = False,
) -> None:
    """The same for work on the cells of a run, from the size of which follows what it needs."""
    if not waived():
        check(need(size_of_run(run)), run.path.parent, what, asked, own=own)


def check_work(source: Path, settings: Settings, what: str) -> None:
    """The same for work that keeps next to nothing: on a file, or on the cells of a run."""
    if waived():
        return
    size = size_of_run(RunFolder.open(source)) if is_run(source) else size_of_file(source, settings.data)
    if size is not None:
        check(Need(to_train(size, settings, is_run(source)).stages, 0), source.resolve().parent, what)


def waived() -> bool:
    """Whether work is to begin although it may not fit."""
    return bool(os.environ.get(ANYWAY))


def check(
    need: Need,
    folder: Path,
    what: str,
    asked: Request | None = None,
    later: bool = False,
    own: bool = False,
) -> None:
    """Raises NotEnoughError where a need does not fit. what: subject of the sentence; own: this process has
    begun with it, and what it holds is part of the need.
    """
    if waived():
        return
    room = room_in(folder)
    if need.disk > room:
        raise NotEnoughError(
            f"{what} needs about {in_words(need.disk)} of disk, and there are {in_words(room)} in '{folder}' "
            f"({in_words(kept_free())} are kept free for what is running). Make room there, or choose "
            "another folder of runs."
        )
    there, words, mend = _memory(asked, later, own)
    if need.memory > there:
        raise NotEnoughError(
            f"{what} needs about {in_words(need.memory)} of memory ({need.most}), and there are "
            f"{in_words(there)} {words}. {mend}, or {MENDS[need.most]}."
        )


def _memory(asked: Request | None, later: bool, own: bool) -> tuple[float, str, str]:
    """Bytes that there are, what they are, and how there may be more."""
    if asked is not None:
        return asked.memory_gb * 1e9, f"asked of '{asked.site}'", "Ask for more"
    if later:
        return memory.whole_memory(), "on this machine", "Use a larger one"
    free = memory.free_memory() + (memory.own_memory() if own else 0)
    return free, "free", "Close other programs, use a larger machine"
