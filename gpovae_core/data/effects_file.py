"""Effects in the place of cells: a table of log fold changes with standard errors, perturbation by gene, as
an AnnData with layers, as a long table (text or parquet), or as a folder with one table for each
perturbation.

Columns are found by the names that the field's programs write (`effect_columns`), the labels and symbols
among several by what they hold. Where the errors are missing they follow from the intervals, the statistic or
the p values. Everything decided is said in the report; what cannot be decided is refused, with what to add.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict

from gpovae_core import keys
from gpovae_core.data import effect_columns as known
from gpovae_core.data.effect_columns import EffectColumns, Unit, all_of, first_of
from gpovae_core.data.files import first_line, has_hdf5_signature, start_of
from gpovae_core.data.labels.controls import control_kind
from gpovae_core.data.labels.names import Found, Names
from gpovae_core.data.labels.reading import UNCLEAR_SHARE
from gpovae_core.data.text_tables import NotATable, open_table, plain_name, stem_of
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    from anndata import AnnData

ENDINGS = (".csv", ".tsv", ".tab", ".txt")
PACKED = (*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS), ".parquet")
MOST_BYTES = 8_000_000_000
MOST_PAIRS = 200_000_000
"""Perturbations times genes: more is not held in memory."""
LARGEST_LIFT = 0.1
"""Median effect of a perturbation, natural logarithm, from which on it is told: most genes are taken not to
respond.
"""
LEAST_P = 1e-300
_MISSING = {"", "na", "nan", "none", "null", "n/a", "#n/a", "<na>", ".", "-"}
_PARQUET = b"PAR1"
_LISTED = 5
_SEPARATORS = (keys.PAIR_SEPARATOR, "_", "|", ";", ",", "&")
_AGAINST = re.compile(r"^(.+?)\s*[ _.-](?:vs|versus|against)[ _.-].*$|^(.+?) - .+$", re.IGNORECASE)
_IN_FRONT = re.compile(
    r"^(?:(?i:condition|perturbation|perturbed|group|gene|target|treatment|crispri|crispra|crispr|sgrna|ko|kd"
    r"|oe)[ _.:-]+|condition(?=[A-Z])|s[ghi][ _.:-]*(?=[A-Z]))"
)
_BEHIND = re.compile(
    r"(?:[ _.:-]+(?:ko|kd|oe|knock[ _-]?(?:down|out)|crispri|crispra|(?:g|sg|guide)?\d+)|-/-)$", re.IGNORECASE
)


class EffectReport(BaseModel):
    """What was read of a table of effects, and how; effects.json in the folder of a run made from one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str  # name of the file
    form: str  # "an AnnData", "a table", "a folder of tables"
    perturbation_from: str  # column or index, as written
    gene_from: str
    effect_from: str
    error_from: str  # in words
    unit: Unit
    unit_from: str  # in words: why
    perturbations: int
    genes: int
    pairs: int  # with an effect and an error
    missing: int  # without
    unmeasured: tuple[str, ...] = ()  # perturbed genes that are no measured gene
    own_down: int = 0  # measured targets that fall by more than two standard errors
    own_up: int = 0
    null_rows: tuple[str, ...] = ()  # control rows of the table, which can state the null
    panel: int = 0  # genes of the network that was made of them; 0 where none was yet
    null: str = ""  # what was taken for effects where there is none, see runs.from_effects; "" for nothing
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredEffects:
    """perturbations: p genes; genes: m measured ones; effect: (p, m) natural log fold changes, 0 where
    nothing was measured; error: (p, m) standard errors, infinite there; null: (c, m) effect over error of c
    rows that name a control, NaN where not measured.
    """

    perturbations: tuple[str, ...]
    genes: tuple[str, ...]
    effect: np.ndarray
    error: np.ndarray
    null: np.ndarray
    report: EffectReport


def holds_effects(path: Path, name: str | None = None) -> bool:
    """Whether a file or folder is a table of effects, by the names of its columns or layers; never raises.
    name: that it has, where that is not its own.
    """
    path = Path(path)
    try:
        if path.is_dir():
            if _is_store(path):
                return known.looks_like_effects([one.name for one in (path / "layers").iterdir()])
            tables = _tables_in(path)
            return len(tables) > 1 and holds_effects(tables[0]) and not _names_perturbations(tables[0])
        if has_hdf5_signature(path):
            import h5py

            with h5py.File(path, "r") as file:
                layers: Any = file.get("layers", ())
                return known.looks_like_effects(list(layers))
        if start_of(path, 4) == _PARQUET:
            return known.looks_like_effects(_parquet_columns(path))
        if not (name or path.name).casefold().endswith(PACKED):
            return False
        return known.looks_like_effects(open_table(path, MOST_BYTES).header)
    except Exception:  # whatever it is, it is none
        return False


def _names_perturbations(path: Path) -> bool:
    """Whether a table says which gene was perturbed, so that it needs no name for that."""
    parquet = start_of(path, 4) == _PARQUET
    names = _parquet_columns(path) if parquet else list(open_table(path, MOST_BYTES).header)
    return first_of(names, [name for name in known.PERTURBATIONS if name not in known.GENES]) is not None


def read_effects(path: Path, columns: EffectColumns | None = None) -> MeasuredEffects:
    """The effects in a file or folder. columns: what is told of it; the rest is found. Raises DataError that
    says what is wrong and how to mend it.
    """
    path, columns = Path(path), columns or EffectColumns()
    if not path.exists():
        _refuse("file-missing", f"There is no file '{path}'.", "Check the name and the folder it is in.")
    if path.is_dir() and not _is_store(path):
        raw = _from_folder(path, columns)
    elif path.is_dir() or has_hdf5_signature(path):
        raw = _from_anndata(path, columns)
    else:
        raw = _from_table(path, columns)
    return _finished(raw, path.name)


@dataclass
class _Raw:
    """Effects as they stand in the file, before names are judged: labels (p), genes (m), effect and error
    (p, m) in `unit`, NaN where missing.
    """

    form: str
    labels: list[str]
    genes: list[str]
    effect: np.ndarray
    error: np.ndarray
    perturbation_from: str
    gene_from: str
    effect_from: str
    error_from: str
    unit: Unit
    unit_from: str
    notes: list[str] = field(default_factory=list)


# Names of columns -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Errors:
    """Where the standard errors come from: kind and the columns or layers."""

    kind: str
    names: tuple[str, ...]


def _error_source(names: Sequence[str], wanted: str | None, file: str) -> _Errors:
    if wanted is not None:
        return _Errors("error", (_given(names, wanted, file),))
    found = first_of(names, known.ERRORS)
    if found is not None:
        return _Errors("error", (found,))
    for low, high in known.INTERVALS:
        ends = [first_of(names, (end,)) for end in (low, high)]
        if None not in ends:
            return _Errors("interval", tuple(str(end) for end in ends))
    for kind, wanted_names in (
        ("statistic", known.STATISTICS),
        ("square", known.SQUARES),
        ("p", known.P_VALUES),
    ):
        found = first_of(names, wanted_names)
        if found is not None:
            return _Errors(kind, (found,))
    adjusted = first_of(names, known.ADJUSTED)
    more = (
        f" It has '{adjusted}', but an adjusted p value does not give back the error of an effect."
        if adjusted
        else ""
    )
    _refuse(
        "no-errors",
        f"'{file}' has effects but nothing that says how sure each is: no standard errors, no intervals, no "
        f"statistic and no p values (found: {', '.join(names)[:300] or 'nothing'}).{more}",
        "Write them with the effects: lfcSE or stat of DESeq2, t or P.Value of limma, F or PValue of edgeR; "
        "or name their column with --error-column.",
    )


def _given(names: Sequence[str], wanted: str, file: str) -> str:
    found = wanted if wanted in names else first_of(names, (plain_name(wanted),))
    if found is None:
        _refuse(
            "no-such-column",
            f"'{file}' has no column or layer '{wanted}'; it has {', '.join(names)[:300]}.",
            "Give one of these.",
        )
    return found


def _unit(effect: str, names: Sequence[str], stated: Unit | None, file: str) -> tuple[Unit, str, list[str]]:
    """(unit, why in words, notes)."""
    if stated is not None:
        return stated, "as stated", []
    name = plain_name(effect)
    of_mast = {plain_name(one) for one in names} & {"primerid", "pr_chisq", "component"}
    if name in known.NATURAL:
        return "ln", f"its name, {effect}", []
    if name in known.LOG2 and not (name in known.OFTEN_LOG2 and of_mast):
        often = name in known.OFTEN_LOG2
        note = f"{effect} is read as log2, as edgeR, limma and glmGamPoi write it; if not: --unit ln."
        return "log2", f"its name, {effect}", [note] if often else []
    _refuse(
        "unknown-unit",
        f"'{file}' does not say whether '{effect}' holds log2 fold changes or natural logarithms"
        + (" (MAST's are on the scale of what it was given)." if of_mast else "."),
        "State it: --unit log2 or --unit ln; or call the column log2fc or ln_fc.",
    )


def _standard_errors(
    effect: np.ndarray, source: _Errors, values: list[np.ndarray]
) -> tuple[np.ndarray, str, list[str]]:
    """(standard errors in the unit of the effects, NaN where unknown; in words where from; notes)."""
    notes: list[str] = []
    name = source.names[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        if source.kind == "error":
            return values[0], f"standard errors, {name}", notes
        if source.kind == "interval":
            low, high = values
            words = f"95 % intervals, {' and '.join(source.names)}, over {2 * keys.NORMAL_95:g}"
            return (high - low) / (2 * keys.NORMAL_95), words, notes
        if source.kind == "p":
            from scipy.stats import norm

            p = np.clip(values[0], LEAST_P, 1.0)
            tiny = int((values[0] < LEAST_P).sum())
            if tiny:
                notes.append(
                    f"{tiny:,} p values are 0 as written; they are taken for {LEAST_P:g}, so these errors "
                    "are upper limits."
                )
            if np.nanmin(values[0]) < 0 or np.nanmax(values[0]) > 1:
                _refuse(
                    "bad-p-values",
                    f"'{name}' holds values outside 0 to 1, so they are no p values.",
                    "Give the column of p values, or of standard errors with --error-column.",
                )
            z = norm.isf(p / 2)
            error, words = np.abs(effect) / z, f"effects over the normal quantiles of the p values, {name}"
        else:
            statistic = values[0]
            one_sign = not (statistic < 0).any() and (effect < 0).any()
            root = np.sqrt(np.abs(statistic)) if source.kind == "square" or one_sign else np.abs(statistic)
            of = f"the root of {name}" if source.kind == "square" or one_sign else name
            error, words = np.abs(effect) / root, f"effects over {of}"
            if plain_name(name) == "scores":
                notes.append(
                    "The statistic is that of a rank test or a t test of scanpy, so these errors are "
                    "approximate."
                )
    unknown = int((np.isfinite(effect) & ~(np.isfinite(error) & (error > 0))).sum())
    if unknown:
        notes.append(
            f"{unknown:,} effects of exactly 0, or with a statistic of 0, have no error by this and count as "
            "not measured."
        )
    return np.where(error > 0, error, np.nan), words, notes


def _best_pair(
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


# AnnData ----------------------------------------------------------------------------------------------------


def _is_store(path: Path) -> bool:
    return (path / ".zgroup").is_file() or (path / "zarr.json").is_file()


def _open_anndata(path: Path) -> AnnData:
    import anndata

    try:
        return anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)
    except Exception as error:
        _refuse(
            "file-damaged",
            f"'{path.name}' cannot be read as an AnnData ({first_line(error)}).",
            "Write it again with adata.write_h5ad, or give the effects as a table.",
        )


def _from_anndata(path: Path, columns: EffectColumns) -> _Raw:
    table = _open_anndata(path)
    layers = [str(name) for name in table.layers]
    names = [*layers, *(["X"] if table.X is not None else [])]
    effect = (
        _given(names, columns.effect, path.name)
        if columns.effect is not None
        else known.effect_of(layers) or ("X" if table.X is not None else None)
    )
    if effect is None:
        _refuse(
            "no-effects",
            f"'{path.name}' has no layer of effects; its layers are {', '.join(layers) or 'none'}.",
            "Call one log2fc (or name it with --effect-column) and one se.",
        )
    source = _error_source(layers, columns.error, path.name)
    unit, why, notes = _unit(effect, names, columns.unit, path.name)
    if table.n_obs * table.n_vars > MOST_PAIRS:
        _too_large(path.name, table.n_obs, table.n_vars)
    values = _dense(table.X if effect == "X" else table.layers[effect], path.name, effect)
    error, words, more = _standard_errors(
        values, source, [_dense(table.layers[name], path.name, name) for name in source.names]
    )
    rows, genes = (
        [("the index", [str(name) for name in index])]
        + [(name, [str(value) for value in frame[name]]) for name in all_of(list(frame.columns), wanted)]
        for index, frame, wanted in (
            (table.obs_names, table.obs, (*known.PERTURBATIONS, *known.GENES)),
            (table.var_names, table.var, known.GENES),
        )
    )
    if columns.perturbation is not None:
        rows = [_column_of(table.obs, columns.perturbation, path.name)]
    if columns.gene is not None:
        genes = [_column_of(table.var, columns.gene, path.name)]
    i, j = _best_pair([(f"obs {name}", values) for name, values in rows], genes)
    _refuse_transposed(path.name, rows[i][1], genes[j][1])
    return _Raw(
        "an AnnData",
        list(rows[i][1]),
        _apart(list(genes[j][1]), [str(name) for name in table.var_names]),
        values,
        error,
        f"{rows[i][0]} of obs",
        f"{genes[j][0]} of var",
        f"the layer {effect}" if effect != "X" else "X",
        words,
        unit,
        why,
        [*notes, *more],
    )


def _column_of(frame: Any, wanted: str, file: str) -> tuple[str, list[str]]:
    name = _given([str(column) for column in frame.columns], wanted, file)
    return name, [str(value) for value in frame[name]]


def _apart(symbols: list[str], ids: list[str]) -> list[str]:
    """Symbols; those that several genes share are called by their id, where that is another name."""
    from collections import Counter

    counts = Counter(symbols)
    return [i if counts[s] > 1 and i != s else s for s, i in zip(symbols, ids, strict=True)]


def _dense(values: Any, file: str, name: str) -> np.ndarray:
    from scipy import sparse

    dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
    if dense.dtype.kind not in "biuf":
        _refuse(
            "not-numbers",
            f"'{file}': the layer {name} holds no numbers but {dense.dtype}.",
            "Write it as numbers.",
        )
    return dense.astype(np.float64)


def _refuse_transposed(file: str, labels: Sequence[str], genes: Sequence[str]) -> None:
    if len(labels) > 2 * len(genes) and np.isin(genes, labels).mean() > 0.5:
        _refuse(
            "transposed",
            f"'{file}' has {len(labels):,} rows and {len(genes):,} columns, and its columns are named among "
            "its rows: it looks as if genes were the rows.",
            "Rows (obs) are perturbations, columns (var) are genes: write adata.T.",
        )


# Tables -----------------------------------------------------------------------------------------------------


@dataclass
class _Long:
    """A long table, k rows. text: column -> (distinct values, (k,) which); numbers: column -> (k,); lines:
    (k,) of the file.
    """

    names: list[str]
    text: dict[str, tuple[list[str], np.ndarray]]
    numbers: dict[str, np.ndarray]
    lines: np.ndarray


def _from_table(path: Path, columns: EffectColumns) -> _Raw:
    long, effect, source = _read_long(path, columns, needs_label=True)
    rows = _candidates(long, known.PERTURBATIONS, columns.perturbation, path.name)
    genes = _candidates(long, known.GENES, columns.gene, path.name)
    if rows == genes and len(rows) == 1:
        _no_column(long, known.PERTURBATIONS, path.name)
    i, j = _best_pair(
        [(name, long.text[name][0]) for name in rows], [(name, long.text[name][0]) for name in genes]
    )
    pair = (rows[i], genes[j])
    told = columns.perturbation is not None or columns.gene is not None
    if not told and {known.plain_name(name) for name in pair} in known.EITHER_WAY:
        # fewer genes are perturbed than measured
        first, second = (len(long.text[name][0]) for name in pair)
        pair = (pair[1], pair[0]) if first > second else pair
    return _raw_of_long(
        "a table",
        path.name,
        long,
        pair,
        effect,
        source,
        columns,
        [path.name] * len(long.lines),
    )


def _candidates(long: _Long, wanted: Sequence[str], given: str | None, file: str) -> list[str]:
    if given is not None:
        return [_given(long.names, given, file)]
    found = [name for name in all_of(long.names, wanted) if name in long.text]
    if not found:
        _no_column(long, wanted, file)
    return found


def _no_column(long: _Long, wanted: Sequence[str], file: str) -> NoReturn:
    what = "perturbed gene" if wanted is known.PERTURBATIONS else "measured gene"
    option = "--perturbation-column" if wanted is known.PERTURBATIONS else "--gene-column"
    _refuse(
        f"no-{what.replace(' ', '-')}",
        f"'{file}' has no column that names the {what} of a row; its columns are "
        f"{', '.join(long.names)[:300]}.",
        f"Call it {wanted[0]}, or name it with {option}; tables of one perturbation each go into one "
        "folder, named after the perturbation.",
    )


def _from_folder(path: Path, columns: EffectColumns) -> _Raw:
    """One table for each perturbation, named after it."""
    files = _tables_in(path)
    if not files:
        _refuse(
            "no-tables",
            f"The folder '{path.name}' holds no tables ({', '.join(PACKED)}).",
            "Give a folder with one table of effects for each perturbation, named after it.",
        )
    parts, labels, used = [], _labels_of([stem_of(file.name) for file in files]), None
    for file in files:
        long, effect, source = _read_long(file, columns, needs_label=False)
        genes = _candidates(long, known.GENES, columns.gene, file.name)
        parts.append((long, effect, source, genes))
        if used is None:
            used = (effect, source)
        elif (effect, source) != used:
            _refuse(
                "different-tables",
                f"The tables of '{path.name}' have different columns: '{files[0].name}' has {used[0]} and "
                f"{', '.join(used[1].names)}, '{file.name}' has {effect} and {', '.join(source.names)}.",
                "Write all of them alike.",
            )
    _, j = _best_pair(
        [("the name of the file", labels)], [(name, parts[0][0].text[name][0]) for name in parts[0][3]]
    )
    gene = parts[0][3][j]
    values: dict[str, int] = {}
    codes, numbers = [], {name: [] for name in parts[0][0].numbers}
    for (long, _, _, genes), file in zip(parts, files, strict=True):
        if gene not in genes:
            _refuse(
                "different-tables", f"'{file.name}' has no column '{gene}' as the others.", "Write all alike."
            )
        own = np.array([values.setdefault(name, len(values)) for name in long.text[gene][0]], dtype=np.int64)
        codes.append(own[long.text[gene][1]])
        for name in numbers:
            numbers[name].append(long.numbers[name])
    sizes = [len(part[0].lines) for part in parts]
    whole = _Long(
        parts[0][0].names,
        {
            gene: (list(values), np.concatenate(codes)),
            "the name of the file": (labels, np.repeat(np.arange(len(files)), sizes)),
        },
        {name: np.concatenate(found) for name, found in numbers.items()},
        np.concatenate([part[0].lines for part in parts]),
    )
    of_row = [file.name for file, size in zip(files, sizes, strict=True) for _ in range(size)]
    effect, source = parts[0][1], parts[0][2]
    return _raw_of_long(
        "a folder of tables",
        path.name,
        whole,
        ("the name of the file", gene),
        effect,
        source,
        columns,
        of_row,
    )


def _tables_in(path: Path) -> list[Path]:
    return sorted(
        file
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.name.casefold().endswith(PACKED)
    )


def _labels_of(stems: Sequence[str]) -> list[str]:
    """What names of files do not have in common, cut where words end: SPI1 of DE_SPI1_vs_NT and
    DE_IRF1_vs_NT.
    """
    stems = [re.sub(r"\.parquet$", "", stem) for stem in stems]
    if len(stems) < 2:
        return list(stems)
    start = re.sub(r"[^_. -]*$", "", _shared_start(stems))
    end = re.sub(r"^[^_. -]*", "", _shared_start([stem[::-1] for stem in stems])[::-1])
    cut = [stem[len(start) : len(stem) - len(end)] for stem in stems]
    return cut if all(cut) else list(stems)


def _shared_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def _read_long(path: Path, columns: EffectColumns, needs_label: bool) -> tuple[_Long, str, _Errors]:
    """The columns of a table that matter, its effect and where its errors come from."""
    if start_of(path, 4) == _PARQUET:
        names, rows = _parquet_columns(path), None
    else:
        try:
            table = open_table(path, MOST_BYTES)
            names, rows = list(table.header), table
        except NotATable as error:
            _refuse(
                "not-a-table",
                f"'{path.name}' {error}.",
                "Give a table of text (CSV, TSV), a parquet file, or an .h5ad with layers of effects.",
            )
    names = [name if name else "(row names)" for name in names]
    effect = (
        _given(names, columns.effect, path.name) if columns.effect is not None else known.effect_of(names)
    )
    if effect is None:
        linear = first_of(names, known.LINEAR)
        _refuse(
            "no-effects",
            f"'{path.name}' has no column of log fold changes; its columns are {', '.join(names)[:300]}.",
            f"'{linear}' is not a logarithm: write log2 of it as log2fc, with its standard error."
            if linear
            else "Call it log2fc, or name it with --effect-column. (A matrix of effects has no errors beside "
            "them: write it as a long table, one row for each pair, or as an AnnData with layers.)",
        )
    source = _error_source(names, columns.error, path.name)
    wanted = (*known.PERTURBATIONS, *known.GENES, "row_names")
    text = [name for name in all_of(names, wanted) if name not in (effect, *source.names)]
    for told in (columns.perturbation, columns.gene):
        if told is not None and (needs_label or told is columns.gene):
            text.append(_given(names, told, path.name))
    component = first_of(names, ("component",))
    text = _once([*text, *([component] if component else [])])
    numbers = _once([effect, *source.names])
    long = (
        _columns_of_parquet(path, names, text, numbers)
        if rows is None
        else _columns_of_text(path, names, rows.rows, text, numbers, rows.separator)
    )
    if component is not None and "logFC" in long.text[component][0]:
        long = _only(long, component, "logFC")  # MAST writes a row for each part of its model
    if not len(long.lines):
        _refuse("no-effects", f"'{path.name}' has no rows.", "Check what wrote it.")
    return long, effect, source


def _once(names: Sequence[str]) -> list[str]:
    """Every name once, in their order."""
    found: list[str] = []
    for name in names:
        if name not in found:
            found.append(name)
    return found


def _only(long: _Long, column: str, value: str) -> _Long:
    values, codes = long.text[column]
    kept = codes == values.index(value)
    text = {}
    for name, (all_values, which) in long.text.items():
        present, again = np.unique(which[kept], return_inverse=True)
        text[name] = ([all_values[i] for i in present], again)
    return _Long(long.names, text, {n: v[kept] for n, v in long.numbers.items()}, long.lines[kept])


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    try:
        return [str(name) for name in pq.read_schema(path).names]
    except Exception as error:
        _no_parquet(path, error)


def _no_parquet(path: Path, error: Exception) -> NoReturn:
    _refuse(
        "file-damaged",
        f"'{path.name}' cannot be read as a parquet file ({first_line(error)}).",
        "Copy or write it again.",
    )


def _columns_of_parquet(path: Path, names: list[str], text: list[str], numbers: list[str]) -> _Long:
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(path, columns=[*text, *numbers]).to_pandas(ignore_metadata=True)
    except Exception as error:
        _no_parquet(path, error)
    found = {}
    for name in text:
        codes, values = pd.factorize(frame[name].astype(object).where(frame[name].notna(), ""), sort=False)
        found[name] = ([str(value).strip() for value in values], np.asarray(codes, dtype=np.int64))
    values = {}
    for name in numbers:
        converted: Any = pd.to_numeric(frame[name], errors="coerce")
        odd = frame[name][converted.isna() & frame[name].notna()]
        odd = [value for value in odd if str(value).strip().casefold() not in _MISSING]
        if len(odd):
            _not_numbers(path.name, name, [f"'{str(value)[:40]}'" for value in odd])
        values[name] = np.asarray(converted, dtype=np.float64)
    return _Long(names, found, values, np.arange(1, len(frame) + 1))


def _columns_of_text(
    path: Path, names: list[str], rows: Any, text: list[str], numbers: list[str], separator: str
) -> _Long:
    """Read row by row, so that an error can name its line."""
    places = [names.index(name) for name in text], [names.index(name) for name in numbers]
    values: list[dict[str, int]] = [{} for _ in text]
    codes, found = [array("q") for _ in text], [array("d") for _ in numbers]
    lines, bad = array("q"), [[] for _ in numbers]
    shift = 0
    try:
        for line, row in rows:
            if not lines and len(row) == len(names) + 1:
                shift = 1  # R writes no name above the names of its rows
            if len(row) != len(names) + shift:
                _refuse(
                    "uneven-table",
                    f"'{path.name}', line {line:,}: {len(row)} fields, but {len(names) + shift} expected.",
                    "Write all lines alike.",
                )
            lines.append(line)
            for place, known_values, column in zip(places[0], values, codes, strict=True):
                name = row[place + shift].strip()
                column.append(known_values.setdefault(name, len(known_values)))
            for place, column, odd in zip(places[1], found, bad, strict=True):
                cell = row[place + shift]
                try:
                    column.append(float(cell))
                except ValueError:
                    column.append(_number(cell, separator, odd, line))
    except NotATable as error:
        _refuse("not-a-table", f"'{path.name}' {error}.", "Write it again.")
    for name, odd in zip(numbers, bad, strict=True):
        if odd:
            _not_numbers(path.name, name, odd)
    return _Long(
        names,
        {
            name: (list(seen), np.frombuffer(column, dtype=np.int64) if len(column) else np.zeros(0, int))
            for name, seen, column in zip(text, values, codes, strict=True)
        },
        {
            name: np.frombuffer(column, dtype=np.float64) if len(column) else np.zeros(0)
            for name, column in zip(numbers, found, strict=True)
        },
        np.frombuffer(lines, dtype=np.int64) if len(lines) else np.zeros(0, int),
    )


def _number(cell: str, separator: str, odd: list[str], line: int) -> float:
    text = cell.strip().strip('"')
    if text.casefold() in _MISSING:
        return float("nan")
    if separator == ";" and "," in text:  # where it separates fields, a comma is the decimal point
        try:
            return float(text.replace(",", "."))
        except ValueError:
            pass
    odd.append(f"'{text[:40]}' in line {line:,}")
    return float("nan")


def _not_numbers(file: str, column: str, odd: list[str]) -> NoReturn:
    more = f" and {len(odd) - _LISTED:,} more" if len(odd) > _LISTED else ""
    _refuse(
        "not-numbers",
        f"'{file}': the column {column} holds {', '.join(odd[:_LISTED])}{more}, which is no number.",
        "Give numbers with a decimal point; leave the cell empty, or write NA, where nothing was measured.",
    )


def _raw_of_long(
    form: str,
    name: str,
    long: _Long,
    ends: tuple[str, str],
    effect: str,
    source: _Errors,
    columns: EffectColumns,
    files: list[str],
) -> _Raw:
    unit, why, notes = _unit(effect, long.names, columns.unit, name)
    (labels, rows), (genes, places) = (long.text[end] for end in ends)
    for end, (values, which) in zip(ends, ((labels, rows), (genes, places)), strict=True):
        blank = np.isin(which, [i for i, value in enumerate(values) if value.casefold() in _MISSING - {"-"}])
        blank &= ~np.isin(which, [i for i, value in enumerate(values) if value in ("NA", "NULL")])
        if blank.any():
            _refuse(
                "missing-names",
                f"'{name}': {int(blank.sum()):,} rows have no name in the column {end} ("
                f"{_where(files, long.lines, np.flatnonzero(blank))}).",
                "Fill in the gene, or delete the rows.",
            )
    if len(labels) * len(genes) > MOST_PAIRS:
        _too_large(name, len(labels), len(genes))
    pair = rows * len(genes) + places
    order = np.argsort(pair, kind="stable")
    again = order[1:][pair[order][1:] == pair[order][:-1]]
    if len(again):
        first = again[:_LISTED]
        listed = ", ".join(f"{labels[rows[k]]} -> {genes[places[k]]}" for k in first)
        _refuse(
            "duplicate-pairs",
            f"'{name}' lists {len(again):,} pairs of a perturbation and a gene more than once: {listed} "
            f"({_where(files, long.lines, first)}).",
            "Keep one row for each pair: choose one contrast, combine the guides of a gene, or name the "
            "column that tells the rows apart with --perturbation-column or --gene-column.",
        )
    error, words, more = _standard_errors(
        long.numbers[effect], source, [long.numbers[one] for one in source.names]
    )
    matrices = []
    for values in (long.numbers[effect], error):
        whole = np.full((len(labels), len(genes)), np.nan)
        whole[rows, places] = values
        matrices.append(whole)
    return _Raw(
        form,
        list(labels),
        list(genes),
        matrices[0],
        matrices[1],
        ends[0],
        ends[1],
        effect,
        words,
        unit,
        why,
        [*notes, *more],
    )


def _where(files: list[str], lines: np.ndarray, rows: np.ndarray) -> str:
    several = len(set(files)) > 1
    said = [f"{files[k]} line {lines[k]:,}" if several else f"line {lines[k]:,}" for k in rows[:_LISTED]]
    return ", ".join(said) + (f" and {len(rows) - _LISTED:,} more" if len(rows) > _LISTED else "")


# Names and values -------------------------------------------------------------------------------------------


def _finished(raw: _Raw, name: str) -> MeasuredEffects:
    notes = list(raw.notes)
    _check_repeated(raw, name)
    _check_values(raw, name)
    genes = set(raw.genes)
    by_fold: dict[str, list[str]] = {}
    for gene in raw.genes:
        by_fold.setdefault(gene.casefold(), []).append(gene)
    found: dict[str, list[tuple[int, str]]] = {}
    controls, combined = [], []
    names = Names(raw.genes)
    near: dict[str, tuple[str, ...]] = {}
    for row, label in enumerate(raw.labels):
        target = _target(label, genes, by_fold)
        said = Found() if target is None or target in genes else names.find(target)
        if target is None:
            (controls if _parts_are_controls(label) else combined).append(row)
        elif said.near:
            near[label] = said.near
        elif len(said.genes) > 1:
            combined.append(row)
        else:
            target = said.genes[0] if len(said.genes) == 1 else target
            found.setdefault(target, []).append((row, label))
    _check_shared(found, name)
    notes += _near_notes(near, len(raw.labels), name)
    if combined:
        notes.append(
            f"{len(combined):,} combinations are left out, as their effects are no one gene's: "
            f"{_some([raw.labels[row] for row in combined])}."
        )
    respelled = [f"{label} as {gene}" for gene, [(_, label)] in found.items() if label != gene]
    if respelled:
        notes.append(f"Labels read as genes: {_some(respelled)}.")
    missing = ~(np.isfinite(raw.effect) & np.isfinite(raw.error) & (raw.error > 0))
    empty = [gene for gene, [(row, _)] in found.items() if missing[row].all()]
    if empty:
        notes.append(f"Without a single effect and error, and left out: {_some(empty)}.")
    kept = [gene for gene in found if gene not in set(empty)]
    if len(kept) < 2:
        had = f"only {kept[0]}" if kept else "none"
        _refuse(
            "one-perturbation",
            f"'{name}' holds {had} of the perturbations that a network needs: two at least, so that the "
            "effect of one gene can be told from what runs over another.",
            "Put the effects of all perturbations of the screen into one table, or one table each into one "
            "folder.",
        )
    rows = [found[gene][0][0] for gene in kept]
    unmeasured = _unmeasured(kept, genes, raw, name)
    factor = np.log(2) if raw.unit == "log2" else 1.0
    effect, error = raw.effect[rows] * factor, raw.error[rows] * factor
    gone = missing[rows]
    effect, error = np.where(gone, 0.0, effect), np.where(gone, np.inf, error)
    with np.errstate(divide="ignore", invalid="ignore"):
        null = np.where(missing[controls], np.nan, raw.effect[controls] / raw.error[controls])
    own = [(effect[i, j], error[i, j]) for i, gene in enumerate(kept) for j in _place(raw.genes, gene)]
    notes += _lift_notes(kept, effect, error)
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
        pairs=int((~gone).sum()),
        missing=int(gone.sum()),
        unmeasured=tuple(unmeasured),
        own_down=sum(e < -2 * s for e, s in own),
        own_up=sum(e > 2 * s for e, s in own),
        null_rows=tuple(raw.labels[row] for row in controls),
        notes=tuple(notes),
    )
    return MeasuredEffects(tuple(kept), tuple(raw.genes), effect, error, null, report)


def _place(genes: list[str], gene: str) -> list[int]:
    return [genes.index(gene)] if gene in genes else []


def _check_repeated(raw: _Raw, name: str) -> None:
    """An AnnData may have rows, or columns, of one name."""
    for what, names in (("perturbation", raw.labels), ("gene", raw.genes)):
        seen, twice = set(), []
        for one in names:
            if one in seen and one not in twice:
                twice.append(one)
            seen.add(one)
        if twice:
            _refuse(
                "duplicate-pairs",
                f"'{name}' holds the same {what} more than once: {_some(twice)}.",
                "Keep one of each: combine the guides or contrasts of a gene, give genes ids of their own.",
            )
        if "" in seen:
            _refuse("missing-names", f"'{name}' has a {what} without a name.", "Name it, or leave it out.")


def _check_values(raw: _Raw, name: str) -> None:
    if (raw.error < 0).any():
        _refuse(
            "negative-errors",
            f"'{name}': {int((raw.error < 0).sum()):,} standard errors are negative ({raw.error_from}).",
            "Give the column with standard errors (--error-column).",
        )
    finite = raw.effect[np.isfinite(raw.effect)]
    if len(finite) >= 20 and finite.min() >= 0 and finite.max() > 0:
        _refuse(
            "not-logarithms",
            f"'{name}': no effect in {raw.effect_from} is negative, so these look like ratios or sizes and "
            "not like log fold changes.",
            "Give logarithms: a gene that falls has a negative one.",
        )
    if not (np.isfinite(raw.effect) & np.isfinite(raw.error) & (raw.error > 0)).any():
        _refuse(
            "no-effects",
            f"'{name}' has no pair with both an effect ({raw.effect_from}) and an error ({raw.error_from}).",
            "Check the two columns.",
        )


def _target(label: str, genes: set[str], by_fold: dict[str, list[str]]) -> str | None:
    """The one gene that a label names, measured or not; None for a control and for a combination."""
    if label in genes:
        return label
    against = _AGAINST.match(label)
    bare = next((part for part in against.groups() if part), label).strip() if against else label
    for tried in (
        bare,
        _IN_FRONT.sub("", bare),
        _BEHIND.sub("", bare),
        _BEHIND.sub("", _IN_FRONT.sub("", bare)),
    ):
        same = by_fold.get(tried.casefold(), [])
        if tried in genes or len(same) == 1:
            return tried if tried in genes else same[0]
    if control_kind(bare) is not None:
        return None
    for separator in _SEPARATORS:
        parts = [part.strip() for part in bare.split(separator) if part.strip()]
        if len(parts) < 2:
            continue
        single = [part for part in parts if control_kind(part) is None]
        if separator == keys.PAIR_SEPARATOR or all(part.casefold() in by_fold for part in single):
            return _target(single[0], genes, by_fold) if len(single) == 1 else None
    return bare


def _near_notes(near: dict[str, tuple[str, ...]], labels: int, name: str) -> list[str]:
    """That labels which are near to measured genes were left out; refused where they are more than a few."""
    if not near:
        return []
    shown = _some([f"{label} ({' or '.join(genes[:3])}?)" for label, genes in near.items()])
    if len(near) > UNCLEAR_SHARE * labels:
        _refuse(
            "labels-near-genes",
            f"'{name}': labels that nearly name a measured gene, but not clearly: {shown}.",
            "Write the gene's name in the column of perturbations.",
        )
    return [f"Labels that nearly name a measured gene, but not clearly, are left out: {shown}."]


def _parts_are_controls(label: str) -> bool:
    """Whether a label that names no gene names a control rather than a combination."""
    against = _AGAINST.match(label)
    bare = next((part for part in against.groups() if part), label) if against else label
    if control_kind(bare) is not None:
        return True
    parts = [part for part in bare.split(keys.PAIR_SEPARATOR) if part.strip()]
    return len(parts) > 1 and all(control_kind(part) is not None for part in parts)


def _check_shared(found: dict[str, list[tuple[int, str]]], name: str) -> None:
    twice = {gene: [label for _, label in rows] for gene, rows in found.items() if len(rows) > 1}
    if twice:
        listed = "; ".join(f"{gene}: {', '.join(labels[:4])}" for gene, labels in list(twice.items())[:3])
        _refuse(
            "duplicate-pairs",
            f"'{name}' has several rows of effects for one perturbed gene ({listed}), so its pairs are there "
            "more than once.",
            "Keep one row for each gene: combine its guides, or choose one contrast.",
        )


def _unmeasured(kept: list[str], genes: set[str], raw: _Raw, name: str) -> list[str]:
    """Perturbed genes that are not measured; refused where that is all of them."""
    missing = [gene for gene in kept if gene not in genes]
    if len(missing) == len(kept):
        _refuse(
            "targets-not-measured",
            f"'{name}': none of the {len(kept):,} perturbed genes ({_some(kept)}) is among the "
            f"{len(genes):,} measured ones ({_some(raw.genes)}).",
            "Name both alike, as gene symbols or as Ensembl ids (--perturbation-column, --gene-column choose "
            "the columns).",
        )
    return missing


def _lift_notes(kept: list[str], effect: np.ndarray, error: np.ndarray) -> list[str]:
    seen = [np.isfinite(row) for row in error]
    median = np.array([np.median(e[s]) if s.any() else 0.0 for e, s in zip(effect, seen, strict=True)])
    lifted = [gene for gene, value in zip(kept, median, strict=True) if abs(value) > LARGEST_LIFT]
    if not lifted:
        return []
    largest = kept[int(np.argmax(np.abs(median)))]
    return [
        f"The median effect of {_some(lifted)} is further than {LARGEST_LIFT:g} from 0 (natural logarithm; "
        f"{largest}: {median[np.argmax(np.abs(median))]:+.2f}). Effects are taken as they are: check that "
        "library sizes were accounted for, if most genes should not respond."
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _too_large(name: str, labels: int, genes: int) -> NoReturn:
    _refuse(
        "too-large",
        f"'{name}' has {labels:,} perturbations and {genes:,} genes: more than {MOST_PAIRS:,} pairs.",
        "Leave out genes that are hardly measured.",
    )


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise DataError([Problem(code, message, hint)])
