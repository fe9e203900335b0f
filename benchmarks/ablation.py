"""What each term of the loss does to the network, on simulated cells: does the pattern of the publication's
Table 5 come back?

    python benchmarks/ablation.py --json
    python benchmarks/ablation.py --json --plan hops-and-weight --presets paper

The shipped sweep `loss-ablation` or `hops-and-weight`, with a smaller model and a fixed number of epochs, on
a simulated screen of which half of the genes are perturbed. One line of JSON per preset: mean and standard
deviation over the seeds of every measure, by point of the sweep, and, of the ablation, whether each part of
the pattern holds. The seeds are those of split, weights, batches and draws; the cells are the same for all.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from simulated import mean_difference, true_pairs
from sklearn.metrics import average_precision_score

from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.plan import find_plan, plan_from
from gpovae_core.sweeps.results import WORDS, results
from gpovae_core.sweeps.work import work

ABLATION = "loss-ablation"
SMALL = {"latent": 16, "decoder_width": 64, "basal_width": 64, "embedding_width": 64}
MEASURES = (
    "w_other",
    "w_other_moved",
    "edges",
    "edges_other",
    "mu_wd",
    "mu_wd_random",
    "bh_share",
    "mu_wd_top",
    "mu_wd_top_difference",
)
RESPONSE = ("ate_rho", "ate_rho_train_mean", "ate_rho_ceiling")
TRUTH = (
    "auprc",
    "auprc_mean_difference",
    "prevalence",
    "true_among_edges",
    "true_among_edges_other",
    "prevalence_other",
)
NO_HOPS = {"released": 0, "paper": 1}


def ablation(
    preset: str, source: Path, simulation: Simulation, options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    values = find_plan(options.plan).model_dump()
    training = {
        "epochs": options.epochs,
        "patience": options.epochs,
        "learning_rate": options.learning_rate,
        "batch_size": options.batch,
    }
    values |= {
        "preset": preset,
        "seeds": options.seeds,
        "changes": {"model": SMALL, "training": training, "data": {"detect_doublets": False}},
    }
    for condition in values["conditions"]:
        if condition["name"] == "alignment without hops":
            condition["changes"]["loss"]["hops"] = NO_HOPS[preset]
    path = folder / (preset if options.plan == ABLATION else f"{preset}-{options.plan}")
    sweep = (
        SweepFolder.open(path)
        if (path / "sweep.json").is_file()
        else SweepFolder.create(path, plan_from(values), source)
    )
    work(sweep)
    runs = results(sweep).runs
    truth = pd.DataFrame([_truth(simulation, sweep, name) for name in runs["run"]])
    table = pd.concat([runs, truth], axis=1)
    point = "condition" if options.plan == ABLATION else WORDS
    rows = {str(name): _summary(part) for name, part in table.groupby(point, sort=False)}
    row = {"preset": preset, "seeds": options.seeds, "changes": values["changes"], "conditions": rows}
    return row | ({"pattern": pattern(rows)} if options.plan == ABLATION else {})


def _truth(simulation: Simulation, sweep: SweepFolder, name: str) -> dict[str, float]:
    """How many of the edges are true direct ones, from perturbed genes and from the others, beside the share
    among all such pairs.
    """
    run = sweep.runs()[name]
    prepared, weights = run.cells(), run.edge_probabilities()
    truth, scored = true_pairs(simulation, prepared)
    other = (
        ~prepared.panel.is_perturbed[:, None]
        & prepared.panel.is_measured[None, :]
        & ~np.eye(len(weights), dtype=bool)
    )
    edges = weights > 0.5
    return {
        "auprc": float(average_precision_score(truth[scored], weights[scored])),
        "auprc_mean_difference": float(
            average_precision_score(truth[scored], mean_difference(prepared)[scored])
        ),
        "prevalence": float(truth[scored].mean()),
        "true_among_edges": float(truth[edges & scored].mean()) if (edges & scored).any() else np.nan,
        "true_among_edges_other": float(truth[edges & other].mean()) if (edges & other).any() else np.nan,
        "prevalence_other": float(truth[other].mean()),
    }


def _summary(part: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    numbers = part[[*MEASURES, *RESPONSE, *TRUTH]].astype(float)
    return {
        name: {"mean": _known(numbers[name].mean()), "sd": _known(numbers[name].std())} for name in numbers
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def pattern(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The three claims of the table, each with the figures it rests on."""

    def mean(condition: str, measure: str) -> float:
        return rows[condition][measure]["mean"] or 0.0

    total = {name: mean(name, "edges") + mean(name, "edges_other") for name in rows}
    kept = [rows[name]["mu_wd"] for name in ("alignment with hops", "full")]
    spread = np.hypot(*((k["sd"] or 0.0) for k in kept))
    return {
        "without_hops_other_genes_stay_at_half": mean("alignment without hops", "w_other_moved") < 1e-6,
        "edges_with_hops_over_without": total["alignment with hops"]
        / max(total["alignment without hops"], 1.0),
        "edges_with_hops_over_full": total["alignment with hops"] / max(total["full"], 1.0),
        "sparsity_keeps_mu_wd": None
        if None in (kept[0]["mean"], kept[1]["mean"])
        else bool(kept[1]["mean"] >= kept[0]["mean"] - spread),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plan", default=ABLATION, choices=[ABLATION, "hops-and-weight"])
    parser.add_argument("--presets", nargs="+", default=["released"], choices=list(NO_HOPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--genes", type=int, default=60)
    parser.add_argument("--cells", type=int, default=4000)
    parser.add_argument("--keep", type=Path, help="folder to keep the sweeps in")
    options = parser.parse_args()
    simulation = simulate(
        SimulationSettings(genes=options.genes, perturbations=options.genes // 2, cells=options.cells, seed=0)
    )
    with tempfile.TemporaryDirectory() as aside:
        source = (options.keep or Path(aside)) / "ablation.h5ad"
        source.parent.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            simulation.write(source)
        for preset in options.presets:
            row = ablation(preset, source, simulation, options, options.keep or Path(aside))
            print(json.dumps(row) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
