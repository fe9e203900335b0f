"""Would known edges help the network of a run? The weight that its cells give a table, and its controls.

Beside the weight (methods.prior): what the table earns once it is rewired, every gene keeping its degree;
what half of the table says of its other half; and whether the edges that it brings in are significant in
held-out cells. The network of the run stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.data.progress import Progress, tell
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.known import KnownEdges, judge, shuffled_hits
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.prior import FEWEST_KNOWN, Odds, PriorWeight, learn_weight, shift
from gpovae_core.network.measured import tests_at_once
from gpovae_core.network.references import ReferenceNetwork
from gpovae_core.runs.folder import RunFolder

DRAWS = 10


@dataclass(frozen=True)
class HalfTable:
    """One half of the known pairs gave `weight` (as kept), the other was predicted. gain: log likelihood per
    pair of that half, over that without a weight, in nats; error: its standard error.
    """

    weight: float
    gain: float
    error: float


@dataclass(frozen=True)
class HeldOut:
    """Edges above the same rank, with the table and without it: significant in held-out cells. gained, lost:
    edges that come in and go out.
    """

    edges: int
    significant: int
    significant_without: int
    gained: int
    gained_significant: int
    lost: int
    lost_significant: int


@dataclass(frozen=True)
class Knowledge:
    """What a table is worth to the network of a run. true: its weight; rewired: those of rewired tables, each
    over the pairs that the table itself does not list; half, half_rewired: see HalfTable; held_out: None
    where there are no cells, or too many; edges: source, target, weight and weight_without (W with the table
    and without), known, of all that are above the threshold either way, largest change first.
    """

    table: str
    true: PriorWeight
    rewired: tuple[PriorWeight, ...]
    half: HalfTable
    half_rewired: tuple[HalfTable, ...]
    held_out: HeldOut | None
    threshold: float
    edges: pd.DataFrame

    @property
    def rewired_within(self) -> int:
        """Rewired tables whose weight, as it would be applied, is within its error of 0."""
        return sum(abs(one.kept) <= one.error for one in self.rewired)

    def rewired_near(self, errors: float) -> int:
        """Rewired tables whose weight, as learned, is within so many standard errors of 0: 68 and 95 % of
        them within 1 and 1.96, where the standard error is right.
        """
        return sum(abs(one.weight) <= errors * one.error for one in self.rewired)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "table": self.table,
            "threshold": self.threshold,
            "true": _numbers(asdict(self.true)),
            "rewired": [_numbers(asdict(one)) for one in self.rewired],
            "rewired_within_error": self.rewired_within,
            "rewired_as_learned_within": {
                str(errors): self.rewired_near(errors) for errors in (1.0, keys.NORMAL_95)
            },
            "half": _numbers(asdict(self.half)),
            "half_rewired": [_numbers(asdict(one)) for one in self.half_rewired],
            "held_out": None if self.held_out is None else asdict(self.held_out),
            "edges": self.edges.to_dict("records"),
        }


def ask_cells(
    run: RunFolder,
    table: ReferenceNetwork,
    threshold: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Knowledge:
    """What the table is worth to the network of `run`. Raises QueryError where the run has no network stage,
    or the table lists too few of its pairs.
    """
    arrays = run.network_arrays()
    if not arrays:
        raise QueryError(
            f"Run '{run.name}' has no network stage (preset '{run.settings().preset}'), so nothing tells "
            "what its cells say from what was taken beforehand. Train one with the preset evidence."
        )
    cut = run.settings().evaluation.threshold if threshold is None else threshold
    if not 0 <= cut <= 1:
        raise QueryError(f"A threshold on W lies between 0 and 1; got {cut:g}.")
    if draws < 1:
        raise QueryError(f"At least one rewired table is needed; got {draws}.")
    genes, odds = run.panel().genes, Odds.of(NetworkFit.from_arrays(arrays))
    sources = [genes[i] for i in odds.rows]
    judged = judge(KnownEdges(table.name, table.directed, frozenset(table.known)), sources, genes)
    known = judged.hits & odds.counted
    if known.sum() < FEWEST_KNOWN:
        raise QueryError(
            f"{table.name} lists {int(known.sum())} pairs of a perturbed and a measured gene of this run; a "
            f"weight needs {FEWEST_KNOWN}. {table.without_overlap(genes)}".rstrip()
        )
    true = learn_weight(odds, judged.usable, known)
    rewired, halves = [], []
    for draw in range(draws):
        tell(progress, "rewiring the table", draw / draws)
        other = shuffled_hits(known, sources, genes, seed + draw) & ~known & judged.usable
        rewired.append(learn_weight(odds, judged.usable & ~known, other))
        halves.append(_half(odds, judged.usable & ~known, other, seed + draw))
    change = shift(odds, judged.usable, known, true.kept)
    return Knowledge(
        table=table.name,
        true=true,
        rewired=tuple(rewired),
        half=_half(odds, judged.usable, known, seed),
        half_rewired=tuple(halves),
        held_out=_held_out(run, odds, change, cut),
        threshold=cut,
        edges=_edges(genes, odds, change, known, cut),
    )


def _half(odds: Odds, usable: np.ndarray, known: np.ndarray, seed: int) -> HalfTable:
    """A weight from one random half of the known pairs, and what it says of the other."""
    pairs = np.argwhere(known & odds.counted)
    order = np.random.default_rng(seed).permutation(len(pairs))
    used, left = pairs[order[: len(pairs) // 2]], pairs[order[len(pairs) // 2 :]]
    first, rest = (np.zeros(known.shape, dtype=bool) for _ in range(2))
    first[tuple(used.T)] = rest[tuple(left.T)] = True
    weight = learn_weight(odds, usable & ~rest, first).kept
    i, j = left.T
    factor = odds.posterior[i, j] - odds.prior[i]
    with_weight, without = (expit(odds.prior[i] + added) for added in (weight, 0.0))
    gains = np.log1p(with_weight * np.expm1(factor)) - np.log1p(without * np.expm1(factor))
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("nan")
    return HalfTable(weight, float(gains.mean()) if len(gains) else float("nan"), error)


def _held_out(run: RunFolder, odds: Odds, change: np.ndarray, threshold: float) -> HeldOut | None:
    """With as many edges either way as W has above the threshold."""
    if not run.has("cells.h5ad"):
        return None
    cells = run.cells()
    tests = tests_at_once(cells)
    if tests is None:
        return None
    adjusted = np.full(odds.posterior.shape, np.nan)
    genes = cells.panel.genes
    row = {genes[i]: place for place, i in enumerate(odds.rows)}
    rows = [(at, row[name]) for at, name in enumerate(tests.sources) if name in row]
    columns = [cells.panel.index[name] for name in tests.targets]
    for at, place in rows:
        adjusted[place, columns] = tests.adjusted[at]
    pairs = odds.counted & np.isfinite(adjusted)
    significant = adjusted[pairs] <= run.settings().evaluation.significance
    before, after = odds.posterior[pairs], (odds.posterior + change)[pairs]
    edges = int((expit(before) > threshold).sum())
    first, second = (_top(values, edges) for values in (before, after))
    return HeldOut(
        edges=edges,
        significant=int(significant[second].sum()),
        significant_without=int(significant[first].sum()),
        gained=int((second & ~first).sum()),
        gained_significant=int(significant[second & ~first].sum()),
        lost=int((first & ~second).sum()),
        lost_significant=int(significant[first & ~second].sum()),
    )


def _top(values: np.ndarray, number: int) -> np.ndarray:
    """(k,) bool: the `number` largest."""
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.argsort(-values, kind="stable")[:number]] = True
    return chosen


def _edges(
    genes: Sequence[str], odds: Odds, change: np.ndarray, known: np.ndarray, threshold: float
) -> pd.DataFrame:
    without, weight = expit(odds.posterior), expit(odds.posterior + change)
    i, j = np.nonzero(odds.counted & ((without > threshold) | (weight > threshold)))
    names = np.array(genes, dtype=object)
    table = pd.DataFrame(
        {
            keys.SOURCE: names[odds.rows[i]],
            keys.TARGET: names[j],
            keys.WEIGHT: weight[i, j],
            "weight_without": without[i, j],
            "known": known[i, j],
        }
    )
    order = np.lexsort((-weight[i, j], -np.abs(weight - without)[i, j]))
    return table.iloc[order].reset_index(drop=True)


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
