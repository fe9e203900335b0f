"""Columns of counts that are no genes: guides, antibodies, tags, spike-ins. They are left out of genes and of
the library size; guides are kept for calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data.backed import BackedCells, ChangedMatrix, FileMatrix, RawPart
from gpovae_core.data.genes import described_genes
from gpovae_core.data.labels.controls import control_kind
from gpovae_core.data.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

GUIDES, PROTEINS, TAGS, SPIKE_INS = "guides", "antibodies", "sample tags", "spike-ins"
_COLUMNS = ("feature_types", "feature_type", "featuretypes", "featuretype", "library_type", "modality")
_MORE_COLUMNS = ("feature_biotype", "feature_class", "assay", "type", "types", "kind", "class")
"""Looked at as well, where at least one value is a word for genes and one a word for something else."""
_GENES = re.compile(r"^(gene|genes|geneexpression|expression|gex|s?c?rna|mrna|transcripts?|cdna)$")
_KINDS = (
    (GUIDES, re.compile(r"crispr|guide|[sg]grna|^grna|^gdo|protospacer|barcodecapture|perturb")),
    (PROTEINS, re.compile(r"antibod|^adt|protein|^prot$|antigen|citeseq|cell_?surface")),
    (TAGS, re.compile(r"multiplex|hashtag|hashing|^hto|^cmo|lipid")),
    (SPIKE_INS, re.compile(r"spike|ercc")),
)
_TAGGED = (
    (
        PROTEINS,
        re.compile(
            r"totalseq|[-_.]total[-_.]?[abcd]$|^(adt|ab|prot|protein|antibody|anti)[-_]|[-_](adt|prot|antibody)$",
            re.I,
        ),
    ),
    (TAGS, re.compile(r"^(hto|cmo|hashtag)[-_ ]?\d+|^hto[-_]", re.I)),
    (SPIKE_INS, re.compile(r"^ercc-\d{5}$", re.I)),
)
"""Names that no gene has."""
_BEFORE = re.compile(
    r"^(?:(?i:sgrna|grna|guide|crispr[ai]?)[-_:. ]?|(?i:sg|sh|g)[-_:.]|sg)(?P<gene>.+?)(?:[-_.:]\w{1,4})?$"
)
_AFTER = re.compile(
    r"^(?P<gene>.+?)[-_.:](?:(?i:sg|g|sgrna|grna|guide)[-_.]?\d{0,3}|\d{1,3}[-_.](?i:sg|grna|guide)\w*|[ACGT]{17,})$"
)
_NUMBERED = re.compile(r"^(?P<gene>.+?)[-_.]\d{1,2}$")
_CONTROL = re.compile(
    r"^(?:sg|grna|guide)?[-_]?(?:non[-_ ]?target(?:ing|s)?|ntc|nt(?=[-_.]?\d+$)|neg[-_]?ctrl|"
    r"safe[-_ ]?harbou?r|scrambled?)(?:[-_.]\w{1,4}|\d{0,3})$",
    re.I,
)
"""Guides by their names: a measured gene with a word for guides before or after it; numbered alone, only
beside a guide that targets nothing.
"""


@dataclass(frozen=True)
class NoGenes:
    """kinds: what the file calls them (or this module, where it calls them nothing) -> their names; column:
    of var that tells, "" where their names do.
    """

    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    column: str = ""

    @property
    def count(self) -> int:
        return sum(map(len, self.kinds.values()))

    @property
    def in_words(self) -> str:
        """'12 of type CRISPR Guide Capture (STAT1_g1, STAT1_g2, ...)'."""
        parts = []
        for kind, names in self.kinds.items():
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            parts.append(f"{len(names):,} of type {kind} ({shown})" if self.column else f"{kind} {shown}")
        return "; ".join(parts)

    @property
    def note(self) -> str:
        told = f"told by the column '{self.column}' of var" if self.column else "told by their names"
        return (
            f"Left out of genes and library sizes: {counted(self.count, 'column')} that no gene has, "
            f"{told}: {self.in_words}."
        )


_TENX_GENES = "geneexpression"
"""What Cell Ranger calls genes: beside it any other value is no gene."""


def only_genes(cells: AnnData | BackedCells) -> tuple[AnnData | BackedCells, NoGenes]:
    """The cells without what is no gene, and what that was. Guides that were counted go to
    `obsm[keys.GUIDE_UMIS]`. Itself where there are only genes.
    """
    no_genes, kinds = _look(cast("pd.DataFrame", cells.var))
    raw_var = None if cells.raw is None else described_genes(cells.raw.var, cast("pd.DataFrame", cells.var))
    raw_no_genes, raw_kinds = (NoGenes(), np.zeros(0)) if raw_var is None else _look(raw_var)
    if not no_genes.count and not raw_no_genes.count:
        return cells, no_genes
    umis = _guide_umis(cells, kinds, raw_kinds)
    kept = np.flatnonzero(kinds == "")
    obsm = dict(cells.obsm) | (
        {} if umis is None or keys.GUIDE_UMIS in cells.obsm else {keys.GUIDE_UMIS: umis}
    )
    raw = None
    if cells.raw is not None:
        raw_x: Any = cells.raw.X
        raw_kept = np.flatnonzero(raw_kinds == "")
        raw = RawPart(_columns(raw_x, raw_kept), cast("pd.DataFrame", cells.raw.var).iloc[raw_kept])
    layers = {name: _columns(matrix, kept) for name, matrix in cells.layers.items()}
    var = cast("pd.DataFrame", cells.var).iloc[kept]
    seen = no_genes if no_genes.count else raw_no_genes
    if isinstance(cells, BackedCells):
        x = cast("FileMatrix", _columns(cells.X, kept))
        return replace(cells, X=x, var=var, layers=layers, raw=raw, obsm=obsm), seen
    return _in_memory(cells, _columns(cells.X, kept), var, layers, raw, obsm), seen


def _in_memory(
    cells: AnnData,
    x: Any,
    var: pd.DataFrame,
    layers: dict[str, Any],
    raw: RawPart | None,
    obsm: dict[str, Any],
) -> AnnData:
    from anndata import AnnData

    obs: Any = cells.obs
    result = AnnData(x, obs=obs, var=var, layers=layers, obsm=obsm, uns=dict(cells.uns))
    if raw is not None:
        result.raw = AnnData(raw.X, obs=obs[[]], var=raw.var)
    return result


def _look(var: pd.DataFrame) -> tuple[NoGenes, np.ndarray]:
    """(what is no gene, (n_vars,) kind of every column, "" for genes)."""
    names = var.index.astype(str).to_numpy(dtype=object)
    column, told = _told(var)
    kinds = np.full(len(names), "", dtype=object)
    if column is not None:
        gene = np.array([bool(_GENES.match(_folded(value))) or not value for value in told], dtype=bool)
        kinds[~gene] = np.array(told, dtype=object)[~gene]
    else:
        kinds = _by_name(names)
    found = {str(kind): tuple(names[kinds == kind].tolist()) for kind in dict.fromkeys(kinds[kinds != ""])}
    return NoGenes(found, str(column) if column is not None and found else ""), kinds


def _told(var: pd.DataFrame) -> tuple[str | None, list[str]]:
    """The column of var that tells genes from other features, and its values as text."""
    by_fold: dict[str, str] = {}
    for column in var.columns:
        by_fold.setdefault(re.sub(r"[\s.\-]+", "_", str(column).strip()).casefold(), column)
    for wish in (*_COLUMNS, *_MORE_COLUMNS):
        if wish not in by_fold:
            continue
        values = [_text(value) for value in var[by_fold[wish]]]
        folded = {_folded(value) for value in values if value}
        some_genes = any(_GENES.match(value) for value in folded)
        some_others = _TENX_GENES in folded or any(
            _kind_of(value) for value in folded if not _GENES.match(value)
        )
        if some_genes and (wish in _COLUMNS or some_others):
            return by_fold[wish], values
    return None, []


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    text = "" if value is None or value != value else str(value).strip()
    return "" if text.casefold() in ("nan", "<na>", "none") else text


def _folded(value: str) -> str:
    return re.sub(r"[\s._\-]+", "", value).casefold()


def _kind_of(folded: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(folded)), "")


def _by_name(names: np.ndarray) -> np.ndarray:
    """Kinds of columns of which no column of var tells: names that no gene has, and guides of genes that are
    measured beside them.
    """
    kinds = np.full(len(names), "", dtype=object)
    for i, name in enumerate(names):
        kinds[i] = next((kind for kind, pattern in _TAGGED if pattern.search(name)), "")
    known = {name.casefold() for name in names}
    controls = [bool(_CONTROL.match(name)) for name in names]
    patterns = (_BEFORE, _AFTER, *((_NUMBERED,) if any(controls) else ()))
    for i, name in enumerate(names):
        if kinds[i] == "" and (controls[i] or _names_guide(name, known, patterns)):
            kinds[i] = GUIDES
    if (kinds == GUIDES).any():  # beside guides of genes, what is called as controls are is one of theirs
        for i, name in enumerate(names):
            kinds[i] = GUIDES if kinds[i] == "" and control_kind(name) else kinds[i]
    return kinds


def _names_guide(name: str, known: set[str], patterns: Sequence[re.Pattern[str]]) -> bool:
    found = (pattern.match(name) for pattern in patterns)
    return any(match is not None and match["gene"].casefold() in known for match in found)


def _guide_umis(
    cells: AnnData | BackedCells, kinds: np.ndarray, raw_kinds: np.ndarray
) -> pd.DataFrame | None:
    """(cells x guides) what was counted of them: of the matrix that has whole numbers, raw before X."""
    import pandas as pd

    places: list[tuple[Any, Any, np.ndarray]] = [(cells.X, cells.var, kinds)]
    places += [(matrix, cells.var, kinds) for matrix in cells.layers.values()]
    if cells.raw is not None:
        places.append((cells.raw.X, cells.raw.var, raw_kinds))
    best = None
    for matrix, var, of in places:
        columns = np.flatnonzero([_is_guide(kind) for kind in of])
        if matrix is None or not len(columns):
            continue
        part: Any = _columns(matrix, columns)
        if isinstance(part, FileMatrix):
            part = part.columns_of_rows(np.arange(part.shape[0]), np.arange(part.shape[1]))
        values = np.asarray(part.toarray() if hasattr(part, "toarray") else part)
        table = pd.DataFrame(values, index=cells.obs_names, columns=var.index[columns].astype(str))
        if bool((values >= 0).all()) and bool((values == np.round(values)).all()):
            return table
        best = table if best is None else best
    return best


def _is_guide(kind: str) -> bool:
    return bool(kind) and _kind_of(_folded(kind)) == GUIDES


def _columns(matrix: Any, columns: np.ndarray) -> Any:
    if matrix is None or len(columns) == matrix.shape[1]:
        return matrix
    if isinstance(matrix, FileMatrix):
        return ChangedMatrix(matrix, _Columns(columns), len(columns))
    return matrix[:, columns]


@dataclass(frozen=True)
class _Columns:
    columns: np.ndarray

    def __call__(self, rows: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        return block[:, self.columns]
