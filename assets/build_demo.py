"""Rebuild the demo run in assets/demo: simulated cells, and a small model trained on them by the project's
own command.

    make demo

The cells are simulated and say so (`simulated` in config.json and in the report). What only a resumed
training needs is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gpovae_core.runs.folder import RunFolder

DEMO = Path(__file__).resolve().parent / "demo"
SIMULATE = ["--genes", "60", "--perturbations", "24", "--cells", "5000", "--seed", "7"]
SMALL = ["model.latent=16", "model.decoder_width=64", "model.basal_width=64", "model.embedding_width=64"]


def gpovae(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", "from gpovae_core.cli import main; main()", *arguments], check=True)


def build() -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        cells = Path(scratch) / "simulated.h5ad"
        gpovae("simulate", str(cells), *SIMULATE)
        settings = [part for setting in SMALL for part in ("--set", setting)]
        gpovae("train", str(cells), "--run", str(DEMO / "run"), *settings)
        gpovae("ensemble", str(DEMO / "run"), "--members", "20")
        gpovae("null", str(DEMO / "run"))
    run = RunFolder.open(DEMO / "run")
    run.write_source(run.source().model_copy(update={"path": "simulated.h5ad"}))
    shutil.rmtree(run.checkpoints)
    shutil.rmtree(run.path / "ensemble")  # what it says stays, in ensemble.safetensors


if __name__ == "__main__":
    build()
