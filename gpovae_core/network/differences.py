"""Two conditions of one screen: which edges do they share, and which differ?

The cells of both are put together, over the genes that both panels have, and each condition's W, S and
effects are found in its own cells by the code that finds those of a run. A pair that is an edge under either
is compared by its effects, each per unit of the source's own change in those cells, over the errors of both.
How often such a difference comes by chance is asked of the cells: condition labels are permuted within
perturbation and batch, and the pairs with an effect under either are compared again, those whose probability
of an effect passes the threshold that W has to pass. (W itself takes twenty times as long to fit, and is
never above that probability.) So what an edge under one condition alone owes to a threshold that was just
passed here and just missed there is in the null too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.design.strata import holds_one_label, strata, value_numbers
from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN, KNOCK_OUT
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import Panel, PanelData, PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.effects.shrinkage import fit_evidence
from gpovae_core.errors import QueryError
from gpovae_core.methods.network_fit import edges_of
from gpovae_core.methods.own_change import own_change
from gpovae_core.runs.folder import RunFolder

BOTH, ONLY_A, ONLY_B, UNCLEAR = "both", "only first", "only second", "unclear"
OTHER_SIGN, OTHER_STRENGTH = "other sign", "other strength"
STATES = (ONLY_A, ONLY_B, OTHER_SIGN, OTHER_STRENGTH, BOTH, UNCLEAR)
"""both: an edge under both, no difference told; unclear: an edge under one alone, and no difference told."""
PERMUTATIONS = 50
LEVEL = 0.1
FEWEST_PERMUTATIONS = 10
MOST_SHARED = 0.5
"""Labels are permuted within batches where at least this share of the cells has the other condition beside
it, under its perturbation, in its batch."""


@dataclass(frozen=True)
class Differences:
    """a, b: names of the runs; edges: source, target, state, weight_a, weight_b, sign_a, sign_b, effect_a,
    effect_b and difference, difference_se (log2 fold changes at the mean of both own changes), fdr: expected
    share of pairs that differ by chance among those that differ as clearly; clearest first. genes, pairs:
    of the panels, and of perturbed sources and measured targets, in both; threshold, level: of W, and of the
    rate at which a difference is told; permuted: what was, "cells" or "wells"; notes: what limits the answer.
    """

    a: str
    b: str
    edges: pd.DataFrame
    genes: int
    pairs: int
    threshold: float
    level: float
    permutations: int
    permuted: str
    notes: tuple[str, ...] = ()

    def count(self, state: str) -> int:
        return int((self.edges["state"] == state).sum())

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        kept = ("a", "b", "genes", "pairs", "threshold", "level", "permutations", "permuted")
        return {
            **{name: getattr(self, name) for name in kept},
            "notes": list(self.notes),
            "states": {state: self.count(state) for state in STATES},
            "edges": self.edges.to_dict("records"),
        }


def differences(
    a: RunFolder,
    b: RunFolder,
    threshold: float | None = None,
    permutations: int = PERMUTATIONS,
    level: float = LEVEL,
    seed: int = 0,
    progress: Progress | None = None,
) -> Differences:
    """The networks of two runs on cells of one screen under two conditions. threshold: on W, that of the
    first run where None; level: rate of false differences up to which one is told. Raises QueryError where
    the runs have no cells, cells or settings that do not go together, or too few permutations are asked for.
    """
    if permutations < FEWEST_PERMUTATIONS:
        raise QueryError(
            f"A rate of false differences needs at least {FEWEST_PERMUTATIONS} permutations; got "
            f"{permutations}."
        )
    if not 0 < level < 1:
        raise QueryError(f"The rate of false differences lies between 0 and 1; got {level:g}.")
    settings = _settings(a, b)
    pooled = pool(a.name, a.cells(), b.name, b.cells())
    found = compare_conditions(
        pooled,
        settings,
        settings.evaluation.threshold if threshold is None else threshold,
        permutations,
        level,
        seed,
        progress,
    )
    return replace(found, a=a.name, b=b.name)


@dataclass(frozen=True)
class Pooled:
    """cells: of both conditions; second: (n_obs,) bool, those of the second; units: (n_obs,) number of the
    unit whose condition is permuted, wells or single cells; groups: (n_obs,) within which they are; permuted:
    "wells" or "cells"; notes: in words.
    """

    cells: PreparedCells
    second: np.ndarray
    units: np.ndarray
    groups: np.ndarray
    permuted: str
    notes: tuple[str, ...] = ()

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """(n_obs,) bool: the condition of every cell, permuted among the units of its group."""
        unit, first = np.unique(self.units, return_index=True)
        group, second = self.groups[first], self.second[first]
        shuffled = second.copy()
        for one in np.unique(group):
            own = np.flatnonzero(group == one)
            shuffled[own] = second[rng.permutation(own)]
        return shuffled[np.searchsorted(unit, self.units)]


def pool(name_a: str, a: PreparedCells, name_b: str, b: PreparedCells) -> Pooled:
    """The training cells of two runs over the genes that both measure, and how conditions are permuted.
    Raises QueryError where they have cells in common, or too little.
    """
    from scipy import sparse

    from gpovae_core.data.store import rows_of

    rows = [np.flatnonzero(one.where(splits=(keys.TRAIN,))) for one in (a, b)]
    ids = [one.cells.obs_names.astype(str).to_numpy()[own] for one, own in zip((a, b), rows, strict=True)]
    both = len(set(ids[0]) & set(ids[1]))
    if both:
        raise QueryError(
            f"'{name_a}' and '{name_b}' have {both:,} cells in common, so they are no two conditions. Train "
            "one run for each: gpovae train FILE --each-condition."
        )
    panel = _shared_panel(name_a, a, name_b, b)
    genes = sorted(set(a.cells.var_names.astype(str)) & set(b.cells.var_names.astype(str)))
    counts, obs = [], []
    for one, own in zip((a, b), rows, strict=True):
        columns = one.cells.var_names.get_indexer(genes)
        counts.append(sparse.csr_matrix(rows_of(one.counts, own)[:, columns]))
        obs.append(pd.DataFrame(one.cells.obs).iloc[own])
    columns = [name for name in obs[0].columns if name in obs[1].columns and name != keys.CONDITION]
    together = pd.concat([one[columns].astype(object) for one in obs])
    for name in (keys.PERTURBATION, keys.SPLIT, *(key for key in _TEXT if key in together)):
        together[name] = together[name].astype(str)
    stacked = sparse.csr_matrix(sparse.vstack(counts))
    cells = PreparedCells.of(stacked, together, genes, panel, a.report)
    second = np.repeat([False, True], [len(own) for own in rows])
    return _with_units(cells, second)


_TEXT = (keys.BATCH, keys.DONOR, keys.GUIDE)


def _with_units(cells: PreparedCells, second: np.ndarray) -> Pooled:
    obs, labels = pd.DataFrame(cells.cells.obs), cells.labels
    label = np.unique(labels.astype(str), return_inverse=True)[1].ravel()
    if keys.BATCH in obs and holds_one_label(value_numbers(obs[keys.BATCH]), labels):
        return Pooled(cells, second, value_numbers(obs[keys.BATCH]), label, "wells")
    found, notes = strata(obs, labels), ()
    groups = label
    if found is not None:
        within = np.unique(np.stack([label, found]), axis=1, return_inverse=True)[1].ravel()
        sizes = [np.bincount(within[chosen], minlength=within.max() + 1) for chosen in (second, ~second)]
        beside = (np.minimum(*sizes) > 0)[within].mean()
        if beside >= MOST_SHARED:
            groups = within
        else:
            notes = (
                "Most batches hold cells of one condition alone, so labels are permuted across batches: what "
                "sets batches apart counts as a difference between the conditions.",
            )
    return Pooled(cells, second, np.arange(len(labels)), groups, "cells", notes)


def _shared_panel(name_a: str, a: PreparedCells, name_b: str, b: PreparedCells) -> Panel:
    one, other = a.panel.data, b.panel.data
    perturbed = set(one.perturbed) & set(other.perturbed)
    extended = (set(one.perturbed) | set(one.extended)) & (set(other.perturbed) | set(other.extended))
    measured = set(one.measured) & set(other.measured)
    extended = (extended - perturbed) & measured
    if not perturbed or not measured:
        raise QueryError(
            f"The panels of '{name_a}' and '{name_b}' share {len(perturbed):,} perturbed and "
            f"{len(measured):,} measured genes: there is no edge to compare. Train them over one panel: "
            "gpovae train FILE --each-condition."
        )
    return Panel(
        PanelData(
            perturbed=tuple(sorted(perturbed)),
            extended=tuple(sorted(extended)),
            measured=tuple(sorted(measured & (perturbed | extended))),
        )
    )


def _settings(a: RunFolder, b: RunFolder) -> Settings:
    one, other = a.settings(), b.settings()
    for run, settings in ((a, one), (b, other)):
        if settings.model.network != "evidence":
            raise QueryError(
                f"Run '{run.name}' has the preset '{settings.preset}': edges of two conditions are compared "
                "by the evidence behind them, which only the preset evidence measures."
            )
    if one.network != other.network:
        raise QueryError(
            f"'{a.name}' and '{b.name}' differ in how their networks were fitted (settings network.*), so a "
            "difference between them need not be one between the conditions."
        )
    return one


def compare_conditions(
    pooled: Pooled,
    settings: Settings,
    threshold: float,
    permutations: int,
    level: float,
    seed: int,
    progress: Progress | None = None,
) -> Differences:
    """`differences` of cells that were put together."""
    settings = _one_kind(pooled.cells, settings)
    tell(progress, "fitting both networks", 0.0)
    sides = _sides(pooled.cells, pooled.second, settings)
    networks = [edges_of(side.observed, len(pooled.cells.panel), settings) for side in sides]
    weights = [one.probabilities[side.rows] for one, side in zip(networks, sides, strict=True)]
    chosen = np.argwhere(_comparable(sides) & np.any([one > threshold for one in weights], axis=0))
    rng, null = np.random.default_rng(seed), []
    for done in range(permutations):
        tell(progress, "permuting the conditions", done / permutations)
        drawn = _sides(pooled.cells, pooled.drawn(rng), settings)
        evident = np.any([side.probability > threshold for side in drawn], axis=0)
        null.append(np.abs(_z(drawn, np.argwhere(_comparable(drawn) & evident))))
    rate = false_rate(np.abs(_z(sides, chosen)), np.concatenate(null))
    strengths = [one.strength[side.rows] for one, side in zip(networks, sides, strict=True)]
    return Differences(
        a="first",
        b="second",
        edges=_table(sides, chosen, weights, strengths, rate, pooled.cells.panel, threshold, level),
        genes=len(pooled.cells.panel),
        pairs=int(_comparable(sides).sum()),
        threshold=threshold,
        level=level,
        permutations=permutations,
        permuted=pooled.permuted,
        notes=pooled.notes,
    )


def false_rate(seen: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(k,) rate of false ones among all that are at least as large as each of `seen` (k,): Benjamini and
    Hochberg over p values that `null` gives, what permuted labels show, of any length.
    """
    from scipy.stats import false_discovery_control

    if not len(seen):
        return np.zeros(0)
    beyond = len(null) - np.searchsorted(np.sort(null), seen, side="left")
    return false_discovery_control((1 + beyond) / (1 + len(null)))


@dataclass(frozen=True)
class _Side:
    """One condition, over the q genes perturbed in both. rows: (q,) panel positions; own: (q, 1) change of
    the perturbed genes; response, error: (q, n) effect per unit of it, error infinite where nothing was
    measured; probability: (q, n) of an effect.
    """

    observed: Contrasts
    rows: np.ndarray
    own: np.ndarray
    response: np.ndarray
    error: np.ndarray
    probability: np.ndarray


def _sides(cells: PreparedCells, is_second: np.ndarray, settings: Settings) -> list[_Side]:
    """Both conditions. Raises QueryError where no gene is perturbed in both."""
    found = [contrasts(cells, rows=np.flatnonzero(chosen), both=True) for chosen in (~is_second, is_second)]
    names = [one.names(cells.panel) for one in found]
    shared = [name for name in names[0] if name in set(names[1])]
    if not shared:
        raise QueryError("No gene is perturbed, beside controls, under both conditions.")
    places = [np.array([own.index(name) for name in shared], dtype=int) for own in names]
    sides = [_side(one, at, settings) for one, at in zip(found, places, strict=True)]
    return _of_genes(sides) if any(keys.is_raised(name) for name in shared) else sides


def _of_genes(sides: list[_Side]) -> list[_Side]:
    """One row for every gene: of one that is knocked down in some cells and activated in others, the mean
    response of both, weighted by how well either tells the conditions apart, alike under both: the two need
    not respond in proportion, and other weights would pass for a difference.
    """
    rows = np.unique(sides[0].rows)
    weight = 1 / (sides[0].error ** 2 + sides[1].error ** 2)
    member = (rows[:, None] == sides[0].rows[None, :]).astype(float)
    total = member @ weight
    known, divide = total > 0, np.maximum(total, 1e-300)
    merged = []
    for side in sides:
        variance = member @ (weight * np.where(weight > 0, side.error, 0.0)) ** 2
        last = [np.flatnonzero(side.rows == row)[-1] for row in rows]  # of both, the knock-down
        probability = [side.probability[side.rows == row].max(axis=0) for row in rows]
        merged.append(
            replace(
                side,
                rows=rows,
                own=side.own[last],
                response=np.where(known, member @ (weight * side.response) / divide, 0.0),
                error=np.where(known, np.sqrt(variance) / divide, np.inf),
                probability=np.stack(probability),
            )
        )
    return merged


def _side(observed: Contrasts, at: np.ndarray, settings: Settings) -> _Side:
    """at: (q,) the rows of `observed` that are looked at."""
    network = settings.network
    rule = fit_evidence(observed.effect, observed.error, observed.counted, network.least_effect)
    own = own_change(observed, network.perturbation, network.complete_loss).change[at][:, None]
    error = np.where(observed.counted, observed.error, np.inf)[at]
    return _Side(
        observed,
        observed.sources[at],
        own,
        observed.effect[at] / own,
        error / np.abs(own),
        rule.judge(observed.effect, observed.error).probability[at],
    )


def _comparable(sides: list[_Side]) -> np.ndarray:
    """(q, n) bool: pairs of two genes measured under both."""
    return np.isfinite(sides[0].error) & np.isfinite(sides[1].error)


def _z(sides: list[_Side], chosen: np.ndarray) -> np.ndarray:
    """(k,) second less first condition over the error, of the pairs (k, 2)."""
    (i, j), (one, other) = chosen.T, sides
    return (other.response - one.response)[i, j] / np.hypot(one.error[i, j], other.error[i, j])


def _one_kind(cells: PreparedCells, settings: Settings) -> Settings:
    """What was done to the genes, decided once, in the cells of both conditions: whether a knock-down looks
    like a knock-out must not differ by chance between them.
    """
    if settings.network.perturbation != "auto":
        return settings
    kinds = set(own_change(contrasts(cells), "auto", settings.network.complete_loss).kind)
    kind = next(iter(kinds)) if len(kinds) == 1 else "auto"
    if kind not in (KNOCK_DOWN, KNOCK_OUT, ACTIVATION):
        return settings
    network = settings.network.model_copy(update={"perturbation": kind})
    return settings.model_copy(update={"network": network})


def _table(
    sides: list[_Side],
    chosen: np.ndarray,
    weights: list[np.ndarray],
    strengths: list[np.ndarray],
    rate: np.ndarray,
    panel: Panel,
    threshold: float,
    level: float,
) -> pd.DataFrame:
    """`Differences.edges` of the pairs (k, 2); weights, strengths: (q, n) W and S of either."""
    (i, j), (one, other) = chosen.T, sides
    own = (one.own + other.own)[i, 0] / 2 / np.log(2)
    signs = [np.sign(strength[i, j]).astype(int) for strength in strengths]
    edge_a, edge_b = (weight[i, j] > threshold for weight in weights)
    names = np.array(panel.genes, dtype=object)
    table = pd.DataFrame(
        {
            keys.SOURCE: names[one.rows[i]],
            keys.TARGET: names[j],
            "state": _states(edge_a, edge_b, signs[0] != signs[1], rate <= level),
            "weight_a": weights[0][i, j],
            "weight_b": weights[1][i, j],
            "sign_a": signs[0],
            "sign_b": signs[1],
            "effect_a": one.response[i, j] * own,
            "effect_b": other.response[i, j] * own,
            "difference": (other.response - one.response)[i, j] * own,
            "difference_se": np.hypot(one.error[i, j], other.error[i, j]) * np.abs(own),
            "fdr": rate,
        }
    )
    order = np.lexsort((-np.abs(_z(sides, chosen)), rate))
    return table.iloc[order].reset_index(drop=True)


def _states(edge_a: np.ndarray, edge_b: np.ndarray, turned: np.ndarray, differs: np.ndarray) -> np.ndarray:
    """(k,) of STATES; turned: whether the signs differ."""
    alone = np.where(edge_a & ~edge_b, ONLY_A, np.where(edge_b & ~edge_a, ONLY_B, OTHER_STRENGTH))
    changed = np.where(edge_a & edge_b & turned, OTHER_SIGN, alone)
    return np.where(differs, changed, np.where(edge_a & edge_b, BOTH, UNCLEAR)).astype(object)
