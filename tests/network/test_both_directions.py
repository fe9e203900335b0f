"""What is said of an edge whose source is knocked down in some cells and activated in others."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dashboard.network.evidence import pair_message
from dashboard.network.message import edge_columns, gene_columns
from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.activity import effect_scores
from gpovae_core.network.cards import gene_card
from gpovae_core.network.differences import compare_conditions, pool
from gpovae_core.network.enrichment import effects_of
from gpovae_core.network.exports import export_bytes
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import EdgeInspection, HeldOutCells, Measured, inspect_edge
from gpovae_core.network.matrices import matrices_of
from gpovae_core.network.parts import PartedCells
from tests import both
from tests.fake_run import make_fake_run

ACTIVATED_COLUMNS = {
    keys.EFFECT_ACTIVATED,
    keys.EFFECT_ACTIVATED_SE,
    keys.P_ACTIVATED,
    keys.P_KNOCKED_DOWN,
    keys.CELLS_ACTIVATED,
}


def inspected() -> EdgeInspection:
    cells = HeldOutCells.of(both.prepared())
    return inspect_edge(both.network(), *both.strongest(), cells, held_out_pairs(both.prepared()))


def test_the_network_stage_keeps_both_rows() -> None:
    prepared, fit = both.prepared(), both.fit()
    observed = contrasts(prepared, both=True)
    up = observed.second
    assert fit.raised is not None
    np.testing.assert_allclose(fit.raised.effect, observed.effect[up], rtol=1e-5)
    np.testing.assert_allclose(fit.raised.effect_sd, observed.error[up], rtol=1e-5)
    np.testing.assert_allclose(fit.effect[observed.sources[~up]], observed.effect[~up], rtol=1e-5)
    assert (fit.raised.own_change > 0).all()
    again = NetworkFit.from_arrays(fit.arrays())
    assert again.raised is not None
    np.testing.assert_array_equal(again.raised.own_change, fit.raised.own_change)
    older = {name: values for name, values in fit.arrays().items() if not name.startswith("raised")}
    assert NetworkFit.from_arrays(older).raised is None


def test_a_run_of_one_direction_has_no_further_column(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = make_fake_run(tmp_path_factory.mktemp("run") / "r", n_perturbed=4, n_extended=2, n_measured=6)
    network = GeneNetwork.from_run(run)
    assert not ACTIVATED_COLUMNS & set(network.edges(0.0))
    assert keys.CELLS_ACTIVATED not in gene_columns(network)
    found = inspect_edge(network, "PERT0000", "PERT0001", HeldOutCells.of(run.cells()))
    assert (found.activated, found.directions_agree) == (None, None)


def test_the_card_shows_both_and_whether_they_agree() -> None:
    (source, target), found = both.strongest(), inspected()
    assert found.measured is not None
    assert found.activated is not None
    held = both.prepared().where(source + keys.ACTIVATED, keys.HELD_OUT)
    assert len(found.activated.perturbed) == held.sum()
    assert found.measured.fold * found.activated.fold < 0
    assert found.directions_agree
    cells = PartedCells.of(both.prepared())
    assert cells is not None
    parts = cells.of_both(source, target)
    assert [of for of, one in parts if one.kind == keys.GUIDE] == ["knock-down", "activation"]
    message = pair_message(found, both.network(), None, parts)
    text = "\n".join(line for section in message["sections"] for line in section["lines"])
    titles = [section["title"] for section in message["sections"]]
    assert f"In held-out cells, {source} knocked down" in titles
    assert f"In held-out cells, {source} activated" in titles
    assert f"Yes: knocking {source} down" in text
    assert "Test of both together, adjusted over all pairs:" in text
    assert [group["name"] for group in message["cells"]["groups"]] == ["control", "knock-down", "activated"]
    titles = [one["title"] for one in message["parts"]]
    assert {"By guide, knock-down", "By guide, activation"} <= set(titles)


@pytest.mark.parametrize(
    ("folds", "words"),
    [((-1.0, 1.0), "Yes: knocking"), ((-1.0, -1.0), "No: "), ((-1.0, 0.05), "is not told")],
)
def test_agreement_is_said_only_where_both_are_clear(folds: tuple[float, float], words: str) -> None:
    def measured(fold: float) -> Measured:
        cells = np.ones(3)
        return Measured(cells, cells, fold, 0.1, fold - 0.2, fold + 0.2, 0.1, 0.01, 0.02)

    down, up = map(measured, folds)
    found = replace(inspected(), measured=down, activated=up)
    message = pair_message(found, both.network())
    (section,) = [one for one in message["sections"] if one["title"] == "Do both directions agree?"]
    assert section["lines"][0].startswith(words) or words in section["lines"][0]
    assert section["kind"] == ("doubt" if words == "No: " else "")
    alone = pair_message(replace(found, measured=None, why_not="None here."), both.network())
    assert any("activated" in one["title"] for one in alone["sections"])
    assert len(alone["cells"]["groups"]) == 2


def test_tables_and_files_hold_both() -> None:
    network = both.network().with_tests(held_out_pairs(both.prepared()))
    edges = network.edges(0.5)
    assert set(edges) >= ACTIVATED_COLUMNS
    source, target = both.strongest()
    row = edges.set_index(["source", "target"]).loc[(source, target)]
    found = inspected()
    assert found.measured is not None
    assert found.activated is not None
    assert row[keys.P_KNOCKED_DOWN] == pytest.approx(found.measured.p)
    assert row[keys.P_ACTIVATED] == pytest.approx(found.activated.p)
    assert row[keys.P] <= 3 * min(found.measured.p, found.activated.p)
    assert row[keys.EFFECT] * row[keys.EFFECT_ACTIVATED] < 0
    table = pd.read_csv(io.BytesIO(export_bytes(network, 0.5, "csv")))
    assert set(table) >= ACTIVATED_COLUMNS
    assert keys.EFFECT_ACTIVATED.encode() in export_bytes(network, 0.5, "graphml")
    assert keys.EFFECT_ACTIVATED in matrices_of(network, 3).layers
    assert keys.EFFECT_ACTIVATED in edge_columns(network, edges)
    assert (gene_columns(network)[keys.CELLS_ACTIVATED] == -1).all()  # without effects.h5ad not known


def test_the_gene_card_and_the_lists_of_effects_know_both() -> None:
    network, (source, target) = both.network(), both.strongest()
    card = gene_card(network, source, 0.5)
    assert card.own is not None
    assert card.own_raised is not None
    assert card.own < 0 < card.own_raised
    assert target in set(card.as_raised["gene"])
    onto = gene_card(network, target, 0.5, most=40).as_target
    assert {source, f"{source}, activated"} <= set(onto["gene"])
    assert not {target, f"{target}, activated"} & set(onto["gene"])


def test_effects_are_looked_up_by_perturbation() -> None:
    network, (source, target) = both.network(), both.strongest()
    scores = effect_scores(network)
    assert set(scores.index) == set(both.prepared().perturbations)
    for name in (source, source + keys.ACTIVATED):
        found, values = effects_of(network, name)
        assert found == name
        assert source not in values
        assert values[target] == pytest.approx(scores.at[name, target])
        assert scores.at[name, source] == 0.0
    assert effects_of(network, f"{source.lower()}, activated")[0] == source + keys.ACTIVATED
    with pytest.raises(QueryError, match="one row for"):
        network.panel.position(source + keys.ACTIVATED)


def test_two_conditions_are_compared_by_both_directions() -> None:
    """Cells of one screen called two conditions: the errors of both directions together are smaller than
    those of either, and nothing differs.
    """
    prepared = both.prepared()
    halves = np.random.default_rng(0).random(prepared.cells.n_obs) < 0.5
    one, other = (prepared_of(prepared, rows) for rows in (~halves, halves))
    pooled = pool("a", one, "b", other)
    found = compare_conditions(pooled, both.SETTINGS, 0.5, 3, 0.05, 0)
    without = replace(pooled, cells=knock_downs_alone(pooled.cells))
    alone = compare_conditions(without, both.SETTINGS, 0.5, 3, 0.05, 0)
    pairs = [keys.SOURCE, keys.TARGET]
    together = found.edges.set_index(pairs)["difference_se"]
    less = alone.edges.set_index(pairs)["difference_se"]
    shared = together.index.intersection(less.index)
    assert len(shared) > 5
    assert (together[shared] < less[shared]).mean() > 0.9
    assert (found.edges["fdr"] < 0.05).mean() < 0.2


def prepared_of(prepared: PreparedCells, rows: np.ndarray) -> PreparedCells:
    """The cells of `rows` (n,) bool."""
    kept = np.flatnonzero(rows)
    return PreparedCells.of(
        prepared.counts[kept],
        pd.DataFrame(prepared.cells.obs).iloc[kept],
        list(prepared.cells.var_names),
        prepared.panel,
        prepared.report,
    )


def knock_downs_alone(prepared: PreparedCells) -> PreparedCells:
    """The same with the activated cells under a name that is no perturbation of one gene."""
    obs = pd.DataFrame(prepared.cells.obs).copy()
    raised = obs[keys.PERTURBATION].astype(str).map(keys.is_raised)
    obs[keys.PERTURBATION] = obs[keys.PERTURBATION].astype(str).where(~raised, "left out")
    return PreparedCells.of(
        prepared.counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report
    )
