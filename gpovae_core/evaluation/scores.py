"""Everything that is said of a run, as one tree: what evaluation.json holds and every table, chart and
sentence reads.

None stands for what is not defined, or was not measured when an earlier version evaluated the run.
Correlations lie between -1 and 1, R² at most 1, shares between 0 and 1; effects are log2(counts per 10,000 +
1) against control. A mapping over predictions has the keys of `evaluation.predictions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpovae_core.evaluation.network_scores import Count, Network, Number
from gpovae_core.evaluation.plain import Damaged, Part, from_plain, to_plain

SCHEMA = 2
"""Version of evaluation.json. It goes up when a key changes its meaning or goes away; files from before there
was a version hold the same keys as version 1, fewer of them. Version 1 calls `estimated_false_edge_rate` of
the network `false_edge_rate`.
"""

HELD_OUT_KINDS = ("cells", "guides", "donors", "batches")

ByPrediction = Mapping[str, Number]
"""Key of a prediction, or "ceiling" -> a score."""


@dataclass(frozen=True)
class PerturbationScores:
    """One perturbation. rho: Pearson over genes by prediction; ceiling: what its noise allows."""

    perturbation: str | None
    cells: Count
    rho: ByPrediction
    ceiling: Number


@dataclass(frozen=True)
class EffectScores:
    """Predicted effects against one reference; the definitions are those of `response.ResponseScores`.

    compared: perturbations that could be compared, by prediction; split_half: mean Pearson of the effects in
    two halves of the cells; cells: perturbed ones.
    """

    ate_rho: Part[ByPrediction] = None
    r2: Part[ByPrediction] = None
    median_rho: Part[ByPrediction] = None
    ate_rho_top20: Part[ByPrediction] = None
    r2_top20: Part[ByPrediction] = None
    jaccard_top20: Part[ByPrediction] = None
    jaccard_top50: Part[ByPrediction] = None
    centroid_rho: Part[ByPrediction] = None
    discrimination: Part[ByPrediction] = None
    weighted_r2: Part[ByPrediction] = None
    de_overlap: Part[ByPrediction] = None
    ate_rho_without_own: Part[ByPrediction] = None
    r2_without_own: Part[ByPrediction] = None
    median_rho_without_own: Part[ByPrediction] = None
    compared: Part[Mapping[str, Count]] = None
    split_half: Number = None
    perturbations: Count = None
    cells: Count = None
    control_cells: Part[int] = None
    per_perturbation: Part[tuple[PerturbationScores, ...]] = None

    def by_prediction(self, score: str) -> ByPrediction:
        """A score by its name; empty where it was not measured."""
        return getattr(self, score) or {}


@dataclass(frozen=True)
class Response:
    """test: against held-out cells; all: against every cell, those that were learned from included, which
    flatters.
    """

    test: Part[EffectScores] = None
    all: Part[EffectScores] = None

    def against(self, reference: str) -> EffectScores:
        """The scores against "test" or "all"; with nothing in them where they were not measured."""
        return getattr(self, reference) or EffectScores()


@dataclass(frozen=True)
class Calibration:
    """model_error: standard deviation granted to the model's error in log2 units, None where the training
    mean stands alone.
    """

    model_error: Number


@dataclass(frozen=True)
class LinearChoice:
    """The linear model as chosen on validation cells; None where none could be fitted."""

    components: Count
    ridge: Number


@dataclass(frozen=True)
class Line:
    """One score. baseline: what needs no information; rival: the strongest method without a model; share,
    rival_share: (value - baseline) / (ceiling - baseline), None where that says nothing; amount: what it
    rests on, in words; lower: whether less is better.
    """

    group: str
    key: str
    name: str
    meaning: str
    value: Number
    baseline: Number
    baseline_name: str
    rival: Number
    rival_name: str
    ceiling: Number
    share: Number
    rival_share: Number
    amount: str
    lower: bool | None = False

    @property
    def beats(self) -> bool | None:
        """Whether the value is better than the strongest method without a model; None where one of them is
        unknown.
        """
        if self.value is None or self.rival is None:
            return None
        return self.value < self.rival if self.lower else self.value > self.rival


@dataclass(frozen=True)
class UnseenPart:
    """Predictions of perturbations held out as a whole, over all their genes but the perturbed ones: pooled
    Pearson, median Pearson within a perturbation, root mean square error (log2), by method of
    `evaluation.unseen`.
    """

    perturbations: Count
    rho: ByPrediction
    median_rho: ByPrediction
    rmse: ByPrediction


@dataclass(frozen=True)
class UnseenPerturbation:
    """One held-out perturbation. draw: which draw held it out; moved_by: training perturbations that move its
    gene.
    """

    perturbation: str | None
    draw: Count
    cells: Count
    moved_by: Count
    rho: ByPrediction
    rmse: ByPrediction
    ceiling: Number


@dataclass(frozen=True)
class Unseen:
    """Perturbations held out as a whole: all, those that some training perturbation moves, one by one.
    reason: why there is no answer.
    """

    pooled: Part[UnseenPart] = None
    with_known_path: Part[UnseenPart] = None
    per_perturbation: Part[tuple[UnseenPerturbation, ...]] = None
    reason: Part[str] = None


@dataclass(frozen=True)
class Weights:
    """How the parts of an answer for an unseen gene are weighed in a screen. kept: the share of their weights
    that the network's parts were left; left_out: training perturbations that were left out to find that.
    """

    weights: Mapping[str, Number]
    kept: Number
    left_out: Count


@dataclass(frozen=True)
class UnseenProtocol:
    """What `gpovae unseen` measured: unseen.json of a run. at_once: perturbations held out at a time;
    held_out: their names, draw by draw.
    """

    preset: str | None
    at_once: Count
    draws: Count
    seed: Count
    held_out: tuple[tuple[str, ...], ...] | None
    pooled: UnseenPart | None
    with_known_path: UnseenPart | None
    per_perturbation: tuple[UnseenPerturbation, ...] | None
    screen: Weights | None
    simulated: bool | None

    def to_json(self) -> dict[str, Any]:
        return to_plain(self)

    @classmethod
    def from_json(cls, plain: Any) -> UnseenProtocol:
        """Raises Damaged with the place of what is not as it should be."""
        return from_plain(cls, plain)


@dataclass(frozen=True)
class PosteriorSpread:
    """Mean posterior standard deviation of the latent dimensions; the prior's is 1."""

    least: Number
    median: Number
    most: Number


@dataclass(frozen=True)
class WeightFacts:
    """W as a whole. saturated_share: entries below 0.01 or above 0.99; above_half_...: share of pairs above
    0.5 in the rows of perturbed genes, and of the others.
    """

    mean: Number
    sd: Number
    saturated_share: Number
    above_half_perturbed_rows: Number
    above_half_other_rows: Number


@dataclass(frozen=True)
class Health:
    """Has the training worked? latent: dimensions, active_latent of them in use; offset_norm: mean norm of a
    perturbation's offset; warnings: what went wrong, in words. As `training.health` measures it.
    """

    latent: Count = None
    active_latent: Count = None
    active_dimensions: Part[tuple[Count, ...]] = None
    posterior_sd: Part[PosteriorSpread] = None
    offset_norm: Part[float] = None
    w: Part[WeightFacts] = None
    warnings: Part[tuple[str, ...]] = None


@dataclass(frozen=True)
class AlignmentNull:
    """Shares of `pairs` whose median difference passes `cut`: of the perturbations as they are, and of
    controls relabelled as perturbed (`effects.nulls.alignment_null`).
    """

    cut: Number
    pairs: Count
    real: Number
    null: Number


@dataclass(frozen=True)
class Seeds:
    data: Count = None
    training: Count = None
    inference: Count = None
    evaluation: Count = None


@dataclass(frozen=True)
class Intervals:
    """What the model's own standard deviation of an effect is multiplied by for a 95 % interval. factor:
    calibrated on `pairs` effects in validation cells (evaluation.intervals); held, held_by_model: share of
    `held_out_pairs` effects in held-out cells inside the interval with it and without; largest_held,
    largest_held_as_drawn: of the `largest_pairs` that are the largest measured in held-out cells, inside the
    interval with the error of the measurement added, and inside the interval as pages draw it.
    """

    factor: Number = None
    pairs: Count = None
    held: Number = None
    held_by_model: Number = None
    held_out_pairs: Count = None
    largest_held: Part[float] = None
    largest_held_as_drawn: Part[float] = None
    largest_pairs: Part[int] = None


@dataclass(frozen=True)
class ResponderShare:
    """See effects.responders: share of the training cells of a perturbation, or of one of its guides, that
    respond, with its 95 % interval; None where it cannot be told.
    """

    perturbation: str | None
    guide: str | None
    cells: Count
    share: Number
    low: Number
    high: Number
    separation: Number


@dataclass(frozen=True)
class StateShare:
    """See effects.composition: share of the cells of a perturbation in the state between which and the others
    it differs most from controls.
    """

    perturbation: str | None
    cells: Count
    share: Number
    control_share: Number
    z: Number
    flagged: bool | None


@dataclass(frozen=True)
class States:
    """separations: of every pair of states that controls show; none where they show no states."""

    separations: tuple[Number, ...] | None
    perturbations: tuple[StateShare, ...] | None


@dataclass(frozen=True)
class HeldOut:
    """What no cell of the training has in common with the cells of the scores. kind: "cells", "guides",
    "donors" or "batches" (data.hold_out); by_cells: perturbations of which single cells are held out all the
    same.
    """

    kind: str | None
    by_cells: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Evaluation:
    """All scores of a run, each beside what needs no model and what the data allow at best.

    summary: every score once more with baseline, ceiling and share; notes: in words, what was left out and
    why; unseen: perturbations held out as a whole, empty where there are none; alignment_null: of runs
    without a network stage; monte_carlo_error: standard error of the predicted effects by their draws, log2;
    intervals, responders, states: see there;
    held_out: which kind of cells the scores "test" are measured on; simulated: whether the cells are.
    """

    response: Part[Response] = None
    calibration: Part[Calibration] = None
    linear: Part[LinearChoice] = None
    network: Part[Network] = None
    notes: Part[tuple[str, ...]] = None
    summary: Part[tuple[Line, ...]] = None
    held_out: Part[HeldOut] = None
    unseen: Part[Unseen] = None
    health: Part[Health] = None
    alignment_null: Part[AlignmentNull] = None
    monte_carlo_error: Part[float] = None
    seeds: Part[Seeds] = None
    simulated: Part[bool] = None
    intervals: Part[Intervals] = None
    responders: Part[tuple[ResponderShare, ...]] = None
    states: Part[States] = None

    def against(self, reference: str) -> EffectScores:
        """Scores of predicted effects against "test" or "all"; with nothing in them where they were not
        measured.
        """
        return (self.response or Response()).against(reference)

    @property
    def widening(self) -> float:
        """What the model's own spread is multiplied by in intervals; 1 where that was not measured."""
        factor = None if self.intervals is None else self.intervals.factor
        return 1.0 if factor is None else factor

    @property
    def held_out_words(self) -> str:
        """'held-out cells', 'held-out guides', ...: what the scores "test" are measured on, for reading."""
        kind = self.held_out.kind if self.held_out is not None else None
        return f"held-out {kind if kind in HELD_OUT_KINDS else 'cells'}"

    def to_json(self) -> dict[str, Any]:
        """What evaluation.json holds and `gpovae evaluate --json` prints."""
        return {"schema": SCHEMA, **to_plain(self)}

    @classmethod
    def from_json(cls, plain: Any) -> Evaluation:
        """Raises Damaged with the place of what is not as it should be, FromTheFuture for a schema that this
        version does not know. A file without a schema is one of an earlier version.
        """
        schema = plain.get("schema", 1) if isinstance(plain, Mapping) else SCHEMA
        if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
            raise Damaged(f"schema should be a whole number from 1, and is {schema!r}")
        if schema > SCHEMA:
            raise FromTheFuture(schema)
        return from_plain(cls, _renamed(plain) if schema < 2 else plain)


def _renamed(plain: Any) -> Any:
    """A file of version 1 in the names of today."""
    network = plain.get("network") if isinstance(plain, Mapping) else None
    if not isinstance(network, Mapping) or "false_edge_rate" not in network:
        return plain
    rest = {key: value for key, value in network.items() if key != "false_edge_rate"}
    return {**plain, "network": {**rest, "estimated_false_edge_rate": network["false_edge_rate"]}}


class FromTheFuture(ValueError):
    """Scores with a schema that a later version wrote."""

    def __init__(self, schema: int) -> None:
        super().__init__(f"schema {schema}, where this version knows {SCHEMA}")
        self.schema = schema
