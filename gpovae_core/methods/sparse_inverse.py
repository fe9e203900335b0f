"""Direct effects from a sparse approximate inverse of the total ones, each of which counts by its error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gpovae_core.errors import QueryError
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import Groups, spread_out

MOST_GENES = 400
"""Perturbed and measured genes; time grows with the third power."""
LEAST_OWN = 10.0**0.5
"""Own change over its error (F = 10, the usual bound for a weak instrument): what a gene needs for effects to
be taken per unit of it.
"""
PENALTIES = (4.0, 2.0, 1.0)
"""Over the median error of the total effects: with 2, one so measured has to pass two errors."""
MOST_STEPS = 200
SETTLED = 1e-6
LEAST_ERROR = 1e-3
"""Natural log expression, for genes without any spread."""

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) `sizes` of the mean differences. Raises QueryError beyond MOST_GENES sources that are measured
    and changed themselves (LEAST_OWN), and where there is none.
    """
    groups = Groups.of(inputs.expression, inputs.labels)
    place = {gene: column for column, gene in enumerate(inputs.genes)}
    names = [name for name in inputs.sources if name in groups.rows]
    effect, error = effects_with_errors(groups, names)
    own = np.array([place.get(name, -1) for name in names], dtype=int)
    return spread_out(sizes(effect, error, own), names, inputs.genes, (inputs.sources, inputs.targets))


def sizes(effect: np.ndarray, error: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(perturbations, genes) size of the direct effect of the perturbation, mean over PENALTIES, from total
    effects and their standard errors; own: (perturbations,) the column of the perturbed gene, -1 where it was
    not measured.

    A source that was not measured or hardly changed itself (LEAST_OWN) is no detour for others, and its row
    is what the detours over the others leave of its effects. Raises QueryError as `score` does.
    """
    strong = [
        row
        for row, column in enumerate(own)
        if column >= 0 and abs(effect[row, column]) > LEAST_OWN * error[row, column]
    ]
    if len(strong) > MOST_GENES:
        raise QueryError(
            f"it takes long beyond {MOST_GENES} perturbed and measured genes, and there are {len(strong)}."
        )
    if not strong:
        raise QueryError("no perturbed gene was seen to change itself.")
    inner = own[strong]
    total = Totals.of(effect[strong], error[strong], inner)
    through = effect[:, inner]
    through[strong, np.arange(len(strong))] = 0.0  # its own change is the cause, no detour
    sized = np.zeros(effect.shape)
    for penalty, direct in zip(PENALTIES, direct_effects(total), strict=True):
        left = np.maximum(np.abs(effect - through @ direct) - penalty * error, 0.0)
        left[strong] = np.abs(direct * effect[strong, inner][:, None])
        sized += left / len(PENALTIES)
    return sized


def effects_with_errors(groups: Groups, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(perturbations, genes) mean differences of log expression to the controls, and their standard
    errors.
    """
    base, spread = groups.mean_and_variance(groups.controls)
    effect, error = (np.empty((len(names), len(base))) for _ in range(2))
    for row, name in enumerate(names):
        rows = groups.rows[name]
        mean, variance = groups.mean_and_variance(rows)
        effect[row] = mean - base
        error[row] = np.sqrt(variance / len(rows) + spread / len(groups.controls))
    return effect, np.maximum(error, LEAST_ERROR)


@dataclass(frozen=True)
class Totals:
    """Total effects per unit of the own change of the source, (p, genes), and their standard errors, to first
    order. inner: (p,) columns of the sources, in their order; outer: of the other genes.
    """

    size: np.ndarray
    error: np.ndarray
    inner: np.ndarray
    outer: np.ndarray

    @classmethod
    def of(cls, effect: np.ndarray, error: np.ndarray, inner: np.ndarray) -> Totals:
        rows = np.arange(len(effect))
        own, own_error = effect[rows, inner], error[rows, inner]
        size = effect / own[:, None]
        relative = np.sqrt(error**2 + (size * own_error[:, None]) ** 2) / np.abs(own)[:, None]
        size[rows, inner], relative[rows, inner] = 1.0, own_error / np.abs(own)
        outer = np.setdiff1d(np.arange(effect.shape[1]), inner)
        return cls(size, relative, inner, outer)


def direct_effects(total: Totals) -> Iterator[np.ndarray]:
    """(p, genes) direct effects per unit of the source, for each of PENALTIES, largest first; 0 of a gene on
    itself.

    Brown et al. 2023 (bioRxiv 2023.10.13.562293): with G the direct effects among perturbed genes the total
    ones are V^-1 up to the scale of the columns of V = I - G, so the V is taken for which
    1/2 sum ((R - V^-1) / error)^2 + price sum |V| is smallest, the diagonal free. The price is the same for
    every entry: cheap entries of badly measured pairs would explain what others were measured to do. V^-1 is
    put into the objective, whose proximal gradient is followed from V = I; for genes never perturbed the
    same with V^-1 as it was found.
    """
    inner, error = total.size[:, total.inner], total.error[:, total.inner]
    outer, outer_error = total.size[:, total.outer], total.error[:, total.outer]
    itself = np.eye(len(inner), dtype=bool)
    typical = float(np.median(total.error))
    inverse, others = itself.astype(float), np.zeros(outer.shape)
    for penalty in PENALTIES:
        found = np.linalg.inv(inverse)
        unit = 1 / np.sqrt(
            (found**2).T @ error**-2 @ (found**2).T
        )  # 1 / root of the curvature along an entry

        def among_perturbed(x: np.ndarray, unit: np.ndarray = unit) -> tuple[float, np.ndarray]:
            sign, size = np.linalg.slogdet(x * unit)
            if sign <= 0 or not np.isfinite(size):  # beyond a singular V, where nothing leads from I
                return np.inf, x
            found = np.linalg.inv(x * unit)
            missed = (inner - found) / error
            return 0.5 * float(np.sum(missed**2)), found.T @ (missed / error) @ found.T * unit

        price = np.where(itself, 0.0, penalty / typical)
        inverse = unit * smallest(among_perturbed, inverse / unit, price * unit)
        found = np.linalg.inv(inverse)
        outer_unit = 1 / np.sqrt((found**2).T @ outer_error**-2)

        def towards_others(
            x: np.ndarray, found: np.ndarray = found, unit: np.ndarray = outer_unit
        ) -> tuple[float, np.ndarray]:
            missed = (outer - found @ (x * unit)) / outer_error
            return 0.5 * float(np.sum(missed**2)), -(found.T @ (missed / outer_error)) * unit

        others = outer_unit * smallest(towards_others, others / outer_unit, penalty / typical * outer_unit)
        direct = np.empty(total.size.shape)
        direct[:, total.inner] = np.where(itself, 0.0, -inverse / np.diag(inverse))
        direct[:, total.outer] = others
        yield direct


def smallest(value: Objective, start: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Where value(x) + sum penalty |x| is smallest, near `start`: accelerated proximal gradient, its step
    halved where the value is above its quadratic bound and its momentum dropped where the whole rises; at
    most MOST_STEPS steps.
    """
    if not start.size:
        return start
    x = point = start
    step, momentum, before = 1.0, 1.0, np.inf
    for _ in range(MOST_STEPS):
        here, slope = value(point)
        while True:
            moved = point - step * slope
            new = np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0.0)
            difference = new - point
            bound = here + np.sum(slope * difference) + np.sum(difference**2) / (2 * step)
            reached = value(new)[0]
            if reached <= bound + 1e-9 * abs(bound) or step < 1e-12:
                break
            step /= 2
        now = reached + float(np.sum(penalty * np.abs(new)))
        if now > before:
            if momentum == 1.0:
                return x
            point, momentum = x, 1.0
            continue
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        point = new + (momentum - 1) / following * (new - x)
        if not np.isfinite(value(point)[0]):
            point = new
        x, momentum = new, following
        if before - now <= SETTLED * abs(now):
            return x
        before, step = now, step * 1.2
    return x


METHOD = Method(
    key="sparse_inverse",
    order=86,
    title="sparse inverse",
    sentence=(
        "The sparse inverse ranks pairs by the direct effects in a sparse linear network whose total effects "
        "come close to the mean differences, each weighed by its error (after Brown et al. 2023)."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("sky", "dot", "hexagon", 1.6),
)
