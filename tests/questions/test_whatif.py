"""What-if answers: what they rest on, how strength enters, what is added up, what is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gpovae_core import keys
from gpovae_core.config import InferenceSettings, make_settings
from gpovae_core.data.kinds import KNOCK_DOWN, KNOCK_OUT
from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.unseen import hold_out
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.methods.own_change import ASSUMED, READ, TYPICAL, OwnChange
from gpovae_core.model.module import GpoVae
from gpovae_core.questions.predicted import EffectPredictor, treatment_effects
from gpovae_core.questions.reach import GIVEN, Question, Reach, Strength, question
from gpovae_core.questions.whatif import Answer, Respondent, with_measured
from gpovae_core.runs.model import load_model
from gpovae_core.workflow import start_run
from tests.toy import tiny_settings, toy_cells, write_toy

SETTINGS = make_settings("evidence")
ASKING = InferenceSettings(guide_samples=8, basal_draws=4, spread_samples=4, library_levels=4)


@cache
def stage() -> NetworkFit:
    return fit_network(toy_cells(), SETTINGS)


@cache
def reach() -> Reach:
    return Reach.of(toy_cells(), SETTINGS, stage())


@cache
def predictor() -> EffectPredictor:
    """Random weights, and a shift of the shares that is proportional to the dose: what is tested is the
    arithmetic.
    """
    torch.manual_seed(0)
    prepared = toy_cells()
    model = GpoVae(tiny_settings("evidence").model, n=len(prepared.panel), genes=prepared.cells.n_vars)
    with torch.no_grad():
        model.decoder.influence.normal_(std=0.3)
        model.guide.mask_logits.fill_(-20.0)
    return EffectPredictor(model.eval(), prepared, ASKING)


def asked(**loss: float | None) -> Question:
    return question(toy_cells().panel, loss)


@cache
def respondent() -> Respondent:
    return Respondent(toy_cells(), SETTINGS, stage(), predictor)


def answer(one: Question) -> Answer:
    return respondent().ask(one)


def genes() -> tuple[str, str, str]:
    """Two perturbed genes and an extended one."""
    data = toy_cells().panel.data
    return data.perturbed[0], data.perturbed[1], data.extended[0]


def test_dose_is_the_ratio_of_logs() -> None:
    gene = genes()[0]
    reached = reach().reached(gene)
    assert 0.3 < reached < 0.99
    assert reach().dose(gene, None) == 1.0
    assert reach().dose(gene, reached) == pytest.approx(1.0)
    assert reach().dose(gene, 1 - (1 - reached) ** 2) == pytest.approx(2.0)


@pytest.mark.parametrize("loss", [0.0, -0.2, 1.0, 80, float("nan")])
def test_impossible_strengths_are_refused(loss: float) -> None:
    with pytest.raises(QueryError, match="fraction"):
        reach().dose(genes()[0], loss)


def test_reach_is_the_same_with_and_without_a_network_stage() -> None:
    free = Reach.of(toy_cells(), SETTINGS)
    np.testing.assert_allclose(free.own.change, reach().own.change, rtol=1e-6)
    np.testing.assert_array_equal(free.own.source, reach().own.source)
    np.testing.assert_array_equal(free.own.kind, reach().own.kind)


def test_an_answer_says_how_its_strengths_are_known() -> None:
    first, _, extended = genes()
    reached = reach().reached(first)
    known = answer(asked(**{first: None, extended: None})).strengths
    assert known[first] == Strength(reached, KNOCK_DOWN, READ)
    assert known[extended] == Strength(reach().reached(extended), KNOCK_DOWN, TYPICAL)
    assert answer(asked(**{first: 0.3})).strengths[first] == Strength(0.3, KNOCK_DOWN, GIVEN)


def test_what_an_answer_needs_is_made_once_and_only_when_needed() -> None:
    first, _, extended = genes()
    made = []

    def ready() -> EffectPredictor:
        made.append("model")
        return predictor()

    one = Respondent(toy_cells(), SETTINGS, stage(), ready)
    one.ask(asked(**{extended: None}))
    assert made == ["model"], "the network alone answers; its control cells give the unit"
    assert "network_alone" in vars(one)
    other = Respondent(toy_cells(), SETTINGS, stage(), ready)
    other.ask_all((first, first))
    assert made == ["model"] * 2
    assert "network_alone" not in vars(other)


def test_a_loss_of_a_gene_that_nobody_asked_for_is_refused() -> None:
    first, second, _ = genes()
    with pytest.raises(QueryError, match=second):
        respondent().ask_all((first,), {second: 0.5})


def test_a_run_stores_for_a_held_out_perturbation_what_what_if_answers(tmp_path: Path) -> None:
    name = toy_cells().perturbations[0]
    run = start_run(write_toy(tmp_path), tmp_path / "run", tiny_settings("evidence", data={"unseen": [name]}))
    (found,) = Respondent.of(run).ask_all((name,))
    stored: Any = run.effects()
    assert (found.basis, stored.obs.at[name, keys.RESTS_ON]) == ("held out", "held out")
    assert (stored.obs[keys.RESTS_ON] == "seen").sum() == len(stored) - 1
    table = found.table.set_index("gene").loc[list(stored.var_names)]
    np.testing.assert_allclose(stored.to_df(keys.fold(keys.PREDICTED)).loc[name], table["effect"], rtol=1e-5)
    effect = table["log_difference"]
    np.testing.assert_allclose(stored.to_df(keys.PREDICTED).loc[name], effect, rtol=1e-5)
    own = treatment_effects(load_model(run), run.cells(), (name,), run.settings().inference).mean.loc[name]
    assert np.abs(own - effect).max() > 0.01
    others = [gene for gene in stored.var_names if gene != name]
    truth = stored.to_df(keys.OBSERVED_TEST).loc[name, others]
    scores = run.evaluation()["unseen"]["pooled"]["rho"]
    assert scores["network"] == pytest.approx(np.corrcoef(truth, effect[others])[0, 1], abs=1e-5)
    assert scores["autoencoder"] == pytest.approx(np.corrcoef(truth, own[others])[0, 1], abs=1e-5)


def test_what_an_answer_rests_on() -> None:
    first, second, extended = genes()
    cells = toy_cells()
    assert reach().basis((first,)) == "seen"
    assert reach().basis((extended,)) == "extended"
    assert reach().basis((first, second)) == "combination of seen genes"
    assert reach().basis((first, extended)) == "partly unseen combination"
    assert Reach.of(hold_out(cells, (first,)), SETTINGS).basis((first,)) == "held out"
    both = keys.PAIR_SEPARATOR.join(sorted((first, second)))
    labels = np.where(cells.labels == cells.perturbations[3], both, cells.labels.astype(str))
    changed = cells.cells.copy()
    changed.obs[keys.PERTURBATION] = labels
    assert (
        Reach.of(PreparedCells(changed, cells.panel, cells.report), SETTINGS).basis((second, first))
        == "seen combination"
    )


def test_a_stronger_knock_down_shifts_the_shares_in_proportion() -> None:
    """With an offset of nothing but the perturbed gene's own, the double dose doubles the shift of the log
    shares.
    """
    gene = genes()[0]
    panel = reach().panel
    shift = [
        predictor().model.decoder.shift(torch.from_numpy(dose * panel.dosage(gene))[None])
        for dose in (1.0, 2.0)
    ]
    torch.testing.assert_close(2 * shift[0], shift[1])
    weak, strong = (answer(asked(**{gene: loss})).table.set_index("gene")["effect"] for loss in (0.3, 0.9))
    assert strong.abs().mean() > 2 * weak.abs().mean()


def test_an_answer_as_in_the_screen_is_that_of_the_model() -> None:
    gene = genes()[0]
    found = answer(asked(**{gene.lower(): None}))
    plain = predictor().effects((gene,))
    table = found.table.set_index("gene")
    pd.testing.assert_series_equal(
        table["effect"].reindex(plain.fold.columns),
        plain.fold.loc[gene],
        check_names=False,
        check_dtype=False,
        check_index_type=False,
    )
    np.testing.assert_allclose(table["high"] - table["low"], 2 * 1.96 * table["sd"])
    assert found.table["perturbed"].sum() == 1
    assert found.table["effect"].abs().is_monotonic_decreasing
    assert found.interaction is None
    assert "additive" not in found.table


def test_a_combination_stands_beside_the_sum_of_its_parts() -> None:
    first, second, _ = genes()
    found = answer(asked(**{first: None, second: None}))
    single = predictor().effects((first, second)).fold
    table = found.table.set_index("gene")
    np.testing.assert_allclose(table["additive"], single.sum()[table.index], rtol=1e-5, atol=1e-6)
    assert found.interaction is not None
    assert found.interaction.name == f"{first}+{second}"
    assert set(found.interaction.table.columns) >= {first, second, "additive", "both", "departure"}
    swapped = answer(asked(**{second: None, first: None}))
    np.testing.assert_allclose(
        swapped.table.set_index("gene")["effect"].reindex(table.index), table["effect"], atol=0.02
    )


def test_shares_that_only_shift_add_up() -> None:
    """The decoder's shift is linear, so predicted log fold changes of two genes add up, but for the sum of
    all shares.
    """
    first, second, _ = genes()
    found = answer(asked(**{first: None, second: None})).interaction
    assert found is not None
    assert np.corrcoef(found.table["additive"], found.table["both"])[0, 1] > 0.98
    assert found.table["departure"].abs().mean() < 0.3 * found.table["both"].abs().mean()


def test_a_gene_without_cells_is_answered_by_the_network_alone() -> None:
    first, _, extended = genes()
    found = answer(asked(**{extended: None}))
    assert found.by_network == (extended,)
    alone_says = respondent().network_alone
    screen = alone_says.screen
    table = found.table.set_index("gene")["log_difference"].reindex(screen.genes)
    np.testing.assert_allclose(table, alone_says.effect(extended))
    assert np.isnan(table[extended])
    fold = found.table.set_index("gene")["effect"].reindex(screen.genes)
    expected = predictor().folds_of(alone_says.effect(extended))
    np.testing.assert_allclose(fold, expected - np.nanmedian(expected))
    half = (
        answer(asked(**{extended: 1 - np.exp(screen.typical_change / 2)}))
        .table.set_index("gene")["log_difference"]
        .reindex(screen.genes)
    )
    np.testing.assert_allclose(half, table / 2, rtol=1e-5)
    both = answer(asked(**{first: None, extended: None}))
    assert (both.basis, both.interaction) == ("partly unseen combination", None)
    alone = answer(asked(**{first: None})).table.set_index("gene").reindex(screen.genes)
    together = both.table.set_index("gene").reindex(screen.genes)
    for column, own in (("log_difference", table), ("effect", fold)):
        np.testing.assert_allclose(together[column], own + alone[column], rtol=1e-5, atol=1e-6)


def test_after_knock_outs_a_function_is_not_lost_twice() -> None:
    """A lowers B by 0.6 per unit: when both are gone, B itself has only the rest to lose, and ends where it
    was asked to.
    """
    panel = toy_cells().panel
    n = len(panel)
    first, second, _ = genes()
    influence = np.zeros((n, n))
    influence[panel.position(first), panel.position(second)] = 0.6
    whole, none = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)

    def own(kind: str, source: str) -> OwnChange:
        return OwnChange(np.full(n, -2.0), np.full(n, kind, dtype=object), np.full(n, source, dtype=object))

    made = Reach(panel, own(KNOCK_OUT, ASSUMED), whole, none, frozenset(), influence)
    assert made.doses(Question({first: None, second: None})) == pytest.approx({first: 1.0, second: 0.4})
    assert made.doses(Question({second: None})) == {second: 1.0}
    knock_down = Reach(panel, own(KNOCK_DOWN, READ), whole, none, frozenset(), influence)
    assert knock_down.doses(Question({first: None, second: None})) == {first: 1.0, second: 1.0}
    trained = Reach(panel, own(KNOCK_OUT, ASSUMED), whole, none, frozenset({f"{first}+{second}"}), influence)
    assert trained.doses(Question({first: None, second: None})) == {first: 1.0, second: 1.0}


def test_what_was_measured_stands_beside() -> None:
    gene = genes()[0]
    found = answer(asked(**{gene: None}))
    names = toy_cells().cells.var_names
    measured = np.arange(len(names), dtype=float)[None]
    layer = keys.fold(keys.OBSERVED_TEST)
    layers = {layer: measured, keys.standard_error(layer): measured / 10}
    effects = SimpleNamespace(obs_names=pd.Index([gene]), var_names=names, layers=layers)
    table = with_measured(found, effects, keys.OBSERVED_TEST).set_index("gene")  # type: ignore[arg-type]
    assert table.loc[names[3], "measured"] == 3.0
    assert table.loc[names[3], "measured_se"] == pytest.approx(0.3)
    other = answer(asked(**{genes()[1]: None}))
    assert with_measured(other, effects, keys.OBSERVED_TEST)[("measured")].isna().all()  # type: ignore[arg-type]
    assert with_measured(other, None, keys.OBSERVED_TEST)["measured"].isna().all()


def test_genes_outside_the_panel_are_refused_with_near_names() -> None:
    name = genes()[0]
    with pytest.raises(QueryError, match=f"Did you mean.*{name}"):
        asked(**{f"{name}X": None})
    with pytest.raises(QueryError, match="1 to 4"):
        asked()
    with pytest.raises(QueryError, match="got 5"):
        asked(**dict.fromkeys(toy_cells().panel.genes[:5]))
