from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from gpovae_core.data import cores
from gpovae_core.errors import SettingsError


def test_results_come_in_the_order_of_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    def slower_first(piece: int) -> int:
        time.sleep(0.02 / (piece + 1))
        return piece * piece

    for jobs in ("1", "4"):
        monkeypatch.setenv(cores.JOBS, jobs)
        assert list(cores.at_once(slower_first, range(12))) == [piece * piece for piece in range(12)]


def test_no_more_pieces_are_at_work_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "3")
    busy, most, lock = 0, 0, threading.Lock()

    def work(piece: int) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return piece

    begun: list[int] = []
    for done, _ in enumerate(cores.at_once(work, (begun.append(k) or k for k in range(20)))):
        assert len(begun) <= done + 1 + 4, "pieces are made when there is room for them"
    assert 2 <= most <= 3


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_error_ends_the_work(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, jobs)
    done = []

    def work(piece: int) -> None:
        if piece == 3:
            raise ValueError("the third")
        time.sleep(0.005)
        done.append(piece)

    with pytest.raises(ValueError, match="the third"):
        list(cores.at_once(work, range(1000)))
    assert len(done) < 20


def test_a_library_keeps_to_one_core_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    monkeypatch.setenv(cores.JOBS, "2")

    def threads(_: int) -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        first, second = (cores.at_once(threads, range(4)) for _ in range(2))
        assert next(first) == next(second) == {1}
        assert list(first) == [{1}] * 3
        assert list(second) == [{1}] * 3, "the other one that has ended changes nothing"
        assert threads(0) == {2}


def test_a_stop_reaches_pieces_within_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "2")
    begun: list[int] = []

    def inner(piece: int) -> None:
        begun.append(piece)
        time.sleep(0.01)

    def outer(piece: int) -> None:
        if piece == 0:
            time.sleep(0.1)
            raise ValueError("enough")
        list(cores.at_once(inner, range(500)))

    with pytest.raises(ValueError, match="enough"):
        list(cores.at_once(outer, range(5)))
    assert 0 < len(begun) < 300
    assert list(cores.at_once(abs, [-1, -2])) == [1, 2], "the next work is not over"


WAITING = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs behind it
from gpovae_core.data.cores import at_once

def work(piece):
    print(piece, flush=True)
    time.sleep(0.2)

for _ in at_once(work, range(1000)):
    pass
"""


def test_an_interrupt_stops_every_core() -> None:
    environment = {**os.environ, cores.JOBS: "3"}
    worker = subprocess.Popen(
        [sys.executable, "-c", WAITING], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert worker.stdout is not None
    begun = [worker.stdout.readline() for _ in range(4)]
    worker.send_signal(signal.SIGINT)
    printed, said = worker.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    assert len(begun) + len(printed.splitlines()) < 30


def test_processes_give_the_same_and_are_gone_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "2")
    pieces = [np.full((40, 40), float(k)) for k in range(5)]
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    found = list(cores.in_processes(np.linalg.norm, pieces, 1e6))
    assert found == [np.linalg.norm(piece) for piece in pieces]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _workers(before):
        time.sleep(0.1)
    assert not _workers(before)


def _workers(before: set[int]) -> list[str]:
    children = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    lines = [" ".join(child.cmdline()) for child in children]
    return [line for line in lines if "loky" in line and "tracker" not in line]


def test_an_error_in_a_process_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "2")
    with pytest.raises(np.linalg.LinAlgError):
        list(cores.in_processes(np.linalg.inv, [np.eye(2), np.zeros((2, 2)), np.eye(2)], 1e6))


def test_without_the_memory_for_two_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "4")
    assert list(cores.in_processes(lambda piece: piece + 1, range(3), 1e18)) == [1, 2, 3]


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_what_is_no_number_of_cores_is_said(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, text)
    with pytest.raises(SettingsError, match="number of cores"):
        cores.jobs()


def test_every_core_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cores.JOBS, raising=False)
    assert cores.jobs() >= 1
    monkeypatch.setenv(cores.JOBS, "7")
    cores.use(None)
    assert cores.jobs() == 7
    cores.use(2)
    assert cores.jobs() == 2
