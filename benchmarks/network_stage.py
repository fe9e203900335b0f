"""The network stage alone, from prepared cells to W and its rate of false edges, at sizes up to a genome.

    python benchmarks/network_stage.py                                            # 200 x 1,200 genes
    python benchmarks/network_stage.py --perturbations 2000 --genes 4000 --json   # a genome-wide screen

The cells are drawn (Poisson counts over log-normal means, 1,500 counts a cell) and in memory. Every
perturbation takes four fifths of its own gene and moves one in a hundred of the genes, to a third up to
threefold. seconds: by what the stage says that it does, by the clock and in processor time; longest_still_s:
the longest time for which neither words nor share moved; peak_gb: the largest memory of this process, and
before_gb the same before the stage.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data import cores
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.methods.network_fit import fit_network

CONTROL_SHARE = 0.05
COUNTS = 1500.0
MOVED = 0.01


def draw(perturbations: int, genes: int, cells_each: int, seed: int) -> PreparedCells:
    rng = np.random.default_rng(seed)
    names = np.array([f"G{k:05d}" for k in range(genes)], dtype=object)
    base = rng.lognormal(0, 1.5, genes)
    label = np.concatenate(
        [
            np.repeat(np.arange(perturbations), cells_each),
            np.full(max(50, int(CONTROL_SHARE * perturbations * cells_each)), -1),
        ]
    )
    moved = rng.random((perturbations, genes)) < MOVED
    change = np.where(moved, rng.uniform(1 / 3, 3, moved.shape), 1.0)
    change[np.arange(perturbations), np.arange(perturbations)] = 0.2
    change = np.vstack([change, np.ones(genes)]) * base  # the last row is the control
    change /= change.sum(axis=1, keepdims=True)
    depth = COUNTS * rng.lognormal(0, 0.3, len(label))
    blocks = [
        sparse.csr_matrix(rng.poisson(change[label[part]] * depth[part, None]).astype(np.float32))
        for part in np.array_split(np.arange(len(label)), -(-len(label) * genes // 16_000_000))
    ]
    counts = sparse.csr_matrix(sparse.vstack(blocks, format="csr"))
    ids = np.array([f"c{k:07d}" for k in range(len(label))], dtype=object)
    labels = np.where(label < 0, keys.CONTROL, names[label])
    size = np.asarray(counts.sum(axis=1)).ravel()
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: pd.Categorical(labels),
            keys.ARTIFACT: False,
            keys.SPLIT: keys.TRAIN,
            keys.CONTROL_ID: "",
            keys.LIBRARY_SIZE: size,
        },
        index=pd.Index(ids, dtype=object),
    )
    perturbed = tuple(names[:perturbations])
    panel = Panel(
        PanelData(
            perturbed=perturbed,
            extended=tuple(names[perturbations:]),
            measured=tuple(names),
            reasons={},
            ids={},
        )
    )
    report = PreparationReport(
        source="drawn",
        simulated=True,
        cells_read=len(label),
        cells_kept=len(label),
        genes_measured=genes,
        counts_from="X",
        label_column="label",
        control_label=keys.CONTROL,
        perturbations=dict.fromkeys(perturbed, cells_each),
        control_cells=int((label < 0).sum()),
    )
    return PreparedCells.of(counts, obs, list(names), panel, report)


class Watch:
    """Times what is said, and how long nothing moves."""

    def __init__(self) -> None:
        self.clock: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)
        self.still = 0.0
        self._words, self._share = "effects of perturbations", -1.0
        self._at, self._own, self._moved = time.perf_counter(), time.process_time(), time.perf_counter()

    def __call__(self, words: str, share: float) -> None:
        now, own = time.perf_counter(), time.process_time()
        self.clock[self._words] += now - self._at
        self.own[self._words] += own - self._own
        self._at, self._own = now, own
        if words != self._words or share > self._share:
            self.still = max(self.still, now - self._moved)
            self._moved = now
        self._words, self._share = words, share


def measure(args: argparse.Namespace) -> dict[str, Any]:
    prepared = draw(args.perturbations, args.genes, args.cells, args.seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    watch = Watch()
    start, own = time.perf_counter(), time.process_time()
    fit = fit_network(prepared, make_settings("evidence"), watch)
    watch("end", 1.0)
    return {
        "perturbations": args.perturbations,
        "genes": args.genes,
        "cells": prepared.cells.n_obs,
        "cores": cores.jobs(),
        "clock_s": round(time.perf_counter() - start, 1),
        "processor_s": round(time.process_time() - own, 1),
        "seconds": {
            words: (round(watch.clock[words], 1), round(watch.own[words], 1)) for words in watch.clock
        },
        "longest_still_s": round(watch.still, 1),
        "edges": int((fit.log_odds > 0).sum()),
        "before_gb": round(before, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbations", type=int, default=200)
    parser.add_argument("--genes", type=int, default=1200)
    parser.add_argument("--cells", type=int, default=20, help="of each perturbation")
    parser.add_argument("--jobs", type=int, help="cores to use")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    cores.use(args.jobs)
    result = measure(args)
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:>18}  {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
