"""How much of the runs is held in memory, all sessions together, and what goes first."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

HELD = 500_000_000
"""Bytes of arrays that pages keep of all runs. Beyond them that run goes which was not looked at for longest;
of the one that is looked at everything is kept, however large it is.
"""
_ITEMS = 1000
"""Parts of a list or dictionary that are looked into: longer ones hold names and numbers."""


class Held:
    """What is kept of every run, the run looked at last in the end. For several threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, list[tuple[Any, Callable[[], None]]]] = OrderedDict()

    def use(self, run: str) -> None:
        """This run is looked at now."""
        with self._lock:
            if next(reversed(self._kept), run) == run:
                return
            self._kept.setdefault(run, [])
            self._kept.move_to_end(run)
            going = self._too_much()
        _forget(going)

    def add(self, run: str, value: Any, forget: Callable[[], None]) -> None:
        """Something of a run is kept from now on; forget: takes it out of where it is kept."""
        with self._lock:
            self._kept.setdefault(run, []).append((value, forget))
            self._kept.move_to_end(run)
            going = self._too_much()
        _forget(going)

    def gone(self, value: Any) -> None:
        """It is kept no longer, in one place: a value may be kept in several."""
        with self._lock:
            for parts in self._kept.values():
                place = next((i for i, (held, _) in enumerate(parts) if held is value), None)
                if place is not None:
                    del parts[place]
                    return

    def bytes(self) -> int:
        """Of everything that is kept; an array that two things share counts once."""
        return sum(self._sizes().values())

    def _sizes(self) -> dict[str, int]:
        seen: set[int] = set()
        return {run: sum(array_bytes(value, seen) for value, _ in parts) for run, parts in self._kept.items()}

    def _too_much(self) -> list[Callable[[], None]]:
        """Ways to forget the runs that were not looked at for longest; they no longer count."""
        sizes, going = self._sizes(), []
        while len(sizes) > 1 and sum(sizes.values()) > self.most:
            run = next(iter(self._kept))
            del sizes[run]
            going += [forget for _, forget in self._kept.pop(run)]
        return going


def _forget(going: list[Callable[[], None]]) -> None:
    """Outside the lock: where things are kept has locks of its own."""
    for forget in going:
        forget()


def array_bytes(value: Any, seen: set[int]) -> int:
    """Bytes of all arrays in a value, but for those `seen` (ids), to which they are added."""
    total, asked = 0, [value]
    while asked:
        part = asked.pop()
        if id(part) in seen or isinstance(part, str | int | float | bool | type(None)):
            continue
        seen.add(id(part))
        if isinstance(part, np.ndarray):
            whole = _whole(part)
            if whole is part or id(whole) not in seen:
                seen.add(id(whole))
                total += whole.nbytes
        else:
            asked.extend(_parts(part))
    return total


def _whole(array: np.ndarray) -> np.ndarray:
    """The array that owns the numbers of a view; of a broadcast one the few that it repeats."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from list(value.values())[:_ITEMS]
    elif isinstance(value, list | tuple | set | frozenset):
        yield from list(value)[:_ITEMS]
    elif isinstance(value, pd.DataFrame):
        yield value.index
        yield from (value[name] for name in value.columns)
    elif isinstance(value, pd.Series):
        yield value.index
        yield value.to_numpy()
    elif isinstance(value, pd.Index):
        yield value.to_numpy()
    elif sparse.issparse(value):
        yield from (getattr(value, name) for name in ("data", "indices", "indptr") if hasattr(value, name))
    elif hasattr(value, "numpy") and hasattr(value, "untyped_storage"):  # a tensor, without importing torch
        yield value.detach().cpu().numpy()
    elif dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        yield from list(vars(value).values()) if hasattr(value, "__dict__") else ()
