"""The forms of file that cells are read from: every file of this folder is one, and holds it as READER.

A form is recognised by what a file or folder *is*; its name decides only between several that recognise it,
and which of them says what is wrong where none does. Files of this folder import the heavy libraries inside
their functions: the help of the command line lists the forms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.registry import one_of_each_file

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells


@dataclass(frozen=True)
class Reader:
    """One form of file.

    key: its short name. title: its name in a sentence, with the article ("a .h5ad file"). endings: of the
    names that such files have, with the dot, lower case, the usual one first; empty for folders that have
    none. order: where it stands in lists, smallest first, and who is asked first where names do not decide.
    recognises: whether an existing path has this form by its content; cheap, and never raises. read: its
    cells, counts left in the file where they are too large to be held; raises DataError that says what is
    wrong, also where the path only has the name. folder: such cells are a folder, not a file. beside: files
    of other names that are read along with what lies at a path.
    """

    key: str
    title: str
    endings: tuple[str, ...]
    order: int
    recognises: Callable[[Path], bool]
    read: Callable[[Path], AnnData | BackedCells]
    folder: bool = False
    beside: Callable[[Path], list[Path]] = lambda path: []

    def ending_of(self, name: str) -> str | None:
        """The ending of this form that a name has, as it is written there; None where it has none."""
        found = next((ending for ending in self.endings if name.casefold().endswith(ending)), None)
        return None if found is None else name[-len(found) :]


@cache
def all_readers() -> tuple[Reader, ...]:
    """Every reader, by order, then by key."""
    return one_of_each_file(sys.modules[__name__], "READER", Reader)


def reader_of(path: Path) -> Reader | None:
    """Who reads an existing path: of those that recognise its content one whose ending it has, or the
    first; where none does, one whose ending it has.
    """
    able = [reader for reader in all_readers() if reader.recognises(path)]
    named = [reader for reader in able or all_readers() if reader.ending_of(path.name)]
    return next(iter(named or able), None)


def looks_like_cells(path: Path) -> bool:
    """Whether a path is listed as cells: by its ending, unopened; a folder also by what lies in it."""
    if any(reader.ending_of(path.name) for reader in all_readers()):
        return True
    return path.is_dir() and any(reader.recognises(path) for reader in all_readers() if reader.folder)


def forms_in_words(files_only: bool = False) -> str:
    """'a .h5ad file or a .zarr folder'."""
    titles = [reader.title for reader in all_readers() if not (files_only and reader.folder)]
    return " or ".join(filter(None, [", ".join(titles[:-1]), titles[-1]]))
