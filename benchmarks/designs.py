"""Files whose design is hard to read: batches under other names, controls in some batches only. What a run
makes of them, from the file to W, beside the truth.

    python benchmarks/designs.py                                   # half a minute
    python benchmarks/designs.py --kinds "controls in one batch" --seeds 0 --json

Every screen is of this project's simulator: 40 genes in chains, 12 perturbed, 2,600 cells, 3,000 counts each,
every perturbation in one of three batches alone, controls in all, genes 0.3 apart between batches; what kinds
change is in KINDS. Cells go the whole way of a training, as the file says (data.prepare), without quality
control. False: no true path from source to target. Reported: the estimated rate of false edges times the
edges, unknown where one seed has none. Sums over seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import expit
from worlds import finite, markdown, reached, shown, true_edges

from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import CONTROL_LABEL, SimulationSettings, simulate
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import fit_network

SCREEN: dict[str, Any] = {
    "genes": 40,
    "perturbations": 12,
    "cells": 2600,
    "network": "chains",
    "library_median": 3000,
    "batches": 3,
    "batch_imbalance": 1.0,
    "batch_spread": 0.3,
    "low_quality_share": 0.0,
    "doublet_share": 0.0,
    "mitochondrial_genes": 0,
}
FIRST = "batch1"
FOUND = 0.5
Change = Callable[[AnnData, np.ndarray, np.ndarray, np.random.Generator], AnnData]


def kept(cells: AnnData, mask: np.ndarray) -> AnnData:
    return cells[mask].copy()


def renamed(name: str) -> Change:
    def change(cells: AnnData, batch: np.ndarray, _: np.ndarray, __: np.random.Generator) -> AnnData:
        del cells.obs["batch"]
        cells.obs[name] = batch
        return cells

    return change


def beside(harmless: str, name: str) -> Change:
    """A column by chance beside the batch, which has another name."""

    def change(cells: AnnData, batch: np.ndarray, control: np.ndarray, rng: np.random.Generator) -> AnnData:
        cells = renamed(name)(cells, batch, control, rng)
        cells.obs[harmless] = rng.choice(["x", "y"], cells.n_obs)
        return cells

    return change


def batch_is(value: str | None) -> Change:
    """Controls have this batch, whichever theirs was."""

    def change(cells: AnnData, batch: np.ndarray, control: np.ndarray, _: np.random.Generator) -> AnnData:
        cells.obs["batch"] = np.where(control, value, batch)
        return cells

    return change


KINDS: dict[str, Change] = {
    "controls in all batches": lambda cells, *_: cells,
    "controls in two of three": lambda cells, batch, control, _: kept(cells, ~control | (batch != "batch3")),
    "controls in one batch": lambda cells, batch, control, _: kept(cells, ~control | (batch == FIRST)),
    "controls in a batch of their own": batch_is("controls"),
    "controls without a batch": batch_is(None),
    **{
        f"batch as {name}": renamed(name)
        for name in ("batchID", "experiment", "donorID", "cell_type", "tray")
    },
    "batch by chance, replicate": beside("batch", "replicate"),
    "gem_group by chance, lane": beside("gem_group", "lane"),
}


def one(kind: str, seed: int) -> dict[str, Any]:
    """The figures of one kind of file and seed."""
    made = simulate(SimulationSettings(**{**SCREEN, "seed": seed}))
    cells = made.adata
    control = (cells.obs["perturbation"] == CONTROL_LABEL).to_numpy()
    batch = cells.obs["batch"].astype(str).to_numpy(dtype=object)
    cells = KINDS[kind](cells, batch, control, np.random.default_rng(seed))
    settings = make_settings("evidence", {"data": {"artifact_criteria": [], "detect_doublets": False}})
    prepared = prepare(cells, settings.data)
    fit = fit_network(prepared, settings)
    edges = made.edges.assign(visible=True)
    sign, _ = true_edges(edges, prepared.panel)
    weights = expit(fit.log_odds)
    known = np.isfinite(fit.evidence) & ~np.eye(len(weights), dtype=bool)
    found = (weights > FOUND) & known
    design = prepared.report.design
    assert design is not None
    return {
        "kind": kind,
        "seed": seed,
        "read": [
            f"{part} {name}" for part, name in design.model_dump().items() if name and part != "direction"
        ],
        "sources": int(known.any(axis=1).sum()),
        "edges": int(found.sum()),
        "direct": int((found & (sign != 0)).sum()),
        "false": int((found & ~reached(sign != 0)).sum()),
        "reported": finite(float(false_edge_rate(fit, weights, FOUND)[0] * found.sum())),
        "warnings": len(prepared.report.warnings),
    }


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One object per kind: sums over seeds; `reported` None where unknown."""
    found = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        total = {
            key: sum(row[key] for row in own) for key in ("sources", "edges", "direct", "false", "warnings")
        }
        reported = [row["reported"] for row in own]
        read = "; ".join(dict.fromkeys(", ".join(row["read"]) for row in own))
        found.append(
            {"kind": kind, "read": read, **total, "reported": None if None in reported else sum(reported)}
        )
    return found


def table(totals: list[dict[str, Any]]) -> str:
    return markdown(
        pd.DataFrame(
            {
                "file": [total["kind"] for total in totals],
                "read": [total["read"] or "nothing" for total in totals],
                "perturbations estimated": [total["sources"] for total in totals],
                "edges": [total["edges"] for total in totals],
                "direct": [total["direct"] for total in totals],
                "false": [total["false"] for total in totals],
                "reported": [shown(total["reported"], 1) for total in totals],
                "warnings": [total["warnings"] for total in totals],
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    totals = summary([one(kind, seed) for kind in args.kinds for seed in args.seeds])
    print(json.dumps(totals, indent=1) if args.json else table(totals))


if __name__ == "__main__":
    main()
