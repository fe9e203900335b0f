"""The card of the chosen gene."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.network.scene import Scene
from dashboard.shared import contents
from dashboard.shared.words import number, plain
from gpovae_core.network.cards import GeneCard, gene_card
from gpovae_core.reporting.sentences import responders_in_words, states_in_words
from gpovae_core.reporting.words import capitalised


def show(scene: Scene, gene: str) -> None:
    card = gene_card(scene.shown, gene, scene.threshold)
    st.markdown(f"#### {plain(card.gene)}")
    if card.identifier:
        st.caption(plain(card.identifier))
    st.markdown(_what_it_is(card))
    counts = (
        f"it regulates **{number(card.targets)}** genes and is regulated by **{number(card.regulators)}**"
    )
    st.markdown(f"At {scene.shown.measure} > {scene.threshold:.4g} {counts}.")
    if card.own is not None:
        error = "" if card.own_se is None else f" ± {card.own_se:.2f}"
        st.caption(
            f"Its own expression when it is knocked down: {card.own:+.2f}{error} ({plain(card.unit)})."
        )
    scores = contents.evaluation(scene.run)
    for words in (states_in_words(scores, card.gene), responders_in_words(scores, card.gene)):
        if words:
            st.caption(plain(words))
    _links(card)
    for title, effects, none in (
        ("Strongest measured effects of knocking it down", card.as_source, "None measured."),
        ("Knock-downs that change it most", card.as_target, "None measured."),
    ):
        st.markdown(f"**{title}**")
        if effects.empty:
            st.caption(none)
        else:
            _effects(effects)
    st.caption(
        f"{plain(capitalised(card.unit))}, ± its standard error; below 0 is less. An effect may be direct or "
        "come through other genes."
    )


def _what_it_is(card: GeneCard) -> str:
    what = (
        "Perturbed in this screen."
        if card.perturbed
        else (
            "Never perturbed, or held out with all its cells: its outgoing edges have **no direct evidence**."
        )
    )
    reason = f" In the panel because: {plain(card.reason)}." if card.reason else ""
    measured = "" if card.measured else " Not measured, so nothing is known of effects on it."
    return f"{what}{reason}{measured}"


def _links(card: GeneCard) -> None:
    if not card.links:
        st.caption("A simulated gene: there is nothing to read about it elsewhere.")
        return
    st.markdown("Read on: " + " · ".join(f"[{site}]({address})" for site, address in card.links.items()))


def _effects(effects: pd.DataFrame) -> None:
    """A table in markdown: a data grid takes the browser a tenth of a second each."""
    rows = (
        f"| {plain(gene)} | {effect:+.2f}{'' if error != error else f' ± {error:.2f}'} |"
        for gene, effect, error in zip(effects["gene"], effects["effect"], effects["effect_se"], strict=True)
    )
    st.markdown("\n".join(("| Gene | Effect |", "|:--|--:|", *rows)))
