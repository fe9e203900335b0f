"""A room whose files each hold one thing of a kind (a term of the loss, a reader of files, a method): found
by looking into the folder, so that a new file is all that a new one takes.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Protocol, TypeVar


class Listed(Protocol):
    """One of many, told from the others by its key; order: where it stands in lists, smallest first."""

    @property
    def key(self) -> str: ...

    @property
    def order(self) -> int: ...


Found = TypeVar("Found", bound=Listed)


def found_in_files(
    room: ModuleType, name: str, kind: type[Found], pass_over: bool = False
) -> tuple[Found, ...]:
    """`name` out of the files of a package, by order, then by key.

    pass_over: files without it are no members, as in a room that holds other things too. Elsewhere a file
    that says nothing would be missing everywhere, without a word: TypeError. So is, in either case, a `name`
    that is no `kind`. Raises ValueError where two have one key.
    """
    found: dict[str, Found] = {}
    for file in sorted(pkgutil.iter_modules(room.__path__), key=lambda file: file.name):
        module = importlib.import_module(f"{room.__name__}.{file.name}")
        if pass_over and not hasattr(module, name):
            continue
        value = getattr(module, name, None)
        if not isinstance(value, kind):
            raise TypeError(f"{module.__name__} needs a {name} of type {kind.__name__}; got {value!r}")
        if value.key in found:
            raise ValueError(f"two files of {room.__name__} hold a {name} called '{value.key}'")
        found[value.key] = value
    return tuple(sorted(found.values(), key=lambda value: (value.order, value.key)))
