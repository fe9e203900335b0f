"""What was done to which cell: the guides and what they do, and for every droplet its guide, batch, donor and
state, and whether it is a poor cell, two cells, or one that escaped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core import keys
from gpovae_core.data.simulate.genes import MOST_REMOVED, Genes
from gpovae_core.data.simulate.settings import SimulationSettings


@dataclass(frozen=True)
class Labels:
    """The perturbations; label 0 is the control."""

    targets: list[tuple[int, ...]]  # label -> genes perturbed
    home: np.ndarray  # (labels,) the batch of its own, where batches are not balanced
    library: np.ndarray  # (labels,) what the library size is multiplied by
    moves: np.ndarray  # (labels,) bool, moves cells between states
    raised: np.ndarray  # (labels,) bool, the activation of a gene that another label knocks down

    def names(self, genes: np.ndarray) -> np.ndarray:
        """(labels,) A, A+B, or, of a gene in both directions, A_CRISPRi and A_CRISPRa; "" for the control."""
        both = {self.targets[label] for label in np.flatnonzero(self.raised)}
        ending = [
            "_CRISPRa" if up else "_CRISPRi" if hit in both else ""
            for hit, up in zip(self.targets, self.raised, strict=True)
        ]
        joined = (keys.PAIR_SEPARATOR.join(genes[list(hit)]) for hit in self.targets)
        return np.array([name + end for name, end in zip(joined, ending, strict=True)], dtype=object)


@dataclass(frozen=True)
class Guides:
    """A row for every guide of every label, those of a label beside each other; the guides of a combination
    hit all of its genes.
    """

    label: np.ndarray  # (guides,)
    number: np.ndarray  # (guides,) of the guide among those of its label, from 0
    dose: np.ndarray  # (guides, genes) float32, log fold change that it forces on a gene
    off_target: list[tuple[int, ...]]  # (guides,) genes that are hit beside its own

    @property
    def first(self) -> np.ndarray:
        """(labels,) row of the first guide of a label."""
        return np.searchsorted(self.label, np.arange(self.label[-1] + 1))

    @property
    def count(self) -> np.ndarray:
        """(labels,)"""
        return np.bincount(self.label)


@dataclass(frozen=True)
class Cells:
    """Arrays of one length."""

    guide: np.ndarray  # row of Guides, -1 where there is no cell
    batch: np.ndarray
    donor: np.ndarray
    state: np.ndarray  # 0 or 1
    low_quality: np.ndarray  # bool
    escaped: np.ndarray  # bool

    def at(self, rows: np.ndarray) -> Cells:
        return Cells(
            self.guide[rows],
            self.batch[rows],
            self.donor[rows],
            self.state[rows],
            self.low_quality[rows],
            self.escaped[rows],
        )


@dataclass(frozen=True)
class Droplets:
    """cells: (n,); partners: (n,) the second cell of a doublet, guide -1 where there is none."""

    cells: Cells
    partners: Cells


@dataclass(frozen=True)
class Draws:
    """A generator for each thing that may be added, so that none changes what another draws."""

    label: np.random.Generator
    guide: np.random.Generator
    batch: np.random.Generator
    donor: np.random.Generator
    library: np.random.Generator
    state: np.random.Generator


def draw_droplets(
    settings: SimulationSettings, perturbed: np.ndarray, genes: Genes, draws: Draws
) -> tuple[Labels, Guides, Droplets]:
    """The labels, their guides without interactions (see `draw_interactions`), and who carries them."""
    n, rng = settings.cells, draws.label
    targets: list[tuple[int, ...]] = [
        (),
        *((int(gene),) for gene in perturbed),
        *_draw_pairs(perturbed, settings.pairs, rng),
        *((int(gene),) for gene in np.flatnonzero(genes.raised > 1)),
    ]
    controls = round(n * settings.control_share)
    # As even as it goes, so that the number of cells per perturbation is known beforehand.
    even = np.arange(n - controls) % (len(targets) - 1) + 1
    label = rng.permutation(np.concatenate([np.zeros(controls, dtype=int), even]))
    low_quality, doublet = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    low_quality[rng.choice(n, round(n * settings.low_quality_share), replace=False)] = True
    doublet[rng.choice(n, round(n * settings.doublet_share), replace=False)] = True
    batch = rng.permutation(np.arange(n) % settings.batches)
    partner = rng.choice(label, n)
    escaped = (rng.random(n) < settings.escape_share) & (label > 0)

    labels = _draw_labels(settings, perturbed, targets, draws)
    guides = _draw_guides(settings, labels, genes, draws.guide)
    if settings.batch_imbalance > 0:
        at_home = (label > 0) & (draws.batch.random(n) < settings.batch_imbalance)
        batch = np.where(at_home, labels.home[label], batch)
        partner = _from_the_same_batch(label, batch, draws.batch)
    donor = draws.donor.permutation(np.arange(n) % settings.donors)
    cells = Cells(
        guide=guides.first[label] + _spread_evenly(label, guides.count, draws.guide),
        batch=batch,
        donor=donor,
        state=_draw_states(settings, labels.moves[label] & ~escaped, draws.state),
        low_quality=low_quality,
        escaped=escaped,
    )
    partners = Cells(
        guide=np.where(doublet, guides.first[partner] + draws.guide.integers(0, guides.count[partner]), -1),
        batch=batch,
        donor=donor,
        state=_draw_states(settings, labels.moves[partner], draws.state),
        low_quality=np.zeros(n, dtype=bool),
        escaped=np.zeros(n, dtype=bool),
    )
    return labels, guides, Droplets(cells, partners)


def _draw_pairs(perturbed: np.ndarray, count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    first, second = np.triu_indices(len(perturbed), k=1)
    chosen = np.sort(rng.choice(len(first), count, replace=False)) if count else []
    return [(int(perturbed[first[i]]), int(perturbed[second[i]])) for i in chosen]


def _draw_labels(
    settings: SimulationSettings, perturbed: np.ndarray, targets: list[tuple[int, ...]], draws: Draws
) -> Labels:
    """A combination has the effects of its genes: their product on the library, and it moves cells where one
    of them does.
    """
    fewer = set(draws.library.choice(perturbed, settings.library_changing, replace=False).tolist())
    moving = set(draws.state.choice(perturbed, settings.moving, replace=False).tolist())
    home = np.arange(len(targets) - 1) % settings.batches
    return Labels(
        targets=targets,
        home=np.concatenate([[-1], draws.batch.permutation(home)]),
        library=np.array([settings.library_effect ** len(fewer & set(hit)) for hit in targets]),
        moves=np.array([bool(moving & set(hit)) for hit in targets]),
        raised=np.arange(len(targets)) >= len(targets) - settings.in_both_directions,
    )


def _draw_guides(
    settings: SimulationSettings,
    labels: Labels,
    genes: Genes,
    rng: np.random.Generator,
) -> Guides:
    """Guide k of a combination is made of guide k of each of its genes."""
    several, targets = settings.guides_per_gene, labels.targets
    count = np.full(len(targets), several)
    count[0] = settings.control_guides if several > 1 else 1
    label = np.repeat(np.arange(len(targets)), count)
    number = np.concatenate([np.arange(k) for k in count])
    pairs_and_raised = zip(targets, labels.raised, strict=True)
    singles = [hit[0] for hit, up in pairs_and_raised if len(hit) == 1 and not up]
    strength = np.tile(genes.strength, (several, 1))
    strength[:, singles] *= rng.lognormal(0.0, settings.guide_spread, (several, len(singles)))
    strength = np.maximum(strength, np.log1p(-MOST_REMOVED))
    besides = {
        (int(gene), int(rng.integers(several))): int(rng.choice(np.delete(np.arange(settings.genes), gene)))
        for gene in rng.choice(singles, settings.off_target, replace=False)
    }
    dose = np.zeros((len(label), settings.genes), dtype=np.float32)
    off_target: list[tuple[int, ...]] = [()] * len(label)
    for row in range(int(count[0]), len(label)):
        hit, k = targets[label[row]], number[row]
        if labels.raised[label[row]]:
            dose[row, list(hit)] = np.log(genes.raised[list(hit)])
            continue
        dose[row, list(hit)] = strength[k, list(hit)]
        for gene in hit:
            if (gene, int(k)) in besides:
                other = besides[gene, int(k)]
                dose[row, other] += strength[k, gene]
                off_target[row] += (other,)
    return Guides(label, number, dose, off_target)


def draw_interactions(
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


def _draw_states(settings: SimulationSettings, moved: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(cells,) 0 or 1; all 0 where no perturbation moves cells."""
    if not settings.moving:
        return np.zeros(len(moved), dtype=int)
    share = np.where(moved, settings.moved_state_share, settings.state_share)
    return (rng.random(len(moved)) < share).astype(int)


def _spread_evenly(group: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(cells,) a number below count[group], each about as often as any other in its group."""
    shuffled = rng.permutation(len(group))
    order = shuffled[np.argsort(group[shuffled], kind="stable")]
    place = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    number = np.empty(len(group), dtype=int)
    number[order] = place % count[group[order]]
    return number


def _from_the_same_batch(label: np.ndarray, batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(cells,) for each the label of a cell of its batch."""
    chosen = np.empty_like(label)
    for each in np.unique(batch):
        inside = batch == each
        chosen[inside] = rng.choice(label[inside], int(inside.sum()))
    return chosen
