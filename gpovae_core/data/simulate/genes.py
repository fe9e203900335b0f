"""What belongs to a gene: its expression in an unperturbed cell, what batches, donors and states do to it,
and how strongly it is perturbed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.data.simulate.settings import SimulationSettings

MOST_REMOVED = 0.99  # a complete knock-down would be the logarithm of zero


@dataclass(frozen=True)
class Genes:
    names: np.ndarray  # (genes,) str
    log_base: np.ndarray  # (genes,)
    loadings: np.ndarray  # (2, genes)
    batch_effects: np.ndarray  # (batches, genes)
    knockdown: np.ndarray  # (genes,) share removed, 0 where not perturbed or activated
    measured: np.ndarray  # (genes,) bool
    mito_names: np.ndarray  # (mitochondrial,) str
    mito_base: np.ndarray  # (mitochondrial,) shares that sum to 1
    silent: np.ndarray  # (genes,) bool, perturbed without a fall of the own mRNA
    activation: np.ndarray  # (genes,) fold to which the expression rises, 1 where not activated
    raised: np.ndarray  # (genes,) the same in cells of their own, for genes that others are knocked down of
    donor_effects: np.ndarray  # (donors, genes)
    donor_strength: np.ndarray  # (donors, genes) float32, what its strength is multiplied by
    state_effects: np.ndarray  # (2, genes), zeros in the first state

    @property
    def strength(self) -> np.ndarray:
        """(genes,) log fold change that perturbing a gene forces on it, 0 where not perturbed."""
        return np.where(self.activation > 1, np.log(self.activation), np.log1p(-self.knockdown))


@dataclass(frozen=True)
class Draws:
    """A generator for each thing that may be added, so that none changes what another draws."""

    gene: np.random.Generator
    activation: np.random.Generator
    donor: np.random.Generator
    state: np.random.Generator
    both: np.random.Generator


def draw_genes(settings: SimulationSettings, perturbed: np.ndarray, draws: Draws) -> Genes:
    rng, n, m = draws.gene, settings.genes, settings.mitochondrial_genes
    mean, spread = settings.knockdown_mean, settings.knockdown_spread
    knockdown, measured = np.zeros(n), np.ones(n, dtype=bool)
    knockdown[perturbed] = mean
    if spread > 0:
        certainty = mean * (1 - mean) / spread**2 - 1  # a Beta with this mean and standard deviation
        knockdown[perturbed] = np.minimum(
            rng.beta(mean * certainty, (1 - mean) * certainty, len(perturbed)), MOST_REMOVED
        )
    measured[rng.choice(perturbed, settings.unmeasured, replace=False)] = False
    width = max(3, len(str(n)))
    weights = rng.lognormal(0.0, 0.5, m)
    activation = _draw_activation(settings, perturbed, settings.activated, draws.activation)
    genes = Genes(
        names=np.array([f"SIM{i:0{width}d}" for i in range(1, n + 1)], dtype=object),
        log_base=rng.normal(0.0, settings.base_spread, n),
        loadings=rng.normal(0.0, settings.factor_spread, (2, n)),
        batch_effects=rng.normal(0.0, settings.batch_spread, (settings.batches, n)) * (settings.batches > 1),
        knockdown=np.where(activation > 1, 0.0, knockdown),
        measured=measured,
        mito_names=np.array([f"MT-SIM{i}" for i in range(1, m + 1)], dtype=object),
        mito_base=weights / weights.sum() if m else weights,
        silent=np.zeros(n, dtype=bool),
        activation=activation,
        raised=np.ones(n),
        donor_effects=draws.donor.normal(0.0, settings.donor_spread, (settings.donors, n))
        * (settings.donors > 1),
        donor_strength=_draw_donor_strength(settings, perturbed, draws.donor),
        state_effects=_draw_state_effects(settings, draws.state),
    )
    lowered = perturbed[genes.activation[perturbed] == 1]
    genes.silent[rng.choice(lowered, settings.silent, replace=False)] = (
        True  # drawn last: without silent genes nothing else changes
    )
    loud = lowered[~genes.silent[lowered]]
    genes.raised[:] = _draw_activation(settings, loud, settings.in_both_directions, draws.both)
    return genes


def _draw_activation(
    settings: SimulationSettings, perturbed: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """(genes,) fold, 1 but for `number` of the perturbed ones."""
    fold = np.ones(settings.genes)
    chosen = rng.choice(perturbed, number, replace=False)
    drawn = settings.activation_mean * rng.lognormal(0.0, settings.activation_spread, len(chosen))
    fold[chosen] = np.maximum(drawn, 1.01)  # an activation raises
    return fold


def _draw_donor_strength(
    settings: SimulationSettings, perturbed: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    strength = np.ones((settings.donors, settings.genes), dtype=np.float32)
    if settings.donors > 1:
        strength[:, perturbed] = rng.lognormal(
            0.0, settings.donor_effect_spread, (settings.donors, len(perturbed))
        )
    return strength


def _draw_state_effects(settings: SimulationSettings, rng: np.random.Generator) -> np.ndarray:
    effects = np.zeros((2, settings.genes))
    if settings.moving:
        chosen = rng.choice(settings.genes, round(settings.state_genes * settings.genes), replace=False)
        effects[1, chosen] = rng.normal(0.0, settings.state_spread, len(chosen))
    return effects
