"""Are perturbations that move cells between states named, and only those? Screens of the own simulator.

    python benchmarks/composition.py
    python benchmarks/composition.py --seeds 0 1 2 3 4 5

Of 30 perturbations four move cells from one state to another in `composition` and none in `balanced`
(benchmarks/worlds.py, screens as `gpovae train` prepares them). named: of those that do; others: of those
that do not; separation: the largest of a pair of states that was found, standard deviations within them.
"""

from __future__ import annotations

import argparse

import pandas as pd
import worlds

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate.result import TRUE_PERTURBATIONS
from gpovae_core.effects.composition import composition


def named(name: str, depth: str, seed: int) -> dict[str, float]:
    """The figures of one screen."""
    cells = worlds.simulated(name, depth, seed).cells
    truth = cells.uns[TRUE_PERTURBATIONS]
    moving = set(truth.loc[truth["moves_states"], keys.PERTURBATION]) if "moves_states" in truth else set()
    found = composition(prepare(cells, DataSettings(pairing="exact", detect_doublets=False, seed=seed)))
    flagged = set(found.table.loc[found.table["flagged"].astype(bool), keys.PERTURBATION])
    return {
        "moving": len(moving),
        "named": len(flagged & moving),
        "others": len(flagged - moving),
        "separation": max(found.separations, default=float("nan")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    rows = [
        {"screen": name, "counts": depth, "seed": seed, **named(name, depth, seed)}
        for name in ("composition", "balanced")
        for depth in worlds.DEPTHS
        for seed in asked.seeds
    ]
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
