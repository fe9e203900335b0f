"""The Methods paragraph of a run: data, model, settings and seeds, as a paper would state them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gpovae_core import __version__, keys
from gpovae_core.config import Settings
from gpovae_core.data.effect_tables.report import EffectReport
from gpovae_core.data.kinds import KNOCK_OUT
from gpovae_core.data.schema import DesignColumns, PreparationReport
from gpovae_core.data.wording import counted
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.evaluation.predictions import PREDICTIONS
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.methods import registry
from gpovae_core.reporting.sentences import NULL_WORDS, told_direction

PAPER = "Baek et al., Bioinformatics 2025, arXiv 2501.18973"
DESIGN_WORDS = {
    "batch": "batch",
    "donor": "donor",
    "guide": "guide",
    "condition": "condition",
    "size_factor": "count of the whole transcriptome",
}
DIRECTIONS = {
    "knock-down": "a knock-down",
    "knock-out": "a knock-out",
    "activation": "an activation",
    "mixed": "genes that were switched off and genes that were activated",
}
SECTIONS = ("data", "model", "network", "loss", "training", "inference", "evaluation")


def methods(
    settings: Settings,
    preparation: PreparationReport | None,
    evaluation: Evaluation,
    epochs: int,
    best_epoch: int | None,
    kinds: Mapping[str, int] | None = None,
) -> str:
    """Plain text: what was done to the cells, what was trained, how it was scored. Figures come from the run,
    none is assumed. kinds: what was done to the genes, as the network was fitted -> how many of them.
    """
    parts = [
        _cells(settings, preparation, kinds or {}),
        _split(settings, preparation),
        _training(settings, epochs, best_epoch),
        _scoring(settings, evaluation),
    ]
    return "\n\n".join(part for part in parts if part)


def methods_of_effects(settings: Settings, report: EffectReport) -> str:
    """The same for a run that was made from a table of effects."""
    base = "log2" if report.unit == "log2" else "natural logarithm"
    unmeasured = (
        f" {len(report.unmeasured):,} of the perturbed genes are not among the measured ones."
        if report.unmeasured
        else ""
    )
    null = (
        f"The share of false edges was estimated from {NULL_WORDS.get(report.null, report.null)}, "
        f"{settings.network.null_draws} times, judged as the effects were (seed {settings.training.seed})."
        if report.null
        else "The share of false edges is unknown, as there are no controls that could state it."
    )
    return (
        f"The network was fitted with gpovae {__version__} to a table of effects, without cells: "
        f"{report.source}, log fold changes ({base}, {report.effect_from}) of {report.perturbations:,} "
        f"perturbations over {report.genes:,} genes, with errors from {report.error_from}; {report.pairs:,} "
        f"pairs were measured.{unmeasured} The panel of {report.panel:,} genes holds the perturbed genes and "
        "those with the largest effect over its standard error under any perturbation. The "
        "effects were taken as they are and judged by adaptive shrinkage; edges follow from a spike-and-slab "
        f"regression over hops (least effect {settings.network.least_effect:g}, natural logarithm; what was "
        f"done to the genes: {settings.network.perturbation}). {null} No autoencoder was trained, and "
        "nothing was scored on held-out cells."
    )


def all_settings(settings: Settings) -> dict[str, Any]:
    """section.field -> value, of every setting of a run."""
    return {
        f"{name}.{field}": value
        for name in SECTIONS
        for field, value in getattr(settings, name).model_dump(mode="json").items()
    }


def _cells(settings: Settings, preparation: PreparationReport | None, kinds: Mapping[str, int]) -> str:
    if preparation is None:
        return ""
    kind = "Simulated cells" if preparation.simulated else "Cells"
    used = [criterion.name.replace("_", " ") for criterion in preparation.criteria if criterion.used]
    quality = (
        f" Cells were marked as artifacts by {', '.join(used)} ({preparation.artifacts:,} cells)."
        if used
        else ""
    )
    if preparation.design is not None and any(one.cutoff is not None for one in preparation.criteria):
        quality += (
            " Cut-offs were taken from control cells, within batches where there are any, and the cells of a "
            "perturbation were judged after their median (and a wider spread) had been moved to that of the "
            "controls."
        )
    left_out = ""
    if preparation.dropped:
        reasons = sorted({drop.reason for drop in preparation.dropped})
        left_out = (
            f" Left out: {len(preparation.dropped)} perturbations or groups of cells ({'; '.join(reasons)})."
        )
    return (
        f"{kind} were read from {preparation.source}: {preparation.cells_kept:,} of "
        f"{preparation.cells_read:,} cells were kept, among them {preparation.control_cells:,} controls "
        f"('{preparation.control_label}'), with {len(preparation.perturbations):,} perturbations and "
        f"{preparation.genes_measured:,} measured genes; {_counts(preparation)}."
        f"{_design(preparation.design)}{_direction(settings, preparation, kinds)}{quality}{left_out}"
    )


def _counts(preparation: PreparationReport) -> str:
    """Where the counts come from, and how where they had to be recovered."""
    source, how = preparation.counts_from, preparation.counts_how
    if how.startswith("recovered"):
        return (
            f"raw counts were {how} in {source}: undone, the values of every cell are whole multiples of one "
            "step, which was taken as one count"
        )
    return f"raw counts from {source}{f', {how}' if how else ''}"


def _design(design: DesignColumns | None) -> str:
    """Which columns of the file hold the design, as far as it was read."""
    if design is None:
        return ""
    read = [
        f"{words} ('{column}')"
        for part, words in DESIGN_WORDS.items()
        if (column := getattr(design, part)) is not None
    ]
    return f" The file names the {_listed(read)} of every cell." if read else ""


def _direction(settings: Settings, preparation: PreparationReport, kinds: Mapping[str, int]) -> str:
    """What was taken to be done to the genes, by what, and how the network was fitted where that differs."""
    design, known, told = preparation.design, preparation.directions, settings.network.perturbation
    if design is None:
        return ""
    found = told_direction(design.direction, told)
    fitted = ""
    if kinds and set(kinds) != {found}:
        counts = _listed([f"{DIRECTIONS[kind]} of {counted(n, 'gene')}" for kind, n in kinds.items()])
        fitted = f" The network was fitted, to training cells alone, as to {counts}."
    loss = f"a loss of {100 * settings.network.complete_loss:.0f} % of the function"
    assumed = f"; {loss} was assumed" if found == KNOCK_OUT else ""
    if told == "none":
        return f" What was done to the genes was not read: a knock-out, {loss}, was assumed."
    if told == "mixed":
        return f" What was done to each gene was read off its own expression.{fitted}"
    if told != "auto":
        return f" What was done to the genes was given: {told}{assumed}."
    if found is None:
        return (
            " What was done to the genes is neither stated nor shown by their own expression: a knock-out, "
            f"{loss}, was assumed."
        )
    if not known.stated:
        return f" The targets' own expression shows {DIRECTIONS[found]}{assumed}.{fitted}"
    number = Counter(known.stated.values()).most_common()
    stated = _listed([DIRECTIONS[kind] + (f" ({n})" if len(number) > 1 else "") for kind, n in number])
    return f" The file states {stated} ({known.where}){assumed}.{fitted}"


def _split(settings: Settings, preparation: PreparationReport | None) -> str:
    seeds = ", ".join(
        f"{name} {getattr(settings, name).seed}" for name in ("data", "training", "inference", "evaluation")
    )
    kind = settings.data.hold_out
    whole = {"guides": "whole guides of each perturbation"}.get(kind, f"all cells of some {kind}")
    alone = (
        f" Split cell by cell, for want of other {kind}: {_listed(preparation.split_by_cells)}."
        if preparation is not None and preparation.split_by_cells
        else ""
    )
    how = (
        "Cells were split at random within each perturbation into training, validation and test cells."
        if kind == "cells"
        else f"Test cells are {whole}; the others were split at random into training and validation "
        f"cells.{alone}"
    )
    return (
        f"{how} Weights were fitted on training cells, the early stop and every choice that was tuned used "
        f"validation cells, and all scores are on held-out cells unless stated otherwise. Seeds: {seeds}."
    )


def _training(settings: Settings, epochs: int, best_epoch: int | None) -> str:
    training, model = settings.training, settings.model
    kept = f"; the weights of epoch {best_epoch} were kept" if best_epoch is not None else ""
    if model.network == "evidence":
        network = (
            "The network was fitted to calibrated log fold changes of the training cells, freed of the "
            "common lift of all shares, by adaptive shrinkage and a spike-and-slab regression over hops "
            f"(least effect {settings.network.least_effect:g}), and the autoencoder was trained with it as "
            "given"
        )
    elif model.network == "none":
        where = "added to the basal state" if model.offsets == "added" else "beside the basal state"
        apart = "" if model.artifact_space else " and no offset for cells that fail quality control"
        network = (
            f"It has no network: every perturbation has a sparse offset over latent dimensions, {where}"
            f"{apart} (prior share of dimensions {model.mask_prior:g})"
        )
    else:
        network = (
            f"The network W was trained with the autoencoder, its influence over {settings.loss.hops} hops "
            f"aligned with the observed effects ({settings.loss.influence} formulas, weight "
            f"{settings.loss.alignment:g}, sparsity {settings.loss.sparsity:g}, both norms as "
            f"{settings.loss.norms}s)"
        )
    part = f" of at most {training.epoch_cells:,} cells" * bool(training.epoch_cells)
    return (
        f"A GPO-VAE ({PAPER}) was trained with gpovae {__version__}, preset '{settings.preset}'. {network}. "
        f"{model.latent} latent dimensions, Adam with learning rate {training.learning_rate:g}, batches of "
        f"{training.batch_size} cells, {training.particles} particles, early stop after {training.patience} "
        f"epochs without a better validation loss: {epochs} epochs{part}{kept}."
    )


def _scoring(settings: Settings, evaluation: Evaluation) -> str:
    network = evaluation.network
    if network is None:
        return ""
    set_to = settings.evaluation
    cut = network.threshold
    edges = (
        ""
        if cut is None
        else f" W above {cut:g} is an edge ({network.edges} among {network.pairs} tested pairs)."
    )
    known = [one.name for one in network.references or ()]
    against = f" Known edges: {', '.join(known)}, with degree-preserving shuffles as a null." if known else ""
    held_out = " and ".join(keys.HELD_OUT)
    return (
        "Predicted effects were scored as differences of mean log2(counts per 10,000 + 1) against control "
        "cells. "
        f"{_predictions(evaluation)} Ceilings: the correlation that noiseless effects would reach, from "
        f"{set_to.split_halves} random halvings of the cells (Spearman-Brown), and for other scores the "
        "effects over all cells, shrunk to the variance that is signal, scored against references with "
        f"resampled noise. Edges were tested on held-out cells ({held_out}) by the 1-Wasserstein distance "
        f"and Mann and Whitney's test within batch, donor, condition and depth (van Elteren; level "
        f"{set_to.significance:g}, Benjamini-Hochberg over all pairs)"
        f"{_rankings(network)} The ceiling is the ranking by the same test in training cells.{edges} False "
        f"omission rate: pairs without a path of at most {set_to.omission_hops} edges.{against}"
    )


def _predictions(evaluation: Evaluation) -> str:
    """What the model's prediction was compared with, as far as it was in this run."""
    shown = evaluation.against("test").by_prediction("ate_rho")
    told = [one for one in PREDICTIONS if one.role == "baseline" and one.key in shown]
    if not told:
        return ""
    linear = evaluation.linear
    chosen = (
        f" It has {linear.components} components and ridge {linear.ridge:g}, chosen on validation cells."
        if linear is not None and linear.components is not None and linear.ridge is not None
        else ""
    )
    words = [one.sentence + (chosen if one.key == "linear" else "") for one in told]
    return (
        f"Predictions were compared with baselines: {_listed([one.title for one in told])}. {' '.join(words)}"
    )


def _rankings(network: Network) -> str:
    """The methods that W was compared with at equal numbers of edges, as far as they were run, a sentence
    each.
    """
    same = network.at_same_edges
    told = [
        method
        for method in (*registry.with_role("chance"), *registry.with_role("baseline"))
        if same is not None and (method.role == "chance" or method.key in same.methods)
    ]
    if not told:
        return "."
    words = " ".join(method.sentence for method in told if method.role == "baseline")
    return f", at equal numbers of edges against {_listed([method.title for method in told])}. {words}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
