"""The demo run that is shipped still opens, says that it is simulated, and holds nothing of the machine it
was made on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import trace_paths
from gpovae_core.questions.predicted import treatment_effects
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder, is_run
from gpovae_core.runs.model import load_model
from tests.conftest import PROJECT

DEMO = PROJECT / "assets" / "demo"


@pytest.fixture(scope="module")
def run() -> RunFolder:
    return RunFolder.open(DEMO / "run")


def test_it_says_that_it_is_simulated(run):
    assert run.source().simulated
    assert run.cells().report.simulated
    assert run.evaluation()["simulated"]
    assert run.status().state == "done"


def test_a_demo_has_the_name_under_which_it_is_listed():
    for name, path in shipped.DEMOS.items():
        assert RunFolder(path).name == name
        assert GeneNetwork.from_run(RunFolder(path), measured=False).name == name
    assert RunFolder(Path("demo") / "run").name == "run", "any other run has that of its folder"


def test_it_is_small_and_holds_no_foreign_paths(run):
    files = [path for path in DEMO.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6
    assert run.source().path == "simulated.h5ad"
    for path in files:
        if path.suffix in {".json", ".jsonl", ".txt", ".csv"}:
            assert "/home" not in path.read_text()
            assert "/tmp" not in path.read_text()


def test_the_stored_weights_give_the_stored_effects(run):
    names = run.cells().perturbations[:2]
    predicted = treatment_effects(load_model(run), run.cells(), names, run.settings().inference)
    stored = run.effects()[list(names)].to_df("predicted")
    np.testing.assert_allclose(predicted.mean.loc[list(names), stored.columns], stored, atol=1e-4)


def test_its_network_ranks_true_edges_first(run):
    network = GeneNetwork.from_run(run)
    edges = network.edges(0.5)
    assert len(edges) == run.evaluation()["network"]["edges_total"]
    true = pd.read_csv(DEMO / "run" / "true_edges.csv")
    known = set(zip(true["source"], true["target"], strict=True))
    found = [pair in known for pair in zip(edges["source"], edges["target"], strict=True)]
    assert np.mean(found) > 0.5  # by chance: about 2 %


def test_a_path_can_be_traced(run):
    edge = GeneNetwork.from_run(run).edges(0.5).iloc[0]
    trace = trace_paths(GeneNetwork.from_run(run), edge["source"], edge["target"], hops=3, top=3)
    assert trace.paths[0].genes == (edge["source"], edge["target"])


REAL = DEMO / "papalexi"


@pytest.mark.skipif(not is_run(REAL), reason="the demo of real cells was not built: make demo")
def test_the_demo_of_real_cells_is_whole_and_says_where_it_comes_from() -> None:
    run = RunFolder.open(REAL)
    assert not run.source().simulated
    assert run.source().path == "papalexi2021_thp1_585.h5ad"
    network = GeneNetwork.from_run(run)
    assert network.ensemble is not None
    assert {"JAK2", "STAT1", "UBE2L6"} <= set(network.panel.genes)
    assert run.evaluation()["network"]["false_edges"]
    assert not (run.path / "checkpoints").exists()
