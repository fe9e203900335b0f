"""Questions to a trained model: what does it expect a perturbation to change?

An effect is the mean over cells of log2(1 + 1e4 x / l) under the perturbation minus the same under control. The logarithm of a
small count is far from the logarithm of its mean, so the expectation is taken over the counts, at library sizes of real control
cells; and it is computed, not drawn (`ExpectedLog`). Basal states, library sizes and cells are the same in both arms, so that
what remains as Monte Carlo error comes from the guide (mask, effects) and from which control cells were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gpovae_core import keys
from gpovae_core.config import InferenceSettings
from gpovae_core.data.effects import EFFECT_SCALE
from gpovae_core.data.schema import PreparedCells
from gpovae_core.model.layers import Normal
from gpovae_core.model.likelihood import MEAN_FLOOR
from gpovae_core.model.module import Decoder, GpoVae

GRID_POINTS = 256
EXACT_COUNTS = 256
TAIL_SPACING = 1.02
TAIL_DEVIATIONS = 12.0


@dataclass(frozen=True)
class PredictedEffects:
    """What the model expects, log2(1 + 1e4 x / l) against control; both (perturbations x measured genes).

    deviation: standard deviation over draws of the guide, i.e. what the model itself is unsure about. monte_carlo_error: root
    mean square over all entries of the standard error of `mean`.
    """

    mean: pd.DataFrame
    deviation: pd.DataFrame
    monte_carlo_error: float

    def table(self) -> pd.DataFrame:
        """One row per perturbation and gene: perturbation, gene, effect, sd."""
        genes, names = len(self.mean.columns), len(self.mean.index)
        return pd.DataFrame(
            {
                keys.PERTURBATION: np.repeat(self.mean.index.to_numpy(), genes),
                "gene": np.tile(self.mean.columns.to_numpy(), names),
                "effect": self.mean.to_numpy().ravel(),
                "sd": self.deviation.to_numpy().ravel(),
            }
        )


class ExpectedLog:
    """E[log2(1 + 1e4 x / l)] for Gamma-Poisson counts x, by table: genes x library levels x means on a logarithmic grid.

    The expectation is a sum over counts: every count below EXACT_COUNTS, then counts 2 % apart, up to TAIL_DEVIATIONS standard
    deviations above the largest mean. Between grid points the logarithm of the mean is interpolated linearly. Relative error
    below 1e-3 (tests compare with scipy).
    """

    def __init__(self, concentration: Tensor, largest_mean: Tensor, library_levels: Tensor) -> None:
        """concentration, largest_mean: (G,) per gene; library_levels: (Q,)."""
        self.top = largest_mean.clamp(min=1.0).log()
        self.bottom = torch.full_like(self.top, float(np.log(MEAN_FLOOR)))
        steps = torch.linspace(0, 1, GRID_POINTS, dtype=self.top.dtype)
        tables = [
            _expected_log_table(c, (low + (high - low) * steps).exp(), library_levels)
            for c, low, high in zip(concentration, self.bottom, self.top, strict=True)
        ]
        self.table = torch.stack(tables)  # (G, Q, GRID_POINTS)

    def __call__(self, mean: Tensor, level: Tensor) -> Tensor:
        """mean: (..., d, G) mean counts; level: (d,) library level of each draw. Returns the expectations, same shape."""
        place = ((mean.log() - self.bottom) / (self.top - self.bottom)).clamp(0, 1) * (GRID_POINTS - 1)
        left = place.long().clamp(max=GRID_POINTS - 2)
        genes, levels, points = self.table.shape
        flat = self.table.reshape(-1)
        start = torch.arange(genes) * (levels * points) + level[:, None] * points  # (d, G)
        at = start + left
        low, high = flat[at], flat[at + 1]
        return low + (high - low) * (place - left)


def treatment_effects(
    model: GpoVae,
    prepared: PreparedCells,
    perturbations: tuple[str, ...] | None = None,
    settings: InferenceSettings | None = None,
    progress: Callable[[float], None] | None = None,
) -> PredictedEffects:
    """Expected effects of `perturbations` (all in the data where None): panel genes, or several joined by '+'.

    Artifact-free cells (a = 0). Raises QueryError for a gene outside the panel.
    """
    asked = prepared.perturbations if perturbations is None else perturbations
    settings = settings or InferenceSettings()
    dosage = torch.from_numpy(np.stack([prepared.panel.dosage(name) for name in asked]))
    with torch.inference_mode():
        means, deviations = _effects(model, prepared, dosage, settings, progress)
    error = float((deviations**2).mean().div(settings.guide_samples).sqrt())
    index = pd.Index(asked, name=keys.PERTURBATION)
    columns = prepared.cells.var_names
    return PredictedEffects(pd.DataFrame(means.numpy(), index, columns), pd.DataFrame(deviations.numpy(), index, columns), error)


@dataclass(frozen=True)
class _Arm:
    """Basal states and library sizes that every arm shares: S guide samples of d cells each."""

    basal: Tensor  # (S, d, L)
    library: Tensor  # (d,) library size of each of the d cells
    level: Tensor  # (d,) its level


def _effects(
    model: GpoVae, prepared: PreparedCells, dosage: Tensor, settings: InferenceSettings, progress: Callable[[float], None] | None
) -> tuple[Tensor, Tensor]:
    arm, levels = _shared_arm(model, prepared, settings)
    decoder = model.decoder
    first = decoder.mlp.first
    unperturbed = first.bias.expand(settings.guide_samples, 1, -1)
    largest = _largest_share(decoder, arm, unperturbed) * arm.library.max() * 64  # a knock-down seldom raises a gene more than 64-fold
    expected = ExpectedLog(decoder.log_concentration.exp(), largest.clamp(max=float(arm.library.max())), levels)

    def mean_log(condition: Tensor, shift: Tensor | None = None) -> Tensor:
        share = decoder.log_share(arm.basal, condition, shift).exp()
        return expected(share * arm.library[:, None] + MEAN_FLOOR, arm.level).mean(dim=1)

    control = mean_log(unperturbed)  # (S, G)
    means, deviations = [], []
    for i, offsets in enumerate(_offsets(model, dosage, settings)):
        effect = mean_log((first.block("offset", offsets) + first.bias)[:, None], decoder.shift(dosage[i : i + 1])) - control
        means.append(effect.mean(dim=0))
        deviations.append(effect.std(dim=0) if len(effect) > 1 else torch.zeros_like(effect[0]))
        if progress:
            progress((i + 1) / len(dosage))
    return torch.stack(means), torch.stack(deviations)


def _offsets(model: GpoVae, dosage: Tensor, settings: InferenceSettings) -> Iterator[Tensor]:
    """(S, n) offset of every perturbation, from the same random numbers for each: a gene's draw does not depend on who else is asked."""
    for row in dosage:
        generator = torch.Generator().manual_seed(settings.seed)
        rows = row.nonzero()[:, 0]
        draw = model.guide.sample(rows, model.guide.noise(settings.guide_samples, len(rows), generator))
        yield draw.offsets(row[None])[:, 0]


def _shared_arm(model: GpoVae, prepared: PreparedCells, settings: InferenceSettings) -> tuple[_Arm, Tensor]:
    """Draw the control cells (passing quality control, training split) that lend library sizes, and basal states if so set."""
    passing = ~np.asarray(prepared.cells.obs[keys.ARTIFACT], dtype=bool)
    pool = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)) & passing & (prepared.library_size > 0))
    if not len(pool):
        pool = np.flatnonzero(prepared.where(keys.CONTROL) & (prepared.library_size > 0))
    sizes = prepared.library_size[pool]
    edges = np.quantile(sizes, np.linspace(0, 1, settings.library_levels + 1))
    levels = np.unique((edges[:-1] + edges[1:]) / 2)
    # One cell from each of d equal slices of the sorted library sizes: their distribution is met without sampling error.
    slices = np.array_split(np.argsort(sizes, kind="stable"), settings.basal_draws)
    generator = np.random.default_rng(settings.seed)
    chosen = np.stack(
        [[generator.choice(s) if len(s) else generator.integers(len(pool)) for s in slices] for _ in range(settings.guide_samples)]
    )
    typical = np.array([sizes[s].mean() if len(s) else sizes.mean() for s in slices])
    level = np.abs(typical[:, None] - levels[None]).argmin(axis=1)
    basal = torch.randn(*chosen.shape, model.settings.latent, generator=torch.Generator().manual_seed(settings.seed))
    if settings.basal == "controls":
        basal = _posterior_of_controls(model, prepared, pool[chosen]).sample(basal)
    library = torch.from_numpy(levels[level]).float()
    return _Arm(basal, library, torch.from_numpy(level)), torch.from_numpy(levels).double()


def _posterior_of_controls(model: GpoVae, prepared: PreparedCells, cells: np.ndarray) -> Normal:
    """q(z_b) of control cells at positions (S, d): (S, d, L)."""
    guide = model.guide
    counts = torch.from_numpy(prepared.counts[cells.ravel()].toarray())
    part = guide.counts_part(counts).reshape(*cells.shape, -1)
    return guide.basal_posterior(part, guide.basal.first.bias)  # no perturbation, no artifact


def _largest_share(decoder: Decoder, arm: _Arm, unperturbed: Tensor) -> Tensor:
    return decoder.log_share(arm.basal, unperturbed).exp().amax(dim=(0, 1)).double()


def _expected_log_table(concentration: Tensor, means: Tensor, levels: Tensor) -> Tensor:
    """(Q, M) expectations for one gene: means (M,), library levels (Q,)."""
    c = concentration.double()
    largest = means[-1]
    counts, widths = _count_nodes(float(largest + TAIL_DEVIATIONS * (largest + largest**2 / c).sqrt()))
    log_p = (
        (counts + c).lgamma()
        - c.lgamma()
        - (counts + 1).lgamma()
        + c * (c / (c + means[:, None])).log()
        + counts * (means[:, None] / (c + means[:, None])).log()
    )
    probability = log_p.exp() * widths
    probability = probability / probability.sum(dim=1, keepdim=True)  # the tail that the nodes leave out
    values = torch.log2(1 + EFFECT_SCALE * counts / levels[:, None])  # (Q, X)
    return (values @ probability.T).float()


def _count_nodes(largest: float) -> tuple[Tensor, Tensor]:
    """Counts at which the sum is taken, and how many counts each stands for."""
    exact = np.arange(EXACT_COUNTS, dtype=np.float64)
    if largest <= EXACT_COUNTS:
        return torch.from_numpy(exact), torch.ones(EXACT_COUNTS, dtype=torch.float64)
    spaces = int(np.ceil(np.log(largest / EXACT_COUNTS) / np.log(TAIL_SPACING))) + 1
    edges = np.unique(np.round(EXACT_COUNTS * TAIL_SPACING ** np.arange(spaces + 1)))
    nodes = (edges[:-1] + edges[1:] - 1) / 2
    return torch.from_numpy(np.concatenate([exact, nodes])), torch.from_numpy(np.concatenate([np.ones(EXACT_COUNTS), np.diff(edges)]))
