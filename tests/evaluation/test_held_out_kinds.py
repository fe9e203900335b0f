"""Scores on whole guides: held out they are, and every sentence and table says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings, Settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.paragraph import methods
from gpovae_core.reporting.sentences import held_out_in_words, scores_in_words, verdicts
from tests.toy import tiny_settings


def _screen(hold_out: str, **also: object) -> tuple[PreparedCells, Settings]:
    values = {"genes": 20, "perturbations": 6, "cells": 900, "guides_per_gene": 3, "guide_spread": 0.6}
    cells = simulate(SimulationSettings(**values, **also)).adata
    settings = tiny_settings(data={"hold_out": hold_out, "min_cells": 20})
    return prepare(cells, settings.data), settings


def _scores(prepared: PreparedCells) -> Evaluation:
    n = len(prepared.panel)
    predicted = average_effects(prepared, (keys.TRAIN,)).mean
    scored = Scored(prepared=prepared, predicted=predicted, weights=np.zeros((n, n)), threshold=0.5, hops=1)
    return evaluate(scored, EvaluationSettings(split_halves=4))


@pytest.mark.parametrize("hold_out", ["cells", "guides"])
def test_the_scores_say_on_what_they_were_measured(hold_out: str):
    prepared, settings = _screen(hold_out)
    obs = prepared.cells.obs
    for name in prepared.perturbations:
        learned, held = (
            set(obs.loc[prepared.where(name, (split,)), keys.GUIDE]) for split in (keys.TRAIN, keys.TEST)
        )
        assert bool(learned & held) == (hold_out == "cells")
    scores = _scores(prepared)
    plain = json.loads(json.dumps(scores.to_json()))
    assert plain["held_out"] == {"kind": hold_out, "by_cells": []}
    assert Evaluation.from_json(plain).held_out_words == f"held-out {hold_out}"
    assert any(f"on held-out {hold_out}" in words for words in verdicts(scores))
    assert f"held-out {hold_out}" in scores_in_words(scores)
    paragraph = methods(settings, prepared.report, scores, 3, 2)
    assert ("Test cells are whole guides" in paragraph) == (hold_out == "guides")
    assert ("another guide" in held_out_in_words(scores)) == (hold_out == "cells")


def test_what_has_one_batch_only_is_named():
    prepared, _ = _screen("batches", batches=3, batch_imbalance=0.0)
    kept = prepared.cells.obs[keys.BATCH].astype(str)
    assert prepared.report.split_by_cells == ()
    assert len(set(kept[prepared.where(splits=(keys.TEST,))])) == 1


def test_scores_of_an_earlier_version_are_of_cells():
    assert Evaluation.from_json({"schema": 2}).held_out_words == "held-out cells"
