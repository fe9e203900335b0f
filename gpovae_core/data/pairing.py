"""A control cell for every perturbed cell, by optimal transport of normalised expression."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.design.strata import FEWEST_CONTROLS
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.store import shape_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.config import DataSettings
    from gpovae_core.data.expression import LogExpression

LARGEST_PLAN = 20_000_000
"""Most entries of one transport plan (float64: 160 MB); beyond it the perturbed cells are taken in parts,
then controls are sampled.
"""
_FEWEST_IN_PART = 500
_TO_ALL = 2
"""Times as many controls as are matched with, up to which distances to all of them are taken."""
LARGEST_POOL = 10_000
"""Controls of a split that a group is matched with; of more, so many are drawn for every group."""
LARGEST_BY_PAIR = 200_000_000
"""Products in a cost (cells x controls x genes) up to which it is taken pair by pair; beyond, by a matrix
product, ten times faster.
"""
LARGEST_DENSE = 128_000_000
"""Entries of the expression of a split's controls up to which it is held dense (float64: 1 GB)."""
_MOST_SCALINGS, _MARGINAL_ERROR = 1000, 1e-10
_STABLE_EXPONENT = (
    200.0  # exp(-200) is far from the smallest float64; beyond it the plan is computed in logarithms
)


def pair_controls(
    expression: sparse.csr_matrix | LogExpression,
    labels: pd.Series,
    splits: pd.Series,
    settings: DataSettings,
    progress: Progress | None = None,
    stratum: np.ndarray | None = None,
) -> pd.Series:
    """Cell id -> id of its matched control of the same split and stratum; "" for control cells. UNSEEN cells
    are matched with TEST controls. Cells of a stratum with fewer than FEWEST_CONTROLS controls in their split
    are matched with all of the split.

    expression: (n_obs, m) log-normalised counts of the measured panel genes, all of them: on the perturbed
    genes alone the pairing would match away the very knock-down. Rows are those of `labels` (cell id ->
    perturbation) and `splits`; stratum: (n_obs,) batch and donor of each row (data.design.strata), None where
    they are not known.
    """
    import pandas as pd

    ids = np.asarray(labels.index.astype(str), dtype=object)
    order = np.argsort(
        ids.astype(str), kind="stable"
    )  # ties go to the first id, whatever the order of the file
    names, parts = labels.to_numpy(dtype=object)[order], splits.to_numpy(dtype=object)[order]
    result = np.full(len(ids), "", dtype=object)
    groups = [
        (part, name) for part in keys.SPLITS for name in sorted(set(names[parts == part]) - {keys.CONTROL})
    ]
    members = _members(names, parts)

    def pieces() -> Iterator[_Piece]:
        beside, controls, at_hand = "", np.zeros(0, dtype=int), None
        for done, (part, name) in enumerate(groups):
            if part != beside:
                beside = part
                controls = order[members[keys.TEST if part == keys.UNSEEN else part, keys.CONTROL]]
                small = len(controls) * shape_of(expression)[1] <= LARGEST_DENSE
                at_hand = Side.of(expression[controls]) if small else None
            cells = order[members[part, name]]
            for number, own, beside_them in _within(cells, controls, stratum):
                seed = (settings.seed, zlib.crc32(f"{part} {name}{number}".encode()))
                base = controls[beside_them]
                dense = at_hand
                if dense is not None and len(base) < len(controls):
                    dense = dense.take(beside_them)
                yield _Piece(done, own, base, dense, seed)

    def matched(piece: _Piece) -> tuple[_Piece, np.ndarray]:
        found = _match_in_parts(expression, piece.cells, piece.controls, piece.at_hand, settings, piece.seed)
        return piece, piece.controls[found]

    for piece, found in at_once(matched, pieces()):
        result[piece.cells] = ids[found]
        tell(progress, "matching controls", (piece.group + 1) / len(groups))
    return pd.Series(result, index=labels.index, name=keys.CONTROL_ID)


@dataclass(frozen=True)
class _Piece:
    """Cells that are matched together, and the controls for them; group: how many groups come before."""

    group: int
    cells: np.ndarray
    controls: np.ndarray
    at_hand: Side | None
    seed: tuple[int, int]


def _within(
    cells: np.ndarray, controls: np.ndarray, stratum: np.ndarray | None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name of the part, cells, positions within `controls`): cells of one stratum with its controls, cells
    of strata without enough of them with all.
    """
    everything = np.arange(len(controls))
    if stratum is None or len(np.unique(stratum[np.concatenate([cells, controls])])) == 1:
        yield "", cells, everything
        return
    alone = []
    for value in np.unique(stratum[cells]):
        own, base = cells[stratum[cells] == value], everything[stratum[controls] == value]
        if len(base) >= FEWEST_CONTROLS:
            yield f" {value}", own, base
        else:
            alone.append(own)
    if alone:
        yield "", np.concatenate(alone), everything


def _members(names: np.ndarray, parts: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """(split, label) -> positions of its cells, ascending."""
    found = {}
    for part in set(parts):
        here = np.flatnonzero(parts == part)
        labels, code = np.unique(names[here].astype(str), return_inverse=True)
        cut = np.split(here[np.argsort(code, kind="stable")], np.cumsum(np.bincount(code))[:-1])
        found |= {(part, label): rows for label, rows in zip(labels.tolist(), cut, strict=True)}
    return defaultdict(lambda: np.zeros(0, dtype=np.int64), found)


def _match_in_parts(
    expression: sparse.csr_matrix | LogExpression,
    cells: np.ndarray,
    controls: np.ndarray,
    at_hand: Side | None,
    settings: DataSettings,
    seed: tuple[int, int],
) -> np.ndarray:
    """(len(cells),) positions within `controls`. at_hand: expression of all of them, where that is not too
    much.
    """
    generator = np.random.default_rng(seed)
    pool = np.arange(len(controls))
    most = min(LARGEST_POOL, LARGEST_PLAN // min(len(cells), _FEWEST_IN_PART))
    if len(pool) > most:
        pool = np.sort(generator.choice(pool, min(most, LARGEST_PLAN // _FEWEST_IN_PART), replace=False))
    size = max(1, LARGEST_PLAN // len(pool))
    shuffled = generator.permutation(len(cells)) if len(cells) > size else np.arange(len(cells))
    right, among = at_hand, pool
    if right is None or len(controls) > _TO_ALL * len(pool):  # else distances to all cost less than a copy
        right, among = Side.of(expression[controls[pool]]) if right is None else right.take(pool), None
    result = np.empty(len(cells), dtype=np.int64)
    for start in range(0, len(cells), size):
        part = shuffled[start : start + size]
        cost = transport_cost(expression[cells[part]].toarray(), right, settings.pairing_cost_scale)
        cost = cost if among is None or len(among) == cost.shape[1] else cost[:, among]
        result[part] = pool[match(cost, settings.pairing, settings.pairing_regularisation)]
    return result


@dataclass(frozen=True)
class Side:
    """Cells that many others are compared with. dense: (c, m); squares: (c,) of their length."""

    dense: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, cells: Any) -> Side:
        dense = cells if isinstance(cells, np.ndarray) else cells.toarray()
        return cls(dense, np.einsum("ij,ij->i", dense, dense))

    def take(self, rows: np.ndarray) -> Side:
        return Side(self.dense[rows], self.squares[rows])


def transport_cost(cells: np.ndarray, controls: Side, scale: float = 100.0) -> np.ndarray:
    """(b, c) Euclidean distances between rows of `cells` (b, m) and of `controls`, divided by `scale`."""
    if len(cells) * controls.dense.size <= LARGEST_BY_PAIR:
        from scipy.spatial.distance import cdist

        return cdist(cells, controls.dense) / scale
    distance = (-2.0 * cells) @ controls.dense.T
    distance += np.einsum("ij,ij->i", cells, cells)[:, None]
    distance += controls.squares
    return np.sqrt(np.maximum(distance, 0.0, out=distance), out=distance) / scale


def match(cost: np.ndarray, method: str = "sinkhorn", regularisation: float = 1.0) -> np.ndarray:
    """(b,) column of the largest entry in every row of the plan between uniform marginals; the first column
    of equals.
    """
    plan = exact_plan(cost) if method == "exact" else sinkhorn_plan(cost, regularisation)
    return plan.argmax(axis=1)


def sinkhorn_plan(cost: np.ndarray, regularisation: float = 1.0) -> np.ndarray:
    """(b, c) entropic plan, uniform marginals: Sinkhorn and Knopp's scaling of rows and columns (Cuturi,
    2013) until the columns' marginals are within 1e-10; in logarithms, by POT, where
    exp(-cost / regularisation) would vanish.

    The plan and the iterations of POT's `ot.sinkhorn`, in one array: of 2,000 x 10,000 entries POT fills six
    new ones, which takes eight times the time and more (docs/performance.md).
    """
    b, c = cost.shape
    plan = cost - cost.min()  # a constant does not change the plan, and keeps the exponent small
    if plan.max() / regularisation > _STABLE_EXPONENT:
        import ot

        rows, columns = np.full(b, 1 / b), np.full(c, 1 / c)
        found: Any = ot.sinkhorn(
            rows,
            columns,
            plan,
            regularisation,
            method="sinkhorn_log",
            numItermax=_MOST_SCALINGS,
            stopThr=_MARGINAL_ERROR,
            warn=False,
        )
        return found
    plan /= -regularisation
    np.exp(plan, out=plan)
    u, v = np.full(b, 1 / b), np.full(c, 1 / c)
    for scaled in range(_MOST_SCALINGS):
        v = (1 / c) / (u @ plan)
        u = (1 / b) / (plan @ v)
        if scaled % 10 == 0 and np.linalg.norm((u @ plan) * v - 1 / c) < _MARGINAL_ERROR:
            break
    plan *= u[:, None]
    plan *= v
    return plan


def exact_plan(cost: np.ndarray) -> np.ndarray:
    """(b, c) optimal plan without regularisation, uniform marginals, by POT's network simplex."""
    import ot

    b, c = cost.shape
    plan: Any = ot.emd(np.full(b, 1 / b), np.full(c, 1 / c), cost, numItermax=100_000_000)
    return plan
