"""How long an epoch takes on this machine and how much memory it needs, measured on a few steps before
anybody waits for it.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel

from gpovae_core import keys
from gpovae_core.config import Settings

if TYPE_CHECKING:
    import torch

    from gpovae_core.data.schema import PreparedCells

STEPS = 4
"""Timed steps, after one that warms up."""


class Probe(BaseModel):
    """What a few steps of training showed."""

    seconds_per_epoch: float
    steps_per_epoch: int
    peak_bytes: int  # of the process, its preparation of the cells included
    device_bytes: int = 0  # of the GPU, at most at any time; 0 where there is none
    device: str  # "cpu", "cuda:0", "mps:0"
    parameters: int
    cells: int  # that train
    panel: int
    genes: int


def measure(prepared: PreparedCells, settings: Settings, steps: int = STEPS) -> Probe:
    """Time some steps of training and one of validation on the device that training would take, the loading
    of their cells included; nothing is kept.

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
            limit_train_batches=min(steps + 1, len(train)),
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
    step = statistics.median(clock.steps[1:] or clock.steps)
    checked = clock.validation[0] if clock.validation else 0.0
    return Probe(
        seconds_per_epoch=step * len(train) + checked * len(validation),
        steps_per_epoch=len(train),
        peak_bytes=_peak_bytes(),
        device_bytes=_device_bytes(trainer.strategy.root_device),
        device=str(trainer.strategy.root_device),
        parameters=sum(parameter.numel() for parameter in task.model.parameters()),
        cells=len(sets[0]),
        panel=len(prepared.panel),
        genes=prepared.cells.n_vars,
    )


def _clock():
    """A callback that times every step, from the end of the one before; made in here, so that importing this
    module does not import Lightning.
    """
    import lightning
    import torch

    class Clock(lightning.Callback):
        def __init__(self) -> None:
            self.steps: list[float] = []
            self.validation: list[float] = []
            self._last = 0.0

        def _since(self) -> float:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()  # a GPU is asked and works on while the program goes on
            before, self._last = self._last, time.perf_counter()
            return self._last - before

        def on_train_epoch_start(self, *_: object) -> None:
            self._since()

        def on_train_batch_end(self, *_: object) -> None:
            self.steps.append(self._since())

        def on_validation_epoch_start(self, *_: object) -> None:
            self._since()

        def on_validation_batch_end(self, *_: object) -> None:
            self.validation.append(self._since())

    return Clock()


def _device_bytes(device: torch.device) -> int:
    """The most memory of a GPU that torch has held for this process so far."""
    import torch

    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else 0


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
