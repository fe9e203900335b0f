"""Above the charts: which perturbations, against which cells, and the chosen gene."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from dashboard.response.scene import MOST, REFERENCES, Scene, choose_gene
from dashboard.shared import state
from dashboard.shared.figures import format_choice
from dashboard.shared.glossary import meaning
from dashboard.shared.words import number, plain
from gpovae_core import keys
from gpovae_core.plots import response


def choose(effects: Any, reference: Any) -> tuple[str, ...]:
    names = [str(name) for name in effects.obs_names]
    kept = [name for name in state.get(state.PERTURBATIONS) or [] if name in names][:MOST]
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
        f"Perturbations (up to {MOST})",
        names,
        help=meaning("perturbation"),
        max_selections=MOST,
        **state.bound(state.PERTURBATIONS),
    )
    middle.radio(
        "Compare with",
        list(REFERENCES),
        format_func=REFERENCES.__getitem__,
        horizontal=True,
        **state.bound(state.REFERENCE),
    )
    with right:
        format_choice()
    return tuple(state.get(state.PERTURBATIONS) or ())


def gene_bar(scene: Scene) -> None:
    """The chosen gene, by name or by a click in any chart, and the way to its paths."""
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    key = "widget_measured_gene"
    st.session_state[key] = scene.gene
    left.selectbox(
        "Gene",
        list(scene.effects.var_names),
        index=None,
        placeholder="Type a measured gene, or click one in a chart",
        key=key,
        on_change=lambda: choose_gene(scene.run, st.session_state[key]),
    )
    sources = [gene for name in scene.chosen[:1] for gene in name.split(keys.PAIR_SEPARATOR)]
    panel = scene.run.panel().index
    if scene.gene is None or not sources:
        right.caption("A gene chosen here, in a chart or on the Network page is marked in every chart.")
        return
    usable = tuple(gene for gene in sources if gene in panel and gene != scene.gene)
    if scene.gene not in panel:
        right.caption(
            f"{plain(scene.gene)} is measured but not in the panel: the network has no paths to it."
        )
    elif usable:
        words = f"Paths from {plain(' and '.join(usable))} to {plain(scene.gene)} in Network"
        if right.button(words, key="to_paths"):
            state.put(**{state.PATH_SOURCE: usable, state.PATH_TARGET: scene.gene, state.PATH_ROW: None})
            state.put(**{state.PART: "Paths"})
            st.switch_page("pages/network.py")
    with st.container():
        st.caption(" · ".join(_effect_words(scene, name) for name in scene.chosen))


def _effect_words(scene: Scene, perturbation: str) -> str:
    table = scene.table(perturbation)
    row = table.iloc[int(np.flatnonzero(table["gene"] == scene.gene)[0])]
    fold, low, high, adjusted = (float(row[name]) for name in ("observed", "low", "high", "adjusted"))
    interval = f"log2 fold change {number(fold, 2)} ({number(low, 2)} to {number(high, 2)})"
    sure = f", adjusted p {adjusted:.2g}" if np.isfinite(adjusted) else ", not tested"
    tested = f"observed {interval}{sure}, {scene.cells}; " if np.isfinite(low) else ""
    return f"{plain(scene.gene)} under {plain(perturbation)}: {tested}predicted {number(row['predicted'], 2)}"
