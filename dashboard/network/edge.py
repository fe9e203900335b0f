"""The evidence of the chosen edge."""

from __future__ import annotations

import math

import streamlit as st

from dashboard.network import cached
from dashboard.network.ensemble import edge_in_words
from dashboard.network.references import all_references
from dashboard.shared import networks, state
from dashboard.shared.figures import chart
from dashboard.shared.words import percent, plain
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import EdgeInspection, Measured, inspect_edge
from gpovae_core.network.references import Known, networks_folder
from gpovae_core.plots import network as figures
from gpovae_core.reporting.sentences import w_in_words
from gpovae_core.runs.folder import RunFolder

DETOURS_NAMED = 5


def chosen_edge(network: GeneNetwork) -> tuple[str, str] | None:
    """Source and target of the chosen edge, None where there is none or a gene is not in this run."""
    ends = state.get(state.EDGE_SOURCE), state.get(state.EDGE_TARGET)
    return ends if all(gene in network.panel.index for gene in ends) else None


def show(run: RunFolder, source: str, target: str) -> None:
    network = networks.network(run)
    known = all_references(network.simulated)
    found = inspect_edge(
        network,
        source,
        target,
        cached.held_out(run),
        cached.pairs(run),
        known,
        run.settings().loss.shown_hops,
    )
    st.button("Close this edge", key="close_edge", type="tertiary", on_click=forget_edge)
    st.markdown(f"#### {plain(found.source)} → {plain(found.target)}")
    st.markdown(_standing(found))
    st.caption(plain(w_in_words(found.weight)))
    if found.against_paths:
        st.info(
            "The edge and the paths work against each other, so that little is left of either: T = "
            f"{found.influence:+.3g}. The edge is inferred from an effect of {plain(found.source)} that the "
            "paths predict and the cells hardly show."
        )
    if network.ensemble is not None:
        st.caption(
            plain(
                edge_in_words(
                    network.ensemble, network.panel.index[found.source], network.panel.index[found.target]
                )
            )
        )
    if found.measured is None:
        st.warning(plain(found.why_not))
    else:
        st.markdown(_effect_in_words(found, found.measured))
        chart(
            figures.distributions(found.measured, found.source, found.target),
            key="edge_cells",
            config={"displayModeBar": False},
        )
        st.caption(_tests_in_words(found.measured))
        _offer_pairs(run, found.measured)
    _direct_or_not(found)
    _known_elsewhere(found.known, network.simulated)


def forget_edge() -> None:
    state.put(**{state.EDGE_SOURCE: None, state.EDGE_TARGET: None})


def _standing(found: EdgeInspection) -> str:
    kind = "a perturbed source" if found.perturbed else "a source never perturbed, or held out"
    words = [f"W = **{found.weight:.3f}**, rank {found.rank:,} of {found.of:,} pairs with {kind}"]
    sign = {1: "activates", -1: "represses"}.get(found.sign, "sign not known")
    words.append(sign)
    if found.strength is not None:
        words.append(f"strength S = {found.strength:+.3f}")
    if math.isfinite(found.influence):
        words.append(f"influence over all paths T = {found.influence:.3g}")
    return "; ".join(words) + "."


def _effect_in_words(found: EdgeInspection, measured: Measured) -> str:
    if found.source == found.target:
        start = f"With {plain(found.source)} knocked down, its own expression is"
    else:
        start = f"With {plain(found.source)} perturbed, {plain(found.target)} is"
    if not math.isfinite(measured.fold):
        return f"{start} not seen in enough cells for an effect."
    interval = ""
    if math.isfinite(measured.low):
        sure = " The interval includes 0: no clear effect." if measured.low <= 0 <= measured.high else ""
        interval = f" (95 % interval {measured.low:+.2f} to {measured.high:+.2f}).{sure}"
    way = f"**x {2**measured.fold:.2f}**, log2 fold change **{measured.fold:+.2f}**"
    return f"{start} {way}{interval or '.'}"


def _tests_in_words(measured: Measured) -> str:
    adjusted = "not computed yet" if measured.adjusted is None else p_value(measured.adjusted)
    return (
        f"Held-out cells: {len(measured.perturbed):,} perturbed, {len(measured.control):,} control. "
        f"Fold change of the mean share of all counts. Mann-Whitney p {p_value(measured.p)}, "
        f"adjusted over all pairs {adjusted}. Wasserstein distance {measured.wasserstein:.3f}."
    )


def p_value(p: float) -> str:
    return "below 1e-15" if p < 1e-15 else f"{p:.2g}"


def _offer_pairs(run: RunFolder, measured: Measured) -> None:
    seconds = cached.pairs_wait(run)
    if measured.adjusted is None and seconds is not None:
        st.button(
            f"Test all pairs (about {seconds:.0f} s, once)",
            on_click=cached.ask_for_pairs,
            args=(run,),
            key="pairs_for_edge",
        )


def _direct_or_not(found: EdgeInspection) -> None:
    st.markdown("**Direct, or through other genes?**")
    if found.trace is None:
        st.caption("An edge from a gene to itself.")
        return
    if found.detour is None:
        st.caption(f"No path through other genes leads from {plain(found.source)} to {plain(found.target)}.")
    else:
        path = plain(" → ".join(found.detour.genes))
        values = f"{path}, probability {found.detour.probability:.3g} against {found.weight:.3g} of the edge"
        if found.explained_by_path:
            st.markdown(f"A path explains it at least as well: {values}. The effect may be **indirect**.")
        else:
            st.markdown(f"The edge itself is the most probable way. The best detour: {values}.")
    if found.open_detours is not None:
        st.markdown(_open_detours_in_words(found, found.open_detours))
    direct = found.trace.share_by_hops[0]
    st.caption(
        f"The edge carries {percent(direct) if 0 <= direct <= 1 else f'{100 * direct:.0f} %'} of the whole "
        "influence."
    )
    st.button(
        "Show all paths between them",
        key="edge_paths",
        on_click=show_paths,
        args=(found.source, found.target),
    )


def _open_detours_in_words(found: EdgeInspection, genes: tuple[str, ...]) -> str:
    source, target = plain(found.source), plain(found.target)
    if not genes:
        return (
            f"Of the genes never perturbed {source} changes none more than {target}: no sign of a detour "
            "over one of them."
        )
    named = ", ".join(plain(gene) for gene in genes[:DETOURS_NAMED])
    more = f" and {len(genes) - DETOURS_NAMED:,} more" if len(genes) > DETOURS_NAMED else ""
    return f"**Not excluded:** a detour over {named}{more}, never perturbed and changed more than {target}."


def show_paths(source: str, target: str) -> None:
    state.put(**{state.PATH_SOURCE: (source,), state.PATH_TARGET: target, state.PATH_ROW: None})
    st.session_state[state.NETWORK_PART] = "Paths"


def _known_elsewhere(known: tuple[Known, ...], simulated: bool) -> None:
    st.markdown("**Known elsewhere?**")
    if not known and simulated:
        st.caption(
            "A simulated gene is in no reference network. A table of your own can be loaded under Export "
            "and references."
        )
    elif not known:
        st.caption(
            f"No reference network is loaded. Put tables such as TRRUST or CollecTRI into the folder "
            f"{plain(networks_folder())}, or load one under Export and references."
        )
    else:
        st.markdown("\n".join(f"- {_known_in_words(entry)}" for entry in known))
        st.caption("Absence proves nothing: these tables hold what was studied.")


def _known_in_words(entry: Known) -> str:
    name = plain(entry.reference)
    if entry.found:
        notes = plain(", ".join(entry.notes[:3]) + (" …" if len(entry.notes) > 3 else ""))
        return f"**{name}: yes**" + (f" ({notes})" if notes else "")
    if entry.reverse:
        return f"{name}: only the other way round"
    return (
        f"{name}: no, among {entry.listed:,} it lists for this source"
        if entry.listed
        else f"{name}: says nothing about this source"
    )
