"""The page Response: what the model says a perturbation does, beside what was measured."""

from __future__ import annotations

import streamlit as st

from dashboard.response import answer, choice, everything, observed, one_gene, path, predicted
from dashboard.response.scene import Scene, chosen_gene
from dashboard.shared import contents, shell, state
from dashboard.shared.words import plain
from gpovae_core.runs.folder import RunFolder

PARTS = {
    "Predicted against observed": predicted.show,
    "Which genes changed": observed.show,
    "One gene": one_gene.show,
    "Along a path": path.show,
    "All perturbations": everything.show,
}
TABS = "response_part"
"""Key of the tabs in the session: the name of the open one."""


def show(run: RunFolder) -> None:
    chosen = state.get(state.PERTURBATIONS) != ()
    places = shell.bar(
        [2.3, 4, 3, 2.6, 1.1], f"{state.get(state.RUN)}: other perturbations, genes, cells", folded=chosen
    )
    shell.run_choice(places[0])
    if run.without_cells and not run.has("effects.h5ad"):
        st.info(plain(run.without_cells))
        return
    effects = contents.effects(run)
    reference = state.get(state.REFERENCE)
    chosen = choice.choose(run, reference, places)
    scene = Scene(run, effects, reference, chosen, chosen_gene(run, effects))
    choice.gene_choice(scene, places[2])
    answer.show(scene)
    shell.notices(run)
    with shell.errors_in_words():
        choice.chosen_gene_words(scene)
    parts = {name: lambda part=part: part(scene) for name, part in PARTS.items()}
    shell.tabs(TABS, parts, state.RESPONSE_PART)
    answer.explained(scene)
