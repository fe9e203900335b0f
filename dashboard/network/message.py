"""What the workbench in the browser is sent; no Streamlit in here.

The network goes once (`network_message`), then every answer holds only what is chosen (`Sight`) and what
needs cells (see evidence.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import erfc

from dashboard.network.slider import digits, on_step
from gpovae_core import __version__, keys
from gpovae_core.effects.changes import adjusted
from gpovae_core.network.agreement import standing
from gpovae_core.network.contrary import contrary_edges
from gpovae_core.network.curves import STEPS, steps
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import ReferenceNetwork
from gpovae_core.plots.signs import AROUND, MAP, MATRIX, legend
from gpovae_core.questions.reach import FEW_CELLS
from gpovae_core.reporting import trust
from gpovae_core.runs.ensemble import Ensemble

MOST_EDGES = 5000
"""Edges sent at most, the strongest."""
SIGNIFICANCE = 0.05
STRICT, GENEROUS = 0.01, 0.25
"""Estimated shares of false edges at the stops beside the default threshold."""
UNKNOWN = -1
"""Stands for a whole number that is not known."""


@dataclass(frozen=True)
class Sight:
    """What a person is looking at. view: "whole", "matrix", "ego" or None, chosen by the size of the network;
    bundle: the regulators whose shared targets are opened; row: which of the ways from source to target is
    lit; mark: genes of a community that stand out; path: genes of a traced way; seq: number of the browser's
    message that said all this.
    """

    threshold: float
    gene: str | None = None
    edge_from: str | None = None
    edge_to: str | None = None
    view: str | None = None
    bundle: tuple[str, ...] = ()
    hops: int = 1
    direction: str = "out"
    row: int = 0
    mark: tuple[str, ...] | None = None
    path: tuple[str, ...] = ()
    measure: str = "W"
    often: float = 0.0
    shares: tuple[float, ...] = ()
    loops: bool = False
    blind: bool = False
    part: str | None = None
    undo: bool = False
    redo: bool = False
    seq: int = 0

    def message(self) -> dict[str, Any]:
        said = asdict(self)
        lists = {"bundle": list(self.bundle), "path": list(self.path), "shares": list(self.shares)}
        return said | lists | {"mark": None if self.mark is None else list(self.mark)}


def network_message(
    network: GeneNetwork,
    default: float,
    *,
    loops: bool = False,
    whole: GeneNetwork | None = None,
    with_rare: GeneNetwork | None = None,
    false_rate: list[float | None] | None = None,
    references: Sequence[ReferenceNetwork] = (),
    left_out: str = "",
    without_controls: Sequence[str] = (),
    own_change: np.ndarray | None = None,
) -> dict[str, Any]:
    """Genes, strongest edges, counts per threshold and stops: what does not change with what is chosen.

    default: threshold of the run's evaluation on this measure; whole, with_rare: the networks of which this
    one leaves out the edges without evidence, and those that come back too rarely (None: it leaves out none);
    false_rate: (STEPS + 1,) estimated share of false edges at every step of the slider, None where unknown;
    left_out: in words, perturbations of the file that the run does without; without_controls: those that are
    used but have no controls in their batches; own_change: (n,) log fold change
    of every gene when it is perturbed, None where the run has no network stage.
    """
    thresholds = steps(network)
    counts = network.count_edges(thresholds, loops)
    return {
        "genes": gene_columns(network),
        "edges": edge_columns(network, network.edges(0.0, loops, top=MOST_EDGES), references, own_change),
        "counts": counts.tolist(),
        "false_share": false_rate,
        "stops": stops(network, counts, default, false_rate),
        "digits": digits(network.top),
        "few_cells": FEW_CELLS,
        "hidden": None if whole is None else _without_evidence(whole, thresholds, loops),
        "rare": None if with_rare is None else (with_rare.count_edges(thresholds, loops) - counts).tolist(),
        "has_ensemble": network.ensemble is not None,
        "legend": {
            picture: [
                [entry.mark, entry.words]
                for entry in legend(picture, network.ensemble is not None, contrary=True)
            ]
            for picture in (MAP, AROUND, MATRIX)
        },
        "members": None if network.ensemble is None else network.ensemble.members,
        "member_edges": "" if network.ensemble is None else _member_edges(network.ensemble),
        "trust": trust.for_browser(),
        "left_out": left_out,
        "without_controls": [
            network.panel.index[name] for name in without_controls if name in network.panel.index
        ],
        "facts": {
            "run": network.name,
            "simulated": network.simulated,
            "measure": network.measure,
            "scale": network.top,
            "settings": network.settings,
            "gpovae": __version__,
        },
    }


def gene_columns(network: GeneNetwork) -> pd.DataFrame:
    """Genes in panel order: gene, id, perturbed, training cells, genes changed (UNKNOWN: not known), and,
    where any gene is activated in cells of their own, those cells too.
    """
    nothing = np.full(len(network), np.nan)
    cells = nothing if network.measured is None else network.measured.cells
    table = pd.DataFrame(
        {
            "gene": list(network.panel.genes),
            "id": [network.panel.data.ids.get(gene, "") for gene in network.panel.genes],
            "perturbed": network.has_evidence.astype(np.int8),
            "cells": _whole(cells),
            "response": changed(network),
        }
    )
    raised = None if network.measured is None else network.measured.activated
    return table if raised is None else table.assign(**{keys.CELLS_ACTIVATED: _whole(raised.cells)})


def changed(network: GeneNetwork) -> np.ndarray:
    """(n,) int32 how many other genes of the panel every perturbation changes in the training cells: z test
    of its effects, Benjamini-Hochberg within the perturbation; UNKNOWN where no effects are known.
    """
    if network.measured is None:
        return np.full(len(network), UNKNOWN, dtype=np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(network.measured.effect) / network.measured.effect_se
    p = np.where(network.has_evidence[:, None], erfc(z / math.sqrt(2)), np.nan)
    np.fill_diagonal(p, np.nan)
    known = np.isfinite(p).any(axis=1)
    return np.where(known, (adjusted(p) < SIGNIFICANCE).sum(axis=1), UNKNOWN).astype(np.int32)


def edge_columns(
    network: GeneNetwork,
    edges: pd.DataFrame,
    references: Sequence[ReferenceNetwork] = (),
    own_change: np.ndarray | None = None,
) -> pd.DataFrame:
    """An edge table with genes as their numbers in the panel, in small types: it travels to the browser.
    own_change: (n,) as in `network_message`; without it no edge is called contrary to its effect.
    """
    index = network.panel.index
    unknown = pd.Series(np.full(len(edges), np.nan))
    detours = edges[keys.OPEN_DETOURS] if keys.OPEN_DETOURS in edges else unknown  # noqa: SIM401 (its type)
    frequency = edges[keys.FREQUENCY] if keys.FREQUENCY in edges else unknown  # noqa: SIM401
    pairs = list(zip(edges[keys.SOURCE], edges[keys.TARGET], strict=True))
    raised = [name for name in (keys.EFFECT_ACTIVATED, keys.EFFECT_ACTIVATED_SE) if name in edges]
    said = [[found for ref in references if (found := ref.knows(*pair)).found] for pair in pairs]
    return pd.DataFrame(
        {
            keys.SOURCE: np.array([index[source] for source, _ in pairs], dtype=np.int32),
            keys.TARGET: np.array([index[target] for _, target in pairs], dtype=np.int32),
            keys.WEIGHT: edges[keys.WEIGHT].astype(np.float64),
            keys.SIGN: edges[keys.SIGN].astype(np.int8),
            keys.EFFECT: edges[keys.EFFECT].astype(np.float32),
            keys.EFFECT_SE: edges[keys.EFFECT_SE].astype(np.float32),
            **{name: edges[name].astype(np.float32) for name in raised},
            keys.FREQUENCY: _whole(100 * frequency.to_numpy(dtype=float)),  # percent
            "detours": _whole(detours.to_numpy(dtype=float)),
            "contrary": contrary_edges(network, own_change)[
                [index[source] for source, _ in pairs], [index[target] for _, target in pairs]
            ].astype(np.int8),
            "known": [", ".join(one.reference for one in found) for found in said],
            "standing": np.array(
                [standing(int(sign), found) for sign, found in zip(edges[keys.SIGN], said, strict=True)],
                dtype=np.int8,
            ),
        }
    )


def _whole(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), np.round(values), UNKNOWN).astype(np.int32)


def stops(
    network: GeneNetwork, counts: np.ndarray, default: float, false_rate: list[float | None] | None
) -> list[dict[str, Any]]:
    """Three thresholds to begin with: the run's own, a stricter and a more generous one.

    By the estimated share of false edges where it is known, else a third and three times as many edges as the
    default leaves. counts: (STEPS + 1,) edges above every step.
    """
    here = round(default / network.top * STEPS)
    edges = int(counts[here])
    some = [k for k in range(here, STEPS + 1) if counts[k]] or [here]
    few = next((k for k in some if counts[k] <= max(1, edges // 3)), some[-1])
    many = next((k for k in range(here, -1, -1) if counts[k] >= 3 * max(1, edges)), 0)
    why = ["a third of the edges of the default", "three times the edges of the default"]
    rate = [math.nan if share is None else share for share in false_rate or []]
    strict = next((k for k in range(here, len(rate)) if rate[k] <= STRICT and counts[k]), None)
    if strict is not None and strict > here:
        few, why[0] = strict, f"at most {STRICT:.0%} of the edges expected to be false"
    loose = next((k for k in range(here + 1) if rate and rate[k] <= GENEROUS), None)
    if loose is not None and loose < here:
        many, why[1] = loose, f"at most {GENEROUS:.0%} of the edges expected to be false"
    found = {
        "strict": (few, why[0]),
        "default": (here, "that of the run's scores"),
        "generous": (many, why[1]),
    }
    return [
        {
            "name": name,
            "at": on_step(step / STEPS * network.top, network.top),
            "edges": int(counts[step]),
            "why": f"{network.measure} above {step / STEPS * network.top:.3g}: {words}",
        }
        for name, (step, words) in found.items()
    ]


def _member_edges(found: Ensemble) -> str:
    """What a network of the ensemble is like: '30 edges on average (W above 0.5)'."""
    return f"{found.edges:,.0f} edges on average (W above {found.threshold:g})"


def _without_evidence(network: GeneNetwork, thresholds: np.ndarray, self_loops: bool) -> list[int]:
    """Edges above each threshold whose source was never perturbed, so that no cell speaks for or against
    them.
    """
    never = ~network.has_evidence
    counted = np.ones((int(never.sum()), len(network)), dtype=bool)
    if not self_loops:
        counted[np.arange(len(counted)), np.flatnonzero(never)] = False
    ordered = np.sort(network.weights[never][counted])
    return (len(ordered) - np.searchsorted(ordered, thresholds, side="right")).tolist()


def adjusted_of(edges: pd.DataFrame, tested: GeneNetwork) -> list[float | None]:
    """Adjusted p of these numbered edges, in their order; None where a pair was not tested.

    tested: the network `with_tests`.
    """
    if tested.measured is None:
        return [None] * len(edges)
    values = tested.measured.p_adjusted[edges[keys.SOURCE], edges[keys.TARGET]]
    return [float(value) if math.isfinite(value) else None for value in values]
