"""What was read of a table of effects: the numbers, and every decision in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict

from gpovae_core.data.effect_tables.known import Unit
from gpovae_core.data.files import refuse

LISTED = 5
MOST_PAIRS = 200_000_000
"""Perturbations times genes: more is not held in memory."""


class EffectReport(BaseModel):
    """What was read of a table of effects, and how; effects.json in the folder of a run made from one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str  # name of the file
    form: str  # "an AnnData", "a table", "a folder of tables"
    perturbation_from: str  # column or index, as written
    gene_from: str
    effect_from: str
    error_from: str  # in words
    unit: Unit
    unit_from: str  # in words: why
    perturbations: int
    genes: int
    pairs: int  # with an effect and an error
    missing: int  # without
    unmeasured: tuple[str, ...] = ()  # perturbed genes that are no measured gene
    own_down: int = 0  # measured targets that fall by more than two standard errors
    own_up: int = 0
    null_rows: tuple[str, ...] = ()  # control rows of the table, which can state the null
    panel: int = 0  # genes of the network that was made of them; 0 where none was yet
    null: str = ""  # what was taken for effects where there is none, see runs.from_effects; "" for nothing
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredEffects:
    """perturbations: p genes; genes: m measured ones; effect: (p, m) natural log fold changes, 0 where
    nothing was measured; error: (p, m) standard errors, infinite there; null: (c, m) effect over error of c
    rows that name a control, NaN where not measured.
    """

    perturbations: tuple[str, ...]
    genes: tuple[str, ...]
    effect: np.ndarray
    error: np.ndarray
    null: np.ndarray
    report: EffectReport


@dataclass
class Raw:
    """Effects as they stand in the file, before names are judged: labels (p), genes (m), effect and error
    (p, m) in `unit`, NaN where missing.
    """

    form: str
    labels: list[str]
    genes: list[str]
    effect: np.ndarray
    error: np.ndarray
    perturbation_from: str
    gene_from: str
    effect_from: str
    error_from: str
    unit: Unit
    unit_from: str
    notes: list[str] = field(default_factory=list)


def some(names: Sequence[str]) -> str:
    """The first of several names."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def check_size(name: str, labels: int, genes: int) -> None:
    """Raises DataError for a table of more pairs than are held in memory."""
    if labels * genes > MOST_PAIRS:
        refuse(
            "too-large",
            f"'{name}' has {labels:,} perturbations and {genes:,} genes: more than {MOST_PAIRS:,} pairs.",
            "Leave out genes that are hardly measured.",
        )
