"""What a table of known edges is worth to a run: true ones, made-up ones, and what cannot be asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.errors import QueryError
from gpovae_core.network.knowledge import Knowledge, ask_cells
from gpovae_core.network.references import ReferenceNetwork, read_reference
from gpovae_core.reporting.knowledge import knowledge_in_words
from gpovae_core.runs.folder import RunFolder
from tests.fake_run import make_fake_run
from tests.network.test_differences import run_of


@cache
def simulation() -> Simulation:
    return simulate(SimulationSettings(genes=60, perturbations=25, cells=4000, seed=5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    settings = make_settings("evidence", {"data": {"detect_doublets": False, "panel": "all"}})
    return run_of(tmp_path_factory.mktemp("known") / "run", prepare(simulation().adata.copy(), settings.data))


def table(share: float, run: RunFolder, seed: int = 0) -> ReferenceNetwork:
    """Fifty pairs out of perturbed genes, a share of them true edges."""
    genes = run.panel().genes
    sources = run.panel().data.perturbed
    edges = simulation().edges
    true = {(a, b) for a, b in zip(edges.source, edges.target, strict=True) if a in sources and b in genes}
    rng = np.random.default_rng(seed)
    false = [(a, b) for a in sources for b in genes if a != b and (a, b) not in true]
    wanted = min(round(50 * share), len(true))
    chosen = [sorted(true)[k] for k in rng.permutation(len(true))[:wanted]]
    chosen += [false[k] for k in rng.permutation(len(false))[: 50 - wanted]]
    lines = "\n".join(f"{a},{b}" for a, b in chosen)
    return read_reference(f"source,target\n{lines}\n".encode(), "made.csv")


@pytest.fixture(scope="module")
def true(run: RunFolder) -> Knowledge:
    return ask_cells(run, table(0.6, run))


def test_a_true_table_earns_a_weight_and_its_rewirings_none(true: Knowledge) -> None:
    assert true.true.weight > 4 * true.true.error
    assert true.true.kept > 0.5 * true.true.weight
    assert true.rewired_within >= 9
    assert true.half.gain > 2 * true.half.error
    assert abs(np.mean([one.gain for one in true.half_rewired])) < true.half.gain / 5
    assert true.true.share_known > true.true.share_unknown


def test_a_table_of_no_edges_earns_none(run: RunFolder) -> None:
    found = ask_cells(run, table(0.0, run, seed=2))
    assert found.true.kept <= 0.0
    assert found.held_out is not None
    assert found.held_out.gained_significant <= found.held_out.gained


def test_every_edge_says_what_it_would_be_without(true: Knowledge, run: RunFolder) -> None:
    place, weights = run.panel().index, run.edge_probabilities()
    known = true.edges[true.edges.known]
    assert (known.weight >= known.weight_without - 1e-12).all()
    assert (true.edges.weight > true.edges.weight_without + 0.01).any()
    for row in true.edges.itertuples():
        assert row.weight_without == pytest.approx(weights[place[row.source], place[row.target]], abs=1e-5)
    changes = (true.edges.weight - true.edges.weight_without).abs()
    assert (np.diff(changes) <= 1e-12).all()


def test_the_run_stays_as_it_is_and_the_answer_is_json(true: Knowledge, run: RunFolder) -> None:
    before = run.edge_probabilities()
    ask_cells(run, table(1.0, run), draws=1)
    np.testing.assert_array_equal(before, run.edge_probabilities())
    plain = json.loads(json.dumps(true.plain(), allow_nan=False))
    assert plain["true"]["known"] <= 50
    assert len(plain["rewired"]) == 10
    words = knowledge_in_words(true)
    assert "Rewired at equal degrees, 10 times" in words
    assert "(known)" in words


def test_what_cannot_be_asked_is_said(run: RunFolder, tmp_path: Path) -> None:
    other = read_reference(b"source,target\nA,B\nB,C\nC,D\nD,E\nE,F\nF,G\n", "other.csv")
    with pytest.raises(QueryError, match=r"lists 0 pairs.*shares no gene"):
        ask_cells(run, other)
    with pytest.raises(QueryError, match="no network stage"):
        ask_cells(make_fake_run(tmp_path / "fake"), table(1.0, run))
    with pytest.raises(QueryError, match="At least one rewired"):
        ask_cells(run, table(1.0, run), draws=0)
    with pytest.raises(QueryError, match="between 0 and 1"):
        ask_cells(run, table(1.0, run), threshold=-1)
