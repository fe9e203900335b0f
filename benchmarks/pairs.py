"""What do cells with two perturbed genes add to the network, and what do they spoil where effects interact?

    python benchmarks/pairs.py
    python benchmarks/pairs.py --seeds 0 1 2 3 4 --json

Simulated screens of 30 perturbed genes and 30 pairs of them (60 genes, 5,000 or 2,500 cells; 3.5 or 30 counts
a gene), the network stage alone. Once as it is, once with the pairs left out, as they were before. interact:
every pair changes ten genes by a factor of 2.2 beyond what its genes do alone. activation: genes and pairs
are raised, as by CRISPRa, and nothing is told but the cells. AUPRC: of direct edges; edges: W > 0.5; signs:
of the direct ones, with the sign of the truth; false: no path joins the pair, beside what is reported; z: of
such pairs, standard deviation; error: the median of all effects. Means over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import worlds
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import fit_network

SCREENS: dict[str, dict[str, Any]] = {
    "5,000 cells": {},
    "2,500 cells": {"cells": 2500},
    "5,000 cells, interact": {"interacting_share": 1.0},
    "5,000 cells, activation": {"direction": "activation"},
}


def one(network: str, depth: str, screen: str, seed: int) -> list[dict[str, Any]]:
    values = {**worlds.PLAIN, "network": network, "library_median": worlds.DEPTHS[depth] * worlds.GENES}
    made = simulate(SimulationSettings(**{**values, "pair_share": 1.0, "seed": seed, **SCREENS[screen]}))
    settings = make_settings("evidence", {"data": {"seed": seed, "detect_doublets": False}})
    prepared = worlds.prepared_cells(made.adata, settings, True)
    panel = prepared.panel
    sign = np.zeros((len(panel), len(panel)))
    for source, target, own in made.edges[[keys.SOURCE, keys.TARGET, keys.SIGN]].itertuples(index=False):
        if source in panel.index and target in panel.index:
            sign[panel.index[source], panel.index[target]] = own
    edge = sign != 0
    path = worlds.reached(edge)
    rows = []
    for used in (False, True):
        fit = fit_network(prepared if used else without_pairs(prepared), settings)
        weights, pairs = expit(fit.log_odds), np.isfinite(fit.evidence)
        found = pairs & (weights > worlds.FOUND)
        z = (fit.effect / fit.effect_sd)[pairs & ~path]
        rows.append(
            {
                "network": network,
                "depth": depth,
                "screen": screen,
                "seed": seed,
                "pairs": "used" if used else "left out",
                "AUPRC": worlds.precision(edge, weights, pairs),
                "edges": int(found.sum()),
                "direct": int((found & edge).sum()),
                "signs": int((found & edge & (np.sign(fit.strength) == sign)).sum()),
                "false": int((found & ~path & ~edge).sum()),
                "reported": float(false_edge_rate(fit, weights, worlds.FOUND)[0] * found.sum()),
                "z": float(np.std(z)),
                "error": float(np.median(fit.effect_sd[pairs])),
            }
        )
    return rows


def without_pairs(prepared: PreparedCells) -> PreparedCells:
    """Their cells held out."""
    pair = np.array([keys.PAIR_SEPARATOR in label for label in prepared.labels])
    cells = prepared.cells.copy()
    cells.obs[keys.SPLIT] = np.where(pair, keys.TEST, cells.obs[keys.SPLIT].astype(str)).astype(object)
    return PreparedCells(cells, prepared.panel, prepared.report)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=["chains", "random"])
    parser.add_argument("--screens", nargs="+", default=list(SCREENS), choices=list(SCREENS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    which = itertools.product(asked.networks, worlds.DEPTHS, asked.screens, asked.seeds)
    rows = [row for network, depth, screen, seed in which for row in one(network, depth, screen, seed)]
    if asked.json:
        print("\n".join(json.dumps(row) for row in rows))
        return
    table = pd.DataFrame(rows).drop(columns="seed")
    by = ["screen", "network", "depth", "pairs"]
    print(table.groupby(by, sort=False).mean().round(3).reset_index().to_string(index=False))


if __name__ == "__main__":
    main()
