"""What was measured of a pair stands beside its edge in every table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def demo() -> RunFolder:
    return RunFolder.open(PROJECT / "assets" / "demo" / "run")


def test_an_edge_carries_its_effect_its_error_and_its_cells(demo: RunFolder) -> None:
    network, arrays, cells = GeneNetwork.from_run(demo), demo.network_arrays(), demo.cells()
    edge = network.edges(0.5).iloc[0]
    i, j = network.panel.index[edge[keys.SOURCE]], network.panel.index[edge[keys.TARGET]]
    assert edge[keys.EFFECT] == pytest.approx(arrays["effect"][i, j] / np.log(2))
    assert edge[keys.EFFECT_SE] == pytest.approx(arrays["effect_sd"][i, j] / np.log(2))
    assert edge[keys.CELLS] == cells.where(edge[keys.SOURCE], (keys.TRAIN,)).sum()
    assert np.isnan(edge[keys.P])
    assert np.sign(edge[keys.EFFECT]) == -edge[keys.SIGN]  # knocked down, an activator lowers its target


def test_held_out_tests_fill_the_columns_of_p(demo: RunFolder) -> None:
    network, pairs = GeneNetwork.from_run(demo), held_out_pairs(demo.cells())
    table = network.with_tests(pairs).edges(0.5)
    known = pd.DataFrame(pairs.p, index=list(pairs.sources), columns=list(pairs.targets))
    adjusted = pd.DataFrame(pairs.adjusted, index=list(pairs.sources), columns=list(pairs.targets))
    tested = table.loc[table[keys.SOURCE].isin(known.index) & table[keys.TARGET].isin(known.columns)]
    assert len(tested) > 5
    for row in tested.to_dict("records"):
        assert row[keys.P] == known.loc[row[keys.SOURCE], row[keys.TARGET]]
        assert row[keys.P_ADJUSTED] == adjusted.loc[row[keys.SOURCE], row[keys.TARGET]]
    assert (tested[keys.P_ADJUSTED] >= tested[keys.P]).all()
    assert network.edges(0.5)[keys.P].isna().all()  # the network itself is as it was


def test_the_expected_effect_ranks_and_t_stands_beside_it(demo: RunFolder) -> None:
    network = GeneNetwork.from_run(demo)
    n, total = len(network), network.influence_matrix
    assert total is not None
    expected = np.random.default_rng(0).normal(0, 0.3, (n, n))
    expected[:, 0] = np.nan
    shown = network.expected_network(3, expected)
    assert shown.measure == "E"
    table = shown.edges(0.1)
    assert network.panel.genes[0] not in set(table[keys.TARGET])
    for row in table.head(20).to_dict("records"):
        i, j = network.panel.index[row[keys.SOURCE]], network.panel.index[row[keys.TARGET]]
        assert row[keys.WEIGHT] == pytest.approx(abs(expected[i, j]))
        assert row[keys.INFLUENCE] == total[i, j]
        assert row[keys.SIGN] == np.sign(total[i, j])


def test_a_run_without_a_network_stage_has_cells_at_most(tmp_path: Path) -> None:
    from tests.fake_run import make_fake_run

    table = GeneNetwork.from_run(make_fake_run(tmp_path / "run")).edges(0.0)
    assert table[[keys.EFFECT, keys.EFFECT_SE, keys.P]].isna().all(axis=None)
