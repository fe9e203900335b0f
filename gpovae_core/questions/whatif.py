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

Genes that no training cell speaks for are answered by the network alone (gpovae_core.questions.unseen), and
in a combination they are added to what the model says of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import Panel, PreparedCells
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.errors import QueryError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import own_change
from gpovae_core.questions.interactions import Interaction, predicted_interaction
from gpovae_core.questions.predicted import EffectPredictor
from gpovae_core.questions.unseen import PartWeights, Screen, fit_weights, predict_unseen

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.runs.folder import RunFolder

Basis = Literal[
    "seen",
    "held out",
    "extended",
    "seen combination",
    "combination of seen genes",
    "partly unseen combination",
]
"""What an answer rests on. held out: the run has cells of it, none of which trained; extended: the gene was
never perturbed.
"""

MOST_GENES = 4
LARGEST_LOSS = 0.99
NORMAL_95 = 1.96

NetworkOnly = tuple[Screen, PartWeights]


def network_alone(prepared: PreparedCells, settings: Settings) -> Callable[[], NetworkOnly]:
    """What the training perturbations say of genes that none of them perturbs; learned when it is first asked
    for.
    """

    @cache
    def learned() -> NetworkOnly:
        screen = Screen.of(prepared, settings)
        return screen, fit_weights(screen)

    return learned


@dataclass(frozen=True)
class Reach:
    """How far the screen knocked every panel gene down, and which genes its training cells speak for.

    change: (n,) natural log fold change of a gene's own mRNA when it is perturbed, the typical one where it
    never was; assumed: (n,) bool, not read off that gene; trained, held_out: (n,) bool, the gene alone has
    training cells, or cells but none of them training; combinations: those with training cells; knock_out:
    whether the screen is taken for one of knock-outs; influence: (n, n) T_K, None where the run has no signed
    one.
    """

    panel: Panel
    change: np.ndarray
    assumed: np.ndarray
    trained: np.ndarray
    held_out: np.ndarray
    combinations: frozenset[str]
    knock_out: bool = False
    influence: np.ndarray | None = None

    @classmethod
    def of(cls, prepared: PreparedCells, settings: Settings, stage: NetworkFit | None = None) -> Reach:
        """From the network stage where the run had one, else from the training cells."""
        panel = prepared.panel
        labels = set(prepared.labels)
        training = set(prepared.labels[prepared.where(splits=(keys.TRAIN,))])
        trained = np.array([gene in training for gene in panel.genes])
        held_out = np.array([gene in labels and gene not in training for gene in panel.genes])
        if stage is not None:
            change, whole = stage.own_change, bool(stage.knock_out[0])
            measured = np.diag(stage.effect)
            read = np.isclose(change, measured, rtol=1e-5, equal_nan=False) & trained & (not whole)
        else:
            observed = contrasts(prepared)
            own, whole = own_change(observed, settings.network.perturbation, settings.network.complete_loss)
            typical = float(np.median(own)) if len(own) else float(np.log1p(-settings.network.complete_loss))
            change, read = np.full(len(panel), typical), np.zeros(len(panel), dtype=bool)
            change[observed.sources] = own
            read[observed.sources] = np.isclose(own, observed.own[0]) & (not whole)
        combinations = frozenset(name for name in training if keys.PAIR_SEPARATOR in name)
        return cls(
            panel,
            change,
            ~read,
            trained,
            held_out,
            combinations,
            whole,
            None if stage is None else stage.influence,
        )

    def reached(self, gene: str) -> float:
        """Share of the gene's mRNA (or, after a knock-out, function) that its perturbation is taken to remove
        in this screen.
        """
        return float(-np.expm1(self.change[self.panel.position(gene)]))

    def dose(self, gene: str, loss: float | None) -> float:
        """Ratio of log(1 - loss) to the log fold change that the screen reached; 1 where loss is None. Raises
        QueryError.
        """
        if loss is None:
            return 1.0
        if not 0.0 < loss <= LARGEST_LOSS:
            raise QueryError(
                f"The knock-down of {gene} must take more than 0 and at most {LARGEST_LOSS:.0%} of its "
                f"mRNA; got {loss:.4g}. Give a fraction such as 0.8."
            )
        return float(np.log1p(-loss) / self.change[self.panel.position(gene)])

    def doses(self, asked: Question) -> dict[str, float]:
        """Dose of every gene of a question; smaller after knock-outs where one gene of a combination already
        lowers another.
        """
        doses = {gene: self.dose(gene, loss) for gene, loss in asked.loss.items()}
        if (
            len(doses) < 2
            or not self.knock_out
            or self.influence is None
            or self.basis(asked.genes) == "seen combination"
        ):
            return doses
        places = [self.panel.position(gene) for gene in doses]
        among = self.influence[np.ix_(places, places)] * (1 - np.eye(len(places)))
        wanted = np.array(list(doses.values())) * self.change[places]
        own = np.linalg.lstsq(np.eye(len(places)) + among.T, wanted, rcond=None)[0] / self.change[places]
        return {
            gene: float(np.clip(x, 0.0, most)) for (gene, most), x in zip(doses.items(), own, strict=True)
        }

    def basis(self, genes: tuple[str, ...]) -> Basis:
        """What an answer about these panel genes together rests on."""
        places = [self.panel.position(gene) for gene in genes]
        if len(places) == 1:
            return (
                "seen" if self.trained[places[0]] else "held out" if self.held_out[places[0]] else "extended"
            )
        if keys.PAIR_SEPARATOR.join(sorted(self.panel.genes[i] for i in places)) in self.combinations:
            return "seen combination"
        return "combination of seen genes" if self.trained[places].all() else "partly unseen combination"

    def spoken_for(self, genes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the genes that the model was trained on: alone, or in exactly this combination."""
        if self.basis(genes) == "seen combination":
            return genes
        return tuple(gene for gene in genes if self.trained[self.panel.position(gene)])


@dataclass(frozen=True)
class Question:
    """Panel genes, and of each the share of its mRNA that is lost; None: as much as the screen reached."""

    loss: Mapping[str, float | None]

    @property
    def genes(self) -> tuple[str, ...]:
        return tuple(self.loss)

    @property
    def perturbation(self) -> str:
        """The name under which such cells would stand in the data."""
        return keys.PAIR_SEPARATOR.join(sorted(self.loss))

    @property
    def as_in_the_screen(self) -> bool:
        return all(loss is None for loss in self.loss.values())


def question(panel: Panel, loss: Mapping[str, float | None]) -> Question:
    """The question in the panel's spelling. Raises QueryError for genes outside the panel, none, or more than
    MOST_GENES.
    """
    named = {panel.genes[panel.position(gene)]: value for gene, value in loss.items()}
    if not 1 <= len(named) <= MOST_GENES:
        raise QueryError(f"Ask for 1 to {MOST_GENES} genes at a time; got {len(named)}.")
    return Question(named)


@dataclass(frozen=True)
class Answer:
    """What the run expects. Effects on log2(1 + 1e4 x / l) against control.

    table: one row per measured gene, strongest first: gene, effect, sd, low, high (95 %: of the model's
    draws, or where the network alone speaks of its errors on left-out training perturbations), additive (sum
    of the effects of the genes alone; combinations only), perturbed. interaction: predicted departures from
    additivity, None for single genes and where the genes could only be added up. by_network: genes answered
    by the network alone. monte_carlo_error: see inference.
    """

    question: Question
    basis: Basis
    table: pd.DataFrame
    interaction: Interaction | None
    by_network: tuple[str, ...]
    monte_carlo_error: float


def ask(
    predictor: EffectPredictor | None,
    reach: Reach,
    asked: Question,
    genes: pd.Index,
    network_only: Callable[[], NetworkOnly],
) -> Answer:
    """Answer a question. predictor: may be None where no trained gene is asked for; network_only: called
    where an untrained one is.

    genes: the measured genes. Effects of an untrained gene on itself are NaN: its fall is what was asked for.
    """
    by_model = reach.spoken_for(asked.genes)
    by_network = tuple(gene for gene in asked.genes if gene not in by_model)
    alone = pd.DataFrame(0.0, index=pd.Index(asked.genes), columns=genes)
    variance, error, interaction = np.zeros(len(genes)), 0.0, None
    together = np.zeros(len(genes))
    if by_model:
        assert predictor is not None
        one = np.stack([reach.panel.dosage(gene) for gene in by_model])
        single = [reach.dose(gene, asked.loss[gene]) for gene in by_model]
        doses = reach.doses(asked)
        both = [doses[gene] for gene in by_model]
        dosage = (np.vstack([np.diag(single), both] if len(by_model) > 1 else [single]) @ one).astype(
            np.float32
        )
        found = predictor.effects_of_dosage(
            dosage, (*by_model, "together") if len(by_model) > 1 else by_model
        )
        alone.loc[list(by_model)] = found.mean.iloc[: len(by_model)].to_numpy()
        together, variance = (
            found.mean.to_numpy()[-1].astype(float),
            found.deviation.to_numpy()[-1].astype(float) ** 2,
        )
        error = found.monte_carlo_error
        if len(by_model) > 1 and not by_network:
            interaction = _departures(predictor, asked, dosage)
    for gene in by_network:
        screen, weights = network_only()
        dose = reach.dose(gene, asked.loss[gene])
        alone.loc[gene] = dose * predict_unseen(screen, weights, gene)
        together = together + alone.loc[gene].to_numpy()
        variance = variance + (dose * weights.deviation) ** 2
    table = _table(asked, genes, together, np.sqrt(variance), alone)
    return Answer(asked, reach.basis(asked.genes), table, interaction, by_network, error)


def ask_run(
    run: RunFolder,
    perturbations: tuple[str, ...],
    loss: Mapping[str, float],
    progress: Progress | None = None,
) -> list[Answer]:
    """Answers of a run to several questions, genes of a combination joined by '+'.

    loss: gene -> share of its mRNA lost, where not as in the screen.

    Raises QueryError for genes outside the panel, and for a loss of a gene that no question names.
    """
    from gpovae_core.runs.model import load_model

    prepared, settings, arrays = run.cells(), run.settings(), run.network_arrays()
    panel = prepared.panel
    given = {panel.genes[panel.position(gene)]: fraction for gene, fraction in loss.items()}
    questions = [question(panel, dict.fromkeys(name.split(keys.PAIR_SEPARATOR))) for name in perturbations]
    unused = sorted(set(given) - {gene for one in questions for gene in one.genes})
    if unused:
        raise QueryError(f"A loss is given for {', '.join(unused)}, which no perturbation asked for names.")
    questions = [Question({gene: given.get(gene) for gene in one.genes}) for one in questions]
    reach = Reach.of(prepared, settings, NetworkFit.from_arrays(arrays) if arrays else None)
    needed = any(reach.spoken_for(one.genes) for one in questions)
    predictor = EffectPredictor(load_model(run), prepared, settings.inference) if needed else None

    network_only, answers = network_alone(prepared, settings), []
    for done, one in enumerate(questions):
        answers.append(ask(predictor, reach, one, prepared.cells.var_names, network_only))
        tell(progress, "predicting", (done + 1) / len(questions))
    return answers


def answer_unseen(
    predictor: EffectPredictor, prepared: PreparedCells, reach: Reach, network_only: Callable[[], NetworkOnly]
) -> list[Answer]:
    """What the run says of every perturbation that was held out as a whole, knocked down as in the screen."""
    genes = prepared.cells.var_names
    asked = [
        question(prepared.panel, dict.fromkeys(name.split(keys.PAIR_SEPARATOR))) for name in prepared.unseen
    ]
    return [ask(predictor, reach, one, genes, network_only) for one in asked]


def with_measured(answer: Answer, effects: AnnData | None, layer: str) -> pd.DataFrame:
    """The table of an answer with the columns measured and measured_se: what cells with exactly these genes
    perturbed show, NaN where there are none. effects: as in effects.h5ad; layer: keys.OBSERVED_TEST or
    OBSERVED_ALL."""
    table = answer.table.assign(measured=np.nan, measured_se=np.nan)
    if effects is None or answer.question.perturbation not in effects.obs_names:
        return table
    row, place = (
        effects.obs_names.get_loc(answer.question.perturbation),
        effects.var_names.get_indexer(pd.Index(table["gene"])),
    )
    for column, name in (("measured", layer), ("measured_se", keys.standard_error(layer))):
        values = np.asarray(effects.layers[name][row], dtype=float).ravel()
        table[column] = np.where(place >= 0, values[place], np.nan)
    return table


def _departures(predictor: EffectPredictor, asked: Question, dosage: np.ndarray) -> Interaction:
    """Predicted log2 fold changes of the combination beside those of its genes, each without the common lift
    of all other genes; the draws of the guide are independent between them."""
    draws = [predictor.share_changes(row) for row in dosage]
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
    asked: Question, genes: pd.Index, together: np.ndarray, sd: np.ndarray, alone: pd.DataFrame
) -> pd.DataFrame:
    table = pd.DataFrame({"gene": genes.astype(str), "effect": together, "sd": sd})
    table = table.assign(
        low=table["effect"] - NORMAL_95 * table["sd"], high=table["effect"] + NORMAL_95 * table["sd"]
    )
    if len(asked.genes) > 1:
        table = table.assign(additive=alone.to_numpy(dtype=float).sum(axis=0))
    table = table.assign(perturbed=table["gene"].isin(asked.genes))
    order = np.argsort(-table["effect"].abs().fillna(-1).to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)
