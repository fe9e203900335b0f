"""Other people's methods on the data sets of the default preset: what each finds, how long it takes and how
much memory.

    python benchmarks/comparators.py --json > rows.jsonl       # a line per data set, seed and method
    python benchmarks/comparators.py --table rows.jsonl        # such lines as a table: means over seeds

The two real screens and the three simulated ones of quality.py, with the same split of the cells per seed;
the network stage alone, no training. Every method runs in a process of its own, on one core: seconds are of
its score (of W also of the fit), memory is what that process took on top of the prepared cells (of W not
known). Scored are the 50 and 100 strongest pairs (perturbed gene, measured panel gene) on the held-out cells,
ties in expectation, and the area under precision and recall for true direct edges, or for the known ones of a
table (--networks; over the pairs that it could list).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from quality import REAL, SIMULATED, data_source
from scipy.special import expit
from simulated import true_pairs
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.pairs import PairStatistics
from gpovae_core.errors import GpoVaeError
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.known import KnownEdges, judge
from gpovae_core.evaluation.matched import edge_curves, omission_curve
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.methods.registry import methods
from gpovae_core.network.references import ReferenceNetwork, read_references

METHODS = (
    "w",
    "influence",
    "sparse_inverse",
    "inverse",
    "dotears",
    "sort_regress",
    "notears",
    "dagma",
    "gies",
    "correlation",
    "mean_difference",
    "mann_whitney",
)
TOPS = (50, 100)


def rows_of(name: str, seed: int, tables: list[ReferenceNetwork], wanted: list[str]) -> list[dict[str, Any]]:
    """Every method on one data set and seed."""
    settings = make_settings("evidence", {"data": {"seed": seed}, "training": {"seed": seed}})
    with tempfile.TemporaryDirectory() as folder:
        path, simulation = data_source(name, seed, Path(folder))
        prepared = prepare(path, settings.data)
    pairs = held_out_pairs(prepared)
    began = time.perf_counter()
    fit = fit_network(prepared, settings) if {"w", "influence"} & set(wanted) else None
    fitting = time.perf_counter() - began
    inputs = Inputs(
        prepared=prepared,
        sources=pairs.sources,
        targets=pairs.targets,
        effects=average_effects(prepared, (keys.TRAIN,)).mean,
        weights=None if fit is None else expit(fit.log_odds),
        hops=settings.loss.hops,
        fit=fit,
    )
    truth = None
    if simulation is not None:
        edges, scored = true_pairs(simulation, prepared)
        truth = inputs.of_pairs(edges), inputs.of_pairs(scored)
    found = []
    for method in methods():
        if method.key in wanted:
            row = {"data": name, "seed": seed, "method": method.key, "title": method.title}
            row |= _in_a_process(lambda method=method: _one(method, inputs, pairs, truth, tables))
            if method.key == "w":
                row["seconds"] += fitting
                del row["memory_mb"]  # the fit was made before, in the process of the cells
            found.append(row)
    chance = _chance(pairs)
    if truth is not None:
        chance |= {"auprc": float(truth[0][truth[1]].mean())}
    return [*found, {"data": name, "seed": seed, "method": "random", "title": "random pairs", **chance}]


def _one(method: Any, inputs: Inputs, pairs: PairStatistics, truth: Any, tables: Any) -> dict[str, Any]:
    missing = method.unavailable()
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        ranking = None if missing else method.score(inputs)
    except GpoVaeError as error:
        missing = str(error)
    if missing:
        return {"why_not": missing}
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    row = {"seconds": seconds, "memory_mb": memory / 1024}
    curve = edge_curves(pairs, {method.key: ranking}, TOPS)[method.key]
    row |= {"bh_share": list(curve.bh_share), "mu_wd": list(curve.mu_wd)}
    row["omission"] = _omission(inputs, pairs, ranking)
    if truth is not None:
        edges, scored = truth
        values = np.nan_to_num(ranking, nan=np.nanmin(ranking) - 1)
        row["auprc"] = float(average_precision_score(edges[scored], values[scored]))
        row["prevalence"] = float(edges[scored].mean())
        return row
    for table in tables:
        judged = judge(
            KnownEdges(table.name, table.directed, frozenset(table.known)), inputs.sources, inputs.targets
        )
        hits, values = judged.hits[judged.usable], ranking[judged.usable]
        values = np.nan_to_num(values, nan=np.nanmin(ranking) - 1)
        if hits.sum() >= 10:
            row.setdefault("known", {})[table.name] = {
                "auprc": float(average_precision_score(hits, values)),
                "prevalence": float(hits.mean()),
            }
    return row


def _omission(inputs: Inputs, pairs: PairStatistics, ranking: np.ndarray) -> list[float]:
    """False omission rates of the networks of the strongest pairs, paths of at most three edges."""
    size = len(inputs.prepared.panel)
    whole = np.full((size, size), -np.inf)
    whole[np.ix_(*inputs.places)] = np.where(np.isfinite(ranking), ranking, -np.inf)
    return list(omission_curve(pairs, whole, inputs.places, TOPS, 3, 0.05).rate)


def _chance(pairs: PairStatistics) -> dict[str, Any]:
    """What random pairs give, as a row; without an edge the false omission rate is that of all pairs."""
    curve = edge_curves(pairs, {}, TOPS)["random"]
    omission = float((pairs.p[pairs.evaluated] < 0.05).mean())
    shares = {"bh_share": list(curve.bh_share), "mu_wd": list(curve.mu_wd)}
    return {"seconds": 0.0, "omission": [omission] * len(TOPS), **shares}


def _in_a_process(work: Any) -> dict[str, Any]:
    """The answer of `work` in a fork, whose memory and failures are its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as given:
        text = given.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"why_not": "its process ended without an answer"}


FIGURES = {
    "AUPRC of true direct edges": (lambda row: row.get("auprc"), 3),
    "AUPRC of CollecTRI": (lambda row: row.get("known", {}).get("CollecTRI", {}).get("auprc"), 3),
    "BH share of the top 50": (lambda row: row["bh_share"][0], 2),
    "BH share of the top 100": (lambda row: row["bh_share"][1], 2),
    "mean Wasserstein of the top 100": (lambda row: row["mu_wd"][1], 3),
    "false omission rate with 100 edges": (lambda row: row["omission"][1], 3),
    "seconds": (lambda row: row["seconds"], 1),
    "MB": (lambda row: row.get("memory_mb"), 0),
}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a table for each figure: a method a line, a data set a column; the mean over seeds."""
    data = list(dict.fromkeys(row["data"] for row in rows))
    keys_of = list(dict.fromkeys(row["method"] for row in rows))
    lines = []
    for name, (figure, digits) in FIGURES.items():
        lines += [f"{name}:", "", f"| method | {' | '.join(data)} |", "|---|" + "---|" * len(data)]
        for key in keys_of:
            cells = [
                _cell([row for row in rows if (row["method"], row["data"]) == (key, one)], figure, digits)
                for one in data
            ]
            if not set(cells) - {"–", "not run"}:
                continue
            lines.append(f"| `{key}` | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]], figure: Any, digits: int) -> str:
    done = [figure(row) for row in rows if "seconds" in row]
    known = [value for value in done if value is not None and np.isfinite(value)]
    if not known:
        return "–" if done else "not run"
    mean = f"{fmean(known):.{digits}f}"
    return mean if len(known) == len(rows) else f"{mean} ({len(known)} of {len(rows)} seeds)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", nargs="+", default=[*REAL, *SIMULATED], choices=[*REAL, *SIMULATED])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--networks", type=Path, help="folder with tables of known edges, for the real screens"
    )
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="only print the lines of JSON in FILE as a table"
    )
    options = parser.parse_args()
    if options.table:
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    tables = [] if options.networks is None else read_references(options.networks)[0]
    for name in options.data:
        for seed in options.seeds:
            for row in rows_of(name, seed, tables, options.methods):
                print(json.dumps(row) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
