"""Why does an edge have another sign than what perturbing its source does to its target?

The sign of an edge is that of its strength S. It was fitted (methods.direct) to what is left of the effects
on the target when the ways over other genes are taken off, in every perturbation that reaches the source, not
in its own alone. So an edge may repress although its target falls: because the other ways should lower the
target more than is seen, or because of cells in which other genes are perturbed that change the source, too.
Both are worked out again here from what the run keeps of the fit: the effects, how probable each is, and the
strengths. The posterior means of the effects are not kept; the effects themselves stand in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.config import NetworkSettings, Settings
from gpovae_core.methods.direct import Regressions, over_panel, regressions
from gpovae_core.methods.explained import Tolerance, TotalEffects
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.grn import SIGN_ERRORS, GeneNetwork

LEAST_PART = 0.1
"""A perturbation speaks for the sign with at least this part of all that speaks for it, ..."""
MOST_NAMED = 3
"""... and so many are named at most."""
THROUGH = 0.1
"""A gene is named as a way where it carries this part of what the largest carries."""


@dataclass(frozen=True)
class Speaks:
    """What the cells of one perturbation say of the edge; effects are log2 fold changes of the target.

    perturbed: the gene; moved: what it does to the source of the edge (NaN where that was not measured);
    seen, error: its effect with standard error; expected: what the ways over other genes than the source make
    of it, through: the genes of these, the largest part first; direct: what the edge is taken to do.
    """

    perturbed: str
    moved: float
    seen: float
    error: float
    expected: float
    through: tuple[str, ...]
    direct: float


@dataclass(frozen=True)
class Contrary:
    """An edge whose sign is not that of its measured effect. sign: as drawn, of S; own: what the cells with
    the source perturbed say; own_part: of all that speaks for that sign what they say, 0 where they speak
    against it; others: other perturbations that speak for it, the one that says most first.
    """

    source: str
    target: str
    sign: int
    own: Speaks
    own_part: float
    others: tuple[Speaks, ...]

    @property
    def clear(self) -> bool:
        """Whether the effect against the sign exceeds its error, or may be none."""
        return abs(self.own.seen) > SIGN_ERRORS * self.own.error


def against_effect(signs: np.ndarray, effect: np.ndarray, own_change: np.ndarray) -> np.ndarray:
    """(n, n) bool: pairs whose sign is not that of the effect; False where either is unknown. effect: (n, n)
    of perturbing the row, NaN: not measured; own_change: (n,) of every gene when it is perturbed.
    """
    with np.errstate(invalid="ignore"):
        against = signs * np.sign(own_change)[:, None] * effect < 0
    np.fill_diagonal(against, False)
    return against


def contrary_edges(network: GeneNetwork, own_change: np.ndarray | None) -> np.ndarray:
    """(n, n) bool: edges of W whose sign is not that of their measured effect. own_change: (n,) log fold
    change of every gene when it is perturbed; None, as without effects or strengths: no edge is called so.
    """
    if own_change is None or network.measured is None or network.strength is None:
        return np.zeros((len(network), len(network)), dtype=bool)
    return against_effect(network.signs, network.measured.effect, own_change)


def contrary(network: GeneNetwork, fit: NetworkFit, source: str, target: str) -> Contrary | None:
    """Where the sign of an edge comes from; None where its effect has the same, or was not measured.

    network: W and S of the run, fit: what its network stage found. Raises QueryError for unknown genes.
    """
    i, j = network.panel.position(source), network.panel.position(target)
    if network.strength is None or not against_effect(network.signs, fit.effect, fit.own_change)[i, j]:
        return None
    sign = int(network.signs[i, j])
    given = _given(network, fit)
    rows = given.total.sources
    parts = _parts(network, given, j)
    weight = _weight(network, given, parts, j)
    moved = parts.felt[:, i]
    left = given.total.effect[:, j] - (parts.on_target.sum(axis=1) - parts.on_target[:, i])
    says = np.where(weight > 0, sign * moved * np.where(weight > 0, left, 0.0) * weight, 0.0)
    own = int(np.flatnonzero(rows == i)[0])
    spoken = np.maximum(says, 0.0)
    enough = np.flatnonzero(spoken > LEAST_PART * spoken.sum())
    others = [k for k in enough[np.argsort(-spoken[enough], kind="stable")] if k != own]
    told = _Telling(network, given, parts, i, j)
    return Contrary(
        source=network.panel.genes[i],
        target=network.panel.genes[j],
        sign=sign,
        own=told.of(own),
        own_part=float(spoken[own] / spoken.sum()) if spoken.any() else 0.0,
        others=tuple(told.of(k) for k in others[:MOST_NAMED]),
    )


@dataclass(frozen=True)
class _Parts:
    """(p, n) in log fold changes: felt, what is felt of every gene under each perturbation; on_target: what
    that makes of the target over the gene's edge to it.
    """

    felt: np.ndarray
    on_target: np.ndarray


def _given(network: GeneNetwork, fit: NetworkFit) -> Regressions:
    """The regressions behind the network, as far as the run keeps what went into them."""
    stage = _settings(network)
    rows = np.flatnonzero(np.isfinite(fit.effect_sd).any(axis=1))
    effect, error = fit.effect[rows], fit.effect_sd[rows]
    known = np.isfinite(error)
    effect = np.where(known, effect, 0.0)
    total = TotalEffects(
        sources=rows,
        effect=effect,
        error=np.where(known, error, np.inf),
        probability=np.where(known, np.nan_to_num(fit.evidence[rows]), 0.0),
        believed=effect,
        own=fit.own_change[rows],
    )
    tolerance = Tolerance(stage.hop_tolerance, stage.turned_tolerance)
    return regressions(total, len(network), stage.least_effect, tolerance, stage.unperturbed_prior)


def _settings(network: GeneNetwork) -> NetworkSettings:
    if not network.settings:
        return NetworkSettings()
    return Settings.model_validate_json(network.settings).network


def _parts(network: GeneNetwork, given: Regressions, target: int) -> _Parts:
    """What every gene carries to the target (methods.ascent): its part of a change that comes back from the
    target itself is left out.
    """
    assert network.strength is not None
    own = given.own[:, None]
    design = given.design.copy()
    design[:, target] = 0.0
    reached = np.where(np.isfinite(given.noise[:, [target]]), given.design[:, [target]], 0.0)
    held = design - reached * given.passed_on(np.array([target]))
    still = np.clip(held, np.minimum(design, 0.0), np.maximum(design, 0.0))
    rows = np.arange(len(design))
    still[rows, given.total.sources] = design[rows, given.total.sources]
    felt = still * own
    unit = over_panel(given.own / given.total.own, given.total.sources, len(network))
    return _Parts(felt, felt * (network.weights[:, target] * network.strength[:, target] / unit))


def _weight(network: GeneNetwork, given: Regressions, parts: _Parts, target: int) -> np.ndarray:
    """(p,) how much each perturbation counts for the target: less where it is measured badly, and where much
    of what is seen would come over other genes; 0 where nothing is to be explained.
    """
    rows = np.arange(len(given.total.sources))
    error = given.total.error[:, target]
    seen = np.isfinite(error) & (given.total.sources != target)
    indirect = parts.on_target.sum(axis=1) - parts.on_target[rows, given.total.sources]
    least = _settings(network).least_effect
    off = given.tolerance.along * indirect
    return np.where(seen, 1 / (np.where(seen, error, 1.0) ** 2 + off**2 + least**2), 0.0)


@dataclass(frozen=True)
class _Telling:
    network: GeneNetwork
    given: Regressions
    parts: _Parts
    source: int
    target: int

    def of(self, row: int) -> Speaks:
        """What one perturbation says, in log2."""
        i, j = self.source, self.target
        total, genes = self.given.total, self.network.panel.genes
        by_gene = np.delete(np.arange(len(genes)), [i, j])
        carried = self.parts.on_target[row, by_gene]
        order = by_gene[np.argsort(-np.abs(carried), kind="stable")]
        sizes = np.abs(self.parts.on_target[row, order])
        main = order[(sizes > 0) & (sizes >= THROUGH * sizes[:1].sum())][:MOST_NAMED]
        log2 = 1 / np.log(2)
        moved = total.effect[row, i] if np.isfinite(total.error[row, i]) else np.nan
        return Speaks(
            perturbed=genes[total.sources[row]],
            moved=float(moved * log2),
            seen=float(total.effect[row, j] * log2),
            error=float(total.error[row, j] * log2),
            expected=float(carried.sum() * log2),
            through=tuple(genes[m] for m in main),
            direct=float(self.parts.on_target[row, i] * log2),
        )
