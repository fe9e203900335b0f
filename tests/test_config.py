"""Settings: presets as published, layers in order, every bad field named."""

from __future__ import annotations

import pytest

from gpovae_core.config import PRESETS, changed_from_preset, make_settings, parse_settings
from gpovae_core.errors import SettingsError


def test_presets_are_the_published_weights():
    paper, released = make_settings("paper").loss, make_settings("released").loss
    assert (paper.influence, paper.alignment, paper.sparsity) == ("paper", 0.1, 0.1)
    assert (released.influence, released.alignment, released.effect_offset, released.sparsity) == (
        "released",
        100,
        0.5,
        5,
    )


@pytest.mark.parametrize(
    ("name", "offset", "sparsity", "latent"),
    [("K562", 0.8, 5, 100), ("RPE1", 0.5, 10, 200), ("Adamson", 0.4, 1, 100)],
)
def test_published_settings_per_data_set(name, offset, sparsity, latent):
    settings = make_settings(published=name)
    assert (settings.loss.effect_offset, settings.loss.sparsity, settings.model.latent) == (
        offset,
        sparsity,
        latent,
    )


def test_changes_win_over_published_settings():
    assert make_settings(changes={"loss": {"sparsity": 3.0}}, published="RPE1").loss.sparsity == 3


@pytest.mark.parametrize(("preset", "published"), [("released", "HeLa"), ("paper", "K562")])
def test_published_settings_that_do_not_exist(preset, published):
    with pytest.raises(SettingsError, match="K562, RPE1, Adamson"):
        make_settings(preset, published=published)


def test_settings_come_back_from_json():
    settings = make_settings("paper", {"data": {"unseen": ["A"]}})
    assert parse_settings(settings.model_dump(mode="json")) == settings


def test_every_bad_field_is_named():
    with pytest.raises(SettingsError) as error:
        make_settings(changes={"loss": {"hops": 0, "hop": 3}, "training": {"epochs": "many"}})
    assert all(name in str(error.value) for name in ("loss.hops", "loss.hop:", "training.epochs"))


@pytest.mark.parametrize("preset", PRESETS)
def test_what_differs_from_the_preset_gives_the_settings_back(preset):
    assert changed_from_preset(make_settings(preset)) == {}
    changes = {"data": {"unseen": ("A", "B")}, "training": {"epochs": 7, "learning_rate": 0.5}}
    settings = make_settings(preset, changes)
    found = changed_from_preset(settings)
    assert found["data", "unseen"] == (("A", "B"), ())
    assert found["training", "epochs"] == (7, 2000)
    assert list(found) == [(section, field) for section in changes for field in changes[section]]
    again: dict[str, dict[str, object]] = {}
    for (section, field), (value, _) in found.items():
        again.setdefault(section, {})[field] = value
    assert make_settings(preset, again) == settings


def test_a_run_stored_before_norms_were_a_setting_keeps_the_means_it_was_trained_with():
    stored = make_settings("paper").model_dump(mode="json")
    assert stored["loss"].pop("norms") == "sum"
    old = parse_settings(stored)
    assert old.loss.norms == "mean"
    assert changed_from_preset(old) == {("loss", "norms"): ("mean", "sum")}
    assert make_settings("released").loss.norms == "mean"
