"""Rebuild the demo runs in assets/demo, each trained by the project's own commands.

    make demo                                   # both
    python assets/build_demo.py papalexi        # one: papalexi or run

papalexi: real cells, ECCITE-seq of Papalexi et al., Nature Genetics 53 (2021), 322-331: knock-outs in
stimulated THP-1 cells. The counts are those of Katsevich-Lab's sceptreIGVF and sceptredata (MIT licence),
read from GPOVAE_DATA_DIR. run: simulated cells, which say so (`simulated` in config.json and in the report),
with their true network. What only a resumed training needs is left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata

from gpovae_core.runs.folder import RunFolder

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / "assets" / "demo"
SIMULATE = ["--genes", "60", "--perturbations", "24", "--cells", "5000", "--seed", "7"]
SMALL = ["model.latent=16", "model.decoder_width=64", "model.basal_width=64", "model.embedding_width=64"]
SCREEN = "papalexi2021_thp1_585.h5ad"
CHANGED = [  # a panel of the genes that a perturbation changes: 8 MB have no room for all 585
    "data.panel=wilcoxon",
    "data.extended_per_perturbation=60",
    "data.extended_min_abs_lfc=0.25",
    "data.extended_max_p=0.05",
]


def gpovae(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", "from gpovae_core.cli import main; main()", *arguments], check=True)


def train(cells: Path, name: str, settings: list[str]) -> None:
    """The run `name` of these cells, with its ensemble and its null, as small as a demo has to be."""
    folder = DEMO / name
    shutil.rmtree(folder, ignore_errors=True)
    gpovae("train", str(cells), "--run", str(folder), *(part for one in settings for part in ("--set", one)))
    gpovae("ensemble", str(folder), "--members", "20")
    gpovae("null", str(folder))
    run = RunFolder.open(folder)
    run.write_source(run.source().model_copy(update={"path": cells.name}))
    cells_file = folder / "cells.h5ad"  # once more, as small as gzip makes it
    anndata.read_h5ad(cells_file).write_h5ad(cells_file, compression="gzip", compression_opts=9)
    shutil.rmtree(run.checkpoints)
    shutil.rmtree(run.path / "ensemble")  # what it says stays, in ensemble.safetensors


def simulated() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        cells = Path(scratch) / "simulated.h5ad"
        gpovae("simulate", str(cells), *SIMULATE)
        train(cells, "run", SMALL)


def papalexi() -> None:
    folder = Path(os.environ.get("GPOVAE_DATA_DIR", PROJECT.parent / "shared" / "data"))
    if not (folder / SCREEN).is_file():
        raise SystemExit(
            f"The demo of real cells needs {SCREEN}, which is not in '{folder}'. Set GPOVAE_DATA_DIR to the "
            "folder that holds it, or build the simulated demo alone: python assets/build_demo.py run"
        )
    train(folder / SCREEN, "papalexi", [*SMALL, *CHANGED])


BUILD = {"papalexi": papalexi, "run": simulated}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BUILD, []], metavar="NAME", help=", ".join(BUILD))
    for wanted in parser.parse_args().names or BUILD:
        BUILD[wanted]()
