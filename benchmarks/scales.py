"""On which scale do responses add up along paths? Direct edges found in worlds of other people's simulators
with effects as logarithms, roots or shares, by W and by the sparse inverse.

    python benchmarks/scales.py [--seed 0]

The worlds are the files in ../shared/data/worlds (or GPOVAE_DATA_DIR/worlds), as in worlds.py. Scales of a
log fold change x, whose slope at 0 is 1: logarithm x, root 2 (exp(x/2) - 1), share exp(x) - 1; errors by
their slope. One row a world: area under precision and recall over measured pairs.

W as it is feels the share that is lost of a source and the logarithm of a rise, and answers in logarithms; `W
root` takes the root of both, by putting transformed effects in the place of the measured ones, and `same
evidence` does so only where paths are explained, with errors over which every effect is as large as before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import worlds

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.methods import direct, network_fit, own_change
from gpovae_core.methods.explained import TotalEffects
from gpovae_core.methods.sparse_inverse import LEAST_ERROR, LEAST_OWN, PENALTIES, Totals, direct_effects

LARGEST = 8.0
"""Log fold change above which every scale stands still."""
Scale = Callable[[np.ndarray], np.ndarray]
SCALES: dict[str, tuple[Scale, Scale]] = {
    "log": (lambda x: x, np.ones_like),
    "root": (lambda x: 2 * np.expm1(x / 2), lambda x: np.exp(x / 2)),
    "share": (np.expm1, np.exp),
}


def on_scale(observed: Contrasts, scale: str) -> Contrasts:
    value, slope = SCALES[scale]
    x = np.minimum(observed.effect, LARGEST)
    return replace(observed, effect=value(x), error=observed.error * slope(x))


def inverse(observed: Contrasts, measured: np.ndarray, n: int) -> np.ndarray:
    """(n, n) direct effects as methods.sparse_inverse finds them, from these effects; NaN elsewhere."""
    columns = np.flatnonzero(measured)
    place = {int(gene): column for column, gene in enumerate(columns)}
    known = np.isfinite(observed.error)
    error = np.where(known, observed.error, 10 * observed.error[known].max())[:, columns]
    effect, error = observed.effect[:, columns], np.maximum(error, LEAST_ERROR)
    own = [(row, place[int(gene)]) for row, gene in enumerate(observed.sources) if int(gene) in place]
    strong = [
        (row, column) for row, column in own if abs(effect[row, column]) > LEAST_OWN * error[row, column]
    ]
    rows, inner = (np.array(part) for part in zip(*strong, strict=True))
    through = effect[:, inner]
    through[rows, np.arange(len(rows))] = 0.0
    sized = np.zeros(effect.shape)
    totals = Totals.of(effect[rows], error[rows], inner)
    for penalty, found in zip(PENALTIES, direct_effects(totals), strict=True):
        left = np.maximum(np.abs(effect - through @ found) - penalty * error, 0.0)
        left[rows] = np.abs(found * effect[rows, inner][:, None])
        sized += left
    whole = np.full((n, n), np.nan)
    whole[np.ix_(observed.sources, columns)] = sized
    return whole


def on_roots(prepared: PreparedCells, settings: Settings) -> np.ndarray:
    """(n, n) log odds of W with sources and targets on the scale of roots."""
    value, _ = SCALES["root"]
    real = own_change.own_change

    def own(_transformed: Contrasts, *options: Any) -> own_change.OwnChange:
        found = real(contrasts(prepared), *options)
        return replace(found, change=value(found.change))

    with (
        patch.object(network_fit, "contrasts", lambda cells: on_scale(contrasts(cells), "root")),
        patch.object(network_fit, "own_change", own),
        patch.object(direct, "felt", lambda change: change),
    ):
        return network_fit.fit_network(prepared, settings).log_odds


def same_evidence(prepared: PreparedCells, settings: Settings) -> np.ndarray:
    """(n, n) log odds of W on the scale of roots, with errors that leave every effect as evident as it is."""
    value, _ = SCALES["root"]
    whole = network_fit._total  # pyright: ignore[reportPrivateUsage]

    def on_its_scale(x: np.ndarray) -> np.ndarray:
        return value(np.minimum(np.nan_to_num(x), LARGEST))

    def total(*parts: Any) -> TotalEffects:
        found = whole(*parts)
        some = np.where(found.effect == 0, 1.0, np.nan_to_num(found.effect))
        ratio = np.where(found.effect == 0, 1.0, on_its_scale(some) / some)
        return replace(
            found,
            effect=on_its_scale(found.effect),
            error=found.error * ratio,
            believed=on_its_scale(found.believed),
            own=on_its_scale(found.own),
        )

    with patch.object(network_fit, "_total", total), patch.object(direct, "felt", lambda change: change):
        return network_fit.fit_network(prepared, settings).log_odds


def one(world: worlds.World, seed: int, settings: Settings) -> dict[str, float | None]:
    screen = world.draw(seed)
    prepared = worlds.prepared_cells(screen.cells, settings, design=True)
    panel, fit = prepared.panel, network_fit.fit_network(prepared, settings)
    edge = worlds.true_edges(screen.edges, panel)[0] != 0
    pairs = np.isfinite(fit.evidence) & panel.is_perturbed[:, None] & panel.is_measured[None, :]
    pairs &= ~np.eye(len(panel), dtype=bool)
    found = {
        "W": fit.log_odds,
        "W root": on_roots(prepared, settings),
        "W root, same evidence": same_evidence(prepared, settings),
    }
    for scale in SCALES:
        observed = on_scale(contrasts(prepared), scale)
        found[f"inverse {scale}"] = inverse(observed, panel.is_measured, len(panel))
    return {name: worlds.precision(edge, score, pairs) for name, score in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    seed, settings = parser.parse_args().seed, make_settings("evidence", {})
    rows = {world.name: one(world, seed, settings) for world in worlds.chosen(["files"])}
    table = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
    table.loc["mean"] = table.mean()
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
