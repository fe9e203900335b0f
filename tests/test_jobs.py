"""The whole way from a file to scores on one core and on three: the same to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from typer.testing import CliRunner

from gpovae_core import keys
from gpovae_core.cli import app
from gpovae_core.config import Settings
from gpovae_core.data import cores
from gpovae_core.data.prepare import prepare
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.scored import Scored
from gpovae_core.methods.network_fit import fit_edges, fit_network
from tests.toy import tiny_settings, toy_simulation

WAYS = pytest.mark.parametrize("data", [{}, {"panel": "wilcoxon", "extended_min_abs_lfc": 0.5}])


def _settings(data: dict[str, object]) -> Settings:
    return tiny_settings("evidence", data=data)


@WAYS
def test_any_number_of_cores_gives_the_same(data: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, found = _settings(data), []
    for jobs in ("1", "3"):
        monkeypatch.setenv(cores.JOBS, jobs)
        prepared = prepare(toy_simulation().adata.copy(), settings.data)
        fit = fit_network(prepared, settings)
        rows = np.sort(np.random.default_rng(0).integers(0, prepared.cells.n_obs, prepared.cells.n_obs))
        again = fit_edges(prepared, settings, rows)
        effects = average_effects(prepared, (keys.TRAIN,)).mean.fillna(0.0)
        scored = Scored(prepared, effects, expit(fit.log_odds), settings.evaluation.threshold, fit=fit)
        found.append((prepared, fit, again, evaluate(scored, settings.evaluation)))
    (cells, fit, again, scores), (others, other_fit, other_again, other_scores) = found
    assert cells.panel.data == others.panel.data
    pd.testing.assert_frame_equal(pd.DataFrame(cells.cells.obs), pd.DataFrame(others.cells.obs))
    for name, values in fit.arrays().items():
        np.testing.assert_array_equal(values, other_fit.arrays()[name], err_msg=name)
    np.testing.assert_array_equal(again.log_odds, other_again.log_odds)
    assert scores.to_json() == other_scores.to_json()


def test_jobs_is_taken_over_by_what_a_command_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cores.JOBS, "5")  # put back when the test ends
    answer = CliRunner().invoke(app, ["validate", str(tmp_path / "none.h5ad"), "--jobs", "2"])
    assert answer.exit_code != 0
    assert cores.jobs() == 2


@pytest.mark.parametrize("asked", ["0", "-2", "many"])
def test_no_number_of_cores_is_refused(asked: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["validate", str(tmp_path / "none.h5ad"), "--jobs", asked])
    assert answer.exit_code == 2
    assert "--jobs" in answer.output
