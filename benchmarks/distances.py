"""How much of the mean Wasserstein distance of the strongest pairs is there without any effect? The network
stage on real cells.

    python benchmarks/distances.py --json --seeds 0 1 2

Between two samples of the same cells the Wasserstein distance is not zero, and the fewer the cells the larger
it is: a ranking that puts perturbations with few cells first gains by that. Beside the mean distance of the
top pairs of W, of T_K and of the plain mean difference (training cells) stands what is left of it when the
distance is taken off that as many held-out controls show against the others (mean of --draws draws); then the
share of pairs significant after Benjamini-Hochberg, the same with the common lift of all shares taken out of
the held-out cells, and the median number of held-out cells; and how many of W's strongest pairs are also the
strongest of controls relabelled as perturbed. No autoencoder is trained: W and T_K do not need it. Real data
as in benchmarks/quality.py; --measured-targets leaves out the perturbations of genes that were not measured.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData, read_h5ad
from quality import REAL
from simulated import mean_difference

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.nulls import null_screen
from gpovae_core.effects.pairs import PairStatistics, pair_statistics
from gpovae_core.evaluation.held_out import held_out_pairs, pairs_without_lift
from gpovae_core.evaluation.network import top_pairs
from gpovae_core.methods.expected import predicted_by_network
from gpovae_core.methods.network_fit import fit_network

TOP = (50, 100)


def one(name: str, seed: int, draws: int, measured_targets: bool) -> dict[str, Any]:
    settings = make_settings("evidence", {"data": {"seed": seed}, "training": {"seed": seed}})
    prepared = prepare(cells_of(name, measured_targets), settings.data)
    pairs, fit = held_out_pairs(prepared), fit_network(prepared, settings)
    null = fit_network(null_screen(prepared, settings), settings)
    without_lift = pairs_without_lift(prepared, fit)
    panel, measured = prepared.panel, prepared.cells.var_names
    rows = [panel.index[gene] for gene in pairs.sources]
    place = np.ix_(rows, [panel.index[gene] for gene in pairs.targets])
    rankings = {
        "w": fit.log_odds[place],
        "influence": np.abs(
            predicted_by_network(fit, prepared)[rows][:, measured.get_indexer(list(pairs.targets))]
        ),
        "mean_difference": mean_difference(prepared)[place],
    }
    beyond = pairs.wasserstein - without_effect(prepared, pairs, draws, seed)
    cells = np.broadcast_to(pairs.source_cells[:, None], pairs.p.shape)
    row: dict[str, Any] = {
        "data": name,
        "seed": seed,
        "pairs": int(pairs.evaluated.sum()),
        "sources": len(pairs.sources),
    }
    row["significant"] = int((pairs.adjusted[pairs.evaluated] < settings.evaluation.significance).sum())
    for top in TOP:
        both = top_pairs(pairs, rankings["w"], top) & top_pairs(pairs, null.log_odds[place], top)
        row[f"shared_with_null_{top}"] = float(both.sum() / top)
        for ranking, values in rankings.items():
            chosen = top_pairs(pairs, values, top)
            row[f"{ranking}_{top}"] = {
                "mu_wd": float(pairs.wasserstein[chosen].mean()),
                "beyond_controls": float(beyond[chosen].mean()),
                "bh_share": float((pairs.adjusted[chosen] < settings.evaluation.significance).mean()),
                "bh_share_without_lift": float(
                    (without_lift.adjusted[chosen] < settings.evaluation.significance).mean()
                ),
                "median_cells": float(np.median(cells[chosen])),
            }
    return row


def cells_of(name: str, measured_targets: bool) -> Path | AnnData:
    path = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data")) / REAL[name]
    if not measured_targets:
        return path
    cells = read_h5ad(path)
    label = cells.obs["perturbation"].astype(str)
    return cells[(label.isin(cells.var_names) | (label == "non-targeting")).to_numpy()].copy()


def without_effect(prepared: PreparedCells, pairs: PairStatistics, draws: int, seed: int) -> np.ndarray:
    """(s, t) mean distance of held-out controls to the other held-out controls, as many as each source has
    cells (half at most).
    """
    rng = np.random.default_rng(seed)
    cells = np.flatnonzero(prepared.where(keys.CONTROL, keys.HELD_OUT))
    genes = [str(gene) for gene in prepared.cells.var_names]
    expression = log_expression(prepared.counts, prepared.library_size)[cells][
        :, [genes.index(gene) for gene in pairs.targets]
    ]
    total = np.zeros(pairs.wasserstein.shape)
    for _ in range(draws):
        for row, size in enumerate(pairs.source_cells):
            labels = np.full(len(cells), keys.CONTROL, dtype=object)
            labels[rng.permutation(len(cells))[: min(size, len(cells) // 2)]] = pairs.sources[row]
            total[row] += pair_statistics(
                expression, labels, [pairs.sources[row]], list(pairs.targets)
            ).wasserstein[0]
    return total / draws


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", nargs="+", default=list(REAL), choices=list(REAL))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument(
        "--measured-targets",
        action="store_true",
        help="without the perturbations of genes that were not measured",
    )
    options = parser.parse_args()
    for name in options.data:
        for seed in options.seeds:
            row = one(name, seed, options.draws, options.measured_targets)
            print(json.dumps(row) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
