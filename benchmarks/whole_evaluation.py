"""The whole of `gpovae evaluate` but the prediction, on made-up cells of a given size: seconds and peak
memory.

    python benchmarks/whole_evaluation.py --json                   # a small screen python
    benchmarks/whole_evaluation.py --full --json            # 622 perturbations, 1,546 genes, 130,000 cells, a
    fifth of them held out

W is random: with --density 1 every pair is an edge, the worst case for paths. Scored against two made-up
reference networks of 10,000 edges, 100 shuffles each, and without a network stage, as the presets `paper` and
`released` are.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import anndata
import numpy as np
import pandas as pd
from network_evaluation import draw_cells

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.known import Known, KnownEdges
from gpovae_core.evaluation.scored import Scored


def made_up(perturbed: int, genes: int, cells: int, controls: int, seed: int) -> PreparedCells:
    """Prepared cells without any effect; every gene is in the panel, the first ones are perturbed."""
    expression, labels = draw_cells(perturbed, genes, cells, controls, seed)
    rng = np.random.default_rng(seed)
    counts = expression.copy()
    counts.data = np.ceil(np.expm1(counts.data)).astype(np.float32)
    splits = rng.choice(
        [keys.TRAIN, keys.VALIDATION, keys.TEST], p=[0.64, 0.16, 0.2], size=len(labels)
    ).astype(object)
    library = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: False,
            keys.SPLIT: splits,
            keys.CONTROL_ID: "",
            keys.LIBRARY_SIZE: np.maximum(library, 1.0),
        },
        index=pd.Index([f"c{i}" for i in range(len(labels))], dtype=object),
    )
    names = [f"S{k}" for k in range(genes)]
    data = PanelData(
        perturbed=tuple(sorted(names[:perturbed])),
        extended=tuple(sorted(names[perturbed:])),
        measured=tuple(names),
    )
    report = PreparationReport(
        source="made-up",
        simulated=True,
        cells_read=len(labels),
        cells_kept=len(labels),
        genes_measured=genes,
        counts_from="X",
        label_column="label",
        control_label=keys.CONTROL,
        perturbations={},
        control_cells=controls,
    )
    return PreparedCells(
        anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=pd.Index(names, dtype=object))),
        Panel(data),
        report,
    )


def measure(
    perturbed: int, genes: int, cells: int, controls: int, density: float, seed: int
) -> dict[str, float | int]:
    prepared = made_up(perturbed, genes, cells, controls, seed)
    rng = np.random.default_rng(seed)
    weights = rng.random((genes, genes))
    names = [name.casefold() for name in prepared.panel.genes]
    ends = rng.integers(genes, size=(2, 2, 10_000))
    known = [
        KnownEdges(
            f"made-up {k}",
            k == 0,
            frozenset((names[min(a, b)], names[max(a, b)]) for a, b in ends[k].T if a != b),
        )
        for k in range(2)
    ]
    predicted = average_effects(prepared, (keys.TRAIN,)).mean
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    start = time.perf_counter()
    scored = Scored(prepared, predicted, weights, threshold=1.0 - density)
    network = evaluate(scored, EvaluationSettings(), Known(known)).network
    assert network is not None
    return {
        "pairs": network.pairs or 0,
        "edges": network.edges or 0,
        "cells": cells,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
        "peak_gb_before": round(before, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbed", type=int, default=40)
    parser.add_argument("--genes", type=int, default=120)
    parser.add_argument("--cells", type=int, default=8000)
    parser.add_argument("--controls", type=int, default=1500)
    parser.add_argument("--density", type=float, default=0.5, help="share of all pairs that are edges")
    parser.add_argument("--full", action="store_true", help="the size of the K562 screen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.full:
        args.perturbed, args.genes, args.cells, args.controls = 622, 1546, 130_000, 10_000
    result = measure(args.perturbed, args.genes, args.cells, args.controls, args.density, args.seed)
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:>20}  {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
