"""The ascent of one target (methods.ascent), compiled: gene after gene until nothing moves.

Targets do not hear of each other, so they can be worked on at once, with the same result in any order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gpovae_core.methods.explained import LOG_ODDS_LIMIT

FREE_SWEEPS = 20
"""An explanation widens the error that is allowed to it. It may lose its edge by that, and so the error, and
win the edge back, for ever: after so many sweeps errors are averaged over sweeps, by which that settles.
"""
SETTLED = 1e-4
"""A target of which no edge moves by more has arrived."""
_SAME = 1e-8
"""A precision that changed by less, relatively, is the one of the sweep before."""


@njit(cache=True, nogil=True)
def felt_without(all_of_it: float, reached: float, passed_on: float, itself: bool) -> float:
    """What is felt of a gene while the target is held: between nothing and all of it. reached: what is felt
    of the target; passed_on: what of the gene, per unit that is felt of the target; itself: the gene is the
    one that was perturbed.
    """
    if itself or passed_on == 0:
        return all_of_it
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
    weight, missing = np.zeros(count), np.zeros(count)
    log_odds[:] = -LOG_ODDS_LIMIT
    mean[:] = 0.0
    variance[:] = np.nan
    predicted[:] = 0.0
    spread[:] = 0.0
    off[:] = 0.0
    for gene in order:
        if edge[gene] != 0:
            for k in range(start[gene], start[gene + 1]):
                i = rows[k]
                x = felt_without(design[k], reached[i], passed_on[gene], sources[i] == gene)
                predicted[i] += x * edge[gene]
                if turned[k]:
                    back[i] += x * edge[gene]
    # What follows from the precision of an edge alone, which seldom changes from sweep to sweep.
    n = len(edge)
    precise, error2, before = np.zeros(n), np.zeros(n), np.zeros(n)
    gain, shrunk = np.zeros(n), np.zeros(n)
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
            missing[i] = weight[i] * (response[i] - predicted[i])
        largest = 0.0
        for gene in order:
            old = edge[gene]
            if gene == target:
                continue
            first, last = start[gene], start[gene + 1]
            precision, total = 0.0, 0.0
            if passed_on[gene] == 0:
                for k in range(first, last):
                    i, x = rows[k], design[k]
                    precision += x * x * weight[i]
                    total += x * missing[i]
            else:
                for k in range(first, last):
                    i = rows[k]
                    x = felt_without(design[k], reached[i], passed_on[gene], sources[i] == gene)
                    precision += x * x * weight[i]
                    total += x * missing[i]
            if precision > 0:
                if abs(precision - precise[gene]) > _SAME * precision:
                    precise[gene], error2[gene] = precision, 1 / precision
                    without = error2[gene] + least[gene]
                    having = without + slab
                    before[gene] = odds_before[gene] + 0.5 * np.log(without / having)
                    gain[gene] = 0.5 * (1 / without - 1 / having)
                    shrunk[gene] = slab / (slab + error2[gene])
                    variance[gene] = 1 / (precision + 1 / slab)
                estimate = total * error2[gene] + old
                odds = min(max(before[gene] + estimate**2 * gain[gene], -LOG_ODDS_LIMIT), LOG_ODDS_LIMIT)
                strength = estimate * shrunk[gene]
            else:
                odds, strength = -LOG_ODDS_LIMIT, 0.0
                precise[gene], variance[gene] = 0.0, np.nan
            new = strength / (1 + np.exp(-odds))
            edge[gene], log_odds[gene], mean[gene] = new, odds, strength
            step = new - old
            if step != 0:
                largest = max(largest, abs(step))
                for k in range(first, last):
                    i = rows[k]
                    x = felt_without(design[k], reached[i], passed_on[gene], sources[i] == gene)
                    predicted[i] += x * step
                    missing[i] -= weight[i] * x * step
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
            i = rows[k]
            x = felt_without(design[k], reached[i], passed_on[gene], sources[i] == gene)
            spread[i] += x**2 * uncertain
