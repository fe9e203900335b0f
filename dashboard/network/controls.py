"""Above the picture: gene, view, measure, and how far around."""

from __future__ import annotations

import streamlit as st

from dashboard.network.words import gene_name
from dashboard.shared import state
from dashboard.shared.glossary import meaning
from gpovae_core.network.grn import GeneNetwork

VIEWS = {state.WHOLE: "Whole network", state.EGO: "Around the gene", state.COMMUNITIES: "Communities"}
DIRECTIONS = {"both": "Both ways", "out": "What it regulates", "in": "What regulates it"}
MEASURES = {"W": "Direct edges (W)", "T": "All influence (T)"}


def show(network: GeneNetwork) -> None:
    search, view, measure, often, hops, direction = st.columns([3, 2, 2, 2, 1, 2])
    search.selectbox(
        "Gene",
        sorted(network.panel.genes, key=str.casefold),
        index=None,
        placeholder="Type a symbol or Ensembl id, or click a gene",
        format_func=gene_name(network),
        **state.bound(state.FOCUS, after=look_around),
    )
    view.selectbox("Show", list(VIEWS), format_func=VIEWS.__getitem__, **state.bound(state.VIEW))
    measure.selectbox(
        "Edges mean",
        list(MEASURES),
        format_func=MEASURES.__getitem__,
        help=meaning("W", "T_K"),
        **state.bound(state.MEASURE),
    )
    often.selectbox(
        "Found again in",
        state.SHARES,
        format_func=lambda share: f"at least {share:.0%}" if share else "any share",
        disabled=network.ensemble is None or state.get(state.MEASURE) != "W",
        help=(
            "Only edges that come back in so many of the networks of the ensemble, found from other draws "
            "of the cells. "
        )
        + ("Made in the tab 'How sure?' below." if network.ensemble is None else "W alone has it."),
        **state.bound(state.OFTEN),
    )
    ego = state.get(state.VIEW) == state.EGO
    hops.selectbox(
        "Hops",
        list(range(1, state.MAX_HOPS + 1)),
        help="How many edges away from the gene.",
        **state.bound(state.HOPS),
    )
    direction.selectbox(
        "Direction",
        list(DIRECTIONS),
        format_func=DIRECTIONS.__getitem__,
        disabled=not ego,
        **state.bound(state.DIRECTION),
    )
    if ego and state.get(state.FOCUS) is None:
        st.info("Choose a gene to see what is around it. Until then the whole network is shown.")


def look_around() -> None:
    """Searching for a gene is asking what is around it."""
    state.put(
        **{
            state.VIEW: state.EGO if state.get(state.FOCUS) is not None else state.WHOLE,
            state.EDGE_SOURCE: None,
        }
    )
