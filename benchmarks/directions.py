"""Whether signs follow what was done to the genes, and what taking a weak knock-down for a knock-out costs.

    python benchmarks/directions.py                  # read as a file is, network stage alone, three seeds
    python benchmarks/directions.py --told           # knock-down and knock-out told, in weak knock-downs and
                                                     # in the given worlds where mRNA is left
    python benchmarks/directions.py --hops           # what share of a regulator its targets have lost, as
                                                     # effects over two hops tell it, beside its mRNA

Chains of 40 genes, 12 of them perturbed, 2,500 cells, as the simulator draws them; the given worlds as in
worlds.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import average_precision_score
from worlds import FILES, PLAIN, Screen, given, markdown, prepared_cells, reached, true_edges

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.kinds import SEEN_MOVING
from gpovae_core.data.prepare import prepare
from gpovae_core.data.read import read_cells
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network

SEEDS = (3, 4, 5)
FOUND = 0.5
SMALL = {**PLAIN, "genes": 40, "perturbations": 12, "cells": 2500, "library_median": 3000}
FOLDS = {"few": 3.5, "many": 30.0}
GIVEN = ("escape-chains_few", "escape-chains_many", "kd-varied_few", "kd-varied_many")


def drawn(**values: Any) -> Screen:
    made = simulate(SimulationSettings(**{**SMALL, **values}))
    return Screen(made.adata, made.edges)


def joined(seed: int, activated: int, column: str | None = None) -> Screen:
    """Knock-downs, and so many genes that are activated instead, in the same network; column: of obs that
    says which.
    """
    down, up = drawn(seed=seed), drawn(seed=seed, direction="activation")
    labels = sorted(set(down.cells.obs["perturbation"].astype(str)) - {"non-targeting"})[:activated]
    parts = []
    for screen, kind, chosen in ((down, "CRISPRi", False), (up, "CRISPRa", True)):
        part = screen.cells[screen.cells.obs["perturbation"].isin(labels) == chosen].copy()
        part.obs_names = [f"{kind}{name}" for name in part.obs_names]
        if column is not None:
            part.obs[column] = kind
        parts.append(part)
    return Screen(ad.concat(parts), down.edges)


def unmeasured(seed: int, left: int) -> Screen:
    """Activations that the file states, all targets but so many not among the genes."""
    screen = drawn(seed=seed, direction="activation")
    targets = sorted(set(screen.cells.obs["perturbation"].astype(str)) - {"non-targeting"})[left:]
    cells = screen.cells[:, ~screen.cells.var_names.isin(targets)].copy()
    cells.obs["perturbation_type"] = "CRISPRa"
    return Screen(cells, screen.edges)


SCREENS = {
    "activation": lambda seed: drawn(seed=seed, direction="activation"),
    "activation, stated, no target measured": lambda seed: unmeasured(seed, 0),
    "activation, stated, 2 of 12 measured": lambda seed: unmeasured(seed, 2),
    "1 of 12 activated": lambda seed: joined(seed, 1),
    "2 of 12 activated": lambda seed: joined(seed, 2),
    "2 of 12 activated, stated cell by cell": lambda seed: joined(seed, 2, "perturbation_type"),
    "3 of 12 activated": lambda seed: joined(seed, 3),
    "knock-down": lambda seed: drawn(seed=seed),
    "knock-out": lambda seed: drawn(seed=seed, direction="knock-out"),
}


def figures(prepared: PreparedCells, fit: NetworkFit, edges: pd.DataFrame) -> dict[str, float]:
    panel = prepared.panel
    sign, _ = true_edges(edges.assign(visible=True), panel)
    edge, weights = sign != 0, expit(fit.log_odds)
    pairs = np.isfinite(fit.evidence) & panel.is_perturbed[:, None] & panel.is_measured[None, :]
    pairs &= ~np.eye(len(panel), dtype=bool)
    found = (weights > FOUND) & pairs
    right = np.sign(fit.strength) == sign
    return {
        "auprc": float(average_precision_score(edge[pairs], weights[pairs])),
        "edges": int(found.sum()),
        "direct": int((found & edge).sum()),
        "right": int((found & edge & right).sum()),
        "false": int((found & ~reached(edge) & ~edge).sum()),
    }


def settings_of(told: str = "auto") -> Settings:
    data = {"artifact_criteria": [], "detect_doublets": False}
    return make_settings("evidence", {"data": data, "network": {"perturbation": told}})


def as_read() -> Iterator[dict[str, Any]]:
    settings = settings_of()
    for name, draw in SCREENS.items():
        rows = []
        for seed in SEEDS:
            screen = draw(seed)
            prepared = prepare(screen.cells, settings.data)
            rows.append(figures(prepared, fit_network(prepared, settings), screen.edges))
        total = pd.DataFrame(rows).sum()
        yield {
            "screen": name,
            "AUPRC": f"{total['auprc'] / len(rows):.3f}",
            "edges": int(total["edges"]),
            "direct": int(total["direct"]),
            "of these, signs right": int(total["right"]),
            "false": int(total["false"]),
        }


def as_told() -> Iterator[dict[str, Any]]:
    kinds = ("knock-down", "knock-out")
    for name, screens in weak_screens():
        rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for screen in screens:
            prepared = prepared_cells(screen.cells, settings_of(), design=True)
            for kind in kinds:
                fit = fit_network(prepared, settings_of(kind))
                rows[kind].append(figures(prepared, fit, screen.edges))
        row: dict[str, Any] = {"screen": name}
        for kind in kinds:
            total = pd.DataFrame(rows[kind])
            row[f"{kind}: AUPRC"] = f"{total['auprc'].mean():.3f}"
            row[f"{kind}: direct of edges"] = f"{total['direct'].sum()} of {total['edges'].sum()}"
        yield row


def weak_screens() -> Iterator[tuple[str, list[Screen]]]:
    for depth, counts in FOLDS.items():
        values = {**PLAIN, "knockdown_mean": 0.4, "knockdown_spread": 0.1, "library_median": counts * 60}
        screens = [drawn(**values, seed=seed) for seed in SEEDS]
        yield f"knock-down, 60 % left, {depth}", screens
    for name in GIVEN:
        if (path := FILES / f"{name}.h5ad").is_file():
            yield name, [given(path)]


def over_hops() -> Iterator[dict[str, Any]]:
    """If A lowers B, and B and A change C, the change of C over B is to what B's own loss does as the share
    of B that A takes is to the share that B's own perturbation takes.
    """
    kinds = {
        "knock-down": {},
        "knock-out": {"direction": "knock-out"},
        "60 % left": {"knockdown_mean": 0.4, "knockdown_spread": 0.1},
    }
    large = {
        **{k: v for k, v in PLAIN.items() if k != "network"},
        "perturbations": 40,
        "cells": 8000,
        "library_median": 1800,
    }
    screens: list[tuple[str, Any]] = [
        (
            f"{network}, {kind}, seed {seed}",
            drawn(**{**large, **values, "network": network, "seed": seed}).cells,
        )
        for network in ("chains", "random", "feedforward")
        for kind, values in kinds.items()
        for seed in (0, 1)
    ]
    screens += [(name, given(path).cells) for name in GIVEN if (path := FILES / f"{name}.h5ad").is_file()]
    screens += [(path.stem, read_cells(path)) for path in sorted(FILES.parent.glob("papalexi*.h5ad"))]
    for name, cells in screens:
        observed = contrasts(prepare(cells, settings_of().data))
        effect, error = observed.own
        falling = np.isfinite(error) & (effect < -SEEN_MOVING * error)
        shares = hop_shares(observed)
        middle = [f"{value:.2f}" for value in np.quantile(shares, [0.25, 0.5, 0.75])] if len(shares) else []
        yield {
            "screen": name,
            "lost by mRNA": f"{np.median(-np.expm1(effect[falling])):.2f}" if falling.any() else "none falls",
            "hops": len(shares),
            "lost by hops (quartiles)": ", ".join(middle),
        }


def hop_shares(observed: Contrasts) -> np.ndarray:
    """(k,) the share of B that its own perturbation takes, from every A, B, C whose three effects are beyond
    five standard errors.
    """
    with np.errstate(invalid="ignore"):
        seen = np.abs(observed.effect / observed.error) > 5
    row = {int(gene): place for place, gene in enumerate(observed.sources)}
    found = []
    for a, first in row.items():
        for b, second in row.items():
            if a == b or not seen[first, b] or observed.effect[first, b] > 0:
                continue
            both = seen[first] & seen[second]
            both[[a, b]] = False
            share = -np.expm1(observed.effect[first, b])
            found += (share * observed.effect[second, both] / observed.effect[first, both]).tolist()
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--told", action="store_true")
    parser.add_argument("--hops", action="store_true")
    asked = parser.parse_args()
    rows = over_hops() if asked.hops else as_told() if asked.told else as_read()
    print(markdown(pd.DataFrame(list(rows))))


if __name__ == "__main__":
    main()
