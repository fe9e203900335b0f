"""Everything that a GPU does here, checked and measured: one JSON, and the rows for docs/performance.md.

    make gpu                                            # or: python benchmarks/gpu.py --out gpu.json
    python benchmarks/gpu.py --device cpu --quick       # the same way without a GPU, small

Parts (--parts; each is written as soon as it is there, so that a time limit costs only the rest; a further
call with the same --out adds to it): machine: what it is, and the rate of a plain product; tests: those
marked gpu; steps: one step of 512 cells and an epoch at the sizes of benchmarks/step.py; effects: of all
perturbations; run: `gpovae train` from a simulated file to scores.

step_s: from the positions of the cells to changed weights, median; share_of_peak: matrix products of the step
(counted by torch) per second, over the rate of a plain product of the same precision; epoch_s: of
EPOCH_CELLS cells as Lightning runs them, loading included, from the median of some steps; gpu_gb: the most
that torch held of the GPU's memory. Every size runs in a process of its own. On a machine without network:
benchmarks/gpu_wheels.py says, and fetches, what it needs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PARTS = ("machine", "tests", "steps", "effects", "run")
PRESETS = ("released", "evidence", "paper", "cradle-vae", "sams-vae")
EPOCH_CELLS = 100_000
TESTS = "tests/training/test_gpu.py"
QUICK_SIZE = "quick"
LIKENESS = 5
"""Perturbations whose effects the CPU predicts too."""


def sizes(quick: bool) -> dict[str, Any]:
    from benchmarks.screens import SIZES, Size

    return {QUICK_SIZE: Size(20, 30, 300)} if quick else dict(SIZES)


def wait(device: str) -> None:
    """Until a GPU has done what it was asked to do."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def timed(work: Callable[[], Any], device: str, repeats: int) -> float:
    """Median seconds of some calls after one that warms up."""
    work()
    taken = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def product_rate(device: str, precision: str, quick: bool) -> float:
    """Floating point operations per second of a plain product of square float32 matrices."""
    import torch

    from gpovae_core.model.products import products

    side = 512 if quick else 8192 if device == "cuda" else 2048
    square = torch.randn(side, side, device=device)
    with products(precision):  # type: ignore[arg-type]
        return 2 * side**3 / timed(lambda: square @ square, device, 5)


def gpu_gb(device: str) -> float:
    import torch

    return torch.cuda.max_memory_reserved() / 1e9 if device == "cuda" else 0.0


def machine(device: str, quick: bool) -> dict[str, Any]:
    import numpy
    import torch

    on_gpu = device == "cuda"
    return {
        "name": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "gpu_memory_gb": torch.cuda.get_device_properties(0).total_memory / 1e9 if on_gpu else 0.0,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "numpy": numpy.__version__,
        "product_tflop_per_s": {
            precision: product_rate(device, precision, quick) / 1e12 for precision in ("float32", "bf16")
        },
    }


def tests(device: str, quick: bool) -> dict[str, Any]:
    chosen = ["-k", "test_effects or small"] if quick else []
    began = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, TESTS, *chosen],
        cwd=ROOT,
        env={**os.environ, "GPOVAE_TEST_DEVICE": device, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return {
        "passed": done.returncode == 0,
        "summary": lines[-1] if lines else done.stderr.strip()[-500:],
        "failed": failed,
        "seconds": time.perf_counter() - began,
    }


def python_path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def step(device: str, quick: bool, size: str, preset: str, precision: str) -> dict[str, Any]:
    """One row of the table of steps and epochs."""
    from benchmarks.step import Steps, peak_memory_gb
    from gpovae_core.config import make_settings
    from gpovae_core.model.products import products
    from gpovae_core.training.probe import measure

    cells, batch = (400, 128) if quick else (12_000, 512)
    steps = Steps(sizes(quick)[size], preset, cells, batch, device=device)
    with products(precision):  # type: ignore[arg-type]
        work = steps.fast_products()
        step_s = timed(steps.fast, device, 3 if quick else 10)
    given = make_settings(
        preset, {"training": {"device": device, "precision": precision, "batch_size": batch}}
    )
    probe = measure(steps.prepared, given, steps=3 if quick else 20)
    rate = product_rate(device, precision, quick)
    return {
        "size": size,
        "preset": preset,
        "precision": precision,
        "step_s": step_s,
        "gflop": work / 1e9,
        "product_gflop_per_s": rate / 1e9,
        "share_of_peak": work / step_s / rate,
        "epoch_s": probe.seconds_per_epoch / probe.cells * EPOCH_CELLS,
        "gpu_gb": gpu_gb(device),
        "peak_gb": peak_memory_gb(),
    }


def effects(device: str, quick: bool, size: str, preset: str) -> dict[str, Any]:
    """Effects of all perturbations of a size, and how far a few are from what the CPU says."""
    import numpy as np

    from benchmarks.step import Steps
    from gpovae_core.questions.predicted import EffectPredictor

    steps = Steps(sizes(quick)[size], preset, 400 if quick else 5000, 128, device=device)
    model, prepared = steps.model.eval(), steps.prepared
    began = time.perf_counter()
    predictor = EffectPredictor(model, prepared)
    ready_s = time.perf_counter() - began
    predictor.effects(prepared.perturbations[:1])  # warms up
    began = time.perf_counter()
    found = predictor.effects(prepared.perturbations).mean
    seconds = time.perf_counter() - began
    few = prepared.perturbations[:LIKENESS]
    expected = EffectPredictor(model.cpu(), prepared).effects(few).mean
    return {
        "size": size,
        "preset": preset,
        "perturbations": len(prepared.perturbations),
        "ready_s": ready_s,
        "seconds": seconds,
        "apart_from_cpu": float(np.abs(found.loc[list(few)] - expected).to_numpy().max()),
        "gpu_gb": gpu_gb(device),
    }


def run(device: str, quick: bool) -> dict[str, Any]:
    """From a simulated file to scores with the default preset."""
    from benchmarks.preparation import watch, write_screen

    cells, genes, perturbations = (1500, 200, 8) if quick else (20_000, 3000, 100)
    with tempfile.TemporaryDirectory() as aside:
        file, path = Path(aside) / "screen.h5ad", Path(aside) / "runs" / "screen"
        write_screen(file, cells, genes, perturbations)
        options = ["--device", device, "--set", "network.ensemble=2" if quick else "network.ensemble=20"]
        options += ["--epochs", "2"] if quick else []
        command = [sys.executable, "-m", "gpovae_core.cli", "train", str(file), "--run", str(path), *options]
        found = watch(command, path)
        lines = (path / "metrics.jsonl").read_text().splitlines() if (path / "metrics.jsonl").exists() else []
        epochs = [json.loads(line)["seconds"] for line in lines]
        scores = path / "evaluation.json"
        return {
            "cells": cells,
            "genes": genes,
            "perturbations": perturbations,
            "passed": found["state"] == "done" and scores.exists(),
            "epochs": len(epochs),
            "epoch_s": statistics.median(epochs) if epochs else None,
            **found,
        }


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """In a process of its own: the memory is then that of this work alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def all_rows(given: argparse.Namespace) -> Any:
    """(part, what it found), one after the other."""
    device, quick = given.device, given.quick
    for part in given.parts:
        if part == "machine":
            yield part, apart(machine, device, quick)
        elif part == "tests":
            yield part, tests(device, quick)
        elif part == "run":
            yield part, run(device, quick)
        elif part == "steps":
            asked = [(size, preset, "float32") for size in sizes(quick) for preset in given.presets]
            asked += [(size, preset, "bf16") for size in sizes(quick) for preset in given.presets[:1]]
            for row in asked:
                yield part, [apart(step, device, quick, *row)]
        else:
            for size in sizes(quick):
                yield part, [apart(effects, device, quick, size, given.presets[-1])]


def table(head: str, rows: list[list[Any]]) -> list[str]:
    names = head.split(" | ")
    lines = [names, ["---"] * len(names), *rows]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines] + [""]


def rows_for_docs(found: dict[str, Any]) -> str:
    """What was found, as the tables of docs/performance.md."""
    lines = []
    if about := found.get("machine"):
        rates = about["product_tflop_per_s"]
        lines += [
            f"{about['name']}, torch {about['torch']}; a plain product runs at {rates['float32']:.3g} "
            f"TFLOP/s in float32, {rates['bf16']:.3g} with shortened factors.",
            "",
        ]
    if steps := found.get("steps"):
        lines += table(
            "size | preset | factors | step, s | products, GFLOP | share of the rate of a plain product | "
            f"epoch of {EPOCH_CELLS:,} cells, s | GPU memory, GB | memory, GB",
            [
                [
                    row["size"],
                    row["preset"],
                    row["precision"],
                    f"{row['step_s']:.3g}",
                    f"{row['gflop']:.3g}",
                    f"{row['share_of_peak']:.2f} of {row['product_gflop_per_s']:,.0f} GFLOP/s",
                    f"{row['epoch_s']:.3g}",
                    f"{row['gpu_gb']:.2f}",
                    f"{row['peak_gb']:.2f}",
                ]
                for row in steps
            ],
        )
    if rows := found.get("effects"):
        lines += table(
            "size | preset | perturbations | made ready, s | effects of all, s | largest difference from the "
            "CPU | GPU memory, GB",
            [
                [
                    row["size"],
                    row["preset"],
                    row["perturbations"],
                    f"{row['ready_s']:.2g}",
                    f"{row['seconds']:.3g}",
                    f"{row['apart_from_cpu']:.1g}",
                    f"{row['gpu_gb']:.2f}",
                ]
                for row in rows
            ],
        )
    if whole := found.get("run"):
        lines += [
            f"From file to scores, {whole['cells']:,} cells x {whole['genes']:,} genes x "
            f"{whole['perturbations']:,} perturbations: {whole['seconds']:.0f} s, {whole['epochs']} epochs.",
            "",
            *table("stage | s", [[stage, f"{value:.1f}"] for stage, value in whole["stages"].items()]),
        ]
    if checks := found.get("tests"):
        lines.append(f"Tests: {checks['summary']}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="small sizes: does all of it run?")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--presets", nargs="+", default=["released", "evidence"], choices=PRESETS)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    given = parser.parse_args()
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "There is no GPU that torch can use here. --device cpu --quick goes the same way without one."
        )
    asked = {"device": given.device, "quick": given.quick}
    found: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    if {name: found.get(name) for name in asked} != asked:
        found = asked
    found = {part: value for part, value in found.items() if part not in given.parts}
    for part, value in all_rows(given):
        found[part] = [*found.get(part, []), *value] if isinstance(value, list) else value
        given.out.write_text(json.dumps(found, indent=1))
        print(f"# {part}: {json.dumps(value)}", flush=True)
    rows = rows_for_docs(found)
    given.out.with_suffix(".md").write_text(rows)
    print(rows)
    if not all(found[part]["passed"] for part in ("tests", "run") if part in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
