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
from gpovae_core.effects.composition import FLAGGED_ABOVE, composition
from gpovae_core.effects.responders import responders
from gpovae_core.evaluation.listing import listed
from gpovae_core.evaluation.scores import ResponderShare, States, StateShare

MOST_CONTROLS = 10_000
"""Controls that states are looked for in; of more, so many are drawn."""
FEW_RESPOND = 0.8
"""Share of responding cells below which, for sure, a perturbation is named."""


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
    """In words, what whoever reads edges of these perturbations should know: of whom it is said, what was
    measured, and what it means for the edges.
    """
    return [note for note in (_moved(states), _escaped(responding)) if note]


def _moved(states: States) -> str:
    moved = [one for one in states.perturbations or () if one.flagged]
    if not moved:
        return ""
    shares = [
        f"{one.perturbation} ({_percent(one.share)} of its cells, {_percent(one.control_share)} of controls)"
        for one in moved
    ]
    verb, them = ("move", "them") if len(moved) > 1 else ("moves", "it")
    return (
        f"{listed(shares)} {verb} cells between two states that controls show: the brackets say how many "
        f"cells are in the rarer one, more than {FLAGGED_ABOVE:g} standard errors apart. Every gene that "
        f"differs between the states changes by that alone, so edges out of {them} may be no regulation; "
        "the expected false edges do not count these."
    )


def _escaped(responding: tuple[ResponderShare, ...]) -> str:
    few = [
        f"{one.perturbation} ({_percent(one.share)})"
        for one in responding
        if one.guide is None and one.high is not None and one.high < FEW_RESPOND
    ]
    if not few:
        return ""
    return (
        f"In {listed(few)} some cells escape the perturbation: the share in brackets responds, and its 95 % "
        f"interval ends below {_percent(FEW_RESPOND)}. Effects are means over all cells and so smaller than "
        "in a cell that responds: edges out of these genes are missed more easily."
    )


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.0f} %"


def _with_fewer_controls(prepared: PreparedCells, seed: int) -> PreparedCells:
    controls = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    if len(controls) <= MOST_CONTROLS:
        return prepared
    left_out = np.random.default_rng(seed).permutation(controls)[MOST_CONTROLS:]
    kept = np.setdiff1d(np.arange(len(prepared.labels)), left_out)
    obs = cast("pd.DataFrame", prepared.cells.obs.iloc[kept])
    genes = list(prepared.cells.var_names)
    return PreparedCells.of(rows_of(prepared.counts, kept), obs, genes, prepared.panel, prepared.report)
