"""Perturbations predicted from what tables say that genes share: where that is so, and where it is not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core.cli import app
from gpovae_core.data.kinds import KNOCK_DOWN
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.known_unseen import Features, measure_known
from gpovae_core.methods.own_change import READ, OwnChange
from gpovae_core.network.features import features_of
from gpovae_core.questions.elsewhere import Elsewhere
from gpovae_core.reporting.knowledge import known_unseen_in_words

P, N, GROUPS = 40, 120, 8
PERTURBED = tuple(f"P{i:02d}" for i in range(P))
OTHERS = tuple(f"X{j:03d}" for j in range(N - P))
SE = 0.1


def screen(effect: np.ndarray, seed: int = 0) -> Elsewhere:
    rng = np.random.default_rng(seed)
    genes = (*PERTURBED, *OTHERS)
    panel = Panel(PanelData(perturbed=PERTURBED, extended=OTHERS, measured=genes))
    own = OwnChange(np.full(P, -1.0), np.full(P, KNOCK_DOWN, object), np.full(P, READ, object))
    seen = effect + SE * rng.standard_normal(effect.shape)
    return Elsewhere("screen", panel, np.arange(P), seen, np.full(effect.shape, SE), own)


def group_effects() -> tuple[np.ndarray, np.ndarray]:
    """Genes of a group do the same; (P, N) effects and (P,) groups."""
    rng = np.random.default_rng(3)
    group = np.arange(P) % GROUPS
    programme = 0.6 * rng.standard_normal((GROUPS, N)) * (rng.random((GROUPS, N)) < 0.3)
    return programme[group], group


def test_what_genes_share_predicts_them_and_a_rewired_table_does_not() -> None:
    effect, group = group_effects()
    shared = (group[:, None] == np.arange(GROUPS)).astype(float)
    found = measure_known(screen(effect), [Features("groups", shared)], rewirings=3)
    [table] = found.tables
    assert table.known == P
    assert table.true.gain > 0.4
    assert found.mean + 0.3 < table.true.explained < found.ceiling
    assert table.true.weights["groups"] > 0.5
    for one in table.rewired:
        assert one.gain < 0.1
        assert one.gain < table.true.gain / 4
    json.dumps(found.plain(), allow_nan=False)
    assert "rewired" in known_unseen_in_words(found)


def test_tables_are_asked_each_by_itself_and_together() -> None:
    effect, group = group_effects()
    shared = (group[:, None] == np.arange(GROUPS)).astype(float)
    noise = (np.random.default_rng(5).random((P, 12)) < 0.2).astype(float)
    tables = [Features("groups", shared), Features("noise", noise), Features("none", np.zeros((P, 2)))]
    found = {one.name: one for one in measure_known(screen(effect), tables, rewirings=1).tables}
    assert list(found) == ["groups", "noise", "together"]
    assert found["together"].true.gain > 0.4 > 0.05 > abs(found["noise"].true.gain)
    assert set(found["together"].true.weights) == {"groups", "noise"}


def test_a_table_that_knows_nothing_leaves_the_mean() -> None:
    effect, _ = group_effects()
    shared = (np.random.default_rng(5).random((P, 12)) < 0.2).astype(float)
    found = measure_known(screen(effect), [Features("nothing", shared)], rewirings=1)
    [table] = found.tables
    assert abs(table.true.gain) < 0.05
    assert table.true.explained == pytest.approx(found.mean, abs=0.05)


def test_known_targets_of_a_knocked_down_regulator_fall() -> None:
    rng = np.random.default_rng(7)
    signs = np.sign(rng.standard_normal((P, N))) * (rng.random((P, N)) < 0.08)
    signs[np.arange(P), np.arange(P)] = 0
    table = Features("regulon", np.abs(signs), signs)
    [found] = measure_known(screen(-0.5 * signs), [table], rewirings=1).tables
    assert found.true.gain > 0.5
    assert found.true.weights["regulon, its targets"] == pytest.approx(0.5, abs=0.1)
    assert found.rewired[0].gain < 0.1


def test_features_are_read_from_sets_and_tables(tmp_path: Path) -> None:
    genes = (*PERTURBED, *OTHERS)
    (tmp_path / "mine.gmt").write_text("a\t-\tp00\tP01\tX000\nb\t-\tP02\tX001\n")
    (tmp_path / "pairs.csv").write_text("gene1,gene2\nP00,P01\nP02,P03\nP02,X001\n")
    with gzip.open(tmp_path / "tf.tsv.gz", "wt") as file:
        file.write("source\ttarget\tsign\nP00\tX000\t1\nP01\tX000\t-1\nP05\tP05\t1\n")
    files = [tmp_path / name for name in ("mine.gmt", "pairs.csv", "tf.tsv.gz")]
    sets, pairs, table = features_of(files, PERTURBED, genes)
    assert sets.shared.sum(axis=1)[:3].tolist() == [1, 1, 0]  # a set of one perturbed gene says nothing
    assert pairs.targets is None
    assert (pairs.shared[0] @ pairs.shared[1], pairs.shared[0] @ pairs.shared[2]) == (2, 0)
    assert table.targets is not None
    assert table.targets[[0, 1, 5], [genes.index("X000"), genes.index("X000"), 5]].tolist() == [1, -1, 0]
    names = [one.name for one in features_of((), ("STAT1", "JAK2", "IRF1"), ("STAT1",))]
    assert names == ["Reactome", "WikiPathways"]


def test_rewiring_keeps_degrees() -> None:
    rng = np.random.default_rng(1)
    signs = np.sign(rng.standard_normal((P, N))) * (rng.random((P, N)) < 0.1)
    before = Features("t", np.abs(signs), signs)
    after = before.rewired(4)
    assert after.targets is not None
    assert not np.array_equal(after.shared, before.shared)
    for axis in (0, 1):
        np.testing.assert_array_equal(after.shared.sum(axis=axis), before.shared.sum(axis=axis))
    np.testing.assert_array_equal(np.abs(after.targets), after.shared)
    assert after.targets.sum() == signs.sum()


def test_what_cannot_be_asked_is_said() -> None:
    effect, _ = group_effects()
    with pytest.raises(QueryError, match="knows two of the 40 perturbed genes"):
        measure_known(screen(effect), [Features("none", np.zeros((P, 3)))])
    whole = screen(effect)
    few = Elsewhere("few", whole.panel, np.arange(4), whole.effect[:4], whole.error[:4], whole.own)
    with pytest.raises(QueryError, match="at least 10; 'few' has 4"):
        measure_known(few, [Features("t", np.ones((4, 2)))])


def test_the_command_takes_a_table_of_effects(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    effect, group = group_effects()
    made = screen(effect)
    genes = made.panel.genes
    seen = made.effect.copy()
    seen[np.arange(P), np.arange(P)] = -1.5
    table = {"perturbation": np.repeat(PERTURBED, N), "gene": np.tile(genes, P), "se": SE / np.log(2)}
    table |= {"log2fc": seen.ravel() / np.log(2)}
    pd.DataFrame(table).to_csv(tmp_path / "e.csv", index=False)
    lines = [
        f"s{k}\t-\t" + "\t".join(gene for gene, own in zip(PERTURBED, group, strict=True) if own == k)
        for k in range(GROUPS)
    ]
    (tmp_path / "s.gmt").write_text("\n".join(lines))
    words = ["unseen", str(tmp_path / "e.csv"), "--knowledge", str(tmp_path / "s.gmt")]
    answer = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    [table] = answer["tables"]
    assert (table["name"], table["known"]) == ("s.gmt", P)
    assert table["true"]["gain"] > 0.4
    assert max(one["gain"] for one in table["rewired"]) < 0.15
