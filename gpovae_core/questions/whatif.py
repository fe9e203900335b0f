"""What if these genes went down, by this much? One answer of a run, with what it rests on.

Strength. A knock-down that leaves a fraction 1 - f of a gene's mRNA changes its log by log(1 - f). The screen
reached some change of its own for every perturbed gene (read off its mRNA; assumed where that tells nothing,
as after a knock-out). The model learned what that one does; another strength enters as the ratio of the two
logs, the *dose*: in place of the 1 of the dosage matrix, so that what the network carries (T_K) and the
learned offset of the decoder both grow in proportion to the log. No cell speaks for strengths other than that
of the screen.

Combinations. Where guides lower transcription, their effects multiply: doses stand side by side, and logs add
up along the network. After a knock-out a function that is gone cannot be lost again through another gene of
the combination: the doses x are those for which every gene ends at what was asked of it, x_j + sum_i x_i T_ij
= c_j over the genes of the combination (unless cells of exactly this combination trained the model).

Genes that no training cell speaks for are answered by the network alone (questions.network_alone), and in a
combination they are added to what the model says of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import QueryError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.questions.interactions import Interaction, predicted_interaction
from gpovae_core.questions.network_alone import NetworkAlone
from gpovae_core.questions.predicted import EffectPredictor
from gpovae_core.questions.reach import Basis, Question, Reach, Strength, question

if TYPE_CHECKING:
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.runs.stored_effects import Effects


@dataclass(frozen=True)
class Answer:
    """What the run expects. Effects are log2 fold changes of mean shares against control, without the common
    lift.

    strengths: gene -> how much of it was taken away, and how that is known. table: one row per measured gene,
    strongest first: gene, effect, sd (over the model's draws, or where the network alone speaks of its
    errors on left-out training perturbations), low, high (1.96 of these on either side, the model's own
    multiplied by the run's factor, evaluation.intervals), additive (sum of the effects of the genes alone;
    combinations only), perturbed, and on the scale of the scores log_difference and log_difference_sd
    (difference of mean log2(1 + 1e4 x / l)). Effects of an untrained gene on itself are NaN: its fall is what
    was asked for. interaction: predicted departures from additivity, None for single genes and where the
    genes could only be added up. by_network: genes answered by the network alone. monte_carlo_error: see
    questions.predicted.
    """

    question: Question
    basis: Basis
    strengths: Mapping[str, Strength]
    table: pd.DataFrame
    interaction: Interaction | None
    by_network: tuple[str, ...]
    monte_carlo_error: float


@dataclass(frozen=True)
class _Sum:
    """(G,) effects on one scale, added up over the genes that were asked for, with their variance, and that
    part of it which is the model's own.
    """

    effect: np.ndarray
    variance: np.ndarray
    of_model: np.ndarray

    @classmethod
    def nothing(cls, genes: int) -> _Sum:
        return cls(*np.zeros((3, genes)))

    def with_model(self, effect: pd.DataFrame, deviation: pd.DataFrame) -> _Sum:
        """The last row of what the model says."""
        variance = deviation.to_numpy()[-1].astype(float) ** 2
        return _Sum(effect.to_numpy()[-1].astype(float), variance, variance)

    def plus(self, effect: np.ndarray, spread: np.ndarray) -> _Sum:
        return _Sum(self.effect + effect, self.variance + spread**2, self.of_model)


class Respondent:
    """A run that answers questions. What an answer needs is made when the first question needs it, and kept:
    the reach of the screen, the model made ready, what the network alone says of genes without training
    cells.
    """

    def __init__(
        self,
        prepared: PreparedCells,
        settings: Settings,
        fit: NetworkFit | None,
        ready: Callable[[], EffectPredictor],
        widening: float = 1.0,
    ) -> None:
        """fit: None where the run had no network stage; ready: gives the model made ready for questions;
        widening: what the model's own spread is multiplied by in intervals (evaluation.intervals).
        """
        self.prepared, self.settings, self.fit, self._ready = prepared, settings, fit, ready
        self.widening = widening

    @classmethod
    def of(cls, run: RunFolder, prepared: PreparedCells | None = None, widening: float = 1.0) -> Respondent:
        """A run folder; prepared: its cells, where they were read already. Raises RunError without cells."""
        from gpovae_core.runs.model import load_model

        cells, settings, arrays = prepared or run.cells(), run.settings(), run.network_arrays()
        return cls(
            cells,
            settings,
            NetworkFit.from_arrays(arrays) if arrays else None,
            lambda: EffectPredictor(load_model(run), cells, settings.inference),
            widening,
        )

    @cached_property
    def reach(self) -> Reach:
        return Reach.of(self.prepared, self.settings, self.fit)

    @cached_property
    def predictor(self) -> EffectPredictor:
        return self._ready()

    @cached_property
    def network_alone(self) -> NetworkAlone:
        return NetworkAlone.of(self.prepared, self.settings)

    def by_network(self, asked: Question) -> tuple[str, ...]:
        """Genes of a question that no training cell speaks for."""
        spoken_for = self.reach.spoken_for(asked.genes)
        return tuple(gene for gene in asked.genes if gene not in spoken_for)

    def ask(self, asked: Question) -> Answer:
        """Raises QueryError for an impossible strength, and where there is too little to learn from."""
        reach, genes, by_network = self.reach, self.prepared.cells.var_names, self.by_network(asked)
        alone = pd.DataFrame(0.0, index=pd.Index(asked.genes), columns=genes)
        fold, log = _Sum.nothing(len(genes)), _Sum.nothing(len(genes))
        error, interaction = 0.0, None
        if by_model := reach.spoken_for(asked.genes):
            one = np.stack([reach.panel.dosage(gene) for gene in by_model])
            single = [reach.dose_in(asked, gene) for gene in by_model]
            doses = reach.doses(asked)
            both = [doses[gene] for gene in by_model]
            dosage = (np.vstack([np.diag(single), both] if len(by_model) > 1 else [single]) @ one).astype(
                np.float32
            )
            found = self.predictor.effects_of_dosage(
                dosage, (*by_model, "together") if len(by_model) > 1 else by_model
            )
            alone.loc[list(by_model)] = found.fold.iloc[: len(by_model)].to_numpy()
            fold = fold.with_model(found.fold, found.fold_deviation)
            log = log.with_model(found.mean, found.deviation)
            error = found.monte_carlo_error
            if len(by_model) > 1 and not by_network:
                interaction = _departures(self.predictor, asked, dosage)
        for gene in by_network:
            dose = reach.dose_in(asked, gene)
            change, spread = (
                dose * self.network_alone.effect(gene),
                dose * self.network_alone.weights.deviation,
            )
            log = log.plus(change, spread)
            alone.loc[gene], own = self._in_folds(gene, change, spread)
            fold = fold.plus(alone.loc[gene].to_numpy(), own)
        width = np.sqrt(fold.variance + (self.widening**2 - 1) * fold.of_model)
        table = _table(asked, genes, fold.effect, np.sqrt(fold.variance), width, alone, log)
        strengths = {
            gene: reach.strength(gene, loss, gene in asked.raised) for gene, loss in asked.loss.items()
        }
        return Answer(asked, reach.basis(asked.genes), strengths, table, interaction, by_network, error)

    def _in_folds(self, gene: str, change: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(G,) log2 fold changes of mean shares without the common lift, and their spread, of changes (G,) of
        mean log2(1 + 1e4 x / l).
        """
        middle, at = self.predictor.folds_of(change), np.nan_to_num(change)
        low, high = (self.predictor.folds_of(at + side * spread) for side in (-1, 1))
        others = np.isfinite(middle) & (self.prepared.cells.var_names != gene)
        return middle - (np.median(middle[others]) if others.any() else 0.0), (high - low) / 2

    def ask_all(
        self,
        perturbations: tuple[str, ...],
        loss: Mapping[str, float] | None = None,
        progress: Progress | None = None,
    ) -> list[Answer]:
        """Answers to several questions, genes of a combination joined by '+'.

        loss: gene -> share of its mRNA lost, where not as in the screen; of a gene that is activated, with
        keys.ACTIVATED behind its name, 1 - the fold to which it rises.

        Raises QueryError for genes outside the panel, and for a loss of a gene that no question names.
        """
        panel = self.prepared.panel
        given = {panel.canonical(gene): fraction for gene, fraction in (loss or {}).items()}
        questions = [
            question(panel, dict.fromkeys(name.split(keys.PAIR_SEPARATOR))) for name in perturbations
        ]
        unused = sorted(set(given) - {name for one in questions for name in one.named})
        if unused:
            raise QueryError(
                f"A loss is given for {', '.join(unused)}, which no perturbation asked for names."
            )
        answers = []
        for done, one in enumerate(questions, start=1):
            answers.append(self.ask(one.with_loss(given)))
            tell(progress, "predicting", done / len(questions))
        return answers


def effects_of(answers: Sequence[Answer]) -> pd.DataFrame:
    """The answers in one table, a row for every perturbation and gene: perturbation, gene, effect, sd, low,
    high, additive (where one of them is a combination), log_difference; see Answer.
    """
    table = pd.concat(
        [one.table.assign(perturbation=one.question.perturbation) for one in answers], ignore_index=True
    )
    columns = ["perturbation", "gene", "effect", "sd", "low", "high"]
    return table.reindex(columns=[*columns, *["additive"] * ("additive" in table), "log_difference"])


def with_measured(answer: Answer, effects: Effects | None, layer: str) -> pd.DataFrame:
    """The table of an answer with the columns measured and measured_se: what cells with exactly these genes
    perturbed show, log2 fold changes of mean shares, NaN where there are none. effects: as in effects.h5ad;
    layer: keys.OBSERVED_TEST or OBSERVED_ALL."""
    table = answer.table.assign(measured=np.nan, measured_se=np.nan)
    if effects is None or answer.question.perturbation not in effects.obs_names:
        return table
    row, place = (
        effects.obs_names.get_loc(answer.question.perturbation),
        effects.var_names.get_indexer(pd.Index(table["gene"])),
    )
    layer = keys.fold(layer)
    for column, name in (("measured", layer), ("measured_se", keys.standard_error(layer))):
        if name not in effects.layers:
            continue
        values = np.asarray(effects.layers[name][row], dtype=float).ravel()
        table[column] = np.where(place >= 0, values[place], np.nan)
    return table


def _departures(predictor: EffectPredictor, asked: Question, dosage: np.ndarray) -> Interaction:
    """Predicted log2 fold changes of the combination beside those of its genes, each without the common lift
    of all other genes; the draws of the guide are independent between them."""
    draws = [predictor.share_changes(row)[0] for row in dosage]
    change = np.stack([values.mean(axis=1) for values in draws])
    others = ~predictor.genes.isin(asked.genes)
    change = change - np.median(change[:, others], axis=1, keepdims=True) if others.any() else change
    error = np.sqrt(
        sum(values.var(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values)) for values in draws)
    )
    return predicted_interaction(
        keys.PAIR_SEPARATOR.join(asked.genes), predictor.genes, change[:-1], change[-1], error
    )


def _table(
    asked: Question,
    genes: pd.Index,
    together: np.ndarray,
    sd: np.ndarray,
    width: np.ndarray,
    alone: pd.DataFrame,
    log: _Sum,
) -> pd.DataFrame:
    table = pd.DataFrame({"gene": genes.astype(str), "effect": together, "sd": sd})
    table = table.assign(
        low=table["effect"] - keys.NORMAL_95 * width,
        high=table["effect"] + keys.NORMAL_95 * width,
    )
    if len(asked.genes) > 1:
        table = table.assign(additive=alone.to_numpy(dtype=float).sum(axis=0))
    table = table.assign(
        perturbed=table["gene"].isin(asked.genes),
        log_difference=log.effect,
        log_difference_sd=np.sqrt(log.variance),
    )
    order = np.argsort(-table["effect"].abs().fillna(-1).to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)
