"""Questions about a gene that is knocked down in some cells of the screen and activated in others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from dashboard.whatif import scenarios
from gpovae_core import keys
from gpovae_core.cli.questions import _parse_fold
from gpovae_core.config import InferenceSettings
from gpovae_core.data.kinds import ACTIVATION
from gpovae_core.errors import QueryError, SettingsError
from gpovae_core.methods.own_change import READ
from gpovae_core.model.module import GpoVae
from gpovae_core.questions.pairs import rank_pairs
from gpovae_core.questions.predicted import EffectPredictor
from gpovae_core.questions.reach import GIVEN, Reach, question
from gpovae_core.questions.whatif import Respondent
from gpovae_core.reporting.pairs import refused_in_words
from tests import both
from tests.toy import tiny_settings

ASKING = InferenceSettings(guide_samples=8, basal_draws=4, spread_samples=4, library_levels=4)


@cache
def respondent() -> Respondent:
    """Random weights, and shares that shift in proportion to the dose."""
    torch.manual_seed(0)
    prepared = both.prepared()
    model = GpoVae(tiny_settings("evidence").model, n=len(prepared.panel), genes=prepared.cells.n_vars)
    assert model.decoder.influence is not None
    with torch.no_grad():
        model.decoder.influence.normal_(std=0.3)
        model.guide.mask_logits.fill_(-20.0)
    predictor = EffectPredictor(model.eval(), prepared, ASKING)
    return Respondent(prepared, both.SETTINGS, both.fit(), lambda: predictor)


def gene() -> str:
    return both.prepared().panel.data.perturbed[0]


def rise() -> float:
    """Natural log fold change of the gene where it is activated, as its own row has it."""
    fit = both.fit()
    assert fit.raised is not None
    at = fit.raised.genes.astype(int).tolist().index(both.prepared().panel.index[gene()])
    return float(fit.raised.own_change[at])


def test_names_and_their_looking_up() -> None:
    up = gene() + keys.ACTIVATED
    assert keys.directions_of(gene(), both.prepared().perturbations) == (gene(), up)
    assert keys.directions_of(gene(), {up}) == (up,)
    assert keys.for_reading(up) == f"{gene()}, activated"
    assert keys.for_reading(gene()) == gene()
    panel = both.prepared().panel
    assert panel.canonical(f"{gene().lower()}, Activated") == panel.canonical(up) == up


def test_the_activated_row_is_the_anchor_of_strength() -> None:
    reach = respondent().reach
    found = reach.strength(gene(), None, raised=True)
    assert 1 - found.lost == pytest.approx(np.exp(rise()), rel=1e-4)
    assert (found.kind, found.source) == (ACTIVATION, READ)
    assert found.in_words() == f"is activated to {np.exp(rise()):.1f} x of its mRNA"
    up = gene() + keys.ACTIVATED
    assert reach.doses(question(reach.panel, {up: None})) == {gene(): -1.0}
    twice = question(reach.panel, {up: -1.0})
    assert reach.doses(twice)[gene()] == pytest.approx(-np.log(2) / rise(), rel=1e-4)
    assert reach.strength(gene(), -1.0, raised=True).source == GIVEN
    older = Reach.of(both.prepared(), both.SETTINGS, replace(both.fit(), raised=None))
    assert older.raised[gene()].change == pytest.approx(rise(), rel=1e-4)


def test_answers_scale_with_the_fold_that_is_asked_for() -> None:
    up = gene() + keys.ACTIVATED
    as_is, same, less = respondent().ask_all((up, up, up))[0], None, None
    same = respondent().ask_all((up,), {up: 1 - float(np.exp(rise()))})[0]
    less = respondent().ask_all((f"{gene()}, activated",), {up: -0.2})[0]
    assert as_is.question.perturbation == less.question.perturbation == up
    effect = [one.table.set_index("gene")["effect"] for one in (as_is, same, less)]
    np.testing.assert_allclose(effect[1], effect[0][effect[1].index], atol=1e-3)
    assert effect[2].abs().mean() < 0.5 * effect[0].abs().mean()
    assert less.strengths[gene()].in_words() == "is activated to 1.2 x of its mRNA"


@pytest.mark.parametrize(("loss", "words"), [(0.5, "more than 1"), (0.0, "more than 1"), (-200.0, "at most")])
def test_impossible_folds_are_refused(loss: float, words: str) -> None:
    up = gene() + keys.ACTIVATED
    with pytest.raises(QueryError, match=words):
        respondent().ask_all((up,), {up: loss})


def test_what_no_cell_can_be_is_refused() -> None:
    up = gene() + keys.ACTIVATED
    with pytest.raises(QueryError, match="knocked down and activated"):
        question(both.prepared().panel, {gene(): None, up: None})
    with pytest.raises(QueryError, match="no perturbation asked for names"):
        respondent().ask_all((up,), {gene(): 0.5})
    extended = both.prepared().panel.data.extended[0]
    with pytest.raises(QueryError, match="No cell of this screen has"):
        respondent().ask_all((extended + keys.ACTIVATED,))


def test_scenarios_keep_the_direction() -> None:
    panel = both.prepared().panel
    first, second = panel.data.perturbed[:2]
    asked = question(panel, {first + keys.ACTIVATED: -2.0, second: 0.8})
    scenario = scenarios.named("", asked)
    assert scenario.name == f"{first}, activated (3 x) + {second} (80 %)"
    assert scenarios.from_text(scenarios.as_text(scenario), panel) == scenario
    kept = scenarios.to_json("r", (scenario,)).encode()
    assert scenarios.from_json(kept, panel) == (scenario,)
    parts = scenarios.with_parts(scenario)
    assert [one.asked.perturbation for one in parts] == [
        first + keys.ACTIVATED,
        second,
        asked.perturbation,
    ]
    with pytest.raises(QueryError, match="must be below 0"):
        scenarios.from_text(f"{first} (activated)=0.5", panel)
    with pytest.raises(QueryError, match="must be null or below 0"):
        scenarios.from_json(kept.replace(b"-2.0", b"0.5"), panel)


def test_rankings_list_both_and_pair_knock_downs() -> None:
    found = rank_pairs(respondent(), None, (), most_asked=2)
    genes = both.prepared().panel.data.perturbed
    assert {*found.pairs["first"], *found.pairs["second"]} <= set(genes)
    assert set(found.genes["gene"]) >= set(both.prepared().perturbations)
    assert not set(genes) & set(found.refused)
    assert any("Pairs are of knock-downs" in line for line in refused_in_words(found))


def test_the_command_takes_folds() -> None:
    assert _parse_fold("STAT1=3") == _parse_fold("STAT1 (activated)=3") == ("STAT1 (activated)", -2.0)
    with pytest.raises(SettingsError, match="GENE=TIMES"):
        _parse_fold("STAT1=much")
