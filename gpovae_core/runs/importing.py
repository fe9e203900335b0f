"""Runs from what others made: a checkpoint of the authors' release, an adjacency matrix with names, a run
exported as one file.

Nothing in these files is executed: tensors are read by training/tensors.py, matrices as text or as plain
numpy arrays.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.atomic import write_text
from gpovae_core.data.schema import PanelData
from gpovae_core.data.zips import ZipLimits, open_zip
from gpovae_core.errors import RunError
from gpovae_core.runs.archive import import_archive
from gpovae_core.runs.folder import CONFIG, MASK_LOGITS, DataSource, RunFolder
from gpovae_core.runs.tensors import read_tensors

Values = Literal["auto", "probabilities", "logits"]
MOST_GENES = 10_000
LARGEST_TABLE = 2 * 2**30
"""Bytes of a matrix, as text or unpacked."""
ARRAYS = ZipLimits(entries=1000, unpacked=LARGEST_TABLE, small=100 * 10**6)
"""Of arrays packed by numpy: a small network that is nearly all zeros may be packed to a hundredth; a large
one is kept as a sparse matrix.
"""
ANY_ZIP = ZipLimits(entries=20_000, unpacked=64 * 10**9, ratio=None)
"""Of an archive of which it is not known yet what it holds: a checkpoint has an entry for every tensor."""
LONGEST_NAME = 200
CERTAIN = 1e-7
"""Probabilities of exactly 0 and 1 have no finite logit: they are taken for this far from it."""
NAMES_BESIDE = "grn.csv"
_SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class Imported:
    """What is known of a network made elsewhere: genes in the order of the matrix, logits (n, n) with row =
    source, and the rest.
    """

    genes: tuple[str, ...]
    perturbed: np.ndarray  # (n,) bool
    logits: np.ndarray
    weights: dict[
        str, np.ndarray
    ]  # of guide and decoder, under the names of our modules; empty for a bare matrix
    settings: Settings
    made_from: str


def import_file(
    file: Path,
    path: Path,
    genes: Path | Sequence[str] | None = None,
    perturbed: Path | Sequence[str] | None = None,
    values: Values = "auto",
    transpose: bool = False,
) -> RunFolder:
    """A run at `path` (which must be new) from a checkpoint, a matrix or an exported run; which of them, its
    content says.

    genes: names in the order of the matrix, or a file with them, where the matrix brings none; for a
    checkpoint `grn.csv` beside it is taken where nothing is given. perturbed: which genes were perturbed, for
    a matrix that cannot say so. values: what the numbers of a matrix are (probabilities where all lie between
    0 and 1). transpose: rows are targets, not sources. Raises RunError that says what the file is, what was
    expected, and how to mend it.
    """
    file = Path(file)
    if not file.is_file():
        raise RunError(f"There is no file '{file}'.")
    kind = what_is(file)
    if kind == "archive":
        return import_archive(file, path)
    names = gene_names(genes) if genes is not None else None
    if kind == "checkpoint":
        imported = read_checkpoint(file, names if names is not None else _names_beside(file))
    else:
        known = gene_names(perturbed) if perturbed is not None else ()
        imported = read_matrix(file, names, known, values, transpose)
    return write_imported(imported, path, file.name)


def what_is(file: Path) -> Literal["archive", "checkpoint", "npz", "text"]:
    """What kind of file this is, by its content. Raises RunError for anything that cannot be imported."""
    with file.open("rb") as stream:
        start = stream.read(4096)
    if not start:
        _refuse(file, "it is empty (0 bytes)")
    if start.startswith(b"PK\x03\x04"):
        try:
            with open_zip(file, ANY_ZIP) as archive:
                members = archive.namelist()
        except zipfile.BadZipFile as error:
            _refuse(file, f"it begins like a zip archive but is cut off or damaged ({error})", error)
        parts = {name.rpartition("/")[2] for name in members}
        if CONFIG in parts:
            return "archive"
        if "data.pkl" in parts:
            return "checkpoint"
        if members and all(name.endswith(".npy") for name in members):
            return "npz"
        _refuse(file, f"it is a zip archive of something else (it holds {', '.join(sorted(parts)[:4])})")
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        _refuse(file, "it is a bare pickle, which could run any code when it is opened")
    if b"\x00" in start:
        _refuse(file, "it is no text, and no format known here")
    return "text"


def gene_names(given: Path | Sequence[str]) -> tuple[str, ...]:
    """Names from a list, or from a file: one a line, or the first column of a table whose first line is a
    header with an empty corner.
    """
    if isinstance(given, Path):
        if not given.is_file():
            raise RunError(f"There is no file '{given}' with gene names.")
        lines = _text(given).splitlines()
        separator = _separator(lines[0]) if lines else None
        if separator:
            given = [_unquote(line.split(separator)[0]) for line in lines[1:] if line.strip()]
        else:
            given = [_unquote(line) for line in lines if line.strip()]
    names = tuple(str(name).strip() for name in given)
    _check_names(names)
    return names


def read_checkpoint(file: Path, genes: Sequence[str] | None) -> Imported:
    """The network, guide and decoder of a Lightning checkpoint of the authors' release (their names, their
    shapes).
    """
    tensors = {name.removeprefix("loss_module."): value for name, value in read_tensors(file).items()}
    logits, source = _mask(file, tensors)
    n = len(logits)
    if genes is None:
        raise RunError(
            f"'{file.name}' holds a network of {n:,} genes but not their names. Give them: a text file with "
            f"one name a line in the order of the matrix, or the '{NAMES_BESIDE}' that the release writes "
            "(it is read from the same folder where it is there)."
        )
    if len(genes) != n:
        raise RunError(f"'{file.name}' holds a network of {n:,} genes, but {len(genes):,} names were given.")
    counts = tensors.get("D_obs_counts_train")
    known = counts is not None and counts.shape == (n,)
    perturbed = np.asarray(counts) > 0 if known else np.zeros(n, dtype=bool)
    order = panel_order(genes, perturbed)
    weights, sizes = _weights(tensors, n, order)
    settings = make_settings("released", {"model": sizes} if weights else {})
    return Imported(
        genes=tuple(str(genes[i]) for i in order),
        perturbed=perturbed[order],
        logits=logits[np.ix_(order, order)],
        weights=weights,
        settings=settings,
        made_from=f"a checkpoint of the authors' release ({source}"
        + ("" if weights else "; its decoder does not fit and was left out")
        + ")",
    )


def read_matrix(
    file: Path,
    genes: Sequence[str] | None = None,
    perturbed: Sequence[str] = (),
    values: Values = "auto",
    transpose: bool = False,
) -> Imported:
    """A square matrix with named rows and columns (CSV, TSV) or one of an .npz; row = source unless
    transposed.
    """
    matrix, names = _npz(file, genes) if what_is(file) == "npz" else _table(file)
    if transpose:
        matrix = matrix.T
    unknown = sorted(set(perturbed) - set(names))
    if unknown:
        raise RunError(
            f"Named as perturbed but not in the matrix: {', '.join(unknown[:5])} ({len(unknown):,} of "
            f"{len(set(perturbed)):,})."
        )
    is_perturbed = np.isin(np.array(names, dtype=object), list(perturbed))
    order = panel_order(names, is_perturbed)
    return Imported(
        genes=tuple(names[i] for i in order),
        perturbed=is_perturbed[order],
        logits=_logits(file, matrix, values)[np.ix_(order, order)],
        weights={},
        settings=make_settings("released"),
        made_from="an adjacency matrix",
    )


def write_imported(imported: Imported, path: Path, name: str) -> RunFolder:
    """The run folder of an imported network. Left whole or not at all."""
    from safetensors.numpy import save_file

    source = DataSource(path=name, imported=imported.made_from)
    run = RunFolder.create(Path(path), imported.settings, source)
    try:
        genes = np.array(imported.genes, dtype=object)
        panel = PanelData(
            perturbed=tuple(genes[imported.perturbed]),
            extended=tuple(genes[~imported.perturbed]),
            measured=tuple(imported.genes),
        )
        write_text(run.path / "panel.json", panel.model_dump_json(indent=2))
        tensors = {**imported.weights, MASK_LOGITS: np.ascontiguousarray(imported.logits, dtype=np.float32)}
        save_file(tensors, run.path / "model.safetensors")
        (run.path / "model.safetensors").chmod(0o644)
        run.log(
            f"imported from {name}: {imported.made_from}, {len(genes)} genes, "
            f"{int(imported.perturbed.sum())} of them perturbed"
        )
        run.write_status(
            state="imported",
            message=f"imported from {imported.made_from}; it has no cells, so nothing can be scored",
        )
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def panel_order(genes: Sequence[str], perturbed: np.ndarray) -> np.ndarray:
    """(n,) places of the genes in the order of a panel: perturbed ones by name, then the others by name."""
    return np.array(sorted(range(len(genes)), key=lambda i: (not perturbed[i], genes[i])), dtype=np.intp)


def _mask(file: Path, tensors: dict[str, np.ndarray]) -> tuple[np.ndarray, str]:
    for name, kind in (
        ("guide.param_dict.q_mask_logits", "logits"),
        ("guide.param_dict.q_mask_probs", "probabilities"),
    ):
        if name in tensors:
            matrix = np.asarray(tensors[name], dtype=np.float64)
            _check_square(file, matrix.shape)
            return _logits(file, matrix, kind), f"W from its {kind}"
    near = ", ".join(sorted(tensors)[:3])
    _refuse(
        file,
        f"it has no network (guide.param_dict.q_mask_logits or q_mask_probs; its first tensors are {near})",
    )


def _weights(
    tensors: dict[str, np.ndarray], n: int, order: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """(guide and decoder under the names of our modules with panel genes in `order`, sizes for
    ModelSettings); both empty where the checkpoint holds another architecture."""
    try:
        genes, latent = (
            len(tensors["model.decoder.log_concentration"]),
            len(tensors["guide.qc_encoder.mean_encoder.bias"]),
        )
        new: dict[str, np.ndarray] = {
            "decoder.log_concentration": tensors["model.decoder.log_concentration"],
            "guide.log_mean": tensors["guide.normalization_module.log_mean"].reshape(-1),
            "guide.log_std": tensors["guide.normalization_module.log_scale"].reshape(-1),
        }
        identity, whole, panel = np.arange(latent), np.arange(genes), order
        layers = {
            "effect": _mlp(
                new,
                tensors,
                "guide.effect",
                "guide.embedding_encoder.mlp",
                {"mask": panel, "identity": panel},
            ),
            "artifact": _mlp(new, tensors, "guide.artifact", "guide.qc_encoder.mlp", {"constant": identity}),
            "basal": _mlp(
                new,
                tensors,
                "guide.basal",
                "guide.z_basal_encoder.mlp",
                {"counts": whole, "offset": panel, "artifact": identity},
            ),
            "decoder": _mlp(
                new,
                tensors,
                "decoder.mlp",
                "model.decoder.mlp",
                {"basal": identity, "offset": panel, "artifact": identity},
            ),
        }
        for ours, theirs, rows in (
            ("effect", "embedding", panel),
            ("artifact", "qc", identity),
            ("basal", "z_basal", identity),
        ):
            for what, name in (("mean", "mean_encoder"), ("log_variance", "log_var_encoder")):
                for part in ("weight", "bias"):
                    new[f"guide.{ours}_head.{what}.{part}"] = tensors[
                        f"guide.{theirs}_encoder.{name}.{part}"
                    ][rows]
        for part in ("weight", "bias"):
            new[f"decoder.head.{part}"] = tensors[f"model.decoder.normalized_mean_decoder.0.{part}"][whole]
    except (KeyError, IndexError, ValueError):
        return {}, {}
    (embedding_width, embedding_layers), (basal_width, basal_layers) = layers["effect"], layers["basal"]
    if layers["artifact"] != layers["effect"]:
        return {}, {}
    decoder_width, decoder_layers = layers["decoder"]
    sizes: dict[str, object] = {
        "latent": latent,
        "decoder_width": decoder_width,
        "decoder_layers": decoder_layers,
        "basal_width": basal_width,
        "basal_layers": basal_layers,
        "embedding_width": embedding_width,
        "embedding_layers": embedding_layers,
    }
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in new.items()}, sizes


def _mlp(
    new: dict[str, np.ndarray],
    tensors: dict[str, np.ndarray],
    ours: str,
    theirs: str,
    blocks: dict[str, np.ndarray],
) -> tuple[int, int]:
    """Copy a residual MLP into `new`; its first weight is cut into named blocks, each with its columns in the
    given order.

    Returns (width, layers). Raises KeyError or ValueError where it is built differently.
    """
    first = tensors[f"{theirs}.layers.0.0.weight"]
    if first.shape[1] != sum(map(len, blocks.values())):
        raise ValueError
    start = 0
    for name, columns in blocks.items():
        new[f"{ours}.first.weights.{name}"] = first[:, start : start + len(columns)][:, columns]
        start += len(columns)
    new[f"{ours}.first.bias"] = tensors[f"{theirs}.layers.0.0.bias"]
    layer = 1
    while f"{theirs}.layers.{layer}.0.weight" in tensors:
        for part in ("weight", "bias"):
            new[f"{ours}.rest.{layer - 1}.{part}"] = tensors[f"{theirs}.layers.{layer}.0.{part}"]
        layer += 1
    return len(first), layer


def _names_beside(file: Path) -> tuple[str, ...] | None:
    beside = file.with_name(NAMES_BESIDE)
    return gene_names(beside) if beside.is_file() else None


def _table(file: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """(matrix, names) of a text table; columns are put into the order of the rows."""
    import io

    import pandas as pd

    text = _text(file)
    first = text.partition("\n")[0]
    separator = _separator(first)
    if separator is None:
        _refuse(
            file,
            "it is no table: its first line has neither commas nor tabs. A matrix needs a line of gene "
            "names first",
        )
    columns = [_unquote(name) for name in first.split(separator)[1:]]
    if len(columns) > MOST_GENES:
        _refuse(file, f"it has {len(columns):,} columns; at most {MOST_GENES:,} genes can be opened")
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, index_col=0, dtype=object, keep_default_na=False
        )
    except (pd.errors.ParserError, ValueError) as error:
        _refuse(file, f"it is no table ({str(error).splitlines()[0][:120]})", error)
    rows = tuple(str(name).strip() for name in frame.index)
    columns = [str(name).strip() for name in frame.columns]
    if len(rows) != len(columns):
        _refuse(
            file, f"it has {len(rows):,} rows and {len(columns):,} columns of numbers; a network is square"
        )
    _check_names(rows)
    if set(rows) != set(columns):
        odd = sorted(set(rows) ^ set(columns))[:4]
        _refuse(file, f"its rows and columns do not name the same genes (only on one side: {', '.join(odd)})")
    numbers: Any = pd.to_numeric(pd.Series(frame.to_numpy(dtype=object).ravel()), errors="coerce")
    matrix = numbers.to_numpy(dtype=np.float64).reshape(len(rows), len(rows))
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        i, j = bad[0]
        _refuse(
            file,
            f"row '{rows[i]}', column '{columns[j]}' holds '{str(frame.iat[i, j])[:40]}', which is no number",
        )
    place = {name: at for at, name in enumerate(columns)}
    return matrix[:, [place[name] for name in rows]], rows


def _npz(file: Path, genes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """(matrix, names) of a numpy or scipy.sparse archive; nothing pickled in it is read. genes: names that
    were given beside it, taken before those in it.
    """
    matrix, found = _unpacked(file)
    inside = [
        value
        for value in found.values()
        if value.ndim == 1 and value.dtype.kind in "US" and len(value) == len(matrix)
    ]
    names = (
        tuple(genes)
        if genes is not None
        else tuple(str(name) for name in np.char.strip(inside[0].astype(str)))
        if inside
        else None
    )
    if names is None:
        raise RunError(
            f"'{file.name}' holds a matrix of {len(matrix):,} genes but not their names. Give a text file "
            "with one name a line, or save them beside the matrix: np.savez(file, W=matrix, genes=names)."
        )
    if len(names) != len(matrix):
        raise RunError(
            f"'{file.name}' holds a matrix of {len(matrix):,} genes, but {len(names):,} names were given."
        )
    _check_names(names)
    return matrix, names


def _unpacked(file: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(the one square matrix, every array by name) of an archive; of a scipy.sparse one the matrix alone."""
    from scipy import sparse

    with open_zip(file, ARRAYS) as archive:
        shapes = {info.filename.removesuffix(".npy"): _shape_in(archive, info) for info in archive.infolist()}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if {"format", "shape", "data"} <= set(arrays.files):
                shape = tuple(int(n) for n in arrays["shape"]) if shapes["shape"] == (2,) else ()
                _check_square(file, shape)
                loaded: Any = sparse.load_npz(file)
                matrix, found = loaded.toarray(), {}
            else:
                squares = [name for name, shape in shapes.items() if len(shape) == 2 and len(set(shape)) == 1]
                if len(squares) != 1:
                    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
                    _refuse(file, f"exactly one square matrix is expected in it; found {listed[:200]}")
                _check_square(file, shapes[squares[0]])
                matrix = arrays[squares[0]]
                found = {name: arrays[name] for name, shape in shapes.items() if shape == matrix.shape[:1]}
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            _refuse(
                file,
                "it holds pickled Python objects, which could run any code; save names as plain text "
                "(dtype str)",
                error,
            )
        _refuse(file, f"numpy cannot read it ({str(error).splitlines()[0][:120]})", error)
    return _number_array(file, matrix), found


def _shape_in(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape that an array in an archive has by its header; () where it has none."""
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
            return (read or np.lib.format.read_array_header_2_0)(stream)[0]
        except (ValueError, EOFError):
            return ()


def _number_array(file: Path, matrix: np.ndarray) -> np.ndarray:
    if matrix.dtype.kind not in "biuf":
        _refuse(file, f"its matrix holds no numbers but {matrix.dtype}")
    return matrix.astype(np.float64)


def _check_square(file: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 1:
        _refuse(file, f"its matrix has shape {shape}; a network is square, with a row and a column per gene")
    if shape[0] > MOST_GENES:
        _refuse(file, f"its network has {shape[0]:,} genes; at most {MOST_GENES:,} can be opened")


def _logits(file: Path, matrix: np.ndarray, values: str) -> np.ndarray:
    """(n, n) logits of W from probabilities or logits."""
    if not np.isfinite(matrix).all():
        _refuse(file, "its matrix holds values that are no numbers (NaN or infinite)")
    if values == "logits":
        return matrix
    low, high = float(matrix.min()), float(matrix.max())
    if low < 0.0 or high > 1.0:
        raise RunError(
            f"'{file.name}' holds values from {low:.3g} to {high:.3g}; probabilities lie between 0 and 1. "
            "If these are logits (W = 1 / (1 + exp(-value))), say so (--values logits). Weights of another "
            "kind have to be turned into probabilities first."
        )
    inside = np.clip(matrix, CERTAIN, 1.0 - CERTAIN)
    return np.log(inside) - np.log1p(-inside)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            shown = repr(name)[:60] if name else "an empty one"
            raise RunError(
                f"Gene names must be text on one line of at most {LONGEST_NAME} characters; got {shown}."
            )
    repeated = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    if repeated:
        raise RunError(f"Every gene needs a name of its own; used more than once: {', '.join(repeated[:5])}.")


def _text(file: Path) -> str:
    size = file.stat().st_size
    if size > LARGEST_TABLE:
        _refuse(file, f"it has {size / 2**30:,.1f} GB; at most {LARGEST_TABLE / 2**30:.0f} GB are read")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(file, f"it is no text in UTF-8 ({error.reason} at byte {error.start:,})", error)


def _separator(line: str) -> str | None:
    return next((separator for separator in _SEPARATORS if separator in line), None)


def _unquote(name: str) -> str:
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _refuse(file: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise RunError(
        f"'{file.name}' cannot be imported: {why}. Expected a run exported as one file (.zip), a checkpoint "
        "of the release (.ckpt), or a square matrix with gene names (.csv, .tsv, .npz)."
    ) from cause
