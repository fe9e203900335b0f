"""The ascent of one target (methods.ascent), compiled: gene after gene until nothing moves.

Targets do not hear of each other, so they can be worked on at once, with the same result in any order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LOG_ODDS_LIMIT = 30.0
"""Log odds of an edge are kept within this: beyond it a float32 sigmoid is 0 or 1 anyway."""

FREE_SWEEPS = 20
"""An explanation widens the error that is allowed to it. It may lose its edge by that, and so the error, and
win the edge back, for ever: after so many sweeps errors are averaged over sweeps, by which that settles.
"""
SETTLED = 1e-4
"""A target of which no edge moves by more has arrived."""


@njit(cache=True, nogil=True)
def felt_without(all_of_it: float, reached: float, passed_on: float) -> float:
    """What is felt of a gene while the target is held: between nothing and all of it. reached: what is felt
    of the target; passed_on: what of the gene, per unit that is felt of the target.
    """
    left = all_of_it - reached * passed_on
    if all_of_it > 0:
        return min(max(left, 0.0), all_of_it)
    return max(min(left, 0.0), all_of_it)


@njit(cache=True, nogil=True)
def ascend_one(
    target: int,
    order: np.ndarray,
    start: np.ndarray,
    rows: np.ndarray,
    design: np.ndarray,
    turned: np.ndarray,
    sources: np.ndarray,
    response: np.ndarray,
    noise2: np.ndarray,
    reached: np.ndarray,
    passed_on: np.ndarray,
    odds_before: np.ndarray,
    least: np.ndarray,
    slab: float,
    along: float,
    against: float,
    sweeps: int,
    edge: np.ndarray,
    log_odds: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    predicted: np.ndarray,
    spread: np.ndarray,
    indirect: np.ndarray,
    off: np.ndarray,
) -> None:
    """Up from `edge` (n,) to where it ends.

    order: genes that perturbations reach, one after another; the entries start[m]:start[m + 1] of `rows`,
    `design` and `turned` are those of gene m: the perturbations that reach it, what is felt of it, and
    whether it moves against its own perturbation. sources, response, noise2 (infinite: nothing to explain),
    reached: (p,); passed_on: (n,) what is felt of every gene when the target is perturbed. Written: edge,
    log_odds, mean, variance (n,); predicted, spread (variance of it), indirect, off (p,).
    """
    count = len(response)
    seen = np.isfinite(noise2)
    back = np.zeros(count)  # of what is predicted, by genes that move against their own perturbation
    weight = np.zeros(count)
    log_odds[:] = -LOG_ODDS_LIMIT
    mean[:] = 0.0
    variance[:] = np.nan
    predicted[:] = 0.0
    spread[:] = 0.0
    off[:] = 0.0
    for gene in order:
        if edge[gene] != 0:
            for k in range(start[gene], start[gene + 1]):
                i, x = rows[k], design[k]
                if sources[i] != gene:
                    x = felt_without(x, reached[i], passed_on[gene])
                predicted[i] += x * edge[gene]
                if turned[k]:
                    back[i] += x * edge[gene]
    for sweep in range(sweeps):
        over_all = 0.0
        for gene in order:
            over_all += passed_on[gene] * edge[gene]
        for i in range(count):
            if not seen[i]:
                continue
            source = sources[i]
            taken = reached[i] * min(over_all - passed_on[source] * edge[source], 0.0)
            straight = predicted[i] - edge[source] - back[i] - taken
            now = np.hypot(along * straight, against * back[i])
            later = sweep - FREE_SWEEPS
            off[i] = now if later < 0 else off[i] + (now - off[i]) / (later + 2)
            weight[i] = 1 / (noise2[i] + off[i] ** 2)
        largest = 0.0
        for gene in order:
            if gene == target:
                continue
            precision, total = 0.0, 0.0
            old = edge[gene]
            for k in range(start[gene], start[gene + 1]):
                i, x = rows[k], design[k]
                if weight[i] == 0:
                    continue
                if sources[i] != gene:
                    x = felt_without(x, reached[i], passed_on[gene])
                xw = x * weight[i]
                precision += x * xw
                total += xw * (response[i] - predicted[i] + x * old)
            if precision > 0:
                error2 = 1 / precision
                estimate = total * error2
                without = error2 + least[gene]
                having = without + slab
                odds = odds_before[gene] + 0.5 * (
                    np.log(without / having) + estimate**2 * (1 / without - 1 / having)
                )
                odds = min(max(odds, -LOG_ODDS_LIMIT), LOG_ODDS_LIMIT)
                strength = estimate * slab / (slab + error2)
                variance[gene] = 1 / (precision + 1 / slab)
            else:
                odds, strength = -LOG_ODDS_LIMIT, 0.0
                variance[gene] = np.nan
            new = strength / (1 + np.exp(-odds))
            edge[gene], log_odds[gene], mean[gene] = new, odds, strength
            step = new - old
            if step != 0:
                largest = max(largest, abs(step))
                for k in range(start[gene], start[gene + 1]):
                    i, x = rows[k], design[k]
                    if sources[i] != gene:
                        x = felt_without(x, reached[i], passed_on[gene])
                    predicted[i] += x * step
                    if turned[k]:
                        back[i] += x * step
        if largest < SETTLED:
            break
    for i in range(count):
        indirect[i] = predicted[i] - edge[sources[i]] if seen[i] else 0.0
    for gene in order:
        if np.isnan(variance[gene]):
            continue
        there = 1 / (1 + np.exp(-log_odds[gene]))
        uncertain = there * (mean[gene] ** 2 + variance[gene]) - edge[gene] ** 2
        for k in range(start[gene], start[gene + 1]):
            spread[rows[k]] += design[k] ** 2 * uncertain
