"""What tells an edge from what a linear network leaves of a real one? Of pairs whose effect no path explains.

    python benchmarks/rests.py                                  # all worlds at hand, seed 0
    python benchmarks/rests.py --worlds files grnlab --seeds 1 2 --json

Worlds as in benchmarks/worlds.py. Of every pair that the regressions give log odds above 0 (methods.direct):
their log odds, the strength of the edge per unit that is felt, how far the source turns genes that act on the
target against their own perturbation (methods.leftover), and whether an edge is there. Printed, for other
people's simulators and this project's own: the share of direct edges by strength and log odds, by turned
genes, and by what W says, of the regressions alone and with rests; and the logistic regression of being
direct on the two, which FALL, REST and SLOPE of methods.leftover round.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from worlds import OWN, World, chosen, prepared_cells, true_edges

from gpovae_core.config import make_settings
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.methods import network_fit
from gpovae_core.methods.leftover import turned_paths

SURE = 9.0
STRENGTHS, ODDS = (0, 0.2, 0.4, 0.7, 1.1, 1.6, np.inf), (0, 3, SURE, np.inf)
SAID = (0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.0)


def pairs_of(world: World, seed: int) -> pd.DataFrame:
    """One row for every pair with log odds above 0."""
    settings = make_settings("evidence", {"data": {"seed": seed, "detect_doublets": False}})
    drawn = world.draw(seed)
    prepared = prepared_cells(drawn.cells, settings, design=True)
    panel, observed = prepared.panel, contrasts(prepared, both=True)
    rule = network_fit.fit_evidence(
        observed.effect, observed.error, observed.counted, settings.network.least_effect
    )
    own = network_fit.own_change(observed, settings.network.perturbation, settings.network.complete_loss)
    total = network_fit._total(observed, rule, rule.judge(observed.effect, observed.error), own)
    edges = network_fit._direct(total, len(panel), settings)
    measured = np.zeros((len(panel), len(panel)), dtype=bool)
    measured[observed.sources] = observed.counted
    turned = np.zeros(measured.shape)
    turned[observed.sources] = turned_paths(total, len(panel))
    at = np.nonzero(measured & (edges.explaining > 0))
    return pd.DataFrame(
        {
            "simulator": "own" if world.simulator == OWN else "other",
            "world": world.name,
            "odds": edges.explaining[at],
            "strength": np.abs(edges.strength / edges.unit[:, None])[at],
            "turned": turned[at],
            "w": expit(edges.log_odds[at]),
            "direct": true_edges(drawn.edges, panel)[0][at] != 0,
        }
    )


def tables(pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Shares of direct edges with the number of pairs, in words."""
    cut = {
        "strength": pd.cut(pairs["strength"], STRENGTHS),
        "log odds": pd.cut(pairs["odds"], ODDS),
        "turned": pd.cut(pairs["turned"], (-1, 0, 0.3, 1)),
        "said": pd.cut(pairs["w"], SAID),
        "regressions": pd.cut(expit(pairs["odds"]), SAID),
    }

    def share(*by: str) -> pd.DataFrame:
        found = pairs.groupby(["simulator", *(cut[name].rename(name) for name in by)], observed=False)[
            "direct"
        ]
        told = found.agg(["mean", "size"]).apply(
            lambda row: f"{row['mean']:.2f} of {row['size']:.0f}", axis=1
        )
        return told.unstack(by[-1])

    return [
        ("by strength (across) and log odds", share("log odds", "strength")),
        ("by what is turned", share("turned")),
        ("by W as the regressions have it", share("regressions")),
        ("by W with rests", share("said")),
    ]


def fitted(pairs: pd.DataFrame) -> dict[str, float]:
    """FALL, REST and SLOPE as the pairs of a kind have them, where nothing is turned."""
    from sklearn.linear_model import LogisticRegression

    plain = pairs[pairs["turned"] == 0]
    known = np.column_stack([np.log(plain["strength"] + 1e-3), plain["odds"]])
    model = LogisticRegression(C=1e3).fit(known, plain["direct"])
    (fall, slope), start = model.coef_[0], model.intercept_[0]
    return {"fall": float(fall), "rest": float(np.exp(-start / fall)), "slope": float(slope)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="*", default=[], help="as in worlds.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    found = [pairs_of(world, seed) for world in chosen(options.worlds) for seed in options.seeds]
    pairs = pd.concat(found, ignore_index=True)
    constants: dict[str, Any] = {name: fitted(own) for name, own in pairs.groupby("simulator")}
    constants["together"] = fitted(pairs)
    if options.json:
        told = {words: json.loads(table.to_json()) for words, table in tables(pairs)}
        print(json.dumps({"constants": constants, "tables": told}))
        return
    for words, table in tables(pairs):
        print(f"\nShare of direct edges {words}\n{table.to_string()}")
    print("\n" + pd.DataFrame(constants).T.round(2).to_string())


if __name__ == "__main__":
    main()
