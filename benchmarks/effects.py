"""Treatment effects computed against drawn, side by side: python benchmarks/effects.py [--json]

Drawn: one perturbation at a time, every draw with a mask and an effect of its own, counts from the
Gamma-Poisson, their log2(1 + 1e4 x / l) averaged (the control and the basal states once). Timed on `--slow`
perturbations and extrapolated to all. Computed: what the project does (`gpovae_core.questions.predicted`)
with its default settings, timed on all. The Monte Carlo error of both is reported, and how far they are
apart. The run has the size of a large screen and random weights; neither way knows that. Threads:
OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import InferenceSettings, make_settings
from gpovae_core.data.expression import EFFECT_SCALE
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.model.likelihood import MEAN_FLOOR
from gpovae_core.model.module import GpoVae
from gpovae_core.questions.predicted import SHARED_CELLS, EffectPredictor

AT_ONCE = 250
"""Draws whose counts are held at a time on the slow way."""
CLOCK = time.process_time
"""Seconds of the processor, all threads together: other programs on the machine matter little. `wall_...` is
time on the clock.
"""


def made_cells(panel: int, perturbed: int, genes: int, controls: int, seed: int) -> PreparedCells:
    """Control cells with log-normal library sizes and mean shares, and two cells per perturbation."""
    rng = np.random.default_rng(seed)
    names = [f"G{i:05d}" for i in range(genes)]
    labels = np.array(
        [keys.CONTROL] * controls + [name for name in names[:perturbed] for _ in range(2)], dtype=object
    )
    share = rng.lognormal(0.0, 1.8, genes)
    size = rng.lognormal(np.log(9000), 0.4, len(labels))
    counts = sparse.csr_matrix(
        np.vstack([rng.poisson(s * share / share.sum()).astype(np.float32) for s in size])
    )
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: False,
            keys.SPLIT: keys.TRAIN,
            keys.CONTROL_ID: "",
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1)).ravel().astype(float),
        },
        index=pd.Index([f"c{i}" for i in range(len(labels))]),
    )
    chosen = PanelData(
        perturbed=tuple(names[:perturbed]),
        extended=tuple(names[perturbed:panel]),
        measured=tuple(names[:panel]),
    )
    report = PreparationReport(
        source="made",
        cells_read=len(labels),
        cells_kept=len(labels),
        genes_measured=genes,
        counts_from=("X"),
        label_column=("perturbation"),
        control_label=keys.CONTROL,
        perturbations=dict.fromkeys(names[:perturbed], 2),
        control_cells=controls,
    )
    return PreparedCells(
        anndata.AnnData(counts, obs, pd.DataFrame(index=pd.Index(names))), Panel(chosen), report
    )


def random_model(prepared: PreparedCells, preset: str, seed: int) -> GpoVae:
    """Random weights, with mean shares like the cells' and effects of the usual size."""
    torch.manual_seed(seed)
    n, genes = len(prepared.panel), prepared.cells.n_vars
    model = GpoVae(make_settings(preset).model, n, genes)
    logs: Any = prepared.counts.copy()
    logs.data = np.log1p(logs.data)
    mean = np.asarray(logs.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(np.asarray(logs.multiply(logs).mean(axis=0)).ravel() - mean**2, 0))
    model.set_count_statistics(torch.from_numpy(mean).float(), torch.from_numpy(spread).float())
    share = np.asarray(prepared.counts.sum(axis=0)).ravel() + 1.0
    with torch.no_grad():
        model.decoder.head.bias.copy_(torch.from_numpy(np.log(share / share.sum())).float())
        model.decoder.head.weight.mul_(
            8.0
        )  # basal states then move log shares by about 0.5, as in trained runs
        model.guide.mask_logits.normal_(-3.0, 1.5)
        if model.decoder.influence is not None:
            hit = torch.rand(n, genes) < 0.01
            model.decoder.influence.copy_(
                torch.where(hit, 0.6 * torch.randn(n, genes), 0.03 * torch.randn(n, genes))
            )
    return model.eval()


@dataclass(frozen=True)
class Cells:
    """Basal states (draws, L) and library sizes (draws, 1) on the slow way: drawn once, for all
    perturbations.
    """

    basal: torch.Tensor
    library: torch.Tensor

    @classmethod
    def of(cls, model: GpoVae, prepared: PreparedCells, draws: int, seed: int) -> Cells:
        cells = np.random.default_rng(seed).choice(np.flatnonzero(prepared.where(keys.CONTROL)), draws)
        counts = torch.from_numpy(prepared.counts[cells].toarray())
        posterior = model.guide.basal_posterior(
            model.guide.counts_part(counts.log1p()), model.guide.basal.first.bias
        )
        return cls(
            posterior.sample(torch.randn(posterior.mean.shape)),
            torch.from_numpy(prepared.library_size[cells]).float()[:, None],
        )


def drawn(model: GpoVae, cells: Cells, dosage: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean of log2(1 + 1e4 x / l) over drawn cells per gene, its squared standard error, and the seconds that
    drawing counts took.
    """
    decoder, draws = model.decoder, len(cells.basal)
    given = torch.from_numpy(dosage)
    rows, first = given.nonzero()[:, 0], decoder.mlp.first
    concentration = decoder.log_concentration.exp()
    total = square = torch.zeros(len(concentration))
    drawing = 0.0
    for part in torch.arange(draws).split(AT_ONCE):
        library = cells.library[part]
        offsets = model.guide.sample(rows, model.guide.noise(len(part), len(rows))).offsets(given[None])[:, 0]
        share = decoder.log_share(
            cells.basal[part], first.block("offset", offsets) + first.bias, decoder.shift(given[None])
        ).exp()
        started = CLOCK()
        rate = torch._standard_gamma(concentration.expand(len(part), -1)) * (
            (share * library + MEAN_FLOOR) / concentration
        )
        counts = torch.poisson(rate)
        drawing += CLOCK() - started
        value = (1 + EFFECT_SCALE * counts / library).log2()
        total, square = total + value.sum(dim=0), square + value.square().sum(dim=0)
    average = total / draws
    return average.numpy(), ((square / draws - average**2) / (draws - 1)).numpy(), drawing


def measure(given: argparse.Namespace) -> dict[str, Any]:
    prepared = made_cells(given.panel, given.perturbations, given.genes, given.controls, given.seed)
    model = random_model(prepared, given.preset, given.seed)
    settings = InferenceSettings(seed=given.seed)
    names = prepared.perturbations
    chosen = [names[i] for i in np.linspace(0, len(names) - 1, given.slow).astype(int)]
    slow, drawing, fast, effects, found, errors = [], [], [], [], [], []
    started, wall = CLOCK(), time.perf_counter()
    predictor = EffectPredictor(model, prepared, settings)
    ready = CLOCK() - started
    predictor.effects(names[:1])
    first, first_wall = CLOCK() - started, time.perf_counter() - wall
    with torch.inference_mode():
        cells = Cells.of(model, prepared, given.draws, given.seed)
        base, base_error, _ = drawn(model, cells, prepared.panel.dosage(keys.CONTROL))
        for name in chosen:  # in turn, so that both ways meet the same state of the machine
            started = CLOCK()
            mean, error, share = drawn(model, cells, prepared.panel.dosage(name))
            slow.append(CLOCK() - started)
            drawing.append(share)
            started = CLOCK()
            found.append(predictor.effects((name,)))
            fast.append(CLOCK() - started)
            effects.append(mean - base)
            errors.append(error + base_error)
    started = CLOCK()
    everything = predictor.effects(names)
    all_fast = CLOCK() - started
    difference = np.array(effects) - np.concatenate([answer.mean.to_numpy() for answer in found])
    all_slow = float(np.mean(slow)) * (len(names) + 1)
    return {
        "preset": given.preset,
        "panel": given.panel,
        "genes": given.genes,
        "perturbations": len(names),
        ("threads"): torch.get_num_threads(),
        "drawn": {
            "draws": given.draws,
            "seconds_per_perturbation": round(float(np.median(slow)), 3),
            "of_these_drawing": round(float(np.median(drawing)), 3),
            "timed_on": given.slow,
            ("seconds_all_extrapolated"): round(all_slow, 1),
            "monte_carlo_error": float(np.sqrt(np.mean(errors))),
        },
        "computed": {
            "cells": settings.guide_samples * settings.basal_draws + settings.spread_samples * SHARED_CELLS,
            "seconds_to_be_ready": round(ready, 2),
            "seconds_first_answer": round(first, 2),
            ("wall_first_answer"): round(first_wall, 2),
            "seconds_per_further_answer": round(float(np.median(fast)), 3),
            ("seconds_all"): round(all_fast + ready, 1),
            "monte_carlo_error": everything.monte_carlo_error,
        },
        "effects_rms": float(np.sqrt((everything.mean.to_numpy() ** 2).mean())),
        "rms_difference": float(np.sqrt((difference**2).mean())),
        "times_faster": round(all_slow / (all_fast + ready), 1),
        "times_faster_pairwise": [round(a / b, 1) for a, b in zip(slow, fast, strict=True)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panel", type=int, default=1546)
    parser.add_argument("--genes", type=int, default=8000)
    parser.add_argument("--perturbations", type=int, default=622)
    parser.add_argument("--controls", type=int, default=2500)
    parser.add_argument("--draws", type=int, default=2500, help="on the slow way")
    parser.add_argument("--slow", type=int, default=6, help="perturbations timed on the slow way")
    parser.add_argument("--preset", default="evidence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    given = parser.parse_args()
    result = measure(given)
    if given.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:20s} {value}")


if __name__ == "__main__":
    main()
