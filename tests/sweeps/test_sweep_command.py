"""`gpovae sweep` on real (tiny) trainings: measures against independent formulas, stop and resume, the
background.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.cli import app
from gpovae_core.data.expression import log_expression
from gpovae_core.errors import GpoVaeError
from gpovae_core.sweeps.folder import SweepFolder, launch, stop
from gpovae_core.sweeps.measures import MEASURES, measure_run
from gpovae_core.sweeps.results import results
from tests.runs.test_jobs import wait_until
from tests.toy import TINY, write_toy

PLAN = {
    "title": "Tiny",
    "preset": "evidence",
    "seeds": [0],
    "top": 10,
    "changes": {**TINY, "training": {**TINY["training"], "epochs": 2}},
    "axes": {"loss.hops": [1, 3]},
    "objectives": {"ate_rho": "maximize", "mu_wd_top": "maximize"},
}


def gpovae(*arguments):
    from typer.testing import CliRunner

    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that was made by the command, and what it printed."""
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "tiny.json").write_text(json.dumps(PLAN))
    done = gpovae(
        "sweep", folder / "tiny.json", "--data", write_toy(folder), "--folder", folder / "tiny", "--json"
    )
    return SweepFolder.open(folder / "tiny"), json.loads(done.stdout)


def test_the_command_prints_points_with_baselines_and_the_front(swept):
    folder, printed = swept
    assert printed["finished"] == printed["total"] == 2
    assert [point["loss.hops"] for point in printed["points"]] == [1, 3]
    assert all(
        point["ate_rho_train_mean"] is not None and point["ate_rho_ceiling"] is not None
        for point in printed["points"]
    )
    assert set(printed["front"]) <= {0, 1}
    assert {run.status().state for run in folder.runs().values()} == {"done"}
    again = gpovae("sweep", folder.path)
    assert "2 of 2 points finished" in again.stdout


def test_measures_are_what_scipy_finds(swept):
    folder, _ = swept
    run = folder.runs()["t0001-s0"]
    found = measure_run(run, top=10)
    assert set(found) == set(MEASURES)
    prepared, logits = run.cells(), run.mask_logits()
    panel, held_out = prepared.panel, prepared.where(splits=keys.HELD_OUT)
    expression = np.asarray(log_expression(prepared.counts, prepared.library_size).todense())[
        :, prepared.panel_columns
    ]
    rows = []
    for source in panel.data.perturbed:
        for column, target in enumerate(prepared.cells.var_names[prepared.panel_columns]):
            if source != target:
                cells = [
                    expression[held_out & (prepared.labels == label), column]
                    for label in (keys.CONTROL, source)
                ]
                rows.append(
                    (logits[panel.index[source], panel.index[target]], stats.wasserstein_distance(*cells))
                )
    table = pd.DataFrame(rows, columns=["logit", "distance"])
    strongest = table.sort_values("logit", ascending=False, kind="stable").head(10)
    assert found["mu_wd_top"] == pytest.approx(strongest["distance"].mean())
    assert found["mu_wd_random"] == pytest.approx(table["distance"].mean())
    assert found["mu_wd_top_best"] == pytest.approx(table["distance"].nlargest(10).mean())
    assert found["mu_wd_top_best"] >= max(found["mu_wd_top"], found["mu_wd_top_difference"])
    assert found["ate_rho"] == run.evaluation()["response"]["test"]["ate_rho"]["model"]
    other = run.edge_probabilities()[~panel.is_perturbed]
    assert (
        found["edges_other"]
        == (other > 0.5).sum() - np.diag(run.edge_probabilities())[~panel.is_perturbed].__gt__(0.5).sum()
    )
    assert found["rho_unseen"] is None


@pytest.mark.slow
def test_held_out_perturbations_are_scored_without_their_own_gene(tmp_path):
    plan = {k: v for k, v in PLAN.items() if k != "axes"} | {
        "hold_out": {"perturbations": 1, "draws": 1},
        "objectives": {"rho_unseen": "maximize"},
    }
    (tmp_path / "unseen.json").write_text(json.dumps(plan))
    gpovae("sweep", tmp_path / "unseen.json", "--data", write_toy(tmp_path), "--folder", tmp_path / "s")
    folder = SweepFolder.open(tmp_path / "s")
    (name,) = folder.plan.conditions[0].changes["data"]["unseen"]
    run = folder.runs()["t0000-s0"]
    assert not run.cells().where(name, (keys.TRAIN, keys.VALIDATION)).any()
    table = run.effects()
    observed, predicted, trained = (
        table.to_df(layer) for layer in (keys.OBSERVED_TEST, keys.PREDICTED, keys.OBSERVED_TRAIN)
    )
    others = [gene for gene in table.var_names if gene != name]
    row = results(folder).runs.iloc[0]
    assert row["rho_unseen"] == pytest.approx(
        stats.pearsonr(predicted.loc[name, others], observed.loc[name, others])[0], abs=1e-5
    )
    mean = trained.drop(index=name).mean()[others]
    assert row["rho_unseen_mean"] == pytest.approx(
        stats.pearsonr(mean, observed.loc[name, others])[0], abs=1e-5
    )


@pytest.mark.slow
def test_a_sweep_in_the_background_is_stopped_and_goes_on(tmp_path):
    plan = {
        **PLAN,
        "changes": {
            **PLAN["changes"],
            "training": {**TINY["training"], "epochs": 100000, "patience": 100000},
        },
    }
    (tmp_path / "long.json").write_text(json.dumps(plan))
    from gpovae_core.sweeps.plan import find_plan

    folder = SweepFolder.create(
        tmp_path / "long", find_plan(str(tmp_path / "long.json")), write_toy(tmp_path)
    )
    launch(folder)
    first = folder.run_path(0, 0)
    wait_until(lambda: (first / "metrics.jsonl").is_file(), 120)
    assert stop(folder) == 1
    wait_until(lambda: not folder.alive(), 60)
    assert folder.workers()[0].status().state == "stopped"
    stopped = folder.runs()["t0000-s0"]
    assert stopped.status().state == "stopped"
    epochs = stopped.status().epoch
    assert results(folder).count("interrupted") == 1
    launch(folder)
    wait_until(lambda: stopped.status().epoch > epochs, 120)
    stop(folder)
    wait_until(lambda: not folder.alive(), 60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["loss-ablation"], "needs --data FILE and --folder DIR"),
        (["no-such-plan", "--data", "x", "--folder", "y"], "There is no sweep"),
        (["loss-ablation", "--data", "no.h5ad", "--folder", "y"], "There is no file"),
        (["loss-ablation", "--data", "x", "--folder", "y", "--set", "loss.hop=1"], "loss.hop"),
    ],
)
def test_wrong_orders_are_refused_in_words(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GpoVaeError, match=said):
        gpovae("sweep", *arguments)


def test_the_list_of_shipped_sweeps(swept):
    assert {"loss-ablation", "hops-and-weight"} <= {
        row["name"] for row in json.loads(gpovae("sweep", "--json").stdout)["sweeps"]
    }
    with pytest.raises(GpoVaeError, match="keeps its cells"):
        gpovae("sweep", swept[0].path, "--seed", 3)
