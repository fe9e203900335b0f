"""Finding the raw counts in a file: X, a layer or raw, whichever holds all molecules as whole numbers; where
none does, the counts are recovered from normalised values.

Every matrix is judged by what it holds, then by its name. Whole numbers alone are no counts: zeros and ones,
rounded normalised values, and a layer with a part of the molecules (spliced) are whole too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from gpovae_core.data.backed import FileMatrix
from gpovae_core.data.decisions import Option
from gpovae_core.data.design import NAMES
from gpovae_core.data.genes import described_genes
from gpovae_core.data.recover import Recovered, changed, recover
from gpovae_core.errors import Problem
from gpovae_core.keys import SIZE_FACTOR

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

LARGEST_EXACT = 2**24  # whole numbers up to here are exact in float32
ALMOST = 1e-3
"""Counts that went through a calculation may be off by so much (4.9999); they are rounded."""
_NAMED_COUNTS = (
    "counts",
    "rawcounts",
    "count",
    "raw",
    "matrix",
    "umi",
    "umis",
    "umicounts",
    "readcounts",
    "splicedunspliced",
    "totalcounts",
)
"""Names of layers that say what they hold, folded, the plainest first."""
_PARTIAL = (
    "spliced",
    "unspliced",
    "ambiguous",
    "spanning",
    "mature",
    "nascent",
    "exonic",
    "intronic",
    "exon",
    "intron",
    "exons",
    "introns",
)
"""Layers with a part of the molecules each."""
_NOT_COUNTS = re.compile(
    r"norm|scale|log|cpm|tpm|cp10k|correct|denois|imput|magic|residual|smooth|binar|decont"
)
_SAMPLED = 5000
"""What distinguishes counts from other whole numbers is looked for in so many cells."""
_UNDERSPREAD = 0.5
"""Counts of molecules vary at least as much as a Poisson number; values whose variance is below this share of
it are no counts.
"""
_FEWEST_CELLS, _FEWEST_GENES, _COUNTED = 30, 5, 2.0
"""That is asked of so many cells and genes with a mean of at least so many counts."""
_FIX = "Training needs the raw UMI counts: put them in X, or in a layer called 'counts'."
_SUM = "+"


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


@dataclass
class _Candidate:
    """A matrix of the file. name: as counts_layer knows it."""

    name: str
    matrix: Any
    var: pd.DataFrame
    judged: bool = False
    rounded: bool = False
    problem: Problem | None = None
    _totals: np.ndarray | None = None

    @property
    def place(self) -> str:
        return self.name if self.name in ("X", "raw") else f"the layer '{self.name}'"

    @property
    def folded(self) -> str:
        return re.sub(r"[\W_]+", "", self.name).casefold()

    @property
    def partial(self) -> bool:
        return self.name != "X" and self.folded in _PARTIAL

    @property
    def rank(self) -> tuple[int, int, int]:
        """Small for what is looked at first: the matrix with most genes, then by its name."""
        genes = -(0 if self.matrix is None else int(self.matrix.shape[1]))
        if self.name not in ("X", "raw") and self.folded in _NAMED_COUNTS:
            return genes, 0, _NAMED_COUNTS.index(self.folded)
        if self.name in ("X", "raw"):
            return genes, 1, int(self.name == "raw")
        return genes, 3 if _NOT_COUNTS.search(self.name.casefold()) else 2, 0

    def holds_counts(self) -> bool:
        """Judge it once: its problem, and whether its values have to be rounded."""
        if not self.judged:
            self.judged = True
            self.problem = fault(self.matrix, self.place)
            if self.problem and self.problem.code == "not-raw-counts" and almost_whole(self.matrix):
                self.matrix, self.rounded, self.problem = _rounded(self.matrix), True, None
            self.problem = self.problem or unlike_counts(self.matrix, self.place)
        return self.problem is None

    def totals(self) -> np.ndarray:
        """(n_obs,) sums of its rows."""
        if self._totals is None:
            self._totals = np.asarray(self.matrix.sum(axis=1), dtype=np.float64).ravel()
        return self._totals


def find_counts(cells: AnnData | BackedCells, wanted: str | None = None) -> Counts:
    """The matrix of raw counts: `wanted` where given, else the one with most genes that holds counts, and of
    several with as many genes the layer that is named so, X, raw, another layer. Where none holds counts they
    are recovered from normalised values.

    wanted: 'X', 'raw', the name of a layer, or layers to be added joined by '+'
    (`DataSettings.counts_layer`).
    """
    candidates = _candidates(cells)
    if wanted is not None:
        return _wanted_counts(cells, candidates, wanted)
    parts = [one for one in candidates if one.partial]
    whole = [one for one in candidates if not one.partial]
    taken = next((one for one in whole if one.holds_counts() and not _is_a_part(one, parts)), None)
    if taken is not None:
        return _taken(taken, candidates)
    parts = [one for one in parts if one.holds_counts()]
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
    return Counts(None, None, "X", [problem], options=_options(candidates))


def _candidates(cells: AnnData | BackedCells) -> list[_Candidate]:
    """All matrices of the file, in the order in which they are looked at."""
    var = cast("pd.DataFrame", cells.var)
    found = [_Candidate("X", cells.X, var)]
    found += [_Candidate(str(name), cells.layers[name], var) for name in cells.layers]
    raw: Any = cells.raw
    if raw is not None and not any(one.name == "raw" for one in found):
        found.append(_Candidate("raw", raw.X, described_genes(cast("pd.DataFrame", raw.var), var)))
    return sorted(found, key=lambda one: one.rank)


def _is_a_part(one: _Candidate, parts: list[_Candidate]) -> bool:
    """Whether a matrix is one of several layers that hold a part of the molecules each."""
    return len(parts) > 1 and any(
        part.matrix.shape == one.matrix.shape and np.array_equal(part.totals(), one.totals())
        for part in parts
        if part.holds_counts()
    )


def _taken(taken: _Candidate, candidates: list[_Candidate]) -> Counts:
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
    found = Counts(same.matrix, same.var, same.name, problems, why=why, options=_options(candidates))
    return _with_rounding(found, same)


def _why(taken: _Candidate, candidates: list[_Candidate]) -> str:
    others = [one for one in candidates if one is not taken and one.matrix is not None]
    genes = taken.matrix.shape[1]
    if any(one.matrix.shape[1] < genes for one in others):
        return f"the fullest matrix of raw counts ({genes:,} genes)"
    if taken.rank[1] == 0 and others:
        return "named so, and whole numbers as counts are"
    return "whole numbers as counts are"


def _with_rounding(found: Counts, one: _Candidate) -> Counts:
    if not one.rounded:
        return found
    text = f"The counts in {one.place} were off whole numbers by less than {ALMOST:g} and were rounded."
    return replace(found, how="rounded to whole numbers", notes=[*found.notes, text])


def _asked(parts: list[_Candidate], candidates: list[_Candidate]) -> Counts:
    parts = sorted(parts, key=lambda one: _PARTIAL.index(one.folded))
    names = [one.name for one in parts]
    total = sum(float(one.totals().sum()) for one in parts)
    shares = ", ".join(f"'{one.name}' {float(one.totals().sum()) / total:.0%}" for one in parts)
    message = (
        f"No matrix of the file holds all molecules as counts: {shares} of what these layers hold together."
    )
    joined = _SUM.join(names)
    hint = (
        f"Set counts_layer to '{joined}' for their sum, or to one of them."
        if len(names) > 1
        else f"Set counts_layer to '{names[0]}' to take it nevertheless, or add a layer 'counts' with all."
    )
    problem = Problem("counts-partial", message, hint)
    return Counts(None, None, joined, [problem], options=_options(candidates), asked=True)


def _options(candidates: list[_Candidate]) -> tuple[Option, ...]:
    """What counts_layer may be, the sum of partial layers among it."""
    shown = [
        Option(value=one.name, text=f"{one.place}{' (a part of the molecules)' if one.partial else ''}")
        for one in candidates
        if one.matrix is not None
    ]
    parts = sorted((one for one in candidates if one.partial), key=lambda one: _PARTIAL.index(one.folded))
    names = [one.name for one in parts]
    if len(names) > 1:
        shown.append(Option(value=_SUM.join(names), text=f"the sum of {', '.join(names)}"))
    return tuple(shown)


def _wanted_counts(cells: AnnData | BackedCells, candidates: list[_Candidate], wanted: str) -> Counts:
    """What the settings name, or why it cannot be used."""
    options = _options(candidates)
    one = next((one for one in candidates if one.name == wanted), None) or _summed(candidates, wanted)
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


def _summed(candidates: list[_Candidate], wanted: str) -> _Candidate | None:
    """The sum of layers joined by '+'; None where one of them is not there, or they stay in the file."""
    by_name = {one.name: one for one in candidates if one.name not in ("X", "raw")}
    parts = [by_name.get(name.strip()) for name in wanted.split(_SUM)]
    if len(parts) < 2 or any(part is None or isinstance(part.matrix, FileMatrix) for part in parts):
        return None
    total: Any = None
    for part in parts:
        matrix = sparse.csr_matrix(cast("_Candidate", part).matrix, dtype=np.float64)
        total = matrix if total is None else total + matrix
    return _Candidate(wanted, total, cast("_Candidate", parts[0]).var)


def _recovered(one: _Candidate, cells: AnnData | BackedCells, candidates: list[_Candidate]) -> Counts:
    """The counts behind normalised values, or why there are none to be had."""
    options = _options(candidates)
    assert one.problem is not None
    found = recover(one.matrix, _library_columns(cast("pd.DataFrame", cells.obs)))
    if found.matrix is None:
        problem = Problem(
            one.problem.code, f"{one.problem.message} {_not_whole(found)}", _FIX, one.problem.severity
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
        folded = re.sub(r"[\s.\-]+", "_", str(column).strip()).casefold()
        if folded not in NAMES[SIZE_FACTOR] or (obs.columns == column).sum() != 1:
            continue
        if pd.api.types.is_numeric_dtype(obs[column]) and not pd.api.types.is_bool_dtype(obs[column]):
            values = obs[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isfinite(values).all() and (values > 0).all():
                found.append(values)
    return found


def fault(matrix: Any, name: str) -> Problem | None:
    """Why a matrix holds no whole non-negative numbers, as a Problem, or None where it does."""
    if matrix is None:
        return Problem("no-counts", f"{name} is empty: there is no matrix of counts.", _FIX)
    if not np.issubdtype(matrix.dtype, np.number) and matrix.dtype != np.bool_:
        return Problem("no-numbers", f"{name} holds no numbers but {matrix.dtype}.", _FIX)
    largest, total = 0.0, 0.0
    broken: Problem | None = None
    for values in _blocks(matrix):
        found = _bad_values(values, name)
        if found is not None and found.code != "not-raw-counts":
            return found
        broken = broken or found
        if values.size:
            largest = max(largest, float(values.max()))
            total += float(values.sum(dtype=np.float64))
    if broken is not None:
        return broken
    if largest > LARGEST_EXACT:
        message = (
            f"{name} holds a count of {largest:,.0f}; counts above {LARGEST_EXACT:,} are not exact in "
            "single precision."
        )
        return Problem(
            "counts-too-large",
            message,
            "No cell has so many molecules of a gene: check what the matrix holds.",
        )
    if total == 0:
        return Problem("no-counts", f"{name} holds only zeros.", _FIX)
    if largest <= 1:
        message = f"{name} holds nothing but zeros and ones: it says whether a gene was seen, not how often."
        return Problem("counts-binary", message, _FIX)
    return None


def almost_whole(matrix: Any) -> bool:
    """Whether all values are whole but for what a calculation adds (4.9999)."""
    return all(
        bool((np.abs(values - np.rint(values)) <= ALMOST).all())
        and bool(((values >= 0.5) | (values <= 1e-6)).all())
        for values in _blocks(matrix)
    )


def _rounded(matrix: Any) -> Any:
    def whole(_rows: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        found = block.copy()
        found.data = np.rint(block.data)
        found.eliminate_zeros()
        return found

    return changed(matrix, whole)


def unlike_counts(matrix: Any, name: str) -> Problem | None:
    """Why whole numbers are no counts of molecules, as a Problem, or None where they may be.

    Molecules that are counted vary at least as much as a Poisson number: the total of a cell over cells, and
    a gene over cells. Totals that vary less were made equal, and rounded after that; where all are the same
    number, cells were brought to one depth by drawing molecules, which leaves counts. A cell whose smallest
    values are 4, 8, 12 had its counts multiplied.
    """
    part = _some_cells(matrix)
    values = part.data
    if values.size and values.min() == values.max():
        message = f"{name} holds no other number than {values.max():,.0f} beside zero."
        return Problem("counts-binary", message, _FIX)
    totals = np.asarray(part.sum(axis=1), dtype=np.float64).ravel()
    totals = totals[totals > 0]
    if len(totals) < _FEWEST_CELLS:
        return None
    hint = "Rounding does not bring counts back. " + _FIX
    if 0 < totals.var() < _UNDERSPREAD * totals.mean():
        message = (
            f"{name} holds whole numbers, but every cell has about {np.median(totals):,.0f} in all (standard "
            f"deviation {totals.std():,.1f}): they look normalised and rounded."
        )
        return Problem("counts-rounded", message, hint)
    if _multiplied(part):
        message = (
            f"{name} holds whole numbers, but the values of a cell lie as far apart as its smallest one: "
            "they look normalised and rounded."
        )
        return Problem("counts-rounded", message, hint)
    mean = np.asarray(part.mean(axis=0), dtype=np.float64).ravel()
    squares = np.asarray(part.multiply(part).mean(axis=0), dtype=np.float64).ravel()
    seen = mean >= _COUNTED
    if seen.sum() >= _FEWEST_GENES:
        spread = float(np.median((squares - mean**2)[seen] / mean[seen]))
        if spread < _UNDERSPREAD:
            message = (
                f"{name} holds whole numbers, but genes vary less over cells than counted molecules can "
                f"(variance {spread:.2f} times the mean): they look like rounded logarithms or ranks."
            )
            return Problem("counts-rounded", message, hint)
    return None


def _some_cells(matrix: Any) -> sparse.csr_matrix:
    """Some of the cells, float64, without stored zeros."""
    if isinstance(matrix, FileMatrix):
        _, block = next(matrix.blocks())
        part: Any = block[:_SAMPLED]
    else:
        by_row = matrix.tocsr() if sparse.issparse(matrix) else matrix
        rows = np.linspace(0, matrix.shape[0] - 1, min(matrix.shape[0], _SAMPLED), dtype=int)
        part = by_row[rows]
    found = sparse.csr_matrix(part, dtype=np.float64, copy=True)
    found.eliminate_zeros()
    return found


def _multiplied(part: sparse.csr_matrix) -> bool:
    """Whether the second smallest value of nearly every cell is about twice its smallest or more, where that
    is 3 or more.
    """
    apart = looked = 0
    starts = part.indptr
    for row in range(min(len(starts) - 1, 500)):
        values = np.unique(part.data[starts[row] : starts[row + 1]])
        if len(values) < 4:
            continue
        looked += 1
        apart += bool(values[0] >= 3 and values[1] >= 2 * values[0] - 1)
    return looked >= _FEWEST_CELLS and apart >= 0.5 * looked


def _blocks(matrix: Any, size: int = 1 << 22) -> Iterator[np.ndarray]:
    """The stored values in blocks: nothing of the size of a dense (n_obs, n_vars) copy is ever made."""
    if isinstance(matrix, FileMatrix):
        yield from matrix.values()
        return
    if sparse.issparse(matrix):
        for start in range(0, len(matrix.data), size):
            yield matrix.data[start : start + size]
        return
    rows = max(1, size // max(1, matrix.shape[1]))
    for start in range(0, matrix.shape[0], rows):
        yield np.asarray(matrix[start : start + rows]).ravel()


def _bad_values(values: np.ndarray, name: str) -> Problem | None:
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        kind = "missing values (NaN)" if np.isnan(values).any() else "infinite values"
        return Problem("counts-not-finite", f"{name} holds {kind}; counts are whole numbers.", _FIX)
    if np.issubdtype(values.dtype, np.number) and values.size and values.min() < 0:
        message = (
            f"{name} holds negative values (e.g. {values.min():.3g}): it looks scaled or batch-corrected, "
            "not raw counts."
        )
        return Problem("counts-negative", message, _FIX)
    if np.issubdtype(values.dtype, np.floating):
        broken = values != np.round(values)
        if broken.any():
            example, largest = values[broken][0], values.max()
            guess = "log-normalised" if largest < 25 else "normalised"
            message = (
                f"{name} does not hold raw counts but values such as {example:.3g} (largest {largest:.3g}): "
                f"it looks {guess}."
            )
            return Problem("not-raw-counts", message, _FIX)
    return None


def as_csr(matrix: Any) -> sparse.csr_matrix:
    """(n_obs, n_vars) CSR float32 with sorted indices and no stored zeros; a new matrix, the source is not
    changed.
    """
    result = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result
