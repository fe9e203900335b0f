"""A run folder with made-up numbers of the right shapes: what the pages need before (and without) any
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from safetensors.numpy import save_file
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import (
    ArtifactCriterion,
    Dropped,
    Panel,
    PanelData,
    PreparationReport,
    PreparedCells,
)
from gpovae_core.runs.folder import MASK_LOGITS, DataSource, RunFolder

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    'a"b',
    "GENE&1",
    "[x](http://example.org/y)",
    "$x^2$",
    "基因" + "長" * 60,
)


def gene_names(count: int, prefix: str) -> list[str]:
    return [f"{prefix}{i:04d}" for i in range(count)]


def make_fake_run(
    folder: Path,
    n_perturbed: int = 12,
    n_extended: int = 20,
    n_measured: int = 60,
    seed: int = 0,
    *,
    cells_per_perturbation: int = 20,
    names: Sequence[str] = (),
    edges_per_gene: float = 4.0,
    state: str = "done",
    simulated: bool = True,
    preset: str = "released",
) -> RunFolder:
    """Run in `folder` (which must not exist): W sparse and random, effects correlated between observed and
    predicted.

    names: replace the first perturbed gene names. Panel genes come first among the measured genes.
    """
    rng = np.random.default_rng(seed)
    perturbed = sorted([*names, *gene_names(n_perturbed, "PERT")[len(names) :]])
    extended = gene_names(n_extended, "EXT")
    genes = [*perturbed, *extended, *gene_names(max(0, n_measured - n_perturbed - n_extended), "REST")][
        :n_measured
    ]
    panel = Panel(
        PanelData(
            perturbed=tuple(perturbed),
            extended=tuple(extended),
            measured=tuple(g for g in (*perturbed, *extended) if g in set(genes)),
            ids={perturbed[0]: "ENSG00000000001"},
        )
    )
    settings = make_settings(preset, {"training": {"epochs": 60, "batch_size": 64}})
    run = RunFolder.create(
        folder, settings, DataSource(path=f"somewhere/{folder.name}.h5ad", simulated=simulated)
    )
    prepared = _cells(panel, genes, cells_per_perturbation, rng, simulated, folder.name)
    run.write_cells(prepared)
    save_file({MASK_LOGITS: _logits(len(panel), edges_per_gene, rng)}, run.path / "model.safetensors")
    _metrics(run, 40, rng)
    effects = _effects(panel, genes, prepared, rng)
    run.write_effects(effects)
    run.write_evaluation(_evaluation(effects, run, rng))
    run.log("A run made of random numbers.")
    run.write_status(state=state, epoch=40, best_epoch=37)
    return run


def _cells(
    panel: Panel,
    genes: list[str],
    per_perturbation: int,
    rng: np.random.Generator,
    simulated: bool,
    source: str,
) -> PreparedCells:
    labels = np.repeat(
        [keys.CONTROL, *panel.data.perturbed],
        [3 * per_perturbation] + [per_perturbation] * len(panel.data.perturbed),
    )
    ids = np.array([f"cell{i:06d}" for i in range(len(labels))])
    counts = sparse.csr_matrix(rng.poisson(2.0, size=(len(labels), len(genes))).astype(np.float32))
    controls = ids[labels == keys.CONTROL]
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels.astype(object),
            keys.ARTIFACT: rng.random(len(labels)) < 0.1,
            keys.SPLIT: rng.choice(
                [keys.TRAIN, keys.VALIDATION, keys.TEST], size=len(labels), p=[0.6, 0.2, 0.2]
            ).astype(object),
            keys.CONTROL_ID: np.where(
                labels == keys.CONTROL, "", rng.choice(controls, size=len(labels))
            ).astype(object),
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1)).ravel().astype(float),
        },
        index=pd.Index(ids.astype(object), name="cell"),
    )
    cells = anndata.AnnData(X=counts, obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)))
    report = PreparationReport(
        source=f"{source}.h5ad",
        simulated=simulated,
        cells_read=len(labels) + 30,
        cells_kept=len(labels),
        genes_measured=len(genes),
        counts_from="X",
        label_column="perturbation",
        control_label="control",
        perturbations=dict.fromkeys(panel.data.perturbed, per_perturbation),
        control_cells=3 * per_perturbation,
        artifacts=int(obs[keys.ARTIFACT].sum()),
        criteria=[
            ArtifactCriterion(name="umi_count", used=True, cutoff=812.0, direction="below", failing=14),
            ArtifactCriterion(
                name="percent_mitochondrial", used=False, note="No mitochondrial gene is measured."
            ),
        ],
        dropped=[
            Dropped(what="perturbation", name="RARE1", count=7, reason="fewer than 40 cells"),
            Dropped(what="cells", name="", count=23, reason="no counts at all"),
        ],
        notes=["The label column 'perturbation' was found by its name."],
    )
    return PreparedCells(cells=cells, panel=panel, report=report)


def _logits(n: int, edges_per_gene: float, rng: np.random.Generator) -> np.ndarray:
    """(n, n): most entries well below 0, about `edges_per_gene` a row above."""
    logits = rng.normal(-2.0, 0.7, size=(n, n))
    strong = rng.random((n, n)) < min(1.0, edges_per_gene / n)
    return np.where(strong, rng.normal(1.2, 0.8, size=(n, n)), logits).astype(np.float32)


def _metrics(run: RunFolder, epochs: int, rng: np.random.Generator) -> None:
    for epoch in range(1, epochs + 1):
        fall = float(np.exp(-epoch / 12))
        noise = rng.normal(0, 0.5, size=3)
        run.append_metrics(
            {
                "epoch": epoch,
                "train_loss": 260 + 80 * fall + noise[0],
                "validation_loss": 268 + 75 * fall + noise[1],
                "reconstruction": 240 + 60 * fall + noise[2],
                "kl_basal": 12 - 6 * fall,
                "kl_mask": 0.8 * fall,
                "kl_effect": 1.5 - fall,
                "kl_artifact": 0.02,
                "artifact": 0.6 + fall,
                "alignment": 6 + 10 * fall,
                "sparsity": 2.4 * (0.2 + 0.8 * fall),
                "w_mean": 0.18 + 0.32 * fall,
                "w_sd": 0.12 * (1 - fall),
                "edges": float(int(400 * fall + 90)),
                "active_latent": float(int(9 + 14 * (1 - fall))),
                "offset_norm": 2.0 - fall,
                "seconds": 1.3,
            }
        )


def _effects(
    panel: Panel, genes: list[str], prepared: PreparedCells, rng: np.random.Generator
) -> anndata.AnnData:
    names = list(panel.data.perturbed)
    shape = (len(names), len(genes))
    truth = rng.normal(0, 0.15, size=shape) + (rng.random(shape) < 0.1) * rng.normal(0, 1.0, size=shape)
    for row, name in enumerate(names):
        if name in genes:
            truth[row, genes.index(name)] = -2.0
    noisy = {
        keys.OBSERVED_TEST: (0.25, 0.28),
        keys.OBSERVED_ALL: (0.08, 0.10),
        keys.OBSERVED_TRAIN: (0.12, 0.13),
        keys.PREDICTED: (0.2, 0.05),
    }
    layers = {}
    for layer, (noise, error) in noisy.items():
        layers[layer] = truth + rng.normal(0, noise, size=shape)
        layers[keys.standard_error(layer)] = np.full(shape, error)
        layers[keys.fold(layer)] = layers[layer]
        layers[keys.standard_error(keys.fold(layer))] = layers[keys.standard_error(layer)]
        if layer != keys.PREDICTED:
            layers[keys.shrunk(keys.fold(layer))] = 0.9 * layers[layer]
    obs = pd.DataFrame(index=pd.Index(names, dtype=object, name=keys.PERTURBATION))
    for layer, splits in (
        (keys.OBSERVED_TEST, (keys.TEST,)),
        (keys.OBSERVED_ALL, keys.SPLITS),
        (keys.OBSERVED_TRAIN, (keys.TRAIN,)),
    ):
        obs[keys.cell_count(layer)] = [int(prepared.where(name, splits).sum()) for name in names]
    return anndata.AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)), layers=layers)


def _scores(effects: anndata.AnnData, layer: str) -> dict[str, Any]:
    def rho(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    observed, predicted, train = (
        np.asarray(effects.layers[key]) for key in (layer, keys.PREDICTED, keys.OBSERVED_TRAIN)
    )
    pooled = {
        "model": rho(predicted, observed),
        "train_mean": rho(train, observed),
        "perturbation_mean": rho(np.broadcast_to(train.mean(0), observed.shape), observed),
        "no_effect": None,
        "ceiling": 0.93,
    }
    per = [
        {
            "perturbation": name,
            "cells": int(effects.obs[keys.cell_count(layer)].iloc[i]),
            "rho": {"model": rho(predicted[i], observed[i]), "train_mean": rho(train[i], observed[i])},
            "ceiling": 0.9,
        }
        for i, name in enumerate(effects.obs_names)
    ]
    return {
        "ate_rho": pooled,
        "r2": {k: None if v is None else v**2 for k, v in pooled.items()},
        "median_rho": {k: None if v is None else v * 0.98 for k, v in pooled.items()},
        "split_half": 0.87,
        "perturbations": len(per),
        "cells": int(effects.obs[keys.cell_count(layer)].sum()),
        "per_perturbation": per,
    }


def _evaluation(effects: anndata.AnnData, run: RunFolder, rng: np.random.Generator) -> dict[str, Any]:
    w = run.edge_probabilities()
    n_perturbed = len(run.panel().data.perturbed)
    off = ~np.eye(len(w), dtype=bool)
    edges = int((w > 0.5)[:n_perturbed][off[:n_perturbed]].sum())
    return {
        "response": {
            "test": _scores(effects, keys.OBSERVED_TEST),
            "all": _scores(effects, keys.OBSERVED_ALL),
        },
        "network": {
            "threshold": 0.5,
            "edges": edges,
            "pairs": n_perturbed * (len(w) - 1),
            "mu_wd": float(0.2 + 0.05 * rng.random()) if edges else None,
            "for": 0.021,
            "for_pairs": 180,
            "bh_share": 0.31 if edges else None,
            "at_same_edges": {
                "random": {"mu_wd": 0.14, "bh_share": 0.09},
                "mean_difference": {"mu_wd": 0.41, "bh_share": 0.78},
            },
            "edges_total": int(((w > 0.5) & off).sum()),
            "self_loops": int(np.diag(w > 0.5).sum()),
        },
        "health": {
            "active_latent": 22,
            "latent": 100,
            "warnings": ["78 of 100 latent dimensions are not in use (KL below 0.01 nats)."],
        },
        "notes": ["Library sizes are drawn from held-out control cells."],
    }
