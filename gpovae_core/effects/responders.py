"""How many cells of a perturbation respond to it? Some carry the guide and are not perturbed: they escape.

Cells are placed on the line along which the perturbation moves the mean, as Mixscape does (Papalexi et al.,
Nature Genetics 2021), but no cell on a line that it had a part in: the line comes from one half of the cells
and the controls, and the other half is placed on it. On that line controls are one component of a mixture,
normal with their mean and spread, and responders are the other. What they share of the cells, and where they
lie, is found by expectation maximisation; guides share the second component, not its share.

Told, and used nowhere: that weighing effects by it makes networks better has not been shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.expression import log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.store import rows_of
from gpovae_core.effects.averages import beside_controls
from gpovae_core.effects.design import Design

if TYPE_CHECKING:
    from gpovae_core.data.schema import PreparedCells

LEAST_SEPARATION = 3.0
"""Distance of responders from controls, in standard deviations of the controls, below which the two cannot be
told apart and no share is given.
"""
LEAST_SHARE = 0.1
"""A second component with fewer of the cells is taken for outliers, not for responders: no share is given."""
FEWEST_CELLS = 20
MOST_CONTROLS = 5_000
CLEAR = 3.0
"""z of a gene's change from which on it has a part in the line."""
DRAWS = 50
_ROUNDS = 100
_SETTLED = 1e-4


@dataclass(frozen=True)
class Responders:
    """Of one perturbation, or one of its guides (else None). cells: training cells; share: of them that
    respond, with the 95 % interval `low` to `high` of a bootstrap over cells; separation: see
    LEAST_SEPARATION, below which the three are NaN.
    """

    perturbation: str
    guide: str | None
    cells: int
    share: float
    low: float
    high: float
    separation: float


def responders(prepared: PreparedCells, seed: int = 0, progress: Progress | None = None) -> list[Responders]:
    """Every perturbation with FEWEST_CELLS training cells beside controls, each followed by its guides where
    it has several with so many.
    """
    design = Design.of(prepared)
    usable = prepared.where(splits=(keys.TRAIN,)) & prepared.passing
    usable &= beside_controls(np.where(usable, prepared.labels, ""), design.stratum)
    ids = prepared.cells.obs_names.to_numpy(dtype=str)
    control, *treated = cells_of(prepared.labels, (keys.CONTROL, *prepared.perturbations), usable)
    control = control[np.argsort(ids[control], kind="stable")]
    control = np.random.default_rng(seed).permutation(control)[:MOST_CONTROLS]
    if len(control) < FEWEST_CELLS:
        return []
    stratum, of_controls = design.stratum, design.stratum[control]
    controls = _expression(prepared, control)
    base = less_controls(controls, of_controls, controls, of_controls)
    obs = prepared.cells.obs
    names = obs[keys.GUIDE].astype(str).to_numpy() if keys.GUIDE in obs else None

    def of(place: int) -> list[Responders]:
        name, own = prepared.perturbations[place], treated[place]
        own = own[np.argsort(ids[own], kind="stable")]
        if len(own) < FEWEST_CELLS:
            return []
        rng = np.random.default_rng([seed, place])
        cells = less_controls(_expression(prepared, own), stratum[own], controls, of_controls)
        of_guides: dict[str | None, np.ndarray] = {None: np.ones(len(own), dtype=bool)}
        if names is not None:
            values, n = np.unique(names[own], return_counts=True)
            several = [str(value) for value in values[n >= FEWEST_CELLS] if value != keys.UNKNOWN]
            of_guides |= {guide: names[own] == guide for guide in several if len(several) > 1}
        return shares(name, placed(cells, base, rng), of_guides, rng)

    found = []
    for done, told in enumerate(at_once(of, range(len(treated))), start=1):
        found += told
        tell(progress, "how many cells respond", done / len(treated))
    return found


def _expression(prepared: PreparedCells, rows: np.ndarray) -> np.ndarray:
    """(cells, m) log(1 + counts per 10,000) of the measured panel genes."""
    counts: Any = rows_of(prepared.counts, rows)
    values: Any = log_expression(counts, prepared.library_size[rows])[np.arange(len(rows))]
    return np.asarray(values[:, prepared.panel_columns].todense(), dtype=np.float64)


def less_controls(
    values: np.ndarray, stratum: np.ndarray, controls: np.ndarray, control_stratum: np.ndarray
) -> np.ndarray:
    """(cells, m) expression less the mean of the controls (controls, m) of the same stratum."""
    values = values.copy()
    for one in np.unique(control_stratum):
        values[stratum == one] -= controls[control_stratum == one].mean(axis=0)
    return values


def placed(cells: np.ndarray, controls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(cells,) place of each cell on the line of the other half, 0 the mean of controls of its stratum, in
    standard deviations of controls; NaN where no gene changes clearly in that half.

    cells: (cells, m), controls: (controls, m) expression, both `less_controls`.
    """
    result = np.full(len(cells), np.nan)
    half, other = (rng.permutation(len(part)) % 2 == 0 for part in (cells, controls))
    for side, base in ((half, other), (~half, ~other)):
        learned, judged = cells[side], cells[~side]
        variance = controls[base].var(axis=0, ddof=1)
        change = learned.mean(axis=0) - controls[base].mean(axis=0)
        error = np.sqrt(learned.var(axis=0, ddof=1) / len(learned) + variance / base.sum())
        clear = (np.abs(change) > CLEAR * error) & (variance > 0)
        if not clear.any():
            continue
        weight = np.where(clear, change / np.where(variance > 0, variance, 1.0), 0.0)
        of_controls = controls[~base] @ weight
        result[~side] = (judged @ weight - of_controls.mean()) / max(of_controls.std(ddof=1), 1e-12)
    return result


def fit_mixtures(
    scores: np.ndarray, start: tuple[float, float, float] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share, mean and standard deviation, (r,) each, of the second component of (1 - share) N(0, 1) + share
    N(mean, sd) in every row of scores (r, cells), by expectation maximisation. mean above 0; sd between 0.5
    and 3. start: of all rows; from the first one where None.
    """
    if start is None:
        start = 0.5, max(float(np.quantile(scores[0], 0.75)), 0.5), 1.0
    share, mean, sd = (np.full(len(scores), one) for one in start)
    moving = np.arange(len(scores))
    for _ in range(_ROUNDS):
        own, before = scores[moving], share[moving]
        second = _posterior(own, share[moving], mean[moving], sd[moving])
        total = np.maximum(second.sum(axis=1), 1e-9)
        share[moving] = total / scores.shape[1]
        mean[moving] = np.maximum((second * own).sum(axis=1) / total, 0.1)
        squares = (second * (own - mean[moving, None]) ** 2).sum(axis=1)
        sd[moving] = np.clip(np.sqrt(squares / total), 0.5, 3.0)
        moving = moving[np.abs(share[moving] - before) >= _SETTLED]
        if not len(moving):
            break
    return share, mean, sd


def _posterior(scores: np.ndarray, share: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """(r, cells) probability that a cell is of the second component of its row."""
    share, mean, sd = share[:, None], mean[:, None], sd[:, None]
    first = (1 - share) * np.exp(-0.5 * scores**2)
    second = share / sd * np.exp(-0.5 * ((scores - mean) / sd) ** 2)
    return second / np.maximum(first + second, 1e-300)


def _share(
    scores: np.ndarray, counted: np.ndarray, start: np.ndarray, mean: np.ndarray, sd: np.ndarray
) -> np.ndarray:
    """(r,) the share alone among the cells `counted` (r, cells) bool, the second component given."""
    share, moving = start.copy(), np.arange(len(scores))
    number = np.maximum(counted.sum(axis=1), 1)
    for _ in range(_ROUNDS):
        before = share[moving]
        second = _posterior(scores[moving], before, mean[moving], sd[moving])
        share[moving] = (second * counted[moving]).sum(axis=1) / number[moving]
        moving = moving[np.abs(share[moving] - before) >= _SETTLED]
        if not len(moving):
            break
    return share


def shares(
    name: str, scores: np.ndarray, of_guides: dict[str | None, np.ndarray], rng: np.random.Generator
) -> list[Responders]:
    """One entry for each guide (None: all cells) of a perturbation. scores: (cells,) of `placed`; of_guides:
    guide -> (cells,) bool, its cells. The second component is that of all cells.
    """
    known = np.isfinite(scores)
    every = scores[known]
    enough = len(every) >= FEWEST_CELLS
    whole = fit_mixtures(every[None, :]) if enough else (np.full(1, np.nan),) * 3
    separation = float(whole[1][0])
    told = separation >= LEAST_SEPARATION and whole[0][0] >= LEAST_SHARE
    drawn, again = np.zeros((0, len(every)), dtype=int), whole
    if told:
        drawn = rng.integers(0, len(every), (DRAWS, len(every)))
        again = fit_mixtures(every[drawn], (float(whole[0][0]), separation, float(whole[2][0])))
    found = []
    for guide, chosen in of_guides.items():
        own = chosen[known]
        share, low, high = np.nan, np.nan, np.nan
        if told and own.sum() >= FEWEST_CELLS // 2:
            share = float(_share(every[None, :], own[None, :], *whole)[0])
            some = own[drawn].any(axis=1)
            values = _share(every[drawn], own[drawn], *again)[some]
            low, high = (float(one) for one in np.quantile(values, [0.025, 0.975]))
        found.append(Responders(name, guide, int(chosen.sum()), share, low, high, separation))
    return found
