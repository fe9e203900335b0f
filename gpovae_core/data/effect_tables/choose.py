"""Which columns or layers of a table hold the effects, their errors, the labels and the genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.known import Unit, first_of
from gpovae_core.data.files import refuse
from gpovae_core.data.text_tables import plain_name


@dataclass(frozen=True)
class Source:
    """Where the standard errors come from: kind and the columns or layers."""

    kind: str
    names: tuple[str, ...]


def error_source(names: Sequence[str], wanted: str | None, file: str) -> Source:
    if wanted is not None:
        return Source("error", (given(names, wanted, file),))
    found = first_of(names, known.ERRORS)
    if found is not None:
        return Source("error", (found,))
    for low, high in known.INTERVALS:
        ends = [first_of(names, (end,)) for end in (low, high)]
        if None not in ends:
            return Source("interval", tuple(str(end) for end in ends))
    for kind, wanted_names in (
        ("statistic", known.STATISTICS),
        ("square", known.SQUARES),
        ("p", known.P_VALUES),
    ):
        found = first_of(names, wanted_names)
        if found is not None:
            return Source(kind, (found,))
    adjusted = first_of(names, known.ADJUSTED)
    more = (
        f" It has '{adjusted}', but an adjusted p value does not give back the error of an effect."
        if adjusted
        else ""
    )
    refuse(
        "no-errors",
        f"'{file}' has effects but nothing that says how sure each is: no standard errors, no intervals, no "
        f"statistic and no p values (found: {', '.join(names)[:300] or 'nothing'}).{more}",
        "Write them with the effects: lfcSE or stat of DESeq2, t or P.Value of limma, F or PValue of edgeR; "
        "or name their column by effects.error_column.",
    )


def given(names: Sequence[str], wanted: str, file: str) -> str:
    found = wanted if wanted in names else first_of(names, (plain_name(wanted),))
    if found is None:
        refuse(
            "no-such-column",
            f"'{file}' has no column or layer '{wanted}'; it has {', '.join(names)[:300]}.",
            "Give one of these.",
        )
    return found


def unit_of(effect: str, names: Sequence[str], stated: Unit | None, file: str) -> tuple[Unit, str, list[str]]:
    """(unit, why in words, notes)."""
    if stated is not None:
        return stated, "as stated", []
    name = plain_name(effect)
    of_mast = {plain_name(one) for one in names} & {"primerid", "pr_chisq", "component"}
    if name in known.NATURAL:
        return "ln", f"its name, {effect}", []
    if name in known.LOG2 and not (name in known.OFTEN_LOG2 and of_mast):
        often = name in known.OFTEN_LOG2
        note = f"{effect} is read as log2, as edgeR, limma and glmGamPoi write it; otherwise state the unit."
        return "log2", f"its name, {effect}", [note] if often else []
    refuse(
        "unknown-unit",
        f"'{file}' does not say whether '{effect}' holds log2 fold changes or natural logarithms"
        + (" (MAST's are on the scale of what it was given)." if of_mast else "."),
        "Set effects.unit to log2 or ln; or call the column log2fc or ln_fc.",
    )


def best_pair(
    rows: Sequence[tuple[str, Sequence[str]]], columns: Sequence[tuple[str, Sequence[str]]]
) -> tuple[int, int]:
    """Which of several candidates, (name, distinct values), hold the labels and the genes: two of different
    names where most labels are measured genes; the first of equals.
    """
    best, chosen = -1.0, (0, 0)
    for j, (gene_name, genes) in enumerate(columns):
        have = set(genes)
        for i, (label_name, labels) in enumerate(rows):
            if label_name == gene_name:
                continue
            share = sum(label in have for label in labels) / max(len(labels), 1)
            if share > best + 1e-9:
                best, chosen = share, (i, j)
    return chosen
