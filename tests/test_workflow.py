"""The whole way of a run: nothing is done twice, and every number of hops is scored as what it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpovae_core import workflow
from gpovae_core.config import make_settings
from gpovae_core.data import cache
from gpovae_core.errors import RunError, SettingsError
from gpovae_core.methods import network_fit
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.ensemble import EnsemblePlan, make_ensemble
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.model import load_model
from tests.toy import tiny_settings, toy_cells, write_toy


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GPOVAE_CACHE_DIR", str(tmp_path / "cache"))


def test_a_run_hashes_its_file_once_and_reads_no_cells_again(tmp_path, monkeypatch, no_cache):
    asked: list[str] = []
    fingerprint, cells, arrays = cache.fingerprint, RunFolder.cells, RunFolder.network_arrays
    monkeypatch.setattr(cache, "fingerprint", lambda path: asked.append("hash") or fingerprint(path))
    monkeypatch.setattr(RunFolder, "cells", lambda run: asked.append("cells") or cells(run))
    monkeypatch.setattr(RunFolder, "network_arrays", lambda run: asked.append("network") or arrays(run))
    source = write_toy(tmp_path)
    run = workflow.start_run(source, tmp_path / "run", tiny_settings("evidence"))
    assert run.status().state == "done"
    assert asked == ["hash", "network", "network"], "the network: is it there already, and for the scores"
    assert run.source().sha256 == fingerprint(source)


@pytest.mark.parametrize("preset", ["evidence", "released"])
def test_the_cells_at_hand_score_as_those_of_the_folder_do(tmp_path, preset, no_cache):
    run = workflow.start_run(write_toy(tmp_path), tmp_path / "run", tiny_settings(preset))
    at_hand = json.loads((run.path / "evaluation.json").read_text())
    workflow.score_run(run)
    assert json.loads((run.path / "evaluation.json").read_text()) == at_hand


def test_a_fitted_network_is_the_one_that_is_kept(tmp_path):
    from tests.training.test_fit import train

    settings = tiny_settings("evidence", training={"epochs": 1})
    fitted = network_fit.fit_network(toy_cells(), settings)
    run = train(tmp_path / "run", settings)
    kept = NetworkFit.from_arrays(run.network_arrays())
    for name, values in fitted.as_kept().arrays().items():
        np.testing.assert_array_equal(values, getattr(kept, name), err_msg=name)


def test_a_run_without_hops_is_scored_by_its_edges_alone(tmp_path):
    # K = 0 of the formula `released` is W itself: T_1, not the longest series at hand
    settings = tiny_settings("released", loss={"hops": 0}, training={"epochs": 1})
    run = workflow.start_run(write_toy(tmp_path), tmp_path / "run", settings)
    curves = run.evaluation()["network"]["matched"]["as_measured"]
    assert curves["influence"] == curves["w"]


def test_known_edges_without_overlap_and_what_was_left_out_are_noted(tmp_path):
    from gpovae_core.workflow import _known_edges

    (tmp_path / "mine.tsv").write_text("source\ttarget\nX\tY\n")
    (tmp_path / "string.tsv").write_text("protein1 protein2 combined_score\nA B 900\nA C 200\n")
    known, notes = _known_edges(sorted(tmp_path.iterdir()), ["A", "B"])
    assert [one.name for one in known] == ["mine", "STRING"]
    assert notes[0] == "STRING: 1 links with a combined score below 400 are left out."
    assert "mine shares no gene with the panel" in notes[1]


@pytest.mark.parametrize("preset", ["cradle-vae", "sams-vae"])
def test_a_model_without_a_network_predicts_and_says_that_it_has_none(tmp_path, preset, no_cache):
    run = workflow.start_run(write_toy(tmp_path), tmp_path / "run", tiny_settings(preset))
    assert run.status().state == "done"
    scores = json.loads((run.path / "evaluation.json").read_text())
    assert "network" not in scores
    assert -1 <= scores["response"]["test"]["ate_rho"]["model"] <= 1
    assert "There is no W, so that nothing is said of a network." in scores["notes"]
    panel, latent = run.panel(), run.settings().model.latent
    assert run.check_weights().shape == (len(panel), latent)
    for ask in (
        run.edge_probabilities,
        lambda: GeneNetwork.from_run(run),
        lambda: make_ensemble(run, EnsemblePlan(members=2)),
    ):
        with pytest.raises(RunError, match=f"has no network: its preset {preset}"):
            ask()
    with pytest.raises(SettingsError, match=f"The preset {preset} has no network"):
        workflow.null_network(run.path, run.settings())
    assert {"w_mean", "edges"}.isdisjoint(run.metrics())
    names = set(load_model(run).state_dict())
    assert ("decoder.mlp.first.weights.artifact" in names) == (preset == "cradle-vae")


def test_offsets_over_genes_are_not_added_to_the_basal_state():
    with pytest.raises(SettingsError, match=r"needs model\.network 'none'"):
        make_settings("released", {"model": {"offsets": "added"}})
