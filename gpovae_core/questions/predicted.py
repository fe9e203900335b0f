"""Questions to a trained model: what does it expect a perturbation to change?

An effect is the mean over cells of log2(1 + 1e4 x / l) under the perturbation minus the same under control.
The logarithm of a small count is far from the logarithm of its mean, so the expectation is taken over the
counts, at library sizes of real control cells; and it is computed, not drawn (`ExpectedLog`). Basal states,
library sizes and cells are the same in both arms, so that what remains as Monte Carlo error comes from the
guide (mask, effects) and from which control cells were drawn.

What makes it fast: counts are never drawn, so that a few hundred cells leave a smaller Monte Carlo error than
thousands of drawn ones, most of all where each has its own draw of the guide; what does not depend on the
perturbation (basal part of the decoder, library sizes, the table of expectations, the control arm) is worked
out once (`EffectPredictor`); and everything of the size cells x genes is worked on for a few genes at a time,
in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gpovae_core import keys
from gpovae_core.config import InferenceSettings
from gpovae_core.data.batches import SparseCounts
from gpovae_core.data.expression import EFFECT_SCALE
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.model.layers import Normal
from gpovae_core.model.likelihood import MEAN_FLOOR
from gpovae_core.model.module import GpoVae, GuideNoise

GRID_STEP = 1 / 16
"""Of the table of expectations, in natural logarithms of the mean count."""
QUADRATURE_STEP = 0.6
SHARED_CELLS = 4
"""Cells in which all draws behind the deviations are compared."""
TABLE_GENES, DRAW_GENES = 16, 128
"""Genes of the table, and of the draws, worked on at a time: their arrays stay in the processor's cache.
Elsewhere than on a CPU all are taken at once.
"""


@dataclass(frozen=True)
class PredictedEffects:
    """What the model expects, all (perturbations x measured genes).

    mean: difference of mean log2(1 + 1e4 x / l) to control, on which predictions are scored; fold: log2 fold
    change of mean shares without the common lift, which people read; deviation, fold_deviation: standard
    deviation of either over draws of the guide in the same cells, i.e. what the model itself is unsure about.
    monte_carlo_error: root mean square over all entries of the standard error of `mean` (over draws of guide
    and cells).
    """

    mean: pd.DataFrame
    deviation: pd.DataFrame
    fold: pd.DataFrame
    fold_deviation: pd.DataFrame
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
    """E[log2(1 + 1e4 x / l)] for Gamma-Poisson counts x, by table: genes x logarithmic grid of means x
    library levels.

    Between grid points the expectation is interpolated linearly in the logarithm of the mean; means below
    MEAN_FLOOR count as that, means above `largest_mean` as that. Relative error below 1e-3 (tests compare
    with scipy).
    """

    def __init__(self, concentration: Tensor, library_levels: Tensor, largest_mean: float) -> None:
        """concentration: (G,) per gene; library_levels: (Q,); largest_mean: of any gene in any cell. On one
        device, which the table is on then.
        """
        device = concentration.device
        self.bottom = float(np.log(MEAN_FLOOR))
        points = int(np.ceil((np.log(max(largest_mean, 1.0)) - self.bottom) / GRID_STEP)) + 1
        self.points, self.levels = points, len(library_levels)
        log_means = self.bottom + GRID_STEP * torch.arange(points, dtype=torch.float32, device=device)
        self.table = torch.empty(len(concentration), points, self.levels, device=device)
        for at in range(0, len(concentration), TABLE_GENES):
            self.table[at : at + TABLE_GENES] = expected_log(
                concentration[at : at + TABLE_GENES].float(), log_means, library_levels
            )

    def __call__(self, log_mean: Tensor, level: Tensor, genes: slice = slice(None)) -> Tensor:
        """Expectations (g, D) for the logarithms of mean counts (g, D), which are overwritten; level: (D,)
        level of each draw, int32.

        genes: which rows of the table these are.
        """
        table = self.table[genes]
        place = log_mean.sub_(self.bottom).mul_(1 / GRID_STEP).clamp_(0, self.points - 1.01)
        left = place.int()
        rows = torch.arange(len(table), dtype=torch.int32, device=table.device)
        start = rows[:, None] * (self.points * self.levels) + level
        at = start.add_(left, alpha=self.levels).reshape(-1)
        flat = table.reshape(-1)
        low = flat.index_select(0, at)
        return low.lerp_(flat.index_select(0, at.add_(self.levels)), place.sub_(left).reshape(-1)).reshape(
            place.shape
        )


def expected_log(concentration: Tensor, log_means: Tensor, library_levels: Tensor) -> Tensor:
    """E[log2(1 + a x)], a = 1e4 / l, of Gamma-Poisson counts x: (g, P, Q) for genes (g,), means exp(P,),
    library sizes (Q,).

    log(1 + a x) = integral over t > 0 of (1 - exp(-x t)) exp(-t / a) / t (Frullani), and E[exp(-x t)] is the
    probability generating function of the negative binomial, (1 + m (1 - exp(-t)) / c)^-c. In u = log t the
    integrand is analytic and falls off on both sides, so that the trapezoid rule converges exponentially;
    only the weight exp(-t / a) knows the library size.
    """
    scale = EFFECT_SCALE / library_levels.double()
    first, last = -float(log_means.max().clamp(min=0)) - 14.0, float(np.log(40.0 * float(scale.max())))
    t = torch.arange(
        first, last + QUADRATURE_STEP, QUADRATURE_STEP, dtype=torch.float64, device=scale.device
    ).exp()
    weights = ((-t[:, None] / scale).exp() * (QUADRATURE_STEP / np.log(2))).float()  # (K, Q)
    rate = (log_means.double().exp()[:, None] * -torch.expm1(-t)).float()  # (P, K)
    c = concentration[:, None, None]
    seen = (rate / c).log1p_().mul_(-c)
    return torch.expm1(seen, out=seen).neg_() @ weights


def treatment_effects(
    model: GpoVae,
    prepared: PreparedCells,
    perturbations: tuple[str, ...] | None = None,
    settings: InferenceSettings | None = None,
    progress: Progress | None = None,
) -> PredictedEffects:
    """Expected effects of `perturbations` (all in the data where None): panel genes, or several joined by
    '+'.

    Artifact-free cells (a = 0). Raises QueryError for a gene outside the panel. To ask one run several times
    keep an `EffectPredictor`.
    """
    asked = prepared.perturbations if perturbations is None else perturbations
    for name in asked:
        prepared.panel.dosage(name)  # an unknown gene is refused before the work, not after it
    return EffectPredictor(model, prepared, settings).effects(asked, progress)


class EffectPredictor:
    """A model made ready for questions: what all answers share is worked out once. Not changed by
    answering. Works on the device of the model; random numbers are drawn on the CPU, the same for any device.
    """

    def __init__(
        self, model: GpoVae, prepared: PreparedCells, settings: InferenceSettings | None = None
    ) -> None:
        self.model, self.panel, self.genes = model, prepared.panel, prepared.cells.var_names
        self.device = model.decoder.log_concentration.device
        self.settings = settings or InferenceSettings()
        with torch.inference_mode():
            self._arms, levels = _arms(model, prepared, self.settings)
            self._level = torch.cat([arm.level for arm in self._arms])
            self._library = torch.cat([arm.library for arm in self._arms])
            self._expected = ExpectedLog(model.decoder.log_concentration.exp(), levels, float(levels.max()))
            samples = sum(arm.samples for arm in self._arms)
            self._noise = guide_noise(
                model, samples, 1, self.settings.seed
            )  # for one gene, the usual question
            self._control = self._mean_logs(self._log_means(None))

    def effects(self, perturbations: tuple[str, ...], progress: Progress | None = None) -> PredictedEffects:
        """Expected effects of panel genes, or several joined by '+'. Raises QueryError for a gene outside the
        panel.
        """
        dosage = np.array([self.panel.dosage(name) for name in perturbations], dtype=np.float32).reshape(
            -1, len(self.panel)
        )
        return self.effects_of_dosage(dosage, perturbations, progress)

    def effects_of_dosage(
        self, dosage: np.ndarray, names: tuple[str, ...], progress: Progress | None = None
    ) -> PredictedEffects:
        """Expected effects of rows of the dosage matrix D (u, n), called `names`."""
        shape = (len(names), len(self.genes))
        mean, error, deviation, fold, folds = (np.zeros(shape, dtype=np.float32) for _ in range(5))
        for row, given in enumerate(dosage):
            (own, shared), shares = self.draws(given)
            changes = [without_lift(part, given, self) for part in shares]
            fold[row], folds[row] = changes[0].mean(axis=1), _spread(changes[1])
            mean[row], error[row], deviation[row] = (
                own.mean(axis=1),
                _spread(own) / np.sqrt(own.shape[1]),
                _spread(shared),
            )
            tell(progress, "predicting effects", (row + 1) / len(names))
        index = pd.Index(names, name=keys.PERTURBATION)
        return PredictedEffects(
            mean=pd.DataFrame(mean, index, self.genes),
            deviation=pd.DataFrame(deviation, index, self.genes),
            fold=pd.DataFrame(fold, index, self.genes),
            fold_deviation=pd.DataFrame(folds, index, self.genes),
            monte_carlo_error=float(np.sqrt(np.square(error, dtype=np.float64).mean()))
            if len(names)
            else 0.0,
        )

    def draws_of_effect(self, dosage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effect under every draw of the guide, averaged over its cells: (G, S), cells of its own for each
        draw, and (G, R), the same cells for all. dosage: (n,) row of D."""
        own, shared = self.draws(dosage)[0]
        return own, shared

    def draws(self, dosage: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`draws_of_effect` and `share_changes`, whose mean counts are the same."""
        with torch.inference_mode():
            means = self._log_means(dosage)
            shares, logs = self._log_mean_shares(means), self._mean_logs(means)
            return (
                [(given - base).cpu().numpy() for given, base in zip(logs, self._control, strict=True)],
                [
                    (given - base).cpu().numpy()
                    for given, base in zip(shares, self._control_shares, strict=True)
                ],
            )

    def share_changes(self, dosage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log2 fold change of every gene's mean share against control under every draw of the guide: (G, S),
        cells of its own for each draw, and (G, R), the same cells for all. The scale on which effects that
        act independently add up. dosage: (n,) row of D."""
        own, shared = self.draws(dosage)[1]
        return own, shared

    @cached_property
    def _control_shares(self) -> list[Tensor]:
        return self._log_mean_shares(self._log_means(None))

    def _log_mean_shares(self, log_means: Tensor) -> list[Tensor]:
        """(G, samples) for each arm: log2 of the mean share over the cells of each draw of the guide."""
        shares = log_means.sub(self._library.log()).exp_()
        parts = shares.split([len(arm.level) for arm in self._arms], dim=1)
        return [
            part.unflatten(1, (arm.samples, arm.cells)).mean(dim=2).log2_()
            for part, arm in zip(parts, self._arms, strict=True)
        ]

    def folds_of(self, differences: np.ndarray) -> np.ndarray:
        """(G,) log2 fold changes of mean counts that make differences (G,) of mean log2(1 + 1e4 x / l), for
        counts as dispersed as the model's in its control cells; at most 2^8-fold. NaN stays.
        """
        steps, curve = self._curve
        known = np.nan_to_num(differences)[:, None]
        low = np.clip((curve <= known).sum(axis=1) - 1, 0, len(steps) - 2)
        rows = np.arange(len(curve))
        left, right = curve[rows, low], curve[rows, low + 1]
        share = np.clip((known[:, 0] - left) / np.maximum(right - left, 1e-9), 0.0, 1.0)
        return np.where(np.isfinite(differences), steps[low] + share * (steps[low + 1] - steps[low]), np.nan)

    @cached_property
    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Fold changes (k,), log2, and the differences (G, k) that they make in control cells."""
        steps = np.arange(-8.0, 8.25, 0.25)
        cells = self._arms[1]
        with torch.inference_mode():
            means = self._log_means(None)[:, -len(cells.level) :]
            expected = [
                self._expected(means + float(step * np.log(2)), cells.level).mean(dim=1).cpu().numpy()
                for step in steps
            ]
        curve = np.stack(expected, axis=1).astype(float)
        return steps, curve - curve[:, [int(np.argmin(np.abs(steps)))]]

    def draw_counts(
        self, dosage: np.ndarray | None, gene: str, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts of a measured gene drawn from the model, one for each of its S x d cells, and their library
        sizes; both (S d,).

        dosage: (n,) row of D; None for the control. Mean and concentration are those of the effects, a = 0.
        """
        column, cells = self.genes.get_loc(gene), len(self._arms[0].level)
        with torch.inference_mode():
            log_mean = self._log_means(dosage)[column, :cells].double().cpu().numpy()
            concentration = float(self.model.decoder.log_concentration[column].exp())
        random = np.random.default_rng(seed)
        counts = random.poisson(random.gamma(concentration, (np.exp(log_mean) + MEAN_FLOOR) / concentration))
        return counts, self._library[:cells].double().cpu().numpy()

    def draw_cells(
        self, dosage: np.ndarray | None, cells: int, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts (cells, G) drawn from the model, and their library sizes (cells,): cells of the first arm,
        each with its own draw of the guide, at random. dosage: (n,) row of D; None for the control.
        """
        random, own = np.random.default_rng(seed), len(self._arms[0].level)
        chosen = random.choice(own, cells, replace=cells > own)
        with torch.inference_mode():
            log_mean = self._log_means(dosage)[:, torch.from_numpy(chosen)].T.double().numpy()
            concentration = self.model.decoder.log_concentration.exp().double().numpy()
        counts = random.poisson(random.gamma(concentration, (np.exp(log_mean) + MEAN_FLOOR) / concentration))
        return counts.astype(np.float32), self._library[chosen].double().numpy()

    def _hidden(self, dosage: np.ndarray | None) -> Tensor:
        """(width, D) last layer before the head in the cells of both arms; None: control."""
        first = [arm.basal.expand(arm.samples, -1, -1) for arm in self._arms]
        if dosage is not None:
            samples, rows = sum(arm.samples for arm in self._arms), int(np.count_nonzero(dosage))
            noise = self._noise if rows == 1 else guide_noise(self.model, samples, rows, self.settings.seed)
            offsets = guide_offsets(self.model, torch.from_numpy(dosage).to(self.device), noise)
            told = self.model.decoder.mlp.first.block("offset", offsets)[:, None].split(
                [arm.samples for arm in self._arms]
            )
            first = [basal + part for basal, part in zip(first, told, strict=True)]
        return self.model.decoder.mlp(torch.cat([part.flatten(0, 1) for part in first])).T.contiguous()

    def _bias(self, dosage: np.ndarray | None) -> Tensor:
        """(G,) bias of the head, with what the network adds to the log shares."""
        decoder = self.model.decoder
        if dosage is None or decoder.influence is None:
            return decoder.head.bias
        genes = np.flatnonzero(dosage)
        given = torch.from_numpy(dosage[genes]).to(self.device)
        return decoder.head.bias + given @ decoder.influence[torch.from_numpy(genes).to(self.device)]

    def _log_means(self, dosage: np.ndarray | None) -> Tensor:
        """(G, D) log mean counts in the cells of both arms."""
        weight, hidden, bias = self.model.decoder.head.weight, self._hidden(dosage), self._bias(dosage)
        bias = (bias - (weight @ hidden.mean(dim=1) + bias).max())[:, None]  # keeps the exponentials finite
        logits, total = bias.new_empty(len(bias), hidden.shape[1]), bias.new_zeros(hidden.shape[1])
        for genes in _chunks(bias):
            torch.addmm(bias[genes], weight[genes], hidden, out=logits[genes])
            total += logits[genes].exp().sum(dim=0)
        return logits.add_(self._library.log() - total.log())

    def _mean_logs(self, log_means: Tensor) -> list[Tensor]:
        """(G, samples) for each arm: expected log2(1 + 1e4 x / l), mean over the cells of each draw of the
        guide. log_means: (G, D), overwritten.
        """
        means = [log_means.new_empty(len(log_means), arm.samples) for arm in self._arms]
        for genes in _chunks(log_means):
            values = self._expected(log_means[genes], self._level, genes)
            for mean, arm, part in zip(
                means, self._arms, values.split([len(arm.level) for arm in self._arms], dim=1), strict=True
            ):
                mean[genes] = part.unflatten(1, (arm.samples, arm.cells)).mean(dim=2)
        return means


def without_lift(changes: np.ndarray, dosage: np.ndarray, predictor: EffectPredictor) -> np.ndarray:
    """Changes (G, S) less the median over all genes but the perturbed ones, draw by draw: the shares of a
    cell add up to one, so that what some genes lose lifts all others. dosage: (n,) row of D.
    """
    perturbed = [predictor.panel.genes[i] for i in np.flatnonzero(dosage)]
    others = ~predictor.genes.isin(perturbed)
    return changes - np.median(changes[others], axis=0) if others.any() else changes


def _spread(draws: np.ndarray) -> np.ndarray:
    """(G,) standard deviation over draws (G, S); 0 for a single one."""
    return draws.std(axis=1, ddof=1) if draws.shape[1] > 1 else np.zeros(len(draws), dtype=draws.dtype)


def _chunks(values: Tensor) -> Iterator[slice]:
    """Of the genes that are the rows of `values`."""
    genes = len(values)
    step = DRAW_GENES if values.device.type == "cpu" else max(genes, 1)
    return (slice(at, min(at + step, genes)) for at in range(0, genes, step))


def guide_noise(model: GpoVae, samples: int, rows: int, seed: int) -> GuideNoise:
    """Random numbers for perturbations of `rows` genes, the same for each of them: a draw does not depend on
    who else is asked.
    """
    return model.guide.noise(samples, rows, torch.Generator().manual_seed(seed))


def guide_offsets(model: GpoVae, dosage: Tensor, noise: GuideNoise) -> Tensor:
    """(samples, n) offsets of a perturbation (n,)."""
    return model.guide.sample(dosage.nonzero()[:, 0], noise).offsets(dosage[None])[:, 0]


@dataclass(frozen=True)
class _Arm:
    """Cells in which every perturbation, and the control, is asked for: d for each of some draws of the
    guide; D in all, draw by draw.
    """

    samples: int
    # (samples, d, width), or (1, d, width) where all draws share their cells: first layer of the decoder,
    # bias included
    basal: Tensor
    library: Tensor  # (D,) library size: that of its level
    level: Tensor  # (D,) int32

    @property
    def cells(self) -> int:
        return self.basal.shape[1]


def _arms(
    model: GpoVae, prepared: PreparedCells, settings: InferenceSettings
) -> tuple[tuple[_Arm, _Arm], Tensor]:
    """The arm behind the means, cells of its own for each draw of the guide; the one behind the deviations,
    in which all draws share their cells, so that only the guide differs; and the library levels (Q,).

    Cells are controls (passing quality control, training split): one from each of equal slices of the sorted
    library sizes, so that their distribution is met without sampling error. Neighbouring slices share a
    level, the geometric mean of their cells.
    """
    pool = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)) & prepared.passing)
    if not len(pool):
        pool = np.flatnonzero(prepared.where(keys.CONTROL) & (prepared.library_size > 0))
    pool = pool[np.argsort(prepared.library_size[pool], kind="stable")]
    sizes = np.log(prepared.library_size[pool])
    random, noise = np.random.default_rng(settings.seed), torch.Generator().manual_seed(settings.seed)
    device = model.decoder.log_concentration.device
    samples, draws = settings.guide_samples, settings.basal_draws
    count = min(settings.library_levels, samples * draws)
    levels = np.exp(
        [
            sizes[
                len(pool) * q // count : max(len(pool) * (q + 1) // count, len(pool) * q // count + 1)
            ].mean()
            for q in range(count)
        ]
    )

    def arm(place: np.ndarray, samples: int) -> _Arm:
        """place: (s, d) where between the smallest (0) and the largest (1) library size each cell is taken
        from.
        """
        cells = pool[(place * len(pool)).astype(int)]
        basal = torch.randn(*cells.shape, model.settings.latent, generator=noise).to(device)
        if settings.basal == "controls":
            basal = _posterior_of_controls(model, prepared, cells).sample(basal)
        level = np.broadcast_to((place * count).astype(np.int32), (samples, place.shape[1])).reshape(-1)
        first = model.decoder.mlp.first
        return _Arm(
            samples,
            first.block("basal", basal) + first.bias,
            torch.from_numpy(levels[level]).float().to(device),
            torch.from_numpy(level.copy()).to(device),
        )

    # Cell i of a draw comes from the i-th of d parts, and within it from another slice than cell i of any
    # other draw.
    slices = np.stack([random.permutation(samples) + i * samples for i in range(draws)], axis=1)
    own = arm((slices + random.random(slices.shape)) / (samples * draws), samples)
    shared = arm(
        (np.arange(SHARED_CELLS)[None] + random.random((1, SHARED_CELLS))) / SHARED_CELLS,
        settings.spread_samples,
    )
    return (own, shared), torch.from_numpy(levels).to(device)


def _posterior_of_controls(model: GpoVae, prepared: PreparedCells, cells: np.ndarray) -> Normal:
    """q(z_b) of control cells at positions (S, d): (S, d, L)."""
    guide = model.guide
    used, where = np.unique(cells, return_inverse=True)
    device = guide.log_mean.device
    blocks = [
        SparseCounts.of(prepared.counts[some]).to(device)
        for some in np.array_split(used, len(used) // 256 + 1)
    ]
    parts = torch.cat([guide.counts_part(block.dense(block.value.log1p())) for block in blocks])
    part = parts[torch.from_numpy(where.reshape(cells.shape)).to(device)]
    return guide.basal_posterior(part, guide.basal.first.bias)  # no perturbation, no artifact
