"""The network page, without a browser: what is said of genes and edges, every view of W and T, undo,
comparison, odd networks.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from dashboard.network import cached, history
from dashboard.network.component import Answers
from dashboard.network.page import PARTS
from dashboard.shared import state
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import MASK_LOGITS, RunFolder
from tests.app_words import Opener, words
from tests.conftest import PROJECT
from tests.fake_run import HOSTILE, make_fake_run
from tests.pages.conftest import APP


def bare(text: str) -> str:
    """Markdown escapes taken out."""
    return re.sub(r"\\(.)", r"\1", text)


def put(app: AppTest, **values: object) -> AppTest:
    """What a callback of the picture does."""
    app.session_state["gpovae_state"] = {**app.session_state["gpovae_state"], **values}
    return app.run()


def tab(app: AppTest, name: str) -> AppTest:
    return put(app, part=name)


def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], Answers]]:
    """What the workbench is sent from now on, with what the page does about its answers; newest last."""
    seen: list[tuple[dict[str, Any], Answers]] = []
    monkeypatch.setattr(
        "dashboard.network.picture.workbench", lambda data, answers: seen.append((data, answers))
    )
    return seen


OWN = (
    "gpovae_state",
    "gpovae_history",
    "gpovae_pairs",
    "gpovae_file",
    "gpovae_sight",
    "gpovae_leave",
    "gpovae_heard",
)
"""What a callback of the workbench may change in the session."""


def answer(app: AppTest, call: Callable[[], None]) -> AppTest:
    """The app after something happened on the workbench."""
    own = {key: app.session_state[key] for key in OWN if key in app.session_state}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", own)
        call()
    for key, value in own.items():
        app.session_state[key] = value
    return app.run()


def said(evidence: dict[str, Any]) -> str:
    """All words of the card's evidence."""
    lines = [line for section in evidence["sections"] for line in (section["title"], *section["lines"])]
    return "\n".join([evidence.get("answer", ""), *lines])


@pytest.fixture
def strongest(made_runs: Path) -> tuple[str, str]:
    table = GeneNetwork.from_run(RunFolder(made_runs / "plain")).edges(0.0)
    row = table[table["source"].str.startswith("PERT") & table["target"].str.startswith("PERT")].iloc[0]
    return row["source"], row["target"]


def test_an_edge_comes_with_its_cells_and_tests(
    open_app: Opener, strongest: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain", edge_from=strongest[0], edge_to=strongest[1])
    evidence = seen[-1][0]["evidence"]
    assert evidence["of"] == list(strongest)
    text = said(evidence)
    assert re.search(r"Rank \d+ of 372 pairs", text)
    assert "In held-out cells" in text
    assert "adjusted over all pairs" in text
    assert "95 % interval" in text
    assert f"{strongest[0]} changes {strongest[1]}" in text
    assert [group["cells"] > 0 for group in evidence["cells"]["groups"]] == [True, True]
    assert evidence["paths"]
    json.dumps(evidence)
    assert not app.exception


def test_an_edge_from_a_gene_never_perturbed_has_no_direct_evidence(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    open_app("network", run="plain", edge_from="EXT0001", edge_to="PERT0002")
    first = seen[-1][0]["evidence"]["sections"][0]
    assert first["kind"] == "doubt"
    assert "No direct evidence: EXT0001 was never perturbed" in first["lines"][0]


def test_reference_networks_are_asked(
    open_app: Opener, strongest: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trrust.tsv").write_text(
        f"source\ttarget\tsign\tpubmed\n{strongest[0].lower()}\t{strongest[1]}\tActivation\t11;22\n"
    )
    (tmp_path / "broken.csv").write_text("no columns\n")
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path))
    seen = sent(monkeypatch)
    app = open_app("network", run="plain", edge_from=strongest[0], edge_to=strongest[1])
    evidence = seen[-1][0]["evidence"]
    assert "TRRUST: yes (Activation; PMID 11, PMID 22)" in said(evidence)
    assert evidence["links"][0] == ["PMID 11", "https://pubmed.ncbi.nlm.nih.gov/11/"]
    direct = next(path for path in evidence["paths"] if len(path["genes"]) == 2)
    assert direct["known"].startswith("1 of 1: TRRUST")
    assert set(seen[0][0]["edges"]["known"]) == {"", "TRRUST"}
    assert any("broken.csv" in bare(warning.value) for warning in tab(app, "Export and references").warning)
    source, target = strongest
    open_app("network", run="plain", gene=source, threshold="0")
    of_gene = said(seen[-1][0]["evidence"])
    assert (
        "TRRUST lists 1 of the 1 of its targets that it could list (100 %; of all such genes 100 %): "
        in of_gene
    )
    assert "tables list: TRRUST 100 % (of all pairs 100 %)" in of_gene
    app = open_app("network", run="plain", part="Paths", to=target, **{"from": source})
    steps = next(
        caption.value for caption in app.caption if caption.value.startswith("Steps of the lit path")
    )
    assert f"{source} -> {target}" in bare(steps)
    assert "PMID 11, PMID 22" in bare(steps)


def test_human_reference_networks_are_not_asked_about_simulated_genes(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trrust.tsv").write_text("source\ttarget\nPERT0001\tPERT0002\n")
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path))
    seen = sent(monkeypatch)
    open_app("network", run="toy", edge_from="PERT0001", edge_to="PERT0002")
    assert "TRRUST" not in said(seen[-1][0]["evidence"])


def test_a_gene_is_found_by_its_ensembl_id(open_app: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sent(monkeypatch)
    open_app("network", run="plain", gene="ENSG00000000001")
    assert seen[-1][0]["view"]["gene"] == "PERT0000"


def test_simulated_genes_have_no_links_and_real_ones_do(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    for run in ("toy", "plain"):
        open_app("network", run=run, gene="PERT0001")
    simulated, real = (data["evidence"] for data, _ in (seen[0], seen[-1]))
    assert "simulated gene" in said(simulated)
    assert simulated["links"] == []
    assert len(real["links"]) == 3


def test_the_network_travels_once(open_app: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain")
    assert {"genes", "edges", "counts", "facts"} <= set(seen[-1][0])
    version = seen[-1][0]["version"]
    monkeypatch.setattr("dashboard.network.picture.graph_in_browser", lambda: version)
    put(app, gene="PERT0001")
    assert not {"genes", "edges", "counts", "facts"} & set(seen[-1][0])
    assert seen[-1][0]["view"]["gene"] == "PERT0001"
    put(app, measure="T")
    assert "edges" in seen[-1][0]


def test_what_is_looked_at_in_the_browser_is_kept_and_sent_back(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain")

    def tell(**told: object) -> dict[str, Any]:
        answer(app, lambda: seen[-1][1].sight(told))
        return seen[-1][0]["view"]

    view = tell(seq=3, threshold=0.3, gene="PERT0001", view="matrix", hops=2, direction="both", bundle=[])
    assert (view["seq"], view["threshold"], view["gene"]) == (3, 0.3, "PERT0001")
    assert (view["view"], view["hops"], view["direction"]) == ("matrix", 2, "both")
    view = tell(
        seq="x",
        threshold="high",
        gene="no such gene",
        view="upside down",
        hops=99,
        direction=7,
        bundle=[1, [2], "PERT0002"],
    )
    assert (view["seq"], view["threshold"], view["gene"], view["view"]) == (3, 0.3, None, None)
    assert (view["hops"], view["direction"], view["bundle"]) == (1, "out", ["PERT0002"])


@pytest.mark.parametrize("form", ["csv", "cx2"])
def test_the_table_is_saved_with_where_it_comes_from(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain", gene="PERT0001")
    edges = seen[0][0]["edges"].head(3)
    pairs = edges[["source", "target"]].to_numpy().tolist()
    wanted = {"format": form, "edges": [*pairs, ["x", 1], [10**9, 0], 7], "places": [[pairs[0][0], 5, 6]]}
    answer(app, lambda: seen[-1][1].asked("file", wanted))
    file = seen[-1][0]["file"]
    content = base64.b64decode(file["content"]).decode()
    assert file["name"].endswith(f".{form}")
    assert "plain" in content
    if form == "csv":
        assert content.count("\n") == len([x for x in content.splitlines() if x.startswith("#")]) + 1 + 3
        assert "# focus: PERT0001" in content
    else:
        document = json.loads(content)
        assert sum(len(part.get("edges", ())) for part in document) == 3
    app.run()
    assert seen[-1][0]["file"] is None


def test_held_out_tests_are_sent_when_the_picture_stands(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain")
    assert seen[-1][0]["tests"] is None
    assert seen[-1][0]["tests_ready"]
    answer(app, lambda: seen[-1][1].asked("tests", None))
    assert len(seen[-1][0]["tests"]) == len(seen[-1][0]["edges"])
    assert any(p is not None for p in seen[-1][0]["tests"])


ASKED = ("tests", "step", "reset", "run", "part", "set", "file", "paths", "?")
NONSENSE = (None, 1, "x", [], {}, {"format": "exe", "edges": "all"}, {"often": 3, "loops": 2})


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_from_the_browser_is_passed_over(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="one")
    page = seen[-1][1]
    for what in ASKED:
        answer(app, lambda what=what: page.asked(what, value))
        assert not app.exception, what
        assert not app.error, what


def test_without_a_run_the_newest_opens_and_else_the_demo(
    open_app: Opener, tmp_path: Path, made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    open_app("network", folder=tmp_path)
    assert seen[-1][0]["open"] in shipped.DEMOS
    for age, name in enumerate(("old", "new", "empty")):
        run = make_fake_run(tmp_path / name, seed=age)
        os.utime(run.path, (1e9 + age, 1e9 + age))
    (tmp_path / "empty" / "model.safetensors").unlink()
    os.utime(tmp_path / "empty", (2e9, 2e9))
    open_app("network", folder=tmp_path)
    assert seen[-1][0]["open"] == "new"


@pytest.mark.parametrize("measure", ["W", "T"])
@pytest.mark.parametrize("view", ["whole", "ego", "matrix"])
@pytest.mark.parametrize("run", ["plain", "hostile", "one"])
def test_every_view_of_every_measure_has_every_tab(
    open_app: Opener, made_runs: Path, run: str, view: str, measure: str
) -> None:
    genes = RunFolder(made_runs / run).panel().genes
    ends = {"edge_from": genes[0], "edge_to": genes[-1]}
    app = open_app(
        "network",
        run=run,
        view=view,
        measure=measure,
        gene=genes[0],
        loops="1",
        pinned="0.1",
        **{"with": "toy"},
        **ends,
    )
    for name in PARTS:
        assert not tab(app, name).exception, name
        assert not app.error, name


def test_influence_has_a_threshold_of_its_own(open_app: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="plain", measure="T", gene="PERT0001", threshold="0.7")
    assert seen[-1][0]["view"]["measure"] == "T"
    put(app, influence=0.05)
    assert seen[-1][0]["view"]["threshold"] == 0.05
    put(app, measure="W")
    assert seen[-1][0]["view"]["threshold"] == 0.7


def test_several_sources_are_traced_and_restored_from_the_url(open_app: Opener, made_runs: Path) -> None:
    genes = RunFolder(made_runs / "plain").panel().genes
    app = open_app(
        "network",
        run="plain",
        threshold="0",
        part="Paths",
        **{"from": [genes[0], genes[2].lower()], "to": genes[7]},
    )
    assert app.multiselect[0].value == [genes[0], genes[2]]
    table = next(frame.value for frame in app.dataframe if "Path" in frame.value)
    assert {path.split(" → ")[0] for path in table["Path"]} == {genes[0], genes[2]}
    assert f"{genes[0]} and {genes[2]}" in bare(words(app))


def test_undo_and_redo_of_gene_and_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    state.put(**{state.RUN: "a", state.FOCUS: "A"})
    history.record()
    assert history.possible() == (False, False)
    for change in ({state.FOCUS: "B"}, {state.THRESHOLD: 0.3}):
        state.put(**change)
        history.record()
        history.record()  # a rerun without a change is no step
    seen = []
    for by in (-1, -1, -1, 1, 1, 1):
        history.step(by)
        history.record()
        seen.append((state.get(state.FOCUS), state.get(state.THRESHOLD)))
    assert seen == [("B", None), ("A", None), ("A", None), ("B", None), ("B", 0.3), ("B", 0.3)]
    history.step(-1)
    state.put(**{state.FOCUS: "C"})
    history.record()
    assert history.possible() == (True, False), "a new step forgets what was undone"
    state.put(**{state.RUN: "b"})
    history.record()
    assert history.possible() == (False, False)


def test_the_picture_is_told_whether_there_is_something_to_undo(open_app: Opener) -> None:
    app = put(open_app("network", run="plain", gene="PERT0001"), gene="PERT0002")
    assert len(app.session_state["gpovae_history"]["past"]) == 1


def test_two_runs_are_compared_at_equal_edges_and_at_equal_thresholds(
    open_app: Opener, made_runs: Path
) -> None:
    app = tab(open_app("network", run="plain", **{"with": "toy"}), "Compare runs")
    text = bare(words(app))
    counts = re.search(r"plain: (\d+) edges above 0.5; toy: (\d+) above", text)
    assert counts
    assert counts[1] == counts[2]
    table = next(frame.value for frame in app.dataframe if "State" in frame.value)
    shared = re.search(r"\*\*(\d+) shared, (\d+) gained, (\d+) lost", text)
    assert shared
    assert [int(part) for part in shared.groups()] == [
        (table["State"] == state).sum() for state in ("shared", "gained", "lost")
    ]
    app = app.radio[0].set_value("the same threshold").run()
    assert "toy: " in bare(words(app))
    assert "above 0.5;" in bare(words(app))


def test_a_pinned_threshold_is_compared_with_the_current_one(open_app: Opener) -> None:
    app = tab(open_app("network", run="plain", pinned="0.2"), "Which threshold?")
    text = bare(words(app))
    assert "From 0.2 (pinned) to 0.5" in text
    assert "0 gained" in text


def test_what_a_gene_regulates_is_a_table(open_app: Opener, made_runs: Path) -> None:
    network = GeneNetwork.from_run(RunFolder(made_runs / "plain")).with_evidence()
    app = tab(
        open_app("network", run="plain", gene="PERT0001", hops="2", threshold="0.5"),
        "Regulates, regulated by",
    )
    out, into = [frame.value for frame in app.dataframe if "Measured effect" in frame.value]
    pd.testing.assert_series_equal(
        out["Gene"], network.reach("PERT0001", 2, 0.5, "out")["gene"], check_names=False
    )
    pd.testing.assert_series_equal(
        into["Gene"], network.reach("PERT0001", 2, 0.5, "in")["gene"], check_names=False
    )


def test_communities_are_listed(open_app: Opener) -> None:
    app = tab(open_app("network", run="plain"), "Communities")
    table = next(frame.value for frame in app.dataframe if "Community" in frame.value)
    assert table["Genes"].is_monotonic_decreasing
    assert not put(app, community=0).exception


@pytest.mark.parametrize(
    "rows", [[{"threshold": 0.1, "estimated_false_edge_rate": 0.8}], [{"threshold": None}], None]
)
def test_a_table_of_false_edges_is_shown_where_there_is_one(
    open_app: Opener, tmp_path: Path, rows: object
) -> None:
    run = make_fake_run(tmp_path / "rated", seed=1)
    report = run.evaluation()
    report["network"]["false_edges"] = rows
    run.write_evaluation(report)
    found = cached.false_edges(run)
    assert (found is not None and found["estimated_false_edge_rate"].notna().any()) == (
        rows == [{"threshold": 0.1, "estimated_false_edge_rate": 0.8}]
    )
    assert not tab(open_app("network", folder=tmp_path, run="rated"), "Which threshold?").exception


@pytest.mark.parametrize("rows", ["nonsense", [1, 2]])
def test_a_damaged_table_of_false_edges_is_said_in_words(
    open_app: Opener, tmp_path: Path, rows: object
) -> None:
    run = make_fake_run(tmp_path / "rated", seed=1)
    report = run.evaluation()
    report["network"]["false_edges"] = rows
    run.write_evaluation(report)
    app = tab(open_app("network", folder=tmp_path, run="rated"), "Which threshold?")
    assert not app.exception
    assert any("are damaged" in error.value for error in app.error)


@pytest.mark.parametrize("gene", HOSTILE)
def test_hostile_names_are_sent_as_they_are(
    open_app: Opener, gene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sent(monkeypatch)
    app = open_app("network", run="hostile", gene=gene, edge_from=gene, edge_to="PERT0006")
    assert gene in set(seen[-1][0]["genes"]["gene"])
    assert seen[-1][0]["evidence"]["of"] == [gene, "PERT0006"]
    assert not re.search(r"(?<!\\)<img|(?<!\\)\[x|(?<!\\)\$x", words(app))
    assert not app.exception


def flat_run(folder: Path, n: int, logit: float) -> RunFolder:
    """n genes, half of them perturbed, every logit the same."""
    run = make_fake_run(
        folder,
        n_perturbed=max(1, n // 2),
        n_extended=n - max(1, n // 2),
        n_measured=max(4, min(n, 40)),
        cells_per_perturbation=2,
    )
    save_file({MASK_LOGITS: np.full((n, n), logit, dtype=np.float32)}, run.path / "model.safetensors")
    return run


@pytest.mark.parametrize("logit", [-1e4, 1e4, 0.0])
@pytest.mark.parametrize("n", [1, 2, 60])
def test_flat_networks_open_without_a_traceback(
    open_app: Opener, tmp_path: Path, n: int, logit: float
) -> None:
    run = flat_run(tmp_path / "flat", n, logit)
    genes = run.panel().genes
    for measure, view in (("W", "whole"), ("T", "ego"), ("W", "matrix")):
        more = {"from": genes[0], "to": genes[-1]} if n > 1 else {}
        app = open_app(
            "network", folder=tmp_path, run="flat", measure=measure, view=view, gene=genes[0], **more
        )
        for name in PARTS:
            assert not tab(app, name).exception, (measure, view, name)
            assert not app.error, (measure, view, name, app.error[0].value)


@pytest.mark.slow
@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_fifteen_hundred_genes_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logit: float) -> None:
    flat_run(tmp_path / "large", 1500, logit)
    monkeypatch.setenv("GPOVAE_RUNS_DIR", str(tmp_path))
    app = AppTest.from_file(APP, default_timeout=300)
    for name, value in {"run": "large", "gene": "PERT0001", "view": "ego"}.items():
        app.query_params[name] = value
    app = app.run().switch_page("pages/network.py").run()
    for name in ("Paths", "Regulates, regulated by", "Communities", "Export and references"):
        assert not tab(app, name).exception, name
        assert not app.error, name


def test_settings_travel_to_the_picture(made_runs: Path) -> None:
    network = GeneNetwork.from_run(RunFolder(made_runs / "plain"))
    assert json.loads(network.settings)["preset"] == "released"


def test_edges_without_direct_evidence_are_hidden_unless_asked_for(
    open_app: Opener, made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = GeneNetwork.from_run(RunFolder(made_runs / "plain"))
    seen = sent(monkeypatch)
    app = open_app("network", run="plain", threshold="0.3")
    edges = seen[-1][0]["edges"].query("weight > 0.3")
    assert len(edges) == len(network.with_evidence().edges(0.3))
    assert network.has_evidence[edges["source"]].all()
    put(app, blind=True)
    assert len(seen[-1][0]["edges"].query("weight > 0.3")) == len(network.edges(0.3))


def test_edges_that_may_run_over_a_gene_never_perturbed_are_named(
    open_app: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = GeneNetwork.from_run(RunFolder(PROJECT / "assets" / "demo" / "run"))
    table = network.edges(0.5)
    edge = table[table["open_detours"] > 0].iloc[0]
    genes = network.detour_genes(edge["source"], edge["target"])
    assert genes
    assert len(genes) == edge["open_detours"]
    seen = sent(monkeypatch)
    open_app("network", run="demo", edge_from=edge["source"], edge_to=edge["target"])
    assert f"Not excluded: a detour over {genes[0]}" in said(seen[-1][0]["evidence"])
    shown = seen[-1][0]["edges"].query("weight > 0.5 and detours >= 0")
    judged, open_edges = network.count_open(0.5)  # type: ignore[misc]
    assert (len(shown), int((shown["detours"] > 0).sum())) == (judged, open_edges)
    closed = table[table["open_detours"] == 0].iloc[0]
    open_app("network", run="demo", edge_from=closed["source"], edge_to=closed["target"])
    assert "no sign of a detour over one of them" in said(seen[-1][0]["evidence"])
    assert (seen[-1][0]["edges"]["detours"] > 0).any()
