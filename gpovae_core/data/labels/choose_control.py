"""Which labels of a column are the control, where several could be or none is recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.labels.affixes import is_guide
from gpovae_core.data.labels.controls import CHOSEN, control_kind, without_control
from gpovae_core.data.labels.names import Names
from gpovae_core.data.labels.text import JOINTS, NO_LABEL, tidy
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

_MOST_OPTIONS = 12


@dataclass(frozen=True)
class Chosen:
    """label: as written in the file; kind: see controls.control_kind, CHOSEN where a person told it; words:
    names of the control beside its usual ones.
    """

    label: str
    kind: str
    decision: Decision
    problem: Problem | None = None
    words: tuple[str, ...] = ()


def choose_control(
    counts: Mapping[str, int],
    names: Names,
    control: str | None,
    hint: str | None,
    column: str,
    missing: int = 0,
) -> Chosen:
    """The control among labels. counts: label -> cells; control: the user's choice; hint: the file's own;
    missing: cells without a label.
    """
    if not counts:
        problem = Problem(
            "labels-missing", f"The column '{column}' of obs holds no labels.", "Choose another label_column."
        )
        return Chosen("", "", _decision("", "no labels", {}, counts, missing), problem)
    kinds = _kinds(counts, names)
    if hint is not None and hint.strip() in names.targets and kinds:  # other programs write there as well
        hint = None
    for given, why in ((control, "as chosen"), (hint, "named by the file itself")):
        if given is not None and str(given).strip() in counts:
            label = str(given).strip()
            decision = _decision(label, why, kinds, counts, missing)
            return Chosen(label, control_kind(label) or CHOSEN, decision, words=_words(label))
    if control is not None:
        return _given(control, counts, kinds, column, missing)
    if len(kinds) > 1:  # a gene may be called CTRL
        kinds = {kind: found for kind, found in kinds.items() if not set(found) <= names.targets} or kinds
    if not kinds:
        message = f"No label in '{column}' is recognised as that of the control cells."
        decision = _decision("", "no label is recognised as a control", {}, counts, missing, asked=True)
        return Chosen("", "", decision, _not_found(counts, message, missing))
    if len(kinds) > 1:
        decision = _decision("", "several kinds of control", kinds, counts, missing, asked=True)
        return Chosen("", "", decision, _several(kinds))
    kind, found = next(iter(kinds.items()))
    label = most_frequent(found)
    several = f", taken together with {len(found) - 1:,} more of its kind" if len(found) > 1 else ""
    return Chosen(label, kind, _decision(label, f"its name says {kind}{several}", kinds, counts, missing))


def _kinds(counts: Mapping[str, int], names: Names) -> dict[str, dict[str, int]]:
    """Kind of control -> {label: cells} of the labels all of whose parts are controls of this kind."""
    kinds: dict[str, dict[str, int]] = {}
    for label, n in counts.items():
        parts = [part for part in JOINTS.split(tidy(label)) if part]
        parts = [part for part in parts if control_kind(part) or not is_guide(part)]
        found = {control_kind(part) for part in parts}
        if len(found) == 1 and None not in found:
            kinds.setdefault(str(found.pop()), {})[label] = n
    return kinds


def _given(
    control: str, counts: Mapping[str, int], kinds: Mapping[str, Mapping[str, int]], column: str, missing: int
) -> Chosen:
    """A control that is told, but not the label of any cell as it stands."""
    kind = control_kind(control)
    same = {label: n for label, n in counts.items() if tidy(label).casefold() == tidy(control).casefold()}
    words = _words(control)
    named = same or {
        label: n for label, n in counts.items() if without_control(label, (), words) == (CHOSEN, [])
    }
    if kind is not None and kind in kinds:
        label = most_frequent(kinds[kind])
        return Chosen(label, kind, _decision(label, "as chosen", kinds, counts, missing))
    if named:
        label = most_frequent(named)
        return Chosen(label, CHOSEN, _decision(label, "as chosen", kinds, counts, missing), words=words)
    message = f"control_label is '{control}', but no cell has this label in '{column}'."
    decision = _decision("", f"no cell has the label '{control}'", kinds, counts, missing, asked=True)
    return Chosen(control, kind or "", decision, _not_found(counts, message, missing))


def _words(control: str) -> tuple[str, ...]:
    """What names the control inside other labels: LacZ for LacZ and for LacZ+LacZ."""
    if control.casefold() in NO_LABEL:
        return ()
    parts = {part for part in JOINTS.split(tidy(control)) if part}
    if len(parts) == 1:
        (only,) = parts
        halves = set(re.split(r"_+", only))
        parts = halves if len(halves) == 1 else parts
    return tuple(sorted(part for part in parts if control_kind(part) is None))


def most_frequent(labels: Mapping[str, int]) -> str:
    return min(labels, key=lambda label: (-labels[label], label))


def _decision(
    taken: str,
    why: str,
    kinds: Mapping[str, Mapping[str, int]],
    counts: Mapping[str, int],
    missing: int,
    asked: bool = False,
) -> Decision:
    first = [most_frequent(found) for _, found in sorted(kinds.items())]
    frequent = sorted(counts, key=lambda label: (-counts[label], label))
    before = [taken, *first] if taken else first
    shown = [*dict.fromkeys(before), *(label for label in frequent if label not in before)][:_MOST_OPTIONS]
    options = [Option(value=label, text=f"{label} ({counted(counts[label], 'cell')})") for label in shown]
    if missing:
        options.append(Option(value="None", text=f"cells without a label ({counted(missing, 'cell')})"))
    return Decision(
        setting="control_label", about="Control", taken=taken, why=why, options=tuple(options), asked=asked
    )


def _not_found(counts: Mapping[str, int], message: str, missing: int) -> Problem:
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:8]
    shown = ", ".join(f"{name} ({counts[name]:,})" for name in frequent)
    hint = (
        "Set control_label to the value that marks cells without a perturbation; every effect is measured "
        "against them."
    )
    if missing:
        hint += f" {counted(missing, 'cell')} without a label: 'None' where these are the controls."
    return Problem("control-not-found", f"{message} The most frequent labels are {shown}.", hint)


def _several(kinds: Mapping[str, Mapping[str, int]]) -> Problem:
    shown = "; ".join(
        f"{most_frequent(found)} ({counted(sum(found.values()), 'cell')}"
        + (f", {len(found)} labels)" if len(found) > 1 else ")")
        for _, found in sorted(kinds.items())
    )
    hint = "Set control_label to the one to compare with; cells of the others are then left out."
    return Problem("control-ambiguous", f"Several kinds of control label are present: {shown}.", hint)
