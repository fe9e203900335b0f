"""The network stage alone, from prepared cells to W and its rate of false edges, at sizes up to a genome.

    python benchmarks/network_stage.py                                            # 200 x 1,200 genes
    python benchmarks/network_stage.py --perturbations 2000 --genes 4000 --json   # a genome-wide screen

    python benchmarks/network_stage.py --keep before.npz                          # W, S, T_K and null shares
    python benchmarks/network_stage.py --beside before.npz                        # how far they have moved

The cells are drawn (Poisson counts over log-normal means, 1,500 counts a cell) and in memory. Every
perturbation takes four fifths of its own gene and moves one in a hundred of the genes, to a third up to
threefold. parts: of the stage, by the clock, in processor time, and the largest memory; longest_still_s:
the longest time for which neither words nor share moved; peak_gb: the largest memory of this process, and
before_gb the same before the stage. What is compiled is compiled, or read from the cache, before that.
"""

from __future__ import annotations

import argparse
import json
import resource
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil
from scipy import sparse
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data import cores
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.shrinkage import EvidenceRule
from gpovae_core.methods import false_edges, network_fit
from gpovae_core.methods.fitted import NetworkFit

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


class Still:
    """How long nothing that is said moves."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._said: tuple[str, float] = "", -1.0
        self._moved = time.perf_counter()

    def __call__(self, words: str, share: float) -> None:
        if words != self._said[0] or share > self._said[1]:
            now = time.perf_counter()
            self.longest, self._moved = max(self.longest, now - self._moved), now
        self._said = words, share


REST = "the rest"


class Parts:
    """What the parts of the stage take: seconds by the clock, of the processor, and the largest memory (GB).
    A part within another one counts to that.
    """

    def __init__(self) -> None:
        self.clock: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)
        self.memory: dict[str, float] = defaultdict(float)
        self._doing, self._process, self._over = REST, psutil.Process(), threading.Event()
        self._at = time.perf_counter(), time.process_time()

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        outer = self._doing
        self._turn(name if outer == REST else outer)
        try:
            yield
        finally:
            self._turn(outer)

    def of(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            with self.doing(name):
                return function(*args, **named)

        return counted

    def of_each(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same of a function that gives one thing after another."""

        def counted(*args: Any, **named: Any) -> Iterator[Any]:
            each = function(*args, **named)
            while True:
                with self.doing(name):
                    found = next(each, None)
                if found is None:
                    return
                yield found

        return counted

    def _turn(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.clock[self._doing] += now[0] - self._at[0]
        self.own[self._doing] += now[1] - self._at[1]
        self._doing, self._at = name, now

    def _look(self) -> None:
        while not self._over.wait(0.02):
            held = self._process.memory_info().rss / 1024**3
            self.memory[self._doing] = max(self.memory[self._doing], held)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Counts while this lasts."""
        looking = threading.Thread(target=self._look, daemon=True)
        with ExitStack() as stack:
            for module, name, words in (
                (network_fit, "contrasts", "contrasts"),
                (network_fit, "fit_evidence", "shrinkage"),
                (EvidenceRule, "judge", "judging"),
                (network_fit, "direct_edges", "direct edges"),
                (false_edges, "null_log_odds", "odds of null draws"),
                (network_fit, "total_influence", "T_K"),
            ):
                stack.enter_context(patch.object(module, name, self.of(words, getattr(module, name))))
            drawn = self.of_each("null draws", false_edges.null_contrasts)
            stack.enter_context(patch.object(false_edges, "null_contrasts", drawn))
            looking.start()
            self._turn(REST)
            self.clock.clear()
            self.own.clear()
            yield
            self._turn(REST)
            self._over.set()
            looking.join()

    def table(self) -> dict[str, tuple[float, float, float]]:
        return {
            name: (round(clock, 2), round(self.own[name], 2), round(self.memory[name], 2))
            for name, clock in self.clock.items()
        }


def answer(fit: NetworkFit) -> dict[str, np.ndarray]:
    found = {"W": expit(fit.log_odds), "S": fit.strength, "T_K": fit.influence, "passing": fit.passing}
    return {**found, "evidence": fit.evidence, "null_share": fit.null_share}


def moved(now: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> dict[str, Any]:
    """Largest differences, and what follows of them."""
    found: dict[str, Any] = {
        name: float(f"{np.nanmax(np.abs(now[name] - before[name]), initial=0.0):.1e}") for name in now
    }
    edges = before["W"] > 0.5
    found["edges of either alone"] = int((edges != (now["W"] > 0.5)).sum())
    found["signs of edges turned"] = int((np.sign(now["S"]) != np.sign(before["S"]))[edges].sum())
    found["W apart by over 1e-4"] = int((np.abs(now["W"] - before["W"]) > 1e-4).sum())
    pairs = np.isfinite(now["evidence"]).sum()
    found["false edges expected at 0.5, before and now"] = [
        round(float(each["null_share"][50] * pairs), 3) for each in (before, now)
    ]
    return found


def measure(args: argparse.Namespace) -> dict[str, Any]:
    settings = make_settings("evidence")
    network_fit.fit_network(draw(20, 60, 30, args.seed), settings)
    prepared = draw(args.perturbations, args.genes, args.cells, args.seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    still, parts = Still(), Parts()
    start, own = time.perf_counter(), time.process_time()
    with parts.watched():
        fit = network_fit.fit_network(prepared, settings, still)
    found = {
        "perturbations": args.perturbations,
        "genes": args.genes,
        "cells": prepared.cells.n_obs,
        "cores": cores.jobs(),
        "clock_s": round(time.perf_counter() - start, 1),
        "processor_s": round(time.process_time() - own, 1),
        "parts": parts.table(),
        "longest_still_s": round(still.longest, 1),
        "edges": int((fit.log_odds > 0).sum()),
        "before_gb": round(before, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }
    if args.keep:
        np.savez(args.keep, **answer(fit))  # type: ignore[arg-type]
    if args.beside:
        with np.load(args.beside) as kept:
            found["moved by"] = moved(answer(fit), dict(kept))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbations", type=int, default=200)
    parser.add_argument("--genes", type=int, default=1200)
    parser.add_argument("--cells", type=int, default=30, help="of each perturbation")
    parser.add_argument("--jobs", type=int, help="cores to use")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="file for W, S, T_K and null shares")
    parser.add_argument("--beside", type=Path, help="such a file, to say how far they have moved")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    cores.use(args.jobs)
    result = measure(args)
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:>18}  {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
