"""How well predicted treatment effects match observed ones. Kernels on arrays (perturbations x genes); MODEL.md section 5.

Every score is NaN where it is undefined (a constant side, no perturbation with cells), never a stand-in such as 0.
A row with a NaN on either side, that is a perturbation without cells or without a prediction, is left out by every kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOP = 20
"""Genes per perturbation behind the scores called top 20."""


@dataclass(frozen=True)
class ResponseScores:
    """Scores of one prediction against one reference; NaN = undefined.

    ate_rho, r2: over all perturbation x gene entries pooled; *_top20: the same on the 20 genes with the largest observed
    effect of each perturbation; jaccard_*: overlap of the largest observed and predicted effects, mean over perturbations;
    rho: (p,) Pearson per perturbation, median_rho their median; rows: perturbations that could be compared.
    """

    ate_rho: float
    r2: float
    ate_rho_top20: float
    r2_top20: float
    jaccard_top20: float
    jaccard_top50: float
    median_rho: float
    rho: np.ndarray
    rows: int


def response_scores(observed: np.ndarray, predicted: np.ndarray) -> ResponseScores:
    """All scores of `predicted` against `observed`, both (p, G) in log2(counts per 10,000 + 1) against control."""
    rows = comparable_rows(observed, predicted)
    truth, guess = _pair(observed, predicted)
    top = largest_effects(truth, TOP)
    top_truth, top_guess = np.take_along_axis(truth, top, axis=1), np.take_along_axis(guess, top, axis=1)
    rho = np.full(len(rows), np.nan)
    rho[rows] = pearson_rows(truth, guess)
    return ResponseScores(
        ate_rho=pearson(truth, guess),
        r2=r2(truth, guess),
        ate_rho_top20=pearson(top_truth, top_guess),
        r2_top20=r2(top_truth, top_guess),
        jaccard_top20=jaccard_top(truth, guess, 20),
        jaccard_top50=jaccard_top(truth, guess, 50),
        median_rho=median(rho),
        rho=rho,
        rows=int(rows.sum()),
    )


def comparable_rows(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(p,) bool: rows that are numbers throughout, on both sides."""
    return np.asarray(np.isfinite(observed).all(axis=1) & np.isfinite(predicted).all(axis=1))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson correlation over all entries of two arrays of one shape (no NaN); NaN where either is constant or empty."""
    return float(pearson_rows(np.reshape(x, (1, -1)), np.reshape(y, (1, -1)))[0])


def pearson_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(p,) Pearson correlation of each row of x (p, G) with that of y; NaN where a row is constant, empty or holds a NaN."""
    if x.shape[1] == 0:
        return np.full(len(x), np.nan)
    dx, norm_x = _centred(x)
    dy, norm_y = _centred(y)
    scale = norm_x * norm_y
    return np.divide((dx * dy).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0).clip(-1.0, 1.0)


def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without their mean, scaled to at most 1, and their norms; norm 0 where a row varies by no more than rounding."""
    x = np.asarray(x, dtype=np.float64)
    largest = np.abs(x).max(axis=1, keepdims=True)
    scaled = np.divide(x, largest, out=np.zeros_like(x), where=largest > 0)
    centred = scaled - scaled.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    return centred, np.where(norm > 1e-13 * np.sqrt(x.shape[1]), norm, 0.0)


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """1 - residual / total sum of squares over all entries, truth = observed (as sklearn.metrics.r2_score); NaN for a constant truth."""
    truth, guess = np.ravel(observed).astype(np.float64), np.ravel(predicted).astype(np.float64)
    if truth.size == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(1.0 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def largest_effects(effects: np.ndarray, top: int) -> np.ndarray:
    """(p, min(top, G)) columns of the largest absolute effects per row, largest first; ties go to the earlier column."""
    return np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :top]


def jaccard_top(observed: np.ndarray, predicted: np.ndarray, top: int) -> float:
    """Mean over rows of shared / joint among the `top` largest absolute effects of both sides.

    A row counts only where both sides have `top` effects other than zero (else the list is filled by chance), and only
    with more than `top` genes measured (else it is 1 whatever the prediction); NaN where no row counts.
    """
    truth, guess = _pair(observed, predicted)
    if truth.shape[1] <= top:
        return float("nan")
    enough = (np.count_nonzero(truth, axis=1) >= top) & (np.count_nonzero(guess, axis=1) >= top)
    if not enough.any():
        return float("nan")
    shared = (_member(truth[enough], top) & _member(guess[enough], top)).sum(axis=1)
    return float((shared / (2 * top - shared)).mean())


def _member(effects: np.ndarray, top: int) -> np.ndarray:
    """(p, G) bool: is this gene among the largest of its row?"""
    member = np.zeros(effects.shape, dtype=bool)
    np.put_along_axis(member, largest_effects(effects, top), True, axis=1)
    return member


def median(values: np.ndarray) -> float:
    """Median of the numbers in `values`; NaN where there are none."""
    numbers = values[np.isfinite(values)]
    return float(np.median(numbers)) if len(numbers) else float("nan")


def _pair(observed: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = comparable_rows(observed, predicted)
    return np.asarray(observed, dtype=np.float64)[rows], np.asarray(predicted, dtype=np.float64)[rows]
