"""The question: which genes, how strong; scenarios to try, to save and to load."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import contents, questions, shell, state
from dashboard.shared.words import plain
from dashboard.whatif import scenarios
from gpovae_core import keys
from gpovae_core.data.kinds import ACTIVATION, KNOCK_OUT
from gpovae_core.errors import GpoVaeError
from gpovae_core.methods.own_change import READ
from gpovae_core.questions.reach import (
    LARGEST_LOSS,
    MOST_FOLD,
    MOST_GENES,
    Question,
    Reach,
    Strength,
    question,
)
from gpovae_core.runs.folder import RunFolder

REFERENCES = {"test": "Held-out cells", "all": "All cells"}
REFUSED = "whatif_refused"
GENES, NAME, PARTS, OWN = "whatif_genes", "whatif_name", "whatif_parts", "whatif_own_strength"


def add(run: str, *more: scenarios.Scenario) -> None:
    """What a button does; a refusal is shown in the next run of the page."""
    try:
        scenarios.add(run, *more)
    except GpoVaeError as error:
        st.session_state[REFUSED] = str(error)


def strengths(run: RunFolder, chosen: list[str]) -> dict[str, float | None]:
    """Perturbation -> share of its gene's mRNA to be lost (below 0: activated), None for as much as the
    screen reached.
    """
    reach = questions.reach(run)
    names = [reach.panel.canonical(name) for name in chosen]
    if not st.toggle(
        "Choose how strong",
        key=OWN,
        help="Otherwise every gene is perturbed as far as the screen reached.",
    ):
        return dict.fromkeys(names)
    loss = {name: _strength(reach, place, name) for place, name in enumerate(names)}
    st.caption(
        "How strength enters: the model has seen one strength per gene, the screen's. Another one scales "
        "what the network carries, and what the model learned beyond it, by the ratio of the log fold "
        "changes: log(1 - fraction lost) over that of the screen. No cell speaks for it."
    )
    return loss


def _strength(reach: Reach, place: int, name: str) -> float | None:
    """The slider of one perturbation, and what it says; None: as in the screen."""
    (gene,) = keys.genes_of(name)
    in_the_screen = reach.strength(gene, None, keys.is_raised(name))
    if keys.is_raised(name):
        return _fold(in_the_screen, place, gene)
    if in_the_screen.kind == ACTIVATION:
        st.caption(f"In this screen {plain(gene)} {in_the_screen.in_words()}: asked for as that.")
        return None
    reached = 100 * in_the_screen.lost
    percent = st.slider(
        f"{plain(gene)}: {'function' if in_the_screen.kind == KNOCK_OUT else 'mRNA'} lost (%)",
        1,
        round(100 * LARGEST_LOSS),
        round(min(99, max(1, reached))),
        key=f"whatif_loss_{place}_{gene}",
    )
    removed = "removed" if in_the_screen.source == READ else "is taken to have removed"
    st.caption(f"The screen {removed} {reached:.0f} %.")
    return None if percent == round(reached) else percent / 100


def _fold(in_the_screen: Strength, place: int, gene: str) -> float | None:
    """The same of a gene that is activated: to how many times its mRNA."""
    reached = round(1 - in_the_screen.lost, 1)
    fold = st.slider(
        f"{plain(gene)}: activated to (times its mRNA)",
        1.1,
        min(MOST_FOLD, max(10.0, 3 * reached)),
        max(1.1, reached),
        step=0.1,
        key=f"whatif_fold_{place}_{gene}",
    )
    raised = "raised" if in_the_screen.source == READ else "is taken to have raised"
    st.caption(f"The screen {raised} it to {reached:.1f} x, in cells of its own.")
    return None if abs(fold - max(1.1, reached)) < 1e-6 else 1 - fold


def new_scenario(run: RunFolder, places: Sequence[DeltaGenerator]) -> None:
    """The bar: genes, Ask, the cells to compare with, and what few need. places: its columns, the run in the
    first.
    """
    reach = questions.reach(run)
    panel, raised = reach.panel, [gene + keys.ACTIVATED for gene in reach.raised]
    chosen = places[1].multiselect(
        f"{'Knock down or activate' if raised else 'Knock down'} (1 to {MOST_GENES} genes)",
        sorted((*panel.genes, *raised), key=str.casefold),
        format_func=keys.for_reading,
        max_selections=MOST_GENES,
        accept_new_options=True,
        placeholder="Choose or type genes",
        key=GENES,
    )
    places[3].radio(
        "Compare with",
        list(REFERENCES),
        format_func=REFERENCES.__getitem__,
        horizontal=True,
        **state.bound(state.REFERENCE),
    )
    made: tuple[scenarios.Scenario, ...] = ()
    with (
        places[4].popover("Options", width="stretch", help="How strong, under which name"),
        shell.errors_in_words(),
    ):
        title = st.text_input("Name of the scenario", placeholder="from the genes", key=NAME)
        parts = st.checkbox("Also each gene alone, for comparison", value=True, key=PARTS)
        if chosen:
            whole = scenarios.named(title, question(panel, strengths(run, chosen)))
            made = scenarios.with_parts(whole) if parts else (whole,)
    places[2].button(
        "Ask",
        type="primary",
        disabled=not made,
        key="whatif_ask",
        width="stretch",
        on_click=partial(add, run.name, *made),
    )
    with places[5]:
        keep_in_a_file(run)


def keep_in_a_file(run: RunFolder) -> None:
    """Download and upload of the scenarios."""
    with st.popover("Save, load", width="stretch"):
        kept = scenarios.of_run(run.name)
        st.download_button(
            "Download these scenarios (JSON)",
            scenarios.to_json(run.name, kept),
            file_name=f"{run.name}_scenarios.json",
            mime="application/json",
            disabled=not kept,
            key="whatif_download",
            on_click="ignore",
        )
        uploaded = st.file_uploader("Load scenarios", type="json", max_upload_size=1, key="whatif_upload")
        if uploaded is not None:
            with shell.errors_in_words():
                loaded = scenarios.from_json(uploaded.getvalue(), questions.reach(run).panel)
                st.button(
                    f"Add {len(loaded)} scenarios",
                    key="whatif_load",
                    on_click=partial(add, run.name, *loaded),
                )


def examples(run: RunFolder) -> None:
    """What to try, where there is nothing yet: the two perturbations with the clearest effects of their own
    among the genes that trained, and a gene that was never perturbed.
    """
    reach = questions.reach(run)
    trained = [gene for gene, seen in zip(reach.panel.genes, reach.trained, strict=True) if seen]
    if run.has("effects.h5ad"):
        clear = contents.clearest(run, "all")
        trained = [gene for gene in clear if gene in set(trained)] or trained
    extended = [
        gene
        for gene, perturbed in zip(reach.panel.genes, reach.panel.is_perturbed, strict=True)
        if not perturbed
    ][:1]
    st.info(
        "Nothing asked yet. Choose one or more genes above and press Ask: single genes, or two or more to "
        "knock down together."
    )
    offers = [trained[:2]] * (len(trained) > 1) + [extended] * bool(extended)
    with st.container(horizontal=True):
        for genes in offers:
            made = scenarios.with_parts(scenarios.named("", Question(dict.fromkeys(genes))))
            words = f"Try {plain(' + '.join(genes))}"
            st.button(words, key=f"whatif_try_{len(genes)}", on_click=partial(add, run.name, *made))
