"""Does a training take longer than in an older state of the code? Whole runs of both in turns, in one call.

    git worktree add /tmp/before b281032
    python benchmarks/against.py /tmp/before --repeats 3

A simulated screen of one batch without guides (its file holds counts and labels alone), so that both states
have the same to do; the preset `evidence` for --epochs epochs, one thread. Every run is a process of its own;
what is measured is its processor time, not the clock, so that other work on the machine disturbs less.
Ratios are medians over pairs of runs, this state over the older one: preparing, the network stage, an epoch
(the rest of the training over the epochs), scoring, and all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.simulate import SimulationSettings, simulate

RUN = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import gpovae_core.training.fit as training
import gpovae_core.workflow as workflow
from gpovae_core.config import make_settings
spent = {}
def timed(name, work):
    def wrapped(*given, **named):
        began = time.process_time()
        try:
            return work(*given, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.process_time() - began
    return wrapped
training.fit_network = timed("network", training.fit_network)
training.fit = timed("training", training.fit)
workflow._prepare = timed("preparing", workflow._prepare)
workflow.score_run = timed("scoring", workflow.score_run)
settings = make_settings("evidence", {"training": {"epochs": int(sys.argv[3])}})
run = workflow.start_run(Path(sys.argv[1]), Path(sys.argv[2]), settings)
epochs = len(run.metrics())
spent["epoch"] = (spent.pop("training") - spent["network"]) / epochs
spent["all"] = time.process_time()
print(json.dumps(spent))
"""
STAGES = ("preparing", "network", "epoch", "scoring", "all")


def screen(folder: Path, cells: int) -> Path:
    """Counts and labels of a simulated screen, without the columns that tell its design."""
    made = simulate(SimulationSettings(network="hubs", genes=60, perturbations=60, cells=cells, seed=0)).adata
    obs = pd.DataFrame({keys.PERTURBATION: made.obs[keys.PERTURBATION].astype(str)}, made.obs_names)
    path = folder / "screen.h5ad"
    anndata.AnnData(made.X, obs=obs, var=pd.DataFrame(index=made.var_names)).write_h5ad(path)
    return path


def spent(code: Path, file: Path, place: Path, epochs: int) -> dict[str, float]:
    """Processor seconds of every stage of one run by the code in a folder."""
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(file), str(place), str(epochs)]
    done = subprocess.run(command, env=environment, cwd=code, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The run by {code} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, help="folder with the older state of the code")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--cells", type=int, default=6000)
    options = parser.parse_args()
    states = {"before": options.before.resolve(), "now": Path(__file__).resolve().parents[1]}
    with tempfile.TemporaryDirectory() as folder:
        file = screen(Path(folder), options.cells)
        pairs = []
        for turn in range(options.repeats):
            names = list(states) if turn % 2 == 0 else list(states)[::-1]
            pair = {
                name: spent(states[name], file, Path(folder) / f"{name}-{turn}", options.epochs)
                for name in names
            }
            pairs.append(pair)
            print(json.dumps(pair), flush=True)
    for stage in STAGES:
        ratios = sorted(pair["now"][stage] / pair["before"][stage] for pair in pairs)
        seconds = statistics.median(pair["now"][stage] for pair in pairs)
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{stage}: {statistics.median(ratios):.2f} ({each}), now {seconds:.2f} s")


if __name__ == "__main__":
    main()
