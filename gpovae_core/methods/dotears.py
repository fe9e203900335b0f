"""dotears: least squares over every perturbation at once, with the noise of a gene read off the cells in
which it was perturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import Groups, spread_out

MOST_GENES = 200
"""Perturbed and measured genes; time grows with the third power."""
PENALTY = 0.1
"""Of the sum of |W|, as in the publication."""
LEAST_NOISE = 1e-2
"""Of a gene's variance in controls: least noise variance, for a gene that is gone where it is perturbed."""
CYCLES_LEFT = 1e-5
MOST_ROUNDS = 30
MOST_STEPS = 50


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the direct effect, in standard deviations of the noise of either gene; NaN for a source
    that was not measured.

    Raises QueryError beyond MOST_GENES perturbed and measured genes.
    """
    groups = Groups.of(inputs.expression, inputs.labels)
    genes = inputs.genes
    names = [name for name in inputs.sources if name in set(genes) and name in groups.rows]
    if len(names) > MOST_GENES:
        raise QueryError(
            f"it takes long beyond {MOST_GENES} perturbed and measured genes, and there are {len(names)}."
        )
    if not names:
        raise QueryError("no gene was both perturbed and measured.")
    place = {gene: column for column, gene in enumerate(genes)}
    problem = Problem.of(groups, genes, np.array([place[name] for name in names]))
    weights = np.full((len(names), len(genes)), np.nan)
    weights[:, problem.inner] = directed(problem)
    weights[:, problem.outer] = towards_others(problem)
    return np.abs(spread_out(weights, names, genes, (inputs.sources, inputs.targets)))


Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Of W: its value and its gradient, without the penalty."""


@dataclass(frozen=True)
class Problem:
    """The moments of all systems, in units of the noise of each gene, about the means of the controls.

    inner: (p,) columns of the perturbed genes; outer: (q,) of the others. gram: (p, p, p), for every inner
    gene the sum over systems in which it was not perturbed; whole: (p, p) over all systems; cross: (p, q) of
    inner and outer genes, over all systems.
    """

    inner: np.ndarray
    outer: np.ndarray
    gram: np.ndarray
    whole: np.ndarray
    cross: np.ndarray

    @classmethod
    def of(cls, groups: Groups, genes: list[str], inner: np.ndarray) -> Problem:
        """A system is the controls, or the cells of one perturbation, and counts once whatever its size."""
        base, noise = groups.mean_and_variance(groups.controls)
        for column in inner:
            seen = groups.mean_and_variance(groups.rows[genes[column]])[1][column]
            noise[column] = max(seen, LEAST_NOISE * noise[column])
        unit = np.sqrt(np.where(noise > 0, noise, 1.0))  # a gene without a count has no moments either
        total = groups.second_moments(groups.controls, base, unit, inner)
        left_out = np.zeros((len(inner), len(inner), len(inner)))
        for name, rows in groups.rows.items():
            own = groups.second_moments(rows, base, unit, inner)
            total += own
            for at, column in enumerate(inner):
                if genes[column] in keys.genes_of(name):
                    left_out[at] += own[:, inner]
        outer = np.setdiff1d(np.arange(len(genes)), inner)
        whole = total[:, inner]
        return cls(inner, outer, whole - left_out, whole, total[:, outer])


def directed(problem: Problem, penalty: float = PENALTY) -> np.ndarray:
    """(p, p) W, row = source, of the smallest 1/2 sum over systems |X - X W|^2 / n + penalty |W|_1 without
    cycles; a system says nothing of the equations of the genes that were perturbed in it.

    Xue, Rao, Sankararaman and Pimentel 2023 (arXiv 2305.19215). Cycles are held down by the augmented
    Lagrangian of Zheng et al. 2018 on h(W) = tr((I + W * W / p)^p) - p (Yu et al. 2019). At most MOST_ROUNDS
    rounds of MOST_STEPS steps of L-BFGS-B.
    """
    gram = problem.gram
    p = len(gram)
    own = np.einsum("jij->ij", gram)  # column j: the products of every gene with j
    free = ~np.eye(p, dtype=bool)
    weights, multiplier, rho, before = np.zeros((p, p)), 0.0, 1.0, np.inf
    for _ in range(MOST_ROUNDS):

        def value(
            w: np.ndarray, multiplier: float = multiplier, rho: float = rho
        ) -> tuple[float, np.ndarray]:
            pulled = np.matmul(gram, w.T[:, :, None])[:, :, 0].T  # column j: gram[j] @ w[:, j]
            cycles, slope = _cycles(w)
            fitted = 0.5 * np.sum(w * pulled) - np.sum(w * own)
            return (
                fitted + multiplier * cycles + 0.5 * rho * cycles**2,
                pulled - own + (multiplier + rho * cycles) * slope,
            )

        weights = _lasso(value, weights, free, penalty)
        cycles = _cycles(weights)[0]
        if cycles <= CYCLES_LEFT:
            break
        multiplier += rho * cycles
        rho = rho * 10 if cycles > 0.25 * before else rho
        before = cycles
    return weights


def towards_others(problem: Problem, penalty: float = PENALTY) -> np.ndarray:
    """(p, q) the same of the genes that were never perturbed: nothing leads out of them, so no cycle."""

    def value(w: np.ndarray) -> tuple[float, np.ndarray]:
        pulled = problem.whole @ w
        return 0.5 * np.sum(w * pulled) - np.sum(w * problem.cross), pulled - problem.cross

    return _lasso(value, np.zeros(problem.cross.shape), np.ones(problem.cross.shape, dtype=bool), penalty)


def _cycles(w: np.ndarray) -> tuple[float, np.ndarray]:
    """h(W), 0 without cycles, and its gradient."""
    p = len(w)
    power = np.linalg.matrix_power(np.eye(p) + w * w / p, p - 1)
    return float(np.sum(power.T * (np.eye(p) + w * w / p)) - p), 2 * w * power.T


def _lasso(value: Objective, start: np.ndarray, free: np.ndarray, penalty: float) -> np.ndarray:
    """The smallest value(W) + penalty |W|_1 over the free entries: W as the difference of two parts that are
    not negative.
    """
    size = int(free.sum())

    def whole(parts: np.ndarray) -> np.ndarray:
        w = np.zeros(start.shape)
        w[free] = parts[:size] - parts[size:]
        return w

    def objective(parts: np.ndarray) -> tuple[float, np.ndarray]:
        found, slope = value(whole(parts))
        slope = slope[free]
        return found + penalty * parts.sum(), np.concatenate([slope + penalty, penalty - slope])

    first = np.concatenate([np.maximum(start[free], 0), np.maximum(-start[free], 0)])
    done = optimize.minimize(
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(0.0, np.inf),
        options={"maxiter": MOST_STEPS},
    )
    return whole(done.x)


METHOD = Method(
    key="dotears",
    order=84,
    title="dotears",
    sentence=(
        "dotears ranks pairs by the weights of an acyclic linear network fitted to all perturbations at once "
        "by penalised least squares, each gene in units of the noise that it has where it is perturbed "
        "(after Xue et al. 2023)."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("green", "dot", "pentagon", 1.6),
)
