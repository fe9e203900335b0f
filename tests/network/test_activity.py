"""Activity of regulators by their targets: against decoupler's own reference, and where networks agree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gpovae_core.errors import QueryError
from gpovae_core.methods import extras
from gpovae_core.network.activity import activities, edges_of_table, edges_of_w, effect_scores
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import ReferenceNetwork, read_reference
from gpovae_core.reporting.knowledge import activities_in_words
from gpovae_core.runs.from_effects import network_from_effects
from tests.runs.test_from_effects import GENES, effects


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> GeneNetwork:
    """P0 to P2 move twelve targets each; P3 moves P0, and what P0 moves."""
    folder = tmp_path_factory.mktemp("activity")
    table = effects()
    place = {gene: k for k, gene in enumerate(GENES)}
    for source, start in (("P0", 10), ("P1", 22), ("P2", 34), ("P3", 10)):
        own = (table.perturbation == source) & table.gene.map(place).between(start, start + 11)
        table.loc[own, "log2fc"] -= 1.0
    table.to_csv(folder / "e.csv", index=False)
    run = network_from_effects(folder / "e.csv", folder / "run", 60).run
    return GeneNetwork.from_run(run)


def table_of(*edges: tuple[str, str, int]) -> ReferenceNetwork:
    lines = "".join(f"{a},{b},{sign}\n" for a, b, sign in edges)
    return read_reference(f"source,target,sign\n{lines}".encode(), "made.csv")


KNOWN = table_of(
    *(("P0", GENES[k], 1) for k in range(10, 20)),
    *(("TF", GENES[k], -1) for k in range(22, 30)),
)


def test_effects_are_over_their_errors_without_the_own_gene(network: GeneNetwork) -> None:
    z = effect_scores(network)
    assert z.loc["P0", "P0"] == 0
    i, j = network.panel.index["P0"], network.panel.index[GENES[12]]
    assert network.measured is not None
    assert z.loc["P0", GENES[12]] == pytest.approx(
        network.measured.effect[i, j] / network.measured.effect_se[i, j]
    )


def test_edges_have_signs(network: GeneNetwork) -> None:
    net = edges_of_w(network, 0.5, list(network.panel.data.measured))
    assert (net[net.source == "P0"].weight == 1).sum() >= 10
    assert set(edges_of_table(KNOWN, GENES).source) == {"P0", "TF"}
    assert (edges_of_table(KNOWN, GENES).query("source == 'TF'").weight == -1).all()
    with pytest.raises(QueryError, match="no sign"):
        edges_of_table(read_reference(b"source,target\nP0,P1\n", "plain.csv"), GENES)
    with pytest.raises(QueryError, match="without a direction"):
        edges_of_table(read_reference(b"gene1,gene2\nP0,P1\n", "pairs.csv"), GENES)


def test_without_decoupler_it_is_said_how_to_get_it(network: GeneNetwork, monkeypatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(QueryError, match=r"decoupler is not installed.*gpovae\[activity\]"):
        activities(network, KNOWN, 0.5)


def test_activities_are_the_slopes_of_a_linear_model(network: GeneNetwork) -> None:
    pytest.importorskip("decoupler", reason="needs decoupler")
    found = activities(network, KNOWN, 0.5)
    z = effect_scores(network)
    for row in found.table[found.table.network == "made"].itertuples():
        net = edges_of_table(KNOWN, z.columns)
        own = net[net.source == row.regulator].set_index("target").weight
        x = own.reindex(z.columns).fillna(0.0)
        fit = stats.linregress(x, z.loc[row.perturbation])
        assert row.score == pytest.approx(fit.slope / fit.stderr, rel=1e-3)
    scores = found.table.set_index(["network", "perturbation", "regulator"]).score
    assert scores["made", "P0", "P0"] < -5
    assert scores["made", "P1", "TF"] > 3  # a repressor whose targets fall acts more
    assert scores["W", "P3", "P0"] < -5
    assert ("W", "P0", "P0") not in scores.index
    assert found.own.gene.tolist() == ["P0"]
    assert (found.own.expected == -1).all()
    assert found.agreement is not None
    assert found.agreement.rho > 0.5
    assert found.agreement.same_sign == found.agreement.significant > 0
    json.dumps(found.plain(), allow_nan=False)
    assert "W and the table" in activities_in_words(found, 3)


def test_perturbations_can_be_chosen(network: GeneNetwork, tmp_path: Path) -> None:
    pytest.importorskip("decoupler", reason="needs decoupler")
    found = activities(network, None, 0.5, ("p3",))
    assert set(found.table.perturbation) == {"P3"}
    assert found.agreement is None
    with pytest.raises(QueryError, match="no measured effects of X00"):
        activities(network, None, 0.5, ("X00",))
    with pytest.raises(QueryError, match="has 5 targets"):
        activities(network, None, 1.0)
    nothing = GeneNetwork.from_weights(network.panel, np.asarray(network.weights))
    with pytest.raises(QueryError, match="no measured effects with errors"):
        activities(nothing, None, 0.5)
