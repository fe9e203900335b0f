"""What to simulate: every setting of the simulator, with what makes it impossible."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gpovae_core.errors import SettingsError

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
    perturbations: int = Field(default=30, ge=1, description="Genes that are perturbed one at a time.")
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
    direction: Literal["knock-down", "knock-out", "activation", "mixed"] = Field(
        default="knock-down",
        description=(
            "What is done to the perturbed genes: less expression; less function whatever the expression "
            "(knock-out: as if every one were silent); more expression; or knock-down of one half and "
            "activation of the other."
        ),
    )
    both_share: Share = Field(
        default=0.0,
        description=(
            "Share of the genes knocked down that are activated too, in cells of their own: labels A_CRISPRi "
            "and A_CRISPRa."
        ),
    )
    activation_mean: float = Field(
        default=4.0, gt=1.0, description="Median fold to which an activation raises a gene's own expression."
    )
    activation_spread: Spread = Field(
        default=0.2, description="Standard deviation of its logarithm between genes."
    )
    silent_share: Share = Field(
        default=0.0,
        description=(
            "Share of the genes knocked down whose own mRNA stays although their targets feel the loss: "
            "knock-outs among knock-downs."
        ),
    )
    escape_share: Share = Field(
        default=0.05, description="Share of perturbed cells in which the knock-down does nothing."
    )

    guides_per_gene: int = Field(
        default=1, ge=1, description="Guides of every perturbation, cells spread evenly over them."
    )
    control_guides: int = Field(
        default=8, ge=1, description="Non-targeting guides, where perturbations have several guides."
    )
    guide_spread: Spread = Field(
        default=0.0, description="Standard deviation between guides of the log strength of a perturbation."
    )
    off_target_share: Share = Field(
        default=0.0,
        description=(
            "Share of the perturbed genes one of whose guides does to another gene what it does to its own."
        ),
    )
    library_effect_share: Share = Field(
        default=0.0, description="Share of the perturbed genes that change how many counts a cell has."
    )
    library_effect: float = Field(
        default=1 / 3, gt=0.0, description="What these multiply the library size of a cell by."
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

    composition_share: Share = Field(
        default=0.0,
        description="Share of the perturbed genes that move cells from one of two states to the other.",
    )
    state_genes: Share = Field(default=0.2, description="Share of the genes that differ between the states.")
    state_spread: Spread = Field(
        default=0.8, description="Standard deviation of their log difference between the states."
    )
    state_share: Share = Field(default=0.4, description="Share of the cells that are in the second state.")
    moved_state_share: Share = Field(
        default=0.75, description="The same among cells whose perturbation moves cells between states."
    )

    library_median: float = Field(
        default=8000.0, gt=0.0, description="Median number of counts per good cell."
    )
    library_spread: Spread = Field(default=0.35, description="Standard deviation of the log library size.")
    batches: int = Field(default=2, ge=1, description="Batches, cells spread evenly over them.")
    batch_spread: Spread = Field(
        default=0.1, description="Standard deviation of the log effect of a batch on a gene."
    )

    batch_imbalance: Share = Field(
        default=0.0,
        description=(
            "Share of a perturbation's cells that come from one batch, its own, in place of all; 1: every "
            "one. Each batch is the own one of as many perturbations; controls come from all."
        ),
    )
    donors: int = Field(default=1, ge=1, description="Donors, cells spread evenly over them.")
    donor_spread: Spread = Field(
        default=0.1, description="Standard deviation of the log effect of a donor on a gene."
    )
    donor_effect_spread: Spread = Field(
        default=0.0,
        description="Standard deviation between donors of the log strength of a perturbation.",
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
        labels = singles + pairs + self.in_both_directions
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
                f"cell for the controls or for some of the {labels} perturbations; raise cells",
                controls < 1 or self.cells - controls < labels,
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
            (
                f"silent_share: {self.silent_share} with direction {self.direction}; a knock-out is silent "
                "in every gene, an activation in none: leave silent_share at 0",
                self.silent_share > 0 and self.direction in ("knock-out", "activation"),
            ),
            (
                "batch_imbalance: cells cannot come from one batch more than from others when there is only "
                "one; raise batches",
                self.batch_imbalance > 0 and self.batches == 1,
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
    def activated(self) -> int:
        """Number of perturbed genes whose expression is raised."""
        return {"activation": self.perturbations, "mixed": self.perturbations // 2}.get(self.direction, 0)

    @property
    def silent(self) -> int:
        """Number of perturbed genes whose own mRNA does not fall."""
        share = 1.0 if self.direction == "knock-out" else self.silent_share
        return round(share * (self.perturbations - self.activated))

    @property
    def in_both_directions(self) -> int:
        """Number of genes that are knocked down in some cells and activated in others."""
        return round(self.both_share * (self.perturbations - self.activated - self.silent))

    @property
    def off_target(self) -> int:
        """Number of perturbed genes one of whose guides hits another gene too."""
        return round(self.off_target_share * self.perturbations)

    @property
    def library_changing(self) -> int:
        """Number of perturbed genes that change how many counts a cell has."""
        return round(self.library_effect_share * self.perturbations)

    @property
    def moving(self) -> int:
        """Number of perturbed genes that move cells between states."""
        return round(self.composition_share * self.perturbations)
