"""One training step against the same step written as the formulas stand (benchmarks/literal.py), side by
side.

    python benchmarks/step.py --size k562 --json
    python benchmarks/step.py --size adamson rpe1 k562 --repeats 3

A step is everything from the positions of 512 cells to changed weights: the batch, the loss, its gradients,
Adam. Both steps take the weights of one model, the settings of a preset, and turns; the figures are medians.
share_of_peak: matrix products of the fast step (counted by torch) per second, over the rate of a plain 2048 x
2048 float32 product measured in between. peak_gb: largest resident memory of a process of its own that loads
5,000 cells and makes two fast steps.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.literal import CellByCell, Draws, literal_loss
from benchmarks.screens import SIZES, Size, random_screen
from gpovae_core import keys
from gpovae_core.config import PRESETS, Settings, make_settings
from gpovae_core.data.batches import CellBatches, counterfactual_profiles, training_constants
from gpovae_core.model.loss import LossInputs, PlateWeights, loss_terms
from gpovae_core.model.module import GpoVae
from gpovae_core.model.products import Precision, products


class Steps:
    """A model, its data, and one step either way."""

    def __init__(
        self,
        size: Size,
        preset: str,
        cells: int,
        batch: int,
        changes: dict[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        self.settings: Settings = make_settings(preset, changes or {})
        self.device = torch.device(device)
        self.prepared = prepared = random_screen(size, cells)
        constants = training_constants(prepared)
        self.model = GpoVae(self.settings.model, len(prepared.panel), prepared.cells.n_vars)
        self.model.set_count_statistics(
            torch.as_tensor(constants.log_mean, dtype=torch.float32),
            torch.as_tensor(constants.log_std, dtype=torch.float32),
        )
        self.model.to(self.device)
        weights = PlateWeights.from_constants(constants, self.settings.loss.balance_artifacts)
        self.weights = weights.to(self.device)
        self.measured = torch.from_numpy(np.flatnonzero(prepared.panel.is_measured)).to(self.device)
        self.dataset = CellBatches(
            prepared,
            (keys.TRAIN,),
            counterfactual_profiles(prepared, self.settings.loss.counterfactual_cells, 0),
        )
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=1e-5, fused=True)
        self.positions = np.random.default_rng(0).permutation(len(self.dataset))[:batch].tolist()

    def fast(self) -> None:
        particles = self.settings.training.particles
        batch = self.dataset.__getitems__(self.positions).to(self.device)
        noise = [self.model.guide.noise(particles, len(batch.rows)) for _ in range(2)]
        basal = torch.randn(particles, len(self.positions), self.settings.model.latent, device=self.device)
        inference = self.model.infer(batch, noise[0], noise[1], basal)
        terms = loss_terms(
            LossInputs(self.model, batch, inference, self.weights, self.measured, self.settings.loss)
        )
        self._learn(terms.total)

    def literal(self) -> None:
        cells = CellByCell.collate(self.dataset, self.positions)
        draws = Draws.fresh(self.model, self.settings.training.particles, len(self.positions))
        terms = literal_loss(self.model, cells, draws, self.weights, self.measured, self.settings.loss)
        self._learn(torch.stack(list(terms.values())).sum())

    def _learn(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def fast_products(self) -> float:
        """Floating point operations of the matrix products of one fast step, backward included."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.fast()
        return float(counter.get_total_flops())


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(
    name: str, preset: str, repeats: int, cells: int, batch: int, precision: Precision
) -> dict[str, Any]:
    """A row: the two steps in turns, the rate of a plain product between them."""
    steps = Steps(SIZES[name], preset, cells, batch)
    with products(precision):
        work = steps.fast_products()  # warms up as well
    square = torch.randn(2048, 2048)
    rates, fast, literal = [], [], []
    for _ in range(repeats):
        literal.append(seconds(steps.literal))
        for _ in range(3):
            with products(precision):  # as a training does; the literal step takes torch as it comes
                rates.append(2 * 2048**3 / seconds(lambda: square @ square))
                fast.append(seconds(steps.fast))
    fast_s, literal_s = statistics.median(fast), statistics.median(literal)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(peak_gb, (name, preset, cells, batch))
    return {
        "size": name,
        "preset": preset,
        "precision": precision,
        "ratio": literal_s / fast_s,
        "literal_s": literal_s,
        "fast_s": fast_s,
        "share_of_peak": work / fast_s / statistics.median(rates),
        "peak_gb": peak,
        "gflop": work / 1e9,
        "matrix_product_gflop_per_s": statistics.median(rates) / 1e9,
        "threads": torch.get_num_threads(),
    }


def peak_gb(name: str, preset: str, cells: int, batch: int) -> float:
    steps = Steps(SIZES[name], preset, cells, batch)
    for _ in range(2):
        steps.fast()
    return peak_memory_gb()


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a child starts at that of its parent
        return (
            next(
                int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")
            )
            / 1e6
        )
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--presets", nargs="+", default=["released"], choices=list(PRESETS))
    parser.add_argument(
        "--precision",
        default="float32",
        choices=["float32", "bf16"],
        help="of the fast step and of the plain product",
    )
    parser.add_argument("--repeats", type=int, default=3, help="literal steps; each with three fast ones")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=512)
    options = parser.parse_args()
    for name in options.size:
        for preset in options.presets:
            # In a process of its own: memory that a larger size left behind would serve the next, the literal
            # step by a fifth.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                row = pool.submit(
                    measure, name, preset, options.repeats, options.cells, options.batch, options.precision
                ).result()
            print(json.dumps(row) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
