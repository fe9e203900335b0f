"""Below the picture: paths, edges, what a gene regulates, communities, thresholds, comparison, export. One
function per tab.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network import ensembles as ensemble_view
from dashboard.network.component import threshold_chart
from dashboard.network.drawing import MOST_EDGES, Picture, ego_edges, on_step, step_below, threshold_message
from dashboard.network.inspector import UPLOADED, sign_words
from dashboard.shared import loaders, state
from dashboard.shared.figures import chart, download_table
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import number, percent, plain
from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.network.communities import community_table
from gpovae_core.network.compare import NetworkComparison, compare_networks, equal_edges
from gpovae_core.network.exports import FORMATS, View, export_bytes
from gpovae_core.network.grn import Direction, GeneNetwork
from gpovae_core.network.paths import PathTrace
from gpovae_core.network.references import networks_folder, read_reference
from gpovae_core.plots import network as figures
from gpovae_core.runs.folder import RunFolder

SIGNS = st.column_config.TextColumn(
    help="Activates: the target falls when the source is knocked down. Represses: it rises."
)
TABLE_ROWS = 5000
DIRECT, NO_EVIDENCE = "source was perturbed", "no direct evidence: source never perturbed, or held out"
TURN = "gpovae_path_turn"
"""Key of the tabs in the session: the name of the open one."""
_DRAWN = "gpovae_tab_drawn"


@dataclass(frozen=True)
class Scene:
    """What every tab looks at: the run, its W, the network that is shown (W or T) with its picture, and the
    threshold on it.
    """

    run: RunFolder
    network: GeneNetwork
    shown: GeneNetwork
    picture: Picture
    threshold: float
    trace: PathTrace | None
    often: float = 0.0
    """Least share of the ensemble's members that have an edge which is shown."""

    @property
    def above(self) -> str:
        again = f", found again in at least {self.often:.0%} of the ensemble" if self.often else ""
        return f"{self.shown.measure} above {self.threshold:.4g}{again}"


def threshold_name() -> str:
    """W and T have scales of their own, so each has its threshold."""
    return state.THRESHOLD if state.get(state.MEASURE) == "W" else state.INFLUENCE


def set_threshold(value: float) -> None:
    state.put(**{threshold_name(): value})


def gene_name(network: GeneNetwork):
    ids = network.panel.data.ids
    return lambda gene: f"{gene} ({ids[gene]})" if gene in ids else gene


# Paths ------------------------------------------------------------------------------------------------------


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


def paths(scene: Scene) -> None:
    path_controls(scene)
    found = scene.trace
    if found is None:
        st.info("Choose a source and another gene as target above: the best path lights up in the picture.")
        return
    if not found.paths:
        no_path(scene, found)
    else:
        path_table(scene.run, found)
    chart(figures.influence_bars(found), key="influence_bars", config={"displayModeBar": False})
    st.caption(
        "Walks over all edges count here, whatever the threshold, weighted as the model does (hop "
        "influence T)."
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


def path_table(run: RunFolder, found: PathTrace) -> None:
    table = found.table()
    shown = pd.DataFrame(
        {
            "Path": table["path"],
            "Hops": table["hops"],
            "Probability": table["probability"],
            "Share of influence": [_share(share) for share in table["share"]],
            "Weakest edge": table["weakest"],
            "Effect": sign_words(table["sign"]),
        }
    )
    key = (
        f"paths_{found.sources}_{found.target}_{found.hops}_{found.threshold}_{st.session_state.get(TURN, 0)}"
    )

    def light() -> None:
        rows = st.session_state[key].selection.rows
        state.put(**{state.PATH_ROW: rows[0] if rows else None})

    st.caption(
        "Probability: the product of W along the path. Tick a path to light it up; click an edge of "
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
            "Probability": st.column_config.NumberColumn(format="%.4f"),
            "Weakest edge": st.column_config.NumberColumn(format="%.3f"),
        },
    )
    source, target = plain(" and ".join(found.sources)), plain(found.target)
    st.markdown(
        f"Listed paths together: **{_share(found.explained)}** of the influence of {source} on {target}. "
        f"The remaining **{_share(found.remainder)}** comes from other, weaker paths and from walks that "
        "pass a gene more than once."
    )
    left, right = st.columns([1, 2])
    with left:
        download_table(table, "Download these paths (CSV)", f"{run.name}_paths.csv", "download_paths")
    with right:
        pin_path(found.paths[lit_row(found)].genes)


def pin_path(genes: tuple[str, ...]) -> None:
    """From a path to what perturbing its first gene does to all of them."""
    if st.button(
        f"Effects of {plain(genes[0])} along the lit path",
        key="pin_path",
        help="Observed and predicted, on the page Response.",
    ):
        state.put(**{state.PATH: genes, state.PERTURBATIONS: None})
        st.session_state[state.RESPONSE_PART] = "Along a path"
        st.switch_page("pages/response.py")


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
    any_path = loaders.trace(scene.run, found.sources, found.target, hops, 0.0, top=1)
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


# Edges and neighbours ---------------------------------------------------------------------------------------


def edges(scene: Scene) -> None:
    shown, threshold = scene.shown, scene.threshold
    total = int(shown.count_edges([threshold], scene.picture.self_loops)[0])
    if total == 0:
        no_edges(shown, threshold)
        return
    focus = state.get(state.FOCUS)
    if state.get(state.VIEW) == state.EGO and focus is not None:
        found = shown.neighbourhood(
            focus, ego_hops(shown), state.get(state.DIRECTION), threshold, scene.picture.self_loops
        ).edges
        st.caption(
            f"{len(found):,} edges with {scene.above} between the genes around {plain(focus)}, strongest "
            "first."
        )
    else:
        found = shown.edges(threshold, scene.picture.self_loops, top=TABLE_ROWS)
        st.caption(f"{total:,} edges with {scene.above}, strongest first.")
        if total > TABLE_ROWS:
            st.caption(f"The strongest {TABLE_ROWS:,} are listed; the download under Export has all.")
    table = edge_table(shown, found)
    key = f"edges_{shown.measure}_{threshold}_{focus}_{state.get(state.VIEW)}"

    def open_edge() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            row = table.iloc[rows[0]]
            state.put(**{state.EDGE_SOURCE: row["Source"], state.EDGE_TARGET: row["Target"]})

    st.caption("Tick an edge to see its evidence.")
    show_table(
        table,
        key=key,
        on_select=open_edge,
        selection_mode="single-row",
        column_config={
            "Effect": SIGNS,
            shown.measure: st.column_config.NumberColumn(format="%.4f"),
            "Open detours": st.column_config.NumberColumn(
                format="%d",
                help=(
                    "Genes that nobody perturbed and that the source changes more than the target: the "
                    "edge may run over one."
                ),
            ),
            "Found again": st.column_config.NumberColumn(
                format="percent", help="Share of the ensemble's networks that have this edge."
            ),
        },
    )


def ego_hops(shown: GeneNetwork) -> int:
    """T already adds up all hops: around a gene its own pairs are shown, once."""
    return state.get(state.HOPS) if shown.measure == "W" else 1


def no_edges(shown: GeneNetwork, threshold: float) -> None:
    st.info(f"No edge between different genes has {shown.measure} above {threshold:.4g}.")
    best = shown.suggest_threshold(1)
    if best is not None:
        lower = step_below(best, shown.top)
        st.button(
            f"Lower the threshold to {lower:.4g}, where the first edges appear",
            on_click=set_threshold,
            args=(lower,),
        )


def edge_table(network: GeneNetwork, found: pd.DataFrame) -> pd.DataFrame:
    found = found.head(TABLE_ROWS)
    has_evidence = dict(zip(network.panel.genes, network.has_evidence.tolist(), strict=True))
    detours = {"Open detours": found[keys.OPEN_DETOURS]} if keys.OPEN_DETOURS in found else {}
    again = {"Found again": found[keys.FREQUENCY]} if keys.FREQUENCY in found else {}
    return pd.DataFrame(
        {
            "Source": found[keys.SOURCE],
            "Effect": sign_words(found[keys.SIGN]),
            "Target": found[keys.TARGET],
            network.measure: found[keys.WEIGHT],
            **detours,
            **again,
            "Evidence": [DIRECT if has_evidence[gene] else NO_EVIDENCE for gene in found[keys.SOURCE]],
        }
    )


def neighbours(scene: Scene) -> None:
    gene = state.get(state.FOCUS)
    if gene is None:
        st.info(
            "Choose a gene above or click one in the picture: here stands what it regulates and what "
            "regulates it, over several hops."
        )
        return
    hops = ego_hops(scene.shown)
    st.caption(
        f"Within {hops} hop{'s' if hops > 1 else ''} over edges with {scene.above}. Hops is set above the "
        "picture."
    )
    for column, direction, title in zip(
        st.columns(2), ("out", "in"), ("regulates", "is regulated by"), strict=True
    ):
        with column:
            neighbour_table(scene, gene, hops, direction, title)


def neighbour_table(scene: Scene, gene: str, hops: int, direction: Direction, title: str) -> None:
    found = scene.shown.reach(gene, hops, scene.threshold, direction)
    place, index = scene.network.panel.position(gene), scene.network.panel.index
    others = [index[name] for name in found["gene"]]
    effects = (
        scene.network.effects[place, others] if direction == "out" else scene.network.effects[others, place]
    )
    best = "Best path's probability" if scene.shown.measure == "W" else "T"
    table = pd.DataFrame(
        {"Gene": found["gene"], "Hops": found["hops"], best: found["probability"], "Measured effect": effects}
    )
    st.markdown(f"**{plain(gene)} {title} {number(len(table))} genes**")
    if table.empty:
        st.caption("None at this threshold.")
        return
    show_table(
        table,
        column_config={
            best: st.column_config.NumberColumn(format="%.4f"),
            "Measured effect": st.column_config.NumberColumn(
                format="%+.2f", help="log2 difference to control, training cells"
            ),
        },
    )
    name = f"{scene.run.name}_{'regulates' if direction == 'out' else 'regulated_by'}.csv"
    download_table(table.assign(**{"Of gene": gene}), "Download (CSV)", name, f"download_{direction}")


# Ensemble ---------------------------------------------------------------------------------------------------


def ensemble_part(scene: Scene) -> None:
    """How often edges come back when the cells are drawn again; made here where it was not yet."""
    ensemble_view.show(scene.run)
    found = scene.network.ensemble
    if found is not None:
        ensemble_view.agreement(
            scene.run, found, loaders.shown_network(scene.run, "W", state.get(state.BLIND))
        )


# Communities ------------------------------------------------------------------------------------------------


def community_part(scene: Scene) -> None:
    members = loaders.network_communities(
        scene.run, scene.shown.measure, scene.threshold, state.get(state.BLIND), scene.often
    )
    table = community_table(scene.shown, members, scene.threshold)
    if table.empty:
        st.info(f"No edge has {scene.above}, so there are no communities. Lower the threshold.")
        return
    st.caption(
        f"Genes joined more among themselves than with the rest (Louvain on the strongest {MOST_EDGES:,} "
        "edges at most, direction ignored). Choose one to see it alone; the picture is coloured by "
        "community under Show: Communities."
    )
    key = f"communities_{scene.shown.measure}_{scene.threshold}"

    def look() -> None:
        rows = st.session_state[key].selection.rows
        state.put(**{state.COMMUNITY: rows[0] if rows else None, state.VIEW: state.COMMUNITIES})

    show_table(
        pd.DataFrame(
            {
                "Community": table["community"],
                "Genes": table["genes"],
                "Perturbed": table["perturbed"],
                "Edges inside": table["inside"],
                "Edges leaving": table["leaving"],
                "Best connected": table["hubs"],
            }
        ),
        key=key,
        on_select=look,
        selection_mode="single-row",
    )
    genes = scene.shown.panel.genes
    listed = pd.DataFrame({"gene": genes, "community": np.where(members < 0, "", (members + 1).astype(str))})
    download_table(
        listed,
        "Download genes and communities (CSV)",
        f"{scene.run.name}_communities.csv",
        "download_communities",
    )


# Thresholds and comparison ----------------------------------------------------------------------------------


def thresholds(scene: Scene) -> None:
    seconds = loaders.pairs_wait(scene.run)
    if seconds is not None:
        st.info(
            "Coverage, Wasserstein distance and omission rate need a test of every pair of genes on the "
            "held-out cells."
        )
        st.button(
            f"Test all pairs (about {seconds:.0f} s, once)",
            on_click=loaders.ask_for_pairs,
            args=(scene.run,),
            key="pairs_for_chart",
        )
    curves = loaders.curves(
        scene.run, scene.shown.measure, state.get(state.PATH_HOPS), state.get(state.BLIND), scene.often
    )
    threshold_chart(
        threshold_message(
            curves,
            scene.shown,
            scene.threshold,
            pinned(scene.shown),
            None if scene.often else loaders.false_edges(scene.run),
        ),
        on_threshold=set_threshold,
        on_pin=lambda value: state.put(**{state.PINNED: value}),
    )
    st.caption(
        "There is no right threshold: a lower one shows more edges and more false ones. W is the "
        "probability the model gives an edge, not a p value. Drag the line: the picture follows. Pin a "
        "threshold to see below what another one gains and loses."
    )
    download_table(
        curves.table(), "Download these curves (CSV)", f"{scene.run.name}_thresholds.csv", "download_curves"
    )
    other = pinned(scene.shown)
    if other is not None:
        st.markdown(f"##### From {other:.4g} (pinned) to {scene.threshold:.4g}")
        comparison(
            scene,
            compare_networks(scene.shown, other, scene.shown, scene.threshold),
            "pinned threshold",
            "this one",
            "pin",
        )


def pinned(shown: GeneNetwork) -> float | None:
    value = state.get(state.PINNED)
    return value if value is not None and 0 <= value <= shown.top else None


def compare_runs(scene: Scene) -> None:
    others = [name for name in loaders.all_runs() if name != state.get(state.RUN)]
    if not others:
        st.info("There is no other run to compare with.")
        return
    left, right = st.columns([2, 3])
    left.selectbox(
        "Compare with run", others, index=None, placeholder="Choose a run", **state.bound(state.COMPARED)
    )
    equal = right.radio(
        "At",
        ["the same number of edges", "the same threshold"],
        horizontal=True,
        key="compare_at",
        help="Scores and overlaps grow with edges.",
    )
    name = state.get(state.COMPARED)
    if name is None:
        st.info("Choose another run, of the same data or of other data: genes are matched by name.")
        return
    other = loaders.shown_network(loaders.open_run(name), scene.shown.measure, state.get(state.BLIND))
    threshold = (
        equal_edges(scene.shown, scene.threshold, other)
        if equal.startswith("the same number")
        else min(scene.threshold, other.top)
    )
    if threshold is None:
        st.info("There are no edges between genes of both runs to compare at this threshold.")
        return
    comparison(
        scene, compare_networks(scene.shown, scene.threshold, other, threshold), scene.run.name, name, "runs"
    )


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
    places = dict(zip(scene.shown.panel.genes, scene.picture.positions, strict=True))
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


# Export -----------------------------------------------------------------------------------------------------


def export(scene: Scene) -> None:
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    all_of_them = left.radio(
        "What", ["What the picture shows", "All edges at the threshold"], horizontal=True, key="export_what"
    ) != ("What the picture shows")
    chosen = middle.selectbox(
        "File format", list(FORMATS), format_func=lambda name: FORMATS[name].label, key="export_format"
    )
    view = export_view(scene, all_of_them)
    count = len(view.edges) if view.edges is not None else int(scene.shown.count_edges([scene.threshold])[0])
    right.download_button(
        f"Download {count:,} edges",
        lambda: export_bytes(scene.shown, scene.threshold, chosen, view),
        file_name=f"{scene.run.name}_{scene.shown.measure}{scene.threshold:g}{FORMATS[chosen].suffix}",
        mime=FORMATS[chosen].mime,
        on_click="ignore",
    )
    st.caption(
        "Run, threshold, focus, places of the genes and all settings travel inside the file (SIF holds "
        "names only). PNG and SVG of the picture: the buttons above it."
    )
    references()


def export_view(scene: Scene, all_of_them: bool) -> View:
    focus: str | None = state.get(state.FOCUS)
    ego = state.get(state.VIEW) == state.EGO
    facts: dict[str, str | float | bool] = {
        "view": "all edges" if all_of_them else state.get(state.VIEW),
        "measure": scene.shown.measure,
    }
    if scene.often:
        facts["found_again_in_at_least"] = scene.often
    if focus is not None:
        facts["focus"] = focus
    if ego and focus is not None and not all_of_them:
        facts |= {"hops": float(ego_hops(scene.shown)), "around": state.get(state.DIRECTION)}
    if all_of_them:
        found = (
            scene.shown.edges(scene.threshold, scene.picture.self_loops) if scene.picture.self_loops else None
        )
    elif ego and focus is not None:
        hops, direction = ego_hops(scene.shown), state.get(state.DIRECTION)
        found = ego_edges(scene.shown, focus, hops, direction, scene.threshold, scene.picture.self_loops)[0]
        found = found.loc[found[keys.WEIGHT] > scene.threshold]
    else:
        found = scene.shown.edges(scene.threshold, scene.picture.self_loops, top=MOST_EDGES).head(MOST_EDGES)
    return View(found, scene.picture.positions, facts)


def references() -> None:
    """Reference networks: which there are, and a place to load more for this session."""
    st.markdown("##### Reference networks")
    found, faults = loaders.references()
    mine = st.session_state.setdefault(UPLOADED, {})
    file = st.file_uploader(
        "Load an edge table (CSV or TSV with source and target, or gene1 and gene2)",
        type=["csv", "tsv", "txt", "gz"],
    )
    if file is not None:
        try:
            table = read_reference(file.getvalue(), file.name)
            mine[table.name] = table
        except QueryError as error:
            st.error(plain(error))
    everything = [*found, *mine.values()]
    if everything:
        words = (
            f"{plain(ref.name)} ({len(ref.known):,} {'edges' if ref.directed else 'pairs'})"
            for ref in everything
        )
        st.caption("In use: " + ", ".join(words) + ". An edge's evidence says whether they know it.")
    else:
        st.caption(f"None in the folder {plain(networks_folder())} yet.")
    for fault in faults:
        st.warning(plain(fault))


def default_threshold(run: RunFolder, network: GeneNetwork, shown: GeneNetwork) -> float:
    """On W that of the run's evaluation; on T the one that leaves as many pairs as W has edges there."""
    start = run.settings().evaluation.threshold
    if shown.measure == "W":
        return on_step(start)
    wanted = int(network.count_edges([start])[0])
    return on_step(shown.threshold_for(max(1, wanted)) or 0.0, shown.top)


PARTS = {
    "Paths": paths,
    "Edges": edges,
    "Regulates, regulated by": neighbours,
    "Which threshold?": thresholds,
    "How sure?": ensemble_part,
    "Communities": community_part,
    "Compare runs": compare_runs,
    "Export and references": export,
}
_CUT = (state.RUN, state.MEASURE, state.THRESHOLD, state.INFLUENCE, state.LOOPS, state.BLIND, state.OFTEN)
_SIGHT = (*_CUT, state.FOCUS, state.VIEW, state.HOPS, state.DIRECTION, state.COMMUNITY)
DEPENDS = {
    "Paths": (*_CUT, state.PATH_SOURCE, state.PATH_TARGET, state.PATH_HOPS, state.PATH_ROW),
    "Edges": _SIGHT,
    "Regulates, regulated by": _SIGHT,
    "Which threshold?": (*_CUT, state.PATH_HOPS, state.PINNED),
    "How sure?": _CUT,
    "Communities": _CUT,
    "Compare runs": (*_CUT, state.COMPARED),
    "Export and references": _SIGHT,
}
"""What each tab shows something of; where nothing of it has changed, a click in the picture need not draw the
tab anew.
"""


def _inputs() -> tuple[object, ...]:
    part = st.session_state.get(state.NETWORK_PART) or next(iter(PARTS))
    return part, *(state.get(name) for name in DEPENDS[part])


def up_to_date() -> None:
    """The open tab is being drawn from what the session holds now."""
    st.session_state[_DRAWN] = _inputs()


def outdated() -> bool:
    """Whether the tab on the screen was drawn from something else than what the session holds now."""
    return st.session_state.get(_DRAWN) != _inputs()
