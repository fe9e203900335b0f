"""Finding the raw counts in a file: X, a layer or raw, whichever holds all molecules as whole numbers; where
none does, the counts are recovered from normalised values.

Every matrix is judged by what it holds, then by its name. Whole numbers alone are no counts: zeros and ones,
rounded normalised values, and a layer with a part of the molecules (spliced) are whole too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core.data.count_candidates import (
    SUM,
    Candidate,
    candidates_of,
    equal,
    is_a_part,
    options_of,
    order_of_parts,
    summed,
)
from gpovae_core.data.decisions import Option
from gpovae_core.data.design.names import is_usual
from gpovae_core.data.like_counts import ALMOST, FIX, unlike_counts
from gpovae_core.data.recover import Recovered, recover
from gpovae_core.errors import Problem
from gpovae_core.keys import SIZE_FACTOR

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells


@dataclass(frozen=True)
class Counts:
    """matrix: (n_obs, n_vars) raw counts as stored or recovered (None where there are none); var: the genes
    of its columns; source: 'X', 'raw', a layer, or layers to be added joined by '+'; why: it was taken, one
    clause; how: what was done to its values, in words, "" where nothing; library: (n_obs,) counts of every
    cell over the whole transcriptome where values tell that genes are missing; options: what else could be
    taken; asked: whether a person has to choose.
    """

    matrix: Any
    var: pd.DataFrame | None
    source: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why: str = ""
    how: str = ""
    library: np.ndarray | None = None
    options: tuple[Option, ...] = ()
    asked: bool = False


def find_counts(cells: AnnData | BackedCells, wanted: str | None = None) -> Counts:
    """The matrix of raw counts: `wanted` where given, else the one with most genes that holds counts, and of
    several with as many genes the layer that is named so, X, raw, another layer. Where none holds counts they
    are recovered from normalised values.

    wanted: 'X', 'raw', the name of a layer, or layers to be added joined by '+'
    (`DataSettings.counts_layer`).
    """
    candidates = candidates_of(cells)
    if wanted is not None:
        return _wanted_counts(cells, candidates, wanted)
    parts = [one for one in candidates if one.partial]
    whole = [one for one in candidates if not one.partial]
    taken = next((one for one in whole if one.holds_counts() and not is_a_part(one, parts)), None)
    if taken is not None:
        alike = [one for one in whole if one.rank == taken.rank and one.holds_counts()]
        if taken.rank[1] > 1 and any(not np.array_equal(one.totals(), taken.totals()) for one in alike):
            return _several(alike, candidates)
        return _fuller(taken, whole, cells, candidates) or _taken(taken, candidates)
    for one in whole:
        one.beside_parts = one.name == "X" and one.holds_counts() and not equal(one, parts)
    parts = [one for one in candidates if one.partial and one.holds_counts()]
    if parts:
        return _asked(parts, candidates)
    tried = [one for one in whole if one.problem and one.problem.code == "not-raw-counts"]
    refused: dict[str, Problem] = {}
    for one in tried:
        found = _recovered(one, cells, candidates)
        if found.matrix is not None:
            return found
        refused[one.name] = found.problems[0]
    x = next(one for one in candidates if one.name == "X")
    problem = refused.get("X") or x.problem or next(iter(refused.values()))
    looked = [one.name for one in candidates]
    said = f" Looked in {', '.join(looked)} and found no raw counts." if len(looked) > 1 else ""
    problem = Problem(problem.code, f"{problem.message}{said}", problem.hint)
    return Counts(None, None, "X", [problem], options=options_of(candidates))


def _fuller(
    taken: Candidate, whole: list[Candidate], cells: AnnData | BackedCells, candidates: list[Candidate]
) -> Counts | None:
    """The counts behind the normalised values of a matrix with more genes than the one with counts, where
    they come back: genes that were left out of X are measured.
    """
    genes = taken.matrix.shape[1]
    for one in whole:
        if one.matrix is None or one.matrix.shape[1] <= genes or one.holds_counts():
            continue
        if one.problem is not None and one.problem.code == "not-raw-counts":
            found = _recovered(one, cells, candidates)
            if found.matrix is not None:
                text = f"{one.place} holds {one.matrix.shape[1]:,} genes, {taken.place} {genes:,} with counts"
                return replace(found, why=f"{text}; {found.why}")
    return None


def _several(alike: list[Candidate], candidates: list[Candidate]) -> Counts:
    shown = ", ".join(f"'{one.name}' ({float(one.totals().mean()):,.0f} counts a cell)" for one in alike)
    message = f"Several layers hold whole numbers as counts are, and differ: {shown}."
    hint = "Set counts_layer to the one with the raw counts, or call it 'counts'."
    problem = Problem("counts-ambiguous", message, hint)
    return Counts(None, None, "", [problem], options=options_of(candidates), asked=True)


def _taken(taken: Candidate, candidates: list[Candidate]) -> Counts:
    """The counts, with what speaks for them and, where X holds others, a word about that."""
    x = next(one for one in candidates if one.name == "X")
    problems, same = [], taken
    if taken is not x and x.matrix is not None:
        if x.matrix.shape == taken.matrix.shape:
            if x.holds_counts() and np.array_equal(x.totals(), taken.totals()):
                same = x
            elif x.holds_counts():
                message = (
                    f"X and {taken.place} both hold whole numbers, and they differ; the layer is named as "
                    "counts and is used."
                )
                problems = [
                    Problem("counts-not-in-x", message, "Set counts_layer to 'X' otherwise.", "warning")
                ]
        if not problems and same is not x:
            fewer = x.matrix.shape[1] < taken.matrix.shape[1]
            message = (
                f"X holds {x.matrix.shape[1]:,} genes, {taken.place} {taken.matrix.shape[1]:,} with raw "
                f"counts: {taken.place} is used."
                if fewer and (x.holds_counts() or x.problem is None)
                else f"{x.problem.message if x.problem else 'X holds no counts.'} Raw counts were found in "
                f"{taken.place} and are used instead."
            )
            problems = [Problem("counts-not-in-x", message, severity="warning")]
    why = _why(same, candidates)
    found = Counts(same.matrix, same.var, same.name, problems, why=why, options=options_of(candidates))
    return _with_rounding(found, same)


def _why(taken: Candidate, candidates: list[Candidate]) -> str:
    others = [one for one in candidates if one is not taken and one.matrix is not None]
    genes = taken.matrix.shape[1]
    if any(one.matrix.shape[1] < genes for one in others):
        return f"the fullest matrix of raw counts ({genes:,} genes)"
    if taken.rank[1] == 0 and others:
        return "named so, and whole numbers as counts are"
    return "whole numbers as counts are"


def _with_rounding(found: Counts, one: Candidate) -> Counts:
    if not one.rounded:
        return found
    text = f"The counts in {one.place} were off whole numbers by less than {ALMOST:g} and were rounded."
    return replace(found, how="rounded to whole numbers", notes=[*found.notes, text])


def _asked(parts: list[Candidate], candidates: list[Candidate]) -> Counts:
    parts = sorted(parts, key=order_of_parts)
    names = [one.name for one in parts]
    total = sum(float(one.totals().sum()) for one in parts)
    shares = ", ".join(
        f"{'X' if one.name == 'X' else repr(one.name)} {float(one.totals().sum()) / total:.0%}"
        for one in parts
    )
    message = (
        f"No matrix of the file holds all molecules as counts: {shares} of what these layers hold together."
    )
    joined = SUM.join(names)
    hint = (
        f"Set counts_layer to '{joined}' for their sum, or to one of them."
        if len(names) > 1
        else f"Set counts_layer to '{names[0]}' to take it nevertheless, or add a layer 'counts' with all."
    )
    problem = Problem("counts-partial", message, hint)
    return Counts(None, None, joined, [problem], options=options_of(candidates), asked=True)


def _wanted_counts(cells: AnnData | BackedCells, candidates: list[Candidate], wanted: str) -> Counts:
    """What the settings name, or why it cannot be used."""
    options = options_of(candidates)
    one = next((one for one in candidates if one.name == wanted), None) or summed(candidates, wanted)
    if one is None:
        known = ", ".join(one.name for one in candidates)
        message = f"counts_layer is '{wanted}', but the file has only: {known}."
        problem = Problem("counts-layer-missing", message, "Choose one of them.")
        return Counts(None, None, wanted, [problem], options=options)
    if one.holds_counts():
        text = f"{one.place[0].upper()}{one.place[1:]} holds a part of the molecules, and was chosen."
        problems = [Problem("counts-partial", text, severity="warning")] if one.partial else []
        found = Counts(one.matrix, one.var, wanted, problems, why="as chosen", options=options)
        return _with_rounding(found, one)
    assert one.problem is not None
    if one.problem.code == "not-raw-counts":
        return _recovered(one, cells, candidates)
    return Counts(None, None, wanted, [one.problem], options=options)


def _recovered(one: Candidate, cells: AnnData | BackedCells, candidates: list[Candidate]) -> Counts:
    """The counts behind normalised values, or why there are none to be had."""
    options = options_of(candidates)
    assert one.problem is not None
    found = recover(one.matrix, _library_columns(cast("pd.DataFrame", cells.obs)))
    if found.matrix is None:
        problem = Problem(
            one.problem.code, f"{one.problem.message} {_not_whole(found)}", FIX, one.problem.severity
        )
        return Counts(None, None, one.name, [problem], options=options)
    odd = unlike_counts(found.matrix, f"What {one.place} was made from")
    if odd is not None:
        return Counts(None, None, one.name, [odd], options=options)
    how = f"recovered from {found.way.words}"
    text = (
        f"{one.place[0].upper()}{one.place[1:]} holds {found.way.words}: the counts were recovered, since in "
        f"all {found.cells:,} cells every value is a whole multiple of one step."
    )
    notes = [text, *_about_totals(found)]
    return Counts(
        found.matrix,
        one.var,
        one.name,
        notes=notes,
        why=f"no matrix holds raw counts, and in all {found.cells:,} cells its values are whole multiples of "
        "one step",
        how=how,
        library=found.library,
        options=options,
    )


def _about_totals(found: Recovered) -> list[str]:
    notes = []
    if found.total is not None and found.library is not None:
        notes.append(
            f"Cells had been scaled to {found.total:,.4g} counts before genes were left out; their library "
            "sizes were recovered from the scale."
        )
    elif found.total is not None:
        notes.append(f"Cells had been scaled to {found.total:,.4g} counts over the genes of this matrix.")
    elif found.step[np.isfinite(found.step)].max(initial=1.0) != 1.0:
        notes.append(
            "What the cells had been scaled to is not known: library sizes are the counts over the genes of "
            "this matrix."
        )
    if found.doubtful:
        notes.append(
            f"In {found.doubtful:,} cells fewer than five genes are counted: if all counts of such a cell "
            "share a divisor, they came back divided by it."
        )
    return notes


def _not_whole(found: Recovered) -> str:
    share = found.failed / max(1, found.cells)
    return (
        f"Counts cannot be recovered from it: in {share:.0%} of the cells looked at ({found.failed:,} of "
        f"{found.cells:,}) the values are no whole multiples of a step that is the cell's own, as after "
        "regression, scaling by gene, imputation, integration, or a division of all by one number."
    )


def _library_columns(obs: pd.DataFrame) -> list[np.ndarray]:
    """(n_obs,) columns of obs with a usual name for library sizes, where they are above zero throughout."""
    import pandas as pd

    found = []
    for column in obs.columns:
        if not is_usual(SIZE_FACTOR, str(column)) or (obs.columns == column).sum() != 1:
            continue
        if pd.api.types.is_numeric_dtype(obs[column]) and not pd.api.types.is_bool_dtype(obs[column]):
            values = obs[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isfinite(values).all() and (values > 0).all():
                found.append(values)
    return found
