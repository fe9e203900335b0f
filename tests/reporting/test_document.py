"""Reports of runs: what they hold, that a page asks for nothing and runs nothing of a run's text, and what
older runs give.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gpovae_core.data.schema import DesignColumns, Directions
from gpovae_core.errors import QueryError, RunError
from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.known import Known, KnownEdges
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import write_evaluation
from gpovae_core.evaluation.summary import RESPONSE, achieved, lines
from gpovae_core.reporting.document import (
    RunReport,
    comparison_table,
    groups,
    report_html,
    report_json,
    report_text,
    write_report,
)
from gpovae_core.reporting.paragraph import methods
from gpovae_core.reporting.sentences import verdicts
from gpovae_core.reporting.tables import hop_table, reference_table, score_table, truth_table
from gpovae_core.runs.folder import RunFolder
from tests.evaluation.conftest import EDGES, build_screen, true_network
from tests.evaluation.test_evaluate import SETTINGS, prediction
from tests.fake_run import HOSTILE, make_fake_run


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    screen = build_screen(extra={"PERT0+PERT2": 40})
    truth = pd.DataFrame([(s, t, 1.0) for s, t in EDGES], columns=["source", "target", "weight"])
    known = KnownEdges("<b>Known</b>", True, frozenset((s.casefold(), t.casefold()) for s, t in EDGES))
    weights = np.where(true_network(screen.panel), 0.9, 0.1)
    scored = Scored(screen, prediction(screen), weights, SETTINGS.threshold)
    return evaluate(scored, SETTINGS, Known([known], truth))


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> RunFolder:
    """A run as an earlier version evaluated it, with hostile names."""
    return make_fake_run(
        tmp_path_factory.mktemp("reporting") / "old", names=HOSTILE, n_perturbed=8, n_extended=4
    )


@pytest.fixture(scope="module")
def new(tmp_path_factory, evaluation) -> RunFolder:
    run = make_fake_run(tmp_path_factory.mktemp("reporting") / "new")
    write_evaluation(run, evaluation)
    return run


@pytest.mark.parametrize(
    ("value", "baseline", "ceiling", "share"),
    [
        (0.5, 0.0, 1.0, 0.5),
        (0.8, 0.9, 1.0, -1.0),
        (0.1, 0.2, 0.0, 0.5),
        (0.5, 0.9, 0.9, None),
        (None, 0.0, 1.0, None),
        (0.5, None, 1.0, None),
    ],
)
def test_share_of_the_achievable(value, baseline, ceiling, share):
    assert achieved(value, baseline, ceiling) == (None if share is None else pytest.approx(share))


def test_every_score_has_its_baseline_and_says_what_it_rests_on(evaluation):
    found = {line.name: line for line in lines(evaluation)}
    assert {line.key for line in found.values()} >= {
        *RESPONSE,
        "mu_wd",
        "bh_share",
        "raw_share",
        "for",
        "influence_mu_wd",
        "w_direct",
        "signs",
    }
    for line in found.values():
        assert line.baseline_name
        assert re.search(r"\d", line.amount)
        if line.value is not None and line.group in ("response", "network"):
            assert line.baseline is not None, line.name
            assert line.ceiling is not None, line.name
    test = evaluation.response.test.ate_rho
    rho = found["ATE-rho, all effects pooled"]
    assert (rho.value, rho.baseline, rho.ceiling) == (
        test["model"],
        test["perturbation_mean"],
        test["ceiling"],
    )
    assert rho.rival == max(test["train_mean"], test["linear"], test["additive"])
    missed = found["W: false omission rate"]
    assert missed.lower
    assert missed.value < missed.baseline
    assert missed.share > 0
    judged = [line for line in found.values() if line.beats is not None]
    assert any(line.beats for line in judged)
    for group in ("response", "network", "truth"):
        mine = [line for line in judged if line.group == group]
        won = sum(bool(line.beats) for line in mine)
        assert any(f"on {won} of {len(mine)} scores" in words for words in verdicts(evaluation))


def test_a_baseline_that_covers_fewer_perturbations_is_no_rival(evaluation):
    fewer = evaluation.to_json()
    part = fewer["response"]["test"]
    part["compared"]["train_mean"] -= 1
    part["ate_rho"]["train_mean"] = 0.999
    rho = next(line for line in lines(Evaluation.from_json(fewer)) if line.key == "ate_rho")
    assert rho.rival_name != "training mean"


def test_the_page_holds_everything_and_asks_for_nothing(new, evaluation):
    page = report_html([RunReport.of(new)])
    for words in (
        "Share of the achievable",
        "equal numbers of edges",
        "By path length",
        "Known networks",
        "The true network",
        "Methods",
    ):
        assert words in page
    assert "&lt;b&gt;Known&lt;/b&gt;" in page
    assert "<b>Known" not in page
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)\s*=", page)
    assert len(hop_table(evaluation.network)) == 5
    ranked = len(evaluation.network.references[0].rankings)
    assert len(reference_table(evaluation.network)) == len(truth_table(evaluation.network)) / 2 == ranked >= 9
    assert not score_table(lines(evaluation)).empty


def test_names_of_a_run_are_text(old):
    hostile = replace(RunReport.of(old), name=HOSTILE[0], data="<script>alert(2)</script>.h5ad")
    page = report_html([hostile, RunReport.of(old)])
    assert HOSTILE[0] not in page
    assert "alert(2)</script>" not in page
    assert "&lt;script&gt;alert(2)" in page


def test_older_runs_are_reported_as_far_as_they_were_measured(old):
    report = RunReport.of(old)
    assert not report.complete
    assert [line.key for line in report.lines][:2] == ["ate_rho", "median_rho"]
    assert json.loads(report_json([report]))["run"] == "old"
    assert "preset 'released'" in report_text([report])


def test_the_methods_name_every_setting_and_all_seeds(new):
    report = RunReport.of(new)
    text = report_text([report])
    for words in (
        "Seeds: data 0, training 0, inference 0, evaluation 0",
        "training.learning_rate = 0.0003",
        "loss.hops = 5",
        "linear model",
    ):
        assert words in text
    plain = json.loads(report_json([report]))
    assert plain["settings"]["loss.hops"] == 5
    assert {"value", "baseline", "ceiling", "share", "rival"} <= set(plain["summary"][0])


def test_the_methods_name_the_design_that_was_read(new):
    report = RunReport.of(new)
    assert report.preparation is not None
    design = DesignColumns(batch="lane", size_factor="n_counts", direction="knock-out")
    told = methods(
        report.settings,
        report.preparation.model_copy(update={"design": design}),
        report.evaluation,
        3,
        2,
    )
    assert "batch ('lane') and count of the whole transcriptome ('n_counts') of every cell" in told
    assert "own expression shows a knock-out" in told
    without = report.preparation.model_copy(update={"design": None})
    assert "own expression" not in methods(report.settings, without, report.evaluation, 3, 2)


def test_the_methods_say_what_was_done_to_the_genes_and_by_what(new):
    report = RunReport.of(new)
    assert report.preparation is not None
    genes = list(report.preparation.perturbations)

    def told(direction, known=None, perturbation="auto", kinds=None):
        preparation = report.preparation.model_copy(
            update={
                "design": DesignColumns(direction=direction),
                "directions": known or Directions(),
            }
        )
        network = report.settings.network.model_copy(update={"perturbation": perturbation})
        settings = report.settings.model_copy(update={"network": network})
        return methods(settings, preparation, report.evaluation, 3, 2, kinds)

    stated = Directions(stated=dict.fromkeys(genes, "activation"), where="obs['perturbation_type']")
    assert "The file states an activation (obs['perturbation_type'])" in told("activation", stated)
    both = Directions(stated=stated.stated | {genes[0]: "knock-down"}, where="obs['perturbation_type']")
    assert f"an activation ({len(genes) - 1}) and a knock-down (1)" in told("mixed", both)
    assert "neither stated nor shown" in told(None)
    assert "a loss of 90 % of the function, was assumed" in told(None)
    assert "was given: over-expression" in told("knock-down", None, "over-expression")
    assert "not read: a knock-out" in told("knock-down", None, "none")
    assert "read off its own expression" in told("knock-down", None, "mixed")
    assert "as to a knock-out of 3 genes" in told("knock-down", None, "auto", {"knock-out": 3})
    assert "training cells alone" not in told("knock-down", None, "auto", {"knock-down": 3})


def test_runs_that_differ_in_seeds_alone_stand_together(new):
    one = RunReport.of(new)
    seeds = one.settings.model_copy(update={"training": one.settings.training.model_copy(update={"seed": 4})})
    hops = one.settings.model_copy(update={"loss": one.settings.loss.model_copy(update={"hops": 2})})
    other = one.evaluation.to_json()
    other["response"]["test"]["ate_rho"]["model"] -= 0.1
    three = [
        one,
        replace(one, name="two", settings=seeds, evaluation=Evaluation.from_json(other)),
        replace(one, name="three", settings=hops),
    ]
    assert [len(members) for members in groups(three).values()] == [2, 1]
    table = comparison_table(three).set_index("Score")
    together, alone = table.loc["ATE-rho, all effects pooled"]
    value = one.evaluation.response.test.ate_rho["model"]
    assert together.startswith(f"{value - 0.05:.3f} ± {0.1 / np.sqrt(2):.3f}")
    assert alone.startswith(f"{value:.3f} (")
    assert "± " in report_html(three)


def test_what_cannot_be_reported_says_so(new, old, tmp_path):
    with pytest.raises(QueryError, match=r"\.html, \.json, \.txt"):
        write_report([new], tmp_path / "report.pdf")
    bare = make_fake_run(tmp_path / "bare")
    (bare.path / "evaluation.json").unlink()
    with pytest.raises(RunError, match="gpovae evaluate"):
        write_report([bare], tmp_path / "report.html")
    write_report([new, old], tmp_path / "both.json")
    assert [one["run"] for one in json.loads((tmp_path / "both.json").read_text())] == ["new", "old"]
