"""The loops behind contrasts (effects.contrasts) and the mixture behind them, compiled: every pair of a
perturbation and a gene is gone through once, with nothing kept in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

EQUAL = 1e-3
"""Log ratios nearer to zero than this get the first-order error, which is the limit there."""


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _divergence(x: float, mean: float) -> float:
    """Of a mean from another, as scipy's kl_div."""
    if x > 0 and mean > 0:
        return x * np.log(x / mean) - x + mean
    return mean if x == 0 and mean >= 0 else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def ratios(treated: Any, control: Any, pseudo: np.ndarray, effect: np.ndarray, error: np.ndarray) -> None:
    """`contrasts.log_fold_change`, written to effect and error (r, m). treated, control: mean, variance
    (r, m), cells (r, m) or (r, 1) and scatter (r, 1), no rows where there is none; pseudo: (r, 1). One row
    stands for all.
    """
    mean_t, variance_t, cells_t, scatter_t = treated
    mean_c, variance_c, cells_c, scatter_c = control
    rows, columns = effect.shape
    counting = len(scatter_t) > 0 and len(scatter_c) > 0
    for i in range(rows):
        c, p = i if len(mean_c) > 1 else 0, i if len(pseudo) > 1 else 0
        own, other = (scatter_t[i, 0], scatter_c[c, 0]) if counting else (0.0, 0.0)
        half = pseudo[p, 0]
        for j in range(columns):
            n = cells_t[i, j if cells_t.shape[1] > 1 else 0]
            k = cells_c[c, j if cells_c.shape[1] > 1 else 0]
            x, y = mean_t[i, j], mean_c[c, j]
            free = max(n + k - 2, 1.0)
            variance = ((n - 1) * variance_t[i, j] + (k - 1) * variance_c[c, j]) / free
            # Where neither side has a single count the variance of half a count stands in.
            variance = variance if variance > 0 else half**2 * (n + k)
            of_treated = of_control = variance
            if counting:
                pooled_mean, pooled = (n * x + k * y) / (n + k), ((n - 1) * own + (k - 1) * other) / free
                rest = variance - pooled_mean * pooled
                if rest >= 0:
                    of_treated, of_control = pooled_mean * own + rest, pooled_mean * other + rest
                else:
                    of_treated, of_control = variance * own / pooled, variance * other / pooled
            a, b = n / of_treated, k / of_control
            mean = (a * x + b * y) / (a + b)
            ratio = np.log((x + half) / (y + half))
            effect[i, j] = ratio
            if abs(ratio) > EQUAL:
                deviance = a * _divergence(x, mean) + b * _divergence(y, mean)
                error[i, j] = abs(ratio) / max(np.sqrt(2 * max(deviance, 0.0) * mean), 1e-300)
            else:
                error[i, j] = np.sqrt(1 / a + 1 / b) / (mean + half)


@njit(cache=True, nogil=True)
def median(values: np.ndarray, weights: np.ndarray) -> float:
    """Least value at which half of the weight is reached, by quickselect; 0 without values. Both (k,) come
    out in another order.
    """
    if len(values) == 0:
        return 0.0
    low, high, before, half = 0, len(values), 0.0, weights.sum() / 2
    while True:
        one, two, three = values[low], values[(low + high) // 2], values[high - 1]
        pivot = max(min(one, two), min(max(one, two), three))
        less, at, more, lighter, same = low, low, high, 0.0, 0.0
        while at < more:
            value, weight = values[at], weights[at]
            if value < pivot:
                lighter += weight
                values[at], weights[at] = values[less], weights[less]
                values[less], weights[less] = value, weight
                less += 1
                at += 1
            elif value > pivot:
                more -= 1
                values[at], weights[at] = values[more], weights[more]
                values[more], weights[more] = value, weight
            else:
                same += weight
                at += 1
        if less > low and before + lighter >= half:
            high = less
        elif more == high or before + lighter + same >= half:
            return pivot
        else:
            before += lighter + same
            low = more


@njit(cache=True, nogil=True, error_model="numpy")
def centres(effect: np.ndarray, error: np.ndarray, itself: np.ndarray, found: np.ndarray) -> None:
    """Medians of every row of effect (r, m), weighted by 1 / error, over the genes that are not `itself`."""
    rows, columns = effect.shape
    values, weights = np.empty(columns), np.empty(columns)
    for i in range(rows):
        count = 0
        for j in range(columns):
            if not itself[i, j]:
                values[count], weights[count] = effect[i, j], 1 / error[i, j]
                count += 1
        found[i] = median(values[:count], weights[:count])


@njit(cache=True, nogil=True, error_model="numpy")
def agreeing(
    effect: np.ndarray, error: np.ndarray, itself: np.ndarray, step: np.ndarray, rule: Any, found: np.ndarray
) -> None:
    """Share of the genes of every row of effect (r, m), but `itself`, that lie within `rule` (standard
    errors, least effect) of step (r,).
    """
    within, least = rule
    rows, columns = effect.shape
    for i in range(rows):
        count, near = 0, 0
        for j in range(columns):
            if not itself[i, j]:
                count += 1
                near += (effect[i, j] - step[i]) ** 2 <= within**2 * (error[i, j] ** 2 + least**2)
        found[i] = near / count if count else 1.0


@njit(cache=True, nogil=True)
def group_sums(chosen: Any, shares: Any, first: np.ndarray, square: np.ndarray) -> None:
    """Adds the shares of the cells of every group, and their squares, to first and square (r, m). chosen: the
    arrays (indptr, indices, data) of groups by cells; shares: of cells by genes.
    """
    start, cells, times = chosen
    begin, genes, values = shares
    for group in range(len(start) - 1):
        for k in range(start[group], start[group + 1]):
            cell, weight = cells[k], times[k]
            for q in range(begin[cell], begin[cell + 1]):
                more = weight * values[q]
                first[group, genes[q]] += more
                square[group, genes[q]] += more * values[q]


@njit(cache=True, nogil=True, error_model="numpy")
def add_moments(
    sums: Any, cells: np.ndarray, weights: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> None:
    """Adds mean and unbiased variance of the shares of r groups, each weighted, to mean and variance (r, m).
    sums: of shares and of their squares, (r, m) each or (1, m), of cells (r,) or (1,); weights: (2, r).
    """
    first, square = sums
    rows, columns = mean.shape
    for i in range(rows):
        c = i if len(first) > 1 else 0
        n = max(cells[c], 1.0)
        unbiased = cells[c] / max(cells[c] - 1, 1.0)
        for j in range(columns):
            one = first[c, j] / n
            mean[i, j] += weights[0, i] * one
            variance[i, j] += weights[1, i] * (max(square[c, j] / n - one**2, 0.0) * unbiased)


_TOGETHER = 8  # densities that are multiplied before a logarithm is taken


@njit(cache=True, nogil=True)
def log_products(
    null: np.ndarray, present: np.ndarray, size: np.ndarray, shares: np.ndarray, found: np.ndarray
) -> None:
    """Log likelihood of the pairs of r rows, size (r,) of each one after another, at every share of the null
    (k,), written to found (r, k). null, present: (pairs,) density of either; the mixture of both is over
    1e-30 everywhere.
    """
    product, at = np.empty(len(shares)), 0
    for row in range(len(size)):
        found[row] = 0.0
        for first in range(at, at + size[row], _TOGETHER):
            product[:] = 1.0
            for pair in range(first, min(first + _TOGETHER, at + size[row])):
                x, y = null[pair], present[pair]
                for k in range(len(shares)):
                    product[k] *= shares[k] * x + (1 - shares[k]) * y
            for k in range(len(shares)):
                found[row, k] += np.log(product[k])
        at += size[row]


_CHUNK = 256  # pairs that are held while they are gone through


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def mixture_sums(
    density: np.ndarray,
    size: np.ndarray,
    share: np.ndarray,
    slab: np.ndarray,
    by_row: np.ndarray,
    cross: np.ndarray,
    wide: np.ndarray,
) -> float:
    """The sums of `mixture._Sums` over the pairs of r rows, size (r,) of each; density: (1 + K, pairs), the
    null first. Written: by_row: (3, r) null, share_slope and share_bend; cross: (r, K); wide: (K, pairs)
    derivative of the log likelihood by the weights. Returns the log likelihood.
    """
    # Sums have loops of their own that write nothing: in others the order in which numbers are added would
    # hang on where the arrays lie.
    present, joint, null, apart = np.empty(_CHUNK), np.empty(_CHUNK), np.empty(_CHUNK), np.empty(_CHUNK)
    likelihood, end = 0.0, 0
    for row in range(len(size)):
        s, end = share[row], end + size[row]
        zero, slope, bend = 0.0, 0.0, 0.0
        cross[row] = 0.0
        for low in range(end - size[row], end, _CHUNK):
            count = min(_CHUNK, end - low)
            present[:count] = 0.0
            for c in range(len(slab)):
                for q in range(count):
                    present[q] += slab[c] * density[1 + c, low + q]
            for q in range(count):
                joint[q] = s * density[0, low + q] + (1 - s) * present[q]
                null[q] = density[0, low + q] / joint[q]
                apart[q] = null[q] - present[q] / joint[q]
            for q in range(count):
                zero += s * null[q]
                slope += apart[q]
                bend += apart[q] * apart[q]
            for q in range(count):
                likelihood += np.log(joint[q])
            for q in range(count):
                null[q] /= joint[q]
                present[q] = (1 - s) / joint[q]
            for c in range(len(slab)):
                total = 0.0
                for q in range(count):
                    total += density[1 + c, low + q] * null[q]
                cross[row, c] += total
                for q in range(count):
                    wide[c, low + q] = density[1 + c, low + q] * present[q]
        by_row[0, row], by_row[1, row], by_row[2, row] = zero, slope, bend
    return likelihood


@njit(cache=True, nogil=True)
def over_strata(
    at: tuple[np.ndarray, np.ndarray, np.ndarray],
    strata: tuple[np.ndarray, np.ndarray, np.ndarray],
    logs: np.ndarray,
    chance: np.ndarray,
) -> None:
    """How many of a group show a gene, where its cells are drawn in every stratum by themselves: the chance
    of 0, 1, ..., written to `chance` (k, h), which has room for the largest number and holds zeros.

    at: (k,) first and last stratum (not included) and column of each; strata: (q, t) cells of the group, of
    all that show the gene, and of all; logs: log n! for n up to the largest of them. Hypergeometric numbers,
    convolved one by one.
    """
    first, last, column = at
    sizes, showing, everybody = strata
    here, before = np.empty(chance.shape[1]), np.empty(chance.shape[1])
    for i in range(len(column)):
        chance[i, 0], length = 1.0, 1
        for own in range(first[i], last[i]):
            size, shown = int(sizes[own, column[i]]), int(showing[own, column[i]])
            both = int(everybody[own, column[i]])
            silent, most = both - shown, min(size, shown)
            if most == 0:
                continue
            every = logs[shown] + logs[silent] + logs[size] + logs[both - size] - logs[both]
            for h in range(most + 1):
                left = silent - size + h
                here[h] = 0.0
                if left >= 0:
                    here[h] = np.exp(every - logs[h] - logs[shown - h] - logs[size - h] - logs[left])
            before[:length] = chance[i, :length]
            for total in range(length + most):
                value = 0.0
                for h in range(max(0, total - length + 1), min(most, total) + 1):
                    value += here[h] * before[total - h]
                chance[i, total] = value
            length += most
