"""What only the page What if reads or computes of a run, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.shared import contents, questions
from dashboard.shared.cached import of_run
from dashboard.shared.questions import MODEL_FILES
from gpovae_core import keys
from gpovae_core.evaluation.scores import UnseenProtocol
from gpovae_core.evaluation.stored import read_unseen
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.interactions import Interaction
    from gpovae_core.questions.pairs import PairRanking


@of_run("cells.h5ad", kind="data", entries=32, spinner="Comparing the combination with its parts …")
def interaction(run: RunFolder, combination: str, splits: tuple[str, ...]) -> Interaction:
    """A measured combination beside its parts. Raises QueryError where one of them was not measured in these
    splits.
    """
    from gpovae_core.questions.interactions import measured_interaction

    return measured_interaction(contents.cells(run), combination, splits)


@of_run("unseen.json", kind="data", entries=32)
def unseen(run: RunFolder) -> UnseenProtocol | None:
    """How well the network alone predicted held-out perturbations of this run; None where that was not
    measured.
    """
    return read_unseen(run)


@of_run(
    *MODEL_FILES,
    "effects.h5ad",
    "evaluation.json",
    kind="resource",
    entries=8,
    spinner="Ranking all pairs, once per run …",
)
def ranking(run: RunFolder, asked: tuple[tuple[str, str], ...]) -> PairRanking:
    """All pairs and genes of a run, ranked. asked: pairs for which the model is asked in any case."""
    from gpovae_core.questions.pairs import rank_pairs

    run.check_weights()  # says in words what is wrong with the weights, if anything is
    if asked:
        whole = ranking(run, ())
        told = whole.pairs.loc[whole.pairs["by"] == "model"]
        known = {frozenset(pair) for pair in zip(told["first"], told["second"], strict=True)}
        if all(frozenset(pair) in known for pair in asked):
            return whole
    effects = None
    if run.has("effects.h5ad"):  # row by row: not from disk
        effects = contents.effects(run).held(keys.OBSERVED_TEST, keys.PREDICTED)
    return rank_pairs(questions.respondent(run), effects, asked)
