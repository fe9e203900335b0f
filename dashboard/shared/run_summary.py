"""What the page Runs says about a run, gathered from its folder; no Streamlit in here."""

from __future__ import annotations

import math
import shlex
from pathlib import PurePath
from typing import Any

import pandas as pd

from dashboard.shared.words import ago, number, percent
from gpovae_core.config import Settings, changed_from_preset, sections
from gpovae_core.data.schema import PreparationReport
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs.folder import RunFolder, Status

COLUMNS = {
    "name": "Run",
    "state": "State",
    "data": "Data",
    "kind": "Kind",
    "preset": "Preset",
    "progress": "Progress",
    "epochs": "Epochs",
    "model": "rho, model",
    "train_mean": "rho, baseline",
    "ceiling": "rho, ceiling",
    "edges": "Edges",
    "pairs": "Pairs",
    "threshold": "at W above",
    "differs": "Changed settings",
}


def state_in_words(status: Status, now: float | None = None) -> str:
    """The state, or 'dead' for a run that says it is busy while nobody works on it."""
    if status.dead(now):
        return f"dead, silent for {ago(status.silent(now))}"
    return status.state


def pick(report: Any, *path: str) -> Any:
    """Value deep inside nested dicts; None where any part is missing."""
    for part in path:
        report = report.get(part) if isinstance(report, dict) else None
    return report


def run_row(name: str, run: RunFolder, evaluation: dict[str, Any]) -> dict[str, Any]:
    """One row of the table of runs, with the keys of COLUMNS; a damaged run has its fault in `state`."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row["name"] = name
    try:
        run = RunFolder.open(run.path)
        source, status = run.source(), run.status()
        row |= {
            "state": state_in_words(status),
            "data": PurePath(source.path).name,
            "kind": "simulated" if source.simulated else "measured",
            "preset": run.settings().preset,
            "differs": changed_in_short(run.settings()),
            "progress": status.share if status.busy and not status.dead() else None,
            "epochs": status.epoch,
        }
        rho = pick(evaluation, "response", "test", "ate_rho")
        row |= {key: pick(rho, key) for key in ("model", "train_mean", "ceiling")}
        row |= {key: pick(evaluation, "network", key) for key in ("edges", "pairs", "threshold")}
    except GpoVaeError as error:
        row["state"] = f"cannot be read: {str(error).splitlines()[0]}"
    return row


def changed_in_short(settings: Settings) -> str:
    """The settings that differ from the preset in one line: 'hops 3, epochs 60'."""
    table = changed_settings(settings)
    if table.empty:
        return ""
    return ", ".join(
        f"{name.partition('.')[2].replace('_', ' ')} {value}"
        for name, value in zip(table["Setting"], table["This run"], strict=True)
    )


def changed_settings(settings: Settings) -> pd.DataFrame:
    """Settings that differ from their preset: section.field, value here, value of the preset, and what it
    means.
    """
    described = {name: type(part).model_fields for name, part in sections(settings).items()}
    return pd.DataFrame(
        [
            {
                "Setting": f"{section}.{field}",
                "This run": str(value),
                f"Preset '{settings.preset}'": str(other),
                "Meaning": described[section][field].description or "",
            }
            for (section, field), (value, other) in changed_from_preset(settings).items()
        ]
    )


SCORES = {
    "ate_rho": "ATE-rho, all effects pooled",
    "median_rho": "ATE-rho, median over perturbations",
    "r2": "R², all effects pooled",
}


def response_scores(evaluation: dict[str, Any], reference: str) -> pd.DataFrame:
    """Scores of the model between the baselines and the ceiling, one row per score; 'not defined' where a
    value is null.
    """
    part = pick(evaluation, "response", reference) or {}
    columns = {
        "model": "Model",
        "calibrated": "Model with training mean",
        "train_mean": "Training mean",
        "perturbation_mean": "Mean perturbation",
        "no_effect": "No effect",
        "ceiling": "Ceiling",
    }
    rows = [
        {"Score": name, **{label: number(pick(part, key, column)) for column, label in columns.items()}}
        for key, name in SCORES.items()
    ]
    return pd.DataFrame(rows)


def network_scores(evaluation: dict[str, Any]) -> pd.DataFrame:
    """muWD and the share of significant edges, each beside other networks with the same number of edges."""
    part = pick(evaluation, "network") or {}
    names = {"mu_wd": "Mean Wasserstein distance", "bh_share": "Share of edges with a significant effect"}
    return pd.DataFrame(
        {
            "Score": list(names.values()),
            "Edges": [number(pick(part, "edges"))] * 2,
            "This network": [number(pick(part, key)) for key in names],
            "Random edges, same number": [
                number(pick(part, "at_same_edges", "random", key)) for key in names
            ],
            "Largest mean differences, same number": [
                number(pick(part, "at_same_edges", "mean_difference", key)) for key in names
            ],
        }
    )


def response_note(evaluation: dict[str, Any], reference: str) -> str:
    """What stands under the table of response scores."""
    part = pick(evaluation, "response", reference) or {}
    return (
        f"{number(part.get('perturbations'))} perturbations, {number(part.get('cells'))} cells. Baselines: "
        "*training mean*, the plain mean of the training cells of the same perturbation; *mean "
        "perturbation*, one average effect for all; *no effect*. *Ceiling*: what a perfect prediction "
        "would reach against measurements as noisy as these. *Model with training mean*: both, weighed by "
        "the uncertainty of the training mean, the weight chosen on validation cells. Below a baseline the "
        "model adds nothing to a plain mean; at the ceiling nothing is left to gain with these data."
    )


def network_note(evaluation: dict[str, Any]) -> str:
    """What stands under the table of network scores: the edge count, and the false omission rate."""
    part = pick(evaluation, "network") or {}
    share, pairs = part.get("for"), part.get("for_pairs")
    omitted = (
        "not defined, because every pair has a path"
        if share is None
        else f"{number(share)} of {number(pairs)} pairs without a path"
    )
    edges, possible, threshold = (
        number(part.get("edges")),
        number(part.get("pairs")),
        number(part.get("threshold"), 2),
    )
    return (
        f"W above {threshold} leaves {edges} edges of {possible} possible pairs (perturbed source, measured "
        "target, held-out cells). False omission rate, the share of pairs without a path that do show an "
        f"effect: {omitted}. The Wasserstein distance falls with the number of edges, so compare networks "
        "only at the same number."
    )


def ranking_scores(evaluation: dict[str, Any], reference: str) -> pd.DataFrame:
    """Rankings of pairs at equal numbers of edges against held-out cells, one row per number and ranking;
    empty where not measured.

    reference: "as_measured" or "without_common_lift".
    """
    names = {
        "w": "W (direct edges)",
        "influence": "T_K (all that follows)",
        "mean_difference": "mean difference",
        "z": "log fold change over its error",
        "random": "random pairs",
    }
    return pd.DataFrame(
        [
            {
                "Strongest pairs": entry["edges"],
                "Ranked by": label,
                "Share with a significant effect": number(pick(entry, key, "bh_share")),
                "Mean Wasserstein distance": number(pick(entry, key, "mu_wd")),
            }
            for entry in pick(evaluation, "network", "rankings", reference) or []
            for key, label in names.items()
        ]
    )


def lift_in_words(evaluation: dict[str, Any]) -> str | None:
    """How far shares move together under single perturbations; None where not measured."""
    lifts = pick(evaluation, "network", "common_lift")
    if not lifts:
        return None
    gene = max(lifts, key=lambda name: abs(lifts[name]))
    return (
        "Shares of all counts add up to one: where an abundant gene falls, all others rise, and tests on "
        "normalised expression call them changed. The largest such common lift here is "
        f"{math.expm1(lifts[gene]):+.0%}, under {gene}. The second table takes it out of the held-out "
        "cells. W speaks of genes, not of shares, and belongs to that table; T_K is scored with the lift "
        "that it predicts."
    )


def health_facts(evaluation: dict[str, Any]) -> pd.DataFrame:
    """What the health report measured: one row each, with the value and how to read it."""
    part = pick(evaluation, "health") or {}
    rows = [
        (
            "Latent dimensions in use",
            f"{number(part.get('active_latent'))} of {number(part.get('latent'))}",
            "0: the basal state has collapsed",
        ),
        (
            "Mean norm of a perturbation's offset",
            number(part.get("offset_norm")),
            "0: the decoder is told nothing of the perturbation",
        ),
        (
            "W, mean and standard deviation",
            f"{number(pick(part, 'w', 'mean'))}, {number(pick(part, 'w', 'sd'))}",
            "all of W",
        ),
        (
            "W above 0.5, rows of perturbed genes",
            percent(pick(part, "w", "above_half_perturbed_rows")),
            "rows with direct evidence",
        ),
        (
            "W above 0.5, rows never perturbed",
            percent(pick(part, "w", "above_half_other_rows")),
            "rows without direct evidence",
        ),
        *_null_facts(evaluation),
    ]
    return pd.DataFrame(rows, columns=pd.Index(["Measured", "Value", "How to read it"]))


def _null_facts(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    null, rate = pick(evaluation, "alignment_null"), pick(evaluation, "network", "false_edge_rate")
    if null is None:
        at = number(pick(evaluation, "network", "threshold"), 2)
        return [
            (
                f"Estimated share of false edges, W above {at}",
                percent(rate),
                "no effect at all; from controls",
            )
        ]
    return [
        (
            f"Pairs whose median difference passes {number(null.get('cut'), 2)}",
            percent(null.get("real")),
            "by the alignment alone",
        ),
        (
            "The same with controls relabelled as perturbed",
            percent(null.get("null")),
            "noise: should be far below the row above",
        ),
    ]


def null_in_words(evaluation: dict[str, Any]) -> str | None:
    """What relabelled controls say, for whoever is about to read W as confidence; None where not measured."""
    rate = pick(evaluation, "network", "false_edge_rate")
    if rate is not None:
        return (
            f"Check against noise: with W above {number(pick(evaluation, 'network', 'threshold'), 2)}, an "
            f"estimated {percent(rate)} of the {number(pick(evaluation, 'network', 'edges'))} edges out of "
            "perturbed genes join genes without any effect, judged by control cells in the place of the "
            "perturbed ones. Controls cannot tell whether an effect is direct."
        )
    null = pick(evaluation, "alignment_null") or {}
    if null.get("real") is None or null.get("null") is None:
        return None
    return (
        f"Check against noise: the alignment alone would call {percent(null['real'])} of pairs an edge, and "
        f"{percent(null['null'])} where control cells are relabelled as perturbed. The closer the two, the "
        "less W above the threshold means."
    )


def preparation_in_words(report: PreparationReport) -> str:
    """The numbers of the preparation in one paragraph."""
    words = (
        f"{report.cells_kept:,} of {report.cells_read:,} cells kept, {report.control_cells:,} of them "
        f"controls (label {report.control_label}); {len(report.perturbations):,} perturbations; "
        f"{report.genes_measured:,} genes measured; counts from {report.counts_from}; {report.artifacts:,} "
        "cells marked as artifacts."
    )
    missing = ", ".join(report.unmeasured_targets)
    return f"{words} Perturbed but not measured: {missing}." if missing else words


def dropped(report: PreparationReport) -> pd.DataFrame:
    """What was left out and why, one row each."""
    return pd.DataFrame(
        [{"What": d.what, "Name": d.name, "Cells": d.count, "Reason": d.reason} for d in report.dropped]
    )


def criteria(report: PreparationReport) -> pd.DataFrame:
    """The quality criteria as they were applied, one row each."""
    return pd.DataFrame(
        [
            {
                "Criterion": c.name.replace("_", " "),
                "Used": "yes" if c.used else "no",
                "A cell fails when": f"{c.direction} {c.cutoff:,.4g}" if c.cutoff is not None else "",
                "Cells failing": c.failing,
                "Note": c.note,
            }
            for c in report.criteria
        ]
    )


def command(*words: object) -> str:
    """A command line that can be copied as it is, whatever characters its paths hold."""
    return shlex.join(str(word) for word in words)
