"""The tab with two networks side by side, and the comparison wherever one is shown."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.network import beside, cached, conditions, elsewhere
from dashboard.network.scene import TABLE_ROWS, Scene
from dashboard.shared import listing, state
from dashboard.shared.figures import chart, download_table
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import number, plain
from gpovae_core.network.compare import NetworkComparison
from gpovae_core.plots import network as figures

_AT = (beside.EQUAL, "the same threshold")


def show(scene: Scene) -> None:
    others = [name for name in listing.all_runs() if name != state.get(state.RUN)]
    if not others:
        st.info("There is no other run to compare with.")
        return
    left, right = st.columns([2, 3])
    left.selectbox(
        "Compare with run",
        others,
        index=None,
        placeholder="Choose a run",
        help=meaning("run"),
        **state.bound(state.COMPARED),
    )
    right.radio("At", _AT, horizontal=True, key=beside.AT, help="Scores and overlaps grow with edges.")
    name = state.get(state.COMPARED)
    if name is None:
        st.info("Choose another run, of the same data or of other data: genes are matched by name.")
        return
    other = listing.open_run(name)
    found = beside.of_runs(scene, other)
    if found is None:
        st.info("There are no edges between genes of both runs to compare at this threshold.")
        return
    comparison(scene, found, scene.run.name, name, "runs")
    st.caption("The picture above shows the same, edge by edge.")
    elsewhere.show(scene, other)
    conditions.show(scene, other)


def comparison(scene: Scene, found: NetworkComparison, a: str, b: str, key: str) -> None:
    shared, gained, lost = (found.count(state) for state in ("shared", "gained", "lost"))
    outside = found.outside_a + found.outside_b
    st.markdown(
        (
            f"**{shared:,} shared, {gained:,} gained, {lost:,} lost.** {plain(a)}: {found.a:,} edges above "
            f"{found.threshold_a:.4g}; {plain(b)}: {found.b:,} above {found.threshold_b:.4g}; "
            f"{found.genes:,} genes in both."
        )
        + (f" {outside:,} edges to genes that only one of them has are left out." if outside else "")
    )
    if key == "runs":
        agree, known = found.same_sign
        st.caption(
            f"Overlap (Jaccard) {number(found.jaccard)}. Two networks of these sizes that have nothing to "
            f"do with each other would share about {found.expected:.1f} edges. Of {known:,} shared edges "
            f"with both signs known, {agree:,} agree in sign."
        )
    picture, table = st.columns([3, 2])
    places = dict(zip(scene.shown.panel.genes, cached.places(scene.run), strict=True))
    chart(
        figures.comparison_picture(found, places),
        key=f"comparison_{key}",
        config={"displayModeBar": False},
        place=picture,
    )
    with table:
        shown = found.edges.head(TABLE_ROWS)
        columns = {
            "Source": shown["source"],
            "Target": shown["target"],
            "State": shown["state"],
            "Before": shown["weight_a"],
        }
        number_format = st.column_config.NumberColumn(format="%.3f")
        show_table(
            pd.DataFrame(columns | {"After": shown["weight_b"]}),
            height=420,
            column_config={"Before": number_format, "After": number_format},
        )
        download_table(
            found.edges,
            "Download this comparison (CSV)",
            f"{scene.run.name}_comparison.csv",
            f"download_{key}",
        )
