"""Sweep files: what they mean, and every way they can be wrong."""

from __future__ import annotations

import json

import pytest

from gpovae_core.config import make_settings
from gpovae_core.errors import SettingsError
from gpovae_core.sweeps.plan import find_plan, plan_from, read_plan, shipped_plans
from tests.sweeps.stand_in import plan

BASE = {"title": "T", "axes": {"loss.hops": [1, 2]}}


def test_a_file_becomes_points_and_their_settings(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        'title = "A"\npreset = "released"\nseeds = [4]\n[changes.training]\nepochs = 7\n'
        '[[conditions]]\nname = "plain"\n'
        '[[conditions]]\nname = "thin"\nchanges.loss = { sparsity = 9.0 }\n[axes]\n"loss.hops" = [2, 3]\n'
    )
    found = read_plan(path)
    assert found.size == 4 == len(found.points())
    assert found.points()[2] == {"condition": "thin", "loss.hops": 2}
    wanted = {"loss": {"sparsity": 9.0, "hops": 2}, "training": {"epochs": 7, "seed": 4}, "data": {"seed": 4}}
    assert found.settings(found.points()[2], 4) == make_settings("released", wanted)
    as_json = tmp_path / "a.json"
    as_json.write_text(json.dumps(found.model_dump(mode="json")))
    assert read_plan(as_json) == found


def test_shipped_sweeps_can_be_used_and_say_what_they_are_for():
    shipped = shipped_plans()
    assert {"loss-ablation", "hops-and-weight", "held-out-perturbations"} <= set(shipped)
    assert all(found.about for found in shipped.values())
    ablation = {
        c.name: shipped["loss-ablation"].settings({"condition": c.name}, 0).loss
        for c in shipped["loss-ablation"].conditions
    }
    assert ablation["sparsity only"].alignment == 0 < ablation["sparsity only"].sparsity
    assert ablation["alignment without hops"].sparsity == ablation["alignment without hops"].hops == 0
    assert ablation["alignment with hops"].sparsity == 0 < ablation["alignment with hops"].hops
    assert ablation["full"] == make_settings("released").loss
    grid = shipped["hops-and-weight"].points()
    assert {p["loss.hops"] for p in grid} == {2, 3, 5, 7, 10}
    assert {p["loss.alignment"] for p in grid} == {0.05, 0.1, 0.2}
    assert len(grid) == 15


def test_draws_of_held_out_perturbations_become_conditions():
    names = [f"G{i}" for i in range(8)] + ["G1+G2"]
    found = find_plan("held-out-perturbations").with_perturbations(names)
    assert found.size == 5
    drawn = [found.settings(point, 0).data.unseen for point in found.points()]
    assert all(len(set(draw)) == 3 and "G1+G2" not in draw for draw in drawn)
    assert len(set(drawn)) > 1
    assert found == find_plan("held-out-perturbations").with_perturbations(names[::-1]), (
        "the order of the file does not matter"
    )
    with pytest.raises(SettingsError, match="at least 2 have to stay"):
        find_plan("held-out-perturbations").with_perturbations(names[:4])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"axes": {"loss.hop": [1]}}, "no setting 'loss.hop'"),
        ({"axes": {"hops": [1]}}, "no setting 'hops'"),
        ({"axes": {"training.seed": [1, 2]}}, "seeds are given as seeds"),
        ({"axes": {"loss.hops": []}}, "needs values"),
        ({"axes": {"loss.hops": [1, 1]}}, "each once"),
        ({"axes": {"loss.hops": {"low": 1, "high": 5}}}, "tpe"),
        ({"axes": {"loss.sparsity": {"low": 2.0, "high": 1.0}}, "sampler": "tpe"}, "from low up to high"),
        (
            {"axes": {"loss.sparsity": {"low": 0.0, "high": 1.0, "log": True}}, "sampler": "tpe"},
            "starts above 0",
        ),
        ({"axes": {}}, "nothing to try"),
        ({"objectives": {"beauty": "maximize"}}, "unknown beauty"),
        ({"objectives": {"ate_rho": "upwards"}}, "maximize"),
        ({"preset": "mine"}, "unknown 'mine'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "each once"),
        ({"axes": {"loss.hops": [3, -2]}}, "loss.hops -2"),
        ({"changes": {"loss": {"hop": 3}}}, "loss.hop"),
        ({"conditions": [{"name": "a"}, {"name": "a"}]}, "name of its own"),
        (
            {"axes": {"loss.hops": list(range(1, 200)), "training.epochs": list(range(1, 200))}},
            "at most 10,000",
        ),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_cannot_be_tried_is_said_in_words(changes, said):
    with pytest.raises(SettingsError, match=said):
        plan_from({**BASE, **changes})


@pytest.mark.parametrize(("name", "text"), [("a.toml", "title = "), ("a.json", "{"), ("a.toml", "\x00")])
def test_a_file_that_is_none(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SettingsError, match="no valid"):
        read_plan(path)
    with pytest.raises(SettingsError, match="loss-ablation"):
        find_plan("no-such-sweep")


def test_a_range_is_checked_at_its_ends():
    found = plan(sampler="tpe", trials=4, axes={"loss.sparsity": {"low": 0.1, "high": 10.0, "log": True}})
    assert found.size == 4
    with pytest.raises(SettingsError, match=r"model.mask_prior 1.5"):
        plan(sampler="tpe", axes={"model.mask_prior": {"low": 0.1, "high": 1.5}})


def test_an_axis_along_which_nothing_changes_is_refused():
    with pytest.raises(SettingsError, match=r"'loss.sparsity' has no effect at any point: W is fitted"):
        plan(preset="evidence")
    with pytest.raises(SettingsError, match=r"'network.least_effect' has no effect"):
        plan(axes={"network.least_effect": [0.05, 0.1]})
