"""Above the charts: which perturbations, against which cells, and the chosen gene."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.response.scene import MOST, REFERENCES, Scene, choose_gene
from dashboard.shared import contents, shell, state
from dashboard.shared.figures import format_choice
from dashboard.shared.glossary import meaning
from dashboard.shared.words import named, number, plain
from gpovae_core import keys
from gpovae_core.runs.folder import RunFolder


def choose(run: RunFolder, reference: Any, places: Any) -> tuple[str, ...]:
    """The chosen perturbations; where none was chosen yet, that of the pinned path or the chosen gene, else
    the one that is best told from noise. places: the columns of the bar, the run in the first.
    """
    names = [str(name) for name in contents.effects(run).obs_names]
    said = state.get(state.PERTURBATIONS)
    kept = tuple(name for name in said or () if name in names)[:MOST]
    unknown = [name for name in said or () if name not in names]
    if unknown:
        st.error(f"Not among the perturbations of this run: {plain(', '.join(unknown))}.")
    if not kept and (said is None or unknown):
        wanted = (
            *state.get(state.PATH)[:1],
            state.get(state.FOCUS),
            *contents.clearest(run, reference)[:1],
        )
        found = (contents.perturbations_of(run, name) for name in wanted if name)
        kept = next((one for one in found if one), ())
    state.put(**{state.PERTURBATIONS: kept})
    state.sync_url()
    places[1].multiselect(
        f"Perturbations (up to {MOST})",
        names,
        format_func=keys.for_reading,
        help=meaning("perturbation"),
        max_selections=MOST,
        **state.bound(state.PERTURBATIONS),
    )
    places[3].radio(
        "Compare with",
        list(REFERENCES),
        format_func=REFERENCES.__getitem__,
        horizontal=True,
        **state.bound(state.REFERENCE),
    )
    with places[4].popover("Figures", help="What the camera of a figure saves", width="stretch"):
        format_choice()
    return tuple(state.get(state.PERTURBATIONS) or ())


def gene_choice(scene: Scene, place: Any) -> None:
    """The chosen gene, by name or by a click in any chart."""
    key = "widget_measured_gene"

    def store(gene: str | None) -> None:
        state.heard()
        choose_gene(scene.run, gene)

    place.selectbox(
        "Gene",
        list(scene.effects.var_names),
        index=None,
        placeholder="Type one, or click one",
        help="Chosen here, in a chart or on the Network page, it is marked in every chart.",
        key=key,
        on_change=state.drawn(key, scene.gene, store),
    )


def chosen_gene_words(scene: Scene) -> None:
    """What the chosen gene does under the chosen perturbations, and the way to its paths."""
    if scene.gene is None or not scene.chosen:
        return
    sources = keys.genes_of(scene.chosen[0])
    panel = scene.run.panel().index
    usable = tuple(gene for gene in sources if gene in panel and gene != scene.gene)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(" · ".join(_effect_words(scene, name) for name in scene.chosen), width="stretch")
        if scene.gene not in panel:
            st.caption(
                f"{plain(scene.gene)} is measured but not in the panel: the network has no paths to it."
            )
        elif usable:
            words = f"Paths from {plain(' and '.join(usable))} to {plain(scene.gene)} in Network"
            if st.button(words, key="to_paths"):
                state.put(**{state.PATH_SOURCE: usable, state.PATH_TARGET: scene.gene, state.PATH_ROW: None})
                state.open_part("Paths")
                shell.go("pages/network.py")


def _effect_words(scene: Scene, perturbation: str) -> str:
    table = scene.table(perturbation)
    row = table.iloc[int(np.flatnonzero(table["gene"] == scene.gene)[0])]
    fold, low, high, adjusted = (float(row[name]) for name in ("observed", "low", "high", "adjusted"))
    interval = f"log2 fold change {number(fold, 2)} ({number(low, 2)} to {number(high, 2)})"
    sure = f", adjusted p {adjusted:.2g}" if np.isfinite(adjusted) else ", not tested"
    tested = f"observed {interval}{sure}, {scene.cells}; " if np.isfinite(low) else ""
    return f"{plain(scene.gene)} under {named(perturbation)}: {tested}predicted {number(row['predicted'], 2)}"
