"""Simulated Perturb-seq with a known network: for trying things out, for tests and for measuring how well a
network is found.

The generative process, for cell c, network genes i and j, natural logarithms:

    network      B[i, j] is the signed strength of the edge i -> j (row = source, column = target), sparse and
    acyclic knock-down   d[c, j] = log(1 - e_j) if c is perturbed in j and did not escape, else 0;   e_j ~
    Beta(mean, spread) basal state  b[c, j] = sum_f z[c, f] L[f, j] + noise;   z = (cos, sin) of a uniform
    phase (a cycle), L ~ Normal(0, factor_spread) interaction  g[c, j] = +-strength if c carries both guides
    of an interacting pair that names j and did not escape, else 0 activity     h[c, j] = b[c, j] + d[c, j] +
    g[c, j] + sum_i B[i, j] s tanh(h[c, i] / s),   solved exactly, sources before targets own mRNA     r[c, j]
    = h[c, j], without d[c, j] where j is silent: its loss does not show in its own mRNA share        p[c, j]
    = (1 - m[c]) softmax_j(log base_j + batch effect[batch of c, j] + r[c, j]);   base_j log-normal mito
    m[c] ~ logit-normal share of the MT- genes, which are outside the network counts       x[c, j] ~
    Poisson(Gamma(mean = l[c] p[c, j], variance = over_dispersion mean^2));   l[c] log-normal

h is a log fold change against the unperturbed mean, so a knock-down multiplies the gene's own expression by 1
- e_j, and s, the saturation, is the largest log fold change of a source that its targets still feel. Silent
genes stand for knock-outs: a frame shift takes the protein, which the targets feel, and leaves the
transcript. A low-quality cell has a fraction of the library size and a multiple of the mitochondrial share. A
doublet is the sum of a cell and a second, good one, of the same batch and with a label drawn like all others.
Everything follows from the seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.write import write_cells
from gpovae_core.errors import QueryError, SettingsError

if TYPE_CHECKING:
    from anndata import AnnData

CONTROL_LABEL = "non-targeting"
LOW_QUALITY = "true_low_quality"
DOUBLET = "true_doublet"
DOUBLET_WITH = "true_doublet_with"
ESCAPED = "true_escaped"
HOPS = "hops"

_CHUNK_VALUES = 8_000_000  # cells x genes held dense at a time

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Spread = Annotated[float, Field(ge=0.0)]


class SimulationSettings(BaseModel):
    """What to simulate. Raises SettingsError, which names every bad field, instead of pydantic's own
    error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    genes: int = Field(
        default=100, ge=2, description="Genes in the network. The file also has the mitochondrial genes."
    )
    perturbations: int = Field(default=30, ge=1, description="Genes that are knocked down one at a time.")
    cells: int = Field(default=5000, ge=2, description="Cells in all, controls among them.")
    control_share: float = Field(
        default=0.2, gt=0.0, lt=1.0, description="Share of cells with a non-targeting guide."
    )
    pair_share: Share = Field(
        default=0.0, description="Combinations A+B, as a share of the number of perturbations."
    )
    unmeasured_share: Share = Field(
        default=0.0, description="Share of the perturbed genes that have no column of counts."
    )
    interacting_share: Share = Field(
        default=0.0, description="Share of the combinations that do more than their two genes each do alone."
    )
    interaction_genes: int = Field(
        default=10,
        ge=1,
        description="Genes, none of them perturbed, that such a combination changes beyond that.",
    )
    interaction_strength: float = Field(
        default=0.8, gt=0.0, description="By how much: absolute log fold change, up or down at random."
    )

    network: Literal["mixed", "hubs", "chains", "random", "forks", "feedforward"] = Field(
        default="mixed", description="Shape of the network; mixed is hubs plus chains of 2 to 5 hops."
    )
    edges_per_gene: float = Field(
        default=1.0,
        gt=0.0,
        description="Edges wanted per gene; chains and other motifs may run out of genes first.",
    )
    strength_min: float = Field(default=0.4, gt=0.0, description="Least absolute strength of an edge.")
    strength_max: float = Field(default=1.0, gt=0.0, description="Largest absolute strength of an edge.")
    repression_share: Share = Field(default=0.35, description="Share of edges that repress.")
    saturation: float = Field(
        default=1.5,
        gt=0.0,
        description="s: log fold change of a source beyond which its targets feel no more.",
    )

    knockdown_mean: float = Field(
        default=0.8,
        gt=0.0,
        lt=1.0,
        description="Mean share of a gene's expression that a knock-down removes.",
    )
    knockdown_spread: float = Field(
        default=0.1, ge=0.0, lt=0.5, description="Its standard deviation between genes."
    )
    silent_share: Share = Field(
        default=0.0,
        description=(
            "Share of the perturbed genes whose own mRNA stays although their targets feel the loss "
            "(knock-outs)."
        ),
    )
    escape_share: Share = Field(
        default=0.05, description="Share of perturbed cells in which the knock-down does nothing."
    )

    basal_noise: Spread = Field(
        default=0.15, description="Standard deviation of a gene's own log activity between cells."
    )
    factor_spread: Spread = Field(
        default=0.2,
        description="Standard deviation of the genes' loadings on the cycle all cells go through.",
    )
    base_spread: Spread = Field(
        default=1.0, description="Standard deviation of log base expression between genes."
    )
    over_dispersion: Spread = Field(
        default=0.1, description="Variance of counts beyond Poisson, over the squared mean."
    )

    library_median: float = Field(
        default=8000.0, gt=0.0, description="Median number of counts per good cell."
    )
    library_spread: Spread = Field(default=0.35, description="Standard deviation of the log library size.")
    batches: int = Field(default=2, ge=1, description="Batches, cells spread evenly over them.")
    batch_spread: Spread = Field(
        default=0.1, description="Standard deviation of the log effect of a batch on a gene."
    )

    mitochondrial_genes: int = Field(default=5, ge=0, description="Genes named MT-..., outside the network.")
    mitochondrial_share: float = Field(
        default=0.05, gt=0.0, lt=0.5, description="Their median share of the counts of a good cell."
    )
    low_quality_share: Share = Field(
        default=0.05, description="Share of cells with a quarter of the counts and five times the MT- odds."
    )
    doublet_share: Share = Field(default=0.03, description="Share of droplets that hold two cells.")

    seed: int = Field(default=0, ge=0, description="Seed of everything that is drawn.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            lines = [
                f"{'.'.join(map(str, e['loc'])) or 'simulation'}: {e['msg']} (got {e['input']!r:.80})"
                for e in error.errors()
            ]
            raise SettingsError("Simulation settings that cannot be used:\n" + "\n".join(lines)) from error

    @model_validator(mode="after")
    def _check(self) -> SimulationSettings:
        problems = [text for text, wrong in self._impossible() if wrong]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _impossible(self) -> list[tuple[str, bool]]:
        singles, pairs = self.perturbations, self.pairs
        controls = round(self.cells * self.control_share)
        mean, spread = self.knockdown_mean, self.knockdown_spread
        return [
            (
                f"perturbations: {singles} genes cannot be perturbed when there are {self.genes}; raise "
                "genes",
                singles > self.genes,
            ),
            (
                f"pair_share: {pairs} combinations cannot be made of {singles} genes",
                pairs > singles * (singles - 1) // 2,
            ),
            (
                f"interaction_genes: {self.interaction_genes} of the {self.genes - singles} genes that are "
                "never perturbed; raise genes",
                self.interacting > 0 and self.interaction_genes > self.genes - singles,
            ),
            (
                f"strength_min {self.strength_min} is above strength_max {self.strength_max}",
                self.strength_min > self.strength_max,
            ),
            (
                f"cells: {self.cells} with a control share of {self.control_share} leave fewer than one "
                f"cell for the controls or for some of the {singles + pairs} perturbations; raise cells",
                controls < 1 or self.cells - controls < singles + pairs,
            ),
            (
                f"unmeasured_share: with {self.unmeasured} of {self.genes} genes not measured fewer than 2 "
                "remain",
                self.genes - self.unmeasured < 2,
            ),
            (
                f"knockdown_spread: {spread} is impossible for shares with mean {mean}; stay below "
                f"{np.sqrt(mean * (1 - mean)):.3f}",
                spread**2 >= mean * (1 - mean),
            ),
        ]

    @property
    def pairs(self) -> int:
        """Number of combinations A+B."""
        return round(self.pair_share * self.perturbations)

    @property
    def interacting(self) -> int:
        """Number of combinations that interact."""
        return round(self.interacting_share * self.pairs)

    @property
    def unmeasured(self) -> int:
        """Number of perturbed genes without counts."""
        return round(self.unmeasured_share * self.perturbations)

    @property
    def silent(self) -> int:
        """Number of perturbed genes whose own mRNA does not fall."""
        return round(self.silent_share * self.perturbations)


@dataclass(frozen=True)
class Simulation:
    """Simulated cells and the network they came from.

    adata: X is CSR float32 counts, shape (n_obs, n_vars); obs has `perturbation` (genes, A+B, or
    `non-targeting`), `batch` and the truth
        (LOW_QUALITY, DOUBLET, DOUBLET_WITH, ESCAPED); var has `base_mean` (expected share in an unperturbed
        cell), `perturbed`, `knockdown` (share removed), `silent` (not from the own mRNA) and `mitochondrial`;
        uns has `simulated`, `settings` (JSON) and `seed`.
    edges: the true direct edges, columns keys.SOURCE, TARGET, WEIGHT (signed strength) and SIGN (+1
    activates, -1 represses). Genes
        that are perturbed but not measured are in it too.
    interactions: the genes that a combination changes beyond what its genes do alone: keys.PERTURBATION,
    TARGET and WEIGHT (added to the
        log activity; what lies downstream of such a gene changes with it). Empty unless asked for.
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
        self.edges.to_csv(edges, index=False)
        if len(self.interactions):
            self.interactions.to_csv(path.with_suffix(".interactions.csv"), index=False)
        return edges


def simulate(settings: SimulationSettings | None = None) -> Simulation:
    """Draw cells and their network by the process in the module's docstring; the same settings give the same
    data.
    """
    settings = settings or SimulationSettings()
    network_seed, gene_seed, label_seed, cell_seed, interaction_seed = np.random.SeedSequence(
        settings.seed
    ).spawn(5)
    network = _draw_network(settings, np.random.default_rng(network_seed))
    genes = _draw_genes(settings, network.perturbed, np.random.default_rng(gene_seed))
    droplets = _draw_droplets(settings, network.perturbed, np.random.default_rng(label_seed))
    dose = _log_doses(droplets.targets, genes.knockdown)
    beyond = _draw_interactions(
        settings, network.perturbed, droplets.targets, np.random.default_rng(interaction_seed)
    )
    counts = _draw_counts(settings, network, genes, droplets, dose + beyond, np.random.default_rng(cell_seed))
    cells = _annotate(settings, network, genes, droplets, counts)
    return Simulation(
        cells, _edge_table(network, genes.names), _interaction_table(beyond, droplets.targets, genes.names)
    )


def downstream(edges: pd.DataFrame, hops: int) -> pd.DataFrame:
    """Every pair of genes joined by a directed path of at most `hops` edges: the truth about total effects.

    edges: as in Simulation. Columns: source, target, `hops` (fewest edges), weight (product of strengths,
    summed over all paths of at most `hops` edges: the linear response of target to source), sign (of weight;
    0 where paths cancel). Sorted by source, then target.
    """
    if hops < 1:
        raise QueryError(f"hops must be 1 or more, got {hops}.")
    names = sorted({*edges[keys.SOURCE], *edges[keys.TARGET]})
    place = pd.Index(names)
    n = len(names)
    rows, columns = place.get_indexer(edges[keys.SOURCE]), place.get_indexer(edges[keys.TARGET])
    strength = sparse.csr_matrix((edges[keys.WEIGHT].to_numpy(float), (rows, columns)), shape=(n, n))
    exists = _pattern(strength)
    walk, reach, total = strength, exists, strength
    found = dict.fromkeys(zip(*(axis.tolist() for axis in exists.nonzero()), strict=True), 1)
    for hop in range(2, hops + 1):
        walk, reach = walk @ strength, _pattern(reach @ exists)
        total = total + walk
        for pair in zip(*(axis.tolist() for axis in reach.nonzero()), strict=True):
            found.setdefault(pair, hop)
    pairs = sorted(found)
    weight = total.toarray()[tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)]
    return pd.DataFrame(
        {
            keys.SOURCE: [names[i] for i, _ in pairs],
            keys.TARGET: [names[j] for _, j in pairs],
            HOPS: [found[pair] for pair in pairs],
            keys.WEIGHT: weight,
            keys.SIGN: np.sign(np.where(np.abs(weight) > 1e-12, weight, 0.0)).astype(np.int8),
        }
    )


def _pattern(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Ones where `matrix` has an entry."""
    return sparse.csr_matrix(
        (np.ones(matrix.nnz, dtype=np.int32), matrix.indices, matrix.indptr), shape=matrix.shape
    )


# The network ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Network:
    strength: sparse.csr_matrix  # B (genes, genes)
    perturbed: np.ndarray  # (perturbations,) sorted positions
    levels: list[
        tuple[np.ndarray, np.ndarray, sparse.csr_matrix]
    ]  # per level: targets, their sources, B[sources, targets]


Edges = set[tuple[int, int]]


def _draw_network(settings: SimulationSettings, rng: np.random.Generator) -> _Network:
    n = settings.genes
    perturbed = np.sort(rng.choice(n, settings.perturbations, replace=False))
    # Edges run along this order, so there is no cycle; perturbed genes tend to come first, as regulators do
    # in a screen.
    rank = rng.random(n) + 0.5
    rank[perturbed] -= 0.5
    order = np.argsort(rank)
    wanted = max(1, round(settings.edges_per_gene * n))
    pairs = np.array(
        sorted(_BUILDERS[settings.network](order, perturbed, wanted, rng)), dtype=np.int64
    ).reshape(-1, 2)
    size = rng.uniform(settings.strength_min, settings.strength_max, len(pairs))
    sign = np.where(rng.random(len(pairs)) < settings.repression_share, -1.0, 1.0)
    strength = sparse.csr_matrix((size * sign, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return _Network(strength, perturbed, _levels(strength, order))


def _hubs(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    """A fifth of the perturbed genes regulate many later genes each, the busiest far more than the last
    (1/rank).
    """
    earliest = order[np.isin(order, perturbed)].tolist()
    hubs = earliest[: max(1, len(earliest) // 5)]
    place = np.argsort(order)
    portion = 1.0 / np.arange(1, len(hubs) + 1)
    edges: Edges = set()
    for hub, targets in zip(
        rng.permutation(hubs), np.ceil(wanted * portion / portion.sum()).astype(int), strict=True
    ):
        later = order[place[hub] + 1 :]
        chosen = rng.choice(later, min(targets, len(later)), replace=False)
        edges.update((int(hub), int(target)) for target in chosen)
    return edges


def _motifs(sizes: tuple[int, int], links: Callable[[list[int]], Edges]) -> Callable[..., Edges]:
    """Builder of disjoint groups of `sizes` genes (least, most), each with at least one perturbed gene,
    joined by `links`.
    """

    def build(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
        place = np.argsort(order)
        free = rng.permutation(len(order)).tolist()
        edges: Edges = set()
        for head in rng.permutation(perturbed).tolist():
            size = int(rng.integers(sizes[0], sizes[1] + 1))
            rest = [gene for gene in free if gene != head][: size - 1]
            if len(edges) >= wanted or head not in free or len(rest) < sizes[0] - 1:
                continue
            group = sorted([head, *rest], key=lambda gene: place[gene])
            free = [gene for gene in free if gene not in group]
            edges |= links(group)
        return edges or links(sorted(free[: sizes[0]], key=lambda gene: place[gene]))

    return build


def _chain(group: list[int]) -> Edges:
    return set(itertools.pairwise(group))


def _fork(group: list[int]) -> Edges:
    return {(group[0], target) for target in group[1:]}


def _random(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    """Distinct pairs, each as likely as the other, pointing along the order."""
    n = len(order)
    wanted = min(wanted, n * (n - 1) // 2)
    edges: Edges = set()
    while len(edges) < wanted:
        low, high = np.sort(rng.integers(0, n, (2, wanted)), axis=0)
        fresh = [(int(order[i]), int(order[j])) for i, j in zip(low, high, strict=True) if i != j]
        for edge in fresh:
            if len(edges) < wanted:
                edges.add(edge)
    return edges


_chains = _motifs((3, 6), _chain)
_forks = _motifs((3, 4), _fork)
_feedforward = _motifs((3, 3), lambda group: _chain(group) | _fork(group))


def _mixed(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    return _hubs(order, perturbed, wanted // 2, rng) | _chains(order, perturbed, wanted - wanted // 2, rng)


_BUILDERS: dict[str, Callable[..., Edges]] = {
    "mixed": _mixed,
    "hubs": _hubs,
    "chains": _chains,
    "random": _random,
    "forks": _forks,
    "feedforward": _feedforward,
}


def _levels(
    strength: sparse.csr_matrix, order: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, sparse.csr_matrix]]:
    """Targets grouped by their longest way from a gene without regulators: one group needs only the groups
    before it.
    """
    incoming = strength.tocsc()
    depth = np.zeros(len(order), dtype=int)
    for gene in order:
        sources = incoming.indices[incoming.indptr[gene] : incoming.indptr[gene + 1]]
        depth[gene] = depth[sources].max() + 1 if len(sources) else 0
    levels = []
    for level in range(1, int(depth.max()) + 1):
        targets = np.flatnonzero(depth == level)
        sources = np.unique(incoming[:, targets].tocoo().row)
        levels.append((targets, sources, strength[sources][:, targets].tocsr()))
    return levels


def _propagate(network: _Network, drive: np.ndarray, saturation: float) -> np.ndarray:
    """Activity h (cells, genes) from basal state plus knock-down, in place: h_j = drive_j + sum_i B_ij s
    tanh(h_i / s).
    """
    for targets, sources, strength in network.levels:
        felt = saturation * np.tanh(drive[:, sources] / saturation)
        drive[:, targets] += felt @ strength
    return drive


# Genes and droplets -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Genes:
    names: np.ndarray  # (genes,) str
    log_base: np.ndarray  # (genes,)
    loadings: np.ndarray  # (2, genes)
    batch_effects: np.ndarray  # (batches, genes)
    knockdown: np.ndarray  # (genes,) share removed, 0 where not perturbed
    measured: np.ndarray  # (genes,) bool
    mito_names: np.ndarray  # (mitochondrial,) str
    mito_base: np.ndarray  # (mitochondrial,) shares that sum to 1
    silent: np.ndarray  # (genes,) bool, perturbed without a fall of the own mRNA


def _draw_genes(settings: SimulationSettings, perturbed: np.ndarray, rng: np.random.Generator) -> _Genes:
    n, m = settings.genes, settings.mitochondrial_genes
    mean, spread = settings.knockdown_mean, settings.knockdown_spread
    knockdown, measured = np.zeros(n), np.ones(n, dtype=bool)
    knockdown[perturbed] = mean
    if spread > 0:
        certainty = mean * (1 - mean) / spread**2 - 1  # a Beta with this mean and standard deviation
        # A complete knock-down would be the logarithm of zero.
        knockdown[perturbed] = np.minimum(
            rng.beta(mean * certainty, (1 - mean) * certainty, len(perturbed)), 0.99
        )
    measured[rng.choice(perturbed, settings.unmeasured, replace=False)] = False
    width = max(3, len(str(n)))
    weights = rng.lognormal(0.0, 0.5, m)
    genes = _Genes(
        names=np.array([f"SIM{i:0{width}d}" for i in range(1, n + 1)], dtype=object),
        log_base=rng.normal(0.0, settings.base_spread, n),
        loadings=rng.normal(0.0, settings.factor_spread, (2, n)),
        batch_effects=rng.normal(0.0, settings.batch_spread, (settings.batches, n)) * (settings.batches > 1),
        knockdown=knockdown,
        measured=measured,
        mito_names=np.array([f"MT-SIM{i}" for i in range(1, m + 1)], dtype=object),
        mito_base=weights / weights.sum() if m else weights,
        silent=np.zeros(n, dtype=bool),
    )
    genes.silent[rng.choice(perturbed, settings.silent, replace=False)] = (
        True  # drawn last: without silent genes nothing else changes
    )
    return genes


@dataclass(frozen=True)
class _Droplets:
    targets: list[tuple[int, ...]]  # label -> genes knocked down; label 0 is the control
    label: np.ndarray  # (cells,)
    batch: np.ndarray  # (cells,)
    low_quality: np.ndarray  # (cells,) bool
    partner: np.ndarray  # (cells,) label of the second cell, -1 where there is none
    escaped: np.ndarray  # (cells,) bool


def _draw_droplets(
    settings: SimulationSettings, perturbed: np.ndarray, rng: np.random.Generator
) -> _Droplets:
    n = settings.cells
    targets: list[tuple[int, ...]] = [
        (),
        *((int(gene),) for gene in perturbed),
        *_draw_pairs(perturbed, settings.pairs, rng),
    ]
    controls = round(n * settings.control_share)
    # As even as it goes, so that the number of cells per perturbation is known beforehand.
    even = np.arange(n - controls) % (len(targets) - 1) + 1
    label = rng.permutation(np.concatenate([np.zeros(controls, dtype=int), even]))
    low_quality, doublet = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    low_quality[rng.choice(n, round(n * settings.low_quality_share), replace=False)] = True
    doublet[rng.choice(n, round(n * settings.doublet_share), replace=False)] = True
    return _Droplets(
        targets=targets,
        label=label,
        batch=rng.permutation(np.arange(n) % settings.batches),
        low_quality=low_quality,
        partner=np.where(doublet, rng.choice(label, n), -1),
        escaped=(rng.random(n) < settings.escape_share) & (label > 0),
    )


def _draw_pairs(perturbed: np.ndarray, count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    first, second = np.triu_indices(len(perturbed), k=1)
    chosen = np.sort(rng.choice(len(first), count, replace=False)) if count else []
    return [(int(perturbed[first[i]]), int(perturbed[second[i]])) for i in chosen]


# Counts -----------------------------------------------------------------------------------------------------


def _draw_counts(
    settings: SimulationSettings,
    network: _Network,
    genes: _Genes,
    droplets: _Droplets,
    dose: np.ndarray,
    rng: np.random.Generator,
) -> sparse.csr_matrix:
    """(cells, measured genes + mitochondrial genes) float32, a chunk of cells dense at a time. dose: (labels,
    genes) forced changes.
    """
    size = max(1, _CHUNK_VALUES // (settings.genes + settings.mitochondrial_genes))
    blocks = []
    for start in range(0, settings.cells, size):
        chunk = np.arange(start, min(start + size, settings.cells))
        drive = dose[droplets.label[chunk]] * ~droplets.escaped[chunk, None]
        counts = _draw_cells(
            settings, network, genes, drive, droplets.batch[chunk], droplets.low_quality[chunk], rng
        )
        double = np.flatnonzero(droplets.partner[chunk] >= 0)
        if len(double):
            second = dose[droplets.partner[chunk[double]]]
            batch, good = droplets.batch[chunk[double]], np.zeros(len(double), dtype=bool)
            counts[double] += _draw_cells(settings, network, genes, second, batch, good, rng)
        blocks.append(sparse.csr_matrix(counts, dtype=np.float32))
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr", dtype=np.float32))


def _log_doses(targets: list[tuple[int, ...]], knockdown: np.ndarray) -> np.ndarray:
    """(labels, genes) log fold change that the guides of a label force on their targets."""
    dose = np.zeros((len(targets), len(knockdown)), dtype=np.float32)
    for row, hit in enumerate(targets):
        dose[row, list(hit)] = np.log1p(-knockdown[list(hit)])
    return dose


def _draw_interactions(
    settings: SimulationSettings,
    perturbed: np.ndarray,
    targets: list[tuple[int, ...]],
    rng: np.random.Generator,
) -> np.ndarray:
    """(labels, genes) log fold change that a combination forces beyond those of its genes; the first
    combinations drawn interact.
    """
    beyond = np.zeros((len(targets), settings.genes), dtype=np.float32)
    pairs = [row for row, hit in enumerate(targets) if len(hit) > 1]
    untouched = np.setdiff1d(np.arange(settings.genes), perturbed)
    for row in rng.permutation(pairs)[: settings.interacting].tolist():
        chosen = rng.choice(untouched, settings.interaction_genes, replace=False)
        beyond[row, chosen] = settings.interaction_strength * rng.choice([-1.0, 1.0], len(chosen))
    return beyond


def _draw_cells(
    settings: SimulationSettings,
    network: _Network,
    genes: _Genes,
    drive: np.ndarray,
    batch: np.ndarray,
    low_quality: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(cells, measured + mitochondrial genes) counts of cells whose guides force the log fold changes `drive`
    (cells, genes).
    """
    n, size = drive.shape
    phase = rng.uniform(0.0, 2.0 * np.pi, n)
    basal = np.stack([np.cos(phase), np.sin(phase)], axis=1) @ genes.loadings
    noise = settings.basal_noise * rng.standard_normal((n, size), dtype=np.float32)
    hidden = np.where(genes.silent, drive, np.float32(0.0))  # felt by the targets, not seen in the own mRNA
    activity = _propagate(network, drive + basal.astype(np.float32) + noise, settings.saturation)
    level = np.exp(activity - hidden + (genes.log_base + genes.batch_effects)[batch].astype(np.float32))
    level /= level.sum(axis=1, keepdims=True)

    library = (
        settings.library_median
        * rng.lognormal(0.0, settings.library_spread, n)
        * np.where(low_quality, 0.25, 1.0)
    )
    odds = (
        settings.mitochondrial_share
        / (1 - settings.mitochondrial_share)
        * rng.lognormal(0.0, 0.3, n)
        * np.where(low_quality, 5.0, 1.0)
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


# What is handed over ----------------------------------------------------------------------------------------


def _edge_table(network: _Network, names: np.ndarray) -> pd.DataFrame:
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


def _interaction_table(beyond: np.ndarray, targets: list[tuple[int, ...]], names: np.ndarray) -> pd.DataFrame:
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


def _annotate(
    settings: SimulationSettings,
    network: _Network,
    genes: _Genes,
    droplets: _Droplets,
    counts: sparse.csr_matrix,
) -> AnnData:
    import anndata

    names = np.array(
        [keys.PAIR_SEPARATOR.join(genes.names[list(hit)]) or CONTROL_LABEL for hit in droplets.targets],
        dtype=object,
    )
    doublet = droplets.partner >= 0
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: pd.Categorical(names[droplets.label]),
            "batch": pd.Categorical([f"batch{i + 1}" for i in droplets.batch]),
            LOW_QUALITY: droplets.low_quality,
            DOUBLET: doublet,
            DOUBLET_WITH: np.where(doublet, names[droplets.partner], ""),
            ESCAPED: droplets.escaped,
        },
        index=pd.Index([f"cell{i:07d}" for i in range(1, settings.cells + 1)], dtype=object),
    )
    adata = anndata.AnnData(X=counts, obs=obs, var=_gene_table(settings, network, genes))
    adata.uns = {"simulated": True, "settings": settings.model_dump_json(), "seed": settings.seed}
    return adata


def _gene_table(settings: SimulationSettings, network: _Network, genes: _Genes) -> pd.DataFrame:
    kept, mito = genes.measured, len(genes.mito_names)
    base = np.exp(genes.log_base)
    nuclear = 1 - settings.mitochondrial_share * (mito > 0)
    perturbed = np.isin(np.arange(settings.genes), network.perturbed)
    return pd.DataFrame(
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
