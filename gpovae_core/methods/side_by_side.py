"""The ascent of some targets (methods.ascent), compiled: gene after gene until nothing moves.

Targets do not hear of each other, so they can be worked on at once, with the same result in any order. LANES
of them go side by side through all genes: what is read of a gene then serves all of them. A target that has
become calm goes on by itself, over the genes whose edges still move. After three
such sweeps it goes through all genes again, and so it does in the one that decides that it has arrived.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gpovae_core.methods.explained import LOG_ODDS_LIMIT

LANES = 4
"""Targets that are worked on side by side; `_sums` and `_move` write them out."""
FREE_SWEEPS = 20
"""An explanation widens the error that is allowed to it. It may lose its edge by that, and so the error, and
win the edge back, for ever: after so many sweeps errors are averaged over sweeps, by which that settles.
"""
SETTLED = 1e-4
"""A target of which no edge moves by more has arrived."""
CALM = 1e-3
"""A target of which no edge moves by more is past choosing between explanations, so that edges that stay may
be left alone for a few sweeps. Where they are left alone before, small differences grow and W may end
elsewhere.
"""
_PATIENCE = 3  # sweeps over some genes before one over all
_FIRST = 3  # sweeps over all genes before any other
_LEAST_STEP = 1e-7
"""An edge that would move by less stays, and nothing has to hear of it."""
_SAME = 1e-8
"""A precision that changed by less, relatively, is the one of the sweep before."""

_WEIGHT, _LEFT = 0, 1  # of a row: its precision, and what is left of the response
_EDGE, _PRECISE, _BEFORE, _ESTIMATE = 0, 1, 2, 3  # of a gene: see `_learn`


class Genes(NamedTuple):
    """What is the same for all targets; n genes, p perturbations.

    order: genes that perturbations reach, one after another; the entries start[m]:start[m + 1] of `rows` and
    `design` are those of gene m: the perturbations that reach it and what is felt of it, from turn[m] on
    those in which it moves against its own perturbation. sources: (p,); log_odds, least: (n,) and slab as in
    `EdgePrior`; along, against as in `Tolerance`.
    """

    order: np.ndarray
    start: np.ndarray
    turn: np.ndarray
    rows: np.ndarray
    design: np.ndarray
    sources: np.ndarray
    log_odds: np.ndarray
    least: np.ndarray
    slab: float
    along: float
    against: float


class Targets(NamedTuple):
    """What is to be explained of k targets. response, noise2 (infinite: nothing to explain), reached: (k, p),
    the last what is felt of the target; passed_on: (k, n) what is felt of every gene when the target is
    perturbed.
    """

    place: np.ndarray
    response: np.ndarray
    noise2: np.ndarray
    reached: np.ndarray
    passed_on: np.ndarray


class Ends(NamedTuple):
    """Where it ends, to be written; edge: (k, n) where it begins; log_odds, mean, variance (k, n); predicted,
    spread (variance of it), indirect, off (k, p).
    """

    edge: np.ndarray
    log_odds: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    indirect: np.ndarray
    off: np.ndarray


class _State(NamedTuple):
    """Of the targets in the lanes. rows: (p, 2, LANES), so that one of them is one line of the cache; back:
    (p, LANES) what is predicted by genes that move against their own perturbation; off: (p, LANES); genes:
    (n, LANES, 4); held: (n,) targets in the lanes whose perturbation reaches the gene.
    """

    rows: np.ndarray
    back: np.ndarray
    off: np.ndarray
    genes: np.ndarray
    held: np.ndarray


@njit(cache=True, nogil=True, inline="always")
def felt_without(all_of_it: Any, reached: Any, passed_on: Any, itself: bool) -> float:
    """What is felt of a gene while the target is held (numbers): between nothing and all of it. reached: what
    is felt of the target; passed_on: what of the gene, per unit that is felt of the target; itself: the gene
    is the one that was perturbed.
    """
    if itself or passed_on == 0:
        return all_of_it
    left = all_of_it - reached * passed_on
    if all_of_it > 0:
        return min(max(left, 0.0), all_of_it)
    return max(min(left, 0.0), all_of_it)


@njit(cache=True, nogil=True, inline="always")
def _learn(
    genes: Any,
    gene: int,
    lane: int,
    log_odds: float,
    least: float,
    slab: float,
    precision: float,
    total: float,
) -> float:
    """The edge of a gene that its own regression gives; keeps the estimate and its precision. log_odds,
    least: of the gene.
    """
    if precision <= 0:
        genes[gene, lane, _PRECISE] = 0.0
        return 0.0
    error2 = 1 / precision
    without = error2 + least
    if abs(precision - genes[gene, lane, _PRECISE]) > _SAME * precision:
        genes[gene, lane, _PRECISE] = precision
        genes[gene, lane, _BEFORE] = log_odds + 0.5 * np.log(without / (without + slab))
    estimate = total * error2 + genes[gene, lane, _EDGE]
    genes[gene, lane, _ESTIMATE] = estimate
    odds = genes[gene, lane, _BEFORE] + estimate * estimate * 0.5 * slab / (without * (without + slab))
    odds = min(max(odds, -LOG_ODDS_LIMIT), LOG_ODDS_LIMIT)
    return estimate * slab / (slab + error2) / (1 + np.exp(-odds))


@njit(cache=True, nogil=True, inline="always")
def _visit(given: Any, reached: Any, passed: float, state: Any, gene: int, lane: int) -> float:
    """Moves the edge of one gene of one target; by how much. reached: (p,) as in Targets; passed: of it what
    is passed on to the gene.
    """
    rows, design, sources, left, back = given.rows, given.design, given.sources, state.rows, state.back
    genes, first, last, turn = state.genes, given.start[gene], given.start[gene + 1], given.turn[gene]
    precision, total = 0.0, 0.0
    for k in range(first, last):
        i, x = rows[k], design[k]
        if passed != 0:
            x = felt_without(x, reached[i], passed, sources[i] == gene)
        weighted = x * left[i, _WEIGHT, lane]
        precision += x * weighted
        total += weighted * left[i, _LEFT, lane]
    log_odds, least = given.log_odds[gene], given.least[gene]
    new = _learn(genes, gene, lane, log_odds, least, given.slab, precision, total)
    step = new - genes[gene, lane, _EDGE]
    if abs(step) <= _LEAST_STEP:
        return 0.0
    genes[gene, lane, _EDGE] = new
    for k in range(first, last):
        i, x = rows[k], design[k]
        if passed != 0:
            x = felt_without(x, reached[i], passed, sources[i] == gene)
        left[i, _LEFT, lane] -= x * step
        if k >= turn:
            back[i, lane] += x * step
    return step


@njit(cache=True, nogil=True, inline="always")
def _sums(rows: Any, design: Any, left: Any, first: int, last: int) -> Any:
    """Precision of a gene's edge and what the rows want of it, in all lanes."""
    p0 = p1 = p2 = p3 = 0.0
    t0 = t1 = t2 = t3 = 0.0
    for k in range(first, last):
        i, x = rows[k], design[k]
        w0, w1 = x * left[i, 0, 0], x * left[i, 0, 1]
        w2, w3 = x * left[i, 0, 2], x * left[i, 0, 3]
        p0 += x * w0
        p1 += x * w1
        p2 += x * w2
        p3 += x * w3
        t0 += w0 * left[i, 1, 0]
        t1 += w1 * left[i, 1, 1]
        t2 += w2 * left[i, 1, 2]
        t3 += w3 * left[i, 1, 3]
    return (p0, p1, p2, p3), (t0, t1, t2, t3)


@njit(cache=True, nogil=True, inline="always")
def _move(rows: Any, design: Any, left: Any, back: Any, first: int, turn: int, last: int, steps: Any) -> None:
    """The edge of a gene, of the entries first:last, moves by `steps` (LANES,)."""
    s0, s1, s2, s3 = steps[0], steps[1], steps[2], steps[3]
    for k in range(first, last):
        i, x = rows[k], design[k]
        left[i, 1, 0] -= x * s0
        left[i, 1, 1] -= x * s1
        left[i, 1, 2] -= x * s2
        left[i, 1, 3] -= x * s3
    for k in range(turn, last):
        i, x = rows[k], design[k]
        back[i, 0] += x * s0
        back[i, 1] += x * s1
        back[i, 2] += x * s2
        back[i, 3] += x * s3


@njit(cache=True, nogil=True)
def _begin(given: Any, of: Any, k: int, state: Any, lane: int, sweep: int) -> None:
    """What the predictions of target k may be off by, and so what every row weighs in this sweep."""
    genes, sources, passed_on = state.genes, given.sources, of.passed_on[k]
    noise2, response, reached = of.noise2[k], of.response[k], of.reached[k]
    left, all_back, all_off = state.rows, state.back, state.off
    over_all = 0.0
    for gene in given.order:
        over_all += passed_on[gene] * genes[gene, lane, _EDGE]
    later = sweep - FREE_SWEEPS
    for i in range(len(sources)):
        if not np.isfinite(noise2[i]):
            continue
        direct, back = genes[sources[i], lane, _EDGE], all_back[i, lane]
        taken = reached[i] * min(over_all - passed_on[sources[i]] * direct, 0.0)
        straight = response[i] - left[i, _LEFT, lane] - direct - back - taken
        now = np.sqrt((given.along * straight) ** 2 + (given.against * back) ** 2)
        off = now if later < 0 else all_off[i, lane] + (now - all_off[i, lane]) / (later + 2)
        all_off[i, lane] = off
        left[i, _WEIGHT, lane] = 1 / (noise2[i] + off**2)


@njit(cache=True, nogil=True)
def _side_by_side(given: Any, of: Any, state: Any, doing: Any, largest: Any, moving: Any, count: Any) -> None:
    """One sweep of all lanes over all genes. doing: (LANES,) number of the target in each, -1 for none.
    Written: largest: (LANES,) step; moving: (LANES, n) genes whose edges moved, and count: (LANES,) how many.
    """
    # Taken out of the tuples once: numba counts who holds an array each time that it is.
    start, turn, rows, design, slab = given.start, given.turn, given.rows, given.design, given.slab
    log_odds, least, place = given.log_odds, given.least, of.place
    left, back, genes, held = state.rows, state.back, state.genes, state.held
    steps = np.zeros(LANES)
    largest[:], count[:] = 0.0, 0
    for gene in given.order:
        for lane in range(LANES):
            steps[lane] = 0.0
        some, first, last = False, start[gene], start[gene + 1]
        if held[gene] == 0:
            precision, total = _sums(rows, design, left, first, last)
            for lane in range(LANES):
                if doing[lane] < 0 or place[doing[lane]] == gene:
                    continue
                new = _learn(
                    genes, gene, lane, log_odds[gene], least[gene], slab, precision[lane], total[lane]
                )
                step = new - genes[gene, lane, _EDGE]
                if abs(step) > _LEAST_STEP:
                    genes[gene, lane, _EDGE] = new
                    steps[lane] = step
                    some = True
            if some:
                _move(rows, design, left, back, first, turn[gene], last, steps)
        else:
            for lane in range(LANES):
                k = doing[lane]
                if k < 0 or place[k] == gene:
                    continue
                steps[lane] = _visit(given, of.reached[k], of.passed_on[k, gene], state, gene, lane)
                some = some or steps[lane] != 0
        if some:
            for lane in range(LANES):
                if steps[lane] != 0:
                    largest[lane] = max(largest[lane], abs(steps[lane]))
                    moving[lane, count[lane]] = gene
                    count[lane] += 1


@njit(cache=True, nogil=True)
def _alone(given: Any, of: Any, k: int, state: Any, lane: int, sweep: int, moving: Any, count: int) -> Any:
    """One sweep of target k over the genes moving[:count], and if it would have arrived over all others too.
    Returns its largest step, and how many of `moving` moved, of all where all were asked.
    """
    _begin(given, of, k, state, lane, sweep)
    reached, passed_on = of.reached[k], of.passed_on[k]
    largest, kept = 0.0, 0
    for q in range(count):
        gene = moving[q]
        step = abs(_visit(given, reached, passed_on[gene], state, gene, lane))
        moving[q] = moving[kept]  # those that moved come first, the others behind
        moving[kept if step > 0 else q] = gene
        kept += step > 0
        largest = max(largest, step)
    if largest >= SETTLED:
        return largest, kept
    asked = np.zeros(len(passed_on), dtype=np.bool_)
    asked[moving[:count]] = True
    asked[of.place[k]] = True
    for gene in given.order:
        if not asked[gene]:
            step = abs(_visit(given, reached, passed_on[gene], state, gene, lane))
            if step > 0:
                moving[count] = gene
                count += 1
            largest = max(largest, step)
    return largest, count


@njit(cache=True, nogil=True)
def _load(given: Any, of: Any, ends: Any, k: int, state: Any, lane: int) -> None:
    """Target k enters the lane at ends.edge."""
    rows, design, sources, reached = given.rows, given.design, given.sources, of.reached[k]
    left, back = state.rows, state.back
    for i in range(len(sources)):
        left[i, _WEIGHT, lane] = 0.0
        left[i, _LEFT, lane] = of.response[k, i]
        back[i, lane] = 0.0
        state.off[i, lane] = 0.0
    state.genes[:, lane] = 0.0
    for gene in given.order:
        passed, edge = of.passed_on[k, gene], ends.edge[k, gene]
        state.held[gene] += passed != 0
        state.genes[gene, lane, _EDGE] = edge
        if edge == 0:
            continue
        for q in range(given.start[gene], given.start[gene + 1]):
            i = rows[q]
            x = felt_without(design[q], reached[i], passed, sources[i] == gene)
            left[i, _LEFT, lane] -= x * edge
            if q >= given.turn[gene]:
                back[i, lane] += x * edge


@njit(cache=True, nogil=True)
def _unload(given: Any, of: Any, ends: Any, k: int, state: Any, lane: int) -> None:
    """Target k leaves the lane."""
    rows, design, sources, slab = given.rows, given.design, given.sources, given.slab
    reached, spread = of.reached[k], ends.spread[k]
    ends.log_odds[k], ends.mean[k], ends.variance[k] = -LOG_ODDS_LIMIT, 0.0, np.nan
    for i in range(len(sources)):
        predicted = of.response[k, i] - state.rows[i, _LEFT, lane]
        ends.predicted[k, i], ends.off[k, i], ends.spread[k, i] = predicted, state.off[i, lane], 0.0
        seen = np.isfinite(of.noise2[k, i])
        ends.indirect[k, i] = predicted - state.genes[sources[i], lane, _EDGE] if seen else 0.0
        state.rows[i, _WEIGHT, lane] = 0.0
    for gene in given.order:
        passed = of.passed_on[k, gene]
        state.held[gene] -= passed != 0
        edge, precise, before, estimate = state.genes[gene, lane]
        ends.edge[k, gene] = edge
        if precise == 0:
            continue
        without = 1 / precise + given.least[gene]
        odds = before + estimate * estimate * 0.5 * slab / (without * (without + slab))
        odds = min(max(odds, -LOG_ODDS_LIMIT), LOG_ODDS_LIMIT)
        mean, variance = estimate * slab / (slab + 1 / precise), 1 / (precise + 1 / slab)
        ends.log_odds[k, gene], ends.mean[k, gene], ends.variance[k, gene] = odds, mean, variance
        uncertain = (mean**2 + variance) / (1 + np.exp(-odds)) - edge**2
        for q in range(given.start[gene], given.start[gene + 1]):
            i = rows[q]
            x = felt_without(design[q], reached[i], passed, sources[i] == gene)
            spread[i] += x**2 * uncertain


@njit(cache=True, nogil=True)
def ascend_targets(given: Genes, of: Targets, ends: Ends, sweeps: int) -> None:
    """Up from ends.edge to where each target ends, in at most `sweeps` sweeps."""
    (targets, p), n = of.response.shape, ends.edge.shape[1]
    state = _State(
        np.zeros((p, 2, LANES)),
        np.zeros((p, LANES)),
        np.zeros((p, LANES)),
        np.zeros((n, LANES, 4)),
        np.zeros(n, dtype=np.int64),
    )
    moving, count = np.zeros((LANES, n), dtype=np.int64), np.zeros(LANES, dtype=np.int64)
    doing, sweep, largest = np.full(LANES, -1), np.zeros(LANES, dtype=np.int64), np.zeros(LANES)
    begun, ended = 0, 0
    while ended < targets:
        for lane in range(LANES):
            if doing[lane] < 0 and begun < targets:
                _load(given, of, ends, begun, state, lane)
                doing[lane], sweep[lane] = begun, 0
                begun += 1
            if doing[lane] >= 0:
                _begin(given, of, doing[lane], state, lane, sweep[lane])
        _side_by_side(given, of, state, doing, largest, moving, count)
        for lane in range(LANES):
            k = doing[lane]
            if k < 0:
                continue
            sweep[lane] += 1
            for _ in range(_PATIENCE):
                calm = sweep[lane] >= _FIRST and SETTLED <= largest[lane] < CALM
                if not calm or sweep[lane] >= sweeps:
                    break
                largest[lane], count[lane] = _alone(
                    given, of, k, state, lane, sweep[lane], moving[lane], count[lane]
                )
                sweep[lane] += 1
            if largest[lane] < SETTLED or sweep[lane] >= sweeps:
                _unload(given, of, ends, k, state, lane)
                doing[lane] = -1
                ended += 1
