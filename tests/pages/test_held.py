"""What pages keep of runs has a bound in bytes; what goes is the run not looked at for longest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from dashboard.shared import cached
from dashboard.shared.held import Held, array_bytes
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.folder import RunFolder

ROOM = 1024
worked_out: list[str] = []


@cached.of_run("a.txt", kind="resource", entries=8)
def numbers(run: RunFolder) -> np.ndarray:
    worked_out.append(run.name)
    return np.zeros(ROOM // 8 // 2)


def runs(folder: Path, *names: str) -> list[RunFolder]:
    for name in names:
        (folder / name).mkdir()
    return [RunFolder(folder / name) for name in names]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The bookkeeping of all resources, with little room."""
    worked_out.clear()
    held = Held(ROOM)
    for name in ("use", "add", "gone"):
        monkeypatch.setattr(cached.KEPT, name, getattr(held, name))
    return held


def test_the_run_not_looked_at_for_longest_goes(tmp_path: Path, kept: Held) -> None:
    one, two, three = runs(tmp_path, "one", "two", "three")
    for run in (one, two, one, three, one, three):
        numbers(run)
    assert worked_out == ["one", "two", "three"]
    assert kept.bytes() == ROOM
    numbers(two)
    assert worked_out == ["one", "two", "three", "two"]
    numbers(three)  # of the two that were there it was looked at last
    assert worked_out == ["one", "two", "three", "two"]
    numbers(one)
    assert worked_out[-1] == "one"
    assert kept.bytes() == ROOM


def test_the_run_looked_at_is_kept_however_large_it_is() -> None:
    held, gone = Held(ROOM), []
    for place in range(3):
        held.add("large", np.zeros(ROOM), lambda place=place: gone.append(place))
    assert held.bytes() == 3 * 8 * ROOM
    assert gone == []
    held.use("other")
    assert gone == [0, 1, 2]
    assert held.bytes() == 0


def test_what_is_kept_no_longer_does_not_count() -> None:
    held, value = Held(ROOM), np.zeros(10)
    held.add("one", value, lambda: None)
    held.add("one", value, lambda: None)  # the same thing in two places
    assert held.bytes() == 80
    held.gone(value)
    assert held.bytes() == 80
    held.gone(value)
    assert held.bytes() == 0


def test_bytes_of_what_pages_keep() -> None:
    panel = Panel(PanelData(perturbed=("A", "B"), extended=(), measured=("A", "B")))
    weights = np.full((2, 2), 0.5)
    network = GeneNetwork.from_weights(panel, weights)
    assert array_bytes(network, set()) < 4 * 8 + 2 * 8 + 16  # no effects: one number, whatever the panel
    assert array_bytes([weights, weights[0], weights.T], set()) == 32
    matrix = sparse.csr_matrix(np.eye(3))
    assert array_bytes(matrix, set()) == matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    table = pd.DataFrame({"a": np.zeros(5), "b": np.zeros(5, dtype=np.float32)})
    assert 60 <= array_bytes({"table": (table,)}, set()) <= 160


def test_bytes_of_a_model() -> None:
    torch = pytest.importorskip("torch")
    assert array_bytes(torch.nn.Linear(10, 5), set()) == 4 * (10 * 5 + 5)
