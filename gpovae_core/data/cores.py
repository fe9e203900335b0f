"""Work on several cores at once, with the same result for any number of them.

Pieces are worked on by threads (the kernels behind them let go of the interpreter), their results come in the
order of the pieces, and a product of matrices keeps to one core meanwhile: what a library splits over cores
it may also add up in another order.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

from gpovae_core.errors import SettingsError

JOBS = "GPOVAE_JOBS"
"""Environment variable: how many cores to use; a background job takes it over from whoever starts it."""

MEMORY_SHARE = 0.25
"""Of the memory that is free, for processes that work beside each other."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def jobs() -> int:
    """Pieces that are worked on at once: what JOBS says, or every core that this process may use.

    Raises SettingsError where JOBS is no whole number from 1 on.
    """
    asked = os.environ.get(JOBS, "").strip()
    if not asked:
        return _cores()
    if not asked.isdecimal() or int(asked) < 1:
        raise SettingsError(f"{JOBS} is '{asked[:40]}'; give the number of cores to use, 1 or more.")
    return int(asked)


def _cores() -> int:
    """Cores that this process may use: fewer than there are where a scheduler or a container says so."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def use(asked: int | None) -> int | None:
    """From now on, in this process and those that it starts, work on `asked` pieces at once (None: as
    before); returns what was asked, for the option that it is a callback of.
    """
    if asked is not None:
        os.environ[JOBS] = str(asked)
    return asked


def at_once(
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """function(piece) of every piece, in order; `jobs()` pieces are worked on at a time, and as many results
    wait at most. meanwhile: called now and then while results are waited for, where several work.

    An error, or a stop, ends it with the pieces that are being worked on; no further one is begun, nor one of
    a piece that is worked on in pieces itself.
    """
    most, pieces = jobs(), iter(pieces)
    with ExitStack() as stack:
        stack.enter_context(one_core_products())
        first = list(islice(pieces, 2))
        pieces = _wanted(chain(first, pieces))
        if most == 1 or len(first) < 2:
            yield from map(function, pieces)
            return
        pool = ThreadPoolExecutor(most, thread_name_prefix="gpovae")
        stack.callback(pool.shutdown, cancel_futures=True)
        over = threading.Event()
        stack.callback(over.set)
        within = [*_over(), over]

        def work(piece: Piece) -> Result:
            _here.over = within
            return function(piece)

        yield from _in_order(pool, work, pieces, most, meanwhile)


_here = threading.local()
"""over: events of this thread, of the calls of `at_once` that it works for; one that is set has ended."""


class _Over(Exception):
    """What this thread works on is not wanted any more; nobody waits for it."""


def _over() -> list[threading.Event]:
    found: list[threading.Event] = getattr(_here, "over", [])
    if any(event.is_set() for event in found):
        raise _Over
    return found


def _wanted(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, as long as somebody waits for what they give."""
    for piece in pieces:
        _over()
        yield piece


LOOK_SECONDS = 1.0
"""Between calls of what is asked for while results are waited for."""


def _in_order(
    pool: Executor,
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    most: int,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Results in the order of the pieces, of which no more than one beyond `most` are given to the pool.
    meanwhile: called every LOOK_SECONDS.
    """
    waiting: deque[Future[Result]] = deque()
    for piece in pieces:
        waiting.append(pool.submit(function, piece))
        if len(waiting) > most:
            yield _of(waiting.popleft(), meanwhile)
    while waiting:
        yield _of(waiting.popleft(), meanwhile)


def _of(future: Future[Result], meanwhile: Callable[[], None] | None) -> Result:
    while meanwhile is not None and not wait([future], LOOK_SECONDS).done:
        meanwhile()
    return future.result()


def in_processes(
    function: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    memory: float,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """As `at_once`, by processes of their own: for libraries that cannot be called by several threads.

    function: of a module, its argument and result can be pickled; memory: bytes that a process needs at most;
    meanwhile: called now and then while results are waited for. As many as `jobs()` work at a time, but
    together in no more than MEMORY_SHARE of what is free; one works in this process. All are gone when the
    last result was taken, after an error, and after a stop.
    """
    import psutil

    fitting = int(psutil.virtual_memory().available * MEMORY_SHARE / max(memory, 1.0))
    pieces = iter(pieces)
    first = list(islice(pieces, 2))
    pieces = chain(first, pieces)
    count = min(jobs(), fitting) if len(first) > 1 else 1
    if count < 2:
        with one_core_products(), ThreadPoolExecutor(1, thread_name_prefix="gpovae") as alone:
            yield from _in_order(alone, function, pieces, 0, meanwhile)
        return
    from joblib.externals.loky import get_reusable_executor

    pool: Any = get_reusable_executor(max_workers=count, env=dict.fromkeys(_THREADS, "1"))
    try:
        yield from _in_order(pool, function, pieces, count, meanwhile)
    finally:
        pool.shutdown(wait=False, kill_workers=True)


class _Products:
    """How many pieces of work ask for products on one core; the first sets it, the last puts it back."""

    def __init__(self) -> None:
        self._lock, self._asking = threading.Lock(), 0
        self._limits: Any = None
        self._libraries: Any = None
        self._imported = 0

    def limit(self) -> None:
        with self._lock:
            if not self._asking:
                self._limits = self._found().limit(limits=1, user_api="blas")
            self._asking += 1

    def _found(self) -> Any:
        """The libraries of products; to look for them takes milliseconds, so only after further imports."""
        from threadpoolctl import ThreadpoolController

        if self._libraries is None or len(sys.modules) != self._imported:
            self._libraries, self._imported = ThreadpoolController(), len(sys.modules)
        return self._libraries

    def release(self) -> None:
        with self._lock:
            self._asking -= 1
            if not self._asking and self._limits is not None:
                self._limits.restore_original_limits()


_products = _Products()


@contextmanager
def one_core_products() -> Iterator[None]:
    """Matrix products of numpy and scipy on one core each."""
    _products.limit()
    try:
        yield
    finally:
        _products.release()
