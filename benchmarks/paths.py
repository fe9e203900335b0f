"""Time of one path tracing on a dense W of the largest published panel: python benchmarks/paths.py
[--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import trace_paths


def dense_network(n: int, kind: str, seed: int) -> GeneNetwork:
    """W as after training (`trained`: most edges improbable), uniform, or all ones (every path ties)."""
    rng = np.random.default_rng(seed)
    draw = {
        "trained": lambda: 1 / (1 + np.exp(-rng.normal(-4.0, 2.0, (n, n)))),
        "uniform": lambda: rng.random((n, n)),
        "ones": lambda: np.ones((n, n)),
    }
    names = tuple(f"G{i:05d}" for i in range(n))
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=names, extended=(), measured=names)), draw[kind]()
    )


def median_ms(network: GeneNetwork, hops: int, top: int, repeats: int) -> float:
    """Median over `repeats` pairs of genes."""
    times = []
    for target in range(1, repeats + 1):
        started = time.perf_counter()
        trace_paths(network, network.panel.genes[0], network.panel.genes[target], hops, top)
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=1546)
    parser.add_argument("--hops", type=int, default=5)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    given = parser.parse_args()
    result = {"n": given.genes, "hops": given.hops, "top": given.top, "median_ms": {}}
    for kind in ("trained", "uniform", "ones"):
        network = dense_network(given.genes, kind, given.seed)
        result["median_ms"][kind] = round(median_ms(network, given.hops, given.top, given.repeats), 1)
    if given.json:
        print(json.dumps(result))
        return
    print(
        f"best {given.top} paths of at most {given.hops} hops, {given.genes} genes, median of "
        f"{given.repeats}:"
    )
    for kind, value in result["median_ms"].items():
        print(f"  {kind:8s} {value:7.1f} ms")


if __name__ == "__main__":
    main()
