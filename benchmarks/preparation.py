"""A screen of a chosen size from its file to a trained run: how long every stage takes and how much memory it
needs at most.

    python benchmarks/preparation.py --json                      # 20,000 cells x 3,000 genes
    python benchmarks/preparation.py --cells 130000 --genes 8000 --perturbations 622 --json
    python benchmarks/preparation.py --cells 1000000 --genes 2000 --perturbations 200 --scoring 0 --json
    python benchmarks/preparation.py --make-only --file screen.h5ad

The file (.h5ad, gzip, CSR, cells in random order) is written in blocks: Poisson counts around log-normal gene
means such that about 35 % of the entries are not zero; cells are in one of six states that move every gene a
little (without them doublets cannot be told); every perturbation takes four fifths of its own gene and lifts
a gene that is never perturbed twelvefold. `gpovae train` then works on it in a process of its own. peak_gb:
its largest resident memory (VmHWM), looked up while it works; memory_gb: what it and its processes held at
most, by the same words as the stages; disk_gb: the most that lay in its folder and
its cache; stages: seconds by the words that its status
shows; processor_s: processor time of all its processes by the same words; still_s: longest time for which
neither words nor share moved, where that was more than 3 s; matrix_product_gflop_per_s: rate of a plain 2048
x 2048 float32 product in this process, before and after. --scoring 0 stops after the training.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem
from scipy import sparse

ROOT = Path(__file__).resolve().parent.parent
BLOCK_VALUES = 16_000_000
COUNTS_PER_GENE = 1.4
SPREAD = 1.8
CONTROL_SHARE = 0.08
FAILING_SHARE = 0.03
STATES, STATE_SPREAD = 6, 0.5
REDRAWN = "how often edges come back (after the run is done)"


def write_screen(path: Path, cells: int, genes: int, perturbations: int, seed: int = 0) -> dict[str, Any]:
    """Write the file; returns the number of stored values and their share."""
    rng = np.random.default_rng(seed)
    names = np.array([f"GENE{i:05d}" for i in range(genes)], dtype=object)
    base = rng.lognormal(0, SPREAD, genes)
    perturbed, lifted = np.split(rng.permutation(genes)[: 2 * perturbations], 2)
    state = rng.integers(STATES, size=cells)
    states = rng.lognormal(0, STATE_SPREAD, (STATES, genes))
    label = np.where(rng.random(cells) < CONTROL_SHARE, -1, rng.integers(perturbations, size=cells))
    library = (
        COUNTS_PER_GENE
        * genes
        * rng.lognormal(0, 0.35, cells)
        * np.where(rng.random(cells) < FAILING_SHARE, 0.15, 1.0)
    )
    share = base / base.sum()
    change = np.ones((perturbations + 1, genes))  # the last row is the control
    change[np.arange(perturbations), perturbed] = 0.2
    change[np.arange(perturbations), lifted] = 12.0
    rows = max(1, BLOCK_VALUES // genes)
    total, lengths = 0, []
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs.update(
            {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([cells, genes])}
        )
        kept = {"chunks": (1 << 18,), "maxshape": (None,), "compression": "gzip", "compression_opts": 1}
        data = group.create_dataset("data", (0,), "f4", **kept)
        indices = group.create_dataset("indices", (0,), "i4", **kept)
        for start in range(0, cells, rows):
            part = slice(start, min(start + rows, cells))
            mean = change[label[part]] * share * states[state[part]]
            mean *= (library[part] / mean.sum(axis=1))[:, None]
            block = sparse.csr_matrix(rng.poisson(mean).astype(np.float32))
            for dataset, values in ((data, block.data), (indices, block.indices)):
                dataset.resize((total + block.nnz,))
                dataset[total:] = values
            total += block.nnz
            lengths.append(np.diff(block.indptr))
        group["indptr"] = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        gene = np.append(names[perturbed], "non-targeting")[label]
        obs = pd.DataFrame(
            {"gene": pd.Categorical(gene)}, index=[f"cell{i:07d}" for i in rng.permutation(cells)]
        )
        write_elem(file, "obs", obs)
        write_elem(file, "var", pd.DataFrame(index=names))
        write_elem(file, "uns", {"simulated": True})
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            write_elem(file, name, {})
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    return {"stored": total, "stored_share": round(total / cells / genes, 3)}


def watch(command: list[str], run: Path, stop_before: str = "", limit: float = 1e9) -> dict[str, Any]:
    """Run a command to its end, or until the status of the run reaches the state `stop_before`: stages, peak
    memory, seconds.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GPOVAE_CACHE_DIR": str(run.parent / "cache")}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    stages: dict[str, float] = {}
    processor: dict[str, float] = {}
    peak, together, disk, last, used = 0.0, 0.0, 0.0, time.perf_counter(), 0.0
    still, seen, moved = {}, None, last
    held: dict[str, float] = {}
    while process.poll() is None:
        time.sleep(0.2)
        now = time.perf_counter()
        peak = max(peak, peak_gb(process.pid))
        disk = max(disk, disk_gb(run.parent))
        status = _status(run)
        stage = status.get("stage") or (REDRAWN if status.get("state") == "done" else "starting")
        stage = "training" if stage.startswith("training") else stage
        stages[stage] = stages.get(stage, 0.0) + now - last
        last = now
        own, memory = of_all(process.pid, used)
        together, held[stage] = max(together, memory), max(held.get(stage, 0.0), memory)
        processor[stage] = processor.get(stage, 0.0) + own - used
        used = own
        if told(status) != seen:
            seen, moved = told(status), now
        still[stage] = max(still.get(stage, 0.0), now - moved)
        if (stop_before and status.get("state") == stop_before) or now - began > limit:
            process.send_signal(signal.SIGTERM)
            process.wait()
    error = (process.stderr.read() if process.stderr else "").strip().splitlines()[-3:]
    seconds = time.perf_counter() - began

    def rounded(values: dict[str, float]) -> dict[str, float]:
        return {name: round(value, 1) for name, value in values.items()}

    return {
        "stages": rounded(stages),
        "processor_s": rounded(processor),
        "still_s": rounded({stage: value for stage, value in still.items() if value > 3}),
        "seconds": round(seconds, 1),
        "peak_gb": round(peak, 2),
        "memory_gb": {name: round(value, 2) for name, value in held.items()},
        "peak_of_all_processes_gb": round(together, 2),
        "disk_gb": round(disk, 3),
        "state": _status(run).get("state"),
        "said": error,
    }


def told(status: dict[str, Any]) -> tuple[Any, ...]:
    """All that a page or a terminal shows of how far it is."""
    return tuple(status.get(name) for name in ("stage", "share", "message", "epoch"))


def of_all(pid: int, before: float) -> tuple[float, float]:
    """Processor seconds of a process and what it has started so far (`before`, where they are not to be
    told), and the memory that they hold now, GB.
    """
    import psutil

    seconds, memory = 0.0, 0.0
    try:
        first = psutil.Process(pid)
        for one in (first, *first.children(recursive=True)):
            times = one.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
            memory += one.memory_info().rss / 1e9
    except psutil.Error:
        return before, memory
    return max(before, seconds), memory


def peak_gb(pid: int) -> float:
    """Largest resident memory of a process so far (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM:")), 0.0)


def disk_gb(folder: Path) -> float:
    """What lies in a folder, a file with two names once."""
    sizes = {}
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except OSError:  # gone again
            continue
        sizes[stat.st_ino] = stat.st_size if path.is_file() else 0
    return sum(sizes.values()) / 1e9


def _status(run: Path) -> dict[str, Any]:
    try:
        return json.loads((run / "status.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def matrix_product_rate() -> float:
    import torch

    square = torch.randn(2048, 2048)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        square @ square
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / sorted(times)[2] / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--perturbations", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--file", type=Path, help="take or write this file instead of a temporary one")
    parser.add_argument("--make-only", action="store_true", help="write the file and stop")
    parser.add_argument(
        "--scoring", type=int, default=1, choices=(0, 1), help="0: stop when the training is over"
    )
    parser.add_argument("--limit", type=float, default=1e9, help="seconds after which it is stopped")
    parser.add_argument(
        "--options", nargs="*", default=[], help="more options of `gpovae train`, with -- before them"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        file = given.file or Path(aside) / "screen.h5ad"
        made = (
            {}
            if file.exists()
            else write_screen(file, given.cells, given.genes, given.perturbations, given.seed)
        )
        answer = {"cells": given.cells, "genes": given.genes, "perturbations": given.perturbations, **made}
        answer["file_gb"] = round(file.stat().st_size / 1e9, 2)
        if not given.make_only:
            run = Path(aside) / "runs" / "screen"
            train = ["train", str(file), "--run", str(run), "--epochs", str(given.epochs), *given.options]
            before = matrix_product_rate()
            answer |= watch(
                [sys.executable, "-m", "gpovae_core.cli", *train],
                run,
                "" if given.scoring else "evaluating",
                given.limit,
            )
            answer["matrix_product_gflop_per_s"] = [round(before, 1), round(matrix_product_rate(), 1)]
    print(
        json.dumps(answer)
        if given.json
        else "\n".join(f"{name:>28}  {value}" for name, value in answer.items())
    )


if __name__ == "__main__":
    main()
