"""The network stage in worlds that do not share the model's form: W and every other ranking beside the truth.

    python benchmarks/worlds.py                                     # every world that is at hand, as tables
    python benchmarks/worlds.py --worlds files --table              # the given worlds, about a minute
    python benchmarks/worlds.py --worlds confounded-0.2_many offtarget_few --json
    python benchmarks/worlds.py --without-design                    # as if nobody knew batch, guide and donor
    python benchmarks/worlds.py --worlds files --least-effect 0.02  # another width of what does not matter

Worlds are files (GPOVAE_DATA_DIR/worlds, by default ../shared/data/worlds; its README says what each is),
screens of this project's simulator (SCREENS; `_few`: 3.5 counts a network gene and control cell, `_many`:
30), screens in which three regulators move half of the panel and more (MOVERS) and, where these packages are
installed, screens of grnlab and harissa (benchmarks/others.py). A world is run once for each seed: of the
split and, for what is drawn here, of the screen itself. Cells are taken as they are, without quality control
and pairing; 64 % of those of a perturbation are training cells, and only they are used. The methods are those
of methods.registry that need no more than cells, effects and the network stage.

Scored pairs: perturbed source, measured target, no self-loops, an effect measured. Direct: an edge of the
true network; visible: one that alone changes its target by more than 10 %. False: no true path from source to
target. Reported: the estimated rate of false edges times the edges. Calibration: of the edges whose W lies in
a range, how many are direct. Means over seeds for AUPRC and signs, sums for counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import others
import pandas as pd
from anndata import AnnData, read_h5ad
from scipy import sparse
from scipy.sparse import csgraph
from scipy.special import expit
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.config import Settings, make_settings
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.data.simulate import CONTROL_LABEL, Simulation, SimulationSettings, simulate
from gpovae_core.data.splits import split_cells
from gpovae_core.effects.averages import average_effects
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.methods.registry import rank, title

FILES = Path(os.environ.get("GPOVAE_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data") / "worlds"
DESIGN = ("batch", "donor", "guide")
VISIBLE = "visible"
LEAST_CHANGE = 0.1  # of its target that makes an edge visible
FOUND = 0.5
RANGES = (0.5, 0.8, 0.95, 0.99, 0.9999, 1.0)
FILE, OWN, MOVED, GRNLAB, HARISSA = "files", "own", "movers", "grnlab", "harissa"
SIMULATORS = (FILE, OWN, MOVED, GRNLAB, HARISSA)

GENES, PERTURBED, CELLS = 60, 30, 5000
DEPTHS = {"few": 3.5, "many": 30.0}
PLAIN: dict[str, Any] = {
    "genes": GENES,
    "perturbations": PERTURBED,
    "cells": CELLS,
    "network": "chains",
    "low_quality_share": 0.0,
    "doublet_share": 0.0,
    "mitochondrial_genes": 0,
}
SCREENS: dict[str, dict[str, Any]] = {
    "balanced": {},
    "random": {"network": "random"},
    "feedforward": {"network": "feedforward"},
    "hubs": {"network": "hubs"},
    **{f"confounded-{s}": {"batch_imbalance": 1.0, "batch_spread": s} for s in (0.1, 0.2, 0.3)},
    "library": {"library_effect_share": 1 / 3, "library_effect": 1 / 3},
    "offtarget": {"guides_per_gene": 3, "guide_spread": 0.2, "off_target_share": 0.3},
    "composition": {"composition_share": 0.15},
    "activation": {"direction": "activation"},
    "mixed": {"direction": "mixed"},
    "knock-out": {"direction": "knock-out"},
    "escape": {"escape_share": 0.45},
    "complete": {"knockdown_mean": 0.989, "knockdown_spread": 0.0},
    "donors": {"donors": 4, "donor_spread": 0.2, "donor_effect_spread": 0.3},
}
MOVERS = {"movers-50": 0.5, "movers-65": 0.65, "movers-80": 0.8}
"""Share of the panel that each of three regulators moves, all in one direction (`movers`)."""


@dataclass(frozen=True)
class Screen:
    """cells: raw counts, obs["perturbation"] with CONTROL_LABEL for controls; edges: source, target, sign,
    visible.
    """

    cells: AnnData
    edges: pd.DataFrame


@dataclass(frozen=True)
class World:
    """draw: the screen for a seed. The same for every seed where `fixed`."""

    name: str
    simulator: str
    draw: Callable[[int], Screen]


def worlds() -> list[World]:
    """Every world that can be drawn on this machine."""
    found = [
        World(path.stem, FILE, lambda _, path=path: given(path)) for path in sorted(FILES.glob("*.h5ad"))
    ]
    found += [
        World(f"{name}_{depth}", OWN, lambda seed, n=name, d=depth: simulated(n, d, seed))
        for name in SCREENS
        for depth in DEPTHS
    ]
    found += [
        World(f"{name}_{depth}", MOVED, lambda seed, s=share, d=depth: movers(s, d, seed))
        for name, share in MOVERS.items()
        for depth in DEPTHS
    ]
    drawn: dict[tuple[str, str], others.Expression] = {}

    def of_others(simulator: str, name: str, depth: str) -> Screen:
        if (simulator, name) not in drawn:  # slow, and the same cells for every seed and depth
            drawn[simulator, name] = others.KINDS[simulator][name]()
        return Screen(*drawn[simulator, name].counted(DEPTHS[depth]))

    found += [
        World(f"{simulator}-{name}_{depth}", simulator, lambda _, a=(simulator, name, depth): of_others(*a))
        for simulator, kinds in others.KINDS.items()
        if others.missing(simulator) is None
        for name in kinds
        for depth in DEPTHS
    ]
    return found


def absent() -> list[str]:
    """What cannot be drawn here, in words."""
    lines = (
        []
        if any(FILES.glob("*.h5ad"))
        else [f"The given worlds are not at hand: there is no {FILES}/*.h5ad."]
    )
    return lines + [text for name in others.KINDS if (text := others.missing(name))]


def given(path: Path) -> Screen:
    """A world from a file, its edges beside it. Guides are numbered within their gene there."""
    cells = read_h5ad(path)
    if "guide" in cells.obs:
        cells.obs["guide"] = cells.obs["perturbation"].astype(str) + "_g" + cells.obs["guide"].astype(str)
    return Screen(cells, pd.read_csv(path.with_suffix(".edges.csv")))


def simulated(name: str, depth: str, seed: int) -> Screen:
    values = {**PLAIN, **SCREENS[name], "library_median": DEPTHS[depth] * GENES, "seed": seed}
    settings = SimulationSettings(**values)
    made = simulate(settings)
    return Screen(
        made.adata, made.edges.assign(**{VISIBLE: change_of_targets(made, settings) > LEAST_CHANGE})
    )


def movers(share: float, depth: str, seed: int) -> Screen:
    """80 genes without a column of library sizes: three regulators lower `share` of them to 30 to 74 %, nine
    others two genes each. 150 cells of each and 600 controls, all with the same counts whatever they express.
    """
    rng = np.random.default_rng(seed)
    genes, perturbed, cells, controls = 80, 12, 150, 600
    base = rng.lognormal(0.0, 0.8, genes)
    base *= DEPTHS[depth] / base.mean()
    effect, edges = np.zeros((perturbed + 1, genes)), []
    names = [f"SIM{i:03d}" for i in range(genes)]
    for source in range(perturbed):
        wide = source < 3
        number = min(genes - perturbed, int(share * genes)) if wide else 2
        targets = rng.choice(np.arange(perturbed, genes), number, replace=False)
        effect[source, source] = np.log(0.2)
        effect[source, targets] = -rng.uniform(0.3 if wide else 0.6, 1.2, number)
        edges += [(names[source], names[target], 1, True) for target in targets]
    kind = np.concatenate([np.full(controls, perturbed), np.repeat(np.arange(perturbed), cells)])
    level = base * np.exp(effect)
    level *= base.sum() / level.sum(axis=1, keepdims=True)
    scatter = rng.lognormal(0.0, 0.3, (len(kind), 1)) * rng.gamma(8.0, 1 / 8, (len(kind), genes))
    counts: Any = sparse.csr_matrix(rng.poisson(level[kind] * scatter).astype(np.float32))
    labels = np.array([*names[:perturbed], CONTROL_LABEL])[kind]
    obs = pd.DataFrame({"perturbation": labels}, index=[f"c{i:05d}" for i in range(len(kind))])
    columns = pd.Index([keys.SOURCE, keys.TARGET, keys.SIGN, VISIBLE])
    return Screen(
        AnnData(counts, obs=obs, var=pd.DataFrame(index=names)), pd.DataFrame(edges, columns=columns)
    )


def change_of_targets(made: Simulation, settings: SimulationSettings) -> np.ndarray:
    """(edges,) share by which perturbing the source changes the target over this edge alone; 0 where the
    source is not perturbed.
    """
    var = made.adata.var
    removed = var["knockdown"].reindex(made.edges[keys.SOURCE]).fillna(0.0).to_numpy()
    raised = np.ones(len(removed))
    if "activation" in var:
        raised = var["activation"].reindex(made.edges[keys.SOURCE]).fillna(1.0).to_numpy()
    forced = np.log1p(-removed) + np.log(raised)
    s = settings.saturation
    return np.abs(np.expm1(made.edges[keys.WEIGHT].to_numpy() * s * np.tanh(forced / s)))


def prepared_cells(cells: AnnData, settings: Settings, design: bool) -> PreparedCells:
    """All cells and genes, split; every gene in the panel. design: with batch, donor and guide."""
    ordered = cells[
        np.argsort(cells.obs_names.to_numpy(dtype=str)), np.argsort(cells.var_names.to_numpy(dtype=str))
    ]
    labels = ordered.obs["perturbation"].astype(str).replace({CONTROL_LABEL: keys.CONTROL})
    counts: Any = sparse.csr_matrix(ordered.X).astype(np.float32)
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: False,
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1)).ravel().astype(float),
            keys.CONTROL_ID: "",
        },
        index=ordered.obs_names,
    )
    obs[keys.SPLIT] = split_cells(labels, settings.data)
    if design:
        known = dict(zip(DESIGN, (keys.BATCH, keys.DONOR, keys.GUIDE), strict=True))
        for column in known.keys() & set(ordered.obs):
            obs[known[column]] = pd.Categorical(ordered.obs[column].astype(str))
    perturbed = sorted(
        {gene for label in set(labels) - {keys.CONTROL} for gene in label.split(keys.PAIR_SEPARATOR)}
    )
    panel = Panel(
        PanelData(
            perturbed=tuple(perturbed),
            extended=tuple(gene for gene in ordered.var_names if gene not in set(perturbed)),
            measured=tuple(ordered.var_names),
        )
    )
    report = PreparationReport(
        source="world",
        simulated=True,
        cells_read=ordered.n_obs,
        cells_kept=ordered.n_obs,
        genes_measured=ordered.n_vars,
        counts_from="X",
        label_column="perturbation",
        control_label=CONTROL_LABEL,
        perturbations={},
        control_cells=int((labels == keys.CONTROL).sum()),
    )
    return PreparedCells.of(counts, obs, list(ordered.var_names), panel, report)


def true_edges(edges: pd.DataFrame, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) sign of the true direct edges, 0 elsewhere, and whether they are visible."""
    sign = np.zeros((len(panel), len(panel)), dtype=int)
    visible = np.zeros(sign.shape, dtype=bool)
    inside = edges[edges[keys.SOURCE].isin(panel.index) & edges[keys.TARGET].isin(panel.index)]
    rows, columns = (inside[name].map(panel.index).to_numpy(int) for name in (keys.SOURCE, keys.TARGET))
    sign[rows, columns], visible[rows, columns] = inside[keys.SIGN], inside[VISIBLE]
    return sign, visible


def reached(edge: np.ndarray) -> np.ndarray:
    """(n, n) bool: a path of true edges leads from the row to another column."""
    distance = csgraph.shortest_path(sparse.csr_matrix(edge.astype(float)), unweighted=True)
    return np.isfinite(distance) & ~np.eye(len(edge), dtype=bool)


def rankings(
    prepared: PreparedCells, fit: NetworkFit, settings: Settings
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Key -> (n, n) score of every method that can be run, NaN where it says nothing; and notes."""
    panel = prepared.panel
    genes = [gene for gene, measured in zip(panel.genes, panel.is_measured, strict=True) if measured]
    inputs = Inputs(
        prepared=prepared,
        sources=panel.data.perturbed,
        targets=tuple(genes),
        effects=average_effects(prepared, (keys.TRAIN,)).mean,
        weights=expit(fit.log_odds),
        hops=settings.loss.hops,
        fit=fit,
    )
    found = rank(inputs)
    whole = {}
    for key, score in found.own.items():
        whole[key] = np.full((len(panel), len(panel)), np.nan)
        whole[key][np.ix_(*inputs.places)] = score
    return whole, list(found.notes)


def one(world: World, seed: int, settings: Settings, design: bool) -> dict[str, Any]:
    """The figures of one world and seed."""
    screen = world.draw(seed)
    prepared = prepared_cells(screen.cells, settings, design)
    start = time.perf_counter()
    fit = fit_network(prepared, settings)
    seconds = time.perf_counter() - start
    panel = prepared.panel
    sign, visible = true_edges(screen.edges, panel)
    edge, reach = sign != 0, reached(sign != 0)
    pairs = np.isfinite(fit.evidence) & panel.is_perturbed[:, None] & panel.is_measured[None, :]
    pairs &= ~np.eye(len(panel), dtype=bool)
    weights = expit(fit.log_odds)
    found = (weights > FOUND) & pairs
    hits = found & edge
    scores, notes = rankings(prepared, fit, settings)
    return {
        "world": world.name,
        "simulator": world.simulator,
        "seed": seed,
        "pairs": int(pairs.sum()),
        "true_edges": int((pairs & edge).sum()),
        "visible_edges": int((pairs & visible).sum()),
        "auprc": {key: precision(edge, score, pairs) for key, score in scores.items()},
        "auprc_visible": {
            key: precision(edge, score, pairs & ~(edge & ~visible)) for key, score in scores.items()
        },
        "edges": int(found.sum()),
        "direct": int(hits.sum()),
        "false": int((found & ~reach & ~edge).sum()),
        "reported": finite(float(false_edge_rate(fit, weights, FOUND)[0] * found.sum())),
        "signs_right": int((np.sign(fit.strength) == sign)[hits].sum()),
        "calibration": [
            [int(inside.sum()), int((inside & edge).sum())]
            for inside in (pairs & part for part in in_ranges(weights))
        ],
        "seconds": round(seconds, 2),
        "notes": notes,
    }


def in_ranges(weights: np.ndarray) -> list[np.ndarray]:
    """For each of RANGES whose entries lie there; the last holds 1."""
    last = len(RANGES) - 2
    return [
        (weights >= low) & ((weights < high) | (place == last))
        for place, (low, high) in enumerate(itertools.pairwise(RANGES))
    ]


def precision(edge: np.ndarray, score: np.ndarray, pairs: np.ndarray) -> float | None:
    """Average precision over `pairs`; a pair that a method says nothing of comes last. None without edges."""
    values = score[pairs]
    known = np.isfinite(values)
    if not edge[pairs].any() or not known.any():
        return None
    return float(average_precision_score(edge[pairs], np.where(known, values, values[known].min() - 1.0)))


def finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One object per world: means over seeds of AUPRC, sums of counts; `reported` None where unknown."""
    found = []
    # A world that is given may have the name of one that is drawn here.
    for name, simulator in dict.fromkeys((row["world"], row["simulator"]) for row in rows):
        own = [row for row in rows if (row["world"], row["simulator"]) == (name, simulator)]
        total: dict[str, Any] = {"world": name, "simulator": simulator, "seeds": len(own)}
        for key in ("auprc", "auprc_visible"):
            methods = dict.fromkeys(method for row in own for method in row[key])
            total[key] = {method: mean_of([row[key].get(method) for row in own]) for method in methods}
        for key in ("true_edges", "visible_edges", "edges", "direct", "false", "signs_right"):
            total[key] = sum(row[key] for row in own)
        reported = [row["reported"] for row in own]
        total["reported"] = None if None in reported else sum(reported)
        total["calibration"] = np.sum([row["calibration"] for row in own], axis=0).tolist()
        total["seconds"] = round(sum(row["seconds"] for row in own), 1)
        found.append(total)
    return found


def mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def tables(totals: list[dict[str, Any]]) -> str:
    """Three Markdown tables: what W finds, what a W has meant, and how the methods rank."""
    found = pd.DataFrame(
        {
            "world": [total["world"] for total in totals],
            "simulator": [total["simulator"] for total in totals],
            "AUPRC": [shown(total["auprc"]["w"]) for total in totals],
            "visible": [shown(total["auprc_visible"]["w"]) for total in totals],
            "edges": [total["edges"] for total in totals],
            "direct": [total["direct"] for total in totals],
            "false": [total["false"] for total in totals],
            "reported": [shown(total["reported"], 1) for total in totals],
            "signs right": [ratio(total["signs_right"], total["direct"]) for total in totals],
        }
    )
    spans = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(RANGES[:-1])] + [f"above {RANGES[-2]:g}"]
    meant = pd.DataFrame(
        [[total["world"], *(counted(*part) for part in total["calibration"])] for total in totals]
    )
    whole = np.sum([total["calibration"] for total in totals], axis=0)
    meant.loc[len(meant)] = ["all", *(counted(*part) for part in whole)]
    meant.columns = ["W in", *spans]
    methods = list(dict.fromkeys(method for total in totals for method in total["auprc"]))
    ranked = (
        pd.DataFrame(
            [[title(m), *(shown(total["auprc"].get(m)) for total in totals)] for m in methods],
            columns=["AUPRC", *found["world"]],
        )
        .set_index("AUPRC")
        .T.reset_index(names="AUPRC")
    )
    ranked.loc[len(ranked)] = [
        "mean",
        *(shown(mean_of([total["auprc"].get(m) for total in totals])) for m in methods),
    ]
    return "\n\n".join(markdown(table) for table in (found, meant, ranked))


def shown(value: float | None, digits: int = 3) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def ratio(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def counted(edges: int, direct: int) -> str:
    return f"{direct / edges:.2f} of {edges}" if edges else "none"


def markdown(table: pd.DataFrame) -> str:
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def chosen(names: list[str]) -> Iterator[World]:
    """Worlds by name, by name without depth, or all of a simulator; all of them without names."""
    at_hand = worlds()
    known = {*SIMULATORS, *(w.name for w in at_hand), *(w.name.rpartition("_")[0] for w in at_hand)}
    wrong = [name for name in names if name not in known]
    if wrong:
        raise SystemExit(
            f"No such world here: {', '.join(wrong)}. There are {', '.join(w.name for w in at_hand)}."
        )
    for world in at_hand:
        if not names or {world.name, world.name.rpartition("_")[0], world.simulator} & set(names):
            yield world


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", nargs="*", default=[], help=f"by name, or all of {', '.join(SIMULATORS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--without-design", action="store_true", help="leave out batches, donors and guides")
    parser.add_argument("--least-effect", type=float, help="network.least_effect, natural log fold change")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line: every seed, then every world"
    )
    parser.add_argument("--table", action="store_true", help="Markdown tables (the default without --json)")
    options = parser.parse_args()
    for line in absent():
        print(json.dumps({"kind": "absent", "why": line}) if options.json else line, flush=True)
    rows = []
    for world in chosen(options.worlds):
        for seed in options.seeds:
            values: dict[str, Any] = {"data": {"seed": seed, "detect_doublets": False}}
            if options.least_effect is not None:
                values["network"] = {"least_effect": options.least_effect}
            settings = make_settings("evidence", values)
            row = one(world, seed, settings, not options.without_design)
            rows.append(row)
            if options.json:
                print(json.dumps({"kind": "seed", **row}), flush=True)
    totals = summary(rows)
    if options.json:
        for total in totals:
            print(json.dumps({"kind": "world", **total}), flush=True)
    if totals and (options.table or not options.json):
        print(tables(totals))


if __name__ == "__main__":
    main()
