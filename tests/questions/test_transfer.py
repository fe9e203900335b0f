"""A network in other cells: what comes back, what could, and what must not be taken for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core.config import make_settings
from gpovae_core.errors import QueryError, RunError
from gpovae_core.questions.elsewhere import Elsewhere, matched, of_cells, of_run, read_elsewhere
from gpovae_core.questions.transfer import (
    ALIKE,
    CHANCE,
    EDGES,
    NOT_SEEN,
    OTHER_SIGN,
    SEEN,
    STRONGEST,
    Transfer,
    transfer,
)
from gpovae_core.reporting.transfer import transfer_in_words
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.from_effects import network_from_effects
from tests.fake_run import make_fake_run
from tests.runs.test_from_effects import EDGES as TRUE
from tests.runs.test_from_effects import PERTURBED, effects
from tests.toy import toy_cells

SETTINGS = make_settings("evidence")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("transfer")
    effects().to_csv(folder / "here.csv", index=False)
    return network_from_effects(folder / "here.csv", folder / "run", panel_extra=20).run


def there(run: RunFolder, table: pd.DataFrame, folder: Path) -> Elsewhere:
    table.to_csv(folder / "there.csv", index=False)
    return read_elsewhere(folder / "there.csv", run.panel().genes, SETTINGS)


def held(run: RunFolder, table: pd.DataFrame, folder: Path) -> Transfer:
    return transfer(run, there(run, table, folder))


def test_the_same_effects_come_back_up_to_the_ceiling(run: RunFolder, tmp_path: Path) -> None:
    found = held(run, effects(seed=1), tmp_path)
    assert set(zip(found.edges.source, found.edges.target, strict=True)) == set(TRUE)
    assert (found.edges.state == SEEN).all()
    assert found.groups[EDGES].share == 1.0 == pytest.approx(found.groups[EDGES].ceiling, abs=1e-6)
    assert found.groups[CHANCE].seen <= 1
    assert found.perturbations == tuple(PERTURBED)
    assert found.edges_here == len(TRUE)
    for row in found.edges.itertuples():
        assert row.sign == np.sign(TRUE[row.source, row.target])
        assert np.sign(row.effect_there) == -row.sign  # a knock-down
    assert found.effects["influence"].rho > 0.95 * found.ceiling.rho
    assert found.effects["influence"].explained > 0.9 * found.ceiling.explained
    assert found.effects["mean_there"].rho < found.effects["influence"].rho


def test_effects_of_other_genes_do_not_come_back(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1)
    turn = dict(zip(PERTURBED, [*PERTURBED[3:], *PERTURBED[:3]], strict=True))
    own = dict.fromkeys(PERTURBED, -2.0)
    moved = table.assign(perturbation=table.perturbation.map(turn))
    itself = moved.perturbation == moved.gene
    moved.loc[itself, "log2fc"] = moved.perturbation[itself].map(own)
    found = held(run, moved, tmp_path)
    assert found.groups[EDGES].seen == 0
    assert found.groups[EDGES].ceiling > 0.9
    assert found.effects["influence"].explained < 0.1


def test_the_other_sign_is_told_from_none(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1)
    turned = (table.perturbation == "P2") & (table.gene == "X01")
    gone = (table.perturbation == "P3") & (table.gene == "P4")
    table.loc[turned, "log2fc"] *= -1
    table.loc[gone, "log2fc"] = 0.0
    found = held(run, table, tmp_path).edges.set_index(["source", "target"])["state"]
    assert found["P2", "X01"] == OTHER_SIGN
    assert found["P3", "P4"] == NOT_SEEN
    assert (found.drop([("P2", "X01"), ("P3", "P4")]) == SEEN).all()


def test_p_is_that_of_a_normal_and_adjusted_over_the_edges(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1).assign(se=0.6)
    found = held(run, table, tmp_path).edges
    p = 2 * stats.norm.sf(np.abs(found.effect_there / found.effect_there_se))
    np.testing.assert_allclose(found.p, p, rtol=1e-9)
    np.testing.assert_allclose(found.p_adjusted, stats.false_discovery_control(p))


def test_the_ceiling_falls_with_the_errors_there(run: RunFolder, tmp_path: Path) -> None:
    sharp, blunt = (held(run, effects(seed=1).assign(se=se), tmp_path) for se in (0.05, 1.0))
    assert blunt.groups[EDGES].ceiling < 0.7 < sharp.groups[EDGES].ceiling
    low, high = blunt.groups[EDGES].ceiling_interval
    assert 0 <= low < blunt.groups[EDGES].ceiling < high <= 1
    assert blunt.ceiling.rho < sharp.ceiling.rho


def test_predictions_follow_the_strength_there(run: RunFolder, tmp_path: Path) -> None:
    half = effects(seed=1)
    half["log2fc"] *= 0.7
    found = held(run, half, tmp_path)
    assert found.strengths_compare
    assert found.effects["influence"].explained > 0.85 * found.ceiling.explained
    assert found.effects["mean_here"].explained < 0.3


def test_an_activation_turns_the_signs(run: RunFolder, tmp_path: Path) -> None:
    rise = effects(seed=1)
    rise["log2fc"] *= -1
    found = held(run, rise, tmp_path)
    assert (found.edges.state == SEEN).all()
    assert [row.sign for row in found.edges.itertuples()] == [
        np.sign(TRUE[row.source, row.target]) for row in found.edges.itertuples()
    ]


def test_pairs_beside_the_edges(run: RunFolder, tmp_path: Path) -> None:
    found = held(run, effects(seed=1), tmp_path).groups
    assert found[STRONGEST].tested == len(TRUE)
    assert found[STRONGEST].strength >= found[EDGES].strength
    assert found[ALIKE].tested <= len(TRUE)
    assert found[CHANCE].tested == len(TRUE)
    assert found[CHANCE].strength < 3


def test_an_edge_is_looked_for_only_where_it_could_be_seen(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1)
    table = table[(table.perturbation != "P0") & (table.gene != "X00")]
    found = held(run, table, tmp_path)
    assert found.edges_here == len(TRUE)
    assert set(zip(found.edges.source, found.edges.target, strict=True)) == {
        edge for edge in TRUE if edge[0] != "P0" and edge[1] != "X00"
    }
    assert "P0" not in found.perturbations


def test_names_in_another_case_are_the_same_genes(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1)
    table["perturbation"], table["gene"] = table.perturbation.str.lower(), table.gene.str.lower()
    assert held(run, table, tmp_path).groups[EDGES].share == 1.0
    assert matched(["STAT1", "ab", "X"], ["Stat1", "AB", "aB", "x"]).tolist() == [0, -1, 3]
    assert matched(["AB", "ab"], ["ab", "Ab"]).tolist() == [-1, 0]


def test_nothing_in_common_is_said(run: RunFolder, tmp_path: Path) -> None:
    table = effects(seed=1)
    table["perturbation"] = table["perturbation"] + "Z"
    table["gene"] = table["gene"] + "Z"
    with pytest.raises(QueryError, match=r"perturbed in both.*P0Z"):
        held(run, table, tmp_path)
    with pytest.raises(RunError, match="no run, file of cells or table"):
        read_elsewhere(tmp_path / "nowhere.h5ad", run.panel().genes, SETTINGS)
    with pytest.raises(QueryError, match="between 0 and 1"):
        transfer(run, there(run, effects(seed=1), tmp_path), threshold=2.0)


def test_a_run_without_a_network_stage_is_refused(run: RunFolder, tmp_path: Path) -> None:
    other = there(run, effects(seed=1), tmp_path)
    with pytest.raises(QueryError, match="preset evidence"):
        transfer(make_fake_run(tmp_path / "fake"), other)


def test_without_edges_there_is_still_an_answer(run: RunFolder, tmp_path: Path) -> None:
    found = transfer(run, there(run, effects(seed=1), tmp_path), threshold=1.0)
    assert found.edges.empty
    assert found.groups[EDGES].tested == 0
    assert np.isnan(found.groups[EDGES].share)
    assert json.loads(json.dumps(found.plain(), allow_nan=False))["groups"]["edges"]["share"] is None
    assert "no edges of the network" in transfer_in_words(found)


def test_a_run_without_cells_is_another_set(run: RunFolder, tmp_path: Path) -> None:
    found = transfer(run, of_run(run, run.panel().genes, SETTINGS))
    assert found.groups[EDGES].share == 1.0
    assert not found.own_controls
    words = transfer_in_words(found)
    assert "also follows their noise" in words
    assert "ceiling" in words


def test_cells_are_measured_by_the_code_of_a_run() -> None:
    prepared = toy_cells()
    genes = [str(gene) for gene in prepared.cells.var_names]
    found = of_cells("toy", prepared, genes[:5], SETTINGS)
    assert set(found.panel.genes) == set(prepared.panel.data.perturbed) | set(genes[:5])
    assert found.halves is not None
    one, other = found.halves
    np.testing.assert_array_equal(one.sources, found.sources)
    seen = np.isfinite(found.error) & np.isfinite(one.error) & np.isfinite(other.error)
    assert (one.error[seen] > 0.99 * found.error[seen]).mean() > 0.9  # half of the controls say less
    between = np.corrcoef(one.effect[seen], other.effect[seen])[0, 1]
    assert 0.5 < between < 1


def test_the_mean_of_the_others_does_not_follow_the_noise_of_shared_controls() -> None:
    """Without any effect all perturbations differ from the same controls alike."""
    prepared = toy_cells()
    shuffled = prepared.labels.copy()
    rng = np.random.default_rng(0)
    cells = prepared.cells.copy()
    cells.obs["perturbation"] = pd.Categorical(rng.permutation(shuffled))
    moved = replace(prepared, cells=cells)
    genes = [str(gene) for gene in prepared.cells.var_names]
    found = of_cells("toy", moved, genes, SETTINGS)
    assert found.halves is not None

    def with_others(one: np.ndarray, other: np.ndarray) -> float:
        rest = (other.sum(axis=0) - other) / (len(other) - 1)
        known = np.isfinite(found.error)
        return float(np.corrcoef(one[known], rest[known])[0, 1])

    first, second = (half.effect for half in found.halves)
    assert with_others(found.effect, found.effect) > with_others(first, second) + 0.1
