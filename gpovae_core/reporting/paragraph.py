"""The Methods paragraph of a run: data, model, settings and seeds, as a paper would state them."""

from __future__ import annotations

from typing import Any

from gpovae_core import __version__, keys
from gpovae_core.config import Settings
from gpovae_core.data.schema import PreparationReport

PAPER = "Baek et al., Bioinformatics 2025, arXiv 2501.18973"
SECTIONS = ("data", "model", "network", "loss", "training", "inference", "evaluation")


def methods(
    settings: Settings,
    preparation: PreparationReport | None,
    report: dict[str, Any],
    epochs: int,
    best_epoch: int | None,
) -> str:
    """Plain text: what was done to the cells, what was trained, how it was scored. Figures come from the run,
    none is assumed.
    """
    parts = [
        _cells(preparation),
        _split(settings),
        _training(settings, epochs, best_epoch),
        _scoring(settings, report),
    ]
    return "\n\n".join(part for part in parts if part)


def all_settings(settings: Settings) -> dict[str, Any]:
    """section.field -> value, of every setting of a run."""
    return {
        f"{name}.{field}": value
        for name in SECTIONS
        for field, value in getattr(settings, name).model_dump(mode="json").items()
    }


def _cells(preparation: PreparationReport | None) -> str:
    if preparation is None:
        return ""
    kind = "Simulated cells" if preparation.simulated else "Cells"
    used = [criterion.name.replace("_", " ") for criterion in preparation.criteria if criterion.used]
    quality = (
        f" Cells were marked as artifacts by {', '.join(used)} ({preparation.artifacts:,} cells)."
        if used
        else ""
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
        f"{preparation.genes_measured:,} measured genes; raw counts from "
        f"{preparation.counts_from}.{quality}{left_out}"
    )


def _split(settings: Settings) -> str:
    seeds = ", ".join(
        f"{name} {getattr(settings, name).seed}" for name in ("data", "training", "inference", "evaluation")
    )
    return (
        "Cells were split at random within each perturbation into training, validation and test cells. "
        "Weights were fitted on training cells, the early stop and every choice that was tuned used "
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
    else:
        network = (
            f"The network W was trained with the autoencoder, its influence over {settings.loss.hops} hops "
            f"aligned with the observed effects ({settings.loss.influence} formulas, weight "
            f"{settings.loss.alignment:g}, sparsity {settings.loss.sparsity:g})"
        )
    return (
        f"A GPO-VAE ({PAPER}) was trained with gpovae {__version__}, preset '{settings.preset}'. {network}. "
        f"{model.latent} latent dimensions, Adam with learning rate {training.learning_rate:g}, batches of "
        f"{training.batch_size} cells, {training.particles} particles, early stop after {training.patience} "
        f"epochs without a better validation loss: {epochs} epochs{kept}."
    )


def _scoring(settings: Settings, report: dict[str, Any]) -> str:
    evaluation, network = settings.evaluation, report.get("network") or {}
    if not network:
        return ""
    cut = network.get("threshold")
    edges = (
        ""
        if cut is None
        else (
            f" W above {cut:g} is an edge ({network.get('edges')} among {network.get('pairs')} tested pairs)."
        )
    )
    linear = report.get("linear") or {}
    chosen = (
        (
            f" (ridge on gene embeddings from a PCA of training cells, {linear['components']} components, "
            f"ridge {linear['ridge']:g}, chosen on validation cells)"
        )
        if linear.get("components")
        else ""
    )
    known = [one["name"] for one in network.get("references") or []]
    against = f" Known edges: {', '.join(known)}, with degree-preserving shuffles as a null." if known else ""
    held_out = " and ".join(keys.HELD_OUT)
    return (
        "Effects are differences of mean log2(counts per 10,000 + 1) against control cells. Predictions "
        "were compared with no effect, the mean over perturbations, the training mean and a linear "
        f"model{chosen}. Ceilings: the correlation that noiseless effects would reach, from "
        f"{evaluation.split_halves} random halvings of the cells (Spearman-Brown), and for other scores the "
        "effects over all cells, shrunk to the variance that is signal, scored against references with "
        f"resampled noise. Edges were tested on held-out cells ({held_out}) by the 1-Wasserstein distance "
        f"and Mann and Whitney's test (level {evaluation.significance:g}, Benjamini-Hochberg over all "
        "pairs), at equal numbers of edges against random pairs, mean difference, Mann-Whitney z, "
        "correlation and the closed-form inverse of the total effects; the ceiling is the ranking by the "
        f"same test in training cells.{edges} False omission rate: pairs without a path of at most "
        f"{evaluation.omission_hops} edges.{against}"
    )
