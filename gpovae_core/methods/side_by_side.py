"""The ascent of some targets (methods.ascent), compiled: gene after gene until nothing moves.

Targets do not hear of each other, so they can be worked on at once, with the same result in any order. LANES
of them go side by side through all genes: what is read of a gene then serves all of them, and they are
multiplied and added at once (methods.lanes). One that has become calm goes on over the genes whose edges
still move; after three such sweeps, and in the one that decides that it has arrived, it goes through all
genes again. When one has arrived the next takes its lane.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gpovae_core.methods.explained import LOG_ODDS_LIMIT
from gpovae_core.methods.lanes import (
    LANES,
    any_over,
    falling,
    load,
    loop,
    root,
    size,
    spread,
    store,
    where_over,
)

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
_LARGEST_ODDS, _LEAST_ODDS = np.exp(LOG_ODDS_LIMIT), np.exp(-LOG_ODDS_LIMIT)

_WEIGHT, _LEFT = 0, LANES  # of a row: its precision, and what is left of the response
_ROW = 2 * LANES
# of a gene: `_State`
_EDGE, _PRECISE, _WANTED, _PASSED, _STEP, _ASKED = (part * LANES for part in range(6))
_GENE = 6 * LANES
_ALL, _MOVING, _OTHERS, _ARRIVED = 0, 1, 2, 3  # genes of a sweep, and what comes after the last one
_RESPONSE, _NOISE2, _REACHED = 0, LANES, 2 * LANES  # of a row: as in `Targets`
_GIVEN = 3 * LANES


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
    """Where it ends, to be written; edge: (k, n) where it begins, and ends; precise, wanted: (k, n) precision
    of the estimate of an edge, 0 where nothing was learned, and that times the estimate; predicted, off:
    (k, p).
    """

    edge: np.ndarray
    precise: np.ndarray
    wanted: np.ndarray
    predicted: np.ndarray
    off: np.ndarray


class _State(NamedTuple):
    """Of the targets in the lanes, flat: all lanes of a number stand together, so that they are read at once.

    rows: p times weight and what is left; back: p times what is predicted by genes that move against their
    own perturbation; off: p; given: p times response, noise2 (infinite in a lane without a target) and
    reached; genes: n times the edge, its precision and that times its estimate when it was last asked,
    passed_on, how far the edge moved then, and whether it was asked in the last sweep over some genes; held:
    (n,) lanes whose target is the gene or reaches it when it is perturbed; doing: (LANES,) number of the
    target, -1 for none; largest: (LANES,) step of a sweep; some: room for a few numbers.
    """

    rows: np.ndarray
    back: np.ndarray
    off: np.ndarray
    given: np.ndarray
    genes: np.ndarray
    held: np.ndarray
    doing: np.ndarray
    largest: np.ndarray
    some: np.ndarray


@loop(inline=True)
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


@loop(inline=True)
def _expected(before: float, least: float, slab: float, precision: Any, wanted: Any) -> Any:
    """Of lanes: the edge of a gene that its own regression gives, its strength times its probability.

    before: odds against it, least: of the gene; wanted: precision times estimate. With A = 1 + least
    precision and B the same of least + slab, the odds against an edge are `before` sqrt(B / A) exp(-wanted^2
    slab / (2 A B)).
    """
    a, b = precision * least + 1.0, precision * (least + slab) + 1.0
    over = spread(1.0) / (a * b)
    against = b * root(over) * falling(wanted * wanted * over * (0.5 * slab)) * before
    against = where_over(against, spread(_LARGEST_ODDS), spread(_LARGEST_ODDS), against)
    against = where_over(spread(_LEAST_ODDS), against, spread(_LEAST_ODDS), against)
    return wanted * slab / ((precision * slab + 1.0) * (against + 1.0))


@loop(inline=True)
def _sums(rows: Any, design: Any, left: Any, first: int, last: int) -> Any:
    """Of lanes: the precision of a gene's edge and what the rows want of it."""
    precision, total = spread(0.0), spread(0.0)
    for k in range(first, last):
        at, x = rows[k] * _ROW, spread(design[k])
        weighted = x * load(left, at + _WEIGHT)
        precision = precision + x * weighted
        total = total + weighted * load(left, at + _LEFT)
    return precision, total


@loop(inline=True)
def _held_sums(rest: Any, gene: int) -> None:
    """The same in the lanes whose target is held, in the place of what stands in state.some: none of the gene
    that is the target.
    """
    given, of, state = rest
    rows, design, sources, left, some = given.rows, given.design, given.sources, state.rows, state.some
    for lane in range(LANES):
        target, passed = state.doing[lane], state.genes[gene * _GENE + _PASSED + lane]
        if target < 0 or (passed == 0 and of.place[target] != gene):
            continue
        precision, total = 0.0, 0.0
        if of.place[target] != gene:
            for k in range(given.start[gene], given.start[gene + 1]):
                i = rows[k]
                x = felt_without(design[k], of.reached[target, i], passed, sources[i] == gene)
                weighted = x * left[i * _ROW + _WEIGHT + lane]
                precision += x * weighted
                total += weighted * left[i * _ROW + _LEFT + lane]
        some[lane], some[LANES + lane] = precision, total


@loop(inline=True)
def _move(rows: Any, design: Any, left: Any, back: Any, first: int, turn: int, last: int, step: Any) -> None:
    """The edge of a gene, of the entries first:last, moves by `step`, of lanes."""
    for k in range(first, last):
        at = rows[k] * _ROW + _LEFT
        store(left, at, load(left, at) - spread(design[k]) * step)
    for k in range(turn, last):
        at = rows[k] * LANES
        store(back, at, load(back, at) + spread(design[k]) * step)


@loop(inline=True)
def _move_held(rest: Any, gene: int, lane: int, step: float) -> None:
    """The same of a lane whose target passes something on to the gene."""
    given, of, state = rest
    rows, design, sources, k = given.rows, given.design, given.sources, state.doing[lane]
    passed = state.genes[gene * _GENE + _PASSED + lane]
    for q in range(given.start[gene], given.start[gene + 1]):
        i = rows[q]
        x = felt_without(design[q], of.reached[k, i], passed, sources[i] == gene)
        state.rows[i * _ROW + _LEFT + lane] -= x * step
        if q >= given.turn[gene]:
            state.back[i * LANES + lane] += x * step


@loop(inline=True)
def _visit(
    gene: int,
    who: Any,
    before: Any,
    start: Any,
    turn: Any,
    rows: Any,
    design: Any,
    least: Any,
    slab: float,
    left: Any,
    back: Any,
    genes: Any,
    held: Any,
    furthest: Any,
    some: Any,
    rest: Any,
) -> None:
    """Moves the edge of a gene in the lanes that `who` is 1 in. before: (n,) odds against edges; then what
    `Genes` and `_State` hold, largest as `furthest`; rest: those and the targets.
    """
    at, first, last = gene * _GENE, start[gene], start[gene + 1]
    precision, total = _sums(rows, design, left, first, last)
    if held[gene] > 0:
        store(some, 0, precision)
        store(some, LANES, total)
        _held_sums(rest, gene)
        precision, total = load(some, 0), load(some, LANES)
    old, half, none = load(genes, at + _EDGE), spread(0.5), spread(0.0)
    wanted = total + old * precision
    new = _expected(before[gene], least[gene], slab, precision, wanted)
    step = where_over(size(new - old) * who, spread(_LEAST_STEP), new - old, none)
    moved = size(step)
    store(genes, at + _EDGE, where_over(moved, none, new, old))
    store(genes, at + _PRECISE, where_over(who, half, precision, load(genes, at + _PRECISE)))
    store(genes, at + _WANTED, where_over(who, half, wanted, load(genes, at + _WANTED)))
    store(genes, at + _STEP, where_over(who, half, step, load(genes, at + _STEP)))
    if not any_over(moved, none):
        return
    largest = load(furthest, 0)
    store(furthest, 0, where_over(moved, largest, moved, largest))
    if held[gene] > 0:
        passed = size(load(genes, at + _PASSED))
        store(some, 0, where_over(passed, none, step, none))
        for lane in range(LANES):
            if some[lane] != 0:
                _move_held(rest, gene, lane, some[lane])
        step = where_over(passed, none, none, step)
    _move(rows, design, left, back, first, turn[gene], last, step)


@loop()
def _begin(given: Any, state: Any, sweep: np.ndarray, lanes: np.ndarray) -> None:
    """What the predictions of the targets in `lanes` (LANES,) 0 or 1 may be off by, and so what every row
    weighs in this `sweep` (LANES,), nothing in a lane without a target; no step is made in it so far.
    """
    genes, rows, sources, some = state.genes, state.rows, given.sources, state.some
    told, all_back, all_off, held = state.given, state.back, state.off, state.held
    who, half, over_all, none = load(lanes, 0), spread(0.5), spread(0.0), spread(0.0)
    store(state.largest, 0, where_over(who, half, none, load(state.largest, 0)))
    for gene in given.order:
        if held[gene] > 0:
            over_all = over_all + load(genes, gene * _GENE + _PASSED) * load(genes, gene * _GENE + _EDGE)
    for lane in range(LANES):
        some[lane] = max(sweep[lane] - FREE_SWEEPS + 2, 1)
    share = load(some, 0)
    for i in range(len(sources)):
        noise2, back = load(told, i * _GIVEN + _NOISE2), load(all_back, i * LANES)
        at, own = i * _ROW, sources[i] * _GENE
        direct = load(genes, own + _EDGE)
        taken = over_all - load(genes, own + _PASSED) * direct
        taken = load(told, i * _GIVEN + _REACHED) * where_over(taken, none, none, taken)
        left = load(rows, at + _LEFT)
        straight = load(told, i * _GIVEN + _RESPONSE) - left - direct - back - taken
        along, against = straight * given.along, back * given.against
        now, before = root(along * along + against * against), load(all_off, i * LANES)
        off = where_over(share, spread(1.5), before + (now - before) / share, now)
        off = where_over(noise2, spread(1e300), none, off)
        store(all_off, i * LANES, where_over(who, half, off, before))
        weight = spread(1.0) / (noise2 + off * off)
        store(rows, at + _WEIGHT, where_over(who, half, weight, load(rows, at + _WEIGHT)))


@loop()
def _side_by_side(given: Any, of: Any, state: Any, before: np.ndarray, lanes: np.ndarray) -> None:
    """One sweep of every lane over its genes. lanes: (3, LANES) 1 in those that ask _ALL genes, those _MOVING
    that moved when they were last asked, or the _OTHERS, left out in the sweep of before. before: as in
    `_visit`.
    """
    start, turn, rows, design, least = given.start, given.turn, given.rows, given.design, given.least
    left, back, genes, held, some = state.rows, state.back, state.genes, state.held, state.some
    largest, slab, rest = state.largest, given.slab, (given, of, state)
    half, none = spread(0.5), spread(0.0)
    everything, moving, others = load(lanes, 0), load(lanes, LANES), load(lanes, 2 * LANES)
    for gene in given.order:
        at = gene * _GENE
        moved = where_over(size(load(genes, at + _STEP)), none, moving, none)
        asked = where_over(moving, half, moved, load(genes, at + _ASKED))
        store(genes, at + _ASKED, asked)
        asked = everything + moved + where_over(asked, half, none, others)
        if not any_over(asked, none):
            continue
        _visit(
            gene,
            asked,
            before,
            start,
            turn,
            rows,
            design,
            least,
            slab,
            left,
            back,
            genes,
            held,
            largest,
            some,
            rest,
        )


@loop()
def _load(given: Any, of: Any, ends: Any, k: int, state: Any, lane: int) -> None:
    """Target k enters the lane at ends.edge."""
    rows, design, sources, reached = given.rows, given.design, given.sources, of.reached[k]
    left, back, genes, told, off = state.rows, state.back, state.genes, state.given, state.off
    response, noise2, passed_on, edges, held = of.response, of.noise2, of.passed_on, ends.edge, state.held
    start, turn, place = given.start, given.turn, of.place[k]
    state.doing[lane] = k
    for i in range(len(sources)):
        left[i * _ROW + _LEFT + lane] = response[k, i]
        back[i * LANES + lane] = off[i * LANES + lane] = 0.0
        at = i * _GIVEN + lane
        told[at + _RESPONSE], told[at + _NOISE2] = response[k, i], noise2[k, i]
        told[at + _REACHED] = reached[i]
    for gene in given.order:
        passed, edge = passed_on[k, gene], edges[k, gene]
        held[gene] += passed != 0 or place == gene
        genes[gene * _GENE + _EDGE + lane], genes[gene * _GENE + _PASSED + lane] = edge, passed
        if edge == 0:
            continue
        for q in range(start[gene], start[gene + 1]):
            i = rows[q]
            x = felt_without(design[q], reached[i], passed, sources[i] == gene)
            left[i * _ROW + _LEFT + lane] -= x * edge
            if q >= turn[gene]:
                back[i * LANES + lane] += x * edge


@loop()
def _unload(given: Any, of: Any, ends: Any, state: Any, lane: int) -> None:
    """The target leaves the lane."""
    k, left, off, told, held, genes = (
        state.doing[lane],
        state.rows,
        state.off,
        state.given,
        state.held,
        state.genes,
    )
    response, passed_on, place, predicted, all_off = (
        of.response,
        of.passed_on,
        of.place[k],
        ends.predicted,
        ends.off,
    )
    edge, precise, wanted = ends.edge, ends.precise, ends.wanted
    for i in range(len(given.sources)):
        predicted[k, i] = response[k, i] - left[i * _ROW + _LEFT + lane]
        all_off[k, i] = off[i * LANES + lane]
        told[i * _GIVEN + _NOISE2 + lane] = np.inf
    for gene in given.order:
        at = gene * _GENE + lane
        held[gene] -= passed_on[k, gene] != 0 or place == gene
        edge[k, gene], precise[k, gene], wanted[k, gene] = (
            genes[at],
            genes[at + _PRECISE],
            genes[at + _WANTED],
        )
        for part in range(_EDGE, _GENE, LANES):
            genes[at + part] = 0.0
    state.doing[lane] = -1


@loop()
def held_differently(given: Genes, of: Targets, uncertain: np.ndarray, spread_of: np.ndarray) -> None:
    """Adds to spread_of (k, p) how much more, or less, of the variances `uncertain` (k, n) of edges is felt
    while the target is held than what the squares of `design` say.
    """
    start, rows, design, sources = given.start, given.rows, given.design, given.sources
    passed_on, reached = of.passed_on, of.reached
    for k in range(spread_of.shape[0]):
        for gene in given.order:
            if passed_on[k, gene] == 0:
                continue
            for q in range(start[gene], start[gene + 1]):
                i, x = rows[q], design[q]
                felt = felt_without(x, reached[k, i], passed_on[k, gene], sources[i] == gene)
                spread_of[k, i] += (felt**2 - x**2) * uncertain[k, gene]


@njit(cache=True, nogil=True)
def _next(phase: int, largest: float, sweep: int, sweeps: int, patience: int) -> int:
    """What a target asks next, after `sweep` sweeps of which the last `patience` were over some genes."""
    if phase == _MOVING and largest < SETTLED:
        return _OTHERS
    if largest < SETTLED or sweep >= sweeps:
        return _ARRIVED
    return _MOVING if sweep >= _FIRST and largest < CALM and patience < _PATIENCE else _ALL


@njit(cache=True, nogil=True)
def ascend_targets(given: Genes, of: Targets, ends: Ends, sweeps: int) -> None:
    """Up from ends.edge to where each target ends, in at most `sweeps` sweeps."""
    (targets, p), n = of.response.shape, ends.edge.shape[1]
    state = _State(
        np.zeros(p * _ROW),
        np.zeros(p * LANES),
        np.zeros(p * LANES),
        np.full(p * _GIVEN, np.inf),
        np.zeros(n * _GENE),
        np.zeros(n, dtype=np.int64),
        np.full(LANES, -1),
        np.zeros(LANES),
        np.zeros(2 * LANES),
    )
    before, lanes = np.exp(-given.log_odds), np.zeros(3 * LANES)
    phase, sweep = np.full(LANES, _ARRIVED), np.zeros(LANES, dtype=np.int64)
    patience = np.zeros(LANES, dtype=np.int64)
    begun, ended = 0, 0
    while ended < targets:
        lanes[:] = 0.0
        for lane in range(LANES):
            if phase[lane] == _ARRIVED and begun < targets:
                _load(given, of, ends, begun, state, lane)
                phase[lane], sweep[lane], patience[lane] = _ALL, 0, 0
                begun += 1
            if phase[lane] != _ARRIVED:
                lanes[phase[lane] * LANES + lane] = 1.0
        _begin(given, state, sweep, lanes[:LANES] + lanes[LANES : 2 * LANES])
        _side_by_side(given, of, state, before, lanes)
        for lane in range(LANES):
            if phase[lane] == _ARRIVED:
                continue
            sweep[lane] += phase[lane] != _OTHERS
            patience[lane] = 0 if phase[lane] == _ALL else patience[lane] + (phase[lane] == _MOVING)
            phase[lane] = _next(phase[lane], state.largest[lane], sweep[lane], sweeps, patience[lane])
            if phase[lane] == _ARRIVED:
                _unload(given, of, ends, state, lane)
                ended += 1
