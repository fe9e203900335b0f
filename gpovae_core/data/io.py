"""Reading cells from disk: .h5ad files and .zarr folders, with an answer in words for everything that is
neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gpovae_core.data.memory import too_large
from gpovae_core.data.wording import counted
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_MAKE_ONE = (
    "Write your cells with `adata.write_h5ad('cells.h5ad')` in Python (from Seurat: SeuratDisk or sceasy) "
    "and give that file."
)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def write_cells(cells: AnnData, path: Path) -> None:
    """An .h5ad file, compressed. Built in memory and written at once: on a full disk HDF5 does not just fail,
    it brings the process down when it next closes a file. Written aside, then renamed: a reader never sees
    half a file. Raises OSError."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        write_elem(file, "/", cells, dataset_kwargs={"compression": "gzip"})
        if cells.raw is None and "raw" in file:
            del file["raw"]  # an empty value, which older readers stumble over
        file.flush()
        image = file.id.get_file_image()
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(image)
    aside.replace(path)


def read_cells(path: Path | str) -> AnnData | BackedCells:
    """AnnData of a .h5ad file or a .zarr folder; sparse counts stay sparse, and in the file where there are
    too many to be held.

    Raises DataError, with one Problem that says what the path is instead, for a missing file, another kind of
    file, a damaged one, no cells, no genes, and cell ids that occur twice.
    """
    path = Path(path)
    if not path.exists():
        _refuse("file-missing", f"There is no file '{path}'.", "Check the name and the folder it is in.")
    if path.suffix == ".zarr":
        cells = _read_zarr(path)
    elif path.suffix == ".h5ad":
        cells = _read_h5ad(path)
    else:
        kind = (
            "a folder"
            if path.is_dir()
            else f"a '{path.suffix}' file"
            if path.suffix
            else "a file without an ending"
        )
        _refuse(
            "unknown-file-type",
            f"'{path.name}' is {kind}; expected a .h5ad file or a .zarr folder.",
            _MAKE_ONE,
        )
    _check_shape_and_ids(cells, path.name)
    return cells


def _refuse(code: str, message: str, hint: str, cause: BaseException | None = None) -> NoReturn:
    raise DataError([Problem(code, message, hint)]) from cause


def _read_h5ad(path: Path) -> AnnData | BackedCells:
    import anndata
    import h5py

    from gpovae_core.data.backed import must_stay_on_disk, open_backed

    if path.is_dir():
        _refuse(
            "not-a-file",
            f"'{path.name}' is a folder; expected a .h5ad file.",
            "If it is a zarr store, give its name the ending .zarr.",
        )
    if path.stat().st_size == 0:
        _refuse("file-empty", f"'{path.name}' is empty (0 bytes).", "Copy or download it again.")
    if _SIGNATURE not in _start(path):
        _refuse(
            "not-hdf5",
            f"'{path.name}' is not an HDF5 file, whatever its ending says{_looks_like(path)}.",
            _MAKE_ONE,
        )
    try:
        with h5py.File(path, "r") as file:
            missing = sorted({"obs", "var"} - set(file))
            found = ", ".join(sorted(file)[:6]) or "nothing"
            on_disk = must_stay_on_disk(file)
        huge = too_large(path)
    except (OSError, RuntimeError, KeyError) as error:
        hint = "Copy or download it again, and compare the sizes."
        _refuse(
            "file-damaged",
            f"'{path.name}' begins like an HDF5 file but is cut off or damaged ({_first_line(error)}).",
            hint,
            error,
        )
    if missing:
        message = (
            f"'{path.name}' is an HDF5 file but holds no AnnData: {' and '.join(missing)} missing; found "
            f"{found}."
        )
        _refuse("not-anndata", message, _MAKE_ONE + " (10x .h5 files: `scanpy.read_10x_h5`.)")
    if huge:
        raise DataError([huge])
    try:
        return open_backed(h5py.File(path, "r")) if on_disk else anndata.read_h5ad(path)
    except Exception as error:  # whatever a damaged or foreign file makes h5py and anndata raise
        _refuse(
            "not-anndata",
            f"'{path.name}' cannot be read as AnnData ({_first_line(error)}).",
            _MAKE_ONE,
            error,
        )


def _read_zarr(path: Path) -> AnnData | BackedCells:
    import anndata
    import zarr

    from gpovae_core.data.backed import must_stay_on_disk, open_backed

    if not path.is_dir() or not any(
        (path / name).exists() for name in (".zgroup", "zarr.json", ".zmetadata")
    ):
        kind = "an ordinary folder" if path.is_dir() else "a file"
        _refuse(
            "not-zarr",
            f"'{path.name}' is {kind}, not a zarr store (no .zgroup or zarr.json in it).",
            _MAKE_ONE,
        )
    missing = [name for name in ("obs", "var") if not (path / name).is_dir()]
    if missing:
        _refuse(
            "not-anndata",
            f"'{path.name}' is a zarr store but holds no AnnData: {' and '.join(missing)} missing.",
            _MAKE_ONE,
        )
    try:
        root = zarr.open_group(path, mode="r")
        return open_backed(root) if must_stay_on_disk(root) else anndata.read_zarr(path)
    except Exception as error:
        _refuse(
            "not-anndata",
            f"'{path.name}' cannot be read as AnnData ({_first_line(error)}).",
            _MAKE_ONE,
            error,
        )


def _check_shape_and_ids(cells: AnnData | BackedCells, name: str) -> None:
    if cells.n_obs == 0:
        _refuse(
            "no-cells",
            f"'{name}' holds 0 cells ({counted(cells.n_vars, 'gene')}).",
            "Check the filter that wrote it.",
        )
    if cells.n_vars == 0:
        _refuse(
            "no-genes",
            f"'{name}' holds 0 genes ({counted(cells.n_obs, 'cell')}).",
            "Check the filter that wrote it.",
        )
    problem = duplicate_cell_ids(cells)
    if problem:
        raise DataError([problem])


def duplicate_cell_ids(cells: AnnData | BackedCells) -> Problem | None:
    """The problem with cell ids that occur more than once (compared as text), or None."""
    ids = cells.obs_names.astype(str)
    repeated = ids[ids.duplicated()].unique()
    if not len(repeated):
        return None
    shown = ", ".join(map(str, repeated[:3]))
    message = (
        f"Every cell needs an id of its own; {counted(len(repeated), 'id')} used more than once, e.g. "
        f"{shown}."
    )
    hint = (
        "Usual after joining batches: `anndata.concat(..., index_unique='-')`, or "
        "`adata.obs_names_make_unique()`."
    )
    return Problem("duplicate-cell-ids", message, hint)


def _start(path: Path, size: int = 2048) -> bytes:
    """First bytes: the HDF5 signature may follow a user block of 512, 1024, ... bytes."""
    with path.open("rb") as file:
        return file.read(size)


def _looks_like(path: Path) -> str:
    known = {
        b"\x89PNG": "a PNG picture",
        b"PK\x03\x04": "a zip archive",
        b"\x1f\x8b": "a gzip file",
        b"%PDF": "a PDF",
        b"<": "a web page",
    }
    start = _start(path, 16).lstrip()
    kind = next((name for magic, name in known.items() if start.startswith(magic)), None)
    return f" (it looks like {kind})" if kind else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
