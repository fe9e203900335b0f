"""The training step as a LightningModule: what happens to one batch, and what is measured on the way."""

from __future__ import annotations

import lightning
import torch
from torch import Tensor

from gpovae_core.config import Settings
from gpovae_core.data.batches import Batch, TrainingConstants
from gpovae_core.data.schema import PreparedCells
from gpovae_core.model.loss import LossInputs, LossTerms, PlateWeights, loss_terms
from gpovae_core.model.module import GpoVae, Inference

ACTIVE_BELOW = 0.9
"""A latent dimension counts as active when its posterior standard deviation, averaged over cells, is below
this (prior: 1).
"""

TRAIN_LOSS = "train_loss"
VALIDATION_LOSS = "validation_loss"


class GpoVaeTask(lightning.LightningModule):
    """Fits a GpoVae to prepared cells. Random numbers are seeded per epoch, so that a resumed run draws what
    an unbroken one does.
    """

    def __init__(self, settings: Settings, prepared: PreparedCells, constants: TrainingConstants) -> None:
        super().__init__()
        self.settings = settings
        self.model = GpoVae(settings.model, n=len(prepared.panel), genes=prepared.cells.n_vars)
        self.model.set_count_statistics(
            torch.as_tensor(constants.log_mean, dtype=torch.float32),
            torch.as_tensor(constants.log_std, dtype=torch.float32),
        )
        self.weights = PlateWeights.from_constants(constants, settings.loss.balance_artifacts)
        self.step_cells = min(settings.training.batch_size, constants.training_cells)
        self.register_buffer(
            "measured", torch.from_numpy(prepared.panel.is_measured.nonzero()[0]), persistent=False
        )
        self._collected: dict[str, tuple[Tensor, int]] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        training = self.settings.training
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.optim.Adam(
            trained, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device, non_blocking=True)

    def on_fit_start(self) -> None:
        self.weights = self.weights.to(self.device)
        self._generator = torch.Generator(self.device)

    def on_train_epoch_start(self) -> None:
        self._collected = {}
        self._seed_draws(self.current_epoch)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        inference = self._infer(batch)
        loss = self.settings.loss
        kl_scale = min(1.0, (self.current_epoch + 1) / loss.kl_warmup) if loss.kl_warmup else 1.0
        terms = self._terms(batch, inference, kl_scale)
        total = terms.total
        self._collect({TRAIN_LOSS: total.detach(), **terms.detached()}, len(batch.group))
        return total

    def on_validation_epoch_start(self) -> None:
        # The same draws at every epoch: the validation loss then changes because the weights did.
        self._seed_draws(-1)

    def validation_step(self, batch: Batch, _index: int) -> None:
        inference = self._infer(batch)
        total = self._terms(batch, inference).total
        self.log(VALIDATION_LOSS, total, batch_size=len(batch.group), on_epoch=True, sync_dist=True)
        self._collect(self._diagnostics(batch, inference, total), len(batch.group))

    def epoch_summary(self) -> dict[str, float]:
        """Means over the cells of the epoch, by name, plus what W, if there is one, looks like now; of all
        processes that train together.
        """
        averages = {name: self._mean_over_cells(*values) for name, values in self._collected.items()}
        means = {name: float(value) for name, value in averages.items() if value_is_scalar(value)}
        if "posterior_sd" in averages:
            means["active_latent"] = float((averages["posterior_sd"] < ACTIVE_BELOW).sum())
        if not self.model.has_network:
            return means
        w = self.model.edge_probabilities().detach()
        off_diagonal = w > 0.5
        off_diagonal.fill_diagonal_(False)
        return {
            **means,
            "w_mean": float(w.mean()),
            "w_sd": float(w.std()),
            "edges": float(off_diagonal.sum()),
        }

    def _seed_draws(self, epoch: int) -> None:
        """Draws that an unbroken run repeats, and of its own for every process: what they share is then drawn
        several times, not once.
        """
        self._generator.manual_seed(epoch_seed(self.settings.training.seed, epoch) + self.global_rank * 2**40)

    def _mean_over_cells(self, total: Tensor, count: int) -> Tensor:
        cells = torch.as_tensor(float(count), device=total.device)
        if self.trainer.world_size > 1:
            total, cells = (self.trainer.strategy.reduce(part, reduce_op="sum") for part in (total, cells))
        return total / cells

    def _infer(self, batch: Batch) -> Inference:
        particles = self.settings.training.particles
        guide = self.model.guide
        noise = [guide.noise(particles, len(batch.rows), self._generator) for _ in range(2)]
        basal = torch.randn(
            particles,
            len(batch.group),
            self.settings.model.latent,
            device=self.device,
            generator=self._generator,
        )
        return self.model.infer(batch, noise[0], noise[1], basal)

    def _terms(self, batch: Batch, inference: Inference, kl_scale: float = 1.0) -> LossTerms:
        measured, settings = self.get_buffer("measured"), self.settings.loss
        return loss_terms(
            LossInputs(
                self.model, batch, inference, self.weights, measured, settings, kl_scale, self.step_cells
            )
        )

    def _diagnostics(self, batch: Batch, inference: Inference, total: Tensor) -> dict[str, Tensor]:
        offsets = inference.offsets[:, batch.dosage.any(dim=1)]
        return {
            VALIDATION_LOSS: total,
            "posterior_sd": inference.basal_posterior.std.mean(dim=(0, 1)),
            "offset_norm": offsets.norm(dim=-1).mean() if offsets.numel() else offsets.new_zeros(()),
        }

    def _collect(self, values: dict[str, Tensor], count: int) -> None:
        """Adds up over the cells of an epoch, in place: numbers of every step that are kept lie between the
        arrays of the steps, whose memory could not be used again as a whole.
        """
        for name, value in values.items():
            total, cells = self._collected.get(name, (torch.zeros_like(value, dtype=torch.float32), 0))
            self._collected[name] = total.add_(value, alpha=count), cells + count


def value_is_scalar(value: Tensor) -> bool:
    return value.dim() == 0


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch; -1 is the validation."""
    return (seed * 1_000_003 + epoch + 1) % 2**63
