"""The model of a run, ready for questions, and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.shared import contents
from dashboard.shared.cached import of_run
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:  # with torch, which the other pages do not need
    from gpovae_core.questions.network_alone import NetworkAlone
    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.questions.reach import Question, Reach
    from gpovae_core.questions.whatif import Answer, Respondent

PREDICTOR_FILES = ("cells.h5ad", "model.safetensors", "panel.json", "config.json")
MODEL_FILES = (*PREDICTOR_FILES, "network.safetensors")


@of_run(
    *MODEL_FILES,
    "evaluation.json",
    kind="resource",
    entries=4,
    spinner="Getting the run ready for questions …",
)
def respondent(run: RunFolder) -> Respondent:
    """The run ready for questions, shared between sessions. Raises RunError where it holds no cells."""
    import torch

    from gpovae_core.questions.whatif import Respondent

    # Answers take tenths of a second on one core; on several that a training also wants, threads wait for
    # each other.
    torch.set_num_threads(1)
    scores = contents.evaluation(run)
    return Respondent.of(run, contents.cells(run), 1.0 if scores is None else scores.widening)


def predictor(run: RunFolder) -> EffectPredictor | None:
    """The model ready for questions; None where the run holds no cells or no weights."""
    return respondent(run).predictor if all(run.has(name) for name in PREDICTOR_FILES) else None


def reach(run: RunFolder) -> Reach:
    """How far the screen of a run knocked its genes down, and which of them trained. Raises RunError where
    the run holds no cells.
    """
    return respondent(run).reach


@of_run(
    *MODEL_FILES,
    kind="resource",
    entries=4,
    spinner="Learning from the training perturbations what the network alone can say, once per run …",
)
def network_alone(run: RunFolder) -> NetworkAlone:
    """What the training perturbations say of genes that were never perturbed
    (gpovae_core.questions.network_alone).
    """
    return respondent(run).network_alone


@of_run(*MODEL_FILES, kind="data", entries=64, spinner="Asking the model …")
def answer(run: RunFolder, asked: Question) -> Answer:
    """The answer of a run to a what-if question."""
    run.check_weights()  # says in words what is wrong with the weights, if anything is
    if respondent(run).by_network(asked):
        network_alone(run)  # says that this takes a while
    return respondent(run).ask(asked)
