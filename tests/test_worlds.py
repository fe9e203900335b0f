"""benchmarks/worlds.py: its truth is right, its figures add up, and what is not at hand is said."""

from __future__ import annotations

import importlib
import json
from types import ModuleType

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.config import make_settings
from tests.conftest import PROJECT


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))  # as `python benchmarks/worlds.py` finds its own
    return importlib.import_module("worlds")


def test_a_pair_that_no_path_joins_is_false_and_one_on_a_loop_is_not(worlds: ModuleType) -> None:
    edge = np.random.default_rng(0).random((30, 30)) < 0.05
    graph = nx.from_numpy_array(edge.astype(int), create_using=nx.DiGraph)
    expected = np.zeros(edge.shape, dtype=bool)
    for source in graph:
        expected[source, sorted(nx.descendants(graph, source))] = True
    np.testing.assert_array_equal(worlds.reached(edge), expected)


def test_ranges_hold_every_weight_above_a_half_once(worlds: ModuleType) -> None:
    weights = np.array([0.5, 0.79, 0.8, 0.95, 0.99, 0.9999, 1.0, 0.2])
    np.testing.assert_array_equal(np.sum(worlds.in_ranges(weights), axis=0), weights >= 0.5)
    assert worlds.in_ranges(weights)[-1].tolist() == [False] * 5 + [True, True, False]


def test_a_visible_edge_changes_its_target_by_a_tenth(worlds: ModuleType) -> None:
    """Independent: one edge of strength w under a loss of 80 %, saturation 1.5, multiplies the target by
    exp(w 1.5 tanh(log 0.2 / 1.5)).
    """
    made = worlds.simulate(
        worlds.SimulationSettings(genes=30, perturbations=10, cells=100, knockdown_spread=0.0)
    )
    change = worlds.change_of_targets(made, worlds.SimulationSettings())
    perturbed = set(made.adata.obs[keys.PERTURBATION].astype(str))
    for row, found in zip(made.edges.itertuples(index=False), change, strict=True):
        factor = np.exp(row.weight * 1.5 * np.tanh(np.log(0.2) / 1.5)) if row.source in perturbed else 1.0
        assert found == pytest.approx(abs(factor - 1))


def test_one_world_from_the_command_line(worlds: ModuleType, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(worlds, "FILES", tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["worlds.py", "--worlds", "offtarget_many", "--seeds", "0", "--json", "--table"]
    )
    worlds.main()
    lines = capsys.readouterr().out.splitlines()
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(str(tmp_path) in answer.get("why", "") for answer in answers)
    seed, total = (next(a for a in answers if a["kind"] == kind) for kind in ("seed", "world"))
    assert seed["edges"] == sum(edges for edges, _ in seed["calibration"])
    assert seed["direct"] == sum(direct for _, direct in seed["calibration"])
    assert seed["direct"] + seed["false"] <= seed["edges"]
    assert 0 < seed["direct"] <= seed["true_edges"]
    assert {"w", "z", "mean_difference", "inverse", "mann_whitney"} <= set(seed["auprc"])
    assert seed["auprc"]["w"] > 0.7
    assert total["auprc"] == pytest.approx(seed["auprc"])
    assert sum(line.startswith("| offtarget_many |") for line in lines) == 3


def test_an_unknown_world_is_refused_with_those_there_are(worlds: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"moon.*balanced_few"):
        list(worlds.chosen(["moon"]))


def test_the_design_reaches_the_prepared_cells_unless_it_is_left_out(worlds: ModuleType) -> None:
    cells = worlds.simulated("donors", "few", 0).cells
    settings = make_settings("evidence", {"data": {"seed": 0}})
    known, blind = (worlds.prepared_cells(cells, settings, design).cells.obs for design in (True, False))
    assert known[keys.DONOR].nunique() == 4
    assert keys.GUIDE not in known
    assert not {keys.DONOR, keys.BATCH} & set(blind)
    assert (known[keys.SPLIT] == blind[keys.SPLIT]).all()
    stated = cells.obs.loc[known.index, "donor"].astype(str)
    pd.testing.assert_series_equal(known[keys.DONOR].astype(str), stated, check_names=False)


def test_what_is_not_installed_is_said(worlds: ModuleType, monkeypatch) -> None:
    monkeypatch.setattr(worlds.others.importlib.util, "find_spec", lambda name: None)
    assert {"grnlab", "harissa"} <= {word for line in worlds.absent() for word in line.split()}
    assert not {world.simulator for world in worlds.worlds()} & {"grnlab", "harissa"}
