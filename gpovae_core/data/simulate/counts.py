"""From what was done to a cell to its counts."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from gpovae_core.data.simulate.droplets import Cells, Droplets, Guides, Labels
from gpovae_core.data.simulate.genes import Genes
from gpovae_core.data.simulate.network import Network, propagate
from gpovae_core.data.simulate.settings import SimulationSettings

_CHUNK_VALUES = 8_000_000  # cells x genes held dense at a time


def draw_counts(
    settings: SimulationSettings,
    network: Network,
    genes: Genes,
    labels: Labels,
    guides: Guides,
    beyond: np.ndarray,
    droplets: Droplets,
    rng: np.random.Generator,
) -> sparse.csr_matrix:
    """(cells, measured genes + mitochondrial genes) float32, a chunk of cells dense at a time. beyond:
    (labels, genes) what combinations force beyond their guides.
    """

    def draw(cells: Cells) -> np.ndarray:
        forced = guides.dose[cells.guide] * genes.donor_strength[cells.donor]
        forced = (forced + beyond[guides.label[cells.guide]]) * ~cells.escaped[:, None]
        library = np.where(cells.escaped, 1.0, labels.library[guides.label[cells.guide]])
        return _draw_cells(settings, network, genes, cells, forced, library, rng)

    size = max(1, _CHUNK_VALUES // (settings.genes + settings.mitochondrial_genes))
    blocks = []
    for start in range(0, settings.cells, size):
        chunk = np.arange(start, min(start + size, settings.cells))
        counts = draw(droplets.cells.at(chunk))
        double = np.flatnonzero(droplets.partners.guide[chunk] >= 0)
        if len(double):
            counts[double] += draw(droplets.partners.at(chunk[double]))
        blocks.append(sparse.csr_matrix(counts, dtype=np.float32))
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr", dtype=np.float32))


def _draw_cells(
    settings: SimulationSettings,
    network: Network,
    genes: Genes,
    cells: Cells,
    forced: np.ndarray,
    library_effect: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(cells, measured + mitochondrial genes) counts of cells on which the log fold changes `forced` (cells,
    genes) are forced.
    """
    n, size = forced.shape
    phase = rng.uniform(0.0, 2.0 * np.pi, n)
    basal = np.stack([np.cos(phase), np.sin(phase)], axis=1) @ genes.loadings
    basal += genes.state_effects[cells.state]
    noise = settings.basal_noise * rng.standard_normal((n, size), dtype=np.float32)
    hidden = np.where(genes.silent, forced, np.float32(0.0))  # felt by the targets, not seen in the own mRNA
    activity = propagate(network, forced + basal.astype(np.float32) + noise, settings.saturation)
    place = (genes.log_base + genes.batch_effects)[cells.batch] + genes.donor_effects[cells.donor]
    level = np.exp(activity - hidden + place.astype(np.float32))
    level /= level.sum(axis=1, keepdims=True)

    library = (
        settings.library_median
        * rng.lognormal(0.0, settings.library_spread, n)
        * np.where(cells.low_quality, 0.25, 1.0)
        * library_effect
    )
    odds = (
        settings.mitochondrial_share
        / (1 - settings.mitochondrial_share)
        * rng.lognormal(0.0, 0.3, n)
        * np.where(cells.low_quality, 5.0, 1.0)
    )
    mito = odds / (1 + odds) if len(genes.mito_base) else np.zeros(n)
    mean = np.concatenate(
        [
            level[:, genes.measured] * (library * (1 - mito))[:, None],
            (library * mito)[:, None] * genes.mito_base,
        ],
        axis=1,
    )
    if settings.over_dispersion > 0:
        mean *= (
            rng.standard_gamma(1.0 / settings.over_dispersion, mean.shape, dtype=np.float32)
            * settings.over_dispersion
        )
    return rng.poisson(mean).astype(np.float32)
