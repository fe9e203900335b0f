"""Which edges differ between two conditions? On cells that do not differ, on differences that were put there,
and between real conditions.

    python -m benchmarks.conditions
    python -m benchmarks.conditions --json --only null --draws 40

null: Papalexi's cells in two random halves, which differ in nothing: how often is any difference told, and
how many. planted: the same halves, but in the second one controls stand in for the cells of two knock-outs,
so that all their effects are gone there. real: Papalexi's replicates 1 and 2, Datlinger's stimulated and
unstimulated cells. Network stage of the preset evidence. Real data as in benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import anndata
import numpy as np

from benchmarks.transfer import DATA, DATLINGER, PART, settings_of
from gpovae_core import keys
from gpovae_core.data.prepare import prepare
from gpovae_core.network.differences import ONLY_A, STATES, Differences, compare_conditions, pool
from gpovae_core.reporting.conditions import differences_in_words

PAPALEXI = "papalexi2021_thp1_585.h5ad"
GONE = ("STAT1", "SMAD4")
THRESHOLD, LEVEL, PERMUTATIONS = 0.5, 0.1, 50


def compared(
    cells: anndata.AnnData, a: str, b: str, seed: int = 0, permutations: int = PERMUTATIONS, **data: object
) -> Differences:
    """The conditions `a` and `b` of the column PART over one panel."""
    sides = [settings_of(part, panel="all", **data) for part in (a, b)]
    pooled = pool(a, prepare(cells, sides[0].data), b, prepare(cells, sides[1].data))
    found = compare_conditions(pooled, sides[0], THRESHOLD, permutations, LEVEL, seed)
    return Differences(**{**vars(found), "a": a, "b": b})


def halves(seed: int, gone: tuple[str, ...] = ()) -> anndata.AnnData:
    """Papalexi's cells in random halves; gone: knock-outs whose cells in the second one are controls."""
    cells = anndata.read_h5ad(DATA / PAPALEXI)
    rng = np.random.default_rng(seed)
    second = rng.random(cells.n_obs) < 0.5
    labels = cells.obs["perturbation"].astype(str).to_numpy(dtype=object)
    for gene in gone:
        own, controls = (np.flatnonzero(second & (labels == name)) for name in (gene, "non-targeting"))
        stand_in = rng.permutation(controls)[: min(len(own), len(controls) // 3)]
        labels[own] = "left out"
        labels[stand_in] = gene
    cells.obs["perturbation"], cells.obs["guide"] = labels, "unknown"
    cells.obs[PART] = np.where(second, "second", "first")
    return cells[labels != "left out"].copy()


def null(draws: int) -> dict[str, Any]:
    told = [
        int(
            (
                compared(halves(seed), "first", "second", seed, 20, batch="replicate").edges["fdr"] <= LEVEL
            ).sum()
        )
        for seed in range(draws)
    ]
    return {"draws": draws, "with_any": sum(n > 0 for n in told), "told": told}


def planted(draws: int) -> dict[str, Any]:
    found = [
        compared(halves(seed, GONE), "first", "second", seed, batch="replicate").edges
        for seed in range(min(draws, 3))
    ]
    rows = []
    for edges in found:
        own = edges[keys.SOURCE].isin(GONE)
        told = edges["fdr"] <= LEVEL
        first = own & (edges["weight_a"] > THRESHOLD)
        rows.append(
            {
                "edges_gone": int(first.sum()),
                "told_as_such": int((first & (edges["state"] == ONLY_A)).sum()),
                "told": int(told.sum()),
                "told_elsewhere": int((told & ~own).sum()),
            }
        )
    return {"gone": GONE, "draws": rows}


def real(draws: int) -> dict[str, Any]:
    papalexi, datlinger = (anndata.read_h5ad(DATA / name) for name in (PAPALEXI, DATLINGER))
    papalexi.obs[PART] = papalexi.obs["replicate"].astype(str)
    papalexi.obs["lane"] = papalexi.obs["lane"].astype(str)
    datlinger.obs[PART] = datlinger.obs.pop("condition").astype(str)
    found = [
        compared(papalexi, "rep1", "rep2", batch="none"),
        compared(datlinger, "stimulated", "unstimulated"),
    ]
    return {
        f"{one.a}, {one.b}": {
            "words": differences_in_words(one),
            **{state: one.count(state) for state in STATES},
        }
        for one in found
    }


TASKS = {one.__name__: one for one in (null, planted, real)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=TASKS, nargs="*", default=list(TASKS))
    parser.add_argument("--draws", type=int, default=20, help="random halves")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    answers = {}
    for name in options.only:
        answers[name] = TASKS[name](options.draws)
        if not options.json:
            print(f"== {name} ==", flush=True)
            for key, value in answers[name].items():
                print(key, value if not isinstance(value, dict) else value["words"], flush=True)
    if options.json:
        print(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
