"""Beside the picture: the card of the chosen gene, or the evidence of the chosen edge."""

from __future__ import annotations

import streamlit as st

from dashboard.network import edge, gene
from dashboard.network.scene import Scene
from dashboard.shared import state

HEIGHT = 745
"""Pixels: as high as the picture with its controls, so that nothing below moves when another gene is
chosen.
"""


def show(scene: Scene) -> None:
    """What is known of the chosen edge, else of the chosen gene, else how to choose one."""
    with st.container(height=HEIGHT, border=True):
        ends, focus = edge.chosen_edge(scene.shown), state.get(state.FOCUS)
        if ends is not None:
            edge.show(scene.run, *ends)
        elif focus is not None:
            gene.show(scene, focus)
        else:
            st.markdown("**Nothing chosen yet**")
            st.caption(
                "Click a gene for its card, an edge for its evidence. Shift-click a gene to make it the "
                "target of a path. Hover for short facts; drag to move, scroll to zoom."
            )
