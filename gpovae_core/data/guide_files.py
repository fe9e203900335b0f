"""Guide UMIs where a laboratory keeps them: in the file of cells, or in a file of their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.files import first_line, refuse
from gpovae_core.data.guide_targets import TARGET_COLUMNS, TargetReader, table_of_frame
from gpovae_core.data.gzips import OF_ZEROS, open_packed_or_not
from gpovae_core.data.labels.text import column_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
FILE_ENDINGS = (*TABLE_ENDINGS, ".mtx", ".mtx.gz", ".h5", ".h5ad", ".h5mu")
GUIDE_WORDS = ("guide", "grna", "crispr", "protospacer", "gdo")
"""Parts of the names that people give to guides, folded: 'CRISPR Guide Capture', 'sgRNA_counts'."""
_OTHER_FEATURES = ("antibody", "protein", "adt", "hto", "hash", "multiplex")
_FEATURE_TYPE = re.compile(r"feature[_ ]?types?", re.IGNORECASE)
_CALLS = {"cell_barcode", "feature_call"}
"""Columns of Cell Ranger's protospacer_calls_per_cell.csv."""
_UNNAMED = re.compile(r"\d+|Unnamed: \d+|")


@dataclass(frozen=True)
class GuideMatrix:
    """umis: (cells, guides) whole numbers, CSR; cells: ids of the rows; guides: names of the columns; source:
    where it lies, for reading; targets: guide -> target as stated beside it, where it is; called: the numbers
    are calls already, and no rule is needed.
    """

    umis: sparse.csr_matrix
    cells: tuple[str, ...]
    guides: tuple[str, ...]
    source: str
    targets: dict[str, str] | None = None
    called: bool = False


def named_for_guides(name: str) -> bool:
    folded = re.sub(r"[\W_]+", "", name).casefold()
    return any(word in folded for word in GUIDE_WORDS)


def guides_within(cells: AnnData | BackedCells, reader: TargetReader) -> list[GuideMatrix]:
    """Matrices of guide UMIs in obsm of a file of cells, the likeliest first. Guides among the features of X
    have come there before, see data.features.

    An entry of obsm is one by what it holds: whole numbers in columns with names, of which some name a
    control and most a target. One that is named for guides needs no control. Proteins and hashtags are passed
    over by their name: antibodies carry names of genes as well.
    """
    found = []
    for name, entry in getattr(cells, "obsm", {}).items():
        folded = re.sub(r"[\W_]+", "", str(name)).casefold()
        named = named_for_guides(str(name))
        if not named and any(word in folded for word in _OTHER_FEATURES):
            continue
        guides = _column_names(entry, str(name), cells.uns)
        umis = _whole_numbers(entry) if guides is not None else None
        if guides is None or umis is None or not (named or _look_like_guides(guides, reader)):
            continue
        matrix = GuideMatrix(
            umis,
            tuple(map(str, cells.obs_names)),
            guides,
            f"obsm '{name}'",
            _table_in(cells.uns, guides, reader),
        )
        found.append((str(name) != keys.GUIDE_UMIS, not named, str(name), matrix))
    return [matrix for *_, matrix in sorted(found, key=lambda item: item[:3])]


def _column_names(entry: Any, name: str, uns: Any) -> tuple[str, ...] | None:
    """Names of the columns of an entry of obsm: its own, or a list of as many texts in uns."""
    import pandas as pd

    width = entry.shape[1] if getattr(entry, "ndim", 0) == 2 else 0
    if width < 2:
        return None
    if isinstance(entry, pd.DataFrame):
        names = tuple(map(str, entry.columns))
        return None if all(_UNNAMED.fullmatch(column) for column in names) else names
    for key in sorted(uns, key=lambda key: (name not in str(key), not named_for_guides(str(key)), str(key))):
        value = uns[key]
        if isinstance(value, list | tuple | np.ndarray) and np.shape(value) == (width,):
            texts = np.asarray(value)
            if texts.dtype.kind in "UO" and all(isinstance(text, str) for text in texts):
                return tuple(map(str, texts))
    return None


def _whole_numbers(entry: Any) -> sparse.csr_matrix | None:
    """(n_obs, columns) CSR, or None where the entry holds anything but whole numbers from 0 on."""
    import pandas as pd

    if isinstance(entry, pd.DataFrame):
        if not all(pd.api.types.is_numeric_dtype(kind) for kind in entry.dtypes):
            return None
        entry = entry.to_numpy(dtype=np.float64, na_value=0.0)
    matrix = sparse.csr_matrix(entry)
    data = matrix.data
    if data.dtype.kind not in "iufb":
        return None
    data = data.astype(np.float64)
    if not np.isfinite(data).all() or (data < 0).any() or (data != np.round(data)).any() or not data.any():
        return None
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _look_like_guides(names: Sequence[str], reader: TargetReader) -> bool:
    targets = [reader.from_name(name) for name in names]
    known = sum(
        target is not None and (target in reader.genes or target == keys.CONTROL) for target in targets
    )
    return keys.CONTROL in targets and known >= len(names) / 2


def _states_targets(frame: pd.DataFrame) -> bool:
    return bool({str(name).casefold() for name in frame.columns} & {*TARGET_COLUMNS} - {"gene_id", "symbol"})


def _table_in(uns: Any, guides: Sequence[str], reader: TargetReader) -> dict[str, str] | None:
    """guide -> target out of uns: a table, or a dictionary whose keys are guides."""
    import pandas as pd

    for name in sorted(map(str, uns)):
        value = uns[name]
        if isinstance(value, pd.DataFrame):
            found = table_of_frame(value, guides, reader)
            if found:
                return found
        elif (
            isinstance(value, dict)
            and len(set(guides) & set(value)) >= len(guides) / 2
            and all(isinstance(target, str) for target in value.values())
        ):
            return {str(guide): str(target) for guide, target in value.items()}
    return None


def read_guides(path: Path | str, cells: Collection[str], reader: TargetReader) -> GuideMatrix:
    """Guide UMIs of a file of their own: .csv or .tsv (cells x guides in either direction, or one line for
    each cell and guide, or Cell Ranger's protospacer_calls_per_cell.csv), .mtx with its barcodes and features
    beside it, 10x .h5, or anything that `read_cells` reads.

    cells: ids of the cells of the other file, which tell the direction of a table. Raises DataError in words.
    """
    path = Path(path)
    if not path.exists():
        refuse("guides-missing", f"There is no file '{path}' of guides.", "Check the name and the folder.")
    name = path.name.casefold()
    try:
        if name.endswith(TABLE_ENDINGS):
            return _from_table(_table(path), cells, path.name)
        if name.endswith((".mtx", ".mtx.gz")):
            return _from_mtx(path)
        if name.endswith(".h5"):
            return _from_tenx(path)
    except (OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        refuse(
            "guides-unreadable",
            f"'{path.name}' cannot be read as guide UMIs ({first_line(error)}).",
            "Expected is a table of cells by guides with whole numbers, and the names of both.",
            error,
        )
    return _from_cells(path, reader)


def read_target_table(path: Path | str, guides: Sequence[str], reader: TargetReader) -> dict[str, str]:
    """guide -> target of a .csv or .tsv file. Raises DataError that says what the table lacks."""
    path = Path(path)
    if not path.exists():
        refuse("guide-targets-missing", f"There is no file '{path}'.", "Check the name and the folder.")
    try:
        frame = _table(path)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        message = f"'{path.name}' cannot be read as a table ({first_line(error)})."
        refuse("guide-targets-unreadable", message, "Expected is a .csv or .tsv file.", error)
    found = table_of_frame(frame, guides, reader) or table_of_frame(_headless(frame), guides, reader)
    if found is None:
        refuse(
            "guide-targets-unreadable",
            f"'{path.name}' does not say what the guides target: no column names half of them or more (e.g. "
            f"{', '.join(guides[:3])}), or none beside it the targets. It has: {', '.join(map(str, frame))}.",
            "Two columns are needed, 'guide' and 'target'.",
        )
    return found


def _table(path: Path) -> pd.DataFrame:
    """A table as text, parted by whatever occurs most often in its first line: tab, comma or semicolon."""
    import pandas as pd

    with _opened(path) as file:
        header = file.readline().decode("utf-8-sig")
    separator = max("\t,;", key=header.count)
    with _opened(path) as file:
        return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _opened(path: Path) -> IO[bytes]:
    return open_packed_or_not(path, OF_ZEROS)


def _headless(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table with its header as the first row: it had none."""
    import pandas as pd

    rows = [list(map(str, frame.columns)), *frame.to_numpy(dtype=object).tolist()]
    return pd.DataFrame(rows, columns=pd.Index([f"column {i + 1}" for i in range(frame.shape[1])]))


def _from_table(frame: pd.DataFrame, cells: Collection[str], name: str) -> GuideMatrix:
    folded = {str(column).casefold(): column for column in frame.columns}
    if set(folded) >= _CALLS:
        return _from_calls(frame, folded, name)
    numeric = [column for column in frame.columns if _all_numbers(column_of(frame, column))]
    texts = [column for column in frame.columns if column not in numeric]
    if len(texts) == 2 and len(numeric) == 1:
        return _from_triples(frame, texts, numeric[0], cells, name)
    if len(texts) > 1 or (len(numeric) < 2 and not texts):
        raise ValueError(f"its columns {', '.join(map(str, texts[:4]))} hold no numbers")
    names = tuple(map(str, frame[texts[0]])) if texts else tuple(map(str, frame[frame.columns[0]]))
    numeric = numeric if texts else numeric[1:]
    umis = _whole_numbers(frame[numeric].astype(float))
    if umis is None:
        raise ValueError("it holds numbers that are no counts")
    columns = tuple(map(str, numeric))
    if len(_matched(columns, cells)) > len(_matched(names, cells)):
        return GuideMatrix(sparse.csr_matrix(umis.T), columns, names, f"'{name}'")
    return GuideMatrix(umis, names, columns, f"'{name}'")


def _all_numbers(column: pd.Series) -> bool:
    import pandas as pd

    return not pd.isna(pd.Series(pd.to_numeric(column, errors="coerce"))).any()


def _from_triples(
    frame: pd.DataFrame, texts: list[Any], number: Any, cells: Collection[str], name: str
) -> GuideMatrix:
    """One line for each cell and guide."""
    import pandas as pd

    barcode, guide = sorted(texts, key=lambda column: -len(_matched(set(frame[column]), cells)))
    rows, row_names = pd.factorize(frame[barcode], sort=True)
    columns, guides = pd.factorize(frame[guide], sort=True)
    umis = frame[number].astype(float).to_numpy()
    matrix = sparse.coo_matrix((umis, (rows, columns)), shape=(len(row_names), len(guides)))
    whole = _whole_numbers(matrix.tocsr())
    if whole is None:
        raise ValueError("it holds numbers that are no counts")
    return GuideMatrix(whole, tuple(map(str, row_names)), tuple(map(str, guides)), f"'{name}'")


def _from_calls(frame: pd.DataFrame, folded: dict[str, Any], name: str) -> GuideMatrix:
    """Cell Ranger's calls: guides of a cell joined by '|', and as many UMIs."""
    barcodes = frame[folded["cell_barcode"]].tolist()
    calls = [text.split("|") for text in frame[folded["feature_call"]]]
    guides = sorted({guide for call in calls for guide in call if guide})
    place = {guide: i for i, guide in enumerate(guides)}
    pairs = [(row, place[guide]) for row, call in enumerate(calls) for guide in call if guide]
    rows, columns = np.array(pairs, dtype=int).reshape(-1, 2).T
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(barcodes), len(guides)))
    return GuideMatrix(matrix, tuple(barcodes), tuple(guides), f"calls in '{name}'", called=True)


def _from_mtx(path: Path) -> GuideMatrix:
    from scipy.io import mmread

    rows = _beside(path, ("features.tsv", "genes.tsv", "guides.tsv", "features.txt", "guides.txt"))
    barcodes = _beside(path, ("barcodes.tsv", "cells.tsv", "barcodes.txt", "cells.txt"))
    with _opened(path) as file:
        matrix: Any = sparse.csr_matrix(mmread(file))
    features = [line.split("\t") for line in rows]
    if matrix.shape == (len(barcodes), len(features)):
        matrix = sparse.csr_matrix(matrix.T)
    if matrix.shape != (len(features), len(barcodes)):
        raise ValueError(
            f"{matrix.shape[0]} x {matrix.shape[1]} numbers, but {len(features)} features and "
            f"{len(barcodes)} barcodes"
        )
    kinds = [parts[2] if len(parts) > 2 else "" for parts in features]
    names = [parts[1] if len(parts) > 1 and parts[1] else parts[0] for parts in features]
    return _of_features(matrix, barcodes, names, [parts[0] for parts in features], kinds, path.name)


def _beside(path: Path, names: Sequence[str]) -> list[str]:
    """Lines of the file beside `path` that has one of these names, whatever stands before it."""
    prefix = re.sub(r"matrix\.mtx(\.gz)?$|\.mtx(\.gz)?$", "", path.name)
    for name in names:
        for candidate in (f"{prefix}{name}", f"{prefix}_{name}", name):
            for ending in ("", ".gz"):
                file = path.with_name(candidate + ending)
                if file.is_file():
                    with _opened(file) as opened:
                        return opened.read().decode().splitlines()
    raise ValueError(f"there is no {names[0]} beside it")


def _from_tenx(path: Path) -> GuideMatrix:
    """matrix.h5 of Cell Ranger 3 and later: features by barcodes, stored by barcode."""
    import h5py

    with h5py.File(path, "r") as file:
        group: Any = file["matrix"]
        data, indices, indptr = (np.asarray(group[name]) for name in ("data", "indices", "indptr"))
        shape = tuple(int(n) for n in group["shape"][:])
        barcodes, names, ids, kinds = (
            [value.decode() for value in group[name][:]]
            for name in ("barcodes", "features/name", "features/id", "features/feature_type")
        )
    matrix = sparse.csc_matrix((data, indices, indptr), shape=shape)
    return _of_features(sparse.csr_matrix(matrix), barcodes, names, ids, kinds, path.name)


def _of_features(
    matrix: Any,
    barcodes: Sequence[str],
    names: Sequence[str],
    ids: Sequence[str],
    kinds: Sequence[str],
    file: str,
) -> GuideMatrix:
    """matrix: (features, barcodes), CSR. Features that kinds say to be no guides are passed over."""
    guides = [i for i, kind in enumerate(kinds) if named_for_guides(kind)] or list(range(len(names)))
    unique = len({names[i] for i in guides}) == len(guides)
    umis = _whole_numbers(matrix[guides].T)
    if umis is None:
        raise ValueError("it holds no counts")
    chosen = tuple((names if unique else ids)[i] for i in guides)
    return GuideMatrix(umis, tuple(barcodes), chosen, f"'{file}'")


def _from_cells(path: Path, reader: TargetReader) -> GuideMatrix:
    """A file of cells that holds a matrix of guides, or whose features are guides, all or some of them."""
    from gpovae_core.data.read import read_cells

    cells = read_cells(path)
    within = guides_within(cells, reader)
    if within:
        return replace(within[0], source=f"{within[0].source} of '{path.name}'")
    var = cast("pd.DataFrame", cells.var)
    kinds = next((name for name in var.columns if _FEATURE_TYPE.fullmatch(str(name))), None)
    columns = np.arange(len(var))
    if kinds is not None and any(named_for_guides(str(kind)) for kind in var[kinds]):
        columns = np.flatnonzero([named_for_guides(str(kind)) for kind in var[kinds]])
    x: Any = cells.X
    in_file = hasattr(x, "columns_of_rows")
    part = x.columns_of_rows(np.arange(cells.n_obs), columns) if in_file else sparse.csc_matrix(x)[:, columns]
    umis = _whole_numbers(part)
    if umis is None:
        refuse(
            "guides-unreadable",
            f"'{path.name}' holds no guide UMIs: X is no matrix of whole numbers, and there is no other one.",
            "Give the file with the UMIs of every guide in every cell.",
        )
    features = var.iloc[columns]
    guides = tuple(features.index.astype(str))
    targets = table_of_frame(features, guides, reader) if _states_targets(features) else None
    targets = targets or _table_in(cells.uns, guides, reader)
    return GuideMatrix(umis, tuple(map(str, cells.obs_names)), guides, f"'{path.name}'", targets)


def _bare(cell: str) -> str:
    """The barcode of a cell without Cell Ranger's '-1'."""
    return re.sub(r"-\d+$", "", cell.strip())


def _matched(names: Collection[str], cells: Collection[str]) -> dict[str, str]:
    """cell id -> name that stands for it: written alike, else alike but for '-1' where one fits."""
    there = set(cells)
    exact = {name: name for name in names if name in there}
    if exact:
        return exact
    by_bare: dict[str, list[str]] = {}
    for name in names:
        by_bare.setdefault(_bare(name), []).append(name)
    wanted: dict[str, list[str]] = {}
    for cell in cells:
        wanted.setdefault(_bare(cell), []).append(cell)
    return {
        found[0]: by_bare[bare][0]
        for bare, found in wanted.items()
        if len(found) == 1 and len(by_bare.get(bare, ())) == 1
    }


def for_cells(guides: GuideMatrix, cells: Sequence[str]) -> tuple[sparse.csr_matrix, int]:
    """((len(cells), guides) UMIs in the order of `cells`, zeros where the other file lacks a cell; cells that
    were found there).
    """
    if guides.cells == tuple(cells):
        return guides.umis, len(cells)
    place = {name: row for row, name in enumerate(guides.cells)}
    found = _matched(guides.cells, cells)
    rows = np.array([place[found[cell]] if cell in found else -1 for cell in cells])
    padded = sparse.csr_matrix(sparse.vstack([guides.umis, sparse.csr_matrix((1, len(guides.guides)))]))
    return sparse.csr_matrix(padded[rows]), int((rows >= 0).sum())
