"""The `gpovae` command as a script meets it: JSON on standard output, one clear message and exit code 2 on
bad input.
"""

from __future__ import annotations

import csv
import inspect
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import networkx
import numpy as np
import pandas as pd
import pytest

from gpovae_core import __version__, cli, keys
from gpovae_core.cli import (
    app,
    cells,
    clusters,
    comparing,
    effects,
    knowledge,
    main,
    networks,
    questions,
    runs,
    scores,
    serving,
    sweeps,
    training,
)
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.methods.expected import predicted_by_network
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT
from tests.data.small import PERTURBED, small_cells
from tests.data.test_guides import guide_umis
from tests.toy import tiny_options, toy_simulation, write_toy

COMMANDS = sorted(
    str(command.name or command.callback.__name__) for command in app.registered_commands if command.callback
)


@pytest.fixture
def gpovae(monkeypatch, capsys):
    """Call the command in this process: gpovae("info", run) -> (exit code, standard output, standard
    error).
    """

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gpovae", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run trained by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    cells = write_toy(folder)
    line = [
        sys.executable,
        "-c",
        "from gpovae_core.cli import main; main()",
        "train",
        str(cells),
        "--run",
        str(folder / "R1"),
        "--batch",
        "batch",
        "--donor",
        "none",
        "--direction",
        "knock-down",
        "--json",
    ]
    done = subprocess.run([*line, *tiny_options()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "done"
    (folder / "progress.txt").write_text(done.stderr)
    return folder / "R1"


def test_a_training_tells_of_its_ensemble_in_one_line(run):
    told = (run.parent / "progress.txt").read_text().splitlines()
    assert len([line for line in told if "come back" in line]) == 1
    assert not [line for line in told if "member " in line]


def test_a_training_ends_in_a_few_short_lines_and_says_what_to_do_next(gpovae, run, tmp_path, monkeypatch):
    shutil.copytree(run, tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gpovae_core.workflow.resume_run", lambda path, *_: RunFolder.open(path))
    code, out, err = gpovae("train", run.parent / "toy.h5ad", "--run", "runs/mine", "--resume")
    assert code == 0, err
    told = out.splitlines()
    assert 6 <= len(told) <= 10
    assert told[0].startswith("Run runs/mine: done after 4 epochs")
    assert "edges with W above 0.5" in told[1]
    assert "come back in at least half of 20 networks" in told[2]
    assert told[-2].startswith("Next: gpovae app ")
    assert "gpovae evaluate runs/mine" in told[-1]


def test_lines_that_differ_in_numbers_alone_are_few_and_a_closed_reader_stops_nothing(monkeypatch, capsys):
    from gpovae_core.cli import shared

    now = [0.0]
    monkeypatch.setattr(shared.time, "monotonic", lambda: now[0])
    with shared.progress_bar() as told:
        for second in range(25):
            now[0] = 100.0 + second
            told(f"validation loss {second}.5; {second}% of epoch 3", 0.1)
        told("scoring", 0.9)
        lines = capsys.readouterr().err.splitlines()
        assert [line.split("loss ")[-1][:4] for line in lines[:3]] == ["0.5;", "10.5", "20.5"]
        assert lines[3:] == [" 90% scoring"]

        def gone(*_: object, **__: object) -> None:
            raise BrokenPipeError

        monkeypatch.setattr("builtins.print", gone)
        told("writing", 0.95)
        told("more", 0.96)


def test_a_training_that_is_stopped_is_no_success_to_a_script(gpovae, run, tmp_path, monkeypatch):
    """A real SIGTERM in the middle of a training, in this process."""
    from gpovae_core.training.fit import RunRecorder

    epoch_ends = RunRecorder.on_train_epoch_end

    def stop(*given: object) -> None:
        epoch_ends(*given)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RunRecorder, "on_train_epoch_end", stop)
    file = run.parent / "toy.h5ad"
    code, out, err = gpovae("train", file, "--run", tmp_path / "mine", *tiny_options())
    assert code == 130, err
    assert "stopped on request" in out
    assert out.strip().endswith("To go on: the same command with --resume.")
    assert RunFolder.open(tmp_path / "mine").status().state == "stopped"


def test_it_says_which_version_it_is(gpovae):
    assert gpovae("--version") == (0, f"gpovae {__version__}\n", "")


def test_every_command_of_every_group_is_listed():
    groups = (
        cells,
        clusters,
        comparing,
        effects,
        knowledge,
        networks,
        questions,
        runs,
        scores,
        serving,
        sweeps,
        training,
    )
    assert {path.stem for path in (PROJECT / "gpovae_core" / "cli").glob("[a-z]*.py")} == {
        *(group.__name__.split(".")[-1] for group in groups),
        "flags",
        "shared",
    }
    found = {
        value
        for group in groups
        for name, value in vars(group).items()
        if inspect.isfunction(value) and value.__module__ == group.__name__ and not name.startswith("_")
    }
    assert found == set(cli.COMMANDS)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help(gpovae, command):
    code, out, _ = gpovae(*([command] if command else []), "--help")
    assert code == 0
    assert "Usage" in out


def test_every_command_is_told_in_a_whole_sentence_at_80_columns(gpovae, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = gpovae("--help")
    told = dict(line.split(maxsplit=1) for line in out.partition("Commands:\n")[2].splitlines())
    assert sorted(told) == COMMANDS
    for command in cli.COMMANDS:
        first = inspect.cleandoc(command.__doc__ or "").partition("\n\n")[0]
        name = command.__name__.rstrip("_").replace("_", "-")
        assert told[name] == first, f"the first paragraph of `gpovae {name}` is one sentence that fits a line"
        assert first[0].isupper()
        assert first.endswith(".")
        assert "..." not in told[name]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_of_a_command_is_cut_off(gpovae, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = gpovae(command, "--help")
    assert "..." not in out.partition("Options:")[2]
    assert max(map(len, out.splitlines())) <= 80


def test_light_commands_do_not_import_heavy_libraries():
    code = (
        "import sys; sys.argv = ['gpovae', '--help']\n"
        "from gpovae_core.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'scanpy', 'anndata', 'pandas', 'streamlit'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert time.monotonic() - start < 5  # 0.2 s where nothing else runs


def test_simulate_writes_cells_and_true_edges(gpovae, tmp_path):
    out = tmp_path / "sim.h5ad"
    code, text, _ = gpovae(
        "simulate", out, "--genes", 15, "--perturbations", 4, "--cells", 200, "--seed", 3, "--json"
    )
    assert code == 0
    assert json.loads(text)["n_obs"] == 200
    edges = pd.read_csv(tmp_path / "sim.edges.csv")
    assert list(edges.columns[:2]) == ["source", "target"]
    assert len(edges) == json.loads(text)["n_edges"]


def test_simulate_takes_the_design_of_a_screen_and_any_other_setting(gpovae, tmp_path):
    out = tmp_path / "sim.h5ad"
    options = ["--guides-per-gene", 2, "--donors", 3, "--direction", "activation", "--batch-imbalance", 1]
    options += ["--genes", 15, "--perturbations", 4, "--cells", 200]
    code, _, _ = gpovae("simulate", out, *options, "--set", "library_median=500", "--set", "network=chains")
    assert code == 0
    cells = anndata.read_h5ad(out)
    assert cells.obs["donor"].nunique() == 3
    assert cells.obs.loc[cells.obs["perturbation"] != "non-targeting", "guide"].nunique() == 8
    assert (cells.obs.groupby("perturbation", observed=True)["batch"].nunique() == 1).sum() == 4
    settings = json.loads(cells.uns["settings"])
    assert (settings["direction"], settings["library_median"]) == ("activation", 500)
    assert settings["network"] == "chains"


def test_validate_good(gpovae, tmp_path):
    code, out, _ = gpovae("validate", write_toy(tmp_path), "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["ok"] is True
    assert answer["summary"]


def test_validate_tells_the_design_and_takes_it_from_options(gpovae, tmp_path):
    path = write_toy(tmp_path)
    code, out, _ = gpovae("validate", path, "--json")
    design = json.loads(out)["summary"]["design"]
    assert list(design) == ["batch", "donor", "guide", "condition", "size_factor", "direction"]
    assert (code, design["batch"], design["donor"]) == (0, "batch", None)
    assert design["direction"] in ("knock-down", "knock-out")
    code, out, _ = gpovae("validate", path, "--batch", "none", "--direction", "activation", "--json")
    design = json.loads(out)["summary"]["design"]
    assert (code, design["batch"], design["direction"]) == (0, None, "activation")
    for told, direction, words in (
        ("none", None, "Direction: not read, as told; a knock-out that removes 90 %"),
        ("mixed", "mixed", "Direction: mixed, as told: each perturbation goes by its target's own"),
        ("over-expression", "activation", "Direction: over-expression, as told"),
    ):
        code, out, _ = gpovae("validate", path, "--direction", told, "--json")
        assert (code, json.loads(out)["summary"]["design"]["direction"]) == (0, direction)
        assert words in gpovae("validate", path, "--direction", told)[1]
    code, out, _ = gpovae("validate", path)
    assert "Batch: column 'batch' of obs, by its name and what it holds." in out
    assert "Donor: none." in out
    for option, value, said in (
        ("--batch", "bacth", "Did you mean batch"),
        ("--guide", "perturbation", "cannot be used as the guide"),
        ("--direction", "up", "'knock-down', 'knock-out', 'activation', 'over-expression' or 'mixed'"),
    ):
        code, out, err = gpovae("validate", path, option, value)
        assert code == 2
        assert said in out + err


def test_labels_are_made_from_guides_in_a_file_of_their_own(gpovae, tmp_path):
    cells = small_cells()
    umis = guide_umis(cells)
    library = pd.DataFrame({"sgRNA": umis.columns, "gene": [name.rsplit("_", 1)[0] for name in umis]})
    umis.columns = library["sgRNA"] = [f"guide_{i}" for i in range(umis.shape[1])]
    umis.to_csv(tmp_path / "umis.tsv", sep="\t")
    library.to_csv(tmp_path / "library.csv", index=False)
    bare = anndata.AnnData(cells.X, obs=cells.obs[[]].copy(), var=cells.var)
    bare.write_h5ad(tmp_path / "cells.h5ad")
    files = (tmp_path / "cells.h5ad", "--guides", tmp_path / "umis.tsv")
    code, out, _ = gpovae("validate", *files, "--json")
    assert code == 2
    assert "guide-targets-missing" in {problem["code"] for problem in json.loads(out)["problems"]}
    code, out, _ = gpovae("validate", *files, "--guide-targets", tmp_path / "library.csv", "--json")
    summary = json.loads(out)["summary"]
    assert code == 0
    assert summary["label_column"] == "guide calls"
    assert set(summary["perturbations"]) == set(PERTURBED)
    assert summary["guide_calls"]["one targeted gene"] > 170
    assert {"Labels", "Guide calls"} <= {decision["about"] for decision in summary["decisions"]}
    code, _, err = gpovae("validate", *files, "--guide-rule", "guess")
    assert code == 2
    assert "--guide-rule: Input should be 'mixture' or 'threshold'" in err


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n and more", None])
def test_validate_bad(gpovae, tmp_path, content):
    path = tmp_path / "cells.h5ad"
    if content is not None:
        path.write_bytes(content)
    code, out, _ = gpovae("validate", path, "--json")
    answer = json.loads(out)
    assert code == 2
    assert answer["ok"] is False
    assert all(problem["code"] and problem["message"] and problem["hint"] for problem in answer["problems"])


def test_validate_says_everything_at_once(gpovae, tmp_path):
    adata = toy_simulation().adata.copy()
    adata.X = adata.X.sqrt()
    adata.obs = adata.obs[["batch"]]
    path = tmp_path / "bad.h5ad"
    adata.write_h5ad(path)
    code, out, _ = gpovae("validate", path, "--json")
    assert code == 2
    assert len([p for p in json.loads(out)["problems"] if p["severity"] == "error"]) >= 2


def test_evaluate_has_the_promised_numbers(gpovae, run):
    code, out, _ = gpovae("evaluate", run, "--json")
    assert code == 0
    answer = json.loads(out)
    for reference in ("test", "all"):
        assert set(answer["response"][reference]["ate_rho"]) >= {
            "model",
            "train_mean",
            "perturbation_mean",
            "no_effect",
            "ceiling",
        }
        assert answer["response"][reference]["ate_rho"]["no_effect"] is None
    assert {"threshold", "edges", "mu_wd", "for", "bh_share"} <= set(answer["network"])
    assert answer["network"]["threshold"] == 0.5
    assert json.loads((run / "evaluation.json").read_text())["response"] == answer["response"]


def test_evaluate_against_known_edges_and_the_truth(gpovae, run, tmp_path):
    table = tmp_path / "trrust_toy.tsv"
    edges = toy_simulation().edges
    edges[["source", "target"]].to_csv(table, index=False, sep="\t")
    code, out, err = gpovae("evaluate", run, "--reference", table, "--json")
    assert code == 0, err
    network = json.loads(out)["network"]
    known, truth = (
        network["references"][0],
        network["truth"],
    )  # the true edges lie beside the file the run was trained on
    assert (known["name"], known["directed"]) == ("TRRUST", True)
    assert known["edges"] == truth["direct"]["edges"] > 0
    assert truth["ancestors"]["edges"] >= truth["direct"]["edges"]
    assert (run / "true_edges.csv").is_file()
    code, _, err = gpovae("evaluate", run, "--truth", table)
    assert code == 2
    assert "weight" in err
    code, _, err = gpovae("evaluate", run, "--reference", tmp_path / "none.tsv")
    assert code == 2
    assert "none.tsv" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("ending", ["html", "json", "txt"])
def test_report(gpovae, run, tmp_path, ending):
    out = tmp_path / f"report.{ending}"
    assert gpovae("report", run, "--out", out)[0] == 0
    assert "ATE-rho" in out.read_text() or ending == "txt"
    code, _, err = gpovae("report", run, "--out", tmp_path / "report.docx")
    assert code == 2
    assert ".html" in err


def test_evaluate_another_edge_table(gpovae, run, tmp_path):
    true = tmp_path / "true.csv"
    toy_simulation().edges.to_csv(true, index=False)
    code, out, err = gpovae("evaluate", run, "--edges", true, "--json")
    assert code == 0, err
    network = json.loads(out)["network"]
    assert network["edges"] > 0
    strange = tmp_path / "strange.csv"
    strange.write_text("source,target\nNOBODY,SIM001\n")
    code, out, err = gpovae("evaluate", run, "--edges", strange)
    assert code == 2
    assert "NOBODY" in err


def test_evaluate_predicted_effects_of_another_program(gpovae, run, tmp_path):
    effects = RunFolder.open(run).effects()
    table = tmp_path / "effects.csv"
    effects.to_df(keys.PREDICTED).to_csv(table)
    code, out, err = gpovae("evaluate", run, "--effects", table, "--json")
    assert code == 0, err
    found = json.loads(out)
    code, own, _ = gpovae("evaluate", run, "--json")
    assert found["response"]["test"]["ate_rho"]["model"] == pytest.approx(
        json.loads(own)["response"]["test"]["ate_rho"]["model"], abs=1e-6
    )
    assert "network" not in found or found["network"] is None
    cells = tmp_path / "cells.h5ad"
    code, out, err = gpovae("predict", run, "--cells", cells, "--cells-each", 20, "--json")
    assert code == 0, err
    assert json.loads(out)["cells"] == 20 * (1 + json.loads(out)["perturbations"])
    code, _, err = gpovae("evaluate", run, "--effects", tmp_path / "none.h5ad")
    assert (code, "no file of predicted cells" in err) == (2, True)
    code, _, err = gpovae("predict", run, "--cells", cells, "--out", table)
    assert (code, "leave out --out" in err) == (2, True)
    code, _, err = gpovae("predict", run)
    assert (code, "Say what to predict" in err) == (2, True)
    table.write_text("perturbation,NOBODY\nNOBODY,1\n")
    code, _, err = gpovae("evaluate", run, "--effects", table)
    assert code == 2
    assert "measured genes" in err
    code, _, err = gpovae("evaluate", run, "--effects", table, "--edges", table)
    assert code == 2
    assert "--edges or --effects, not both" in err


def test_the_influence_is_written_on_request(gpovae, run, tmp_path):
    table = tmp_path / "influence.csv"
    code, out, _ = gpovae("network", run, "--influence", "--out", table, "--json")
    assert code == 0
    assert json.loads(out)["matrix"] == "T_K"
    folder = RunFolder.open(run)
    arrays, index, cells = folder.network_arrays(), folder.panel().index, folder.cells()
    expected = np.abs(predicted_by_network(NetworkFit.from_arrays(arrays), cells))
    measured = {gene: place for place, gene in enumerate(cells.cells.var_names)}
    with table.open() as file:
        rows = list(csv.DictReader(file))
    others = [expected[i, measured[t]] for s, i in index.items() for t in index if s != t and t in measured]
    assert len(rows) == (np.array(others) > 0.01).sum() > 0
    weights = [float(row["weight"]) for row in rows]
    assert weights == sorted(weights, reverse=True)
    for row in rows:
        value = arrays["influence"][index[row["source"]], index[row["target"]]]
        assert float(row["weight"]) == pytest.approx(expected[index[row["source"]], measured[row["target"]]])
        assert float(row["influence"]) == pytest.approx(value, abs=1e-9)
        assert int(row["sign"]) == np.sign(value)


def test_the_null_command_counts_edges(gpovae, run):
    code, out, _ = gpovae("null", run, "--json")
    assert code == 0
    answer = json.loads(out)
    assert {"threshold", "pairs", "edges", "share"} <= set(answer)
    assert answer["share"] < 0.05
    kept = RunFolder.open(run).null()
    assert kept == answer
    weights, cells = RunFolder.open(run).edge_probabilities(), RunFolder.open(run).cells()
    rows = cells.panel.is_perturbed[:, None] & cells.panel.is_measured & ~np.eye(len(weights), dtype=bool)
    for row in kept["thresholds"]:
        assert row["run_edges"] == (weights[rows] > row["threshold"]).sum()
        expected = None if row["run_edges"] == 0 else min(1.0, row["edges"] / row["run_edges"])
        assert row["estimated_false_edge_rate"] == (None if expected is None else pytest.approx(expected))


def test_unseen_scores_are_kept_with_the_run(gpovae, run):
    code, out, err = gpovae("unseen", run, "--at-once", 2, "--draws", 3, "--seed", 1, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert [len(held) for held in answer["held_out"]] == [2, 2, 2]
    assert {"network", "perturbation_mean", "mean_of_others"} <= set(answer["pooled"]["rho"])
    assert RunFolder.open(run).unseen() == answer
    code, out, _ = gpovae("unseen", run, "--at-once", 2, "--draws", 1)
    assert code == 0
    assert "mean over perturbations" in out
    code, _, err = gpovae("unseen", run, "--at-once", 5)
    assert code == 2
    assert "Hold out fewer" in err


def test_known_edges_stand_in_files_and_beside_paths(gpovae, run, tmp_path):
    genes, table, known = RunFolder.open(run).panel().genes, tmp_path / "net.csv", tmp_path / "trrust.tsv"
    known.write_text(f"{genes[0].lower()}\t{genes[8]}\tRepression\t77\n")  # as it is distributed
    code, out, _ = gpovae("network", run, "--threshold", 0, "--out", table, "--reference", known, "--json")
    assert code == 0
    assert json.loads(out)["references"] == ["TRRUST"]
    with table.open() as file:
        found = {(row["source"], row["target"]): row for row in csv.DictReader(file) if row["known_in"]}
    said = found.pop((genes[0], genes[8]))
    assert (said["known_in"], said["known_signs"], said["publications"]) == ("TRRUST", "-1", "PMID 77")
    assert not found
    asked = ("paths", run, "--source", genes[0], "--target", genes[8], "--hops", 1, "--reference", known)
    steps = json.loads(gpovae(*asked, "--json")[1])["paths"][0]["steps"]
    assert steps[0]["known"] == [{"table": "TRRUST", "sign": -1, "publications": ["PMID 77"]}]
    assert "TRRUST (Repression; PMID 77)" in gpovae(*asked)[1]


def test_network_csv_and_graphml_agree(gpovae, run, tmp_path):
    table, graph = tmp_path / "net.csv", tmp_path / "net.graphml"
    assert gpovae("network", run, "--threshold", 0.4, "--out", table)[0] == 0
    assert gpovae("network", run, "--threshold", 0.4, "--out", graph)[0] == 0
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "source",
        "target",
        "weight",
        "sign",
        "effect",
        "effect_se",
        "p",
        "p_adjusted",
        "cells",
        "strength",
        "strength_low",
        "strength_high",
        "open_detours",
        *("frequency", "sign_agreement", "weight_mean", "weight_sd"),
    ]
    assert all(
        float(r["strength_low"]) <= float(r["strength"]) <= float(r["strength_high"])
        for r in rows
        if r["strength_low"]
    )
    pairs, arrays = held_out_pairs(RunFolder.open(run).cells()), RunFolder.open(run).network_arrays()
    w, index = RunFolder.open(run).edge_probabilities(), RunFolder.open(run).panel().index
    tested = [row for row in rows if row["p"]]
    assert tested
    for row in tested:
        i, j = pairs.sources.index(row["source"]), pairs.targets.index(row["target"])
        assert float(row["p"]) == pytest.approx(pairs.p[i, j])
        assert float(row["p_adjusted"]) == pytest.approx(pairs.adjusted[i, j])
        place = index[row["source"]], index[row["target"]]
        assert float(row["effect"]) == pytest.approx(arrays["effect"][place] / np.log(2))
        assert float(row["effect_se"]) == pytest.approx(arrays["effect_sd"][place] / np.log(2))
        assert int(row["cells"]) > 1
    assert len(rows) == ((w > 0.4) & ~np.eye(len(w), dtype=bool)).sum()
    assert all(
        float(row["weight"]) == pytest.approx(w[index[row["source"]], index[row["target"]]]) for row in rows
    )
    assert networkx.read_graphml(graph).number_of_edges() == len(rows)


@pytest.mark.parametrize("threshold", ["1.5", "-1", "nan", "many"])
def test_threshold_outside_its_range(gpovae, run, tmp_path, threshold):
    code, _, err = gpovae("network", run, "--threshold", threshold, "--out", tmp_path / "x.csv")
    assert code == 2
    assert err
    assert "Traceback" not in err


def test_paths(gpovae, run):
    genes = RunFolder.open(run).panel().genes
    code, out, _ = gpovae(
        "paths", run, "--source", genes[0].lower(), "--target", genes[8], "--hops", 3, "--top", 4, "--json"
    )
    assert code == 0
    answer = json.loads(out)
    assert len(answer["paths"]) == 4
    assert all(path["genes"][0] == genes[0] and path["genes"][-1] == genes[8] for path in answer["paths"])
    assert [path["probability"] for path in answer["paths"]] == sorted(
        (p["probability"] for p in answer["paths"]), reverse=True
    )
    assert sum(answer["share_by_hops"]) == pytest.approx(1)


def test_unknown_gene_is_refused_with_the_nearest_names(gpovae, run):
    genes = RunFolder.open(run).panel().genes
    code, _, err = gpovae("paths", run, "--source", genes[0] + "X", "--target", genes[1])
    assert code == 2
    assert genes[0] in err


def test_predict(gpovae, run, tmp_path):
    panel = RunFolder.open(run).panel()
    known, extended = panel.data.perturbed[0], panel.data.extended[0]
    pair = f"{panel.data.perturbed[1]}+{known}"
    out = tmp_path / "effects.csv"
    options = [part for name in (known, extended, pair) for part in ("--perturbation", name)]
    code, text, _ = gpovae("predict", run, *options, "--out", out, "--json")
    assert code == 0
    answer = json.loads(text)
    assert answer["not_in_training"] == [extended, "+".join(sorted(pair.split("+")))]
    table = pd.read_csv(out)
    assert list(table.columns) == [
        *["perturbation", "gene", "effect", "sd", "low", "high", "additive", "log_difference"]
    ]
    assert answer["rests_on"][known] == "seen"
    assert answer["rests_on"][extended] == "extended"
    (interaction,) = answer["interactions"].values()
    assert set(interaction) == {"coefficients", "non_additive"}
    stored = RunFolder.open(run).effects()
    ours = table[table["perturbation"] == known].set_index("gene")
    for column, layer in (("effect", "predicted_fold"), ("log_difference", "predicted")):
        theirs = stored[known].to_df(layer).iloc[0]
        np.testing.assert_allclose(ours.loc[theirs.index, column], theirs, atol=1e-5)


def test_predict_at_another_strength(gpovae, run):
    gene = RunFolder.open(run).panel().data.perturbed[0]
    sizes = []
    for fraction in (0.2, 0.95):
        code, text, _ = gpovae(
            "predict", run, "--perturbation", gene, "--loss", f"{gene}={fraction}", "--json"
        )
        assert code == 0
        sizes.append(np.abs([value["effect"] for value in json.loads(text)["effects"][gene].values()]).mean())
    assert sizes[1] > 2 * sizes[0]
    code, _, err = gpovae("predict", run, "--perturbation", gene, "--loss", f"{gene}=80")
    assert code == 2
    assert "fraction such as 0.8" in err
    code, _, err = gpovae("predict", run, "--perturbation", gene, "--loss", "strong")
    assert code == 2
    assert "GENE=FRACTION" in err


def test_info(gpovae, run):
    code, out, _ = gpovae("info", run, "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["source"]["simulated"] is True
    assert answer["status"]["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "nowhere"], "not a run"),
        (["train", "nowhere.h5ad", "--run", "new"], "no file"),
        (["evaluate", "nowhere"], "not a run"),
        (["train", "toy.h5ad", "--run", "new", "--preset", "magic"], "Unknown preset"),
        (["train", "toy.h5ad", "--run", "new", "--set", "loss.hops=0"], "loss.hops"),
        (["train", "toy.h5ad", "--run", "new", "--set", "hops=3"], "SECTION.FIELD"),
        (["train", "toy.h5ad", "--run", "nowhere", "--resume"], "not a run"),
        (["simulate", "x.h5ad", "--genes", "3", "--perturbations", "9"], "perturbations"),
        (["simulate", "x.csv"], "h5ad"),
        (["simulate", "x.h5ad", "--direction", "sideways"], "direction"),
        (["simulate", "x.h5ad", "--set", "library_median"], "SETTING=VALUE"),
        (["simulate", "x.h5ad", "--set", "colour=blue"], "colour"),
        (["paths", "x"], "--source"),
        (["sing"], "sing"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(gpovae, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path)
    code, _, err = gpovae(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


def test_a_run_is_not_overwritten_and_keeps_its_settings_on_resume(gpovae, run):
    code, _, err = gpovae("train", run.parent / "toy.h5ad", "--run", run)
    assert code == 2
    assert "--resume" in err
    code, _, err = gpovae("train", run.parent / "toy.h5ad", "--run", run, "--resume", "--set", "loss.hops=2")
    assert code == 2
    assert "keeps its settings" in err
    code, _, err = gpovae("train", run.parent / "toy.h5ad", "--run", run, "--resume", "--batch", "lane")
    assert code == 2
    assert "data" in err
    code, _, err = gpovae("train", run.parent / "toy.h5ad", "--run", run, "--resume", "--seed", 5)
    assert code == 2
    assert "seed" in err


def test_the_design_is_told_by_options_and_kept_with_the_run(run):
    settings = json.loads((run / "config.json").read_text())
    settings = settings.get("settings", settings)
    assert (settings["data"]["batch"], settings["data"]["donor"]) == ("batch", "none")
    assert settings["network"]["perturbation"] == "knock-down"
    design = RunFolder.open(run).report().design
    assert (design.batch, design.donor) == ("batch", None)
    assert design.direction in ("knock-down", "knock-out")


def test_bad_data_ends_with_the_reasons_and_leaves_no_run(gpovae, tmp_path):
    adata = toy_simulation().adata.copy()
    adata.X = adata.X.sqrt()
    adata.write_h5ad(tmp_path / "roots.h5ad")
    code, _, err = gpovae("train", tmp_path / "roots.h5ad", "--run", tmp_path / "run")
    assert code == 2
    assert "raw counts" in err
    assert not (tmp_path / "run").exists()


def test_a_setting_without_effect_is_said_to_have_none(gpovae, tmp_path):
    code, _, err = gpovae(
        "train",
        tmp_path / "none.h5ad",
        "--run",
        tmp_path / "run",
        "--set",
        "loss.sparsity=3",
        "--set",
        "loss.hops=2",
    )
    assert code == 2
    assert "loss.sparsity has no effect here: W is fitted to calibrated effects" in err
    assert "loss.hops" not in err


def test_a_network_from_effects_says_what_it_read(gpovae, tmp_path):
    from tests.runs.test_from_effects import EDGES, effects

    effects().to_csv(tmp_path / "effects.csv", index=False)
    made = tmp_path / "run"
    words = ("network-from-effects", tmp_path / "effects.csv", "--run", made, "--panel-extra", 12)
    code, out, _ = gpovae(*words, "--direction", "knock-down", "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["edges"], answer["genes"], answer["estimated_false_edge_rate"]) == (len(EDGES), 20, None)
    assert answer["read"]["unit"] == "log2"
    code, out, _ = gpovae("network", made, "--out", tmp_path / "edges.csv", "--json")
    assert json.loads(out)["edges"] == len(EDGES)
    assert gpovae("network", made, "--out", tmp_path / "all.csv", "--influence")[0] == 0
    assert gpovae("paths", made, "--source", "P0", "--target", "X00", "--json")[0] == 0
    assert gpovae("report", made, "--out", tmp_path / "methods.txt")[0] == 0
    assert "to a table of effects, without cells" in (tmp_path / "methods.txt").read_text()
    for command in (("evaluate", made), ("ensemble", made), ("predict", made, "--perturbation", "P0")):
        code, out, err = gpovae(*command)
        assert code == 2
        assert "holds no cells" in err
        assert "gpovae evaluate" not in err
    code, out, _ = gpovae(*words[:2], "--run", tmp_path / "b", "--null", "normal", "--json")
    assert json.loads(out)["estimated_false_edge_rate"] is not None


def test_bad_effects_end_in_words(gpovae, tmp_path):
    from tests.runs.test_from_effects import effects

    effects().drop(columns="se").to_csv(tmp_path / "effects.csv", index=False)
    code, _, err = gpovae("network-from-effects", tmp_path / "effects.csv", "--run", tmp_path / "run")
    assert code == 2
    assert "no standard errors" in err
    assert not (tmp_path / "run").exists()
    effects().to_csv(tmp_path / "effects.csv", index=False)
    words = ("network-from-effects", tmp_path / "effects.csv", "--run", tmp_path / "r")
    for option in (("--unit", "log3"), ("--null", "what"), ("--set", "model.network=free")):
        code, _, err = gpovae(*words, *option)
        assert code == 2, option
        assert "Error: " in err
    code, out, _ = gpovae("validate", tmp_path / "effects.csv", "--json")
    assert code == 0
    assert json.loads(out)["effects"]["perturbations"] == 8
    code, _, err = gpovae("train", tmp_path / "effects.csv", "--run", tmp_path / "r")
    assert code == 2
    assert "gpovae network-from-effects" in err


def test_a_network_is_held_against_other_effects_and_cells(gpovae, tmp_path, run):
    from tests.runs.test_from_effects import EDGES, effects

    for seed, name in enumerate(("here", "there")):
        effects(seed).to_csv(tmp_path / f"{name}.csv", index=False)
    gpovae("network-from-effects", tmp_path / "here.csv", "--run", tmp_path / "r", "--panel-extra", 12)
    words = ("transfer", tmp_path / "r", tmp_path / "there.csv")
    code, out, _ = gpovae(*words, "--out", tmp_path / "edges.csv", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["groups"]["edges"]["seen"] == answer["edges_here"] == len(EDGES)
    assert set(answer["effects"]) == {"influence", "measured_here", "mean_there", "mean_here", "ceiling"}
    assert len(pd.read_csv(tmp_path / "edges.csv")) == len(EDGES)
    assert "100 % of 5 edges of the network" in gpovae(*words)[1]
    for other, says in (
        (tmp_path / "r", "comes back in itself"),
        (run, "No gene is perturbed in both"),
        (tmp_path / "none", "no run, file of cells or table of effects"),
    ):
        code, _, err = gpovae("transfer", tmp_path / "r", other)
        assert code == 2
        assert says in err
    code, _, err = gpovae("transfer", tmp_path / "r", run, "--conditions", "a")
    assert code == 2
    assert "keeps its settings" in err
    assert gpovae("transfer", run, tmp_path / "there.csv")[0] == 2


def test_imported_runs_do_not_advise_what_cannot_work(gpovae, tmp_path):
    (tmp_path / "w.csv").write_text(",A,B\nA,0,0.9\nB,0.1,0\n")
    assert gpovae("import", tmp_path / "w.csv", "--run", tmp_path / "run")[0] == 0
    for command in (
        ("evaluate", tmp_path / "run"),
        ("report", tmp_path / "run", "--out", tmp_path / "r.txt"),
    ):
        code, _, err = gpovae(*command)
        assert code == 2
        assert "holds no cells" in err
        assert "gpovae evaluate" not in err


def test_names_in_predicted_effects_are_no_formulas():
    from gpovae_core.data.write import no_formulas

    assert no_formulas(["=SUM(1)", "+A", "-B", "@C", "\tD", "E", 1.5]) == [
        "'=SUM(1)",
        "'+A",
        "'-B",
        "'@C",
        "'\tD",
        "E",
        1.5,
    ]
