"""The model of a run, ready for questions, and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.shared import contents
from dashboard.shared.cached import of_run
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:  # with torch, which the other pages do not need
    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.questions.whatif import Answer, NetworkOnly, Question, Reach

PREDICTOR_FILES = ("cells.h5ad", "model.safetensors", "panel.json", "config.json")
MODEL_FILES = (*PREDICTOR_FILES, "network.safetensors")


@of_run(*PREDICTOR_FILES, kind="resource", entries=2, spinner="Getting the model ready for questions …")
def predictor(run: RunFolder) -> EffectPredictor | None:
    """The model ready for questions; None where the run holds no cells or no weights."""
    if not all(run.has(name) for name in PREDICTOR_FILES):
        return None
    import torch

    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.runs.model import load_model

    # Answers take tenths of a second on one core; on several that a training also wants, threads wait for
    # each other.
    torch.set_num_threads(1)
    return EffectPredictor(load_model(run), contents.cells(run), run.settings().inference)


@of_run(*MODEL_FILES, kind="resource", entries=4)
def reach(run: RunFolder) -> Reach:
    """How far the screen of a run knocked its genes down, and which of them trained. Raises RunError where
    the run holds no cells.
    """
    from gpovae_core.methods.fitted import NetworkFit
    from gpovae_core.questions.whatif import Reach

    cells, arrays = contents.cells(run), run.network_arrays()
    return Reach.of(cells, run.settings(), NetworkFit.from_arrays(arrays) if arrays else None)


@of_run(
    "config.json",
    "cells.h5ad",
    kind="resource",
    entries=2,
    spinner="Learning from the training perturbations what the network alone can say, once per run …",
)
def network_only(run: RunFolder) -> NetworkOnly:
    """What the training perturbations say of genes that were never perturbed
    (gpovae_core.questions.unseen).
    """
    from gpovae_core.questions.whatif import network_alone

    return network_alone(contents.cells(run), run.settings())()


@of_run(*MODEL_FILES, kind="data", entries=64, spinner="Asking the model …")
def answer(run: RunFolder, asked: Question) -> Answer:
    """The answer of a run to a what-if question."""
    from gpovae_core.questions.whatif import ask

    known = reach(run)
    run.mask_logits()  # says in words what is wrong with the weights, if anything is
    ready = predictor(run) if known.spoken_for(asked.genes) else None
    names = contents.cells(run).cells.var_names
    return ask(ready, known, asked, names, lambda: network_only(run))
