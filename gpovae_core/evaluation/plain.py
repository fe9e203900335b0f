"""Trees of frozen dataclasses as plain dicts for JSON, and back again with every fault said in words.

A field of a tree is a number, a text, a tuple, a mapping by name, or another dataclass; its annotation
decides how it is read. JSON knows no NaN: a number that is not defined is None in the tree and null in the
file. `Part` marks what may be missing as a whole, `Inline` what stands among the fields of its owner, `Key`
a field whose name in the file is no name that Python allows.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

Tree = TypeVar("Tree")


class Damaged(ValueError):
    """A value of another kind than the tree holds at this place. The message names the place."""


@dataclass(frozen=True)
class Key:
    """The name of a field in the file."""

    name: str


_PART, _INLINE = object(), object()
Value = TypeVar("Value")
Part = Annotated[Value | None, _PART]
"""A field that is None, and has no key in the file, where it was not measured."""
Inline = Annotated[Value, _INLINE]
"""A field whose own keys stand among those of its owner: a dataclass that may be None, or a mapping that
takes every key that no other field has.
"""


def to_plain(tree: Any) -> Any:
    """Dicts, lists, numbers and texts, in the order of the fields."""
    if is_dataclass(tree) and not isinstance(tree, type):
        found: dict[str, Any] = {}
        for one in _fields(type(tree)):
            value = getattr(tree, one.name)
            if one.inline:
                found |= to_plain(value) if value is not None else {}
            elif value is not None or not one.optional:
                found[one.key] = to_plain(value)
        return found
    if isinstance(tree, Mapping):
        return {str(key): to_plain(value) for key, value in tree.items()}
    return [to_plain(value) for value in tree] if isinstance(tree, tuple) else tree


def from_plain(kind: type[Tree], value: Any, place: str = "") -> Tree:
    """A tree of `kind` from what JSON holds. A key that is missing is None, one that is not known is passed
    over.

    Raises Damaged, with the place, for a value of another kind than the annotation says.
    """
    return _read(kind, value, place)


def defined(tree: Tree) -> Tree:
    """The same tree with None for every number that is not finite, and Python's numbers for numpy's."""
    return _defined(tree)


def _defined(tree: Any) -> Any:
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{one.name: _defined(getattr(tree, one.name)) for one in fields(tree)})
    if isinstance(tree, Mapping):
        return {str(key): _defined(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(_defined(value) for value in tree)
    if isinstance(tree, float | np.floating):
        return float(tree) if np.isfinite(tree) else None
    return int(tree) if isinstance(tree, np.integer) else tree


@dataclass(frozen=True)
class _Field:
    """A field of a tree: its name here and in the file, and what its annotation says it holds."""

    name: str
    key: str
    kind: Any
    optional: bool
    inline: bool


@cache
def _fields(kind: type) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(one.name, hints[one.name]) for one in fields(kind))


def _field(name: str, hint: Any) -> _Field:
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    key = next((note.name for note in notes if isinstance(note, Key)), name)
    return _Field(name, key, kind, _PART in notes, _INLINE in notes)


def _read(kind: Any, value: Any, place: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        inner = [one for one in get_args(kind) if one is not type(None)]
        return _read(inner[0], value, place) if len(inner) == 1 else value
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_tree(kind, _expected(value, Mapping, "an object", place), place)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(
            _read(inner[0], one, f"{place}[{at}]")
            for at, one in enumerate(_expected(value, list, "a list", place))
        )
    if origin is Mapping:
        return {
            key: _read(inner[1], one, f"{place}.{key}")
            for key, one in _expected(value, Mapping, "an object", place).items()
        }
    return _leaf(kind, value, place)


def _read_tree(kind: type, value: Mapping[str, Any], place: str) -> Any:
    own = {one.key for one in _fields(kind) if not one.inline}
    rest = {key: one for key, one in value.items() if key not in own}
    found = {}
    for one in _fields(kind):
        if one.inline:
            found[one.name] = _read_inline(one.kind, rest, place)
        else:
            found[one.name] = _read(
                one.kind if one.key in value else one.kind | None,
                value.get(one.key),
                f"{place}.{one.key}" if place else one.key,
            )
    return kind(**found)


def _read_inline(kind: Any, rest: Mapping[str, Any], place: str) -> Any:
    """A mapping takes all that is left; a dataclass is there where one of its keys is."""
    if get_origin(kind) is Mapping:
        return _read(kind, rest, place)
    inner = next(one for one in get_args(kind) if one is not type(None))
    known = {one.key for one in _fields(inner)}
    return _read_tree(inner, rest, place) if known & set(rest) else None


def _expected(value: Any, kind: Any, words: str, place: str) -> Any:
    if isinstance(value, kind):
        return value
    raise Damaged(f"{place or 'the file'} should be {words}, and is {_shown(value)}")


def _leaf(kind: Any, value: Any, place: str) -> Any:
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    wanted = (int, float) if kind is float else kind
    if kind is Any or (isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))):
        return value
    raise Damaged(f"{place} should be {words[kind]}, and is {_shown(value)}")


def _shown(value: Any) -> str:
    return {dict: "an object", list: "a list"}.get(type(value), repr(value)[:40])
