"""The table of docs/evaluation.md: every score of kept runs, mean and spread over seeds, beside baseline,
best simple method and ceiling.

    python benchmarks/quality.py --presets evidence --seeds 0 1 2 --keep runs/quality        # trains them,
    hours python benchmarks/evaluation_table.py runs/quality --preset evidence --networks networks # scores
    them, minutes

Runs are taken by the names that quality.py gives them (DATA-PRESET-SEED) and scored anew from their cells,
their network and their predicted effects; nothing is written into them. For simulated data the truth is drawn
again from the seed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean, stdev

from quality import REAL, SIMULATED

from gpovae_core import keys
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.known import Known, KnownEdges
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation, Line
from gpovae_core.evaluation.summary import FEW, lines
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.references import read_references
from gpovae_core.runs.folder import RunFolder


def scored(run: RunFolder, references: list[KnownEdges]) -> Evaluation:
    """The scores of a kept run by the code as it is now."""
    data, _, seed = run.name.split("-")
    truth = (
        simulate(SimulationSettings(seed=int(seed), **SIMULATED[data])).edges if data in SIMULATED else None
    )
    settings, arrays = run.settings(), run.network_arrays()
    return evaluate(
        Scored(
            prepared=run.cells(),
            predicted=run.effects().to_df(keys.PREDICTED),
            weights=run.edge_probabilities(),
            threshold=settings.evaluation.threshold,
            hops=settings.loss.shown_hops,
            fit=NetworkFit.from_arrays(arrays) if arrays else None,
        ),
        settings.evaluation,
        Known(references if data in REAL else (), truth),
    )


def table(reports: list[Evaluation]) -> list[str]:
    """Markdown rows, one per score; every figure is a mean over the runs, with the standard deviation of the
    value.
    """
    together: dict[str, list[Line]] = {}
    for report in reports:
        for line in lines(report):
            together.setdefault(line.name, []).append(line)
    rows = [
        "| score | this model | baseline | best without a model | ceiling | share (without) | better in |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in together.items():
        rivals = ", ".join(dict.fromkeys(line.rival_name for line in found if line.rival_name))
        rival = f"{_mean([line.rival for line in found])} ({rivals})" if rivals else ""
        shares = f"{_share([line.share for line in found])} ({_share([line.rival_share for line in found])})"
        judged = [line.beats for line in found if line.beats is not None]
        wins = f"{sum(judged)} of {len(judged)}" if judged else ""
        spread = (
            f" ± {stdev(v for line in found if (v := line.value) is not None):.3f}"
            if _all(found) and len(found) > 1
            else ""
        )
        value = _mean([line.value for line in found]) + spread
        baseline, ceiling = _mean([line.baseline for line in found]), _mean([line.ceiling for line in found])
        rows.append(f"| {name} | {value} | {baseline} | {rival} | {ceiling} | {shares} | {wins} |")
    return rows


def _all(found: list[Line]) -> bool:
    return all(line.value is not None for line in found)


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if len(known) == len(values) and known else "–"


def _share(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * fmean(known):.0f} %" if len(known) == len(values) and known else "–"


def facts(reports: list[Evaluation]) -> str:
    """What the figures rest on: edges, false edges, usable edges of the references."""
    networks = [report.network for report in reports if report.network is not None]
    edges = ", ".join(str(network.edges) for network in networks)
    words = [f"{edges} edges of {networks[0].pairs} pairs"]
    rates = [network.estimated_false_edge_rate for network in networks if network.stage is not None]
    if len(rates) == len(networks):
        shown = ("–" if rate is None else f"{100 * rate:.1f} %" for rate in rates)
        words.append(f"estimated false {', '.join(shown)}")
    for at, known in enumerate(networks[0].references or ()):
        own = [(network.references or ())[at].rankings["w"].p for network in networks]
        ps = ", ".join(f"{p:.2f}" for p in own if p is not None and (known.edges or 0) >= FEW)
        words.append(
            f"{known.name}: {known.edges} usable edges of {known.pairs} pairs"
            + (f", p of W {ps}" if ps else "")
        )
    return "; ".join(words) + "."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where quality.py kept the runs")
    parser.add_argument("--preset", default="evidence")
    parser.add_argument("--data", nargs="+", default=[*REAL, *SIMULATED], choices=[*REAL, *SIMULATED])
    parser.add_argument(
        "--networks",
        type=Path,
        default=Path("networks"),
        help="folder with tables of known edges, for the real data",
    )
    parser.add_argument("--json", type=Path, help="also write every report here")
    options = parser.parse_args()
    references = [
        KnownEdges(one.name, one.directed, frozenset(one.known))
        for one in read_references(options.networks)[0]
    ]
    everything: dict[str, list[Evaluation]] = {}
    for data in options.data:
        runs = [RunFolder(path) for path in sorted(options.folder.glob(f"{data}-{options.preset}-[0-9]*"))]
        reports = [scored(run, references) for run in runs if run.has("effects.h5ad")]
        if not reports:
            continue
        everything[data] = reports
        seeds = ", ".join(run.name.rpartition("-")[2] for run in runs if run.has("effects.h5ad"))
        print(f"### {data}, seeds {seeds}\n\n{facts(reports)}\n")
        print(*table(reports), "", sep="\n", flush=True)
    if options.json:
        plain = {data: [report.to_json() for report in reports] for data, reports in everything.items()}
        options.json.write_text(json.dumps(plain))


if __name__ == "__main__":
    main()
