"""What only the page Home computes of a run, kept."""

from __future__ import annotations

from dashboard.shared import networks
from dashboard.shared.cached import of_run
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.overview import Overview, overview
from gpovae_core.runs.folder import RunFolder


@of_run(*networks.NETWORK_FILES, kind="data", entries=16, spinner="Reading the network …")
def overview_of(run: RunFolder) -> Overview:
    """The network of a run above the threshold of its scores, at one look."""
    return overview(GeneNetwork.from_run(run, measured=False), run.settings().evaluation.threshold)
