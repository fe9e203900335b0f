"""Do two perturbations act independently? Departures from additivity, gene by gene, and the coefficients of
the combination on its parts.

On log fold changes of shares, where effects of genes that act independently add up: on the scale of the ATE,
log2(1 + 1e4 x / l), a gene of few counts can hardly fall twice, and every such pair would look like an
interaction. Measured departures come with a standard error from all the groups of cells behind them, and are
called with the false discoveries held at 5 % (Benjamini and Hochberg). Coefficients, magnitude and dominance
are those of Norman et al., Science 365 (2019) 786-793.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm

from gpovae_core import keys
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import PSEUDO_COUNT, ShareMoments, share_moments, weighted_median
from gpovae_core.errors import QueryError

FALSE_DISCOVERIES = 0.05
FEWEST_RESPONDING = 10
"""Coefficients of a combination on its parts are fitted to genes that respond to any of them; to fewer than
this they mean nothing.
"""

FEWEST_CELLS = 5
RESPONSE = 0.1
"""Where no test is at hand, as for predictions: genes that some part or the combination changes by this
(log2) or more respond.
"""


@dataclass(frozen=True)
class FoldChanges:
    """Log2 fold changes of shares against controls, the common lift taken out: change, variance (r, G) for r
    groups of cells.

    variance: of a group's own cells; control_variance (G,) that of the controls, shared by all groups; cells
    (r,).
    """

    names: tuple[str, ...]
    genes: pd.Index
    change: np.ndarray
    variance: np.ndarray
    control_variance: np.ndarray
    cells: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """(r, G) of `change`."""
        return np.sqrt(self.variance + self.control_variance)


def fold_changes(
    prepared: PreparedCells, names: tuple[str, ...], splits: tuple[str, ...] = keys.HELD_OUT
) -> FoldChanges:
    """Every group of cells called `names`, those that pass quality control, against the controls of the same
    splits.

    Raises QueryError where a group, or the controls, have fewer than FEWEST_CELLS cells there.
    """
    kept = prepared.where(splits=splits) & prepared.passing
    groups = cells_of(prepared.labels, (keys.CONTROL, *names), kept)
    few = [
        name for name, rows in zip((keys.CONTROL, *names), groups, strict=True) if len(rows) < FEWEST_CELLS
    ]
    if few:
        raise QueryError(
            f"Fewer than {FEWEST_CELLS} cells of {', '.join(few)} that pass quality control: nothing can be "
            "said of them."
        )
    typical = float(np.median(prepared.library_size[prepared.library_size > 0]))
    moments = share_moments(prepared.counts, prepared.library_size, groups, np.arange(prepared.cells.n_vars))
    level, variance = _logarithms(moments, typical)
    change = level[1:] - level[0]
    own = np.array(
        [[gene in name.split(keys.PAIR_SEPARATOR) for gene in prepared.cells.var_names] for name in names]
    )
    weight = 1 / np.sqrt(variance[1:] + variance[0])
    lift = [weighted_median(c[~o], w[~o]) for c, o, w in zip(change, own, weight, strict=True)]
    scale = np.log(2)
    change = (change - np.array(lift)[:, None]) / scale
    return FoldChanges(
        names,
        prepared.cells.var_names,
        change,
        variance[1:] / scale**2,
        variance[0] / scale**2,
        moments.cells[1:],
    )


@dataclass(frozen=True)
class Coefficients:
    """The combination as a weighted sum of its parts: parts (k,), weights (k,) by Theil and Sen over `genes`
    responding genes.

    magnitude: root of the sum of squares, 1.41 for two parts that add up; dominance: abs(log10(abs(c1 /
    c2))), 0 where both count alike, None unless there are two parts; fit: Pearson correlation of the weighted
    sum with the combination.
    """

    parts: tuple[str, ...]
    weights: tuple[float, ...]
    magnitude: float
    dominance: float | None
    fit: float
    genes: int


def coefficients(parts: tuple[str, ...], single: np.ndarray, double: np.ndarray) -> Coefficients | None:
    """single: (k, g), double: (g,) log fold changes of the responding genes; None with fewer than
    FEWEST_RESPONDING of them.
    """
    from sklearn.linear_model import TheilSenRegressor

    if single.shape[1] < FEWEST_RESPONDING:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it has not converged to the last digit
        found = (
            TheilSenRegressor(fit_intercept=False, max_subpopulation=2000, random_state=0)
            .fit(single.T, double)
            .coef_
        )
    both = found @ single
    fit = float(np.corrcoef(both, double)[0, 1]) if both.std() > 0 and double.std() > 0 else float("nan")
    small = np.finfo(float).tiny
    ratio = (
        float(abs(np.log10(max(abs(found[0]), small) / max(abs(found[1]), small))))
        if len(parts) == 2
        else None
    )
    return Coefficients(
        parts, tuple(found.tolist()), float(np.linalg.norm(found)), ratio, fit, single.shape[1]
    )


@dataclass(frozen=True)
class Interaction:
    """A combination beside the sum of its parts.

    table: one row per measured gene: gene, one column per part (its log2 fold change alone), additive (their
    sum), both (of the combination), departure (both - additive), error (standard error of the departure), p,
    q (Benjamini and Hochberg), non_additive (q < FALSE_DISCOVERIES, and for a prediction a departure of
    RESPONSE at least; never for the perturbed genes, whose q is NaN), perturbed; surest departure first.
    coefficients: None where too few genes respond; cells: behind each part and the combination, empty for a
    prediction.
    """

    name: str
    table: pd.DataFrame
    coefficients: Coefficients | None
    cells: dict[str, int]


def measured_interaction(
    prepared: PreparedCells,
    combination: str,
    splits: tuple[str, ...] = keys.HELD_OUT,
    responding: float = FALSE_DISCOVERIES,
) -> Interaction:
    """A combination that was measured, as each of its genes alone was. Raises QueryError where one of them
    was not.
    """
    parts = split_combination(combination)
    missing = [name for name in (*parts, combination) if name not in prepared.perturbations]
    if missing:
        raise QueryError(
            f"Not measured: {', '.join(missing)}. Additivity is checked where the combination and each gene "
            "alone have cells."
        )
    found = fold_changes(prepared, (*parts, combination), splits)
    single, double = found.change[:-1], found.change[-1]
    # The controls enter each part and the combination; of them 1 - k stay in the departure.
    error = np.sqrt(found.variance.sum(axis=0) + (len(parts) - 1) ** 2 * found.control_variance)
    z = np.abs(found.change) / found.standard_error
    p = 2 * norm.sf(z)
    answers = (false_discovery_control(p, axis=1) < responding).any(axis=0)
    cells = dict(zip((*parts, combination), found.cells.tolist(), strict=True))
    return _interaction(combination, parts, found.genes, single, double, error, answers, cells)


def predicted_interaction(
    combination: str, genes: pd.Index, single: np.ndarray, double: np.ndarray, error: np.ndarray
) -> Interaction:
    """Predicted log2 fold changes: single (k, G), double (G,); error: (G,) standard deviation of the
    departure.
    """
    parts = split_combination(combination)
    answers = np.abs(np.vstack([single, double])).max(axis=0) >= RESPONSE
    return _interaction(combination, parts, genes, single, double, error, answers, {}, least=RESPONSE)


def called_departures(
    departure: np.ndarray, error: np.ndarray, perturbed: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p, q (Benjamini and Hochberg, NaN for the perturbed genes) and which genes are called non-additive; all
    (G,). least: size of a departure that is called at all.
    """
    p = 2 * norm.sf(np.divide(np.abs(departure), error, out=np.zeros(len(error)), where=error > 0))
    q = np.full(len(p), np.nan)
    q[~perturbed] = false_discovery_control(p[~perturbed]) if (~perturbed).any() else []
    return p, q, (q < FALSE_DISCOVERIES) & (np.abs(departure) >= least)


def split_combination(combination: str) -> tuple[str, ...]:
    """The genes of A+B. Raises QueryError for a single gene."""
    parts = tuple(combination.split(keys.PAIR_SEPARATOR))
    if len(parts) < 2:
        raise QueryError(
            f"'{combination}' is one gene: an interaction needs two or more, joined by {keys.PAIR_SEPARATOR}."
        )
    return parts


def _interaction(
    name: str,
    parts: tuple[str, ...],
    genes: pd.Index,
    single: np.ndarray,
    double: np.ndarray,
    error: np.ndarray,
    answers: np.ndarray,
    cells: dict[str, int],
    least: float = 0.0,
) -> Interaction:
    perturbed = np.isin(genes.to_numpy(dtype=object), parts)
    departure = double - single.sum(axis=0)
    p, q, called = called_departures(departure, error, perturbed, least)
    table = pd.DataFrame({"gene": genes, **dict(zip(parts, single, strict=True))})
    columns = {
        "additive": single.sum(axis=0),
        "both": double,
        "departure": departure,
        "error": error,
        "p": p,
        "q": q,
    }
    table = table.assign(**columns, non_additive=called, perturbed=perturbed)
    ranked = table.iloc[np.lexsort((-np.abs(departure), perturbed, np.where(perturbed, 2.0, q)))].reset_index(
        drop=True
    )
    kept = answers & ~perturbed
    return Interaction(name, ranked, coefficients(parts, single[:, kept], double[kept]), cells)


def _logarithms(moments: ShareMoments, library_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Log of the mean share of every group and gene, and its variance to first order, both (r, G).

    Half a count is added. No variance is taken below that of Poisson counts: a group that shows a gene never,
    or always once, is no surer of it for that.
    """
    cells = moments.cells[:, None]
    share = moments.mean + PSEUDO_COUNT / (np.maximum(cells, 1) * library_size)
    own = np.maximum(moments.variance, share / library_size) / np.maximum(cells, 1)
    return np.log(share), own / share**2
