"""Do the probabilities of the preset `evidence` mean what they say? Without training: only the network stage
is asked.

    python benchmarks/calibration.py
    python benchmarks/calibration.py --json --seeds 0 1 2

Tails: how often the z score (log fold change over its standard error) of a pair without an effect lies beyond
2, 3 and 4, over how often a normal one does; by the error that is used (the signed root of a likelihood
ratio) and by the first-order error of a logarithm. Pairs without an effect: training controls of the real
screens relabelled as perturbed, by the number of counts expected in the perturbed cells; and in simulated
cells those that no path joins (300 genes of forks, 150 cells per perturbation, three depths).

Signs: of the real pairs with an evidence for an effect between two bounds, how many have the same sign in the
held-out cells, and how many should have, were the probabilities and strengths right: no effect agrees half of
the time, a true one as often as its size and the errors of both sets of cells allow. Then the same for W.
Real data as in benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from anndata import AnnData
from quality import REAL
from scipy.special import expit
from scipy.stats import norm
from simulated import true_reach

from gpovae_core import keys
from gpovae_core.config import Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.data.simulate import (
    CONTROL_LABEL,
    DOUBLET,
    LOW_QUALITY,
    Simulation,
    SimulationSettings,
    simulate,
)
from gpovae_core.effects import contrasts as module
from gpovae_core.effects.contrasts import Contrasts, ShareMoments, contrasts, null_contrasts
from gpovae_core.effects.design import Design
from gpovae_core.effects.shrinkage import SLAB, EvidenceRule, fit_evidence
from gpovae_core.methods.network_fit import fit_network

TAILS = (2.0, 3.0, 4.0)
DEPTHS = (8000.0, 1500.0, 300.0)
EXPECTED = (0.0, 10.0, 50.0, 300.0, np.inf)
BOUNDS = (0.0, 0.2, 0.5, 0.8, 0.95, 0.99, 0.9999, 1.0)
GENES, CELLS_EACH, CONTROL_SHARE = 300, 150, 0.2
MITOCHONDRIAL = "MT-"

_used = module.log_fold_change


def first_order(
    treated: ShareMoments, control: ShareMoments, pseudo_share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same log ratio with the pooled standard error of the difference over the pooled mean."""
    n, m = (side.cells if side.cells.ndim > 1 else side.cells[:, None] for side in (treated, control))
    variance = ((n - 1) * treated.variance + (m - 1) * control.variance) / np.maximum(n + m - 2, 1)
    variance = np.where(variance > 0, variance, pseudo_share**2 * (n + m))
    mean = (n * treated.mean + m * control.mean) / (n + m) + pseudo_share
    return _used(treated, control, pseudo_share)[0], np.sqrt(variance * (1 / n + 1 / m)) / mean


ERRORS = {"likelihood root": _used, "first order": first_order}


# Tails of z -------------------------------------------------------------------------------------------------


def relabelled_tails(prepared: PreparedCells, draws: int) -> list[dict[str, Any]]:
    """Training controls in the place of every perturbation, `draws` times."""
    rows = []
    for name, formula in ERRORS.items():
        with patch.object(module, "log_fold_change", formula):
            like = contrasts(prepared)
            z = np.concatenate([_z(null, like.counted) for null in null_contrasts(prepared, like, draws, 0)])
        counts = like.cells[:, None] * like.control_share * np.median(Design.of(prepared).size)
        expected = np.tile(counts[like.counted], len(z) // int(like.counted.sum()))
        for low, high in ((0.0, np.inf), *pairwise(EXPECTED)):
            chosen = z[(expected >= low) & (expected < high)]
            rows.append(
                {
                    "error": name,
                    "expected_counts": f"{low:g} to {high:g}",
                    "share": len(chosen) / len(z),
                    **_tails(chosen),
                }
            )
    return rows


def simulated_tails(library_median: float, seeds: list[int]) -> list[dict[str, Any]]:
    """Pairs that no path joins, all seeds together."""
    scores: dict[str, list[np.ndarray]] = {name: [] for name in ERRORS}
    for seed in seeds:
        simulation = simulate(
            SimulationSettings(
                genes=GENES,
                perturbations=GENES,
                cells=round(CELLS_EACH * GENES / (1 - CONTROL_SHARE)),
                network="forks",
                edges_per_gene=0.2,
                library_median=library_median,
                seed=seed,
            )
        )
        prepared = without_pairing(simulation)
        for name, formula in ERRORS.items():
            with patch.object(module, "log_fold_change", formula):
                observed = contrasts(prepared)
            scores[name].append(
                _z(observed, observed.counted & ~true_reach(simulation, prepared)[observed.sources])
            )
    return [
        {"error": name, "library_median": library_median, **_tails(np.concatenate(values))}
        for name, values in scores.items()
    ]


def without_pairing(simulation: Simulation) -> PreparedCells:
    """Good training cells only and every gene in the panel: `prepare` would match controls, for hours at this
    number of perturbations.
    """
    cells = simulation.adata[~(simulation.adata.obs[LOW_QUALITY] | simulation.adata.obs[DOUBLET])]
    labels = cells.obs[keys.PERTURBATION].astype(str).replace({CONTROL_LABEL: keys.CONTROL})
    library = np.asarray(cells.X.sum(axis=1), dtype=np.float64).ravel()
    obs = pd.DataFrame(
        {keys.PERTURBATION: labels, keys.ARTIFACT: False, keys.SPLIT: keys.TRAIN, keys.LIBRARY_SIZE: library},
        cells.obs_names,
    )
    names = [name for name in cells.var_names if not name.startswith(MITOCHONDRIAL)]
    panel = Panel(
        PanelData(perturbed=tuple(sorted(set(labels) - {keys.CONTROL})), extended=(), measured=tuple(names))
    )
    report = PreparationReport(
        source="simulated",
        cells_read=cells.n_obs,
        cells_kept=cells.n_obs,
        genes_measured=cells.n_vars,
        counts_from="X",
        label_column=keys.PERTURBATION,
        control_label=CONTROL_LABEL,
        perturbations={},
        control_cells=int((labels == keys.CONTROL).sum()),
    )
    return PreparedCells(
        AnnData(cells.X.copy(), obs=obs, var=pd.DataFrame(index=cells.var_names)), panel, report
    )


def _z(observed: Contrasts, pairs: np.ndarray) -> np.ndarray:
    return observed.effect[pairs] / observed.error[pairs]


def _tails(z: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"pairs": len(z), "sd": float(z.std())}
    for tail in TAILS:
        row[f"below_-{tail:g}"] = float((z < -tail).mean() / norm.sf(tail))
        row[f"above_{tail:g}"] = float((z > tail).mean() / norm.sf(tail))
    return row


# Signs in held-out cells ------------------------------------------------------------------------------------


def held_out_signs(prepared: PreparedCells, settings: Settings) -> pd.DataFrame:
    """A line per pair seen in training and in held-out cells: evidence, w, agrees (sign), expected
    (probability that it does).
    """
    training, held = contrasts(prepared), contrasts(prepared, splits=(keys.TEST,))
    rule = fit_evidence(training.effect, training.error, training.counted, settings.network.least_effect)
    both, own, other = np.intersect1d(training.sources, held.sources, return_indices=True)
    pairs = training.counted[own] & held.counted[other]
    belief = rule.judge(training.effect, training.error).probability
    mean, deviation, weight = np.moveaxis(posterior(rule, training)[own], -1, 0)
    expected = (weight * norm.cdf(mean / np.hypot(deviation, held.error[other][..., None]))).sum(axis=-1)
    return pd.DataFrame(
        {
            "evidence": belief[own][pairs],
            "w": expit(fit_network(prepared, settings).log_odds)[both][pairs],
            "agrees": (np.sign(training.effect[own]) == np.sign(held.effect[other]))[pairs],
            "expected": expected[pairs],
        }
    )


def posterior(rule: EvidenceRule, observed: Contrasts) -> np.ndarray:
    """(p, n, components, 3): posterior mean towards the observed effect, its standard deviation, and weight,
    per component of the mixture.

    Written from the formulas of a normal mixture (Stephens 2017), not taken from effects.shrinkage.
    """
    prior = np.concatenate([[rule.least_effect], SLAB]) ** 2
    error2 = np.where(np.isfinite(observed.error), observed.error, 1.0)[..., None] ** 2
    weight = np.concatenate([rule.null_share[:, None], (1 - rule.null_share)[:, None] * rule.slab], axis=1)[
        :, None, :
    ]
    weight = weight * norm.pdf(observed.effect[..., None], scale=np.sqrt(prior + error2))
    weight /= np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
    kept = prior / (prior + error2)
    mean = kept * np.abs(observed.effect)[..., None]
    return np.stack([mean, np.sqrt(kept * error2), weight], axis=-1)


def by_probability(pairs: pd.DataFrame, of: str) -> list[dict[str, Any]]:
    groups = pairs.groupby(pd.cut(pairs[of], list(BOUNDS), include_lowest=True), observed=True)
    return [
        {
            "of": of,
            "between": f"{bound.left:g} and {bound.right:g}",  # type: ignore[attr-defined]
            "pairs": len(group),
            "mean": float(group[of].mean()),
            "agree": float(group["agrees"].mean()),
            "expected": float(group["expected"].mean()),
        }
        for bound, group in groups
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--data", nargs="*", default=list(REAL), choices=list(REAL))
    parser.add_argument(
        "--depths", type=float, nargs="*", default=list(DEPTHS), help="median counts per simulated cell"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=40, help="of relabelled controls, for the tails")
    options = parser.parse_args()

    def show(kind: str, rows: list[dict[str, Any]], **what: Any) -> None:
        for row in rows:
            line = {"kind": kind, **what, **row}
            print(json.dumps(line) if options.json else line, flush=True)

    folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    for name in options.data:
        signs = []
        for seed in options.seeds:
            settings = make_settings("evidence", {"data": {"seed": seed}, "training": {"seed": seed}})
            prepared = prepare(folder / REAL[name], settings.data)
            if seed == options.seeds[0]:
                show("tails", relabelled_tails(prepared, options.draws), data=name)
            signs.append(held_out_signs(prepared, settings))
        for of in ("evidence", "w"):
            show("signs", by_probability(pd.concat(signs), of), data=name)
    for depth in options.depths:
        show("tails", simulated_tails(depth, options.seeds), data="simulated")


if __name__ == "__main__":
    main()
