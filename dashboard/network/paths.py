"""The tab with the best paths from one or several genes to another."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.network.references import all_references
from dashboard.network.scene import Scene
from dashboard.network.slider import step_below
from dashboard.network.words import SIGNS, gene_name, sign_words
from dashboard.shared import contents, networks, shell, state
from dashboard.shared.figures import chart, download_table
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import percent, plain
from gpovae_core.network.agreement import KnownEdge, known_steps
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace
from gpovae_core.plots import network as figures
from gpovae_core.reporting.known import step_in_words, steps_in_short
from gpovae_core.reporting.ways import others_in_words
from gpovae_core.runs.folder import RunFolder

TURN = "gpovae_path_turn"
"""Key in the session: how often a click has changed the lit path."""


def show(scene: Scene) -> None:
    path_controls(scene)
    found = scene.trace
    if found is None:
        st.info("Choose a source and another gene as target above: the best path lights up in the picture.")
        return
    if not found.paths:
        no_path(scene, found)
    else:
        path_table(scene.run, scene.network, found)
    chart(figures.influence_bars(found), key="influence_bars", config={"displayModeBar": False})
    st.caption(
        "Walks over all edges count here, whatever the threshold, weighted as the model does (hop "
        "influence T)."
    )


def path_controls(scene: Scene) -> None:
    def again() -> None:
        state.put(**{state.PATH_ROW: None})

    st.caption(
        "Does a gene act on another directly, or through others? The best paths, with the part of the "
        "whole influence each carries."
    )
    source, target, hops = st.columns([3, 3, 1])
    panel = scene.network.panel
    name = gene_name(scene.network)
    source.multiselect(
        "From (one or several)",
        list(panel.genes),
        placeholder="Source genes",
        format_func=name,
        **state.bound(state.PATH_SOURCE, after=again),
    )
    target.selectbox(
        "To",
        sorted(panel.genes, key=str.casefold),
        index=None,
        placeholder="Target gene, or shift-click one",
        format_func=name,
        **state.bound(state.PATH_TARGET, after=again),
    )
    hops.selectbox(
        "Most hops",
        list(range(1, state.MAX_HOPS + 1)),
        help=meaning("hop", "path"),
        **state.bound(state.PATH_HOPS, after=again),
    )


def lit_path(found: PathTrace | None) -> tuple[str, ...]:
    """Genes of the path that is lit in the picture: the one ticked in the table, else the best."""
    if found is None or not found.paths:
        return ()
    return found.paths[lit_row(found)].genes


def lit_row(found: PathTrace) -> int:
    return min(max(0, state.get(state.PATH_ROW)), len(found.paths) - 1)


def pick_path(found: PathTrace | None, source: str, target: str) -> None:
    """Light the best listed path that takes an edge which was clicked in the picture, unless the lit one does
    already.
    """
    if found is None or not found.paths:
        return
    taking = [
        row
        for row, path in enumerate(found.paths)
        if (source, target) in zip(path.genes, path.genes[1:], strict=False)
    ]
    if taking and lit_row(found) not in taking:
        state.put(**{state.PATH_ROW: taking[0]})
        st.session_state[TURN] = (
            st.session_state.get(TURN, 0) + 1
        )  # the table is drawn anew with this row ticked


def path_table(run: RunFolder, network: GeneNetwork, found: PathTrace) -> None:
    references = all_references(network.simulated)
    steps = [known_steps(network, path.genes, references) for path in found.paths]
    table = found.table()
    if references:
        table["known_steps"] = ["; ".join(step_in_words(one) for one in own if one.known) for own in steps]
    shown = pd.DataFrame(
        {
            "Path": table["path"],
            "Hops": table["hops"],
            "W along the path": table["probability"],
            "Share of influence": [_share(share) for share in table["share"]],
            "Weakest edge": table["weakest"],
            "Effect": sign_words(table["sign"]),
            **({"Known steps": [steps_in_short(own) for own in steps]} if references else {}),
        }
    )
    key = (
        f"paths_{found.sources}_{found.target}_{found.hops}_{found.threshold}_{st.session_state.get(TURN, 0)}"
    )

    def light() -> None:
        rows = st.session_state[key].selection.rows
        state.put(**{state.PATH_ROW: rows[0] if rows else None})

    st.caption(
        "W along the path: the product over its edges. Tick a path to light it up; click an edge of "
        "another path to change to that one."
    )
    show_table(
        shown,
        key=key,
        on_select=light,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [lit_row(found)]}},
        column_config={
            "Path": st.column_config.TextColumn(width="large"),
            "Effect": SIGNS,
            "W along the path": st.column_config.NumberColumn(format="%.4f"),
            "Weakest edge": st.column_config.NumberColumn(format="%.3f"),
        },
    )
    source, target = plain(" and ".join(found.sources)), plain(found.target)
    st.markdown(
        f"Listed paths together: **{_share(found.explained)}** of the influence of {source} on {target}. "
        f"{others_in_words(found.remainder)}"
    )
    if references:
        st.caption("Steps of the lit path: " + _steps_in_words(steps[lit_row(found)]))
    left, right = st.columns([1, 2])
    with left:
        download_table(table, "Download these paths (CSV)", f"{run.name}_paths.csv", "download_paths")
    with right:
        pin_path(run, found.paths[lit_row(found)].genes)


def _steps_in_words(steps: Sequence[KnownEdge]) -> str:
    return plain("; ".join(step_in_words(one) for one in steps) + ".")


def pin_path(run: RunFolder, genes: tuple[str, ...]) -> None:
    """From a path to what perturbing its first gene does to all of them."""
    if st.button(
        f"Effects of {plain(genes[0])} along the lit path",
        key="pin_path",
        help="Observed and predicted, on the page Response.",
    ):
        follow(run, genes)
        shell.go("pages/response.py")


def follow(run: RunFolder, genes: tuple[str, ...]) -> None:
    """Have the page Response show the effects along a path. All that it shows is chosen here: what it had to
    add to its address itself would be one more press of the back button.
    """
    state.put(**{state.PATH: genes, state.PERTURBATIONS: contents.perturbations_of(run, genes[0]) or None})
    state.put(**{state.RESPONSE_PART: "Along a path"})


def _share(share: float) -> str:
    """In percent; where effects of both signs cancel a share may be below 0 or above 1."""
    return percent(share) if 0 <= share <= 1 else f"{100 * share:.1f} %"


def no_path(scene: Scene, found: PathTrace) -> None:
    hops = found.hops
    source, target = plain(" or ".join(found.sources)), plain(found.target)
    st.info(
        f"No path of at most {hops} hops from {source} to {target} has all its edges above W = "
        f"{found.threshold:.3f}."
    )
    any_path = networks.trace(scene.run, found.sources, found.target, hops, 0.0, top=1)
    if any_path.paths:
        lower = step_below(min(any_path.paths[0].weights))
        st.button(
            f"Lower the threshold to {lower:.3f}, where the most probable path appears",
            on_click=set_path_threshold,
            args=(lower,),
        )


def set_path_threshold(value: float) -> None:
    """Paths follow edges of W, whatever is shown."""
    state.put(**{state.THRESHOLD: value})
