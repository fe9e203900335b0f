"""The matrices of a file that may hold its counts, and how they stand to each other: whole, a part, a sum."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from gpovae_core.data.backed import FileMatrix, SummedMatrix
from gpovae_core.data.decisions import Option
from gpovae_core.data.genes import described_genes
from gpovae_core.data.like_counts import almost_whole, fault, rounded, some_cells, unlike_counts
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

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
    "total",
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
    "new",
    "old",
    "labeled",
    "unlabeled",
    "labelled",
    "unlabelled",
)
"""Layers with a part of the molecules each."""
_MAIN_PARTS = ("spliced", "mature", "exonic", "exon", "exons")
_NOT_COUNTS = re.compile(
    r"norm|scale|log|cpm|tpm|cp10k|correct|denois|imput|magic|residual|smooth|binar|decont|sampl|thinn"
)
_BEYOND = 0.05
"""A layer with a part of the molecules holds no more than all of them do: where more than this share of its
own is not in a matrix, that matrix does not hold all.
"""
SUM = "+"


@dataclass
class Candidate:
    """A matrix of the file. name: as counts_layer knows it."""

    name: str
    matrix: Any
    var: pd.DataFrame
    judged: bool = False
    rounded: bool = False
    problem: Problem | None = None
    beside_parts: bool = False
    _totals: np.ndarray | None = None

    @property
    def place(self) -> str:
        return self.name if self.name in ("X", "raw") else f"the layer '{self.name}'"

    @property
    def folded(self) -> str:
        return re.sub(r"[\W_]+", "", self.name).casefold()

    @property
    def partial(self) -> bool:
        return self.beside_parts or (self.name != "X" and self.folded in _PARTIAL)

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
                self.matrix, self.rounded, self.problem = rounded(self.matrix), True, None
            self.problem = self.problem or unlike_counts(self.matrix, self.place)
        return self.problem is None

    def totals(self) -> np.ndarray:
        """(n_obs,) sums of its rows."""
        if self._totals is None:
            self._totals = np.asarray(self.matrix.sum(axis=1), dtype=np.float64).ravel()
        return self._totals


def candidates_of(cells: AnnData | BackedCells) -> list[Candidate]:
    """All matrices of the file, in the order in which they are looked at."""
    var = cast("pd.DataFrame", cells.var)
    found = [Candidate("X", cells.X, var)]
    found += [Candidate(str(name), cells.layers[name], var) for name in cells.layers]
    raw: Any = cells.raw
    if raw is not None and not any(one.name == "raw" for one in found):
        found.append(Candidate("raw", raw.X, described_genes(cast("pd.DataFrame", raw.var), var)))
    return sorted(found, key=lambda one: one.rank)


def is_a_part(one: Candidate, parts: list[Candidate]) -> bool:
    """Whether a matrix is one of several layers that hold a part of the molecules each, or lacks what stands
    in the only one: X with 'unspliced' beside it may be the spliced ones. Where the spliced have a layer of
    their own, an X that is not that layer was counted in another way.
    """
    if len(parts) > 1 and equal(one, parts):
        return True
    main = any(part.folded in _MAIN_PARTS for part in parts)
    return not main and any(_beyond(part, one) > _BEYOND for part in parts)


def equal(one: Candidate, parts: list[Candidate]) -> bool:
    return any(
        part.matrix.shape == one.matrix.shape and np.array_equal(part.totals(), one.totals())
        for part in parts
        if part.holds_counts()
    )


def _beyond(part: Candidate, one: Candidate) -> float:
    """Share of the molecules of a part that are not in a matrix, cell by cell and gene by gene."""
    if part.matrix.shape != one.matrix.shape or not part.holds_counts():
        return 0.0
    inside, all_of_it = some_cells(part.matrix), some_cells(one.matrix)
    missing = (inside - all_of_it).maximum(0)
    return float(missing.sum()) / max(1.0, float(inside.sum()))


def order_of_parts(one: Candidate) -> int:
    return -1 if one.name == "X" else _PARTIAL.index(one.folded)


def options_of(candidates: list[Candidate]) -> tuple[Option, ...]:
    """What counts_layer may be, the sum of partial layers among it."""
    shown = [
        Option(value=one.name, text=f"{one.place}{' (a part of the molecules)' if one.partial else ''}")
        for one in candidates
        if one.matrix is not None
    ]
    parts = sorted((one for one in candidates if one.partial), key=order_of_parts)
    names = [one.name for one in parts]
    if len(names) > 1:
        shown.append(Option(value=SUM.join(names), text=f"the sum of {', '.join(names)}"))
    return tuple(shown)


def summed(candidates: list[Candidate], wanted: str) -> Candidate | None:
    """The sum of layers joined by '+'; None where one of them is not there."""
    by_name = {one.name: one for one in candidates if one.name != "raw"}
    parts = [by_name.get(name.strip()) for name in wanted.split(SUM)]
    if len(parts) < 2 or any(part is None or part.matrix is None for part in parts):
        return None
    found = cast("list[Candidate]", parts)
    if any(isinstance(part.matrix, FileMatrix) for part in found):
        return Candidate(wanted, SummedMatrix([part.matrix for part in found]), found[0].var)
    total: Any = sparse.csr_matrix(found[0].matrix, dtype=np.float64)
    for part in found[1:]:
        total = total + sparse.csr_matrix(part.matrix, dtype=np.float64)
    return Candidate(wanted, total, found[0].var)
