"""What is told of every perturbation beside its scores: does it move cells between states, and how many of
its cells respond. Nothing is done with either.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.progress import Progress
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import rows_of
from gpovae_core.effects.composition import composition
from gpovae_core.effects.responders import responders
from gpovae_core.evaluation.listing import listed
from gpovae_core.evaluation.scores import ResponderShare, States, StateShare

MOST_CONTROLS = 10_000
"""Controls that states are looked for in; of more, so many are drawn."""


def states_of(prepared: PreparedCells, seed: int, progress: Progress | None = None) -> States:
    """See effects.composition."""
    found = composition(_with_fewer_controls(prepared, seed), seed, progress)
    rows = found.table.to_dict("records")
    return States(
        separations=found.separations,
        perturbations=tuple(
            StateShare(
                perturbation=str(row[keys.PERTURBATION]),
                cells=int(row["cells"]),
                share=float(row["share"]),
                control_share=float(row["control_share"]),
                z=float(row["z"]),
                flagged=bool(row["flagged"]),
            )
            for row in rows
        ),
    )


def responders_of(
    prepared: PreparedCells, seed: int, progress: Progress | None = None
) -> tuple[ResponderShare, ...]:
    """See effects.responders."""
    return tuple(
        ResponderShare(
            perturbation=one.perturbation,
            guide=one.guide,
            cells=one.cells,
            share=one.share,
            low=one.low,
            high=one.high,
            separation=one.separation,
        )
        for one in responders(prepared, seed, progress)
    )


def notes(states: States, responding: tuple[ResponderShare, ...]) -> list[str]:
    """In words, what whoever reads edges of these perturbations should know."""
    moved = [one.perturbation for one in states.perturbations or () if one.flagged]
    found = []
    if moved:
        found.append(
            f"Move cells between states, by which every gene changes that differs between them: "
            f"{listed(moved)}. Their edges may be that, and the estimate of false edges does not count it."
        )
    few = [
        f"{one.perturbation} {100 * (one.share or 0):.0f} %"
        for one in responding
        if one.guide is None and one.high is not None and one.high < 0.8
    ]
    if few:
        found.append(f"Fewer than 80 % of the cells respond, for sure: {listed(few)}; the others escape.")
    return found


def _with_fewer_controls(prepared: PreparedCells, seed: int) -> PreparedCells:
    controls = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    if len(controls) <= MOST_CONTROLS:
        return prepared
    left_out = np.random.default_rng(seed).permutation(controls)[MOST_CONTROLS:]
    kept = np.setdiff1d(np.arange(len(prepared.labels)), left_out)
    obs = cast("pd.DataFrame", prepared.cells.obs.iloc[kept])
    genes = list(prepared.cells.var_names)
    return PreparedCells.of(rows_of(prepared.counts, kept), obs, genes, prepared.panel, prepared.report)
