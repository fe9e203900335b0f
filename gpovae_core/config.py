"""Every setting of a run, once: the command line, the forms and the saved run are all made from these models.

Presets: `evidence` (the default) fits the network to calibrated effects before the autoencoder is trained
with it; `paper` follows the formulas of Baek et al. 2025, `released` those of the authors' code, both without
the mistakes that code contains. The defaults of the fields are those of `released`; published values per data
set are in PUBLISHED. A field that is newer than a stored run has as its default what that run did.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gpovae_core.errors import SettingsError

ARTIFACT_CRITERIA = (
    "umi_count",
    "genes_detected",
    "percent_mitochondrial",
    "percent_ribosomal",
    "percent_haemoglobin",
    "doublet",
)

Model = TypeVar("Model", bound=BaseModel)
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Settings):
    """From a file of cells to what the model trains on."""

    label_column: str | None = Field(
        default=None,
        description="Column of obs that names the perturbed gene; found by its content when not given.",
    )
    control_label: str | None = Field(
        default=None, description="Value of that column that marks control cells; recognised when not given."
    )
    pair_separator: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "What joins the genes of a combination in a label besides '+'; found when not given, 'none' for "
            "nothing."
        ),
    )
    unclear_labels: Literal["ask", "nearest", "leave out", "as written"] = Field(
        default="ask",
        description=(
            "Labels that nearly name a measured gene: ask (more than 1 % of the cells stop the work, fewer "
            "are left out), take the nearest gene, leave the cells out, or take them as written, for targets "
            "that are not measured."
        ),
    )
    non_perturbed: Literal["keep", "leave out"] = Field(
        default="keep",
        description=(
            "Cells that Mixscape calls not perturbed (NP): keep them with their gene, or leave them out, "
            "which makes effects larger than they are."
        ),
    )
    counts_layer: str | None = Field(
        default=None, description="Layer with raw counts ('X', 'raw' or a layer); found when not given."
    )
    symbol_column: str | None = Field(
        default=None,
        description="Column of var with gene symbols when its index holds none; found when not given.",
    )
    other_features: Literal["leave out", "keep"] = Field(
        default="leave out",
        description=(
            "Columns of the counts that no gene has (guides, antibodies, hashtags): leave them out of genes "
            "and library sizes, or keep them as genes."
        ),
    )
    guides: str | None = Field(
        default=None,
        description=(
            "File with the guide UMIs of the cells (.csv, .tsv, .mtx, .h5, .h5ad): labels are then made from "
            "it. Not needed where the file of cells holds them."
        ),
    )
    guide_targets: str | None = Field(
        default=None,
        description=(
            "Table with the target of every guide (.csv, .tsv); read from the file or the guides' names when "
            "not given."
        ),
    )
    guide_rule: Literal["mixture", "threshold"] = Field(
        default="mixture",
        description=(
            "How guides are called from their UMIs: by a Poisson-Gaussian mixture for each guide, or from a "
            "number of UMIs on."
        ),
    )
    guide_umis: Count = Field(default=3, description="Least UMIs of a guide that is called, by either rule.")
    guide_share: Fraction = Field(
        default=0.05,
        description="Rule 'threshold': least share of a cell's guide UMIs with which a guide is called.",
    )
    batch: str | None = Field(
        default=None,
        description=(
            "Column of obs with the batch (lane, replicate) of every cell; found by name and content when "
            "not given, 'none' for no batch."
        ),
    )
    donor: str | None = Field(
        default=None,
        description="Column of obs with the donor of every cell; found when not given, 'none' for none.",
    )
    guide: str | None = Field(
        default=None,
        description="Column of obs with the guide of every cell; found when not given, 'none' for none.",
    )
    condition: str | None = Field(
        default=None,
        description=(
            "Column of obs with the condition (stimulation, time) of every cell; found when not given, "
            "'none' for none."
        ),
    )
    conditions: tuple[str, ...] = Field(
        default=(),
        description="Conditions whose cells are used, the values of that column; all when none is named.",
    )
    condition_as_batch: bool = Field(
        default=False,
        description=(
            "Conditions are batches of one experiment: effects are measured within each and put together. "
            "Without it that is done too, and warned of."
        ),
    )
    size_factor: str | None = Field(
        default=None,
        description=(
            "Column of obs with the counts of each cell over the whole transcriptome, where the file holds "
            "some of its genes; found when not given, 'none' for none."
        ),
    )
    min_cells: Count = Field(default=40, description="Perturbations with fewer cells are dropped and listed.")
    strong_knockdown_only: bool = Field(
        default=False, description="Keep only cells whose target is at or below a low percentile of controls."
    )
    knockdown_percentile: float = Field(
        default=10.0, gt=0.0, lt=100.0, description="That percentile of the controls' expression."
    )
    target_sum: Positive = Field(
        default=1e4, description="Counts every cell is scaled to before the logarithm."
    )

    artifact_criteria: tuple[str, ...] = Field(
        default=ARTIFACT_CRITERIA, description="Which criteria may mark a cell as an artifact."
    )
    judge_targeted_counts: bool = Field(
        default=False,
        description=(
            "Judge umi_count and genes_detected of a targeted panel too, where perturbations may change them."
        ),
    )
    artifact_mads: Positive = Field(
        default=3.0, description="Cut-off in (unscaled) median absolute deviations from the median."
    )
    detect_doublets: bool = Field(default=True, description="Run Scrublet for the doublet criterion.")

    panel: Literal["auto", "all", "wilcoxon"] = Field(
        default="auto",
        description=(
            "Extended genes: all measured genes, those a Wilcoxon test picks, or by the size of the "
            "measured panel (auto)."
        ),
    )
    panel_genes: tuple[str, ...] = Field(
        default=(), description="Measured genes that are in the panel in any case."
    )
    panel_all_below: Count = Field(
        default=1000, description="With panel=auto: take all genes when fewer than this are measured."
    )
    extended_per_perturbation: Count = Field(
        default=1, description="Wilcoxon rule: genes taken per perturbation."
    )
    extended_min_abs_lfc: NonNegative = Field(
        default=3.0, description="Wilcoxon rule: least absolute log fold change."
    )
    extended_max_p: Fraction = Field(default=0.01, description="Wilcoxon rule: largest adjusted p value.")

    pairing: Literal["sinkhorn", "exact"] = Field(
        default="sinkhorn", description="Optimal transport that matches perturbed cells to controls."
    )
    pairing_regularisation: Positive = Field(
        default=1.0, description="Entropic regularisation of the Sinkhorn plan."
    )
    pairing_cost_scale: Positive = Field(
        default=100.0, description="Euclidean distances are divided by this before transport."
    )

    train_fraction: float = Field(
        default=0.64, gt=0.0, lt=1.0, description="Share of each perturbation's cells used for training."
    )
    validation_fraction: float = Field(
        default=0.16, gt=0.0, lt=1.0, description="Share used for early stopping; the rest is held out."
    )
    hold_out: Literal["cells", "guides", "donors", "batches"] = Field(
        default="cells",
        description=(
            "What is held out for the scores: cells drawn at random, or whole guides, donors or batches of "
            "each perturbation."
        ),
    )
    unseen: tuple[str, ...] = Field(
        default=(), description="Perturbations held out as a whole, with all their cells."
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of the split, the doublet simulation and the subsampling."
    )

    @field_validator("conditions", "panel_genes", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        """A name alone is one of them."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        if self.train_fraction + self.validation_fraction >= 1.0:
            raise ValueError(
                "train_fraction + validation_fraction must leave cells for the test: their sum has to stay "
                "below 1"
            )
        unknown = sorted(set(self.artifact_criteria) - set(ARTIFACT_CRITERIA))
        if unknown:
            raise ValueError(
                f"artifact_criteria: unknown {', '.join(unknown)}; known are {', '.join(ARTIFACT_CRITERIA)}"
            )
        return self


class ModelSettings(_Settings):
    """Sizes and priors of the generative model and its guide (MODEL: Baek et al. 2025, sections 3.1 to
    3.3).
    """

    network: Literal["free", "evidence", "none"] = Field(
        default="free",
        description=(
            "free: W is trained with everything else; evidence: W is fitted to calibrated effects first, "
            "and its influence moves the decoder's shares; none: a perturbation moves latent dimensions in "
            "the place of genes, and there is no W."
        ),
    )
    artifact_space: bool = Field(
        default=True,
        description="Cells that fail quality control have their own offset, which predictions leave out.",
    )
    offsets: Literal["beside", "added"] = Field(
        default="beside",
        description=(
            "How the decoder meets the offsets of perturbation and artifact: beside the basal state, or "
            "added to it (without a network alone: they have to be of one size)."
        ),
    )
    latent: Count = Field(default=100, description="Dimensions of the basal state z_b.")
    decoder_width: Count = Field(default=400, description="Hidden width of the decoder.")
    decoder_layers: Count = Field(default=2, description="Layers of the decoder before its softmax head.")
    basal_width: Count = Field(default=200, description="Hidden width of the encoder of z_b.")
    basal_layers: Count = Field(default=1, description="Layers of the encoder of z_b.")
    embedding_width: Count = Field(
        default=400, description="Hidden width of the encoders of E and of the artifact vector."
    )
    embedding_layers: Count = Field(default=4, description="Layers of those encoders.")
    mask_prior: float = Field(
        default=0.3, gt=0.0, lt=1.0, description="Prior probability of an edge in the mask M."
    )
    temperature: Positive = Field(
        default=1.0, description="Temperature of the relaxed Bernoulli of the mask."
    )


class NetworkSettings(_Settings):
    """How W and S are fitted to calibrated effects (model.network = evidence)."""

    least_effect: NonNegative = Field(
        default=0.05,
        description=(
            "Effects of about this size (natural log fold change) or less count as none; edges need more."
        ),
    )
    hop_tolerance: NonNegative = Field(
        default=0.3,
        description=(
            "An indirect explanation is trusted up to this fraction of itself; larger explains more "
            "effects away."
        ),
    )
    turned_tolerance: NonNegative = Field(
        default=0.5,
        description=(
            "The same where the gene in between moves the other way than its own perturbation moved it: "
            "how its targets answer to that was not seen."
        ),
    )
    unperturbed_prior: float = Field(
        default=1e-6,
        gt=0.0,
        lt=1.0,
        description="Prior probability of an edge from a gene that was never perturbed.",
    )
    perturbation: Literal[
        "auto", "none", "knock-down", "knock-out", "activation", "over-expression", "mixed"
    ] = Field(
        default="auto",
        description=(
            "What was done to the genes. A knock-down, an activation or an over-expression is read off their "
            "own expression; a knock-out removes the function whatever the expression. mixed: each "
            "perturbation as its own target moves. none: nothing is read, a knock-out is assumed. auto: what "
            "the file states, else what most targets show: activation where more rise than fall, knock-out "
            "where the typical one that falls keeps more than half of its expression. A target that clearly "
            "moves the other way goes its own."
        ),
    )
    complete_loss: float = Field(
        default=0.9, gt=0.0, lt=1.0, description="Share of its function that a knock-out is taken to remove."
    )
    null_draws: Count = Field(
        default=10,
        description="Draws of controls in the place of the perturbations, for the false-edge rate.",
    )
    ensemble: int = Field(
        default=20,
        ge=0,
        le=1000,
        description=(
            "Networks found again from other draws of the cells once a training is done, without any "
            "training of their own, so that it is known how often an edge comes back. 0: none; 1 counts as 2."
        ),
    )


class LossSettings(_Settings):
    """Weights of the loss terms."""

    influence: Literal["paper", "released", "signed"] = Field(
        default="released",
        description="Which formula carries W over K hops; signed: powers of W times S (preset evidence).",
    )
    hops: int = Field(
        default=5,
        ge=0,
        description=(
            "K, the number of hops over which W is accumulated. Without hops: 1; 0 for released, which "
            "adds one."
        ),
    )
    alignment: NonNegative = Field(
        default=100.0,
        description="Weight of the alignment of the hop influence with observed effects (GPO weight).",
    )
    effect_offset: NonNegative = Field(
        default=0.5,
        description="c, subtracted from the observed effect before the alignment (released only).",
    )
    sparsity: NonNegative = Field(default=5.0, description="Weight of the size of W.")
    norms: Literal["mean", "sum"] = Field(
        default="mean",
        description=(
            "How alignment and sparsity add up. sum: over genes and over entries of W, per cell of a batch, "
            "as published (preset paper); mean: over both, so that the weights mean the same on every panel."
        ),
    )
    kl_warmup: int = Field(
        default=0, ge=0, description="Epochs over which the divergences from the priors grow to full weight."
    )
    artifact: NonNegative = Field(default=0.1, description="Weight of the artifact disentanglement.")
    counterfactual_cells: Count = Field(
        default=50, description="At most so many cells give a counterfactual profile."
    )
    balance_artifacts: bool = Field(
        default=True,
        description="Weigh passing and failing cells so that both groups count alike (mean weight 1).",
    )

    @property
    def shown_hops(self) -> int:
        """K of the influence T_K that is shown and scored: that of the loss, at least 1."""
        return max(1, self.hops)

    @field_validator("hops")
    @classmethod
    def _check_hops(cls, hops: int, info: ValidationInfo) -> int:
        if hops == 0 and info.data.get("influence") != "released":
            raise ValueError(
                "must be 1 or more; 0 is W without hops in the formula 'released', which has K + 1 terms"
            )
        return hops


class TrainingSettings(_Settings):
    """The optimiser and its stopping rule."""

    epochs: Count = Field(default=2000, description="Most epochs.")
    patience: Count = Field(
        default=30, description="Stop after so many epochs without a better validation loss."
    )
    min_improvement: NonNegative = Field(
        default=0.5, description="Least fall of the validation loss (nats per cell) that counts as better."
    )
    epoch_cells: int = Field(
        default=0,
        ge=0,
        description=(
            "Cells of an epoch at most, its validation in proportion: of a larger screen every epoch "
            "goes over another part, so that warm-up and early stop take as many steps as in a small one. "
            "0: all cells."
        ),
    )
    batch_size: Count = Field(default=512, description="Cells per step, over all devices together.")
    particles: Count = Field(default=5, description="Samples of the latent variables per step.")
    learning_rate: Positive = Field(default=3e-4, description="Step size of Adam.")
    weight_decay: NonNegative = Field(default=1e-6, description="L2 penalty of Adam.")
    clip_norm: Positive = Field(
        default=100.0, description="Gradient norm above which gradients are scaled down."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to train.")
    precision: Literal["float32", "bf16"] = Field(
        default="float32",
        description=(
            "Factors of matrix products. bf16: shortened to bfloat16 (on a GPU to TensorFloat-32) where "
            "the hardware gains by it."
        ),
    )
    devices: Count = Field(
        default=1, description="Processes on a machine that train together, one for each GPU."
    )
    nodes: Count = Field(default=1, description="Machines that train together.")
    strategy: Literal["auto", "ddp"] = Field(
        default="auto",
        description=(
            "How several devices train together: each on its share of every batch (ddp; auto takes it too)."
        ),
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights, batches and draws.")


class InferenceSettings(_Settings):
    """How the trained model is asked for treatment effects."""

    basal: Literal["controls", "prior"] = Field(
        default="controls",
        description="Basal states from the posterior of real control cells, or from the prior N(0, 1).",
    )
    guide_samples: Count = Field(default=160, description="Draws of mask and effect behind the mean.")
    basal_draws: Count = Field(
        default=2, description="Basal states, each with the library size of a control cell, per such draw."
    )
    spread_samples: Count = Field(
        default=25,
        description=(
            "Further draws of mask and effect, all in the same cells, whose spread is the model's own "
            "uncertainty."
        ),
    )
    library_levels: Count = Field(
        default=10, description="Library sizes are rounded to so many levels of the control cells."
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of those draws; the same numbers serve every perturbation and the control.",
    )


class EvaluationSettings(_Settings):
    """How a run is scored."""

    threshold: Fraction = Field(default=0.5, description="W above this is an edge.")
    significance: float = Field(
        default=0.05, gt=0.0, lt=1.0, description="Level of the tests, raw and Benjamini-Hochberg."
    )
    omission_hops: Count = Field(
        default=3,
        description="A pair counts as omitted when no predicted path of at most this length joins it.",
    )
    split_halves: Count = Field(default=20, description="Random halvings behind the ceiling.")
    seed: int = Field(default=0, ge=0, description="Seed of halvings and drawn pairs.")


class Settings(_Settings):
    """All settings of a run."""

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if (self.model.network == "evidence") != (self.loss.influence == "signed"):
            raise ValueError(
                "model.network and loss.influence belong together: 'evidence' with 'signed', 'free' with "
                f"'paper' or 'released'; got '{self.model.network}' with '{self.loss.influence}'"
            )
        if self.model.offsets == "added" and self.model.network != "none":
            raise ValueError(
                "model.offsets 'added' needs model.network 'none': offsets over genes cannot be added to the "
                f"basal state; got '{self.model.network}'"
            )
        return self

    preset: Literal["evidence", "paper", "released", "cradle-vae", "sams-vae"] = "released"
    data: DataSettings = Field(default_factory=DataSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    loss: LossSettings = Field(default_factory=LossSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)


PRESETS: dict[str, dict[str, dict[str, object]]] = {
    "evidence": {
        "model": {"network": "evidence", "latent": 32},
        "loss": {
            "influence": "signed",
            "alignment": 0.0,
            "sparsity": 0.0,
            "effect_offset": 0.0,
            "kl_warmup": 20,
            "balance_artifacts": False,
        },
        "training": {"learning_rate": 1e-3, "particles": 2, "patience": 15, "epoch_cells": 25_600},
    },
    "released": {},
    "paper": {
        "loss": {
            "influence": "paper",
            "alignment": 0.1,
            "sparsity": 0.1,
            "norms": "sum",
            "effect_offset": 0.0,
        }
    },
    # Their authors' settings for genome-wide screens; no network, so no alignment.
    "cradle-vae": {
        "model": {"network": "none", "mask_prior": 0.001},
        "loss": {"alignment": 0.0, "sparsity": 0.0, "effect_offset": 0.0},
    },
    "sams-vae": {
        "model": {"network": "none", "mask_prior": 0.001, "artifact_space": False, "offsets": "added"},
        "loss": {
            "alignment": 0.0,
            "sparsity": 0.0,
            "effect_offset": 0.0,
            "artifact": 0.0,
            "balance_artifacts": False,
        },
    },
}

PUBLISHED: dict[str, dict[str, dict[str, object]]] = {
    "K562": {"loss": {"effect_offset": 0.8, "sparsity": 5.0}},
    "RPE1": {"loss": {"effect_offset": 0.5, "sparsity": 10.0}, "model": {"latent": 200}},
    "Adamson": {"loss": {"effect_offset": 0.4, "sparsity": 1.0}, "model": {"basal_width": 400}},
}
"""Settings of the authors' release per data set, on top of the preset `released`."""


DEFAULT_PRESET = "evidence"


def make_settings(
    preset: str | None = None,
    changes: dict[str, dict[str, object]] | None = None,
    published: str | None = None,
) -> Settings:
    """Settings of a preset, with those PUBLISHED for a data set and then `changes` (section -> field ->
    value) on top.

    preset: DEFAULT_PRESET where None, or `released` for published settings. Raises SettingsError that names
    every bad field, what it accepts and what it got.
    """
    preset = preset or ("released" if published else DEFAULT_PRESET)
    if preset not in PRESETS:
        raise SettingsError(f"Unknown preset '{preset}': choose one of {', '.join(PRESETS)}.")
    if published is not None and (published not in PUBLISHED or preset != "released"):
        raise SettingsError(
            f"Published settings exist for {', '.join(PUBLISHED)}, with the preset 'released'; got "
            f"'{published}', '{preset}'."
        )
    merged: dict[str, object] = {"preset": preset}
    for layer in (PRESETS[preset], PUBLISHED.get(published or "", {}), changes or {}):
        for section, fields in layer.items():
            merged[section] = {**merged.get(section, {}), **fields}  # type: ignore[dict-item]
    return parse_settings(merged)


def sections(settings: Settings) -> dict[str, BaseModel]:
    """Section -> its settings, in order."""
    parts = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {name: part for name, part in parts.items() if isinstance(part, BaseModel)}


def changed_from_preset(settings: Settings) -> dict[tuple[str, str], tuple[Any, Any]]:
    """(section, field) -> (value, that of the preset), of every setting that differs from its preset."""
    preset = make_settings(settings.preset)
    return {
        (section, field): (value, other)
        for section, own in sections(settings).items()
        for field, value in own
        if value != (other := getattr(getattr(preset, section), field))
    }


def by_section(named: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Settings given by their name alone (`epochs`, `label_column`), or with their section in front where a
    name occurs in several (`inference.seed`), as section -> field -> value.

    `seed` alone is that of the split and of the training, as in `gpovae train --seed`. Raises SettingsError
    for a name that no setting has, with names near to it.
    """
    known = {
        (section, field)
        for section, part in Settings.model_fields.items()
        if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel)
        for field in part.annotation.model_fields
    }
    found: dict[str, dict[str, object]] = {}
    for name, value in named.items():
        section, dot, field = name.partition(".")
        places = [one for one in sorted(known) if (one == (section, field) if dot else one[1] == name)]
        if name == "seed":
            places = [("data", name), ("training", name)]
        if not places:
            near = get_close_matches(field or name, sorted({one[1] for one in known}), n=3)
            raise SettingsError(
                f"There is no setting '{name}'." + (f" Did you mean {', '.join(near)}?" if near else "")
            )
        for place, setting in places:
            found.setdefault(place, {})[setting] = value
    return found


def idle_settings(settings: Settings) -> dict[str, str]:
    """Fields ("section.field") that nothing reads beside the other settings, and why. Forms leave them out,
    commands say so.
    """
    if settings.model.network == "evidence":
        why = "W is fitted to calibrated effects before the training (model.network is 'evidence')"
        return dict.fromkeys(
            (
                "loss.alignment",
                "loss.effect_offset",
                "loss.sparsity",
                "loss.norms",
                "model.mask_prior",
                "model.temperature",
            ),
            why,
        )
    fields = (
        "least_effect",
        "hop_tolerance",
        "turned_tolerance",
        "unperturbed_prior",
        "null_draws",
        "ensemble",
    )
    if settings.model.network == "none":
        return _idle_without_network(settings, fields)
    idle = dict.fromkeys(
        (f"network.{field}" for field in fields),
        "W is trained with everything else (model.network is 'free')",
    )
    offset = (
        {"loss.effect_offset": "only the formula 'released' has an offset"}
        if settings.loss.influence != "released"
        else {}
    )
    return idle | offset


def idle_given(settings: Settings, given: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Of the settings that were given (section -> field -> value), in words, those that have no effect."""
    return [
        f"{path} has no effect here: {why}."
        for path, why in idle_settings(settings).items()
        if path.partition(".")[2] in given.get(path.partition(".")[0], {})
    ]


def _idle_without_network(settings: Settings, fields: tuple[str, ...]) -> dict[str, str]:
    unread = (
        *(f"network.{field}" for field in fields),
        *(f"loss.{field}" for field in ("influence", "alignment", "effect_offset", "sparsity", "norms")),
    )
    idle = dict.fromkeys(unread, "there is no W (model.network is 'none')")
    if settings.model.artifact_space:
        return idle
    why = "cells that fail quality control have no offset (model.artifact_space is off)"
    return idle | dict.fromkeys(("loss.artifact", "loss.counterfactual_cells"), why)


def parse_settings(values: object) -> Settings:
    """Settings from plain values (a parsed config.json, a form). Raises SettingsError that lists every bad
    field.
    """
    return checked(Settings, values, "Settings that cannot be used")


def checked(model: type[Model], values: object, what: str) -> Model:
    """`values` as a `model`. Raises SettingsError that starts with `what` and lists every bad field, what it
    accepts and what it got.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']} (got {e['input']!r:.80})"
            for e in error.errors()
        ]
        raise SettingsError(f"{what}:\n" + "\n".join(lines)) from error
