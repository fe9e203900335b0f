"""Tensors out of a checkpoint that somebody else made, without running anything that is in it.

A checkpoint of torch is a zip archive: one pickle that describes the objects, and one file of plain numbers
per tensor storage. A pickle is a program; here it can build plain containers and descriptions of tensors, and
nothing else. Every class or function it names, whatever the name, becomes an inert record that only remembers
its name.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gpovae_core.data.zips import ZipLimits, open_zip
from gpovae_core.errors import RunError

LARGEST_PICKLE = 256 * 2**20
LARGEST_TENSOR = 4 * 2**30
"""Bytes. Far above any checkpoint of this model, far below what fills a machine."""
LIMITS = ZipLimits(entries=20_000, unpacked=64 * 10**9)
"""torch packs nothing: what unpacks to much more than it has was not written by it."""

_KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class Inert:
    """Stands for any object of a class that is not read: takes every call and state that a pickle may throw
    at it, and does nothing.
    """

    def __new__(cls, *_: object, **__: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None: ...

    def __call__(self, *_: object, **__: object) -> Inert:
        return Inert()

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None: ...

    def extend(self, items: object) -> None: ...

    def add(self, item: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Storage:
    """A file of numbers in the archive: its key, the kind of its numbers (see _KINDS) and how many there
    are.
    """

    key: str
    kind: str
    count: int

    def __setstate__(self, state: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Description:
    """A tensor as the pickle describes it: a window on a storage. Nothing is read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state: object) -> None: ...


class Dictionary(dict):
    """An OrderedDict; its attributes (torch's `_metadata`) are dropped."""

    def __setstate__(self, state: object) -> None: ...


class Allowed:
    """One of the few functions a pickle may call; a pickle cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None: ...


def _describe(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Description | Inert:
    tuples = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 8
    if not tuples or not isinstance(storage, Storage):
        return Inert()
    whole = all(type(number) is int and 0 <= number < 2**48 for number in (offset, *shape, *strides))
    return Description(storage, offset, shape, strides) if whole else Inert()


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _dictionary(*arguments: Any) -> Dictionary:
    made = Dictionary()
    if arguments and isinstance(arguments[0], list):
        for pair in arguments[0]:
            if isinstance(pair, tuple | list) and len(pair) == 2:
                made[pair[0]] = pair[1]
    return made


class _Reader(pickle.Unpickler):
    """Knows tensors and plain containers by name; every other name is an Inert. Nothing is ever imported."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return Allowed(_describe)
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return Allowed(_parameter)
        if module == "collections" and name == "OrderedDict":
            return Allowed(_dictionary)
        if module == "torch" and name in _KINDS:
            return Storage(key="", kind=_KINDS[name], count=0)  # of which persistent_load takes the kind
        return Inert

    def persistent_load(self, pid: Any) -> Any:
        """("storage", kind, key, device, count), as torch writes it."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            return Inert()
        _, kind, key, _, count = pid
        known = isinstance(kind, Storage) and isinstance(key, str) and isinstance(count, int) and count >= 0
        return Storage(key, kind.kind, count) if known else Inert()


def read_tensors(path: Path, wanted: str = "state_dict") -> dict[str, np.ndarray]:
    """Name -> array, from the entry `wanted` of a torch checkpoint (or from its top level where it has no
    such entry).

    Nothing in the file is executed. Raises RunError where the file is no such archive, is damaged or holds no
    tensors.
    """
    path = Path(path)
    try:
        with open_zip(path, LIMITS) as archive:
            members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            found = _unpickle(path, archive, members)
            table = found.get(wanted, found) if isinstance(found, dict) else {}
            described = (
                {str(k): v for k, v in table.items() if isinstance(v, Description)}
                if isinstance(table, dict)
                else {}
            )
            if not described:
                _refuse(path, f"it holds no tensors under '{wanted}'")
            return {
                name: _numbers(path, archive, members, name, description)
                for name, description in described.items()
            }
    # NotImplementedError: how zipfile answers a packing it does not know
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError) as error:
        _refuse(path, f"it is no zip archive of torch, or is cut off ({_first_line(error)})", error)


def _unpickle(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Any:
    info = members.get("data.pkl")
    if info is None:
        _refuse(path, "it has no data.pkl, so torch did not write it")
    if info.file_size > LARGEST_PICKLE:
        _refuse(path, f"its list of objects has {info.file_size / 2**20:,.0f} MB")
    order = members.get("byteorder")
    if order is not None and archive.read(order)[:16].strip() == b"big":
        _refuse(path, "its numbers are big-endian")
    try:
        with archive.open(info) as stream:
            return _Reader(stream).load()
    except (
        Exception
    ) as error:  # a pickle can be wrong in every way there is, and none of them is ours to crash on
        _refuse(path, f"its list of objects is damaged ({_first_line(error)})", error)


def _numbers(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, what: Description
) -> np.ndarray:
    """The array of one description; windows that reach beyond their storage, or repeat it, are refused."""
    info = members.get(f"data/{what.storage.key}")
    size = 2 if what.storage.kind == "bfloat16" else np.dtype(what.storage.kind).itemsize
    count = int(np.prod(what.shape, dtype=object)) if what.shape else 1
    if info is None or info.file_size < what.storage.count * size:
        _refuse(path, f"the numbers of '{name}' are missing")
    if count * size > LARGEST_TENSOR or info.file_size > LARGEST_TENSOR:
        _refuse(path, f"'{name}' would take {max(count * size, info.file_size) / 2**30:,.0f} GB")
    last = (
        what.offset + sum((n - 1) * stride for n, stride in zip(what.shape, what.strides, strict=True))
        if count
        else 0
    )
    if count and (last >= what.storage.count or count > max(1, what.storage.count)):
        _refuse(path, f"'{name}' reaches beyond its numbers")
    raw = archive.read(info)[: what.storage.count * size]
    if what.storage.kind == "bfloat16":
        flat = (np.frombuffer(raw, dtype="<u2").astype("<u4") << 16).view("<f4")
    else:
        flat = np.frombuffer(raw, dtype=what.storage.kind)
    strides = tuple(stride * flat.itemsize for stride in what.strides)
    return np.lib.stride_tricks.as_strided(flat[what.offset :], what.shape, strides).copy()


def _refuse(path: Path, why: str, cause: BaseException | None = None) -> NoReturn:
    raise RunError(
        f"'{path.name}' cannot be read as a checkpoint: {why}. Expected the .ckpt file that Lightning wrote."
    ) from cause


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
