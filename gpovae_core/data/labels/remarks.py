"""What has to be said about labels: what was understood, left out, or is not clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gpovae_core import keys
from gpovae_core.data.labels.names import HOW
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    from gpovae_core.data.labels.reading import Parsed


def remarks(
    counts: Mapping[str, int],
    canonical: Mapping[str, str | None],
    reasons: Mapping[str, str],
    parsed: Mapping[str, Parsed],
    asked: bool,
) -> tuple[list[Problem], list[str]]:
    """(problems, notes). counts: label -> cells; canonical: label -> what it is read as; reasons: why it is
    left out; asked: whether unclear labels stop the work.
    """
    problems = _unclear(counts, parsed, reasons, asked) + _left_out(counts, reasons)
    plus = sorted(name for name in counts if reasons[name] == "gene name with '+'")
    if plus:
        message = f"Perturbed genes with a '+' in their name, e.g. '{plus[0]}': '+' joins genes."
        problems.append(Problem("plus-in-gene-name", message, "Rename them in var and in the label column."))
    return problems + _alike(canonical), _notes(counts, canonical, parsed)


def _notes(
    counts: Mapping[str, int], canonical: Mapping[str, str | None], parsed: Mapping[str, Parsed]
) -> list[str]:
    notes = []
    merged = sorted(name for name in counts if canonical[name] == keys.CONTROL)
    if len(merged) > 1:
        shown = ", ".join(merged[:4]) + (", ..." if len(merged) > 4 else "")
        notes.append(f"{len(merged)} control labels of one kind ({shown}) are taken together as the control.")
    read = {
        name: one
        for name, one in parsed.items()
        if canonical[name] not in (None, keys.CONTROL) and not one.unclear
    }

    def note(names: list[str], what: str) -> None:
        if names:
            example = min(names)
            notes.append(
                f"{counted(len(names), 'label')} {what}, e.g. '{example}' as '{canonical[example]}'."
            )

    beside = [name for name, one in read.items() if one.controls]
    note(beside, "with a control guide beside a target read as that target")
    several = [
        name
        for name, one in read.items()
        if len(one.genes) > 1 and not one.controls and keys.PAIR_SEPARATOR not in name
    ]
    note(several, "read as several genes")
    for how, words in HOW.items():
        note([name for name, one in read.items() if any(found.how == how for found in one.found)], words)
    guides = [name for name, one in read.items() if len(one.found) > len(one.genes) > 0]
    note(
        [name for name in guides if name not in several], "with several guides of one gene read as that gene"
    )
    escaped = [name for name, one in read.items() if any(found.kind == "NP" for found in one.found)]
    if escaped:
        cells = sum(counts[name] for name in escaped)
        notes.append(
            f"{counted(cells, 'cell')} that Mixscape calls not perturbed (NP) are kept with their gene (set "
            "non_perturbed to leave them out)."
        )
    return notes


_NOT_CLEAR = {
    "number": (
        "labels-are-numbers",
        "Labels are codes or numbers, not genes",
        "Choose the column that names the gene, or translate the codes. Or set unclear_labels: 'as written' "
        "takes them for targets that are not measured, 'leave out' leaves these cells out.",
    ),
    "none": (
        "labels-not-genes",
        "No label names a measured gene, and most do not look like names of genes",
        "Choose the column that names the gene, or translate the labels. Or set unclear_labels: 'as written' "
        "takes them for targets that are not measured, 'leave out' leaves these cells out.",
    ),
    "date": (
        "labels-are-dates",
        "Labels are dates, as a spreadsheet makes them of gene names such as MARCH1 and SEPT2, and fit no "
        "measured gene, or several",
        "Write the gene's name. Or set unclear_labels: 'leave out' leaves these cells out, 'as written' "
        "takes them for targets that are not measured.",
    ),
    "near": (
        "labels-near-genes",
        "Labels that nearly name a measured gene or a control, but not clearly",
        "Write the gene's name, '+' between two. Or set unclear_labels: 'nearest' takes the name they are "
        "near to, 'as written' takes them for targets that are not measured, 'leave out' leaves these "
        "cells out.",
    ),
    "malformed": (
        "malformed-labels",
        "Labels that cannot be read (a '+' with nothing beside it)",
        "Write the gene's name, '+' between two. Or set unclear_labels: 'nearest' takes what stands there, "
        "'leave out' leaves these cells out.",
    ),
    "pair": (
        "labels-near-genes",
        "Labels that may name two genes or one, none of them measured",
        "Set pair_separator to '_' where it joins two genes, to 'none' where it does not.",
    ),
    "guide": (
        "guide-level-labels",
        "Labels name guides, not genes, as it seems: each would count as a perturbation of its own",
        "Choose the column that names the target gene. Or set unclear_labels: 'nearest' removes the number, "
        "'as written' keeps it as a part of the name.",
    ),
}


def _unclear(
    counts: Mapping[str, int], parsed: Mapping[str, Parsed], reasons: Mapping[str, str], asked: bool
) -> list[Problem]:
    problems = []
    for why, (code, what, hint) in _NOT_CLEAR.items():
        names = sorted(
            name
            for name, one in parsed.items()
            if one.unclear and one.unclear[1] == why and reasons[name] == "unclear label"
        )
        if not names:
            continue
        cells = counted(sum(counts[name] for name in names), "cell")
        shown = ", ".join(_with_near(name, parsed[name]) for name in names[:4])
        message = f"{what}: {shown}{', ...' if len(names) > 4 else ''} ({cells})."
        if asked:
            problems.append(Problem(code, message, hint))
        else:
            problems.append(Problem(code, f"{message} They are left out.", hint, "warning"))
    return problems


def _with_near(name: str, one: Parsed) -> str:
    near = one.unclear[0] if one.unclear else ()
    return f"'{name}'" + (f" ({' or '.join(near[:3])}?)" if near else "")


_LEFT_OUT = {
    "another kind of control": ("other-controls", "with another kind of control label than the chosen one"),
    "no single perturbation assigned": ("no-single-perturbation", "with no single perturbation assigned"),
    "not perturbed, as Mixscape has it": ("not-perturbed", "that Mixscape calls not perturbed (NP)"),
}


def _left_out(counts: Mapping[str, int], reasons: Mapping[str, str]) -> list[Problem]:
    problems = []
    for reason, (code, text) in _LEFT_OUT.items():
        names = sorted(name for name in counts if reasons[name] == reason)
        if names:
            cells = counted(sum(counts[name] for name in names), "cell")
            message = f"Left out: {cells} {text} ({_shown(names)})."
            problems.append(Problem(code, message, severity="warning"))
    return problems


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _alike(canonical: Mapping[str, str | None]) -> list[Problem]:
    folds: dict[str, set[str]] = {}
    for name in canonical.values():
        if name:
            folds.setdefault(name.casefold(), set()).add(name)
    alike = sorted(sorted(group) for group in folds.values() if len(group) > 1)
    if not alike:
        return []
    message = (
        f"Perturbations that differ only in upper and lower case are kept apart: {' and '.join(alike[0])}."
    )
    return [Problem("labels-alike", message, "Spell them alike if they are the same gene.", "warning")]
