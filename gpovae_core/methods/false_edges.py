"""How many edges would there be without any effect? Estimated from controls in the place of perturbed
cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from scipy.special import expit

from gpovae_core.config import Settings
from gpovae_core.data.progress import Progress, stretch
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import Contrasts, guide_contrasts, null_contrasts
from gpovae_core.methods.direct import DirectEdges, null_log_odds, others_say
from gpovae_core.methods.explained import TotalEffects, logit
from gpovae_core.methods.fitted import NetworkFit

NULL_THRESHOLDS = np.round(np.linspace(0.0, 0.99, 100), 2)

_ROOM = 1e-6  # of log odds, so that rounding leaves no pair out that passes the first threshold over 0


def nulls_of(
    prepared: PreparedCells, observed: Contrasts, settings: Settings, progress: Progress | None = None
) -> list[Iterator[Contrasts]]:
    """Controls in the place of every perturbation, and, where there are enough control guides, whole guides:
    cells drawn at random do not show what a guide does beside its target. Each is drawn when it is asked for:
    together they would take ten times the memory of the effects.
    """
    draws, seed = settings.network.null_draws, settings.training.seed
    return [
        null_contrasts(prepared, observed, draws, seed, stretch(progress, 0.0, 0.5)),
        guide_contrasts(prepared, observed, draws, seed, stretch(progress, 0.5, 1.0)),
    ]


def false_pairs(
    nulls: Iterable[Iterable[Contrasts]],
    observed: Contrasts,
    total: TotalEffects,
    edges: DirectEdges,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, and for each the expected share of all pairs that have no effect and pass it all the same.

    nulls: for each of several, what is seen of every perturbation where it has no effect, some draws of it
    (`nulls_of`), judged by the rule and the prior fitted to the real effects (`null_log_odds`); a pair counts
    with the null share of its perturbation. At every threshold the larger share counts. NaN without draws.
    """
    counted = observed.counted
    unknown = NULL_THRESHOLDS, np.full(len(NULL_THRESHOLDS), np.nan)
    if not counted.any() or total.rule is None:
        return unknown
    number = counted.sum(axis=1)
    of_pairs = number @ total.rule.null_share
    others, least = others_say(total, edges), float(logit(NULL_THRESHOLDS[1])) - _ROOM
    # a gene that is knocked down and activated may look like the source of an edge in either row
    pairs = max(1, int(number[~observed.second].sum()))
    shares = []
    for drawn in nulls:
        rng = np.random.default_rng(seed)
        above = []
        for null in drawn:
            odds = null_log_odds(total, edges, others, (null.effect, null.error), rng, least)
            row, column = np.nonzero((odds > least) & counted)
            passing = _weighted_above(expit(odds[row, column]), total.rule.null_share[row])
            above.append(np.concatenate([[of_pairs], passing[1:]]))  # at 0 every pair passes
        if not above and not shares:  # of controls nothing can be drawn, so that guides alone say too little
            return unknown
        if above:
            shares.append(np.mean(above, axis=0) / pairs)
    return (NULL_THRESHOLDS, np.max(shares, axis=0)) if shares else unknown


def false_edge_rate(fit: NetworkFit, weights: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Estimated share of false edges among those of perturbed genes with W above each threshold; 0 without
    edges, NaN if unknown: also where the common lift of a perturbation is, since controls have none.

    False: perturbing the source does not change the target at all. weights: (n, n) W.
    """
    at = np.atleast_1d(np.asarray(threshold, dtype=np.float64))
    pairs = np.isfinite(fit.evidence)
    values = np.sort(weights[pairs])
    edges = len(values) - np.searchsorted(values, at, side="right")
    expected = np.interp(at, fit.null_threshold, fit.null_share) * len(values)
    if len(fit.lift_unclear):
        return np.full(len(at), np.nan)
    return np.where(
        edges > 0, np.minimum(expected / np.maximum(edges, 1), 1.0), np.where(np.isnan(expected), np.nan, 0.0)
    )


def false_edges(fit: NetworkFit, weights: np.ndarray, thresholds: np.ndarray | None = None) -> pd.DataFrame:
    """Table over thresholds: threshold, edges (from perturbed genes, to measured ones),
    estimated_false_edge_rate.
    """
    at = np.round(np.arange(0.05, 1.0, 0.05), 2) if thresholds is None else thresholds
    values = np.sort(weights[np.isfinite(fit.evidence)])
    edges = len(values) - np.searchsorted(values, at, side="right")
    return pd.DataFrame(
        {"threshold": at, "edges": edges, "estimated_false_edge_rate": false_edge_rate(fit, weights, at)}
    )


def _weighted_above(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """At every threshold the weight of the values above it."""
    passed = np.searchsorted(NULL_THRESHOLDS, values, side="left")  # so many thresholds
    by_number = np.bincount(passed, weight, minlength=len(NULL_THRESHOLDS) + 1)
    return np.cumsum(by_number[::-1])[::-1][1:]
