from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

from gpovae_core.cli import app
from gpovae_core.data.gene_sets import GeneSet
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.network.enrichment import over_representation, targets_of
from gpovae_core.network.grn import GeneNetwork
from tests.fake_run import make_fake_run

MEASURED = tuple(f"G{i:03d}" for i in range(200))
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
