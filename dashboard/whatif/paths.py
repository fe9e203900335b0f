"""The tab with the paths that carry an effect, and what the network alone leans on."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from dashboard.shared import networks, questions, shell, state
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import percent, plain
from dashboard.whatif.scene import Answered
from gpovae_core.network.paths import MOST_HOPS
from gpovae_core.runs.folder import RunFolder

MOST_PATHS = 10


def show(run: RunFolder, one: Answered) -> None:
    """Which paths carry the effect on a gene, and how much of it."""
    reach = questions.reach(run)
    panel = set(reach.panel.genes)
    targets = [gene for gene in one.table.loc[~one.table["perturbed"], "gene"] if gene in panel]
    if not targets:
        st.info(
            "No measured gene of the panel but the knocked-down ones: there is nowhere for a path to lead."
        )
        return
    target = (
        st.selectbox(
            "Effect on (strongest predicted first)", targets, help=meaning("effect"), key="whatif_target"
        )
        or targets[0]
    )
    for gene in one.scenario.asked.genes:
        with shell.errors_in_words():
            if gene in one.answer.by_network:
                movers(run, gene)
            else:
                carried(run, one, gene, target)


def carried(run: RunFolder, one: Answered, gene: str, target: str) -> None:
    """Paths of the network from one knocked-down gene to a target, and what each carries of the change."""
    if run.without_network:
        st.info(plain(run.without_network))
        return
    reach, network = questions.reach(run), networks.network(run)
    hops = min(run.settings().loss.shown_hops, MOST_HOPS)
    over = f"{hops} hop{'s' if hops > 1 else ''}"
    trace = networks.trace(run, (gene,), target, hops, 0.0)
    table = trace.table().head(MOST_PATHS)
    columns = {"path": "Path", "probability": "Probability", "share": "Share of the influence"}
    signed = network.strength is not None
    if signed:
        change = (
            reach.doses(one.scenario.asked)[gene]
            * reach.own.change[reach.panel.position(gene)]
            * trace.influence
            / np.log(2)
        )
        table = table.assign(carried=table["share"] * change)
        columns["carried"] = "Carries (log2 fold change)"
        words = (
            f"Through the network {plain(gene)} is expected to change {plain(target)} by **{change:+.2f}** "
            "(log2 fold change)"
        )
    else:
        words = (
            f"The influence of {plain(gene)} on {plain(target)} over {over} is "
            f"**{trace.influence:.3g}**, without a sign"
        )
    st.markdown(
        f"{words}; {percent(trace.explained)} of it over the paths below, {percent(trace.remainder)} over "
        "others."
    )
    if table.empty or not trace.influence:
        st.caption(
            f"No path of at most {over} carries anything: what is predicted beyond that is the decoder's own."
        )
        return
    formats = {
        label: st.column_config.NumberColumn(format="%.3g") for label in columns.values() if label != "Path"
    }
    named = table.reindex(columns=list(columns)).set_axis(list(columns.values()), axis=1)
    show_table(named, column_config=formats, key=f"whatif_paths_{gene}")
    st.button(
        f"Open {plain(gene)} to {plain(target)} in Network",
        key=f"whatif_open_{gene}",
        on_click=partial(open_path, gene, target),
    )
    if st.session_state.pop("whatif_leave", None) == gene:
        shell.go("pages/network.py")


def open_path(gene: str, target: str) -> None:
    state.put(**{state.PATH_SOURCE: (gene,), state.PATH_TARGET: target, state.PATH_ROW: None})
    st.session_state["whatif_leave"] = gene


def movers(run: RunFolder, gene: str) -> None:
    """What the network's answer for a gene without training cells rests on."""
    found = questions.network_alone(run)
    screen, weights = found.screen, found.weights
    table = screen.moved_by(gene)
    if not screen.panel.is_measured[screen.panel.position(gene)]:
        st.markdown(
            f"{plain(gene)} is not measured, so no perturbation is known to move it: the answer is the mean "
            "over the perturbations."
        )
    elif table.empty:
        st.markdown(
            f"No training perturbation moves {plain(gene)} beyond doubt: the answer leans on the mean over "
            "the perturbations."
        )
    else:
        st.markdown(
            f"No cell speaks of paths out of {plain(gene)}. It rests on the perturbations that move it, and "
            "what else they change:"
        )
        names = {
            "perturbation": "Perturbation",
            "change": f"Change of {gene} (log2 fold change)",
            "probability": "Probability of an effect",
        }
        show_table(table.rename(columns=names), key=f"whatif_movers_{gene}")
    parts = ", ".join(f"{name} {value:.2f}" for name, value in weights.table().items())
    st.caption(
        f"Weights of its parts, as they predicted {weights.left_out} training perturbations left out in "
        f"turn: {parts}. Where all but the mean are 0, the network predicted those no better than the mean "
        "over the other perturbations does, and that mean is the answer."
    )
