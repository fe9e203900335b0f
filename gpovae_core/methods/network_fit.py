"""The network stage of a run: from cells to W, S, T_K and the rate of false edges, before the autoencoder is
trained.

W depends on these steps alone: log fold changes (effects.contrasts), the probability that they are effects
(effects.shrinkage), and which of them are direct (methods.direct). No step is random but the draws behind the
false-edge rate, and they are seeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.kinds import KNOCK_OUT
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.effects.design import Design
from gpovae_core.effects.draws import large_genes
from gpovae_core.effects.shrinkage import Evidence, EvidenceRule, fit_evidence
from gpovae_core.errors import QueryError
from gpovae_core.methods.direct import DirectEdges, direct_edges
from gpovae_core.methods.explained import Tolerance, TotalEffects
from gpovae_core.methods.false_edges import false_pairs, nulls_of
from gpovae_core.methods.fitted import NetworkFit, Raised
from gpovae_core.methods.own_change import OwnChange, own_change
from gpovae_core.methods.passing import total as total_influence

BOOTSTRAP_ERROR = float(np.sqrt(2))


def fit_network(prepared: PreparedCells, settings: Settings, progress: Progress | None = None) -> NetworkFit:
    """W, S and T_K from the training cells. Raises QueryError where those perturb no gene alone."""
    tell(progress, "effects of perturbations", 0.0)
    observed = contrasts(prepared, progress=stretch(progress, 0.0, 0.1), both=True)
    if not (len(observed.sources) or observed.alone) and _several_at_a_time(prepared):
        raise QueryError(
            "No training cell has one perturbed gene alone (a high multiplicity of infection, MOI, or a "
            "library of pairs), so no gene has an effect of its own to learn edges from. Take the cells with "
            "a single guide, a screen of low MOI, or a preset that trains W with the autoencoder (released)."
        )
    rule = fit_evidence(
        observed.effect,
        observed.error,
        observed.counted,
        settings.network.least_effect,
        stretch(progress, 0.1, 0.3),
    )
    return explain(prepared, observed, rule, settings, stretch(progress, 0.3, 1.0))


def fit_effects(
    n: int,
    observed: Contrasts,
    settings: Settings,
    draws: Sequence[Contrasts] = (),
    progress: Progress | None = None,
) -> NetworkFit:
    """W, S and T_K from effects that somebody else estimated, over a panel of n genes; draws: what
    is seen where there is no effect; without any the rate of false edges is unknown.
    """
    rule = fit_evidence(
        observed.effect,
        observed.error,
        observed.counted,
        settings.network.least_effect,
        stretch(progress, 0.0, 0.5),
    )
    return explain_effects(n, observed, rule, settings, [draws], stretch(progress, 0.5, 1.0))


def _several_at_a_time(prepared: PreparedCells) -> bool:
    return any(keys.PAIR_SEPARATOR in name for name in prepared.perturbations)


def explain(
    prepared: PreparedCells,
    observed: Contrasts,
    rule: EvidenceRule,
    settings: Settings,
    progress: Progress | None = None,
) -> NetworkFit:
    """The network behind `observed`, as far as `rule` believes it. Where batches cannot be told from effects,
    controls drawn at random cannot tell how many edges are false.
    """
    apart = prepared.report.unseparated
    nulls = [] if apart else nulls_of(prepared, observed, settings, stretch(progress, 0.6, 0.95))
    fit = explain_effects(len(prepared.panel), observed, rule, settings, nulls, progress)
    large = large_genes(prepared, Design.of(prepared))
    places = np.sort(prepared.cells.var_names.to_numpy(dtype=str)).searchsorted(list(large))
    return replace(fit, depth_without=np.column_stack([places, list(large.values())]))


def explain_effects(
    n: int,
    observed: Contrasts,
    rule: EvidenceRule,
    settings: Settings,
    nulls: Iterable[Iterable[Contrasts]],
    progress: Progress | None = None,
) -> NetworkFit:
    """The same over a panel of n genes, wherever the effects come from. nulls: what is seen where there is no
    effect, for the rate of false edges (`false_pairs`); without any that is unknown.
    """
    belief = rule.judge(observed.effect, observed.error)
    own = own_change(observed, settings.network.perturbation, settings.network.complete_loss)
    first = ~observed.second
    everywhere = own.of(first).over(n, observed.sources[first], settings.network.complete_loss)
    total = _total(observed, rule, belief, own)
    edges = _direct(total, n, settings, stretch(progress, 0.0, 0.6))
    thresholds, null = false_pairs(nulls, observed, total, edges, settings.training.seed)
    tell(progress, "what follows over several hops", 0.95)
    known = observed.counted
    influence, passing = total_influence(
        edges.probabilities * edges.strength, everywhere.change, settings.loss.hops
    )
    return NetworkFit(
        log_odds=edges.log_odds,
        strength=edges.strength,
        strength_sd=edges.deviation,
        influence=influence,
        passing=passing,
        evidence=_whole(n, observed, total.of_genes(belief.probability, np.arange(n)), known),
        effect=_whole(n, observed, observed.effect, np.isfinite(observed.error) & first[:, None]),
        effect_sd=_whole(n, observed, observed.error, np.isfinite(observed.error) & first[:, None]),
        own_change=everywhere.change,
        own_source=everywhere.source_codes,
        shift=_spread(n, observed, observed.shift),
        null_threshold=thresholds,
        null_share=null,
        knock_out=(everywhere.kind == KNOCK_OUT).astype(np.float64),
        lift_unclear=np.unique(observed.sources[observed.unclear]).astype(np.float64),
        raised=_raised(observed, own),
    )


def _raised(observed: Contrasts, own: OwnChange) -> Raised | None:
    """Of the activated genes, None without any."""
    rows = observed.second
    if not rows.any():
        return None
    effect, error = observed.effect[rows], observed.error[rows]
    known = np.isfinite(error)
    return Raised(
        genes=observed.sources[rows],
        effect=np.where(known, effect, np.nan),
        effect_sd=np.where(known, error, np.nan),
        own_change=own.change[rows],
        own_source=own.of(rows).source_codes,
        shift=observed.shift[rows],
    )


def fit_edges(
    prepared: PreparedCells,
    settings: Settings,
    rows: np.ndarray,
    widen: float = 1.0,
    progress: Progress | None = None,
) -> DirectEdges:
    """W and S alone, as `fit_network` finds them in the training cells among `rows`, where a cell may come
    several times.

    widen: factor on all standard errors. Cells drawn with replacement scatter around the observed effect as
    much as that does around the truth, so a rule that weighs effects against their errors has to be given
    errors larger by BOOTSTRAP_ERROR.
    """
    observed = contrasts(prepared, rows=rows, progress=stretch(progress, 0.0, 0.1), both=True)
    observed = replace(observed, error=widen * observed.error)
    return edges_of(observed, len(prepared.panel), settings, stretch(progress, 0.1, 1.0))


def edges_of(
    observed: Contrasts, n: int, settings: Settings, progress: Progress | None = None
) -> DirectEdges:
    """W and S behind effects over a panel of n genes."""
    rule = fit_evidence(
        observed.effect,
        observed.error,
        observed.counted,
        settings.network.least_effect,
        stretch(progress, 0.0, 0.2),
    )
    own = own_change(observed, settings.network.perturbation, settings.network.complete_loss)
    belief = rule.judge(observed.effect, observed.error)
    return _direct(_total(observed, rule, belief, own), n, settings, stretch(progress, 0.2, 1.0))


def _total(observed: Contrasts, rule: EvidenceRule, belief: Evidence, own: OwnChange) -> TotalEffects:
    return TotalEffects(
        observed.sources, observed.effect, observed.error, belief.probability, belief.effect, own.change, rule
    )


def _direct(total: TotalEffects, n: int, settings: Settings, progress: Progress | None = None) -> DirectEdges:
    network = settings.network
    tolerance = Tolerance(network.hop_tolerance, network.turned_tolerance)
    return direct_edges(total, n, network.least_effect, tolerance, network.unperturbed_prior, progress)


def _whole(n: int, observed: Contrasts, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    result = np.full((n, n), np.nan)
    result[observed.sources] = np.where(known, values, np.nan)
    return result


def _spread(n: int, observed: Contrasts, values: np.ndarray) -> np.ndarray:
    result = np.full(n, np.nan)
    result[observed.sources] = values
    return result
