"""Network: the learned network at a threshold, around a gene, and the paths between two genes."""

import pandas as pd
import streamlit as st

from dashboard import loaders, shell, state
from dashboard.network_component import network_picture
from dashboard.network_data import message, on_step, step_below
from dashboard.run_summary import null_in_words
from dashboard.words import number, percent, plain
from gpovae_core import keys
from gpovae_core.network.exports import FORMATS, export_bytes
from gpovae_core.network.grn import SIGN_WORDS, GeneNetwork
from gpovae_core.network.paths import PathTrace
from gpovae_core.plots import network as figures
from gpovae_core.training.runs import RunFolder

VIEWS = {state.WHOLE: "Whole network", state.EGO: "Around the gene"}
DIRECTIONS = {"both": "Both ways", "out": "What it regulates", "in": "What regulates it"}
TABLE_ROWS = 5000
DIRECT, NO_EVIDENCE = "source was perturbed", "no direct evidence: source never perturbed"


def threshold_of(run: RunFolder) -> float:
    chosen = state.get(state.THRESHOLD)
    return on_step(run.settings().evaluation.threshold if chosen is None else chosen)


def known_genes_only(network: GeneNetwork) -> None:
    """Genes named in the URL may be spelled in other case, or not be in this run at all."""
    for name in (state.FOCUS, state.PATH_SOURCE, state.PATH_TARGET):
        gene = state.get(name)
        if gene is None or gene in network.panel.index:
            continue
        state.put(**{name: None})
        with shell.errors_in_words():
            state.put(**{name: network.panel.genes[network.panel.position(gene)]})


def gene_name(network: GeneNetwork):
    ids = network.panel.data.ids
    return lambda gene: f"{gene} ({ids[gene]})" if gene in ids else gene


def look_around() -> None:
    """Searching for a gene is asking what is around it."""
    state.put(**{state.VIEW: state.EGO if state.get(state.FOCUS) is not None else state.WHOLE})


def controls(network: GeneNetwork) -> None:
    search, view, hops, direction = st.columns([3, 2, 1, 2])
    search.selectbox(
        "Gene",
        sorted(network.panel.genes, key=str.casefold),
        index=None,
        placeholder="Type a gene, or click one in the picture",
        format_func=gene_name(network),
        **state.bound(state.FOCUS, after=look_around),
    )
    view.selectbox("Show", list(VIEWS), format_func=VIEWS.__getitem__, **state.bound(state.VIEW))
    ego = state.get(state.VIEW) == state.EGO
    hops.selectbox(
        "Hops", list(range(1, state.MAX_HOPS + 1)), disabled=not ego, help="How many edges away from the gene.", **state.bound(state.HOPS)
    )
    direction.selectbox("Direction", list(DIRECTIONS), format_func=DIRECTIONS.__getitem__, disabled=not ego, **state.bound(state.DIRECTION))
    if ego and state.get(state.FOCUS) is None:
        st.info("Choose a gene to see what is around it. Until then the whole network is shown.")


def picture(run: RunFolder, network: GeneNetwork, threshold: float, path: tuple[str, ...]) -> None:
    data = message(
        loaders.network_picture(run),
        network,
        loaders.version(run),
        mode=state.get(state.VIEW),
        focus=state.get(state.FOCUS),
        hops=state.get(state.HOPS),
        direction=state.get(state.DIRECTION),
        threshold=threshold,
        path=path,
    )
    network_picture(
        data,
        on_click=lambda gene: state.put(**{state.FOCUS: gene}),
        on_threshold=set_threshold,
        on_reset=lambda: state.put(**dict.fromkeys((state.THRESHOLD, state.FOCUS, state.VIEW, state.HOPS, state.DIRECTION))),
    )


def trace(run: RunFolder, threshold: float) -> PathTrace | None:
    """The paths asked for; None where source or target is missing."""
    source, target = state.get(state.PATH_SOURCE), state.get(state.PATH_TARGET)
    if source is None or target is None:
        return None
    with shell.errors_in_words():
        return loaders.trace(run, source, target, state.get(state.PATH_HOPS), threshold)
    return None


def lit_path(found: PathTrace | None) -> tuple[str, ...]:
    """Genes of the path that is lit in the picture: the one ticked in the table, else the best."""
    if found is None or not found.paths:
        return ()
    return found.paths[min(state.get(state.PATH_ROW), len(found.paths) - 1)].genes


def path_controls(network: GeneNetwork) -> None:
    def again() -> None:
        state.put(**{state.PATH_ROW: None})

    st.caption(
        "Does one gene act on another directly, or through others? The best paths, with the part of the whole influence each carries."
    )
    source, target, hops = st.columns([3, 3, 1])
    perturbed, genes = list(network.panel.data.perturbed), sorted(network.panel.genes, key=str.casefold)
    first = [*perturbed, *(g for g in network.panel.data.extended)]
    name = gene_name(network)
    source.selectbox("From", first, index=None, placeholder="Source gene", format_func=name, **state.bound(state.PATH_SOURCE, after=again))
    target.selectbox("To", genes, index=None, placeholder="Target gene", format_func=name, **state.bound(state.PATH_TARGET, after=again))
    hops.selectbox("Most hops", list(range(1, state.MAX_HOPS + 1)), **state.bound(state.PATH_HOPS, after=again))


def paths(run: RunFolder, network: GeneNetwork, found: PathTrace | None, threshold: float) -> None:
    path_controls(network)
    if found is None:
        st.info("Choose two different genes above: the best path lights up in the picture.")
        return
    source, target = found.sources[0], found.target
    if not found.paths:
        no_path(run, source, target, threshold)
    else:
        path_table(run, found)
    st.plotly_chart(figures.hop_share_bars(found.share_by_hops, source, target), key="hop_shares")
    st.caption("Walks of all edges count here, whatever the threshold, weighted as the model does (hop influence T).")


def path_table(run: RunFolder, found: PathTrace) -> None:
    table = found.table()
    shown = pd.DataFrame(
        {
            "Path": table["path"],
            "Hops": table["hops"],
            "Probability": table["probability"],
            "Share of influence": [percent(share) for share in table["share"]],
            "Weakest edge": table["weakest"],
            "Effect": [SIGN_WORDS[sign] for sign in table["sign"]],
        }
    )
    key = f"paths_{found.sources[0]}_{found.target}_{found.hops}_{found.threshold}"

    def light() -> None:
        rows = st.session_state[key].selection.rows
        state.put(**{state.PATH_ROW: rows[0] if rows else None})

    st.caption("Probability: the product of W along the path. Tick a path to light it up in the picture.")
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select=light,
        selection_mode="single-row",
        column_config={
            "Path": st.column_config.TextColumn(width="large"),
            "Probability": st.column_config.NumberColumn(format="%.4f"),
            "Weakest edge": st.column_config.NumberColumn(format="%.3f"),
        },
    )
    source, target = plain(found.sources[0]), plain(found.target)
    st.markdown(
        f"Listed paths together: **{percent(found.explained)}** of the influence of {source} on {target}. The remaining "
        f"**{percent(found.remainder)}** comes from other, weaker paths and from walks that pass a gene more than once."
    )
    st.download_button("Download these paths (CSV)", table.to_csv(index=False), file_name=f"{run.name}_paths.csv", mime="text/csv")


def no_path(run: RunFolder, source: str, target: str, threshold: float) -> None:
    hops = state.get(state.PATH_HOPS)
    st.info(f"No path of at most {hops} hops from {plain(source)} to {plain(target)} has all its edges above {threshold:.3f}.")
    any_path = loaders.trace(run, source, target, hops, 0.0, top=1)
    if any_path.paths:
        lower = step_below(min(any_path.paths[0].weights))
        st.button(f"Lower the threshold to {lower:.3f}, where the most probable path appears", on_click=set_threshold, args=(lower,))


def edges(run: RunFolder, network: GeneNetwork, threshold: float) -> None:
    total = int(network.count_edges([threshold])[0])
    if total == 0:
        no_edges(network, threshold)
        return
    focus = state.get(state.FOCUS)
    if state.get(state.VIEW) == state.EGO and focus is not None:
        found = network.neighbourhood(focus, state.get(state.HOPS), state.get(state.DIRECTION), threshold).edges
        st.caption(f"{len(found):,} edges with W above {threshold:.3f} between the genes around {plain(focus)}, strongest first.")
    else:
        found = network.edges(threshold, top=TABLE_ROWS)
        st.caption(f"{total:,} edges with W above {threshold:.3f}, strongest first.")
    if len(found) >= TABLE_ROWS < total:
        st.caption(f"The strongest {TABLE_ROWS:,} are listed; the download has all.")
    st.dataframe(edge_table(network, found), hide_index=True, column_config={"W": st.column_config.NumberColumn(format="%.4f")})
    download(run, network, threshold, total)


def no_edges(network: GeneNetwork, threshold: float) -> None:
    st.info(f"No edge between different genes has W above {threshold:.3f}.")
    best = network.suggest_threshold(1)
    if best is not None:
        lower = step_below(best)
        st.button(f"Lower the threshold to {lower:.3f}, where the first edges appear", on_click=set_threshold, args=(lower,))


def set_threshold(value: float) -> None:
    state.put(**{state.THRESHOLD: value})


def download(run: RunFolder, network: GeneNetwork, threshold: float, total: int) -> None:
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    chosen = left.selectbox("File format", list(FORMATS), format_func=lambda name: FORMATS[name].label, key="export_format")
    right.download_button(
        f"Download all {total:,} edges",
        lambda: export_bytes(network, threshold, chosen),
        file_name=f"{run.name}_W{threshold:g}{FORMATS[chosen].suffix}",
        mime=FORMATS[chosen].mime,
    )


def edge_table(network: GeneNetwork, found: pd.DataFrame) -> pd.DataFrame:
    found = found.head(TABLE_ROWS)
    perturbed = set(network.panel.data.perturbed)
    return pd.DataFrame(
        {
            "Source": found[keys.SOURCE],
            "Effect": [SIGN_WORDS[sign] for sign in found[keys.SIGN]],
            "Target": found[keys.TARGET],
            "W": found[keys.WEIGHT],
            "Evidence": [DIRECT if gene in perturbed else NO_EVIDENCE for gene in found[keys.SOURCE]],
        }
    )


def threshold_part(run: RunFolder, threshold: float) -> None:
    shown = loaders.network_picture(run)
    st.plotly_chart(figures.edge_count_curve(shown.thresholds, shown.counts, threshold), key="edge_counts")
    st.caption(
        "There is no right threshold: a lower one shows more edges and more false ones. W is the probability the model gives an edge, "
        "not a p value; compare two networks only at the same number of edges."
    )


def page(run: RunFolder) -> None:
    network = loaders.network(run)
    known_genes_only(network)
    threshold = threshold_of(run)
    found = trace(run, threshold)
    controls(network)
    picture(run, network, threshold, lit_path(found))
    gene_facts(network, threshold)
    with shell.errors_in_words():
        trust(run, network, threshold)
    shell.tabs(
        "network_part",
        {
            "Paths between two genes": lambda: paths(run, network, found, threshold),
            "Edges": lambda: edges(run, network, threshold),
            "Which threshold?": lambda: threshold_part(run, threshold),
        },
    )


def trust(run: RunFolder, network: GeneNetwork, threshold: float) -> None:
    """What the edges rest on, before anybody reads them as confidence."""
    table = network.degrees(threshold)
    total, blind = int(table["targets"].sum()), int(table.loc[~table["perturbed"], "targets"].sum())
    words = [null_in_words(loaders.evaluation(run)) or ""]
    if blind:
        words.insert(0, f"{blind:,} of the {total:,} edges start at genes that were never perturbed: they have no direct evidence.")
    if any(words):
        st.caption(" ".join(words).strip())


def gene_facts(network: GeneNetwork, threshold: float) -> None:
    """One line on the chosen gene."""
    gene = state.get(state.FOCUS)
    if gene is None:
        return
    row = network.degrees(threshold).set_index("gene").loc[gene]
    perturbed = "perturbed in this screen" if row["perturbed"] else "never perturbed: its outgoing edges have no direct evidence"
    measured = "" if row["measured"] else "; not measured, so nothing is known of effects on it"
    st.markdown(
        f"**{plain(gene)}**: {perturbed}{measured}. At W > {threshold:.3f} it regulates **{number(int(row['targets']))}** genes "
        f"and is regulated by **{number(int(row['regulators']))}**."
    )


shell.title("Network", "An arrow from A to B: the model believes that A regulates B, with probability W.")
if (opened := shell.opened_run()) is not None:
    page(opened)
