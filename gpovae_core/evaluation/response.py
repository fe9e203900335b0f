"""How well predicted treatment effects match observed ones. Kernels on arrays (perturbations x genes);
MODEL.md section 5.

Every score is NaN where it is undefined (a constant side, no perturbation with cells), never a stand-in such
as 0. A row with a NaN on either side, that is a perturbation without cells or without a prediction, is left
out by every kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

TOP = 20
"""Genes per perturbation behind the scores called top 20."""


@dataclass(frozen=True)
class Measurement:
    """What is known of the observed effects beside their means; it decides weights, centroid and left-out
    genes of the scores.

    standard_error: (p, G); differential: (p, G) bool, differentially expressed genes by
    `effects.changes.gene_tests`; targets: (p, G) bool, the gene or genes perturbed; centroid: (G,) mean over
    perturbations of their effects in the *training* cells.
    """

    standard_error: np.ndarray
    differential: np.ndarray
    targets: np.ndarray
    centroid: np.ndarray

    def t(self, observed: np.ndarray) -> np.ndarray:
        """(p, G) observed effect over its standard error; 0 where neither side varies (a gene that no cell
        expresses), NaN if unknown.
        """
        error = self.standard_error
        known = np.isfinite(error) & np.isfinite(observed)
        return np.where(
            known, np.divide(observed, error, out=np.zeros(observed.shape), where=known & (error > 0)), np.nan
        )


@dataclass(frozen=True)
class ResponseScores:
    """Scores of one prediction against one reference; NaN = undefined.

    ate_rho, r2: over all perturbation x gene entries pooled; *_top20: the same on the 20 genes with the
    largest observed effect of each perturbation; jaccard_*: overlap of the largest observed and predicted
    effects, mean over perturbations; rho: (p,) Pearson per perturbation, median_rho their median; rows:
    perturbations that could be compared. With a `Measurement` also: centroid_rho, median Pearson of what
    differs from the mean of the perturbed centroids (`centroid_pearson`); discrimination: perturbation
    discrimination score (`discrimination`); weighted_r2: median of `weighted_r2`; de_overlap: `de_overlap`;
    *_without_own: the same scores without the columns of the perturbed genes in their own rows, on both
    sides.
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
    centroid_rho: float = float("nan")
    discrimination: float = float("nan")
    weighted_r2: float = float("nan")
    de_overlap: float = float("nan")
    ate_rho_without_own: float = float("nan")
    r2_without_own: float = float("nan")
    median_rho_without_own: float = float("nan")


def response_scores(
    observed: np.ndarray, predicted: np.ndarray, measurement: Measurement | None = None
) -> ResponseScores:
    """All scores of `predicted` against `observed`, both (p, G) in log2(counts per 10,000 + 1) against
    control.
    """
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
        **({} if measurement is None else _measured_scores(observed, predicted, measurement)),
    )


def _measured_scores(
    observed: np.ndarray, predicted: np.ndarray, measurement: Measurement
) -> dict[str, float]:
    t = measurement.t(observed)
    return {
        "centroid_rho": median(centroid_pearson(observed, predicted, measurement.centroid)),
        "discrimination": mean(discrimination(observed, predicted, measurement.targets)),
        "weighted_r2": median(weighted_r2(observed, predicted, effect_weights(t))),
        "de_overlap": de_overlap(predicted, measurement.differential & np.isfinite(observed)),
        **_without_own(observed, predicted, measurement.targets),
    }


def _without_own(observed: np.ndarray, predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """ATE-rho, R2 and the median over perturbations with every row short of its perturbed genes.

    That a knock-down lowers its own gene needs no model, and in small panels it is most of what there is to
    predict.
    """
    rows = comparable_rows(observed, predicted)
    truth, guess, kept = observed[rows], predicted[rows], ~targets[rows]
    rho = [pearson(t[k], g[k]) for t, g, k in zip(truth, guess, kept, strict=True)]
    return {
        "ate_rho_without_own": pearson(truth[kept], guess[kept]),
        "r2_without_own": r2(truth[kept], guess[kept]),
        "median_rho_without_own": median(np.array(rho)),
    }


def centroid_pearson(observed: np.ndarray, predicted: np.ndarray, centroid: np.ndarray) -> np.ndarray:
    """(p,) Pearson per perturbation of both sides minus `centroid` (G,), the mean of the perturbed centroids.

    Against control every perturbation shares what all perturbations do; against their mean only what is its
    own counts. A prediction that is the centroid itself is undefined (NaN).
    """
    result = np.full(len(observed), np.nan)
    rows = comparable_rows(observed, predicted)
    if np.isfinite(centroid).all():
        result[rows] = pearson_rows(observed[rows] - centroid, predicted[rows] - centroid)
    return result


def discrimination(observed: np.ndarray, predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(p,) perturbation discrimination score: 1 - rank / N of the true profile among all N observed ones,
    nearest first (rank 0).

    Distance: mean absolute difference over genes, without the targets ((p, G) bool) of either perturbation:
    the knock-down itself would give a profile away, and with only the predicted one's target left out a
    prediction without any information scores above chance. Ties count half, so a prediction that is the same
    for all scores about 0.5. NaN below two profiles.
    """
    result = np.full(len(observed), np.nan)
    known = np.flatnonzero(np.isfinite(observed).all(axis=1))
    rows = np.flatnonzero(comparable_rows(observed, predicted))
    if len(known) < 2 or len(rows) == 0:
        return result
    truth, guess, theirs = observed[known], predicted[rows], targets[known]
    profile, gene = np.nonzero(theirs)
    sums = cdist(guess, truth, "cityblock")
    for theirs_at, gene_at in zip(profile, gene, strict=True):
        sums[:, theirs_at] -= np.abs(guess[:, gene_at] - truth[theirs_at, gene_at])
    genes = observed.shape[1] - theirs.sum(axis=1)
    for place, row in enumerate(rows):
        own = np.flatnonzero(targets[row])
        fresh = ~theirs[:, own]  # not left out already
        distance = sums[place] - (np.abs(guess[place, own] - truth[:, own]) * fresh).sum(axis=1)
        distance = distance / np.maximum(genes - fresh.sum(axis=1), 1)
        true = distance[np.searchsorted(known, row)]
        tied = np.isclose(distance, true, rtol=1e-12, atol=1e-12)
        result[row] = 1 - ((distance < true)[~tied].sum() + (tied.sum() - 1) / 2) / len(known)
    return result


def effect_weights(t: np.ndarray) -> np.ndarray:
    """(p, G) weights of genes, 1 in sum per row: abs(t) of the observed effect scaled to 0 ... 1 over genes,
    squared. NaN if unknown.
    """
    size = np.abs(t)
    low, high = size.min(axis=1, keepdims=True), size.max(axis=1, keepdims=True)
    scaled = np.divide(size - low, high - low, out=np.full(size.shape, np.nan), where=high > low) ** 2
    return scaled / scaled.sum(axis=1, keepdims=True)


def weighted_r2(observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(p,) 1 - weighted residual / weighted total sum of squares per perturbation: genes that respond count,
    the silent rest does not.

    weights: (p, G) of `effect_weights`; as sklearn.metrics.r2_score with sample_weight. NaN where weights or
    rows are unknown.
    """
    average = (weights * observed).sum(axis=1, keepdims=True)
    total = (weights * (observed - average) ** 2).sum(axis=1)
    residual = (weights * (observed - predicted) ** 2).sum(axis=1)
    return 1 - np.divide(residual, total, out=np.full(len(total), np.nan), where=total > 0)


def de_overlap(predicted: np.ndarray, differentially: np.ndarray) -> float:
    """Mean over perturbations of the share of the N differentially expressed genes that are among the N
    largest predicted effects.

    differentially: (p, G) bool of the observed side, N its sum per row. Rows without such genes, or without N
    predicted effects other than zero, do not count; NaN where none does.
    """
    shares = []
    for row in np.flatnonzero(np.isfinite(predicted).all(axis=1) & differentially.any(axis=1)):
        n = int(differentially[row].sum())
        if np.count_nonzero(predicted[row]) >= n:
            shares.append(differentially[row, largest_effects(predicted[[row]], n)[0]].mean())
    return float(np.mean(shares)) if shares else float("nan")


def comparable_rows(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(p,) bool: rows that are numbers throughout, on both sides."""
    return np.asarray(np.isfinite(observed).all(axis=1) & np.isfinite(predicted).all(axis=1))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson correlation over all entries of two arrays of one shape (no NaN); NaN where either is constant
    or empty.
    """
    return float(pearson_rows(np.reshape(x, (1, -1)), np.reshape(y, (1, -1)))[0])


def pearson_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(p,) Pearson correlation of each row of x (p, G) with that of y; NaN where a row is constant, empty or
    holds a NaN.
    """
    if x.shape[1] == 0:
        return np.full(len(x), np.nan)
    dx, norm_x = _centred(x)
    dy, norm_y = _centred(y)
    scale = norm_x * norm_y
    return np.divide((dx * dy).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0).clip(
        -1.0, 1.0
    )


def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without their mean, scaled to at most 1, and their norms; norm 0 where a row varies by no more
    than rounding.
    """
    x = np.asarray(x, dtype=np.float64)
    largest = np.abs(x).max(axis=1, keepdims=True)
    scaled = np.divide(x, largest, out=np.zeros_like(x), where=largest > 0)
    centred = scaled - scaled.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    return centred, np.where(norm > 1e-13 * np.sqrt(x.shape[1]), norm, 0.0)


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """1 - residual / total sum of squares over all entries, truth = observed (as sklearn.metrics.r2_score);
    NaN for a constant truth.
    """
    truth, guess = np.ravel(observed).astype(np.float64), np.ravel(predicted).astype(np.float64)
    if truth.size == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(1.0 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def largest_effects(effects: np.ndarray, top: int) -> np.ndarray:
    """(p, min(top, G)) columns of the largest absolute effects per row, largest first; ties go to the earlier
    column.
    """
    size = -np.abs(effects)
    if not 0 < top < size.shape[1]:
        return np.argsort(size, axis=1, kind="stable")[:, :top]
    # to sort all genes for these few takes ten times as long
    last = np.partition(size, top - 1, axis=1)[:, top - 1]
    found = np.empty((len(size), top), dtype=np.intp)
    for row, (values, least) in enumerate(zip(size, last, strict=True)):
        among = np.flatnonzero(~(values > least))
        found[row] = among[np.argsort(values[among], kind="stable")[:top]]
    return found


def jaccard_top(observed: np.ndarray, predicted: np.ndarray, top: int) -> float:
    """Mean over rows of shared / joint among the `top` largest absolute effects of both sides.

    A row counts only where both sides have `top` effects other than zero (else the list is filled by chance),
    and only with more than `top` genes measured (else it is 1 whatever the prediction); NaN where no row
    counts.
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


def mean(values: np.ndarray) -> float:
    """Mean of the numbers in `values`; NaN where there are none."""
    numbers = values[np.isfinite(values)]
    return float(np.mean(numbers)) if len(numbers) else float("nan")


def _pair(observed: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = comparable_rows(observed, predicted)
    return np.asarray(observed, dtype=np.float64)[rows], np.asarray(predicted, dtype=np.float64)[rows]
