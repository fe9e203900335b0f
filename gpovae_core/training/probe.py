"""How long an epoch takes on this machine and how much memory it needs, measured on a few steps before
anybody waits for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import BaseModel

from gpovae_core import keys
from gpovae_core.config import Settings

if TYPE_CHECKING:
    from gpovae_core.data.schema import PreparedCells

STEPS = 4
"""Timed steps, after one that warms up."""


class Probe(BaseModel):
    """What a few steps of training showed."""

    seconds_per_epoch: float
    steps_per_epoch: int
    peak_bytes: int  # of the process, its preparation of the cells included
    device: str  # "cpu", "cuda:0", "mps:0"
    parameters: int
    cells: int  # that train
    panel: int
    genes: int


def measure(prepared: PreparedCells, settings: Settings) -> Probe:
    """Time STEPS steps of training and one of validation on the device that training would take; nothing is
    kept.

    The first step is not timed: libraries set themselves up in it. Peak memory is that of this process so
    far, so ask in a process of its own.
    """
    import lightning

    from gpovae_core.data.batches import CellBatches, counterfactual_profiles, training_constants
    from gpovae_core.model.products import products
    from gpovae_core.training import fit
    from gpovae_core.training.task import GpoVaeTask

    lightning.seed_everything(settings.training.seed, workers=True, verbose=False)
    task = GpoVaeTask(settings, prepared, training_constants(prepared))
    profiles = counterfactual_profiles(prepared, settings.loss.counterfactual_cells, settings.training.seed)
    sets = [CellBatches(prepared, (which,), profiles) for which in (keys.TRAIN, keys.VALIDATION)]
    train, validation = (fit._loader(cells, settings, shuffle=which == 0) for which, cells in enumerate(sets))
    clock = _clock()
    with fit._quiet_lightning():
        trainer = lightning.Trainer(
            accelerator="gpu" if settings.training.device == "cuda" else settings.training.device,
            devices=1,
            max_epochs=1,
            limit_train_batches=min(STEPS + 1, len(train)),
            limit_val_batches=1,
            gradient_clip_val=settings.training.clip_norm,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        with products(settings.training.precision):
            trainer.fit(task, train, validation)
    step = sorted(clock.steps[1:] or clock.steps)[len(clock.steps[1:] or clock.steps) // 2]
    return Probe(
        seconds_per_epoch=step * len(train)
        + (clock.validation[0] if clock.validation else 0.0) * len(validation),
        steps_per_epoch=len(train),
        peak_bytes=_peak_bytes(),
        device=str(trainer.strategy.root_device),
        parameters=sum(parameter.numel() for parameter in task.model.parameters()),
        cells=len(sets[0]),
        panel=len(prepared.panel),
        genes=prepared.cells.n_vars,
    )


def _clock():
    """A callback that times every step; made in here, so that importing this module does not import
    Lightning.
    """
    import lightning

    class Clock(lightning.Callback):
        def __init__(self) -> None:
            self.steps: list[float] = []
            self.validation: list[float] = []
            self._start = 0.0

        def on_train_batch_start(self, *_: object) -> None:
            self._start = time.perf_counter()

        def on_train_batch_end(self, *_: object) -> None:
            self.steps.append(time.perf_counter() - self._start)

        def on_validation_batch_start(self, *_: object) -> None:
            self._start = time.perf_counter()

        def on_validation_batch_end(self, *_: object) -> None:
            self.validation.append(time.perf_counter() - self._start)

    return Clock()


def _peak_bytes() -> int:
    """The most memory this process has had so far."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
