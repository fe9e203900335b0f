"""What every part of the page Network looks at, gathered from the session once."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.network.slider import on_step
from dashboard.shared import networks, shell, state
from dashboard.shared.networks import Shown
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace
from gpovae_core.runs.folder import RunFolder

TABLE_ROWS = 5000


@dataclass(frozen=True)
class Scene:
    """The run, its W, which network of it is looked at, that network (W or T), the threshold on it, and the
    paths that were asked for.
    """

    run: RunFolder
    network: GeneNetwork
    which: Shown
    shown: GeneNetwork
    threshold: float
    trace: PathTrace | None

    @property
    def above(self) -> str:
        often = self.which.often
        again = f", found again in at least {often:.0%} of the ensemble" if often else ""
        return f"{self.shown.measure} above {self.threshold:.4g}{again}"


GENES = (state.FOCUS, state.PATH_TARGET, state.EDGE_SOURCE, state.EDGE_TARGET)


def scene_of(run: RunFolder) -> Scene:
    network = networks.network(run)
    known_genes_only(network)
    often = state.get(state.OFTEN) if network.ensemble is not None else 0.0
    which = Shown(state.get(state.MEASURE), state.get(state.BLIND), often)
    shown = networks.shown_network(run, which)
    chosen = state.get(threshold_name())
    threshold = (
        default_threshold(run, networks.shown_network(run, Shown("W", which.blind)), shown)
        if chosen is None
        else on_step(min(chosen, shown.top), shown.top)
    )
    on_w = (
        threshold
        if shown.measure == "W"
        else on_step(state.get(state.THRESHOLD) or run.settings().evaluation.threshold)
    )
    return Scene(run, network, which, shown, threshold, trace(run, on_w))


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


def trace(run: RunFolder, threshold: float) -> PathTrace | None:
    """The paths asked for; None where source or target is missing."""
    sources, target = state.get(state.PATH_SOURCE), state.get(state.PATH_TARGET)
    if not sources or target is None:
        return None
    with shell.errors_in_words():
        return networks.trace(run, sources, target, state.get(state.PATH_HOPS), threshold)
    return None


def threshold_name() -> str:
    """W and T have scales of their own, so each has its threshold."""
    return state.THRESHOLD if state.get(state.MEASURE) == "W" else state.INFLUENCE


def set_threshold(value: float) -> None:
    state.put(**{threshold_name(): value})


def default_threshold(run: RunFolder, network: GeneNetwork, shown: GeneNetwork) -> float:
    """On W that of the run's evaluation; on T the one that leaves as many pairs as W has edges there."""
    start = run.settings().evaluation.threshold
    if shown.measure == "W":
        return on_step(start)
    wanted = int(network.count_edges([start])[0])
    return on_step(shown.threshold_for(max(1, wanted)) or 0.0, shown.top)


def ego_hops(shown: GeneNetwork) -> int:
    """T already adds up all hops: around a gene its own pairs are shown, once."""
    return state.get(state.HOPS) if shown.measure == "W" else 1


def chosen_edge(network: GeneNetwork) -> tuple[str, str] | None:
    """Source and target of the chosen edge, None where there is none or a gene is not in this run."""
    ends = state.get(state.EDGE_SOURCE), state.get(state.EDGE_TARGET)
    return ends if all(gene in network.panel.index for gene in ends) else None
