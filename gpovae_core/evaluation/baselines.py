"""What a score has to be compared with: predictions that need no model, and the most that the reference's noise allows.

Why both: on held-out cells the published model scored 0.54 to 0.75 where the plain mean of the training cells scored
0.64 to 0.81 and the data agreed with itself by 0.65 to 0.82 (MODEL.md section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.effects import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.evaluation.response import median

Expression = sparse.csr_matrix | np.ndarray


def baseline_predictions(training: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Predictions without a model, from the effects in the training cells: name -> (perturbations x genes).

    training: (perturbations x genes), a row of NaN where a perturbation has no training cells (unseen ones).
    """
    return {"train_mean": training, "perturbation_mean": perturbation_mean(training), "no_effect": no_effect(training)}


def no_effect(like: pd.DataFrame) -> pd.DataFrame:
    """Zero for every gene under every perturbation. Its correlation is undefined; its R2 is not."""
    return pd.DataFrame(0.0, index=like.index, columns=like.columns)


def perturbation_mean(training: pd.DataFrame) -> pd.DataFrame:
    """The same row for every perturbation: the mean over all perturbations of their effects in the training cells.

    The plain mean, as published, so a perturbation counts in its own prediction. Unseen ones get a row too.
    """
    average = training.dropna(how="any").to_numpy()
    row = average.mean(axis=0) if len(average) else np.full(training.shape[1], np.nan)
    return pd.DataFrame(np.tile(row, (len(training), 1)), index=training.index, columns=training.columns)


@dataclass(frozen=True)
class Reliability:
    """How far a reference agrees with itself, and the ceiling that follows; NaN = undefined.

    split_half: mean Pearson of the effects in two random halves of the cells, pooled over perturbation x gene;
    ceiling: the Pearson that the true effects would reach with the whole reference, see `attainable`;
    per_perturbation: that ceiling for the Pearson within one perturbation, NaN where its halves show no common signal;
    median_ceiling: their median for the median score. A perturbation without common signal counts there as 0, the nearest
    possible value: it pulls the median score down as well.
    """

    split_half: float
    ceiling: float
    median_ceiling: float
    per_perturbation: pd.Series


def attainable(split_half: np.ndarray | float) -> np.ndarray:
    """Correlation of noiseless truth with the whole reference, from the correlation r of its two halves: sqrt(2r / (1 + r)).

    Write a reference as truth plus noise with variances T and E over the entries. Halves have twice the noise and share
    none, so r = T / (T + 2E), and the whole has reliability T / (T + E) = 2r / (1 + r) (Spearman-Brown). A perfect
    predictor has correlation sqrt(T / (T + E)) with it: the noise is the reference's alone. NaN for r <= 0, where the
    halves show no common signal. Not a bound for a predictor that saw the reference's own cells: it shares their noise.
    """
    r = np.asarray(split_half, dtype=np.float64)
    defined = r > 0
    inside = np.divide(2 * r, 1 + r, out=np.full(r.shape, np.nan), where=defined)
    return np.sqrt(inside)


def reliability(
    prepared: PreparedCells,
    splits: tuple[str, ...],
    halvings: int = 20,
    seed: int = 0,
    expression: sparse.csr_matrix | None = None,
) -> Reliability:
    """Split-half correlation and ceiling of the observed effects over the cells of `splits`.

    halvings: random halvings, each stratified by perturbation, control cells halved too. expression: `log_expression` of
    all cells where it is at hand. Perturbations with a single cell there cannot be halved and do not enter.
    """
    kept = prepared.where(splits=splits)
    values = log_expression(prepared.counts, prepared.library_size) if expression is None else expression
    pooled, each = split_half_correlations(values, np.where(kept, prepared.labels, ""), prepared.perturbations, halvings, seed)
    own = _mean(each)
    ceilings = attainable(own)
    split_half = float(_mean(pooled[:, None])[0])
    return Reliability(
        split_half=split_half,
        ceiling=float(attainable(split_half)),
        median_ceiling=median(np.where(own <= 0, 0.0, ceilings)),
        per_perturbation=pd.Series(ceilings, index=list(prepared.perturbations)),
    )


def split_half_correlations(
    expression: Expression, labels: np.ndarray, perturbations: tuple[str, ...], halvings: int, seed: int, control: str = keys.CONTROL
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson of the effects (mean - control mean) in two halves of the cells: pooled (halvings,), each (halvings, perturbations).

    expression: (cells, genes); cells with a label not named here are ignored. All halvings of a perturbation come from one
    product of its cells with a (cells x halvings) matrix of halves, so every stored count is visited once.
    """
    rng = np.random.default_rng(seed)
    each = np.full((halvings, len(perturbations)), np.nan)
    base = _half_means(expression, labels, control, halvings, rng)
    if base is None:
        return np.full(halvings, np.nan), each
    sums = np.zeros((5, halvings))
    entries = 0
    for column, name in enumerate(perturbations):
        own = _half_means(expression, labels, name, halvings, rng)
        if own is not None:
            first, second = own[0] - base[0], own[1] - base[1]
            moments = _moments(first, second)
            each[:, column] = _correlation(moments, len(first))
            sums += moments
            entries += len(first)
    return _correlation(sums, entries), each


def _half_means(
    expression: Expression, labels: np.ndarray, name: str, halvings: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean expression in either half of the cells called `name`: two (genes, halvings); None with fewer than two cells."""
    rows = np.flatnonzero(labels == name)
    if len(rows) < 2:
        return None
    size = len(rows) // 2
    in_first = (rng.random((len(rows), halvings)).argsort(axis=0) < size).astype(np.float64)
    cells = expression[rows]
    total = np.asarray(cells.sum(axis=0), dtype=np.float64).reshape(-1, 1)
    first = np.asarray(cells.T @ in_first)
    return first / size, (total - first) / (len(rows) - size)


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(5, halvings): sums over genes of x, y, x^2, y^2, xy."""
    return np.stack([x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)])


def _correlation(sums: np.ndarray, entries: int) -> np.ndarray:
    """(halvings,) Pearson from the sums of `_moments`; NaN where a side is constant."""
    if entries == 0:
        return np.full(sums.shape[1], np.nan)
    mean_x, mean_y, square_x, square_y, product = sums / entries
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    varies = (variance_x > 1e-13 * square_x) & (variance_y > 1e-13 * square_y)
    scale = np.sqrt(np.where(varies, variance_x * variance_y, 1.0))
    return np.where(varies, (product - mean_x * mean_y) / scale, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over rows of the numbers in each column; NaN where a column has none."""
    number = np.isfinite(values)
    count = number.sum(axis=0)
    return np.divide(np.where(number, values, 0.0).sum(axis=0), count, out=np.full(values.shape[1], np.nan), where=count > 0)
