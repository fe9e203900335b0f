"""A room whose files each hold one thing of a kind (a term of the loss, a reader of files, a method): found
by looking into the folder, so that a new file is all that a new one takes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from types import ModuleType
from typing import Protocol, TypeVar


class Listed(Protocol):
    """One of many, told from the others by its key; order: where it stands in lists, smallest first."""

    @property
    def key(self) -> str: ...

    @property
    def order(self) -> int: ...


Found = TypeVar("Found", bound=Listed)


def one_of_each_file(
    room: ModuleType, name: str, kind: type[Found], besides: Collection[str] = ()
) -> tuple[Found, ...]:
    """`name` out of every file of a package, by order, then by key. besides: files of the room that are
    something else.

    Raises TypeError for a file without it, or where it is no `kind`: a file that says nothing would be
    missing everywhere, without a word. Raises ValueError where two have one key.
    """
    found: dict[str, Found] = {}
    for file in sorted(pkgutil.iter_modules(room.__path__), key=lambda file: file.name):
        if file.name in besides:
            continue
        module = importlib.import_module(f"{room.__name__}.{file.name}")
        value = getattr(module, name, None)
        if not isinstance(value, kind):
            raise TypeError(f"{module.__name__} needs a {name} of type {kind.__name__}; got {value!r}")
        if value.key in found:
            raise ValueError(f"two files of {room.__name__} hold a {name} called '{value.key}'")
        found[value.key] = value
    return tuple(sorted(found.values(), key=lambda value: (value.order, value.key)))
