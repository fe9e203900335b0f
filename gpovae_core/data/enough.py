"""Whether cells, controls and perturbations are enough, and which cells show their knock-down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.backed import FileMatrix
from gpovae_core.data.expression import log_expression
from gpovae_core.data.findings import Findings, listed, targets_of
from gpovae_core.data.like_counts import as_csr
from gpovae_core.data.schema import Dropped
from gpovae_core.data.wording import counted

if TYPE_CHECKING:
    from scipy import sparse

    from gpovae_core.config import DataSettings

FEWEST_CELLS = 3  # one cell each for training, validation and test
FEWEST_PERTURBATIONS = 2


def strong_enough(
    matrix: Any,
    rows: np.ndarray,
    genes: list[str],
    labels: np.ndarray,
    settings: DataSettings,
    found: Findings,
) -> np.ndarray:
    """(len(rows),) bool: all True, unless only strongly knocked-down cells are wanted. labels: those of the
    rows.
    """
    if not settings.strong_knockdown_only:
        return np.ones(len(labels), dtype=bool)
    targets = np.flatnonzero(np.isin(np.array(genes), sorted(targets_of(labels))))
    totals = np.asarray(matrix.sum(axis=1), dtype=np.float32).ravel()[rows]
    in_file = isinstance(matrix, FileMatrix)
    counts = matrix.columns_of_rows(rows, targets) if in_file else as_csr(matrix[rows])[:, targets]
    expression = log_expression(counts, totals, settings.target_sum)
    strong = strong_knockdown(expression, [genes[i] for i in targets], labels, settings.knockdown_percentile)
    for name in sorted(set(labels[~strong])):
        n = int((~strong & (labels == name)).sum())
        reason = f"target above percentile {settings.knockdown_percentile:g} of controls"
        found.dropped.append(Dropped(what="cells", name=name, count=n, reason=reason))
    unmeasured = sorted(targets_of(labels) - set(genes))
    if unmeasured:
        found.notes.append(
            "The knock-down of unmeasured targets cannot be checked; their cells were all kept: "
            f"{listed(unmeasured)}."
        )
    return strong


def strong_knockdown(
    expression: sparse.csr_matrix, genes: Sequence[str], labels: np.ndarray, percentile: float
) -> np.ndarray:
    """(n_obs,) bool: every measured target of the cell is at or below that percentile of its expression in
    control cells.

    expression: (n_obs, n_vars) log-normalised; labels: (n_obs,) canonical. Controls, and cells whose targets
    are not measured, stay.
    """
    column = {gene: i for i, gene in enumerate(genes)}
    by_column = expression.tocsc()
    control = labels == keys.CONTROL
    strong = np.ones(len(labels), dtype=bool)
    for name in sorted(set(labels) - {keys.CONTROL}):
        for gene in name.split(keys.PAIR_SEPARATOR):  # a gene that is raised is in no column
            if gene in column and control.any():
                values = by_column[:, [column[gene]]].toarray().ravel()
                strong &= (labels != name) | (values <= np.percentile(values[control], percentile))
    return strong


def enough_cells(
    labels: np.ndarray, kept: np.ndarray, min_cells: int, found: Findings, decided: bool = True
) -> np.ndarray:
    """(n_obs,) bool: cells of perturbations with enough of them; adds the problems of too few cells,
    controls, perturbations. decided: False where a person has still to say what labels mean, so that how many
    perturbations there are is not known.
    """
    names, n = np.unique(labels[kept].astype(str), return_counts=True)
    counts = dict(zip(names.tolist(), n.tolist(), strict=True))
    controls = counts.pop(keys.CONTROL, 0)
    least = max(min_cells, FEWEST_CELLS)
    if controls < least:
        hint = (
            "Effects are measured against controls: add control cells, or lower min_cells if so few must do."
        )
        found.error(
            "too-few-controls", f"{counted(controls, 'control cell')}; at least {least:,} are needed.", hint
        )
    small = {name: count for name, count in counts.items() if count < least}
    if small:
        found.dropped += [
            Dropped(what="perturbation", name=k, count=v, reason=f"fewer than {least} cells")
            for k, v in small.items()
        ]
        shown = listed(
            [f"{name} ({count})" for name, count in sorted(small.items(), key=lambda item: item[1])]
        )
        text = f"Left out, because they have fewer than {least} cells: {shown}."
        found.warn("few-cells", text, "The limit is the setting min_cells.")
    left = sorted(set(counts) - set(small))
    _one_gene_at_a_time(left, small, counts, found)
    if decided and len(left) < FEWEST_PERTURBATIONS:
        _too_few_perturbations(left, len(small), least, found)
    return ~np.isin(labels.astype(str), list(small))


def _one_gene_at_a_time(
    left: list[str], small: Collection[str], counts: Mapping[str, int], found: Findings
) -> None:
    """Warns of a screen of high MOI, and of one in which no gene is perturbed alone. left: perturbations with
    enough cells, small: the others; counts: cells of each.
    """
    together = sum(counts[name] for name in small if keys.PAIR_SEPARATOR in name)
    perturbed = sum(counts.values())
    hint = (
        "Edges need cells of one perturbed gene each: take the cells with a single guide, or a screen of low "
        "MOI."
    )
    if 2 * together > perturbed:
        found.warn(
            "high-moi",
            f"A high multiplicity of infection (MOI): {together:,} of {perturbed:,} perturbed cells carry "
            "several genes in combinations that too few other cells carry; what such cells show belongs to "
            "no one gene.",
            hint,
        )
    elif left and all(keys.PAIR_SEPARATOR in name for name in left):
        found.warn(
            "no-gene-alone",
            "Every perturbed cell carries several genes (a high multiplicity of infection, MOI, or a library "
            "of pairs): no gene has an effect of its own, so the network stage (preset evidence) finds no "
            "edge.",
            hint,
        )


def _too_few_perturbations(left: list[str], small: int, least: int, found: Findings) -> None:
    got = f"only {left[0]}" if left else "none"
    after = f" after leaving out {small:,} with fewer than {least} cells" if small else ""
    code = "single-perturbation" if left else "no-perturbations"
    message = (
        f"A network needs at least {FEWEST_PERTURBATIONS} perturbations to compare; there is {got}{after}."
    )
    found.error(code, message, "Check label_column" + (", or lower min_cells." if small else "."))
