"""The page Response: what the model says a perturbation does, beside what was measured."""

from __future__ import annotations

import streamlit as st

from dashboard.response import choice, everything, observed, one_gene, path, predicted
from dashboard.response.scene import Scene, chosen_gene
from dashboard.shared import contents, shell, state
from dashboard.shared.words import plain
from gpovae_core.reporting.sentences import responders_in_words, states_in_words
from gpovae_core.runs.folder import RunFolder

UNIT = (
    "Effect: log2 fold change of the gene's mean share of a cell's counts, perturbed over control, without "
    "the common lift of all shares; -1 is half, 1 twice as much."
)
EXPLAINED = {
    "test": (
        "Observed effects come from held-out cells only: cells that neither the training nor its early "
        "stop has seen."
    ),
    "all": (
        "Observed effects come from every cell, the training cells included. Less noise, but the model has "
        "seen most of these cells, and so has the training-mean baseline: agreement looks better than it "
        "is."
    ),
}
PARTS = {
    "Predicted against observed": predicted.show,
    "Which genes changed": observed.show,
    "One gene": one_gene.show,
    "Along a path": path.show,
    "All perturbations": everything.show,
}


def show(run: RunFolder) -> None:
    if run.without_cells and not run.has("effects.h5ad"):
        st.info(plain(run.without_cells))
        return
    effects = contents.effects(run)
    reference = state.get(state.REFERENCE)
    chosen = choice.choose(effects, reference)
    st.caption(f"{EXPLAINED[reference]} {UNIT}")
    scene = Scene(run, effects, reference, chosen, chosen_gene(run, effects))
    with shell.errors_in_words():
        about_cells(run, chosen)
        choice.gene_bar(scene)
    shell.tabs(state.RESPONSE_PART, {name: lambda part=part: part(scene) for name, part in PARTS.items()})


def about_cells(run: RunFolder, chosen: tuple[str, ...]) -> None:
    """Of each perturbation, how many of its cells respond, and whether it moves cells between states."""
    scores = contents.evaluation(run)
    for name in chosen:
        moved, responding = states_in_words(scores, name), responders_in_words(scores, name)
        if moved:
            st.warning(f"**{plain(name)}.** {plain(moved)}")
        if responding:
            st.caption(f"{plain(name)}. {plain(responding)}")
