"""How a page keeps what it read from a run: one decorator for every loader."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import streamlit as st

from dashboard.shared.held import HELD, Held
from gpovae_core.runs.folder import RunFolder

Stamp = tuple[tuple[str, int, int], ...]
KEPT = Held(HELD)
P = ParamSpec("P")
R = TypeVar("R")


def stamp(run: RunFolder, *files: str) -> Stamp:
    """Name, time (ns) and size (bytes) of those of the files that exist."""
    found = []
    for name in files:
        path = run.path / name
        if path.is_file():
            stat = path.stat()
            found.append((name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def of_run(
    *files: str, kind: Literal["data", "resource"], entries: int, spinner: str | Literal[False] = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function of a run, and of further arguments that can be hashed, computed once for as long as these
    files of the run stay as they are.

    The key of an answer is the path of the run, the stamp of `files`, and the further arguments. The path
    alone would not do: a page is drawn anew at every click, and meanwhile a job may have trained on, or the
    run may have been evaluated in a terminal. The contents would not do either: cells are read in seconds,
    and to hash them at every click takes as long. Time and size cost one look at each file, and change when
    it is replaced, as a run folder replaces its files (whole, never in part). A file that comes or goes
    changes the stamp too, so a function may answer None for a run without it. Name every file that the answer
    depends on, those of the functions that are called included.

    kind: "data" hands out a copy each time; "resource" the thing itself, shared between sessions: never
    change it. entries: at most so many answers are kept; the oldest goes first. Of all resources together
    no more is kept than `held.HELD` says. spinner: what the page says while it waits; False: nothing.
    """

    def key(run: RunFolder) -> tuple[str, Stamp]:
        return str(run.path), stamp(run, *files)

    if kind == "data":
        return st.cache_data(max_entries=entries, show_spinner=spinner, hash_funcs={RunFolder: key})
    resource = st.cache_resource(
        max_entries=entries, show_spinner=spinner, hash_funcs={RunFolder: key}, on_release=KEPT.gone
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def worked_out(*args: P.args, **kwargs: P.kwargs) -> R:
            value = function(*args, **kwargs)
            KEPT.add(_path(args), value, lambda: kept.clear(*args, **kwargs))
            return value

        kept = resource(worked_out)

        @wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            KEPT.use(_path(args))
            return kept(*args, **kwargs)

        return asked

    return decorate


def _path(args: tuple[Any, ...]) -> str:
    """Of the run, the first argument of all that is kept of one."""
    return str(args[0].path)
