"""Another program's predicted effects on the held-out cells of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core.config import EvaluationSettings
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.effect_tables import read_effect_table
from gpovae_core.evaluation.evaluate import evaluate, evaluate_effects
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.sentences import scores_in_words
from tests.evaluation.conftest import build_screen
from tests.evaluation.test_evaluate import prediction

SETTINGS = EvaluationSettings(split_halves=4)


def test_a_prediction_scores_from_a_file_as_it_does_from_a_run(tmp_path):
    screen = build_screen()
    predicted = prediction(screen)
    path = tmp_path / "effects.csv"
    shuffled = predicted.sample(frac=1, random_state=0).sample(frac=1, axis=1, random_state=1)
    shuffled.assign(EXTRA=1.0).to_csv(path)
    found = evaluate_effects(screen, read_effect_table(path), SETTINGS, "'effects.csv'")
    weights = np.full((len(screen.panel),) * 2, 0.1)
    of_run = evaluate(Scored(screen, predicted, weights, SETTINGS.threshold), SETTINGS)
    assert found.response == of_run.response
    assert found.calibration == of_run.calibration
    assert found.network is None
    again = Evaluation.from_json(found.to_json())
    assert again.response == found.response
    assert "'This model' is 'effects.csv'" in scores_in_words(found)


def test_what_a_table_lacks_is_not_scored_and_what_is_too_much_is_said(tmp_path):
    screen = build_screen(extra={"PERT0+PERT1": 60})
    predicted = prediction(screen)
    renamed = predicted.drop(index="PERT3").rename(index={"PERT0+PERT1": "pert1+PERT0"})
    renamed.loc["non-targeting"] = 0.0
    path = tmp_path / "effects.tsv"
    renamed.to_csv(path, sep="\t")
    found = evaluate_effects(screen, read_effect_table(path), SETTINGS)
    notes = "\n".join(found.notes or ())
    assert "no prediction for PERT3: scored on the other 6 perturbations" in notes
    assert "Not in this run, and left out: non-targeting." in notes


def write(folder: Path, text: str) -> Path:
    path = folder / "effects.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no effects"),
        ("perturbation,A\n", "holds no effects"),
        ("perturbation\nX\n", "holds no effects"),
        ("perturbation,A,B\nX,1\n", "Line 2 of 'effects.csv' has 2 fields, its first 3"),
        ("perturbation,A,B\n\nX,1,two\n", r"Line 3 of 'effects.csv' \('X'\) has 'two' for 'B'"),
        ("perturbation,A,B\nX,1,nan\n", "has 'nan' for 'B', which is no finite number"),
        ("perturbation,A,B\nX,1,\n", "has '' for 'B'"),
        ("perturbation,A,A\nX,1,2\n", "has 'A' twice among its genes"),
        ("perturbation,A,B\nX,1,2\nX,1,2\n", "has 'X' twice among its perturbations"),
        ("perturbation,A,B\n ,1,2\n", "an empty name among its perturbations"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    with pytest.raises(QueryError, match=said):
        read_effect_table(write(tmp_path, text))


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(QueryError, match="There is no table of effects"):
        read_effect_table(tmp_path / "none.csv")
    (tmp_path / "effects.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QueryError, match="is not a text file"):
        read_effect_table(tmp_path / "effects.csv")


def test_a_table_of_another_screen_is_refused(tmp_path):
    screen = build_screen()
    predicted = prediction(screen)
    with pytest.raises(QueryError, match=r"lacks 1 of the \d+ measured genes: REST00"):
        evaluate_effects(screen, predicted.drop(columns="REST00"), SETTINGS)
    others = predicted.set_axis([f"OTHER{i}" for i in range(len(predicted))], axis=0)
    with pytest.raises(QueryError, match=r"None of the \d+ perturbations of the table is in this run"):
        evaluate_effects(screen, others, SETTINGS)
    twice = pd.concat([predicted, predicted.loc[["PERT0"]].rename(index={"PERT0": "pert0"})])
    with pytest.raises(QueryError, match="'PERT0' twice, in two spellings"):
        evaluate_effects(screen, twice, SETTINGS)
