"""Whole perturbations held out with all their cells and predicted by the network alone, beside the mean over
the other perturbations.

    python benchmarks/unseen.py
    python benchmarks/unseen.py --json --screens schraivogel papalexi chains random --seeds 0
    python benchmarks/unseen.py --json --screens small --draws 3 --autoencoder

Per screen 5 draws of 3 held-out perturbations. The perturbed gene's own column is left out of every score.
Real data is looked for in GPOVAE_DATA_DIR, or beside the project in ../shared/data; the simulated screens
have 150 genes, of which 100 are perturbed ("small": 50 and 35). The network stage alone answers; with
--autoencoder the default preset is trained on every draw too, and its own answer (the held-out gene's
untrained mask row through the embedding encoder) is scored on the same cells. With --pairs also the calls of
non-additive genes on simulated combinations, half of which interact on ten stated genes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from gpovae_core import keys
from gpovae_core.config import DataSettings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, downstream, simulate
from gpovae_core.evaluation.plain import to_plain
from gpovae_core.evaluation.unseen import predict_held_out, scores
from gpovae_core.questions.interactions import measured_interaction
from gpovae_core.questions.predicted import treatment_effects
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.model import load_model
from gpovae_core.training.fit import fit

REAL = {"schraivogel": "schraivogel2020_tapseq_k562.h5ad", "papalexi": "papalexi2021_thp1.h5ad"}
SIMULATED: dict[str, dict[str, Any]] = {
    "chains": {
        "network": "chains",
        "edges_per_gene": 1.0,
        "genes": 150,
        "perturbations": 100,
        "cells": 19000,
    },
    "random": {
        "network": "random",
        "edges_per_gene": 1.5,
        "genes": 150,
        "perturbations": 100,
        "cells": 19000,
    },
    "small": {"network": "chains", "edges_per_gene": 1.0, "genes": 50, "perturbations": 35, "cells": 5000},
}
DATA = DataSettings(pairing="exact", detect_doublets=False)


def cells(name: str, seed: int) -> PreparedCells:
    if name in REAL:
        folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
        return prepare(folder / REAL[name], DATA.model_copy(update={"seed": seed}))
    return prepare(simulate(SimulationSettings(seed=seed, **SIMULATED[name])).adata, DATA)


def trained(apart: PreparedCells, names: tuple[str, ...]) -> pd.DataFrame:
    """What a model trained without these perturbations says of them by itself."""
    settings = make_settings("evidence")
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", settings, DataSource(path="benchmark"))
        run.write_cells(apart)
        fit(run, apart, settings)
        return treatment_effects(load_model(run), apart, names, settings.inference).mean


def held_out(name: str, seed: int, at_once: int, draws: int, autoencoder: bool) -> dict[str, Any]:
    made = predict_held_out(
        cells(name, seed),
        make_settings("evidence"),
        at_once,
        draws,
        seed,
        autoencoder=trained if autoencoder else None,
    )
    found = scores(made)
    return {
        "screen": name,
        "seed": seed,
        "at_once": at_once,
        "draws": draws,
        "pooled": to_plain(found.pooled),
        "with_known_path": to_plain(found.with_known_path),
    }


def combinations(seed: int) -> list[dict[str, Any]]:
    """Six combinations of twelve genes, three of them interacting: calls against the truth, on all cells and
    on the held-out ones.
    """
    made = simulate(
        SimulationSettings(
            genes=120,
            perturbations=12,
            pair_share=0.5,
            interacting_share=0.5,
            interaction_strength=0.6,
            cells=6000,
            control_share=0.25,
            seed=seed,
        )
    )
    prepared = prepare(made.adata, DATA)
    below = downstream(made.edges, 5)
    rows = []
    for name in (name for name in prepared.perturbations if keys.PAIR_SEPARATOR in name):
        stated = set(made.interactions.loc[made.interactions[keys.PERTURBATION] == name, keys.TARGET])
        true = stated | set(below.loc[below[keys.SOURCE].isin(stated), keys.TARGET])
        for which, splits in (("held out", keys.HELD_OUT), ("all", keys.SPLITS)):
            found = measured_interaction(prepared, name, splits)
            called = set(found.table.loc[found.table["non_additive"], "gene"])
            row = {
                "pair": name,
                "seed": seed,
                "cells": which,
                "n": found.cells[name],
                "stated": len(stated),
                "called": len(called),
            }
            rows.append(
                row
                | {"found": len(called & stated), "false": len(called - true), "genes": len(found.table) - 2}
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--screens", nargs="*", default=[*REAL, "chains", "random"], choices=[*REAL, *SIMULATED]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument(
        "--autoencoder",
        action="store_true",
        help="train the default preset on every draw and score its own answer too",
    )
    parser.add_argument("--pairs", type=int, nargs="*", default=[], help="seeds of simulated combinations")
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.screens:
            row = held_out(name, seed, options.at_once, options.draws, options.autoencoder)
            print(json.dumps(row) if options.json else _words(row), flush=True)
    for seed in options.pairs:
        for row in combinations(seed):
            print(json.dumps(row) if options.json else row, flush=True)


def _words(row: dict[str, Any]) -> str:
    lines = [f"{row['screen']}, seed {row['seed']}: {row['draws']} draws of {row['at_once']}"]
    for part in ("pooled", "with_known_path"):
        values = row[part]
        for score in ("rho", "median_rho", "rmse"):
            shown = ", ".join(
                f"{name} {'undefined' if value is None else f'{value:.3f}'}"
                for name, value in values[score].items()
            )
            lines.append(f"  {part} ({values['perturbations']}), {score}: {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
