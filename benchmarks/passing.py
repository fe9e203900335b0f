"""How much of a change does a gene pass on that falls by less than under its own perturbation?

    python benchmarks/passing.py            # the given worlds and this project's own, as a table
    python benchmarks/passing.py --worlds files --seeds 0 1 2 --json

The network stage is fitted to the training cells of the worlds of benchmarks/worlds.py; the changes that it
expects through T_K are compared with those in the held-out cells, for targets that follow the logarithm of
what is left of a gene (0), its square root (0.5, as in a run) or the share itself (1). Pairs that only paths
join: measured, no true edge, a true path. slope: of the held-out on the expected changes, 1 if right; error:
squared error over squared change; both weighted by 1 / (standard error^2 + 0.01). Last, how Papalexi's and
Schraivogel's T_K ranks: BH share of its top 50 and 100, mean over the seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import worlds
from distances import REAL, TOP, cells_of

from gpovae_core import keys
from gpovae_core.config import Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.network import top_pairs
from gpovae_core.methods import passing
from gpovae_core.methods.expected import predicted_by_network
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network

ROOTS = (0.0, 0.5, 1.0)
OWN = ("balanced", "random", "hubs", "complete", "knock-out", "activation")
SOFTENED = 0.01


def by_root(prepared: PreparedCells, settings: Settings) -> Iterator[tuple[float, NetworkFit]]:
    """The network stage with targets that follow each of ROOTS; W and S are the same."""
    usual = passing.ROOT
    try:
        for root in ROOTS:
            passing.ROOT = max(root, 1e-6)  # the limit is the logarithm
            yield root, fit_network(prepared, settings)
    finally:
        passing.ROOT = usual


def in_world(world: worlds.World, seed: int) -> Iterator[dict[str, Any]]:
    settings = make_settings("evidence", {"data": {"seed": seed, "detect_doublets": False}})
    screen = world.draw(seed)
    prepared = worlds.prepared_cells(screen.cells, settings, True)
    held = contrasts(prepared, (keys.VALIDATION, keys.TEST))
    sign, _ = worlds.true_edges(screen.edges, prepared.panel)
    edge = sign != 0
    path = (worlds.reached(edge) & ~edge)[held.sources]
    for root, fit in by_root(prepared, settings):
        expected = fit.expected_change()[held.sources]
        row: dict[str, Any] = {"world": world.name, "seed": seed, "root": root}
        for name, pairs in (("all", held.counted), ("paths", held.counted & path)):
            row[name] = agreement(expected[pairs], held.effect[pairs], held.error[pairs])
        yield row


def agreement(expected: np.ndarray, seen: np.ndarray, error: np.ndarray) -> dict[str, float]:
    weight = 1 / (error**2 + SOFTENED)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "slope": float((weight * expected * seen).sum() / (weight * expected**2).sum()),
            "error": float((weight * (seen - expected) ** 2).sum() / (weight * seen**2).sum()),
        }


def in_screen(name: str, seed: int) -> Iterator[dict[str, Any]]:
    settings = make_settings("evidence", {"data": {"seed": seed}, "training": {"seed": seed}})
    prepared = prepare(cells_of(name, False), settings.data)
    pairs = held_out_pairs(prepared)
    rows = [prepared.panel.index[gene] for gene in pairs.sources]
    columns = prepared.cells.var_names.get_indexer(list(pairs.targets))
    for root, fit in by_root(prepared, settings):
        sizes = np.abs(predicted_by_network(fit, prepared)[rows][:, columns])
        shares = {
            f"top {top}": float((pairs.adjusted[top_pairs(pairs, sizes, top)] < 0.05).mean()) for top in TOP
        }
        yield {"screen": name, "seed": seed, "root": root, "shares": shares}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="*", default=[worlds.FILE, *OWN])
    parser.add_argument("--screens", nargs="*", default=list(REAL), choices=list(REAL))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = [
        row for world in worlds.chosen(asked.worlds) for seed in asked.seeds for row in in_world(world, seed)
    ]
    real = [row for name in asked.screens for seed in asked.seeds for row in in_screen(name, seed)]
    if asked.json:
        print("\n".join(json.dumps(row) for row in rows + real))
        return
    for found, by in ((rows, "world"), (real, "screen")):
        table = pd.json_normalize(found)
        if len(table):
            means = table.drop(columns="seed").groupby([by, "root"]).mean().unstack("root").round(3)
            print(means.to_string(), end="\n\n")
            print(means.mean().round(3).unstack("root").to_string(), end="\n\n")


if __name__ == "__main__":
    main()
