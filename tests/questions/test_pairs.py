"""The ranking of pairs beside a loop over them, one question after the other."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from typer.testing import CliRunner

from gpovae_core import keys
from gpovae_core.cli import app
from gpovae_core.errors import QueryError, SettingsError
from gpovae_core.evaluation.unseen import hold_out
from gpovae_core.questions import pair_formula, pairs
from gpovae_core.questions.network_alone import NetworkAlone
from gpovae_core.questions.pair_formula import strongest_pairs
from gpovae_core.questions.pairs import PairRanking, agreement, pairs_asked, rank_pairs, trust
from gpovae_core.questions.reach import Question
from gpovae_core.questions.whatif import Respondent
from gpovae_core.runs.folder import RunFolder
from tests.questions.test_whatif import SETTINGS, predictor, respondent, stage
from tests.toy import toy_cells


def screen(p: int = 30, genes: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Effects (p, G) in which some perturbed genes are not measured, and NaN on some own genes."""
    random = np.random.default_rng(seed)
    effects = random.normal(size=(p, genes)) * random.gamma(1.0, size=(p, 1))
    own = random.permutation(genes)[:p]
    effects[np.arange(p), own] = np.nan
    own[::5] = -1
    return effects, own


def by_hand(effects: np.ndarray, own: np.ndarray, first: int, second: int) -> tuple[float, float]:
    """Size and overlap of one pair."""
    a, b = np.nan_to_num(effects[first]), np.nan_to_num(effects[second])
    kept = ~np.isin(np.arange(len(a)), own[[first, second]])
    return float(np.sqrt(((a + b)[kept] ** 2).mean())), float(np.sqrt(((a * b)[kept] ** 2).mean()))


@pytest.mark.parametrize("block", [512, 7, 1])
def test_the_formula_is_that_of_a_loop_over_pairs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_formula, "BLOCK", block)
    effects, own = screen()
    found = strongest_pairs(effects, own, 10_000, 5)
    assert len(found) == 30 * 29 // 2
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == set(
        combinations(range(30), 2)
    )
    assert (np.diff(found.size) <= 0).all()
    for k in range(0, len(found), 11):
        expected = by_hand(effects, own, int(found.first[k]), int(found.second[k]))
        assert (found.size[k], found.overlap[k]) == pytest.approx(expected, abs=1e-9)


def test_of_too_many_pairs_the_largest_are_kept_and_those_of_largest_overlap() -> None:
    effects, own = screen()
    whole, kept = strongest_pairs(effects, own, 10_000, 0), strongest_pairs(effects, own, 40, 9)
    names = list(zip(whole.first.tolist(), whole.second.tolist(), strict=True))
    expected = set(names[:40])
    rest = sorted(range(40, len(whole)), key=lambda k: -whole.overlap[k])
    expected |= {names[k] for k in rest[:9]}
    assert set(zip(kept.first.tolist(), kept.second.tolist(), strict=True)) == expected


@pytest.mark.parametrize("p", [0, 1])
def test_a_screen_without_two_perturbations_has_no_pair(p: int) -> None:
    assert len(strongest_pairs(np.zeros((p, 4)), np.full(p, -1), 10, 10)) == 0


# The model ------------------------------------------------------------------------------------------------


def effects_of(rows: dict[str, tuple[np.ndarray, np.ndarray]]) -> AnnData:
    """What effects.h5ad would hold; rows: perturbation -> (predicted, observed in held-out cells)."""
    genes = toy_cells().cells.var_names
    layers = {
        keys.PREDICTED: np.stack([predicted for predicted, _ in rows.values()]),
        keys.OBSERVED_TEST: np.stack([observed for _, observed in rows.values()]),
    }
    empty = np.zeros((len(rows), len(genes)), dtype=np.float32)
    return AnnData(empty, pd.DataFrame(index=list(rows)), pd.DataFrame(index=genes), layers=layers)


def ranking(**options: Any) -> PairRanking:
    return rank_pairs(respondent(), **options)


def test_the_model_says_of_every_pair_what_it_says_when_it_is_asked_alone() -> None:
    found = ranking()
    trained = [
        gene for gene, seen in zip(toy_cells().panel.genes, respondent().reach.trained, strict=True) if seen
    ]
    assert found.possible == found.asked == len(found.pairs) == len(list(combinations(trained, 2)))
    genes = toy_cells().cells.var_names
    for row in found.pairs.itertuples():
        answer = respondent().ask(Question({row.first: None, row.second: None}))
        table = answer.table.loc[~answer.table["perturbed"]]
        assert row.size == pytest.approx(np.sqrt((table["log_difference"] ** 2).mean()), rel=1e-5)
        alone = [
            respondent().ask(Question({gene: None})).table.set_index("gene")["log_difference"]
            for gene in (row.first, row.second)
        ]
        added = (alone[0] + alone[1]).loc[table["gene"]]
        assert row.additive == pytest.approx(np.sqrt((added**2).mean()), rel=1e-4)
        assert row.by == "model"
        assert row.low <= row.size <= row.high
        assert answer.interaction is not None
        told = answer.interaction.table
        assert row.non_additive == told["non_additive"].sum()
        rest = told.loc[~told["perturbed"]]
        draws = predictor().share_changes(toy_cells().panel.dosage(f"{row.first}+{row.second}"))[0]
        chance = rest["error"] ** 2 / draws.shape[1]
        departure = np.sqrt(max((rest["departure"] ** 2 - chance).mean(), 0.0))
        assert row.departure == pytest.approx(departure, rel=1e-4, abs=1e-6)
        assert row.basis == answer.basis
    assert len(genes) > 2


def test_beyond_what_the_model_is_asked_for_the_sum_stands_and_says_so() -> None:
    whole, found = ranking(), ranking(most_asked=4)
    assert found.asked == 4
    assert (found.pairs["by"] == "model").sum() == 4
    rest = found.pairs.loc[found.pairs["by"] == "sum"]
    assert rest["size"].to_numpy() == pytest.approx(rest["additive"].to_numpy())
    assert rest[["low", "high", "departure"]].isna().all(axis=None)
    assert rest["non_additive"].isna().all()
    largest = whole.pairs.sort_values("additive", ascending=False).head(2)
    asked = found.pairs.loc[found.pairs["by"] == "model"]
    for row in largest.itertuples():
        assert ((asked["first"] == row.first) & (asked["second"] == row.second)).any()


def test_the_pair_that_was_asked_is_always_asked_of_the_model() -> None:
    last = ranking(most_asked=2).pairs.iloc[-1]
    assert last["by"] == "sum"
    found = ranking(most_asked=2, also=[(last["second"], last["first"])])
    row = found.pairs.loc[(found.pairs["first"] == last["first"]) & (found.pairs["second"] == last["second"])]
    assert row["by"].tolist() == ["model"]


def test_pairs_that_cannot_be_ranked_are_refused_in_words() -> None:
    perturbed, extended = toy_cells().panel.data.perturbed[0], toy_cells().panel.data.extended[0]
    with pytest.raises(QueryError, match="cannot be ranked"):
        ranking(also=[(perturbed, extended)])
    with pytest.raises(QueryError, match="two different genes"):
        ranking(also=[(perturbed, perturbed)])
    with pytest.raises(QueryError, match="NOSUCH"):
        ranking(also=[(perturbed, "NOSUCH")])


def test_orders_of_a_ranking() -> None:
    found = ranking(most_asked=5)
    departures = found.ordered("departure")["departure"].to_numpy()
    assert np.isfinite(departures[:5]).all()
    assert (np.diff(departures[:5]) <= 0).all()
    assert np.isnan(departures[5:]).all()
    sizes = found.ordered("size")["size"].to_numpy()
    assert (found.pairs["by"][:5] == "model").all(), "what the model says comes first"
    assert (np.diff(sizes[:5]) <= 0).all()
    assert (np.diff(sizes[5:]) <= 0).all()
    ranks = [pairs.TRUST.index(value) for value in found.ordered("trust")["trust"]]
    assert ranks == sorted(ranks)


def test_every_gene_of_the_panel_is_ranked_or_refused() -> None:
    found = ranking()
    panel = toy_cells().panel
    assert {*found.genes["gene"], *found.refused} == set(panel.genes)
    assert not set(found.genes["gene"]) & set(found.refused)
    for row in found.genes.loc[found.genes["basis"] == "seen"].itertuples():
        table = respondent().ask(Question({row.gene: None})).table
        expected = np.sqrt((table.loc[~table["perturbed"], "log_difference"] ** 2).mean())
        assert row.size == pytest.approx(expected, rel=1e-5)


def test_what_the_network_alone_says_is_ranked_where_it_held_up_and_refused_where_not() -> None:
    made = NetworkAlone.of(toy_cells(), SETTINGS)
    extended = set(toy_cells().panel.data.extended)

    def with_kept(kept: float) -> PairRanking:
        one = Respondent(toy_cells(), SETTINGS, stage(), predictor)
        vars(one)["network_alone"] = NetworkAlone(made.screen, replace(made.weights, kept=kept))
        return rank_pairs(one)

    assert set(with_kept(0.0).refused) == extended
    assert all("no better than their mean" in why for why in with_kept(0.0).refused.values()) or not extended
    found = with_kept(1.0)
    told = found.genes.loc[found.genes["basis"] == "extended"]
    for gene in extended:
        moved = len(made.screen.moved_by(gene)) > 0
        assert (gene in set(told["gene"])) == moved
        assert (gene in found.refused) != moved
    assert (told["trust"] == "unknown").all()


def test_a_held_out_gene_is_no_part_of_a_pair() -> None:
    out = toy_cells().panel.data.perturbed[0]
    one = Respondent(hold_out(toy_cells(), (out,)), SETTINGS, None, predictor)
    found = rank_pairs(one)
    assert out not in {*found.pairs["first"], *found.pairs["second"]}
    assert out in {*found.genes["gene"], *found.refused}


# Trust ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis", "rho", "cells", "expected"),
    [
        ("seen combination", np.nan, 3, "measured together"),
        ("combination of seen genes", 0.6, 100, "good"),
        ("combination of seen genes", 0.3, 100, "fair"),
        ("combination of seen genes", 0.1, 100, "poor"),
        ("combination of seen genes", -0.4, 100, "poor"),
        ("combination of seen genes", 0.9, 9, "poor"),
        ("combination of seen genes", np.nan, 100, "unknown"),
        ("extended", np.nan, 0, "unknown"),
    ],
)
def test_trust_is_that_of_the_weaker_gene(basis: str, rho: float, cells: int, expected: str) -> None:
    assert trust(basis, rho, cells) == expected


def test_agreement_is_a_correlation_without_the_perturbed_genes() -> None:
    genes = toy_cells().cells.var_names
    random = np.random.default_rng(0)
    observed, predicted = random.normal(size=(2, len(genes)))
    name = f"{genes[0]}+{genes[1]}"
    found = agreement(effects_of({name: (predicted, observed)}), name)
    assert found == pytest.approx(np.corrcoef(predicted[2:], observed[2:])[0, 1])
    assert np.isnan(agreement(effects_of({name: (predicted, observed)}), genes[3]))
    assert np.isnan(agreement(None, name))


def test_combinations_with_held_out_cells_tell_how_such_predictions_did() -> None:
    genes, (a, b) = toy_cells().cells.var_names, toy_cells().panel.data.perturbed[:2]
    random = np.random.default_rng(1)
    first, second, noise = random.normal(size=(3, len(genes)))
    trained = [
        gene for gene, seen in zip(toy_cells().panel.genes, respondent().reach.trained, strict=True) if seen
    ]
    singles = {gene: (random.normal(size=len(genes)), noise) for gene in trained}
    singles |= {a: (first, noise), b: (second, noise)}
    both = "+".join(sorted((a, b)))
    measured = first + second + noise / 2
    effects = effects_of({**singles, both: (noise, measured)})
    found = ranking(effects=effects, most_asked=1).checked
    assert found is not None
    assert (found.combinations, found.trained) == (1, False)
    assert found.rho == pytest.approx(agreement(effects, both))
    assert found.additive_rho == pytest.approx(agreement(effects, both, first + second))
    assert found.additive_rho > 0.5
    assert ranking(effects=effects_of(singles), most_asked=1).checked is None


def test_the_work_is_bounded_whatever_the_screen() -> None:
    assert pairs_asked(500) == pairs.MOST_ASKED
    assert pairs_asked(30_000) == pairs.FEWEST_ASKED
    effects, own = screen(p=200, genes=220)
    assert len(strongest_pairs(effects, own, 1000, 50)) == 1050


# The command, on the demo run ------------------------------------------------------------------------------

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo" / "run"


def test_the_command_ranks_pairs_and_tells_the_place_of_one(tmp_path: Path) -> None:
    first, second = RunFolder.open(DEMO).panel().data.perturbed[:2]
    out, pair = tmp_path / "pairs.csv", f"{first.lower()}+{second}"
    options = ["pairs", str(DEMO), "--ask", "3", "--top", "4", "--pair", pair, "--out", str(out), "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert len(answer["pairs"]) == 4
    assert answer["possible"] == len(pd.read_csv(out))
    assert answer["asked"] in (3, 4)
    assert 1 <= answer["places"][pair] <= answer["possible"]
    assert answer["checked"] is None
    sizes = [row["size"] for row in answer["pairs"] if row["by"] == "model"]
    assert len(sizes) >= 3
    assert sizes == sorted(sizes, reverse=True)
    rows = pd.read_csv(out)
    named = rows.loc[(rows["first"] == first) & (rows["second"] == second)]
    assert named["by"].tolist() == ["model"]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--by", "luck"], "--by takes"), (["--pair", "A"], "two genes"), (["--pair", "A+B+C"], "two genes")],
)
def test_the_command_refuses_what_makes_no_sense(options: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["pairs", str(DEMO), *options])
    assert isinstance(result.exception, SettingsError)
    assert words in str(result.exception)
