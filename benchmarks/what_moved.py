"""Which part of the network stage moves which score of a real screen? Each part switched off, the same
yardsticks for all.

    python benchmarks/what_moved.py                        # Papalexi, seeds 0 1 2, half a minute a line
    python benchmarks/what_moved.py --json --lines "as it is" "guides not known" --held-out guides

No autoencoder is trained: W and T_K do not need it. Parts that are settings (batches, guides, counts of the
whole transcriptome, quality control, tolerances) are switched off by them; what a target feels of its
regulator (methods.direct.felt: the share that is lost) and what T_K passes on (methods.passing) are replaced
by the logarithm that they once were.

Yardsticks, by what is held out (data.hold_out): cells at random, whole guides of each gene, or a replicate.
significant: pairs with p below 0.05 after Benjamini-Hochberg in the held-out cells. Then the share of such
pairs among the top 50 and 100 of W, of T_K and of the evidence for an effect, and ATE-rho of T_K alone (the
held-out effects of all perturbations). Real data as in benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from quality import REAL
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data import prepare as preparing
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.matched import edge_curves
from gpovae_core.evaluation.response import pearson
from gpovae_core.methods import direct, passing
from gpovae_core.methods.expected import predicted_by_network
from gpovae_core.methods.network_fit import fit_network

NO_DESIGN = {"guide": "none", "batch": "none", "size_factor": "none"}
STRICT = {"hop_tolerance": 0.1, "turned_tolerance": 0.1}
FELT, PASSED = "felt", "followed"
LINES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "as it is": ({}, {}, ()),
    "guides not known": ({"guide": "none"}, {}, ()),
    "batches not known": ({"batch": "none"}, {}, ()),
    "shares of the measured genes": ({"size_factor": "none"}, {}, ()),
    "none of these three": (NO_DESIGN, {}, ()),
    "without quality control": ({"artifact_criteria": []}, {}, ()),
    "tolerances of 10 %": ({}, STRICT, ()),
    "targets feel logarithms": ({}, {}, (FELT,)),
    "... and tolerances of 10 %": ({}, STRICT, (FELT,)),
    "... and T_K in logarithms": ({}, STRICT, (FELT, PASSED)),
    "... and none of the three": (NO_DESIGN, STRICT, (FELT, PASSED)),
}
"""Name -> settings of the data, settings of the network, functions that are replaced by the change itself."""
PLACES = {FELT: direct, PASSED: passing}
TOP = (50, 100)
HELD_OUT = ("cells", "guides", "batches")


@contextmanager
def replaced(names: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch.object(PLACES[name], name, lambda change: change))
        yield


def unmatched(expression: object, labels: pd.Series, *rest: object) -> pd.Series:
    """In the place of the matching of controls, which only a training needs."""
    return pd.Series("", index=labels.index, name=keys.CONTROL_ID, dtype=object)


def one(name: str, line: str, held_out: str, seed: int) -> dict[str, Any]:
    data, network, names = LINES[line]
    settings = make_settings(
        "evidence",
        {
            "data": {"seed": seed, "hold_out": held_out, **data},
            "training": {"seed": seed},
            "network": {"null_draws": 1, **network},
        },
    )
    folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    with patch.object(preparing, "pair_controls", unmatched):
        prepared = preparing.prepare(folder / REAL[name], settings.data)
    with replaced(names):
        fit = fit_network(prepared, settings)
    pairs = held_out_pairs(prepared)
    panel, influence = prepared.panel, predicted_by_network(fit, prepared)
    rows = [panel.index[gene] for gene in pairs.sources]
    place = np.ix_(rows, [panel.index[gene] for gene in pairs.targets])
    measured = prepared.cells.var_names.get_indexer(list(pairs.targets))
    rankings = {
        "w": fit.log_odds[place],
        "influence": np.abs(influence[rows][:, measured]),
        "evidence": fit.evidence[place],
    }
    curves = edge_curves(pairs, rankings, TOP)
    return {
        "data": name,
        "line": line,
        "held_out": held_out,
        "seed": seed,
        "edges": int((expit(rankings["w"])[pairs.evaluated] > settings.evaluation.threshold).sum()),
        "significant": int((pairs.adjusted[pairs.evaluated] < settings.evaluation.significance).sum()),
        **{key: list(curves[key].bh_share) for key in rankings},
        "ate_rho": ate_rho(prepared, influence),
    }


def ate_rho(prepared: PreparedCells, influence: np.ndarray) -> float:
    names = [gene for gene in prepared.panel.data.perturbed if gene in prepared.perturbations]
    seen = average_effects(prepared, (keys.TEST,), tuple(names)).mean
    own = [prepared.panel.index[str(gene)] for gene in seen.index]
    return pearson(seen.to_numpy(), influence[own])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line for each state, means over seeds; T_K and W: top 50 / top 100."""
    lines = [
        "| held out | | edges | significant | W | T_K | evidence | ATE-rho of T_K |",
        "|---|---|---|---|---|---|---|---|",
    ]
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        together.setdefault((row["held_out"], row["line"]), []).append(row)
    for (held_out, line), found in together.items():
        edges, significant, rho = (
            np.mean([row[key] for row in found]) for key in ("edges", "significant", "ate_rho")
        )
        shares = (np.mean([row[key] for row in found], axis=0) for key in ("w", "influence", "evidence"))
        words = " | ".join(" / ".join(f"{share:.2f}" for share in of) for of in shares)
        lines.append(f"| {held_out} | {line} | {edges:.0f} | {significant:.0f} | {words} | {rho:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="papalexi", choices=list(REAL))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lines", nargs="+", default=list(LINES), choices=list(LINES))
    parser.add_argument("--held-out", nargs="+", default=["cells", "guides"], choices=HELD_OUT)
    options = parser.parse_args()
    rows = []
    for held_out in options.held_out:
        for line in options.lines:
            for seed in options.seeds:
                rows.append(one(options.data, line, held_out, seed))
                if options.json:
                    print(json.dumps(rows[-1]), flush=True)
    if not options.json:
        print(table(rows))


if __name__ == "__main__":
    main()
