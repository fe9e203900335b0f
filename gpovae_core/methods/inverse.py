"""Direct effects as the inverse of the total ones, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gpovae_core.effects.averages import as_knock_downs
from gpovae_core.methods.method import Inputs, Look, Method


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the direct effect."""
    return np.abs(direct_effects(as_knock_downs(inputs.effects), inputs.sources, inputs.targets))


def direct_effects(
    effects: pd.DataFrame, sources: Sequence[str], targets: Sequence[str], tolerance: float = 0.01
) -> np.ndarray:
    """(s, t) direct effects in closed form, from the matrix of total effects: what a linear network would
    have to have.

    effects: (perturbations x genes), total effects M with the own change of a perturbed gene on the diagonal.
    With direct strengths B (no self-regulation) M = D (I - B)^-1 for whatever own changes D, so B[i, j] =
    -(M^-1)[i, j] / (M^-1)[j, j] among the perturbed and measured genes, and B[:, j] = M^-1 M[:, j] for other
    targets (modular response analysis; Kholodenko et al., PNAS 2002). Returned times the own change of the
    source, the effect that is there without detours. A source whose own change was not measured cannot be a
    detour: its row is what the detours over the others leave of its effects. The inverse is a pseudo-inverse:
    singular values below `tolerance` of the largest, noise that an inverse would blow up, count as zero. NaN
    where nothing was measured.
    """
    result = np.full((len(sources), len(targets)), np.nan)
    measured = effects.dropna(how="any")
    inner = [gene for gene in measured.index if gene in measured.columns]
    rows = [row for row, source in enumerate(sources) if source in measured.index]
    columns = [column for column, target in enumerate(targets) if target in measured.columns]
    if not rows or not columns:
        return result
    total = measured.loc[[sources[row] for row in rows], [targets[column] for column in columns]].to_numpy()
    if inner:
        inverse = np.linalg.pinv(measured.loc[inner, inner].to_numpy(), rcond=tolerance)
        strength = inverse @ measured.loc[inner, [targets[column] for column in columns]].to_numpy()
        place = {gene: i for i, gene in enumerate(inner)}
        for at, column in enumerate(columns):
            own = place.get(targets[column])
            if own is not None:
                pivot = inverse[own, own]
                strength[:, at] = -inverse[:, own] / pivot if abs(pivot) > 1e-12 else np.nan
                strength[own, at] = 0.0
        strength = np.nan_to_num(strength)
        through = measured.loc[[sources[row] for row in rows], inner].to_numpy()
        for at, row in enumerate(rows):
            if sources[row] in place:
                through[at, place[sources[row]]] = 0.0  # its own change is the cause, no detour
        total = total - through @ strength
    result[np.ix_(rows, columns)] = total
    return result


METHOD = Method(
    key="inverse",
    order=80,
    title="inverse of the total effects",
    sentence=(
        "The inverse of the total effects ranks pairs by their direct effects in a linear network, in closed "
        "form from the mean differences (modular response analysis)."
    ),
    role="baseline",
    needs=frozenset({"effects"}),
    score=score,
    look=Look("sky", "dash", "cross", 1.6),
)
