"""Is prior knowledge worth anything to W? On simulated cells whose tables are true to a known share, and on
real screens.

    python -m benchmarks.prior_knowledge
    python -m benchmarks.prior_knowledge --json --seeds 3

simulated: 100 genes, 40 perturbations; a table lists 80 pairs out of perturbed genes, of which 30, 60 or
100 % are true edges and the others joined by none; AUPRC of W against the true edges with the weight that
the cells gave the table, and without. real: Papalexi and Schraivogel with CollecTRI and TRRUST, and the
effects of knock-downs in macrophages. Beside each: ten tables rewired at equal degrees. Network stage of the
preset evidence. Real data as in benchmarks/quality.py; tables from the folder `networks` beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd

from benchmarks.transfer import DATA, MACROPHAGES, PART, network_run, settings_of
from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.known import RankedPairs
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.prior import Odds, shift
from gpovae_core.network.knowledge import Knowledge, ask_cells
from gpovae_core.network.references import ReferenceNetwork, read_reference_files
from gpovae_core.reporting.knowledge import knowledge_in_words
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.from_effects import network_from_effects

SHARES = (0.3, 0.6, 1.0)
LISTED = 80
SCREENS = {
    "papalexi": ("papalexi2021_thp1.h5ad", {}),
    "schraivogel": ("schraivogel2020_tapseq_k562.h5ad", {"label_column": "perturbation"}),
}
TABLES = ("collectri_human.tsv", "trrust_v2_human.tsv")


def simulated(folder: Path, seeds: int) -> list[dict[str, Any]]:
    rows = []
    for seed in range(seeds):
        made = simulate(SimulationSettings(genes=100, perturbations=40, cells=9000, seed=seed))
        settings = make_settings("evidence", {"data": {"detect_doublets": False, "panel": "all"}})
        run = network_run(folder / f"simulated{seed}", made.adata, settings)
        for share in SHARES:
            table, hits, usable = _table(run, made.edges, share, seed)
            found = ask_cells(run, table)
            rows.append(
                {"seed": seed, "share": share, **_row(found), **_areas(run, found, hits, usable, made.edges)}
            )
            print(rows[-1], flush=True)
    return rows


def _table(
    run: RunFolder, edges: pd.DataFrame, share: float, seed: int
) -> tuple[ReferenceNetwork, np.ndarray, np.ndarray]:
    """A table of LISTED pairs out of perturbed genes, a share of them true; the pairs that it lists, and
    could have listed.
    """
    genes, odds = run.panel().genes, Odds.of(NetworkFit.from_arrays(run.network_arrays()))
    true = _truth(genes, odds, edges)
    rng = np.random.default_rng(seed)
    places = [np.argwhere(odds.counted & side) for side in (true, ~true)]
    wanted = round(share * LISTED)
    sizes = min(wanted, len(places[0])), LISTED - wanted
    chosen = np.concatenate(
        [rng.permutation(place)[:size] for place, size in zip(places, sizes, strict=True)]
    )
    known = {(genes[odds.rows[i]].casefold(), genes[j].casefold()): ("",) for i, j in chosen}
    hits = np.zeros(true.shape, dtype=bool)
    hits[tuple(chosen.T)] = True
    listed = np.isin(np.arange(len(genes)), np.concatenate([odds.rows[chosen[:, 0]], chosen[:, 1]]))
    usable = hits.any(axis=1)[:, None] & listed[None, :]
    return ReferenceNetwork("simulated", True, known), hits, usable


def _truth(genes: tuple[str, ...], odds: Odds, edges: pd.DataFrame) -> np.ndarray:
    pairs = set(zip(edges[keys.SOURCE], edges[keys.TARGET], strict=True))
    return np.array([[(genes[i], gene) in pairs for gene in genes] for i in odds.rows])


def _areas(
    run: RunFolder, found: Knowledge, hits: np.ndarray, usable: np.ndarray, edges: pd.DataFrame
) -> dict[str, float]:
    genes, odds = run.panel().genes, Odds.of(NetworkFit.from_arrays(run.network_arrays()))
    true, pairs = _truth(genes, odds, edges), odds.counted
    change = shift(odds, usable, hits, found.true.kept)
    return {
        name: RankedPairs((odds.posterior + added)[pairs]).average_precision(true[pairs])
        for name, added in (("auprc_with", change), ("auprc_without", np.zeros(change.shape)))
    }


def _row(found: Knowledge) -> dict[str, Any]:
    rewired = [one.weight for one in found.rewired]
    return {
        "table": found.table,
        "known": found.true.known,
        "weight": found.true.weight,
        "error": found.true.error,
        "applied": found.true.kept,
        "rewired_mean": float(np.mean(rewired)),
        "rewired_within": f"{found.rewired_within} of {len(rewired)}",
        "rewired_as_learned": [found.rewired_near(1.0), found.rewired_near(keys.NORMAL_95)],
        "half": found.half.gain,
        "half_error": found.half.error,
        "half_rewired": float(np.mean([one.gain for one in found.half_rewired])),
        "held_out": None if found.held_out is None else vars(found.held_out),
    }


def real(folder: Path, seeds: int) -> list[dict[str, Any]]:
    runs = {}
    for name, (file, data) in SCREENS.items():
        cells = anndata.read_h5ad(DATA / file)
        cells.obs[PART] = "all"
        runs[name] = network_run(folder / name, cells, settings_of("all", panel="all", **data))
    made = network_from_effects(DATA / MACROPHAGES, folder / "macrophages", panel_extra=600)
    runs["macrophages"] = made.run
    tables = read_reference_files([DATA.parent / "networks" / name for name in TABLES])
    rows = []
    for name, run in runs.items():
        for table in tables:
            try:
                found = ask_cells(run, table)
            except QueryError as error:
                print(name, table.name, error)
                continue
            rows.append({"screen": name, **_row(found)})
            print(f"-- {name}\n{knowledge_in_words(found)}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("simulated", "real"), nargs="*", default=["simulated", "real"])
    parser.add_argument("--seeds", type=int, default=3, help="simulated screens")
    parser.add_argument("--json", action="store_true", help="the rows once more, at the end")
    options = parser.parse_args()
    tasks = {"simulated": simulated, "real": real}
    with tempfile.TemporaryDirectory() as folder:
        answers = {name: tasks[name](Path(folder), options.seeds) for name in options.only}
    if options.json:
        print(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
