"""An AnnData read part by part: what is not needed and cannot be read is passed over, and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpovae_core import keys
from gpovae_core.data.backed import BackedCells, children, must_stay_on_disk, open_backed

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


class Parts:
    """The parts of an open AnnData, h5py or zarr. passed_over: what could not be read ("uns/thing")."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.passed_over: list[str] = []

    def mapping(self, name: str) -> dict[str, Any]:
        """A group with whatever of it can be read."""
        read = ((key, self._tried(f"{name}/{key}", item)) for key, item in children(self.root, name))
        return {key: value for key, value in read if value is not None}

    def item(self, name: str) -> Any:
        """One part; None where it is not there or cannot be read."""
        return self._tried(name, self.root[name]) if name in self.root else None

    def table(self, name: str) -> pd.DataFrame:
        """obs or var with the columns that can be read. Raises for an index that cannot."""
        import pandas as pd

        group = self.root[name]
        try:
            return _read(group)
        except Exception:
            index = pd.Index(_read(group[group.attrs["_index"]]))
            columns = [str(column) for column in group.attrs["column-order"]]
            read = {column: self._tried(f"{name}/{column}", group[column]) for column in columns}
            known = {column: values for column, values in read.items() if values is not None}
            return pd.DataFrame(known, index=index)

    def with_note(self, uns: dict[str, Any]) -> dict[str, Any]:
        """uns with a sentence about what was passed over."""
        if not self.passed_over:
            return uns
        listed = ", ".join(self.passed_over[:5]) + (", ..." if len(self.passed_over) > 5 else "")
        note = f"Passed over, since this version cannot read it and the work does not need it: {listed}."
        return uns | {keys.READER_NOTES: [note]}

    def _tried(self, name: str, item: Any) -> Any:
        try:
            return _read(item)
        except Exception:  # an encoding of the future, or of another program
            self.passed_over.append(name)
            return None


def _read(item: Any) -> Any:
    from anndata.io import read_elem

    return read_elem(item)


def read_root(root: Any, whole: Callable[[], AnnData] | None = None) -> AnnData | BackedCells:
    """The cells of an open AnnData, counts left there where they are too many to be held.

    root: h5py.File, h5py.Group or zarr.Group; whole: reads all of it at once, also as older versions wrote
    it. Raises what h5py, zarr and anndata raise.
    """
    if must_stay_on_disk(root):
        return open_backed(root)
    try:
        return _read(root) if whole is None else whole()
    except Exception as error:
        try:
            return _by_part(root)
        except Exception:
            raise error from None


def _by_part(root: Any) -> AnnData:
    from anndata import AnnData

    parts = Parts(root)
    obs, var = parts.table("obs"), parts.table("var")
    bare: Any = obs[[]]
    cells = AnnData(parts.item("X"), obs=obs, var=var)
    for place in ("layers", "obsm"):
        for name, value in parts.mapping(place).items():
            getattr(cells, place)[name] = value
    raw = parts.item("raw/X")
    if raw is not None:
        cells.raw = AnnData(raw, obs=bare, var=parts.table("raw/var"))
    cells.uns = parts.with_note(parts.mapping("uns"))
    if cells.X is None and not cells.layers and cells.raw is None:
        raise ValueError(f"no matrix can be read: {', '.join(parts.passed_over)}")
    return cells


def add_note(cells: AnnData | BackedCells, text: str) -> None:
    """A sentence about the reading, for the report."""
    uns: Any = cells.uns
    uns[keys.READER_NOTES] = [*uns.get(keys.READER_NOTES, []), text]
