"""Fit a model to prepared cells inside a run folder: start, stop, resume."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Sampler

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.atomic import READABLE, replacing
from gpovae_core.data.batches import CellBatches, counterfactual_profiles, training_constants
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import RunError
from gpovae_core.methods.expected import measured_influence
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.model.module import GpoVae
from gpovae_core.model.products import products
from gpovae_core.training import ranks
from gpovae_core.training.keeper import Keeper
from gpovae_core.training.task import VALIDATION_LOSS, GpoVaeTask, epoch_seed

HEARTBEAT_SECONDS = 5.0
WORD_SECONDS = 2.0
"""Between words on how far an epoch is."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_CHECKPOINT = "last.ckpt"


def fit(
    run: Keeper,
    prepared: PreparedCells,
    settings: Settings,
    resume: bool = False,
    progress: Progress | None = None,
    spread: bool = False,
) -> None:
    """Train until the early stop, the last epoch, or a request to stop; everything of worth is in the run
    folder after every epoch.

    resume: continue after the last finished epoch, or from the start where none has finished. spread: over
    all devices of the settings; Lightning then starts this process's own command again for the others, and
    only the first one writes. Raises RunError where the loss is no longer a number.
    """
    training = settings.training
    checkpoint = run.checkpoints / LAST_CHECKPOINT
    resume = resume and checkpoint.is_file()
    lightning.seed_everything(training.seed, workers=True, verbose=False)
    world = ranks.world_size(training) if spread else 1
    first = world == 1 or ranks.is_first(training)

    def doing(words: str) -> None:
        if first:
            run.write_status(state="training", pid=os.getpid(), message=words)
            if words:
                tell(progress, words, 0.0)

    doing("measuring the training cells")
    constants = training_constants(prepared, _by_percent("", doing))
    task = GpoVaeTask(settings, prepared, constants)
    if settings.model.network == "evidence":
        _give_network(run, task.model, prepared, settings, doing)
    doing("gathering counterfactual profiles")
    profiles = counterfactual_profiles(
        prepared, settings.loss.counterfactual_cells, training.seed, _by_percent("", doing)
    )
    recorder = RunRecorder(run, training.epochs, progress, first)
    stopper = EarlyStopping(
        VALIDATION_LOSS, min_delta=training.min_improvement, patience=training.patience, check_finite=True
    )
    with _quiet_lightning():
        trainer = _trainer(run, settings, [stopper, recorder], world)
        shard = Shard(world, lambda: trainer.global_rank)
        train = _loader(CellBatches(prepared, (keys.TRAIN,), profiles), settings, shuffle=True, shard=shard)
        validation = _loader(
            CellBatches(prepared, (keys.VALIDATION,), profiles), settings, shuffle=False, shard=shard
        )
        doing("")
        if first:
            where = f"{trainer.strategy.root_device}" + (f" and {world - 1} more" if world > 1 else "")
            run.log(f"training on {where}" + (", resumed" if resume else ""))
        with _signals_given_back(), products(training.precision):
            trainer.fit(task, train, validation, ckpt_path=checkpoint if resume else None, weights_only=True)
    if first:
        _close(run, trainer, stopper, recorder)


def _give_network(
    run: Keeper, model: GpoVae, prepared: PreparedCells, settings: Settings, doing: Callable[[str], None]
) -> None:
    """The network stage, once per run; `doing` is told so."""
    arrays = run.network_arrays()
    if arrays:
        fitted = NetworkFit.from_arrays(arrays)
    else:
        doing("fitting the network")
        fitted = fit_network(prepared, settings, _by_percent("fitting the network", doing)).as_kept()
        run.write_network(fitted.arrays())
        edges = int((fitted.log_odds > 0).sum())
        run.log(
            f"fitted the network: {edges} edges with W > 0.5 among "
            f"{int(np.isfinite(fitted.evidence).sum())} measured pairs"
        )
    influence = torch.as_tensor(measured_influence(fitted, prepared), dtype=torch.float32)
    model.set_network(torch.as_tensor(fitted.log_odds, dtype=torch.float32), influence)


def _by_percent(words: str, doing: Callable[[str], None]) -> Progress:
    """Progress that is told where a stage or its percent changes: a status is a file, and costs a write."""
    said = ""

    def told(stage: str, share: float) -> None:
        nonlocal said
        text = f"{words}: {stage} ({share:.0%})" if words else f"{stage} ({share:.0%})"
        if text != said:
            said = text
            doing(text)

    return told


@dataclass(frozen=True)
class Shard:
    """How many processes train together, and which of them this is (known once they have found each
    other).
    """

    world: int
    rank: Callable[[], int]


ALONE = Shard(1, lambda: 0)


class CellOrder(Sampler[int]):
    """This process's share of the cells: every `world`-th of an order that depends on seed and epoch alone
    (file order where seed is None).

    Of more than `most` cells (0: as many as there are) an epoch goes over one of so many even parts of the
    order, the next epoch over the next; where seed is None it is always the same ones, spread evenly.

    Together the shares of a step are the batch that one process alone would take. Where the cells cannot be
    shared out evenly, the first ones of the order are taken twice: all processes make the same number of
    steps. Lightning calls `set_epoch`.
    """

    def __init__(self, size: int, seed: int | None, shard: Shard = ALONE, most: int = 0) -> None:
        self.cells, self.seed, self.shard, self.epoch = size, seed, shard, 0
        self.parts = -(-size // most) if most else 1
        self.size = -(-size // self.parts)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.shard.world)

    def __iter__(self) -> Iterator[int]:
        turn, part = divmod(self.epoch, self.parts)
        order = list(range(self.cells))[:: self.parts]
        if self.seed is not None:
            generator = torch.Generator().manual_seed(epoch_seed(self.seed, turn))
            order = torch.randperm(self.cells, generator=generator)[part :: self.parts].tolist()
        order += order[: self.size - len(order)]
        missing = len(self) * self.shard.world - self.size
        yield from (order + order[:missing])[self.shard.rank() :: self.shard.world]


class RunRecorder(Checkpoint):
    """Writes the run folder: heartbeat while a step runs, and after every epoch metrics, best weights, and
    the state to resume.

    A Checkpoint by class, since Lightning runs those last: the state it saves then holds the early stop's
    decision too.
    """

    def __init__(self, run: Keeper, epochs: int, progress: Progress | None, first: bool = True) -> None:
        """first: whether this is the one process that writes; the others only take part in what all have
        to.
        """
        self.run, self.epochs, self.progress, self.first = run, epochs, progress, first
        self.best = float("inf")
        self.best_epoch: int | None = None
        self.diverged = False
        self.asked = False  # somebody asked this process to stop
        self.stopping = False  # and all processes know of it
        self._beat = self._word = 0.0
        self._said = ""
        self._epoch_start = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """SIGINT and SIGTERM end the training after the step at hand; set here, since Lightning sets handlers
        of its own before.
        """

        def stop(_signal: int, _frame: object) -> None:
            self.asked = True
            if trainer.world_size == 1:
                trainer.should_stop = self.stopping = True

        if threading.current_thread() is threading.main_thread():
            for which in STOP_SIGNALS:
                signal.signal(which, stop)

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._epoch_start = time.monotonic()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _module: Any, _outputs: Any, _batch: Any, batch_idx: int
    ) -> None:
        self._agree(trainer)
        if self.first and time.monotonic() - self._word > WORD_SECONDS:
            self._word = time.monotonic()
            done = (batch_idx + 1) / max(1, trainer.num_training_batches)
            words = f"{self._said}{done:.0%} of epoch {trainer.current_epoch + 1}"
            tell(self.progress, words, (trainer.current_epoch + done) / self.epochs)
        if self.first and time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.run.write_status(epoch=trainer.current_epoch)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        _module: Any,
        _outputs: Any,
        _batch: Any,
        batch_idx: int,
        _loader: int = 0,
    ) -> None:
        if self.first and time.monotonic() - self._word > WORD_SECONDS:
            self._word = time.monotonic()
            words = f"{self._said}epoch {trainer.current_epoch + 1} on validation cells"
            done = (batch_idx + 1) / max(1, sum(trainer.num_val_batches))
            tell(self.progress, f"{words} ({done:.0%})", (trainer.current_epoch + 1) / self.epochs)

    def _agree(self, trainer: lightning.Trainer) -> None:
        """One process was asked to stop: all do, after the same step. One that went on alone would wait for
        the others for ever.
        """
        if trainer.world_size > 1:
            self.stopping = bool(trainer.strategy.reduce_boolean_decision(self.asked, all=False))
            trainer.should_stop = trainer.should_stop or self.stopping

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._agree(trainer)
        if self.stopping or not isinstance(pl_module, GpoVaeTask):
            return  # asked to stop before the epoch was whole
        epoch = trainer.current_epoch + 1
        loss = float(trainer.callback_metrics[VALIDATION_LOSS])
        better = loss < self.best
        if better:
            self.best, self.best_epoch = loss, epoch
        self.diverged = loss != loss
        summary = pl_module.epoch_summary()  # all processes together
        if better and self.first:
            save_weights(pl_module.model, self.run.path / "model.safetensors")
        if self.first:
            self.run.append_metrics(
                {"epoch": epoch, **summary, "seconds": time.monotonic() - self._epoch_start}
            )
        if not self.diverged:
            self._save_state(trainer)
        if not self.first:
            return
        self.run.write_status(epoch=epoch, best_epoch=self.best_epoch)
        self._said = f"validation loss {loss:.2f}, best {self.best:.2f} at epoch {self.best_epoch}; "
        tell(self.progress, f"{self._said}100% of epoch {epoch}", epoch / self.epochs)

    def _save_state(self, trainer: lightning.Trainer) -> None:
        last = self.run.checkpoints / LAST_CHECKPOINT
        with replacing(last) if self.first else nullcontext(last) as path:
            trainer.save_checkpoint(path)  # written by the first process, once all have come here


def save_weights(model: GpoVae, path: Path) -> None:
    """Weights as safetensors, replaced as a whole."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path, READABLE) as aside:
        save_file(tensors, aside)


def _trainer(
    run: Keeper, settings: Settings, callbacks: list[lightning.Callback], world: int
) -> lightning.Trainer:
    from lightning.pytorch.strategies import DDPStrategy

    training = settings.training
    # A batch of controls uses no row of the guide, so some parameters have no gradient in some process;
    # buffers are constants.
    several = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    return lightning.Trainer(
        accelerator="gpu" if training.device == "cuda" else training.device,
        devices=training.devices if world > 1 else 1,
        num_nodes=training.nodes if world > 1 else 1,
        strategy=several if world > 1 else "auto",
        use_distributed_sampler=False,
        max_epochs=training.epochs,
        gradient_clip_val=training.clip_norm,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=run.path,
    )


def _loader(cells: CellBatches, settings: Settings, shuffle: bool, shard: Shard = ALONE) -> DataLoader:
    training, data = settings.training, settings.data
    most = training.epoch_cells
    if most and not shuffle:
        most = max(1, round(most * data.validation_fraction / data.train_fraction))
    order = CellOrder(len(cells), training.seed if shuffle else None, shard, most)
    return DataLoader(
        cells, batch_size=-(-training.batch_size // shard.world), sampler=order, collate_fn=_as_it_is
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def _close(run: Keeper, trainer: lightning.Trainer, stopper: EarlyStopping, recorder: RunRecorder) -> None:
    """Say in status and log how the training ended."""
    if recorder.diverged:
        message = (
            "The loss is no longer a number. Resume is of no use; try a lower learning rate or GPO weight."
        )
        run.write_status(state="failed", message=message)
        raise RunError(f"Run '{run.name}': {message}")
    if stopper.stopped_epoch and not recorder.stopping:
        message = (
            f"finished after epoch {trainer.current_epoch}, as it got no better: over {stopper.patience} "
            f"epochs the validation loss fell by less than {abs(stopper.min_delta):g} nats per cell"
        )
    elif recorder.stopping:
        message = f"stopped on request after epoch {recorder.run.status().epoch}"
        run.write_status(state="stopped", message=message)
        run.log(message)
        return
    else:
        message = f"reached the last epoch, {trainer.current_epoch}"
    run.write_status(state="evaluating", message=message)
    run.log(message)


@contextmanager
def _signals_given_back() -> Iterator[None]:
    """Whoever handled SIGINT and SIGTERM before the training handles them after it."""
    if threading.current_thread() is not threading.main_thread():  # nobody can signal it there
        yield
        return
    before = {which: signal.getsignal(which) for which in STOP_SIGNALS}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's advice about loggers and worker counts is not for the users of this command."""
    import logging

    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            logger.setLevel(level)
