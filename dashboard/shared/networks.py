"""The network of a run, which part of it is looked at, and the paths in it."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.shared.cached import of_run
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace, trace_paths
from gpovae_core.runs.folder import RunFolder

NETWORK_FILES = ("config.json", "panel.json", "model.safetensors", "effects.h5ad", "ensemble.safetensors")


@dataclass(frozen=True)
class Shown:
    """Which network of a run is looked at.

    measure: "W", the direct edges, or "T", the influence over up to K hops. blind: with the edges out of
    genes that were never perturbed, for which no cell speaks. often: only the edges that at least this share,
    0 to 1, of the ensemble's members has; the ensemble counts edges of W, so for T it is 0 whatever is given.
    """

    measure: str = "W"
    blind: bool = True
    often: float = 0.0

    def __post_init__(self) -> None:
        if self.measure != "W":
            object.__setattr__(self, "often", 0.0)


@of_run(*NETWORK_FILES, kind="resource", entries=4, spinner="Reading the network …")
def network(run: RunFolder) -> GeneNetwork:
    """W with names and signs, all of it."""
    return GeneNetwork.from_run(run)


@of_run("network.safetensors", kind="resource", entries=4)
def stage(run: RunFolder) -> NetworkFit | None:
    """What the network stage found, for W and S; None where the run has none."""
    arrays = run.network_arrays()
    return NetworkFit.from_arrays(arrays) if arrays else None


@of_run(*NETWORK_FILES, kind="resource", entries=4, spinner="Adding up the influence over several hops …")
def influence(run: RunFolder) -> GeneNetwork:
    """T over as many hops as the run shows, all of it."""
    return network(run).influence_network(run.settings().loss.shown_hops)


@of_run(*NETWORK_FILES, kind="resource", entries=6)
def shown_network(run: RunFolder, which: Shown) -> GeneNetwork:
    """The part of W or T that is looked at; the same object where that is all of it."""
    found = network(run) if which.measure == "W" else influence(run)
    return (found if which.blind else found.with_evidence()).found_often(which.often)


@of_run(*NETWORK_FILES, kind="data", entries=64, spinner="Tracing paths …")
def trace(
    run: RunFolder, sources: tuple[str, ...], target: str, hops: int, threshold: float, top: int = 20
) -> PathTrace:
    """The best paths from one or several genes to another (see gpovae_core.network.paths.trace_paths)."""
    return trace_paths(network(run), sources, target, hops=hops, top=top, threshold=threshold)
