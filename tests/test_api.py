"""The Python face: documented in full, its examples run, its answers those of the command line, its errors in
words, and nothing loaded before it is used.
"""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import gpovae_core as gp
from gpovae_core import keys
from gpovae_core.api import making, run
from gpovae_core.cli import networks
from tests.conftest import PROJECT
from tests.test_startup import HEAVY, loaded_by
from tests.toy import toy_simulation

NAMES = [name for name in gp.__all__ if name not in ("__version__", "GpoVaeError")]
MEMBERS = [
    name for name, value in vars(gp.Run).items() if not name.startswith("_") and not isinstance(value, str)
]
DOCUMENTED = {**{name: getattr(gp, name) for name in NAMES}, **{f"Run.{n}": vars(gp.Run)[n] for n in MEMBERS}}


@pytest.fixture(scope="module")
def demo() -> gp.Run:
    return gp.open_demo("demo")


# What is there ----------------------------------------------------------------------------------------------


def test_the_import_loads_nothing_before_it_is_used():
    light = "import gpovae_core as gp; assert 'train' in dir(gp) and gp.__version__"
    assert loaded_by(light, (*HEAVY, "numpy", "pandas", "pydantic", "typer", "streamlit")) == set()


def test_every_name_is_there_and_no_other():
    assert sorted(NAMES) == [name for name in NAMES if callable(getattr(gp, name))]
    assert {name for names in gp._HOMES.values() for name in names} | {"__version__"} == set(gp.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        gp.tarin  # noqa: B018


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_name_is_documented_in_full(name: str):
    told = DOCUMENTED[name]
    text = inspect.getdoc(told) or ""
    sections = dict(zip(*[iter(re.split(r"^(\w[\w ]*)\n-+\n", text, flags=re.M)[1:])] * 2, strict=True))
    assert "Examples" in sections
    assert ">>> " in sections["Examples"]
    function = told.fget if isinstance(told, property) else told
    taken = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    given = sections.get("Parameters", "")
    for one in taken:
        stars = {one.VAR_KEYWORD: "**", one.VAR_POSITIONAL: "*"}.get(one.kind, "")
        line = rf"^(?:.*, )?{re.escape(stars + one.name)}(?:, .*)?(?: : .+)?$"
        assert re.search(line, given, re.M), one.name
        assert one.annotation is not inspect.Parameter.empty, one.name
    if name != "Run":
        assert "Returns" in sections
        assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In this order: a run is trained on a few cells in the first, and gone on with in the second."""
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for module in (making, run):
        done = doctest.testmod(module, extraglobs={"gp": gp}, optionflags=flags)
        assert done.attempted > 5
        assert done.failed == 0
    trained = gp.open_run("runs/toy")  # on an AnnData, and yet as if on its file
    assert trained._folder.source().path == "toy.h5ad"
    assert trained._folder.source().simulated
    assert trained.network_adata().layers[keys.FREQUENCY].max() > 0


# Its answers are those of the command line ------------------------------------------------------------------


def test_edges_are_those_that_the_command_writes(demo: gp.Run, tmp_path: Path, capsys):
    networks.network(demo.path, out=tmp_path / "edges.csv")
    capsys.readouterr()
    written = pd.read_csv(tmp_path / "edges.csv")
    pd.testing.assert_frame_equal(demo.edges(), written, check_dtype=False)
    assert written["p_adjusted"].notna().any()


def test_tables_of_known_edges_have_their_say(tmp_path: Path, monkeypatch):
    (tmp_path / "table.csv").write_text("source,target,sign\nJAK2,STAT1,1\n")
    (tmp_path / "damaged.csv").write_text("nothing\n")
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path))
    real = gp.open_demo()
    with pytest.warns(match="damaged"):
        edges = real.edges().set_index(["source", "target"])
    assert edges.loc[("JAK2", "STAT1"), "known_in"]
    assert (edges["known_in"] != "").sum() == 1
    assert real.edge("JAK2", "STAT1").known[0].found
    assert real.network()["JAK2"]["STAT1"]["known_in"]


def test_graph_table_and_matrices_are_one_network(demo: gp.Run):
    edges, graph, matrices = demo.edges(0.3), demo.network(0.3), demo.network_adata()
    assert isinstance(graph, nx.DiGraph)
    assert {(s, t): d["weight"] for s, t, d in graph.edges(data=True)} == dict(
        zip(zip(edges["source"], edges["target"], strict=True), edges["weight"], strict=True)
    )
    assert list(matrices.obs_names) == list(matrices.var_names) == list(demo.genes)
    weights = matrices.to_df()
    assert [weights.at[s, t] for s, t in graph.edges] == [d["weight"] for *_, d in graph.edges(data=True)]
    assert (weights.to_numpy() > 0.3).sum() - (np.diag(weights) > 0.3).sum() == len(edges)
    signs = matrices.to_df(keys.SIGN)
    assert [signs.at[s, t] for s, t in graph.edges] == [d["sign"] for *_, d in graph.edges(data=True)]


def test_a_threshold_of_its_own_is_that_of_the_settings(demo: gp.Run):
    assert len(demo.edges()) == demo.network().number_of_edges() == demo.scores.network.edges_total


def test_matrices_can_be_written_and_read(demo: gp.Run, tmp_path: Path):
    demo.network_adata().write_h5ad(tmp_path / "network.h5ad")
    assert gp.read(tmp_path / "network.h5ad").shape == (65, 65)


# Its errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda run: run.network(1.5), "between 0 and 1"),
        (lambda run: run.edges(float("nan")), "between 0 and 1"),
        (lambda run: run.paths("SIM001", "NOBODY"), "NOBODY"),
        (lambda run: run.edge("NOBODY", "SIM001"), "NOBODY"),
        (lambda run: run.parts("SIM001", "NOBODY"), "NOBODY"),
        (lambda run: run.predict("NOBODY"), "NOBODY"),
        (lambda run: run.predict([]), "No perturbation"),
        (lambda run: run.predict(run.perturbations[0], loss={"NOBODY": 0.5}), "NOBODY"),
        (lambda run: run.resume(seed=3), "seed cannot change"),
        (lambda _: gp.open_demo("nothing"), "choose one of"),
        (lambda _: gp.simulate(genes=-1), "genes"),
        (lambda _: gp.simulate(gens=20), "gens"),
        (lambda _: gp.read("nowhere.h5ad"), "There is no file"),
        (lambda _: gp.validate([[1, 2]]), "got list"),
        (lambda _: gp.validate("nowhere.h5ad", epochs=3), "leave out epochs"),
        (lambda _: gp.train(None, "runs/none"), "got NoneType"),
        (lambda _: gp.train("x.h5ad", "runs/none", epoch=3), "Did you mean epochs"),
        (lambda _: gp.train("x.h5ad", "runs/none", epochs=-3), "training.epochs"),
        (lambda _: gp.train("x.h5ad", "runs/none", preset="best"), "Unknown preset"),
        (lambda _: gp.train("nowhere.h5ad", "runs/none"), "There is no file"),
        (lambda _: gp.train("x.h5ad", PROJECT / "tests"), "already exists"),
        (lambda _: gp.network_from_effects("nowhere.csv", "runs/none"), "nowhere.csv"),
        (lambda _: gp.network_from_effects("x.csv", "runs/none", null="what"), "null takes"),
        (lambda _: gp.network_from_effects("x.csv", "runs/none", unit="log3"), "unit takes"),
    ],
)
def test_an_error_is_in_words(asked, said: str, demo: gp.Run, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gp.GpoVaeError, match=re.escape(said)):
        asked(demo)
    assert not (tmp_path / "runs" / "none").exists()


def test_what_is_wrong_with_cells_is_an_answer(tmp_path: Path):
    assert not gp.validate(tmp_path / "nowhere.h5ad").ok
    cells = toy_simulation().adata
    before = cells.obs.copy()
    assert gp.validate(cells).ok
    pd.testing.assert_frame_equal(cells.obs, before)


def test_cells_that_cannot_be_used_leave_nothing_behind(tmp_path: Path):
    cells = toy_simulation().adata.copy()
    cells.obs["mixed"] = [1, "two"] * (cells.n_obs // 2)
    with pytest.raises(gp.GpoVaeError, match="cannot be written"):
        gp.train(cells, tmp_path / "run")
    with pytest.raises(gp.GpoVaeError, match="control"):
        gp.train(toy_simulation().adata, tmp_path / "run", control_label="NOBODY")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_do_nothing_are_told(tmp_path: Path):
    with pytest.warns(match="has no effect here"), pytest.raises(gp.GpoVaeError, match="no file"):
        gp.train("nowhere.h5ad", tmp_path / "run", preset="released", least_effect=0.1)
