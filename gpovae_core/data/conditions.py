"""Screens under several conditions (stimulations, cell types, time points): never put together in silence.

Chosen ones are the only cells that are used. All together are compared within each, as batches are, and said
to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.design.find import Design
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    from gpovae_core.config import DataSettings


def sizes(design: Design) -> dict[str, int]:
    """Condition -> cells, in the order of the names; empty where there is no column of conditions."""
    if keys.CONDITION not in design.values:
        return {}
    names, cells = np.unique(design.values[keys.CONDITION].dropna().astype(str), return_counts=True)
    return {str(name): int(n) for name, n in zip(names, cells, strict=True)}


def chosen_cells(design: Design, settings: DataSettings) -> tuple[np.ndarray | None, list[Problem]]:
    """(n_obs,) bool, cells of the conditions that are asked for, None for all; what is wrong with that."""
    wanted = settings.conditions
    if not wanted:
        return None, []
    known = sizes(design)
    if not known:
        message = f"conditions asks for {_listed(wanted)}, but no column of obs is known to hold conditions."
        return None, [Problem("conditions-unknown", message, "Name the column with `condition`.")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        near = [match for name in unknown for match in get_close_matches(name, list(known), n=2)]
        message = (
            f"conditions names {_listed(unknown)}, which no cell has; column "
            f"'{design.columns.condition}' holds {_listed(list(known))}."
        )
        return None, [
            Problem("conditions-unknown", message, f"Did you mean {' or '.join(near)}?" if near else "")
        ]
    return np.isin(design.values[keys.CONDITION].astype(str), wanted), []


def together(design: Design, settings: DataSettings) -> list[Problem]:
    """A warning where cells of several conditions go into one network, and nobody has said so."""
    known = sizes(design)
    if len(known) < 2 or settings.condition_as_batch:
        return []
    message = (
        f"Cells of {len(known)} conditions are taken together (column '{design.columns.condition}': "
        f"{_listed(list(known))}): effects are measured within each condition, and one network is fitted to "
        "their mean. A gene that acts under one condition alone shows a part of its effect, and what differs "
        "between conditions is not seen."
    )
    hint = (
        "Choose one (data.conditions), train one run for each, or say that they are batches of one "
        "experiment (data.condition_as_batch)."
    )
    return [Problem("several-conditions", message, hint, "warning")]


def decision(every: dict[str, int], settings: DataSettings) -> Decision | None:
    """What is done with the conditions of a file; None where it has fewer than two. every: condition ->
    cells.
    """
    if len(every) < 2:
        return None
    if settings.conditions:
        taken, why = _listed(settings.conditions), "as chosen"
    elif settings.condition_as_batch:
        taken, why = f"all {len(every)}, as batches", "as chosen"
    else:
        taken, why = f"all {len(every)} together, compared within each", "because none was chosen"
    options = tuple(Option(value=name, text=f"{name} ({cells:,} cells)") for name, cells in every.items())
    return Decision(setting="conditions", about="Conditions", taken=taken, why=why, options=options)


def _listed(names: Sequence[str], most: int = 8) -> str:
    quoted = [f"'{name}'" for name in names[:most]]
    return ", ".join(quoted) + (f" and {len(names) - most} more" if len(names) > most else "")
