"""Does a perturbation move cells between states? Shares of cells per state, against controls of the same
batch.

A perturbation that moves cells from one state to another changes every gene in which the states differ, and
none of these changes is an edge. Strata by estimated states do not mend it, so it is told and nothing else is
done with it.

States are found in the training controls: 2-means on the leading components, together and one by one, of
their Pearson residuals (Lause et al., Genome Biology 2021), which know no library size and no batch. Every
cell is then given to the state under which its counts are likelier, negative binomial and gene by gene. What
the perturbation itself does to a gene is no sign of a state: the perturbed gene counts for nothing, and
neither does any gene that differs from controls of the same state.

States that differ less than a cycle which all cells go through may be missed, and so may all at a few counts
a gene: what is not flagged may move cells all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.effects.design import Design

if TYPE_CHECKING:
    from gpovae_core.data.schema import PreparedCells

FLAGGED_ABOVE = 4.0
"""z of a share beyond which a perturbation is said to move cells between states."""

LEAST_SEPARATION = 3.0
"""Distance of the two states, in standard deviations within them, below which they are no states: a normal
distribution cut in half has 2.65, and what genes of one pathway have in common stays below 2.85 in worlds
without states and cycles (chains of grnlab, loops of harissa).
"""

COMPONENTS = 5
FEWEST_CONTROLS = 50
_OWN_CHANGE = 4.0  # z of a gene within a state from which on it is what the perturbation does
_ROUNDS = 3
_PSEUDO_COUNT = 0.5


@dataclass(frozen=True)
class States:
    """Two states, m genes. mean: (strata, 2, m) share of a gene in a state and stratum; dispersion: (m,)
    variance of counts beyond Poisson over the squared mean; separation: see LEAST_SEPARATION.
    """

    mean: np.ndarray
    dispersion: np.ndarray
    separation: float

    def log_odds(self, counts: np.ndarray, size: np.ndarray, stratum: np.ndarray) -> np.ndarray:
        """(cells, m) what a gene says for the second state and against the first: difference of negative
        binomial log likelihoods.
        """
        first, second = (size[:, None] * self.mean[stratum, state] for state in (0, 1))
        r = 1 / self.dispersion
        return counts * np.log(second / first) - (counts + r) * np.log((second + r) / (first + r))


@dataclass(frozen=True)
class Composition:
    """table: a row for each perturbation (a combination too) with training cells in a stratum that has
    controls, largest z first: `perturbation`, `cells`, `split` (from 0, the place in `separations`, of the
    pair of states between which its share differs most), `share` of its cells in the second of the two (the
    rarer one among controls), `control_share` (of controls, the strata weighted like its cells), `z` of the
    difference, `flagged`. separations: of every pair of states that was found, see LEAST_SEPARATION; without
    any the table is empty.
    """

    table: pd.DataFrame
    separations: tuple[float, ...]


COLUMNS = pd.Index([keys.PERTURBATION, "cells", "split", "share", "control_share", "z", "flagged"])


def composition(prepared: PreparedCells, seed: int = 0, progress: Progress | None = None) -> Composition:
    """State shares of all perturbations in the training cells; nothing with fewer than FEWEST_CONTROLS
    training controls.
    """
    usable = prepared.where(splits=(keys.TRAIN,)) & prepared.passing
    (control,) = cells_of(prepared.labels, (keys.CONTROL,), usable)
    design = Design.of(prepared)
    stratum = np.unique(design.stratum, return_inverse=True)[1]
    held, size = np.unique(stratum[control]), design.size
    genes = [str(gene) for gene in prepared.cells.var_names[prepared.panel_columns]]

    def dense(rows: np.ndarray) -> np.ndarray:
        return np.asarray(prepared.counts[rows][:, prepared.panel_columns].todense(), dtype=np.float64)

    if len(control) < FEWEST_CONTROLS:
        return Composition(pd.DataFrame(columns=COLUMNS), ())
    tell(progress, "states of the cells", 0.0)
    of_controls = dense(control)
    strata = int(stratum.max()) + 1
    looking = stretch(progress, 0.0, 0.3)
    found = find_states(of_controls, size[control], stratum[control], strata, seed, looking)
    said = [states.log_odds(of_controls, size[control], stratum[control]) for states in found]
    places = cells_of(prepared.labels, prepared.perturbations, usable & np.isin(stratum, held))
    treated = [(name, own) for name, own in zip(prepared.perturbations, places, strict=True) if len(own)]

    def compared(perturbation: tuple[str, np.ndarray]) -> tuple:
        """Its row of the table."""
        name, own = perturbation
        counts, itself = dense(own), np.isin(genes, keys.genes_of(name))
        tested = []
        for states, of_base in zip(found, said, strict=True):
            second, kept = assign(states, counts, size[own], stratum[own], ~itself)
            base = of_base @ kept > 0
            tested.append(share_against(second, stratum[own], base, stratum[control]))
        best = int(np.argmax([abs(z) for _, _, z in tested]))
        return (name, len(own), best, *tested[best], abs(tested[best][2]) > FLAGGED_ABOVE)

    rows = []
    for row in at_once(compared, treated if found else ()):
        rows.append(row)
        tell(progress, "states of the cells", 0.3 + 0.7 * len(rows) / len(treated))
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = np.argsort(-np.abs(table["z"].to_numpy(float)), kind="stable")
    return Composition(table.iloc[order].reset_index(drop=True), tuple(states.separation for states in found))


def find_states(
    counts: np.ndarray,
    size: np.ndarray,
    stratum: np.ndarray,
    strata: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[States]:
    """Pairs of states of control cells, those that are apart. counts: (cells, m); size: (cells,) library
    sizes; stratum: (cells,) below `strata`.

    The separation is that of cells whose states were found without them: each half judged by the other.
    """
    half = np.random.default_rng(seed).permutation(len(counts)) % 2 == 0
    found = []
    guesses = _splits(_residuals(counts, size, stratum, strata), seed)
    for done, first in enumerate(guesses, start=1):
        tell(progress, "states of the cells", done / (len(guesses) + 1))
        distances = []
        for part in (half, ~half):
            tried = _settle(counts[part], size[part], stratum[part], strata, first[part])
            score = tried.log_odds(counts[~part], size[~part], stratum[~part]).sum(axis=1)
            distances.append(_separation(score))
        if np.mean(distances) >= LEAST_SEPARATION:
            states = _settle(counts, size, stratum, strata, first)
            found.append(States(states.mean, states.dispersion, float(np.mean(distances))))
    return found


def assign(
    states: States, counts: np.ndarray, size: np.ndarray, stratum: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(cells,) whether a cell of one perturbation is in the second state, and (m,) the genes that said so:
    those of `kept` that it does not change within a state.
    """
    said = states.log_odds(counts, size, stratum)
    allowed = kept
    for _ in range(_ROUNDS):
        second = said[:, kept].sum(axis=1) > 0
        mean = size[:, None] * states.mean[stratum, second.astype(int)]
        spread = np.sqrt((mean + states.dispersion * mean**2).sum(axis=0))
        kept = allowed & (np.abs((counts - mean).sum(axis=0)) <= _OWN_CHANGE * spread)
    return said[:, kept].sum(axis=1) > 0, kept


def share_against(
    second: np.ndarray, stratum: np.ndarray, base: np.ndarray, base_stratum: np.ndarray
) -> tuple[float, float, float]:
    """Share of cells in the second state, that of controls in the same strata, and z of the difference:
    Mantel and Haenszel's statistic over strata, without continuity correction. z: 0 where every cell is in
    one state.
    """
    excess = variance = inside = expected = 0.0
    for each in np.unique(stratum):
        own, control = second[stratum == each], base[base_stratum == each]
        n, m = len(own), len(control)
        if not m:
            continue
        p = (own.sum() + control.sum()) / (n + m)
        excess += own.sum() - n * p
        variance += n * m * p * (1 - p) / max(n + m - 1, 1)
        inside += n
        expected += n * control.mean()
    if not inside:
        return float(second.mean()), float("nan"), float("nan")
    return float(second.mean()), expected / inside, excess / np.sqrt(variance) if variance > 0 else 0.0


def _settle(
    counts: np.ndarray, size: np.ndarray, stratum: np.ndarray, strata: int, second: np.ndarray
) -> States:
    """The states that a first guess, (cells,) bool, leads to in one step. More steps would leave what the
    guess was about for whatever cells differ in most.
    """
    states = _moments(counts, size, stratum, strata, second)
    second = states.log_odds(counts, size, stratum).sum(axis=1) > 0
    if second.mean() > 0.5:
        second = ~second
    return _moments(counts, size, stratum, strata, second)


def _residuals(counts: np.ndarray, size: np.ndarray, stratum: np.ndarray, strata: int) -> np.ndarray:
    """(cells, m) Pearson residuals, each gene with standard deviation 1 at most; clipped at the root of the
    number of cells.
    """
    everything = np.zeros(len(counts), dtype=bool)
    one = _moments(counts, size, stratum, strata, everything)
    mean = size[:, None] * one.mean[stratum, 0]
    values = (counts - mean) / np.sqrt(mean + one.dispersion * mean**2)
    return np.clip(values, -np.sqrt(len(counts)), np.sqrt(len(counts)))


def _splits(residuals: np.ndarray, seed: int) -> list[np.ndarray]:
    """First guesses, (cells,) bool each: 2-means on all leading components, and on each of them alone. The
    states need not be what cells differ in most: a cell cycle may be.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    components = min(COMPONENTS, *residuals.shape)
    leading = PCA(components, svd_solver="randomized", random_state=seed).fit_transform(residuals)
    parts = [leading, *(leading[:, [k]] for k in range(components))]
    means: Any = KMeans(2, n_init=10, random_state=seed)  # type: ignore[arg-type]
    return [means.fit_predict(part) == 1 for part in parts]


def _moments(
    counts: np.ndarray, size: np.ndarray, stratum: np.ndarray, strata: int, second: np.ndarray
) -> States:
    """Shares and dispersion of two given groups of cells. The ratio of the two states is taken to be the same
    in every stratum, whose own level is that of its cells.
    """
    m = counts.shape[1]
    share = np.empty((2, m))
    for state, inside in enumerate((~second, second)):
        among = counts[inside].sum(axis=0), size[inside].sum()
        share[state] = (among[0] + _PSEUDO_COUNT) / max(among[1], size.mean())
    level = np.ones((strata, m))
    for each in np.unique(stratum):
        own = stratum == each
        expected = size[own & ~second].sum() * share[0] + size[own & second].sum() * share[1]
        level[each] = (counts[own].sum(axis=0) + _PSEUDO_COUNT) / (expected + _PSEUDO_COUNT)
    mean = level[:, None, :] * share[None]
    expected = size[:, None] * mean[stratum, second.astype(int)]
    over = ((counts - expected) ** 2 - expected).sum(axis=0) / np.maximum((expected**2).sum(axis=0), 1e-12)
    return States(mean, np.maximum(over, 1e-3), float("nan"))


def _separation(score: np.ndarray) -> float:
    """Distance of the means of the two sides of 0 over the standard deviation within them; 0 where all are on
    one side.
    """
    above, below = score[score > 0], score[score <= 0]
    if min(len(above), len(below)) < 2:
        return 0.0
    within = np.sqrt((above.var() * len(above) + below.var() * len(below)) / len(score))
    return float((above.mean() - below.mean()) / max(within, 1e-12))
