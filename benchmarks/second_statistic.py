"""Would a mean of logarithms beside the fold change of mean shares find more? What the sparse inverse sees
that W does not, and whether real screens have it.

    python benchmarks/second_statistic.py                                   # all worlds at hand, seed 0
    python benchmarks/second_statistic.py --worlds harissa grnlab files --seeds 0 --json
    python benchmarks/second_statistic.py --worlds none                     # the real screens alone

Where a perturbation changes how often transcripts come in bursts, and not how large these are, the mean of
logarithms tells more of it than the mean does. `both` joins the two: the difference of mean log(1 + x m / l)
(x of l counts, m counts in the median cell), per unit of what a change of the mean, or of the frequency, does
to it (geometric mean of the two: they differ little for few counts), believed to within SLACK of itself, and
the fold change, by generalised least squares with the correlation that controls show.

Worlds (as in benchmarks/worlds.py): average precision of W with either, and of the sparse inverse over mean
logarithms as it is compared elsewhere, over fold changes, over these as a target feels them
(methods.explained.felt), and over `both` as felt. Real screens (as in benchmarks/held_out_guides.py, cells
within their batches): how well fold changes in the cells of a held-out guide are predicted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anndata
import numpy as np
import pandas as pd
from held_out_guides import SCREENS, compare, knowing, screen
from worlds import World, chosen, precision, prepared_cells, rankings, true_edges

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.effects.design import Design
from gpovae_core.methods import network_fit
from gpovae_core.methods.explained import felt
from gpovae_core.methods.sparse_inverse import sizes

SLACK = 0.3
"""Share of itself by which a mean of logarithms may be off as a fold change."""
LEAST_LEFT = 0.07


def both(prepared: PreparedCells, *args: Any, **kwargs: Any) -> Contrasts:
    """`contrasts` with the second statistic joined to every effect but those of genes on themselves."""
    seen = contrasts(prepared, *args, **kwargs)
    measured = np.flatnonzero(prepared.panel.is_measured)
    difference, variance, unit, correlation = mean_logs(prepared, seen)
    effect, error = seen.effect[:, measured], seen.error[:, measured]
    known = np.isfinite(error) & np.isfinite(variance) & (unit > 1e-6)
    known &= seen.sources[:, None] != measured[None, :]
    unit = np.where(known, unit, 1.0)
    change = np.where(known, np.maximum(difference / unit, LEAST_LEFT - 1), 0.0)
    second = np.log1p(change)
    stretch = np.where(np.abs(change) > 1e-3, second / np.where(np.abs(change) > 1e-3, change, 1.0), 1.0)
    second_error = np.sqrt(np.where(known, variance, 1.0)) / unit * stretch
    second -= seen.shift[:, None]
    first2, second2 = (np.where(known, part**2, 1.0) for part in (error, second_error))
    shared = np.clip(correlation, 0.0, 0.99) * np.sqrt(first2 * second2)
    second2 = second2 + (SLACK * second) ** 2
    weight = np.clip((second2 - shared) / (first2 + second2 - 2 * shared), 0.0, 1.0)
    joined = weight * effect + (1 - weight) * second
    joined2 = weight**2 * first2 + (1 - weight) ** 2 * second2 + 2 * weight * (1 - weight) * shared
    effects, errors = seen.effect.copy(), seen.error.copy()
    effects[:, measured] = np.where(known, joined, effect)
    errors[:, measured] = np.where(known, np.sqrt(joined2), error)
    return replace(seen, effect=effects, error=errors)


def mean_logs(prepared: PreparedCells, seen: Contrasts) -> tuple[np.ndarray, ...]:
    """(p, m) each: difference of mean logarithms within strata, its variance (pooled), what a whole unit of
    change does to it, and how it goes with the mean share among controls.
    """
    design = Design.of(prepared)
    train = prepared.where(splits=(keys.TRAIN,)) & prepared.passing & (design.size > 0)
    controls = np.flatnonzero(train & (prepared.labels == keys.CONTROL))
    scale = np.median(design.size[controls]) / np.maximum(design.size, 1e-9)[:, None]
    counts = np.asarray(prepared.counts[:, prepared.panel_columns].toarray(), dtype=float)
    logs, share = np.log1p(counts * scale), counts * scale
    step = np.where(counts > 0, counts * (logs - np.log1p(np.maximum(counts - 1, 0.0) * scale)), 0.0)
    found = np.full((4, len(seen.sources), counts.shape[1]), np.inf)
    for row, source in enumerate(seen.sources):
        own = np.flatnonzero(train & (prepared.labels == prepared.panel.genes[source]))
        sums, whole = np.zeros((4, counts.shape[1])), 0.0
        for stratum in np.unique(design.stratum[own]):
            a, c = (part[design.stratum[part] == stratum] for part in (own, controls))
            if len(a) < 2 or len(c) < 2:
                continue
            weight = len(a) * len(c) / (len(a) + len(c))
            spread = logs[c].var(axis=0, ddof=1)
            pooled = ((len(a) - 1) * logs[a].var(axis=0, ddof=1) + (len(c) - 1) * spread) / (
                len(a) + len(c) - 2
            )
            together = ((logs[c] - logs[c].mean(axis=0)) * (share[c] - share[c].mean(axis=0))).sum(axis=0)
            together /= (len(c) - 1) * np.sqrt(np.maximum(spread * share[c].var(axis=0, ddof=1), 1e-300))
            sums += weight * np.array(
                [
                    logs[a].mean(axis=0) - logs[c].mean(axis=0),
                    pooled,  # times weight once more, over its square in the end: pooled (1 / a + 1 / c)
                    np.sqrt(step[c].mean(axis=0) * logs[c].mean(axis=0)),
                    together,
                ]
            )
            whole += weight
        if whole:
            found[:, row] = sums / whole
            found[1, row] /= whole
    return tuple(found)


def sparse_inverse(seen: Contrasts, as_felt: bool) -> np.ndarray:
    """(n, n) sizes of direct effects, NaN where nothing was measured."""
    n = seen.effect.shape[1]
    measured = np.isfinite(seen.error).all(axis=0)
    effect, error = seen.effect[:, measured], seen.error[:, measured]
    if as_felt:
        changed = np.abs(effect) > 1e-6
        kept = np.where(changed, felt(effect) / np.where(changed, effect, 1.0), 1.0)
        effect, error = effect * kept, error * kept
    place = np.full(n, -1)
    place[measured] = np.arange(measured.sum())
    result = np.full((n, n), np.nan)
    result[np.ix_(seen.sources, np.flatnonzero(measured))] = sizes(effect, error, place[seen.sources])
    return result


def of_world(world: World, seed: int) -> dict[str, Any]:
    settings = make_settings("evidence", {"data": {"seed": seed, "detect_doublets": False}})
    drawn = world.draw(seed)
    prepared = prepared_cells(drawn.cells, settings, design=True)
    fit = network_fit.fit_network(prepared, settings)
    with patch.object(network_fit, "contrasts", both):
        joined = network_fit.fit_network(prepared, settings)
    panel = prepared.panel
    edge = true_edges(drawn.edges, panel)[0] != 0
    pairs = np.isfinite(fit.evidence) & panel.is_perturbed[:, None] & panel.is_measured[None, :]
    pairs &= ~np.eye(len(panel), dtype=bool)
    plain, second = contrasts(prepared), both(prepared)
    known = rankings(prepared, fit, settings)[0]  # without the sparse inverse where no gene changed itself
    scores = {
        "w": fit.log_odds,
        "w_both": joined.log_odds,
        "sparse_logs": known.get("sparse_inverse", np.full(edge.shape, np.nan)),
        "sparse_fold": sparse_inverse(plain, as_felt=False),
        "sparse_felt": sparse_inverse(plain, as_felt=True),
        "sparse_both_felt": sparse_inverse(second, as_felt=True),
    }
    return {
        "world": world.name,
        "simulator": world.simulator,
        "seed": seed,
        **{key: round(precision(edge, score, pairs) or 0.0, 3) for key, score in scores.items()},
    }


def of_screen(name: str, folds: int, folder: Path) -> list[dict[str, Any]]:
    file, batch = SCREENS[name]
    cells = anndata.read_h5ad(folder / file)
    cells = cells[cells.obs["guide"].notna()]
    tables: dict[str, list[pd.DataFrame]] = {"fold": [], "both": []}
    narrower = []
    for fold in range(folds):
        prepared = knowing(screen(cells, batch, fold), (keys.BATCH,))
        held_out = contrasts(prepared, (keys.TEST,))
        plain, second = contrasts(prepared), both(prepared)
        narrower.append(np.median((plain.error[plain.counted] / second.error[plain.counted]) ** 2))
        tables["fold"].append(compare(plain, held_out))
        tables["both"].append(compare(second, held_out))
    lines = []
    for statistic, parts in tables.items():
        table = pd.concat(parts)
        sure = table[table["sure"]]
        lines.append(
            {
                "data": name,
                "statistic": statistic,
                "log_score": round(float(table["score"].mean()), 4),
                "calls": len(sure),
                "unconfirmed": round(float(1 - sure["confirmed"].mean()), 3),
                "variance_of_fold_over_this": 1.0
                if statistic == "fold"
                else round(float(np.mean(narrower)), 2),
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="*", default=[], help="as in worlds.py; none: no world")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    folder = Path(os.environ.get("GPOVAE_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")
    worlds = [] if options.worlds == ["none"] else chosen(options.worlds)
    of_worlds = (of_world(world, seed) for world in worlds for seed in options.seeds)
    real = [name for name, (file, _) in SCREENS.items() if (folder / file).exists()]
    of_screens = (line for name in real for line in of_screen(name, options.folds, folder))
    for line in itertools.chain(of_worlds, of_screens):
        words = (f"{key} {value}" for key, value in line.items())
        print(json.dumps(line) if options.json else "  ".join(words), flush=True)


if __name__ == "__main__":
    main()
