"""Which gene, and which two genes, are worth perturbing? Everything a run can answer for, ranked.

Single genes and pairs are ranked by size (root mean square of the expected effects over all measured genes
but the perturbed ones, on the scale of the scores, log2(1 + 1e4 x / l), where genes of few counts weigh
little), pairs also by how far they depart from the sum of their genes, and by how far the
answer can be trusted.

A screen of 600 perturbations has 180,000 pairs, and the model takes a hundredth of a second for each of a
small panel, a tenth for a large one. So every pair is ranked by a formula (`pair_formula`), and the model
itself is asked for the first of them: half those of largest additive size, half those whose genes change the
same genes most. The table says which is which.

What no cell speaks for is refused, not ranked: a gene that was never perturbed, where the network alone has
nothing to say of it; and every pair with such a gene, as how it acts together with another is not predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.progress import Progress, tell
from gpovae_core.errors import QueryError
from gpovae_core.questions.interactions import RESPONSE, called_departures
from gpovae_core.questions.pair_formula import Pairs, strongest_pairs
from gpovae_core.questions.reach import FEW_CELLS, question

if TYPE_CHECKING:
    from gpovae_core.questions.whatif import Respondent
    from gpovae_core.runs.stored_effects import Effects

MOST_ASKED, FEWEST_ASKED = 300, 60
"""Pairs for which the model itself is asked, on a small and on a large screen."""
WORK = 500_000
"""Pairs times measured genes that the model is asked for at most: some twenty seconds."""
MOST_LISTED = 200_000
"""Pairs in a ranking at most, the largest by the formula."""
MOST_ALONE = 1000
"""Genes never perturbed for which the network alone is asked at most: those that most perturbations move."""
GOOD, FAIR = 0.5, 0.25
"""Correlation with held-out cells from which the answers about a single gene are called good, or fair."""

Trust = Literal["measured together", "good", "fair", "poor", "unknown"]
TRUST: tuple[Trust, ...] = ("measured together", "good", "fair", "poor", "unknown")
ORDERS = ("size", "departure", "trust")
"""By what a ranking of pairs can be sorted."""


@dataclass(frozen=True)
class Checked:
    """How predictions of combinations did in held-out cells, medians over the `combinations` that have some:
    rho, the correlation of predicted with measured effects over all genes but the perturbed ones, and
    additive_rho, that of the sum of the single predictions. trained: whether the model was trained on other
    cells of the same combinations, which makes it an easier task than an unseen one.
    """

    combinations: int
    trained: bool
    rho: float
    additive_rho: float


@dataclass(frozen=True)
class PairRanking:
    """pairs: one row per pair, those that the model was asked for first (a sum is often larger than what
    the model makes of it), largest first: first, second, size with low and high (its 95 % interval; NaN
    where the model was not asked), additive (size of the sum of the single effects), departure (root mean
    square of what the log2 fold changes of shares depart from the sum of theirs, without what drawing alone
    gives), non_additive (genes called so, see questions.interactions), basis, cells
    (fewest training cells of the two), agreement (the lower correlation of the two single predictions with
    held-out cells), trust (one of TRUST), by ("model" or "sum"). size is that of the model where it was
    asked, else the additive one.

    genes: one row per gene of the panel that can be answered for, and one more where it is activated in cells
    of its own and knocked down in others, of which there are no pairs, largest first: gene, size, low, high,
    basis, cells, agreement, trust. possible: pairs of genes with training cells, of which `pairs` lists
    MOST_LISTED at most. asked: for how many of these the model was. refused: gene of the panel -> why it is
    not ranked. checked: None where no combination has held-out cells.
    """

    pairs: pd.DataFrame
    genes: pd.DataFrame
    possible: int
    asked: int
    refused: dict[str, str]
    checked: Checked | None

    def ordered(self, by: str) -> pd.DataFrame:
        """`pairs`, sorted by size, departure, or trust (the better trusted first, among equals the
        larger).
        """
        if by == "departure":
            return self.pairs.sort_values("departure", ascending=False, kind="stable", na_position="last")
        if by == "trust":
            rank = np.array([TRUST.index(trust) for trust in self.pairs["trust"]], dtype=int)
            return self.pairs.iloc[np.argsort(rank, kind="stable")]
        return self.pairs


def pairs_asked(genes: int) -> int:
    """For how many pairs the model is asked on a screen of so many measured genes."""
    return int(np.clip(WORK // max(genes, 1), FEWEST_ASKED, MOST_ASKED))


def rank_pairs(
    respondent: Respondent,
    effects: Effects | None = None,
    also: Sequence[tuple[str, str]] = (),
    most_asked: int | None = None,
    progress: Progress | None = None,
) -> PairRanking:
    """All pairs of genes with training cells, and all genes of the panel, each perturbed as far as the screen
    did.

    effects: as in effects.h5ad, of which the predictions for single genes are taken, and what held-out cells
    say of them; without it the model is asked, and nothing is known of its agreement. also: pairs for which
    the model is asked whatever their place. Raises QueryError for genes that are not in the panel, or of
    which no training cell speaks.
    """
    prepared = respondent.prepared
    trained, raised = _trained(respondent)
    wanted = [_named(respondent, pair, trained) for pair in also]
    names = (*trained, *raised)
    every = _single_effects(respondent, effects, names, progress)
    singles = every[: len(trained)]
    own = prepared.cells.var_names.get_indexer(pd.Index(trained))
    ask = pairs_asked(prepared.cells.n_vars) if most_asked is None else most_asked
    found = strongest_pairs(singles, own, MOST_LISTED, ask)
    chosen = _to_ask(found, ask, [tuple(sorted(map(trained.index, pair))) for pair in wanted])
    told = _Told.of(respondent, effects, names)
    table = _formula_table(found, trained, told)
    answers = _Asked(respondent, names, every)
    rows = []
    for done, place in enumerate(chosen, start=1):
        rows.append(answers.pair(int(found.first[place]), int(found.second[place])))
        tell(progress, "asking the model for pairs", done / len(chosen))
    for column, values in (pd.DataFrame(rows, index=chosen) if rows else pd.DataFrame()).items():
        table.loc[chosen, column] = values
    table["non_additive"] = table["non_additive"].astype("Int64")
    genes, refused = _ranked_genes(respondent, names, every, answers, told, progress)
    return PairRanking(
        pairs=table.iloc[np.lexsort((-table["size"], table["by"] != "model"))].reset_index(drop=True),
        genes=genes,
        possible=len(trained) * (len(trained) - 1) // 2,
        asked=len(chosen),
        refused=refused,
        checked=_checked(respondent, effects),
    )


def _trained(respondent: Respondent) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Genes with training cells where they are knocked down (or what else was done to them), and those
    perturbations that activate one of the genes that are knocked down in other cells.
    """
    prepared, panel = respondent.prepared, respondent.reach.panel
    labels = set(prepared.labels[prepared.where(splits=(keys.TRAIN,))])
    names = [name for gene in panel.genes for name in keys.directions_of(gene, labels)]
    return (
        tuple(name for name in names if not keys.is_raised(name)),
        tuple(name for name in names if keys.is_raised(name)),
    )


def _named(respondent: Respondent, pair: tuple[str, str], trained: tuple[str, ...]) -> tuple[str, ...]:
    genes = question(respondent.prepared.panel, dict.fromkeys(pair)).genes
    if len(genes) != 2:
        raise QueryError(f"A pair is two different genes; got {' and '.join(pair)}.")
    for gene in genes:
        if gene not in trained:
            raise QueryError(
                f"No training cell has {gene} alone perturbed: a pair with it cannot be ranked. Ask for it "
                "as a question of its own, which says what the network alone knows."
            )
    return genes


def _to_ask(found: Pairs, ask: int, wanted: list[tuple[int, ...]]) -> np.ndarray:
    """Places of the pairs for which the model is asked: half by size, the rest by overlap, and the wanted."""
    by_size = np.arange(len(found))[: ask if ask >= len(found) else (ask + 1) // 2]
    rest = np.arange(len(by_size), len(found))
    by_overlap = rest[np.argsort(-found.overlap[rest], kind="stable")[: ask - len(by_size)]]
    given = [np.flatnonzero((found.first == a) & (found.second == b)) for a, b in wanted]
    return np.unique(np.concatenate([by_size, by_overlap, *given]).astype(int))


def _single_effects(
    respondent: Respondent, effects: Effects | None, trained: tuple[str, ...], progress: Progress | None
) -> np.ndarray:
    """(p, G) predicted effects of the single genes: those kept with the run, or else asked of the model."""
    genes = respondent.prepared.cells.var_names
    if effects is not None and set(trained) <= set(effects.obs_names):
        rows, columns = effects.obs_names.get_indexer(pd.Index(trained)), effects.var_names.get_indexer(genes)
        if (columns >= 0).all():
            return np.asarray(effects.layers[keys.PREDICTED], dtype=float)[np.ix_(rows, columns)]
    if not trained:
        return np.zeros((0, len(genes)))
    return respondent.predictor.effects(trained, progress).mean.to_numpy(dtype=float)


def _formula_table(found: Pairs, trained: tuple[str, ...], told: _Told) -> pd.DataFrame:
    names = np.array(trained, dtype=object)
    nothing = np.full(len(found), np.nan)
    both = (found.first, found.second)
    agreement = np.minimum(*(told.agreement[one] for one in both)) if len(found) else nothing
    cells = np.minimum(*(told.cells[one] for one in both)) if len(found) else nothing
    first, second = (names[one] if len(found) else nothing.astype(object) for one in both)
    basis = [told.basis(a, b) for a, b in zip(first, second, strict=True)]
    return pd.DataFrame(
        {
            "first": first,
            "second": second,
            "size": found.size,
            "low": nothing,
            "high": nothing,
            "additive": found.size,
            "departure": nothing,
            "non_additive": nothing,
            "basis": basis,
            "cells": cells.astype(int),
            "agreement": agreement,
            "trust": [trust(*row) for row in zip(basis, agreement, cells, strict=True)],
            "by": "sum",
        }
    )


def trust(basis: str, agreement: float, cells: float) -> Trust:
    """How far an answer can be trusted, by the weaker of its genes: see GOOD, FAIR and FEW_CELLS."""
    if basis == "seen combination":
        return "measured together"
    if not np.isfinite(agreement):
        return "unknown"
    if cells < FEW_CELLS or agreement < FAIR:
        return "poor"
    return "good" if agreement >= GOOD else "fair"


@dataclass(frozen=True)
class _Told:
    """What the screen says of its single genes: (p,) agreement with held-out cells, and training cells."""

    agreement: np.ndarray
    cells: np.ndarray
    combinations: frozenset[str]

    @classmethod
    def of(cls, respondent: Respondent, effects: Effects | None, trained: tuple[str, ...]) -> _Told:
        prepared = respondent.prepared
        counts = pd.Series(prepared.labels[prepared.where(splits=(keys.TRAIN,))]).value_counts()
        return cls(
            np.array([agreement(effects, gene) for gene in trained]),
            counts.reindex(list(trained), fill_value=0).to_numpy(),
            respondent.reach.combinations,
        )

    def basis(self, first: str, second: str) -> str:
        together = keys.PAIR_SEPARATOR.join(sorted((first, second)))
        return "seen combination" if together in self.combinations else "combination of seen genes"


def agreement(effects: Effects | None, perturbation: str, predicted: np.ndarray | None = None) -> float:
    """Correlation of the predicted effects of a perturbation with those in held-out cells, over the genes
    that it does not perturb; NaN where there are none. predicted: (G,) in the place of those of `effects`.
    """
    if effects is None or perturbation not in effects.obs_names:
        return float("nan")
    row = effects.obs_names.get_loc(perturbation)
    measured = np.asarray(effects.layers[keys.OBSERVED_TEST][row], dtype=float).ravel()
    if predicted is None:
        predicted = np.asarray(effects.layers[keys.PREDICTED][row], dtype=float).ravel()
    genes = keys.genes_of(perturbation)
    kept = np.isfinite(measured) & np.isfinite(predicted) & ~effects.var_names.isin(genes)
    if kept.sum() < 3 or not predicted[kept].std() or not measured[kept].std():
        return float("nan")
    return float(np.corrcoef(predicted[kept], measured[kept])[0, 1])


class _Asked:
    """The model's answers to pairs; what it says of a gene alone is asked once."""

    def __init__(self, respondent: Respondent, trained: tuple[str, ...], singles: np.ndarray) -> None:
        self.respondent, self.trained, self.singles = respondent, trained, singles
        self.genes = respondent.prepared.cells.var_names
        self._alone: dict[int, tuple[np.ndarray, np.ndarray, tuple[float, float, float]]] = {}

    def alone(self, place: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
        """(G,) mean and (G,) variance of the share changes of a gene alone, and its size with interval."""
        if place not in self._alone:
            gene = self.trained[place]
            dosage = self.respondent.reach.panel.dosage(gene).astype(np.float32)
            (own, shared), (changes, _) = self.respondent.predictor.draws(dosage)
            others = ~self.genes.isin(keys.genes_of(gene))
            size = _size(own.mean(axis=1), shared, others, self.respondent.widening)
            self._alone[place] = changes.mean(axis=1), _variance(changes), size
        return self._alone[place]

    def pair(self, first: int, second: int) -> dict[str, object]:
        """The columns of a pair's row that the model fills."""
        reach = self.respondent.reach
        genes = (self.trained[first], self.trained[second])
        doses = reach.doses(question(reach.panel, dict.fromkeys(genes)))
        one = np.stack([reach.panel.dosage(gene) for gene in genes])
        dosage = (np.array([doses[gene] for gene in genes]) @ one).astype(np.float32)
        (own, shared), (changes, _) = self.respondent.predictor.draws(dosage)
        others = ~self.genes.isin(genes)
        size, low, high = _size(own.mean(axis=1), shared, others, self.respondent.widening)
        parts = [self.alone(place)[:2] for place in (first, second)]
        mean = np.stack([*(part[0] for part in parts), changes.mean(axis=1)])
        if others.any():
            mean = mean - np.median(mean[:, others], axis=1, keepdims=True)
        departure = mean[2] - mean[0] - mean[1]
        error = np.sqrt(sum(part[1] for part in parts) + _variance(changes))
        _, _, called = called_departures(departure, error, ~others, least=RESPONSE)
        by_chance = error[others] ** 2 / changes.shape[1]  # of means over the draws
        beyond = (departure[others] ** 2 - by_chance).mean() if others.any() else 0.0
        return {
            "size": size,
            "low": low,
            "high": high,
            "departure": float(np.sqrt(max(beyond, 0.0))),
            "non_additive": float(called.sum()),
            "by": "model",
        }


def _variance(draws: np.ndarray) -> np.ndarray:
    """(G,) over draws (G, S); 0 for a single one."""
    return draws.var(axis=1, ddof=1) if draws.shape[1] > 1 else np.zeros(len(draws))


def _size(
    mean: np.ndarray, draws: np.ndarray, others: np.ndarray, widening: float
) -> tuple[float, float, float]:
    """Root mean square of effects (G,) over the genes `others`, and its 95 % interval.

    draws: (G, R) of the guide in the same cells. To first order the size moves with what a draw moves along
    the mean effect; noise that points elsewhere would only lift it, and is left out.
    """
    effect = mean[others].astype(float)
    size = float(np.sqrt((effect**2).mean())) if len(effect) else 0.0
    if not size:
        return 0.0, 0.0, 0.0
    along = effect @ draws[others].astype(float) / (size * len(effect))
    reach = keys.NORMAL_95 * widening * (float(along.std(ddof=1)) if len(along) > 1 else 0.0)
    return size, max(size - reach, 0.0), size + reach


def _ranked_genes(
    respondent: Respondent,
    trained: tuple[str, ...],
    singles: np.ndarray,
    answers: _Asked,
    told: _Told,
    progress: Progress | None,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Single genes, and which of the panel are refused."""
    names = respondent.prepared.cells.var_names
    sizes = [_rms(row[~names.isin(keys.genes_of(name))]) for name, row in zip(trained, singles, strict=True)]
    ask = np.argsort(-np.array(sizes), kind="stable")[: pairs_asked(len(names))]
    rows = []
    for place, (gene, size) in enumerate(zip(trained, sizes, strict=True)):
        asked = answers.alone(place)[2] if place in ask else (size, np.nan, np.nan)
        rows.append((gene, *asked, "seen", int(told.cells[place]), float(told.agreement[place])))
    alone, refused = _network_alone(respondent, trained, progress)
    columns = pd.Index(["gene", "size", "low", "high", "basis", "cells", "agreement"])
    table = pd.DataFrame([*rows, *alone], columns=columns)
    table["trust"] = [
        trust(*row) for row in zip(table["basis"], table["agreement"], table["cells"], strict=True)
    ]
    return table.sort_values("size", ascending=False, kind="stable").reset_index(drop=True), refused


ALONE_FAILS = (
    "it was never perturbed, and on left-out perturbations of this screen the network alone did no better "
    "than their mean: its answer would be the same for every such gene"
)
NOT_MOVED = "it was never perturbed, and no perturbation of this screen moves it"
TOO_MANY = "it was never perturbed, and fewer perturbations move it than the genes that are ranked"


def _network_alone(
    respondent: Respondent, trained: tuple[str, ...], progress: Progress | None
) -> tuple[list[tuple[object, ...]], dict[str, str]]:
    """Rows of the genes for which the network alone has something to say, and why not of the others."""
    panel, names = respondent.prepared.panel, respondent.prepared.cells.var_names
    others = [gene for gene in panel.genes if not keys.directions_of(gene, set(trained))]
    if not others:
        return [], {}
    try:
        network = respondent.network_alone
    except QueryError as error:
        return [], dict.fromkeys(others, str(error))
    if not network.weights.kept:
        return [], dict.fromkeys(others, ALONE_FAILS)
    movers = {gene: len(network.screen.moved_by(gene)) for gene in others}
    refused = {gene: NOT_MOVED for gene, count in movers.items() if not count}
    speaking = sorted((gene for gene in others if movers[gene]), key=lambda gene: -movers[gene])
    refused |= dict.fromkeys(speaking[MOST_ALONE:], TOO_MANY)
    rows: list[tuple[object, ...]] = []
    for done, gene in enumerate(speaking[:MOST_ALONE], start=1):
        kept = ~names.isin([gene])
        effect, error = np.nan_to_num(network.effect(gene))[kept], network.weights.deviation[kept]
        size = _rms(effect)
        spread = float(np.sqrt(((effect * error) ** 2).sum())) / (max(size, 1e-12) * len(effect))
        reach = keys.NORMAL_95 * spread
        basis = respondent.reach.basis((gene,))
        rows.append((gene, size, max(size - reach, 0.0), size + reach, basis, 0, float("nan")))
        tell(progress, "asking the network alone", done / min(len(speaking), MOST_ALONE))
    return rows, refused


def _rms(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.sqrt((known**2).mean())) if len(known) else 0.0


def _checked(respondent: Respondent, effects: Effects | None) -> Checked | None:
    """Combinations that the model was not trained on where there are any, else those that it was."""
    if effects is None:
        return None
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for name in effects.obs_names:
        parts = name.split(keys.PAIR_SEPARATOR)
        rho = agreement(effects, name)
        if len(parts) < 2 or not np.isfinite(rho) or not set(parts) <= set(respondent.prepared.panel.genes):
            continue
        rows = effects.obs_names.get_indexer(pd.Index(parts))
        additive = float("nan")
        if (rows >= 0).all():
            added = np.asarray(effects.layers[keys.PREDICTED][rows], dtype=float).sum(axis=0)
            additive = agreement(effects, name, added)
        found[name in respondent.reach.combinations].append((rho, additive))
    trained = not found[False]
    rows = np.array(found[trained])
    if not len(rows):
        return None
    additive = rows[np.isfinite(rows[:, 1]), 1]
    middle = float(np.median(additive)) if len(additive) else float("nan")
    return Checked(len(rows), trained, float(np.median(rows[:, 0])), middle)
