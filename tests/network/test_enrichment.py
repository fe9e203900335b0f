from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.stats import fisher_exact

from gpovae_core.cli import app
from gpovae_core.data.gene_sets import GeneSet
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.network.enrichment import (
    effects_of,
    over_representation,
    ranked_enrichment,
    regulated_by,
    targets_of,
)
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.reporting.known import gene_set_table, sets_in_words
from gpovae_core.runs.from_effects import network_from_effects
from tests.fake_run import make_fake_run
from tests.runs.test_from_effects import effects

MEASURED = tuple(f"G{i:03d}" for i in range(200))
INTERFERON = ("IRF1", "GBP1", "IFIT1", "IFIT3", "ISG15", "OAS1", "MX1", "IFI35")
PANEL = Panel(PanelData(perturbed=("U1", "U2"), extended=MEASURED, measured=MEASURED))


def random_sets(rng: np.random.Generator, number: int = 40) -> list[GeneSet]:
    return [
        GeneSet(f"set {i}", "made up", frozenset(rng.choice(MEASURED, rng.integers(3, 60), replace=False)))
        for i in range(number)
    ]


def test_p_is_that_of_fishers_one_sided_test_and_adjusted_over_all_sets() -> None:
    rng = np.random.default_rng(0)
    sets, chosen = random_sets(rng), rng.choice(MEASURED, 30, replace=False)
    found = over_representation(PANEL, chosen, sets)
    assert (found.background, found.tested, len(found.selected)) == (200, 40, 30)
    by_name = {one.name: one for one in sets}
    everything = []
    for one in sets:
        k = len(one.genes & set(chosen))
        table = [[k, 30 - k], [len(one.genes) - k, 200 - 30 - len(one.genes) + k]]
        everything.append(fisher_exact(table, alternative="greater").pvalue)
    everything = np.sort(everything)
    adjusted = np.minimum.accumulate((everything * 40 / np.arange(1, 41))[::-1])[::-1]
    for one in found.sets:
        assert set(one.genes) == by_name[one.name].genes & set(chosen)
        assert (one.overlap, one.size) == (len(one.genes), len(by_name[one.name].genes))
        at = np.argmin(np.abs(everything - one.p))
        assert one.p == pytest.approx(everything[at])
        assert one.p_adjusted == pytest.approx(min(adjusted[at], 1.0))
    assert [one.p for one in found.sets] == sorted(one.p for one in found.sets)


def test_random_selections_are_called_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(1)
    sets = random_sets(rng, 25)
    p = []
    for _ in range(400):
        found = over_representation(PANEL, rng.choice(MEASURED, 25, replace=False), sets)
        seen = {one.name: one.p for one in found.sets}
        p += [seen.get(one.name, 1.0) for one in sets]
    for level in (0.01, 0.05, 0.2, 0.5):
        share = np.mean(np.array(p) <= level)
        assert share <= level * 1.1 + 0.003
    assert np.mean(np.array(p) <= 0.2) > 0.08  # conservative, and no more than a discrete test has to be


def test_p_of_a_thousand_random_selections_is_uniform() -> None:
    """Among counts only p less a random part of its own step can be uniform: P(X > k) + U P(X = k)."""
    rng = np.random.default_rng(2)
    one = GeneSet("set", "made up", frozenset(rng.choice(MEASURED, 45, replace=False)))
    null = stats.hypergeom(len(MEASURED), 45, 30)
    p, began = [], time.perf_counter()
    for _ in range(1000):
        [found] = over_representation(PANEL, rng.choice(MEASURED, 30, replace=False), [one]).sets or [None]
        k, value = (0, 1.0) if found is None else (found.overlap, found.p)
        p.append(value - rng.random() * null.pmf(k))
    assert (time.perf_counter() - began) / 1000 < 0.2
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert stats.kstest(np.array(p) ** 0.8, "uniform").pvalue < 0.01  # 20 % off would be seen


def test_the_background_is_the_measured_panel() -> None:
    outside = frozenset({*MEASURED[:5], "NOT1", "NOT2", "U1"})
    found = over_representation(PANEL, ["g000", "G001", "G001", "U2"], [GeneSet("s", "x", outside)])
    [one] = found.sets
    assert (one.size, one.overlap, one.genes) == (5, 2, ("G000", "G001"))
    assert (found.selected, found.left_out) == (("G000", "G001"), ("U2",))


def test_what_cannot_be_asked() -> None:
    sets = [GeneSet("s", "x", frozenset(MEASURED[:5]))]
    with pytest.raises(QueryError, match="not in the panel"):
        over_representation(PANEL, ["NOPE"], sets)
    with pytest.raises(QueryError, match="None of the chosen genes is measured"):
        over_representation(PANEL, ["U1"], sets)
    with pytest.raises(QueryError, match="None of the gene sets has 3 genes"):
        over_representation(PANEL, ["G000"], [GeneSet("s", "x", frozenset({"G001", "ENSG1"}))])


def test_targets_are_measured_genes_above_the_threshold() -> None:
    weights = np.zeros((202, 202))
    weights[0, [0, 1, 5, 7]] = 0.9, 0.9, 0.9, 0.4
    network = GeneNetwork.from_weights(PANEL, weights)
    assert targets_of(network, "u1", 0.5) == [PANEL.genes[5]]
    assert len(targets_of(network, "U1", 0.3)) == 2
    with pytest.raises(QueryError, match="no edge to a measured gene"):
        targets_of(network, "U2", 0.5)


def test_genes_that_share_their_regulators_and_what_sets_say_of_them() -> None:
    weights = np.zeros((202, 202))
    u1, u2 = PANEL.position("U1"), PANEL.position("U2")
    genes = [PANEL.position(gene) for gene in MEASURED[:6]]
    weights[u1, genes] = weights[u2, genes[:5]] = 0.9
    weights[genes[4], genes[5]] = 0.9  # regulates itself: not folded
    network = GeneNetwork.from_weights(PANEL, weights)
    both = regulated_by(network, ["u2", "U1"], 0.5)
    assert both == list(MEASURED[:4])
    assert regulated_by(network, ["U1"], 0.5) == []
    assert regulated_by(network, ["U1"], 0.95) == []
    sets = [GeneSet("s", "x", frozenset(MEASURED[:5])), *random_sets(np.random.default_rng(3), 9)]
    lines = sets_in_words(over_representation(PANEL, both, sets))
    assert lines[0].startswith("s (x): 4 of its 5 genes, adjusted p ")
    assert lines[-1].endswith("10 gene sets tested on 4 genes, against the 200 measured genes of the panel.")
    [none] = sets_in_words(over_representation(PANEL, MEASURED[100:103], sets[:1]))
    assert none.startswith("No gene set holds more of them than chance would put there: 1 gene sets")


def test_the_table_of_a_report() -> None:
    panel = Panel(
        PanelData(perturbed=("STAT1", "U2"), extended=INTERFERON + MEASURED, measured=INTERFERON + MEASURED)
    )
    weights = np.zeros((len(panel), len(panel)))
    weights[panel.position("STAT1"), [panel.position(gene) for gene in INTERFERON]] = 0.9
    weights[panel.position("U2"), panel.position("G001")] = 0.9
    table = gene_set_table(GeneNetwork.from_weights(panel, weights), 0.5)
    assert set(table["Gene"]) == {"STAT1"}
    assert len(table) == 3
    assert table["Set"].str.contains("nterferon").any()
    assert (table["Targets"] == len(INTERFERON)).all()
    assert gene_set_table(GeneNetwork.from_weights(panel, weights, simulated=True), 0.5).empty
    assert gene_set_table(GeneNetwork.from_weights(panel, weights), 0.95).empty


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    run = make_fake_run(tmp_path / "run", seed=1)
    panel = run.panel().data
    genes = panel.measured[:4]
    (tmp_path / "mine.gmt").write_text(
        "a\t-\t" + "\t".join(genes) + "\nb\t-\t" + "\t".join(panel.measured[4:])
    )
    words = ["enrich", str(run.path), "--genes", ",".join(genes[:3]), "--sets", str(tmp_path / "mine.gmt")]
    answer = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert answer["background"] == len(panel.measured)
    assert [row["name"] for row in answer["sets"]] == ["a"]
    assert set(answer["sets"][0]) == {"name", "source", "p", "p_adjusted", "overlap", "size", "genes"}
    assert answer["sets"][0]["genes"] == list(genes[:3])
    assert "measured genes of the panel" in CliRunner().invoke(app, words).stdout
    both = CliRunner().invoke(app, ["enrich", str(run.path), "--genes", "A", "--gene", "B"])
    assert "Say which genes" in str(both.exception)


def test_ranks_are_tested_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    values = {gene: float(np.round(rng.standard_normal(), 1)) for gene in MEASURED}  # with ties
    sets = [GeneSet(f"s{k}", "x", frozenset(rng.choice(MEASURED, 5 + k, replace=False))) for k in range(20)]
    found = {one.name: one for one in ranked_enrichment("P", values, sets).sets}
    assert len(found) == len(sets)
    for one in sets:
        inside = [values[gene] for gene in one.genes]
        outside = [value for gene, value in values.items() if gene not in one.genes]
        test = stats.mannwhitneyu(inside, outside, method="asymptotic", use_continuity=False)
        assert found[one.name].p == pytest.approx(test.pvalue, rel=1e-9)
        shift = 2 * test.statistic / (len(inside) * len(outside)) - 1
        assert found[one.name].shift == pytest.approx(shift)
        assert found[one.name].size == len(one.genes)


def test_ranked_p_is_uniform_without_an_effect_and_signed_with_one() -> None:
    rng = np.random.default_rng(1)
    p = []
    for _ in range(200):
        values = dict(zip(MEASURED, rng.standard_normal(len(MEASURED)), strict=True))
        sets = [GeneSet("s", "x", frozenset(rng.choice(MEASURED, 20, replace=False)))]
        p.append(ranked_enrichment("P", values, sets).sets[0].p)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    values = {gene: -3.0 + 0.01 * k if k < 15 else 0.01 * k for k, gene in enumerate(MEASURED)}
    sets = [
        GeneSet("down", "x", frozenset(MEASURED[:15])),
        GeneSet("all", "x", frozenset(MEASURED)),
        GeneSet("few", "x", frozenset(MEASURED[:4])),
    ]
    [one] = ranked_enrichment("P", values, sets).sets
    assert (one.name, one.shift) == ("down", -1.0)
    assert one.genes[0] == MEASURED[0]
    with pytest.raises(QueryError, match="None of the gene sets has 5"):
        ranked_enrichment("P", values, sets[1:])


def test_effects_of_a_perturbation_are_ranked(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    effects().to_csv(tmp_path / "e.csv", index=False)
    run = network_from_effects(tmp_path / "e.csv", tmp_path / "run", 60).run
    network = GeneNetwork.from_run(run)
    name, values = effects_of(network, "p1")
    assert name == "P1"
    assert "P1" not in values
    assert values["X00"] == pytest.approx(-1.6 / 0.05, abs=4)
    (tmp_path / "m.gmt").write_text("a\t-\t" + "\t".join(f"X{k:02d}" for k in range(9)))
    words = ["enrich", str(run.path), "--perturbation", "P1", "--sets", str(tmp_path / "m.gmt")]
    answer = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert answer["perturbation"] == "P1"
    assert answer["sets"][0]["name"] == "a"
    assert "make p too small" in CliRunner().invoke(app, words).stdout
    with pytest.raises(QueryError, match="no measured effects of X00"):
        effects_of(network, "X00")
    with pytest.raises(QueryError, match="no measured effects"):
        effects_of(GeneNetwork.from_weights(PANEL, np.zeros((202, 202))), "U1")
