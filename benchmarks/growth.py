"""How the cost of a training step grows with the panel, the measured genes, the batch and the hops.

    python benchmarks/growth.py --json python benchmarks/growth.py --plot docs/images/growth.png python
    benchmarks/growth.py --axes panel --repeats 1 --rows growth.jsonl      # one axis; rows are added to the
    file python benchmarks/growth.py --from growth.jsonl --plot docs/images/growth.png # only the picture

One axis is moved, the others stay at 1,000 panel genes (two fifths of them perturbed), 2,000 measured genes,
256 cells, 5 hops. products_gflop: what a step multiplies and adds in matrix products, counted by torch.
in_products_gflop: its processor time times the rate of a plain 2048 x 2048 float32 product measured beside it
in the same way, so that a busier or slower machine shows less. exponent: growth of that against the row
before, log(t2 / t1) / log(v2 / v1): 1 is linear, 2 is quadratic. perturbed: perturbed genes present in the
batch, whose rows of n x n matrices a step works on; per_perturbation: in_products_gflop over perturbed n^2,
which must not grow with n.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # as the command sets it: threads that wait must not count as work
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.screens import Size
from benchmarks.step import Steps

BASE = {"panel": 1000, "genes": 2000, "batch": 256, "hops": 5}
AXES = {
    "panel": (500, 1000, 2000, 4000),
    "genes": (1000, 2000, 4000, 8000),
    "batch": (64, 128, 256, 512),
    "hops": (1, 2, 5, 10),
}
WORDS = {"panel": "panel genes n", "genes": "measured genes", "batch": "cells in a batch", "hops": "hops K"}


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of all threads: unlike the clock's it hardly depends on who else is at work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def step_row(axis: str, value: int, preset: str, repeats: int) -> dict[str, Any]:
    at = BASE | {axis: value}
    perturbed = round(0.4 * at["panel"])
    size = Size(perturbed, at["panel"] - perturbed, max(at["genes"], at["panel"]))
    steps = Steps(size, preset, max(2000, 2 * at["batch"]), at["batch"], {"loss": {"hops": at["hops"]}})
    products = steps.fast_products()  # warms up as well
    square = torch.randn(2048, 2048)
    times, rates = [], []
    for _ in range(repeats):
        rates.append(2 * 2048**3 / seconds(lambda: square @ square))
        times.append(seconds(steps.fast))
        rates.append(2 * 2048**3 / seconds(lambda: square @ square))
    present = len(steps.dataset.__getitems__(steps.positions).rows)
    took, rate = statistics.median(times), statistics.median(rates)
    return {
        "axis": axis,
        "value": value,
        "seconds": round(took, 4),
        "products_gflop": round(products / 1e9, 2),
        "rate_gflop_per_s": round(rate / 1e9, 1),
        "in_products_gflop": round(took * rate / 1e9, 2),
        "perturbed": present,
        "per_perturbation": took * rate / (present * at["panel"] ** 2) if axis == "panel" else None,
        "threads": torch.get_num_threads(),
    }


def with_exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Growth against the row of the same axis before it; None for the first."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = last.get(row["axis"])
        ratio = (
            math.log(row["in_products_gflop"] / before["in_products_gflop"])
            / math.log(row["value"] / before["value"])
            if before
            else None
        )
        row["exponent"] = None if ratio is None else round(ratio, 2)
        last[row["axis"]] = row
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, frames = pyplot.subplots(1, len(AXES), figsize=(12, 3.2), sharey=True, constrained_layout=True)
    for frame, axis in zip(frames, AXES, strict=True):
        own = [row for row in rows if row["axis"] == axis]
        values = [row["value"] for row in own]
        frame.plot(
            values,
            [row["in_products_gflop"] for row in own],
            "o-",
            color="#0072B2",
            label="time of a step x product rate",
        )
        frame.plot(
            values,
            [row["products_gflop"] for row in own],
            "s--",
            color="#D55E00",
            label="matrix products of a step",
        )
        frame.set(xscale="log", yscale="log", xlabel=WORDS[axis])
        frame.set_xticks(values, [f"{value:,}" for value in values])
        frame.minorticks_off()
        frame.grid(alpha=0.3)
    frames[0].set_ylabel("GFLOP")
    frames[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--preset", default="released")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--rows", type=Path, help="add the rows to this file as they come, one JSON object a line"
    )
    parser.add_argument(
        "--from", dest="source", type=Path, help="measure nothing, take the rows of this file"
    )
    parser.add_argument("--plot", type=Path, help="write the picture here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.source.read_text().splitlines()] if given.source else []
    for axis in [] if given.source else given.axes:
        for value in AXES[axis]:
            rows.append(step_row(axis, value, given.preset, given.repeats))
            if given.rows:
                with given.rows.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    rows = with_exponents(rows)
    if given.plot:
        plot(rows, given.plot)
    if given.json:
        print(json.dumps({"preset": given.preset, "rows": rows}))
        return
    for row in rows:
        exponent = "" if row["exponent"] is None else f", exponent {row['exponent']:.2f}"
        print(
            f"{row['axis']:>6} {row['value']:>6}: {row['seconds']:.3f} s, {row['products_gflop']:.1f} GFLOP "
            f"of products{exponent}"
        )


if __name__ == "__main__":
    main()
