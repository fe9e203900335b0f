"""Response: what the model says a perturbation does, beside what was measured."""

from typing import Any

import streamlit as st

from dashboard.response import tabs
from dashboard.shared import loaders, shell, state
from dashboard.shared.figures import format_choice
from dashboard.shared.glossary import meaning
from gpovae_core.plots import response
from gpovae_core.runs.folder import RunFolder

UNIT = (
    "Effect: mean of log2(counts per 10,000 + 1) in perturbed cells minus the same in control cells; -1 is "
    "about half."
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


def choose(effects: Any, reference: Any) -> tuple[str, ...]:
    names = [str(name) for name in effects.obs_names]
    kept = [name for name in state.get(state.PERTURBATIONS) or [] if name in names][: tabs.MOST]
    if not kept and state.get(state.PERTURBATIONS) is None:
        wanted = (
            *state.get(state.PATH)[:1],
            state.get(state.FOCUS),
            response.strongest_perturbation(effects, reference),
        )
        kept = [name for name in wanted if name in names][:1]
    state.put(**{state.PERTURBATIONS: kept})
    left, middle, right = st.columns([5, 3, 3])
    left.multiselect(
        f"Perturbations (up to {tabs.MOST})",
        names,
        help=meaning("perturbation"),
        max_selections=tabs.MOST,
        **state.bound(state.PERTURBATIONS),
    )
    middle.radio(
        "Compare with",
        list(tabs.REFERENCES),
        format_func=tabs.REFERENCES.__getitem__,
        horizontal=True,
        **state.bound(state.REFERENCE),
    )
    with right:
        format_choice()
    return tuple(state.get(state.PERTURBATIONS) or ())


def page(run: RunFolder) -> None:
    effects = loaders.effects(run)
    reference = state.get(state.REFERENCE)
    chosen = choose(effects, reference)
    st.caption(f"{EXPLAINED[reference]} {UNIT}")
    scene = tabs.Scene(run, effects, reference, chosen, tabs.chosen_gene(run, effects))
    with shell.errors_in_words():
        tabs.gene_bar(scene)
    shell.tabs(
        state.RESPONSE_PART, {name: lambda part=part: part(scene) for name, part in tabs.PARTS.items()}
    )


shell.title(
    "Response", "What the model predicts a perturbation to do, gene by gene, beside what was measured."
)
if (opened := shell.opened_run()) is not None:
    page(opened)
