"""Do effects learned with some guides hold with another one? The effects stage alone, on the real screens.

    python benchmarks/held_out_guides.py
    python benchmarks/held_out_guides.py --json --folds 3
    python benchmarks/held_out_guides.py --least-effect 0.03    # another width of what does not matter

One guide of every gene that has several is held out, another one in every fold, with a third of the controls;
effects and their evidence are learned from the rest, and compared with the effects that the held-out guides
show within their batches. By design: *plain* knows neither batch nor guide, *batch* compares within batches,
*guide* takes what guides disagree on into the errors, *both* does both.

log score: mean over measured pairs of the log density of the held-out effect under what was learned (effects.
shrinkage, the errors of both sides included), over that of no effect. Of the pairs whose evidence is above
0.99: unconfirmed, the share that the held-out guides do not show with the same sign at 5 %; agree and
expected, the share with the same sign and what it should be were the evidence right. Real data as in
benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import norm

from gpovae_core import keys
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.effects.shrinkage import SLAB, EvidenceRule, fit_evidence

SCREENS = {
    "papalexi": ("papalexi2021_thp1_585.h5ad", "replicate"),
    "schraivogel": ("schraivogel2020_tapseq_k562.h5ad", "batch"),
}
"""Name -> file, and its column of batches."""
DESIGNS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "batch": (keys.BATCH,),
    "guide": (keys.GUIDE,),
    "both": (keys.BATCH, keys.GUIDE),
}
LEAST = 0.05
SURE = 0.99


def screen(cells: anndata.AnnData, batch: str, fold: int) -> PreparedCells:
    """All genes in the panel, every cell passing; one guide of each gene and a third of the controls are
    keys.TEST.
    """
    labels = cells.obs["perturbation"].astype(str).replace({"non-targeting": keys.CONTROL})
    guide = cells.obs["guide"].astype(str).to_numpy(dtype=object)
    rng = np.random.default_rng(fold)
    held = np.zeros(cells.n_obs, dtype=bool)
    for label in sorted(set(labels)):
        own = np.flatnonzero(labels == label)
        guides = sorted(set(guide[own]))
        if label == keys.CONTROL:
            held[rng.permutation(own)[: len(own) // 3]] = True
        elif len(guides) > 1:
            held[own[guide[own] == guides[fold % len(guides)]]] = True
    counts = sparse.csr_matrix(cells.X).astype(np.float32)
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: False,
            keys.SPLIT: np.where(held, keys.TEST, keys.TRAIN),
            keys.CONTROL_ID: "",
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1), dtype=np.float64).ravel(),
            keys.BATCH: cells.obs[batch].astype(str).to_numpy(dtype=object),
            keys.GUIDE: guide,
        },
        index=cells.obs_names,
    )
    perturbed = tuple(sorted(set(labels) - {keys.CONTROL}))
    genes = [str(gene) for gene in cells.var_names]
    others = tuple(gene for gene in genes if gene not in perturbed)
    panel = Panel(PanelData(perturbed=perturbed, extended=others, measured=tuple(genes)))
    report = PreparationReport(
        source="real",
        cells_read=cells.n_obs,
        cells_kept=cells.n_obs,
        genes_measured=len(genes),
        counts_from="X",
        label_column="perturbation",
        control_label="non-targeting",
        perturbations={},
        control_cells=int((labels == keys.CONTROL).sum()),
    )
    return PreparedCells.of(counts, obs, genes, panel, report)


def knowing(prepared: PreparedCells, design: tuple[str, ...]) -> PreparedCells:
    """The same cells, of whose design only the columns `design` are known."""
    unknown = [key for key in (keys.BATCH, keys.GUIDE) if key not in design]
    obs = pd.DataFrame(prepared.cells.obs).drop(columns=unknown)
    return PreparedCells.of(
        prepared.counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report
    )


def posterior(
    rule: EvidenceRule, rows: np.ndarray, effect: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, ...]:
    """(k, components) weights, means and standard deviations of true effects, from the formulas of a normal
    mixture (Stephens 2017).
    """
    spread = np.concatenate([[rule.least_effect], SLAB])
    prior = np.concatenate([rule.null_share[:, None], (1 - rule.null_share)[:, None] * rule.slab], axis=1)
    variance = error[:, None] ** 2 + spread**2
    log_density = -0.5 * (effect[:, None] ** 2 / variance + np.log(variance))
    weight = prior[rows] * np.exp(log_density - log_density.max(axis=1, keepdims=True))
    kept = spread**2 / variance
    return (
        weight / weight.sum(axis=1, keepdims=True),
        kept * effect[:, None],
        np.sqrt(kept) * error[:, None],
    )


def compare(learned: Contrasts, held_out: Contrasts, least: float = LEAST) -> pd.DataFrame:
    """A line per pair that both sides measure: score (log), sure, confirmed, agrees, expected. least: width
    of effects that do not matter, for what is learned; no effect always has that of LEAST.
    """
    rule = fit_evidence(learned.effect, learned.error, learned.counted, least)
    _, own, other = np.intersect1d(learned.sources, held_out.sources, return_indices=True)
    pairs = learned.counted[own] & held_out.counted[other]
    effect, error = learned.effect[own][pairs], learned.error[own][pairs]
    seen, seen_error = held_out.effect[other][pairs], held_out.error[other][pairs]
    weight, mean, sd = posterior(rule, own[np.nonzero(pairs)[0]], effect, error)
    density = (weight * norm.pdf(seen[:, None], mean, np.hypot(sd, seen_error[:, None]))).sum(axis=1)
    none = norm.logpdf(seen, 0.0, np.hypot(seen_error, LEAST))
    sign = np.sign(effect)
    with_sign = norm.cdf(sign[:, None] * mean / np.hypot(sd, seen_error[:, None]))
    agrees = np.sign(seen) == sign
    return pd.DataFrame(
        {
            "score": np.log(np.maximum(density, 1e-300)) - none,
            "sure": 1 - weight[:, 0] > SURE,
            "confirmed": agrees & (np.abs(seen / seen_error) > keys.NORMAL_95),
            "agrees": agrees,
            "expected": (weight[:, 1:] * with_sign[:, 1:]).sum(axis=1) + 0.5 * weight[:, 0],
        }
    )


def row(name: str, design: str, folds: int, data: Path, least: float) -> dict[str, Any]:
    file, batch = SCREENS[name]
    cells = anndata.read_h5ad(data / file)
    cells = cells[cells.obs["guide"].notna()]
    tables = []
    for fold in range(folds):
        prepared = screen(cells, batch, fold)
        held_out = contrasts(knowing(prepared, (keys.BATCH,)), (keys.TEST,))
        learned = contrasts(knowing(prepared, DESIGNS[design]), (keys.TRAIN,))
        tables.append(compare(learned, held_out, least))
    table = pd.concat(tables)
    sure = table[table["sure"]]
    return {
        "data": name,
        "design": design,
        "folds": folds,
        "log_score": float(table["score"].mean()),
        "calls": len(sure),
        "unconfirmed": float(1 - sure["confirmed"].mean()),
        "agree": float(sure["agrees"].mean()),
        "expected": float(sure["expected"].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", nargs="+", default=list(SCREENS), choices=list(SCREENS))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--least-effect", type=float, default=LEAST)
    options = parser.parse_args()
    folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    if not options.json:
        print("| screen | design | log score | calls | unconfirmed | agree | expected |")
        print("|---|---|---|---|---|---|---|")
    for name in options.data:
        for design in DESIGNS:
            found = row(name, design, options.folds, folder, options.least_effect)
            if options.json:
                print(json.dumps(found), flush=True)
                continue
            figures = (f"{found[key]:.3f}" for key in ("unconfirmed", "agree", "expected"))
            print(
                f"| {name} | {design} | {found['log_score']:.4f} | {found['calls']} | {' | '.join(figures)} |"
            )


if __name__ == "__main__":
    main()
