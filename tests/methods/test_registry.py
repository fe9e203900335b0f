"""The recipe "Add a method" of CONTRIBUTING.md: one file, and everything that lists methods has it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core import methods as package
from gpovae_core.config import EvaluationSettings, make_settings
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.known import Known, KnownEdges
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.summary import lines
from gpovae_core.methods import registry
from gpovae_core.methods.method import Inputs
from gpovae_core.plots import theme
from gpovae_core.plots.benchmark import matched_curves
from gpovae_core.reporting import tables
from gpovae_core.reporting.paragraph import methods as methods_paragraph
from gpovae_core.reporting.sentences import scores_in_words
from tests.conftest import PROJECT
from tests.evaluation.conftest import EDGES, build_screen, true_network
from tests.evaluation.test_evaluate import prediction

SETTINGS = EvaluationSettings(split_halves=4)
RECIPE = '''
"""The true network, as nobody has it: a toy."""

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method

EDGES = {EDGES!r}


def score(inputs: Inputs) -> np.ndarray:
    return np.array([[float((s, t) in EDGES) for t in inputs.targets] for s in inputs.sources])


METHOD = Method(
    key="oracle",
    order=45,
    title="toy oracle",
    sentence="The toy oracle ranks pairs by the network the cells were drawn from.",
    role="baseline",
    needs=frozenset({{"cells"}}),
    score=score,
    look=Look("sky", "dot", "star", 1.6),
)
'''


@dataclass(frozen=True)
class Added:
    """A file put into the package as a newcomer would put it."""

    folder: Path

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(text)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Added]:
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield Added(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("gpovae_core.methods."):
            del sys.modules[name]
            if hasattr(package, name.rpartition(".")[2]):
                delattr(package, name.rpartition(".")[2])


def scores() -> Evaluation:
    screen = build_screen()
    weights = np.where(true_network(screen.panel), 0.9, 0.1)
    truth = pd.DataFrame([(s, t, 1.0) for s, t in EDGES], columns=["source", "target", "weight"])
    known = KnownEdges("Known", True, frozenset((s.casefold(), t.casefold()) for s, t in EDGES))
    scored = Scored(screen, prediction(screen), weights, SETTINGS.threshold)
    return evaluate(scored, SETTINGS, Known([known], truth))


def test_the_registry_holds_every_file_with_a_method():
    found = registry.methods()
    files = {path.stem for path in Path(package.__path__[0]).glob("[a-z]*.py")}
    assert set(registry.MACHINERY) < files
    assert len(found) == len(files - set(registry.MACHINERY)) >= 11
    assert [method.order for method in found] == sorted({method.order for method in found})
    assert len({method.title for method in found}) == len(found)
    for method in found:
        assert method.sentence.endswith(".")
        assert method.look is None or method.look.colour in theme.COLOURS
    looks = [(m.look.colour, m.look.dash, m.look.symbol) for m in found if m.look is not None]
    assert len(set(looks)) == len(looks)
    assert registry.ceilings() == {
        "mu_wd": "train_wasserstein",
        "bh_share": "mann_whitney",
        "raw_share": "mann_whitney",
        "left_out": "mann_whitney",
    }


def test_a_method_in_one_file_is_found_everywhere(added):
    before = scores()
    added.write("oracle", RECIPE.format(EDGES=EDGES))
    found = scores()
    network = found.network
    assert network is not None
    assert network.matched is not None
    assert network.at_same_edges is not None
    # the evaluation: as many pairs as W has edges, every number of edges, known networks and the truth
    assert network.at_same_edges.methods["oracle"].mu_wd == pytest.approx(network.mu_wd)
    assert network.matched.as_measured["oracle"].at("mu_wd", 0) == pytest.approx(network.mu_wd)
    assert network.references is not None
    assert network.references[0].rankings["oracle"].auprc == pytest.approx(1.0)
    assert network.truth is not None
    assert network.truth.direct.rankings["oracle"].auprc == pytest.approx(1.0)
    # the JSON, where nothing else has changed
    plain = json.loads(json.dumps(found.to_json()))
    curves = plain["network"]["matched"]["as_measured"]
    assert list(curves)[:4] == ["w", "influence", "oracle", "mean_difference"]
    assert "oracle" in plain["network"]["at_same_edges"]
    del curves["oracle"]
    assert curves == before.to_json()["network"]["matched"]["as_measured"]
    # the chart, the tables, the command, the summary and the Methods paragraph
    drawn = [trace.name for trace in matched_curves(network.matched, "mu_wd").data]
    assert "toy oracle" in drawn
    assert {"Toy oracle", "Mann-Whitney z"} <= set(tables.edges_table(network).columns)
    assert "toy oracle" in set(tables.reference_table(network)["Ranked by"])
    assert "toy oracle" in set(tables.truth_table(network)["Ranked by"])
    assert "toy oracle" in scores_in_words(found)
    assert "toy oracle" in {line.rival_name for line in lines(found)}
    paragraph = methods_paragraph(make_settings("released"), None, found, 3, None)
    assert "against random pairs, toy oracle, mean difference," in paragraph
    assert "ranks pairs by the network the cells were drawn from." in paragraph
    assert "toy oracle" not in methods_paragraph(make_settings("released"), None, before, 3, None)


def test_a_method_that_cannot_run_is_noted_in_words_and_spoils_nothing(added):
    before = scores()
    away = RECIPE.format(EDGES=EDGES).replace(
        "    score=score,", '    score=score,\n    unavailable=lambda: "it needs the package oracles.",'
    )
    added.write("oracle", away)
    found = scores()
    assert found.network == before.network
    assert set(found.notes or ()) - set(before.notes or ()) == {
        "Pairs were not ranked by toy oracle: it needs the package oracles."
    }


def test_a_method_that_fails_in_words_is_noted_and_a_bug_is_not_hidden(added):
    recipe = RECIPE.format(EDGES=EDGES)
    raising = 'from gpovae_core.errors import QueryError\n\n    raise QueryError("no path.")'
    added.write("oracle", recipe.replace("return np", f"{raising}\n    return np"))
    assert "Pairs were not ranked by toy oracle: no path." in (scores().notes or ())
    added.write(
        "broken",
        RECIPE.format(EDGES=EDGES).replace("oracle", "broken").replace("return np", "return nonsense"),
    )
    with pytest.raises(NameError):
        scores()


def test_a_method_whose_needs_are_not_at_hand_is_passed_over(screen_inputs):
    found = registry.rank(screen_inputs)
    assert {"w", "influence", "model", "z"}.isdisjoint(found.own)
    assert all("is not installed" in note for note in found.notes), "methods of optional packages"


@pytest.fixture
def screen_inputs() -> Inputs:
    screen = build_screen()
    from gpovae_core.effects.averages import average_effects

    return Inputs(screen, ("PERT0",), ("VIA0",), average_effects(screen, ("train",)).mean)


def test_two_methods_of_one_key_are_a_bug(added):
    added.write("again", RECIPE.format(EDGES=EDGES).replace('"oracle"', '"w"'))
    with pytest.raises(ValueError, match="a METHOD called 'w'"):
        registry.methods()


def test_a_file_that_says_nothing_is_not_passed_over_in_silence(added):
    added.write("silent", "x = 1")
    with pytest.raises(TypeError, match="silent needs a METHOD of type Method"):
        registry.methods()


def test_an_unknown_method_of_another_version_is_shown_by_its_key():
    assert registry.title("from_2031") == "from_2031"
    assert registry.title("w") == "W (direct edges)"


def test_the_recipe_is_written_down():
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    recipe = text.split("### Add a method")[1].split("\n#")[0]
    for word in (
        "gpovae_core/methods/",
        "METHOD = Method(",
        "key",
        "title",
        "sentence",
        "needs",
        "look",
        "score",
    ):
        assert word in recipe
