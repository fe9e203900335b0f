"""What the page Runs says about a run, gathered from its folder; no Streamlit in here."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from typing import Any

import pandas as pd

from dashboard.shared.words import ago
from gpovae_core.config import Settings, changed_from_preset, sections
from gpovae_core.data.schema import PreparationReport
from gpovae_core.errors import GpoVaeError
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.sentences import left_out_in_words, without_controls_in_words
from gpovae_core.runs.clusters.told import in_words
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
    """The state, with the place where it is at work on a cluster, or 'dead' for a run that says it is busy
    while nobody works on it.
    """
    if status.busy and status.job:
        words = in_words(status, now)
        return f"dead: {words}" if status.dead(now) else words
    if status.dead(now):
        return f"dead, silent for {ago(status.silent(now))}"
    return status.state


def run_row(name: str, run: RunFolder, evaluation: Evaluation | None) -> dict[str, Any]:
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
        scores = evaluation or Evaluation()
        rho = scores.against("test").by_prediction("ate_rho")
        row |= {key: rho.get(key) for key in ("model", "train_mean", "ceiling")}
        row |= {key: getattr(scores.network, key, None) for key in ("edges", "pairs", "threshold")}
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


def preparation_in_words(report: PreparationReport) -> str:
    """The numbers of the preparation in one paragraph."""
    words = (
        f"{report.cells_kept:,} of {report.cells_read:,} cells kept, {report.control_cells:,} of them "
        f"controls (label {report.control_label}); {len(report.perturbations):,} perturbations used; "
        f"{report.genes_measured:,} genes measured; counts from {report.counts_from}; {report.artifacts:,} "
        "cells marked as artifacts."
    )
    left_out = left_out_in_words(len(report.perturbations), report.dropped)
    missing = ", ".join(report.unmeasured_targets)
    unmeasured = f"Perturbed but not measured: {missing}." if missing else ""
    return " ".join(filter(None, (words, left_out, without_controls_in_words(report), unmeasured)))


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
