"""The tree of scores and its file: nothing is lost, what is old is read, what is damaged or from the future
is refused in words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core.errors import RunError
from gpovae_core.evaluation.plain import Damaged, Key, Part, defined, from_plain, to_plain
from gpovae_core.evaluation.scores import SCHEMA, Evaluation
from gpovae_core.evaluation.stored import read_evaluation, read_unseen, write_evaluation
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT
from tests.fake_run import make_fake_run

DEMO = PROJECT / "assets" / "demo" / "run" / "evaluation.json"


def demo() -> dict[str, Any]:
    return {key: value for key, value in json.loads(DEMO.read_text()).items() if key != "schema"}


def test_the_demo_run_comes_back_with_every_number():
    plain = demo()
    tree = Evaluation.from_json(plain)
    assert tree.to_json() == {"schema": SCHEMA, **plain}
    assert list(tree.to_json()["response"]["test"]) == list(plain["response"]["test"])
    assert Evaluation.from_json(tree.to_json()) == tree
    assert tree.network is not None
    assert tree.network.omission == plain["network"]["for"]
    assert tree.network.stage is not None
    assert tree.network.estimated_false_edge_rate == plain["network"]["estimated_false_edge_rate"]
    assert tree.against("test").by_prediction("ate_rho") == plain["response"]["test"]["ate_rho"]


def test_the_false_edge_rate_of_version_1_is_read_under_its_new_name():
    plain = demo()
    rate = plain["network"].pop("estimated_false_edge_rate")
    plain["network"]["false_edge_rate"] = rate
    network = Evaluation.from_json(plain).network
    assert network is not None
    assert network.estimated_false_edge_rate == rate


def test_an_old_file_is_read_as_far_as_it_goes(tmp_path: Path):
    run = make_fake_run(tmp_path / "old")
    old = run.evaluation()
    assert "schema" not in old
    tree = read_evaluation(run)
    assert tree is not None
    assert tree.network is not None
    assert tree.network.matched is None
    assert tree.network.stage is None
    assert tree.network.at_same_edges is not None
    assert tree.network.at_same_edges.random.raw_share is None
    assert tree.against("test").by_prediction("discrimination") == {}
    assert tree.health is not None
    assert tree.health.w is None
    write_evaluation(run, tree)
    assert read_evaluation(run) == tree
    assert run.evaluation()["response"] == {
        name: {**part, "split_half": 0.87} for name, part in old["response"].items()
    }


def test_a_run_that_was_not_scored_has_no_scores(tmp_path: Path):
    run = make_fake_run(tmp_path / "bare")
    (run.path / "evaluation.json").unlink()
    assert read_evaluation(run) is None
    assert read_unseen(run) is None


def spoiled(run: RunFolder, *path: Any, value: object) -> RunFolder:
    """The run with another value at a place of its evaluation.json."""
    plain = demo()
    part: Any = plain
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    (run.path / "evaluation.json").write_text(json.dumps(plain))
    return run


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("network", "edges"), "many", r"network\.edges should be a whole number, and is 'many'"),
        (("network", "mu_wd"), True, r"network\.mu_wd should be a number, and is True"),
        (("response", "test", "ate_rho", "model"), [], r"response\.test\.ate_rho\.model should be a number"),
        (("network", "matched", "edges"), {}, r"network\.matched\.edges should be a list, and is an object"),
        (("network", "false_edges"), [1], r"network\.false_edges\[0\] should be an object, and is 1"),
        (("notes",), "one", r"notes should be a list"),
        (("schema",), "new", "schema should be a whole number"),
    ],
)
def test_what_is_damaged_is_named_by_its_place(
    tmp_path: Path, path: tuple[Any, ...], value: object, words: str
):
    run = spoiled(make_fake_run(tmp_path / "run"), *path, value=value)
    with pytest.raises(RunError, match=words) as fault:
        read_evaluation(run)
    assert "gpovae evaluate" in str(fault.value)


@pytest.mark.parametrize("whole", ["[]", '"scores"', "7"])
def test_a_file_that_is_no_object_is_damaged(tmp_path: Path, whole: str):
    run = make_fake_run(tmp_path / "run")
    (run.path / "evaluation.json").write_text(whole)
    with pytest.raises(RunError):
        read_evaluation(run)


def test_scores_from_the_future_are_refused(tmp_path: Path):
    run = spoiled(make_fake_run(tmp_path / "run"), "schema", value=SCHEMA + 1)
    with pytest.raises(RunError, match=rf"later version of gpovae \(schema {SCHEMA + 1}; this version knows"):
        read_evaluation(run)


def test_a_key_of_a_later_version_of_the_same_schema_is_passed_over():
    plain = demo()
    plain["network"]["of_2031"] = {"x": 1}
    assert Evaluation.from_json(plain) == Evaluation.from_json(demo())


@dataclass(frozen=True)
class Leaf:
    value: float | None
    odd: Annotated[int | None, Key("for")] = None


@dataclass(frozen=True)
class Branch:
    leaves: tuple[Leaf, ...]
    extra: Part[Leaf] = None


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
leaf = st.builds(Leaf, numbers, st.none() | st.integers())


@given(st.builds(Branch, st.lists(leaf).map(tuple), st.none() | leaf))
def test_any_tree_comes_back(tree: Branch):
    assert from_plain(Branch, json.loads(json.dumps(to_plain(tree)))) == tree


def test_numbers_that_are_none_are_none():
    tree = Branch((Leaf(np.float64("nan"), np.int64(3)), Leaf(float("inf")), Leaf(np.float32(0.5))))
    found = defined(tree)
    assert found == Branch((Leaf(None, 3), Leaf(None), Leaf(0.5)))
    assert type(found.leaves[0].odd) is int
    assert "extra" not in to_plain(found)
    assert to_plain(found)["leaves"][0] == {"value": None, "for": 3}


def test_a_place_is_said_from_the_top():
    with pytest.raises(Damaged, match=r"^leaves\[1\]\.for should be a whole number, and is 0\.5$"):
        from_plain(Branch, {"leaves": [{"value": 1}, {"for": 0.5}]})
