"""Standard errors of effects, as they stand or from intervals, statistics or p values."""

from __future__ import annotations

import numpy as np

from gpovae_core import keys
from gpovae_core.data.effect_tables.choose import Source
from gpovae_core.data.files import refuse
from gpovae_core.data.text_tables import plain_name

LEAST_P = 1e-300


def standard_errors(
    effect: np.ndarray, source: Source, values: list[np.ndarray]
) -> tuple[np.ndarray, str, list[str]]:
    """(standard errors in the unit of the effects, NaN where unknown; in words where from; notes)."""
    notes: list[str] = []
    name = source.names[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        if source.kind == "error":
            return values[0], f"standard errors, {name}", notes
        if source.kind == "interval":
            low, high = values
            words = f"95 % intervals, {' and '.join(source.names)}, over {2 * keys.NORMAL_95:g}"
            return (high - low) / (2 * keys.NORMAL_95), words, notes
        if source.kind == "p":
            from scipy.stats import norm

            p = np.clip(values[0], LEAST_P, 1.0)
            tiny = int((values[0] < LEAST_P).sum())
            if tiny:
                notes.append(
                    f"{tiny:,} p values are 0 as written; they are taken for {LEAST_P:g}, so these errors "
                    "are upper limits."
                )
            if np.nanmin(values[0]) < 0 or np.nanmax(values[0]) > 1:
                refuse(
                    "bad-p-values",
                    f"'{name}' holds values outside 0 to 1, so they are no p values.",
                    "Give the column of p values, or of standard errors by effects.error_column.",
                )
            z = norm.isf(p / 2)
            error, words = np.abs(effect) / z, f"effects over the normal quantiles of the p values, {name}"
        else:
            statistic = values[0]
            one_sign = not (statistic < 0).any() and (effect < 0).any()
            root = np.sqrt(np.abs(statistic)) if source.kind == "square" or one_sign else np.abs(statistic)
            of = f"the root of {name}" if source.kind == "square" or one_sign else name
            error, words = np.abs(effect) / root, f"effects over {of}"
            if plain_name(name) == "scores":
                notes.append(
                    "The statistic is that of a rank test or a t test of scanpy, so these errors are "
                    "approximate."
                )
    unknown = int((np.isfinite(effect) & ~(np.isfinite(error) & (error > 0))).sum())
    if unknown:
        notes.append(
            f"{unknown:,} effects of exactly 0, or with a statistic of 0, have no error by this and count as "
            "not measured."
        )
    return np.where(error > 0, error, np.nan), words, notes
