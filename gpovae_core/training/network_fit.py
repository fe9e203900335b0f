"""The network stage of a run: from cells to W, S, T_K and the rate of false edges, before the autoencoder is trained.

W depends on these steps alone: log fold changes (data.contrasts), the probability that they are effects (model.evidence), and which of
them are direct (model.direct). No step is random but the draws behind the false-edge rate, and they are seeded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from gpovae_core.config import Settings
from gpovae_core.data.contrasts import Contrasts, contrasts, null_contrasts
from gpovae_core.data.schema import PreparedCells
from gpovae_core.model.direct import DirectEdges, TotalEffects, direct_edges, null_log_odds
from gpovae_core.model.evidence import Evidence, EvidenceRule, fit_evidence
from gpovae_core.model.hops import hop_series, influence

SEEN_FALLING = 3.0
"""A target counts as knocked down where its own expression falls by so many standard errors."""

KNOCK_OUT_ABOVE = float(np.log(0.5))
BOOTSTRAP_ERROR = float(np.sqrt(2))
NULL_THRESHOLDS = np.round(np.linspace(0.0, 0.99, 100), 2)


@dataclass(frozen=True)
class NetworkFit:
    """Arrays in panel order, n genes, row = source, column = target; natural logarithms.

    log_odds: (n, n) of W; strength: (n, n) S, change of the target per unit change of the source if the edge is there; strength_sd: (n, n)
    its standard deviation, NaN where nothing was learned; influence: (n, n) T_K of W * S; evidence: (n, n) probability
    that perturbing the row changes the column at all, NaN where that was not measured; effect, effect_sd: (n, n) observed log fold
    change without the common shift, and standard error, NaN where not measured; own_change: (n,) log fold change of a gene when
    it is perturbed, as taken for its hops; shift: (n,) common lift of all shares under each perturbation, NaN where none.
    null_threshold, null_share: (t,) share of pairs with W above a threshold where there is no effect, by the same rule.
    knock_out: (1,) 1 where own_change was assumed and not read off the targets.
    """

    log_odds: np.ndarray
    strength: np.ndarray
    strength_sd: np.ndarray
    influence: np.ndarray
    evidence: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    own_change: np.ndarray
    shift: np.ndarray
    null_threshold: np.ndarray
    null_share: np.ndarray
    knock_out: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> NetworkFit:
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def expected_change(self) -> np.ndarray:
        """(n, n) log fold change of the column that perturbing the row is expected to bring about through the network."""
        return self.own_change[:, None] * self.influence


def fit_network(prepared: PreparedCells, settings: Settings) -> NetworkFit:
    """W, S and T_K from the training cells."""
    observed = contrasts(prepared)
    rule = fit_evidence(observed.effect, observed.error, observed.counted, settings.network.least_effect)
    return explain(prepared, observed, rule, settings)


def explain(prepared: PreparedCells, observed: Contrasts, rule: EvidenceRule, settings: Settings) -> NetworkFit:
    """The network behind `observed`, as far as `rule` believes it."""
    n = len(prepared.panel)
    belief = rule.judge(observed.effect, observed.error)
    own, knock_out = own_change(observed, settings.network.perturbation, settings.network.complete_loss)
    total = _total(observed, rule, belief, own)
    edges = _direct(total, n, settings)
    thresholds, null = false_pairs(prepared, observed, total, edges, settings)
    known = observed.counted
    return NetworkFit(
        log_odds=edges.log_odds,
        strength=edges.strength,
        strength_sd=edges.deviation,
        influence=influence(edges.probabilities * edges.strength, hop_series("signed", n, settings.loss.hops)),
        evidence=_whole(n, observed, belief.probability, known),
        effect=_whole(n, observed, observed.effect, np.isfinite(observed.error)),
        effect_sd=_whole(n, observed, observed.error, np.isfinite(observed.error)),
        own_change=_spread(n, observed, own, float(np.median(own)) if len(own) else float(np.log1p(-settings.network.complete_loss))),
        shift=_spread(n, observed, observed.shift, np.nan),
        null_threshold=thresholds,
        null_share=null,
        knock_out=np.array([float(knock_out)]),
    )


def fit_edges(prepared: PreparedCells, settings: Settings, rows: np.ndarray, widen: float = 1.0) -> DirectEdges:
    """W and S alone, as `fit_network` finds them in the training cells among `rows`, where a cell may come several times.

    widen: factor on all standard errors. Cells drawn with replacement scatter around the observed effect as much as that does
    around the truth, so a rule that weighs effects against their errors has to be given errors larger by BOOTSTRAP_ERROR.
    """
    observed = contrasts(prepared, rows=rows)
    observed = replace(observed, error=widen * observed.error)
    rule = fit_evidence(observed.effect, observed.error, observed.counted, settings.network.least_effect)
    own, _ = own_change(observed, settings.network.perturbation, settings.network.complete_loss)
    return _direct(_total(observed, rule, rule.judge(observed.effect, observed.error), own), len(prepared.panel), settings)


def _total(observed: Contrasts, rule: EvidenceRule, belief: Evidence, own: np.ndarray) -> TotalEffects:
    return TotalEffects(observed.sources, observed.effect, observed.error, belief.probability, belief.effect, own, rule)


def _direct(total: TotalEffects, n: int, settings: Settings) -> DirectEdges:
    network = settings.network
    return direct_edges(total, n, network.least_effect, network.hop_tolerance, network.unperturbed_prior)


def own_change(observed: Contrasts, kind: str, complete_loss: float) -> tuple[np.ndarray, bool]:
    """(p,) log fold change of every perturbed gene itself, and whether it had to be assumed for all (a knock-out).

    A knock-down is read off the gene's own expression; where that was not measured, or does not fall, the median of the others is
    taken. A knock-out removes the gene's function, of which its expression says little; so does a screen where no target falls.
    """
    assumed = float(np.log1p(-complete_loss))
    effect, error = observed.own
    falling = np.isfinite(error) & (effect < -SEEN_FALLING * error)
    if kind == "knock-out" or not falling.any():
        return np.full(len(effect), assumed), True
    typical = float(np.median(effect[falling]))
    if kind == "auto" and typical > KNOCK_OUT_ABOVE:
        return np.full(len(effect), assumed), True
    return np.where(falling, effect, typical), False


def false_pairs(
    prepared: PreparedCells, observed: Contrasts, total: TotalEffects, edges: DirectEdges, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, and for each the expected share of all pairs that have no effect and pass it all the same.

    Controls stand in for every perturbation and are judged by the rule and the prior fitted to the real effects (`null_log_odds`); a pair
    counts with the null share of its perturbation. NaN without controls.
    """
    draws = null_contrasts(prepared, observed, settings.network.null_draws, settings.training.seed)
    counted = observed.counted
    if not draws or not counted.any() or total.rule is None:
        return NULL_THRESHOLDS, np.full(len(NULL_THRESHOLDS), np.nan)
    weight = np.broadcast_to(total.rule.null_share[:, None], counted.shape)[counted]
    rng = np.random.default_rng(settings.training.seed)
    odds = (null_log_odds(total, edges, null.effect, null.error, rng) for null in draws)
    return NULL_THRESHOLDS, np.mean([_weighted_above(expit(each[counted]), weight) for each in odds], axis=0)


def false_edge_rate(fit: NetworkFit, weights: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Estimated share of false edges among those of perturbed genes with W above each threshold; 0 without edges, NaN if unknown.

    False: perturbing the source does not change the target at all. weights: (n, n) W.
    """
    at = np.atleast_1d(np.asarray(threshold, dtype=np.float64))
    pairs = np.isfinite(fit.evidence)
    values = np.sort(weights[pairs])
    edges = len(values) - np.searchsorted(values, at, side="right")
    expected = np.interp(at, fit.null_threshold, fit.null_share) * len(values)
    return np.where(edges > 0, np.minimum(expected / np.maximum(edges, 1), 1.0), np.where(np.isnan(expected), np.nan, 0.0))


def false_edges(fit: NetworkFit, weights: np.ndarray, thresholds: np.ndarray | None = None) -> pd.DataFrame:
    """Table over thresholds: threshold, edges (from perturbed genes, to measured ones), estimated_false_edge_rate."""
    at = np.round(np.arange(0.05, 1.0, 0.05), 2) if thresholds is None else thresholds
    values = np.sort(weights[np.isfinite(fit.evidence)])
    edges = len(values) - np.searchsorted(values, at, side="right")
    return pd.DataFrame({"threshold": at, "edges": edges, "estimated_false_edge_rate": false_edge_rate(fit, weights, at)})


def measured_influence(fit: NetworkFit, prepared: PreparedCells) -> np.ndarray:
    """(n, G) expected log fold change of every measured gene when a panel gene is perturbed, the knock-down itself included."""
    change = fit.expected_change()
    own = np.diag(fit.effect)
    np.fill_diagonal(change, np.where(np.isfinite(own), own, 0.0))
    result = np.zeros((len(prepared.panel), prepared.cells.n_vars))
    result[:, prepared.panel_columns] = change[:, prepared.panel.is_measured]
    return result


def _weighted_above(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.array([weight[values > threshold].sum() for threshold in NULL_THRESHOLDS]) / len(values)


def _whole(n: int, observed: Contrasts, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    result = np.full((n, n), np.nan)
    result[observed.sources] = np.where(known, values, np.nan)
    return result


def _spread(n: int, observed: Contrasts, values: np.ndarray, elsewhere: float) -> np.ndarray:
    result: Any = np.full(n, elsewhere)
    result[observed.sources] = values
    return result
