"""When may a training stop? Held-out scores of the weights as they were after some of the epochs.

    python benchmarks/early_stop.py screen.h5ad --epochs 40 --json
    python benchmarks/early_stop.py runs/screen --rule     # an old run: where each rule would have stopped

Trains the default preset without an early stop, keeps the best weights so far at every epoch, and asks those
of some epochs for the effects of up to --asked perturbations. ate_rho: correlation of predicted and held-out
mean log differences over all genes but the perturbed gene itself; training_mean: the same of the means of the
training cells. by_epochs, by_steps: the last epoch by a patience in epochs alone, and in steps as well.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.effects.averages import average_effects
from gpovae_core.questions.predicted import EffectPredictor
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.model import load_model

WEIGHTS = "model.safetensors"


def train(file: Path, run: Path, epochs: int, options: list[str], kept: Path) -> None:
    """Train, and keep the best weights so far after every epoch as EPOCH.safetensors."""
    command = [sys.executable, "-m", "gpovae_core.cli", "train", str(file), "--run", str(run)]
    command += ["--epochs", str(epochs), "--set", f"training.patience={epochs + 1}", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen = 0
    while process.poll() is None:
        time.sleep(0.5)
        status = json.loads((run / "status.json").read_text()) if (run / "status.json").is_file() else {}
        if status.get("epoch", 0) > seen:
            seen = status["epoch"]
            shutil.copy(run / WEIGHTS, kept / f"{seen}.safetensors")
        if status.get("state") in ("evaluating", "done"):
            process.send_signal(signal.SIGTERM)
            process.wait()


def scored(run: RunFolder, kept: Path, epochs: list[int], asked: int, seed: int = 0) -> list[dict[str, Any]]:
    prepared, settings = run.cells(), run.settings()
    names = np.array(prepared.without_unseen().perturbations)
    names = tuple(np.random.default_rng(seed).permutation(names)[:asked].tolist())
    held_out = average_effects(prepared, (keys.TEST,), names).mean
    rows = []
    learned = average_effects(prepared, (keys.TRAIN,), names).mean
    plain = _without_own(held_out, learned)
    for epoch in epochs:
        shutil.copy(kept / f"{epoch}.safetensors", run.path / WEIGHTS)
        predicted = EffectPredictor(load_model(run), prepared, settings.inference).effects(names).mean
        rho = _without_own(held_out, predicted.reindex_like(held_out))
        rows.append({"epoch": epoch, "ate_rho": round(rho, 4), "training_mean": round(plain, 4)})
    return rows


def _without_own(held_out: pd.DataFrame, guess: pd.DataFrame) -> float:
    own = np.array([[gene in name.split("+") for gene in held_out.columns] for name in held_out.index])
    known = ~own & np.isfinite(held_out.to_numpy()) & np.isfinite(guess.to_numpy())
    return float(np.corrcoef(held_out.to_numpy()[known], guess.to_numpy()[known])[0, 1])


def stops(losses: np.ndarray, steps: int, patience: int, least: float) -> dict[str, Any]:
    """losses: (epochs,) validation losses; steps: of an epoch. As Lightning's early stop counts."""

    def stop(epochs: int) -> int | None:
        best, waited = np.inf, 0
        for epoch, loss in enumerate(losses, 1):
            best, waited = (loss, 0) if loss < best - least else (best, waited + 1)
            if waited >= epochs:
                return epoch
        return None

    in_steps = {most: stop(min(patience, max(2, -(-most // steps)))) for most in (200, 400, 800, 1600)}
    return {"steps": steps, "by_epochs": stop(patience), "by_steps": in_steps}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--at", type=int, nargs="*", default=[1, 2, 4, 6, 8, 12, 16, 20, 30, 40])
    parser.add_argument("--asked", type=int, default=100)
    parser.add_argument("--rule", action="store_true", help="FILE is a run: say where its training would end")
    parser.add_argument("--options", nargs="*", default=[], help="more options of `gpovae train`")
    parser.add_argument("--keep", type=Path, help="train in this folder and leave it")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = given.keep or Path(aside)
        path, kept = (given.file, folder) if given.rule else (folder / "runs" / "screen", folder / "kept")
        if not given.rule:
            kept.mkdir(parents=True, exist_ok=True)
            train(given.file, path, given.epochs, given.options, kept)
        run = RunFolder.open(path)
        training = make_settings("evidence", {}).training
        losses, cells = run.metrics()["validation_loss"].to_numpy(), run.cells()
        steps = -(-int(cells.where(splits=(keys.TRAIN,)).sum()) // training.batch_size)
        answer: list[dict[str, Any]] = [
            {
                "losses": losses.round(2).tolist(),
                **stops(losses, steps, training.patience, training.min_improvement),
            }
        ]
        if not given.rule:
            answer += scored(run, kept, [at for at in given.at if at <= len(losses)], given.asked)
    for row in answer:
        print(json.dumps(row) if given.json else row)


if __name__ == "__main__":
    main()
