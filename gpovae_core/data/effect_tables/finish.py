"""From the effects as they stand in a file to those that a network is made from, with the report."""

from __future__ import annotations

import numpy as np

from gpovae_core.data.effect_tables.report import EffectReport, MeasuredEffects, Raw, some
from gpovae_core.data.effect_tables.targets import check_measured, read_targets
from gpovae_core.data.files import refuse

LARGEST_LIFT = 0.1
"""Median effect of a perturbation, natural logarithm, from which on it is told: most genes are taken not to
respond.
"""


def finished(raw: Raw, name: str) -> MeasuredEffects:
    """The effects of one row for each perturbed gene, in natural logarithms. Raises DataError that says what
    keeps them from being used.
    """
    _check_repeated(raw, name)
    _check_values(raw, name)
    targets = read_targets(raw, name)
    known = np.isfinite(raw.effect) & np.isfinite(raw.error) & (raw.error > 0)
    empty = [gene for gene, (row, _) in targets.found.items() if not known[row].any()]
    kept = [gene for gene in targets.found if gene not in set(empty)]
    _check_enough(kept, name)
    unmeasured = check_measured(kept, raw, name)
    rows = [targets.found[gene][0] for gene in kept]
    factor = np.log(2) if raw.unit == "log2" else 1.0
    effect = np.where(known[rows], raw.effect[rows] * factor, 0.0)
    error = np.where(known[rows], raw.error[rows] * factor, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = raw.effect[targets.controls] / raw.error[targets.controls]
    null = np.where(known[targets.controls], null, np.nan)
    notes = [*raw.notes, *targets.notes]
    if empty:
        notes.append(f"Without a single effect and error, and left out: {some(empty)}.")
    notes += _lift_notes(kept, effect, error)
    down, up = _own_changes(kept, raw.genes, effect, error)
    report = EffectReport(
        source=name,
        form=raw.form,
        perturbation_from=raw.perturbation_from,
        gene_from=raw.gene_from,
        effect_from=raw.effect_from,
        error_from=raw.error_from,
        unit=raw.unit,
        unit_from=raw.unit_from,
        perturbations=len(kept),
        genes=len(raw.genes),
        pairs=int(known[rows].sum()),
        missing=int((~known[rows]).sum()),
        unmeasured=tuple(unmeasured),
        own_down=down,
        own_up=up,
        null_rows=tuple(raw.labels[row] for row in targets.controls),
        notes=tuple(notes),
    )
    return MeasuredEffects(tuple(kept), tuple(raw.genes), effect, error, null, report)


def _own_changes(kept: list[str], genes: list[str], effect: np.ndarray, error: np.ndarray) -> tuple[int, int]:
    """How many measured targets fall, and rise, by more than two standard errors."""
    place = {gene: j for j, gene in enumerate(genes)}
    own = [(effect[i, place[gene]], error[i, place[gene]]) for i, gene in enumerate(kept) if gene in place]
    return sum(e < -2 * s for e, s in own), sum(e > 2 * s for e, s in own)


def _check_enough(kept: list[str], name: str) -> None:
    if len(kept) < 2:
        had = f"only {kept[0]}" if kept else "none"
        refuse(
            "one-perturbation",
            f"'{name}' holds {had} of the perturbations that a network needs: two at least, so that the "
            "effect of one gene can be told from what runs over another.",
            "Put the effects of all perturbations of the screen into one table, or one table each into one "
            "folder.",
        )


def _check_repeated(raw: Raw, name: str) -> None:
    """An AnnData may have rows, or columns, of one name."""
    for what, names in (("perturbation", raw.labels), ("gene", raw.genes)):
        seen, twice = set(), []
        for one in names:
            if one in seen and one not in twice:
                twice.append(one)
            seen.add(one)
        if twice:
            refuse(
                "duplicate-pairs",
                f"'{name}' holds the same {what} more than once: {some(twice)}.",
                "Keep one of each: combine the guides or contrasts of a gene, give genes ids of their own.",
            )
        if "" in seen:
            refuse("missing-names", f"'{name}' has a {what} without a name.", "Name it, or leave it out.")


def _check_values(raw: Raw, name: str) -> None:
    if (raw.error < 0).any():
        refuse(
            "negative-errors",
            f"'{name}': {int((raw.error < 0).sum()):,} standard errors are negative ({raw.error_from}).",
            "Give the column with standard errors (effects.error_column).",
        )
    finite = raw.effect[np.isfinite(raw.effect)]
    if len(finite) >= 20 and finite.min() >= 0 and finite.max() > 0:
        refuse(
            "not-logarithms",
            f"'{name}': no effect in {raw.effect_from} is negative, so these look like ratios or sizes and "
            "not like log fold changes.",
            "Give logarithms: a gene that falls has a negative one.",
        )
    if not (np.isfinite(raw.effect) & np.isfinite(raw.error) & (raw.error > 0)).any():
        refuse(
            "no-effects",
            f"'{name}' has no pair with both an effect ({raw.effect_from}) and an error ({raw.error_from}).",
            "Check the two columns.",
        )


def _lift_notes(kept: list[str], effect: np.ndarray, error: np.ndarray) -> list[str]:
    seen = [np.isfinite(row) for row in error]
    median = np.array([np.median(e[s]) if s.any() else 0.0 for e, s in zip(effect, seen, strict=True)])
    lifted = [gene for gene, value in zip(kept, median, strict=True) if abs(value) > LARGEST_LIFT]
    if not lifted:
        return []
    largest = kept[int(np.argmax(np.abs(median)))]
    return [
        f"The median effect of {some(lifted)} is further than {LARGEST_LIFT:g} from 0 (natural logarithm; "
        f"{largest}: {median[np.argmax(np.abs(median))]:+.2f}). Effects are taken as they are: check that "
        "library sizes were accounted for, if most genes should not respond."
    ]
