"""Network: the learned network at a threshold, the gene or edge chosen in it, and the questions below the
picture.
"""

import streamlit as st

from dashboard.network import history, pictures, tabs
from dashboard.network.component import Answers, graph_in_browser, network_picture
from dashboard.network.drawing import Sight, false_edge_rate, message, on_step
from dashboard.network.inspector import chosen_edge, inspector
from dashboard.shared import loaders, shell, state
from dashboard.shared.glossary import meaning
from dashboard.shared.run_summary import null_in_words
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace
from gpovae_core.runs.folder import RunFolder

VIEWS = {state.WHOLE: "Whole network", state.EGO: "Around the gene", state.COMMUNITIES: "Communities"}
DIRECTIONS = {"both": "Both ways", "out": "What it regulates", "in": "What regulates it"}
MEASURES = {"W": "Direct edges (W)", "T": "All influence (T)"}
GENES = (state.FOCUS, state.PATH_TARGET, state.EDGE_SOURCE, state.EDGE_TARGET)


def known_genes_only(network: GeneNetwork) -> None:
    """Genes named in the URL may be spelled in other case, be Ensembl ids, or not be in this run at all."""

    def known(gene: str) -> str | None:
        with shell.errors_in_words():
            return network.panel.genes[network.panel.position(gene)]
        return None

    for name in GENES:
        gene = state.get(name)
        if gene is not None and gene not in network.panel.index:
            state.put(**{name: known(gene)})
    sources = state.get(state.PATH_SOURCE)
    if any(gene not in network.panel.index for gene in sources):
        state.put(**{state.PATH_SOURCE: tuple(filter(None, map(known, sources))) or None})


def look_around() -> None:
    """Searching for a gene is asking what is around it."""
    state.put(
        **{
            state.VIEW: state.EGO if state.get(state.FOCUS) is not None else state.WHOLE,
            state.EDGE_SOURCE: None,
        }
    )


def controls(network: GeneNetwork) -> None:
    search, view, measure, often, hops, direction = st.columns([3, 2, 2, 2, 1, 2])
    search.selectbox(
        "Gene",
        sorted(network.panel.genes, key=str.casefold),
        index=None,
        placeholder="Type a symbol or Ensembl id, or click a gene",
        format_func=tabs.gene_name(network),
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


def picture(scene: tabs.Scene) -> None:
    found, shown = scene.trace, scene.shown
    grouped = state.get(state.VIEW) == state.COMMUNITIES
    undo, redo = history.possible()
    sight = Sight(
        mode=state.get(state.VIEW),
        focus=state.get(state.FOCUS),
        hops=tabs.ego_hops(shown),
        direction=state.get(state.DIRECTION),
        threshold=scene.threshold,
        goal=state.get(state.PATH_TARGET),
        path=tabs.lit_path(found),
        paths=tuple(path.genes for path in found.paths) if found else (),
        edge=chosen_edge(shown),
        members=loaders.network_communities(
            scene.run, shown.measure, scene.threshold, state.get(state.BLIND), scene.often
        )
        if grouped
        else None,
        highlight=state.get(state.COMMUNITY) if grouped else None,
        undo=undo,
        redo=redo,
        false_rate=None if scene.often else false_edge_rate(loaders.false_edges(scene.run), shown),
    )
    network_picture(
        message(scene.picture, shown, loaders.version(scene.run), sight, graph_in_browser()), answers(found)
    )


def answers(found: PathTrace | None) -> Answers:
    def edge(source: str, target: str) -> None:
        tabs.pick_path(found, source, target)
        state.put(**{state.EDGE_SOURCE: source, state.EDGE_TARGET: target})

    return Answers(
        gene=lambda gene: state.put(**{state.FOCUS: gene, state.EDGE_SOURCE: None, state.EDGE_TARGET: None}),
        aimed=aim,
        edge=edge,
        threshold=tabs.set_threshold,
        loops=lambda shown: state.put(**{state.LOOPS: shown or None}),
        blind=lambda shown: state.put(**{state.BLIND: shown or None}),
        step=history.step,
        reset=lambda: state.put(
            **dict.fromkeys(
                (*history.REMEMBERED, state.HOPS, state.DIRECTION, state.COMMUNITY, state.LOOPS, state.BLIND)
            )
        ),
    )


def aim(gene: str) -> None:
    """A shift-click: this gene is the target; the chosen gene is the source where none is named yet."""
    focus = state.get(state.FOCUS)
    if not state.get(state.PATH_SOURCE) and focus is not None and focus != gene:
        state.put(**{state.PATH_SOURCE: (focus,)})
    state.put(**{state.PATH_TARGET: gene, state.PATH_ROW: None})
    st.session_state[state.NETWORK_PART] = "Paths"


def trace(run: RunFolder, threshold: float) -> PathTrace | None:
    """The paths asked for; None where source or target is missing."""
    sources, target = state.get(state.PATH_SOURCE), state.get(state.PATH_TARGET)
    if not sources or target is None:
        return None
    with shell.errors_in_words():
        return loaders.trace(run, sources, target, state.get(state.PATH_HOPS), threshold)
    return None


def trust(scene: tabs.Scene) -> None:
    """What the edges rest on, before anybody reads them as confidence."""
    words = null_in_words(loaders.evaluation(scene.run))
    if words:
        st.caption(words)
    counted = scene.shown.count_open(scene.threshold)
    if counted is not None and counted[0]:
        judged, in_doubt = counted
        st.caption(
            f"Direct or not: of the {judged:,} edges out of perturbed genes with {scene.above}, "
            f"{in_doubt:,} may run over a gene that nobody perturbed, as their source changes such a gene "
            "more than the target. No cell of this screen tells that from a direct edge."
        )


def scene_of(run: RunFolder) -> tabs.Scene:
    network = loaders.network(run)
    known_genes_only(network)
    measure, blind = state.get(state.MEASURE), state.get(state.BLIND)
    often = state.get(state.OFTEN) if network.ensemble is not None and measure == "W" else 0.0
    shown = loaders.shown_network(run, measure, blind, often)
    chosen = state.get(tabs.threshold_name())
    threshold = (
        tabs.default_threshold(run, loaders.shown_network(run, "W", blind), shown)
        if chosen is None
        else on_step(min(chosen, shown.top), shown.top)
    )
    on_w = (
        threshold
        if shown.measure == "W"
        else on_step(state.get(state.THRESHOLD) or run.settings().evaluation.threshold)
    )
    drawn = pictures.network_picture(run, measure, state.get(state.LOOPS), blind, often)
    return tabs.Scene(run, network, shown, drawn, threshold, trace(run, on_w), often)


@st.fragment
def explorer(run: RunFolder) -> None:
    """The picture with what stands around it. A click runs this part alone, the whole page where the open tab
    depends on the change.
    """
    if tabs.outdated():
        st.rerun()
    state.sync_url()
    scene = scene_of(run)
    history.record()
    controls(scene.network)
    left, right = st.columns([7, 3])
    with right, shell.errors_in_words():  # first: the browser paints the picture last, and that takes longest
        inspector(run, scene.shown, scene.threshold)
    with left:
        picture(scene)


def page(run: RunFolder) -> None:
    scene = scene_of(run)  # a run that cannot be read says so here, once
    tabs.up_to_date()
    explorer(run)
    with shell.errors_in_words():
        trust(scene)
    shell.tabs(state.NETWORK_PART, {name: lambda part=part: part(scene) for name, part in tabs.PARTS.items()})


shell.title("Network", "An arrow from A to B: the model believes that A regulates B, with probability W.")
if (opened := shell.opened_run()) is not None:
    page(opened)
