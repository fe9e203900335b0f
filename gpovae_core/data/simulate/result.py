"""What is handed over: the cells with the truth about them, and the tables beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.simulate.droplets import Droplets, Guides, Labels
from gpovae_core.data.simulate.genes import Genes
from gpovae_core.data.simulate.network import Network
from gpovae_core.data.simulate.settings import SimulationSettings
from gpovae_core.data.write import write_cells, write_table
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    from anndata import AnnData

CONTROL_LABEL = "non-targeting"
BATCH = "batch"
GUIDE = "guide"
DONOR = "donor"
LOW_QUALITY = "true_low_quality"
DOUBLET = "true_doublet"
DOUBLET_WITH = "true_doublet_with"
ESCAPED = "true_escaped"
STATE = "true_state"
TRUE_PERTURBATIONS = "true_perturbations"
TRUE_GUIDES = "true_guides"
TRUE_DONORS = "true_donors"


@dataclass(frozen=True)
class Simulation:
    """Simulated cells and the network they came from.

    adata: X is CSR float32 counts, shape (n_obs, n_vars). obs has `perturbation` (genes, A+B, or
    `non-targeting`), `batch`, GUIDE and DONOR where there are several, and the truth: LOW_QUALITY, DOUBLET,
    DOUBLET_WITH, ESCAPED, and STATE (`first` or `second`) where a perturbation moves cells between states.
    var has `base_mean` (expected share in an unperturbed cell of the first state), `perturbed`, `knockdown`
    (share removed), `silent` (not from the own mRNA), `mitochondrial`, and, where asked for, `activation`
    (fold to which the expression rises), `raised` (the same of genes in both directions, 1 for others) and
    `state_effect` (log difference of the second state from the
    first, without what it brings about through the network). uns has `simulated`, `settings` (JSON), `seed`
    and three tables. TRUE_PERTURBATIONS: `perturbation`, `batch` (its own, where batches are not balanced),
    `library_effect` (factor) and `moves_states`. TRUE_GUIDES: `guide`, `perturbation`, `strength` (log fold
    change forced on its gene; the mean over both of a combination) and `off_target` (genes hit beside it,
    joined by keys.PAIR_SEPARATOR; empty for most). TRUE_DONORS: a row for each donor, a column for each
    perturbed gene: what the strength of its perturbation is multiplied by.
    edges: the true direct edges, columns keys.SOURCE, TARGET, WEIGHT (signed strength) and SIGN (+1
    activates, -1 represses). Genes that are perturbed but not measured are in it too.
    interactions: the genes that a combination changes beyond what its genes do alone: keys.PERTURBATION,
    TARGET and WEIGHT (added to the log activity; what lies downstream of such a gene changes with it). Empty
    unless asked for.
    """

    adata: AnnData
    edges: pd.DataFrame
    interactions: pd.DataFrame

    def write(self, path: Path) -> Path:
        """Write the cells to `path` and the edges beside it (`x.h5ad` -> `x.edges.csv`); returns the path of
        the edges.

        Where there are interactions they go to `x.interactions.csv`.
        """
        path = Path(path)
        if path.suffix != ".h5ad":
            raise SettingsError(
                f"Simulated cells are written as .h5ad: expected a name like cells.h5ad, got '{path.name}'."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_cells(self.adata, path)
        edges = path.with_suffix(".edges.csv")
        write_table(self.edges, (), edges)
        if len(self.interactions):
            write_table(self.interactions, (), path.with_suffix(".interactions.csv"))
        return edges


def edge_table(network: Network, names: np.ndarray) -> pd.DataFrame:
    """The true direct edges as in Simulation, sorted by source, then target."""
    edges = network.strength.tocoo()
    table = pd.DataFrame(
        {
            keys.SOURCE: names[edges.row],
            keys.TARGET: names[edges.col],
            keys.WEIGHT: edges.data,
            keys.SIGN: np.sign(edges.data).astype(np.int8),
        }
    )
    return table.sort_values([keys.SOURCE, keys.TARGET], ignore_index=True)


def interaction_table(beyond: np.ndarray, targets: list[tuple[int, ...]], names: np.ndarray) -> pd.DataFrame:
    """beyond: (labels, genes) what combinations force beyond their guides."""
    rows, columns = np.nonzero(beyond)
    labels = [keys.PAIR_SEPARATOR.join(names[list(hit)]) for hit in targets]
    table = pd.DataFrame(
        {
            keys.PERTURBATION: [labels[row] for row in rows],
            keys.TARGET: names[columns],
            keys.WEIGHT: beyond[rows, columns],
        }
    )
    return table.sort_values([keys.PERTURBATION, keys.TARGET], ignore_index=True)


def annotate(
    settings: SimulationSettings,
    network: Network,
    genes: Genes,
    labels: Labels,
    guides: Guides,
    droplets: Droplets,
    counts: sparse.csr_matrix,
) -> AnnData:
    """The counts with everything that Simulation says of them."""
    import anndata

    names = labels.names(genes.names)
    guide_names = _guide_names(names, guides)
    names[0] = CONTROL_LABEL
    cells, partner = droplets.cells, droplets.partners.guide
    doublet = partner >= 0
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: pd.Categorical(names[guides.label[cells.guide]]),
            BATCH: pd.Categorical([f"batch{i + 1}" for i in cells.batch]),
            LOW_QUALITY: cells.low_quality,
            DOUBLET: doublet,
            DOUBLET_WITH: np.where(doublet, names[guides.label[partner]], ""),
            ESCAPED: cells.escaped,
        },
        index=pd.Index([f"cell{i:07d}" for i in range(1, settings.cells + 1)], dtype=object),
    )
    if settings.guides_per_gene > 1:
        obs[GUIDE] = pd.Categorical(guide_names[cells.guide])
    if settings.donors > 1:
        obs[DONOR] = pd.Categorical([f"donor{i + 1}" for i in cells.donor])
    if settings.moving:
        obs[STATE] = pd.Categorical(np.where(cells.state == 1, "second", "first"))
    adata = anndata.AnnData(X=counts, obs=obs, var=_gene_table(settings, network, genes))
    adata.uns = {
        "simulated": True,
        "settings": settings.model_dump_json(),
        "seed": settings.seed,
        TRUE_PERTURBATIONS: _perturbation_table(settings, labels, names),
        TRUE_GUIDES: _guide_table(genes, labels, guides, names, guide_names),
        TRUE_DONORS: pd.DataFrame(
            genes.donor_strength[:, network.perturbed].astype(np.float64),
            index=pd.Index([f"donor{i + 1}" for i in range(settings.donors)], dtype=object),
            columns=pd.Index(genes.names[network.perturbed], dtype=object),
        ),
    }
    return adata


def _guide_names(names: np.ndarray, guides: Guides) -> np.ndarray:
    """(guides,) `A_g1`, `A_g1+B_g1`, `non-targeting_g1`."""
    parts = (str(names[label] or CONTROL_LABEL).split(keys.PAIR_SEPARATOR) for label in guides.label.tolist())
    return np.array(
        [
            keys.PAIR_SEPARATOR.join(f"{part}_g{number + 1}" for part in each)
            for each, number in zip(parts, guides.number.tolist(), strict=True)
        ],
        dtype=object,
    )


def _perturbation_table(settings: SimulationSettings, labels: Labels, names: np.ndarray) -> pd.DataFrame:
    own = [f"batch{i + 1}" if settings.batch_imbalance > 0 else "" for i in labels.home[1:]]
    return pd.DataFrame(
        {
            keys.PERTURBATION: names[1:],
            BATCH: own,
            "library_effect": labels.library[1:],
            "moves_states": labels.moves[1:],
        },
        index=pd.Index([str(i) for i in range(len(own))], dtype=object),
    )


def _guide_table(
    genes: Genes, labels: Labels, guides: Guides, names: np.ndarray, guide_names: np.ndarray
) -> pd.DataFrame:
    hits = [list(labels.targets[label]) for label in guides.label.tolist()]
    return pd.DataFrame(
        {
            GUIDE: guide_names,
            keys.PERTURBATION: names[guides.label],
            "strength": [
                float(dose[hit].mean()) if hit else 0.0 for dose, hit in zip(guides.dose, hits, strict=True)
            ],
            "off_target": [keys.PAIR_SEPARATOR.join(genes.names[list(other)]) for other in guides.off_target],
        },
        index=pd.Index([str(i) for i in range(len(hits))], dtype=object),
    )


def _gene_table(settings: SimulationSettings, network: Network, genes: Genes) -> pd.DataFrame:
    kept, mito = genes.measured, len(genes.mito_names)
    base = np.exp(genes.log_base)
    nuclear = 1 - settings.mitochondrial_share * (mito > 0)
    perturbed = np.isin(np.arange(settings.genes), network.perturbed)
    table = pd.DataFrame(
        {
            "base_mean": np.concatenate(
                [(nuclear * base / base.sum())[kept], settings.mitochondrial_share * genes.mito_base]
            ),
            "perturbed": np.concatenate([perturbed[kept], np.zeros(mito, dtype=bool)]),
            "knockdown": np.concatenate(
                [np.where(perturbed, genes.knockdown, np.nan)[kept], np.full(mito, np.nan)]
            ),
            "silent": np.concatenate([genes.silent[kept], np.zeros(mito, dtype=bool)]),
            "mitochondrial": np.repeat([False, True], [int(kept.sum()), mito]),
        },
        index=pd.Index(np.concatenate([genes.names[kept], genes.mito_names]), dtype=object),
    )
    if settings.activated:
        fold = np.where(perturbed, genes.activation, np.nan)
        table["activation"] = np.concatenate([fold[kept], np.full(mito, np.nan)])
    if settings.in_both_directions:
        table["raised"] = np.concatenate([genes.raised[kept], np.full(mito, np.nan)])
    if settings.moving:
        table["state_effect"] = np.concatenate([genes.state_effects[1][kept], np.zeros(mito)])
    return table
