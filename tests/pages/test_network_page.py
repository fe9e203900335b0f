"""The network page, without a browser: what is said of genes and edges, every view of W and T, undo,
comparison, odd networks.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from dashboard.network import cached, history
from dashboard.network.page import PARTS
from dashboard.shared import state
from gpovae_core.network.grn import GeneNetwork
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
    app.session_state["network_part"] = name
    return app.run()


@pytest.fixture
def strongest(made_runs: Path) -> tuple[str, str]:
    table = GeneNetwork.from_run(RunFolder(made_runs / "plain")).edges(0.0)
    row = table[table["source"].str.startswith("PERT") & table["target"].str.startswith("PERT")].iloc[0]
    return row["source"], row["target"]


def test_an_edge_comes_with_its_cells_and_tests(open_app: Opener, strongest: tuple[str, str]) -> None:
    app = open_app("network", run="plain", edge_from=strongest[0], edge_to=strongest[1])
    text = bare(words(app))
    assert f"#### {strongest[0]} → {strongest[1]}" in text
    assert re.search(r"rank \d+ of 372 pairs", text)
    assert "Held-out cells:" in text
    assert "adjusted over all pairs" in text
    assert "95 % interval" in text
    assert "Direct, or through other genes?" in text
    assert not app.exception


def test_an_edge_from_a_gene_never_perturbed_has_no_direct_evidence(open_app: Opener) -> None:
    app = open_app("network", run="plain", edge_from="EXT0001", edge_to="PERT0002")
    assert any(
        "No direct evidence: EXT0001 was never perturbed" in bare(warning.value) for warning in app.warning
    )


def test_reference_networks_are_asked(
    open_app: Opener, strongest: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trrust.tsv").write_text(
        f"source\ttarget\tsign\n{strongest[0].lower()}\t{strongest[1]}\tActivation\n"
    )
    (tmp_path / "broken.csv").write_text("no columns\n")
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path))
    app = open_app("network", run="plain", edge_from=strongest[0], edge_to=strongest[1])
    assert "**TRRUST: yes** (Activation)" in bare(words(app))
    assert any("broken.csv" in bare(warning.value) for warning in tab(app, "Export and references").warning)


def test_human_reference_networks_are_not_asked_about_simulated_genes(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trrust.tsv").write_text("source\ttarget\nPERT0001\tPERT0002\n")
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path))
    app = open_app("network", run="toy", edge_from="PERT0001", edge_to="PERT0002")
    assert "TRRUST" not in words(app)


def test_a_gene_is_found_by_its_ensembl_id(open_app: Opener) -> None:
    app = open_app("network", run="plain", gene="ENSG00000000001")
    assert "#### PERT0000" in words(app)


def test_simulated_genes_have_no_links_and_real_ones_do(open_app: Opener) -> None:
    simulated, real = (open_app("network", run=run, gene="PERT0001") for run in ("toy", "plain"))
    assert "simulated gene" in words(simulated)
    assert "https://" not in words(simulated)
    assert words(real).count("](https://") == 3


@pytest.mark.parametrize("measure", ["W", "T"])
@pytest.mark.parametrize("view", ["whole", "ego", "communities"])
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


def test_influence_has_a_threshold_of_its_own(open_app: Opener) -> None:
    app = open_app("network", run="plain", measure="T", gene="PERT0001", threshold="0.7")
    first = re.search(r"At T > ([\d.]+) it regulates", words(app))
    assert first
    app = put(app, influence=0.05)
    assert "At T > 0.05 it regulates" in words(app)
    assert "At W > 0.7 it regulates" in words(put(app, measure="W"))


def test_several_sources_are_traced_and_restored_from_the_url(open_app: Opener, made_runs: Path) -> None:
    genes = RunFolder(made_runs / "plain").panel().genes
    app = open_app(
        "network", run="plain", threshold="0", **{"from": [genes[0], genes[2].lower()], "to": genes[7]}
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
    app = tab(open_app("network", run="plain", view="communities"), "Communities")
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
def test_hostile_names_are_text_in_card_and_evidence(open_app: Opener, gene: str) -> None:
    app = open_app("network", run="hostile", gene=gene, edge_from=gene, edge_to="PERT0006")
    shown = words(app)
    assert gene in bare(shown)
    assert not re.search(r"(?<!\\)<img|(?<!\\)\[x|(?<!\\)\$x", shown)
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
    for measure in ("W", "T"):
        for view in ("whole", "ego", "communities"):
            more = {"from": genes[0], "to": genes[-1]} if n > 1 else {}
            app = open_app(
                "network", folder=tmp_path, run="flat", measure=measure, view=view, gene=genes[0], **more
            )
            for name in PARTS:
                assert not tab(app, name).exception, (measure, view, name)
                assert not app.error, (measure, view, name, app.error[0].value)


@pytest.mark.slow
@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_three_thousand_genes_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logit: float) -> None:
    flat_run(tmp_path / "large", 3000, logit)
    monkeypatch.setenv("GPOVAE_RUNS_DIR", str(tmp_path))
    app = AppTest.from_file(APP, default_timeout=300)
    for name, value in {"run": "large", "gene": "PERT0001", "view": "ego"}.items():
        app.query_params[name] = value
    app = app.run().switch_page("pages/network.py").run()
    for name in ("Edges", "Regulates, regulated by", "Communities", "Export and references"):
        assert not tab(app, name).exception, name
        assert not app.error, name


def test_settings_travel_to_the_picture(made_runs: Path) -> None:
    network = GeneNetwork.from_run(RunFolder(made_runs / "plain"))
    assert json.loads(network.settings)["preset"] == "released"


def test_edges_without_direct_evidence_are_hidden_unless_asked_for(open_app: Opener, made_runs: Path) -> None:
    network = GeneNetwork.from_run(RunFolder(made_runs / "plain"))
    app = tab(open_app("network", run="plain", threshold="0.3"), "Edges")
    sources = next(frame.value for frame in app.dataframe if "Evidence" in frame.value)["Source"]
    assert len(sources) == len(network.with_evidence().edges(0.3))
    assert all(source.startswith("PERT") for source in sources)
    sources = next(frame.value for frame in put(app, blind=True).dataframe if "Evidence" in frame.value)[
        "Source"
    ]
    assert len(sources) == len(network.edges(0.3))


def test_edges_that_may_run_over_a_gene_never_perturbed_are_named(open_app: Opener) -> None:
    network = GeneNetwork.from_run(RunFolder(PROJECT / "assets" / "demo" / "run"))
    table = network.edges(0.5)
    edge = table[table["open_detours"] > 0].iloc[0]
    genes = network.detour_genes(edge["source"], edge["target"])
    assert genes
    assert len(genes) == edge["open_detours"]
    app = open_app("network", run="demo", edge_from=edge["source"], edge_to=edge["target"])
    text = bare(words(app))
    assert f"Not excluded:** a detour over {genes[0]}" in text
    judged, open_edges = network.count_open(0.5)  # type: ignore[misc]
    assert (
        f"of the {judged} edges out of perturbed genes with W above 0.5, {open_edges} may run over a gene "
        "that nobody perturbed"
    ) in text
    closed = table[table["open_detours"] == 0].iloc[0]
    text = bare(words(open_app("network", run="demo", edge_from=closed["source"], edge_to=closed["target"])))
    assert "no sign of a detour over one of them" in text
    app = tab(app, "Edges")
    assert "Open detours" in app.dataframe[0].value.columns
