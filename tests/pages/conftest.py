"""Runs for the pages, made once; and the app opened on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from gpovae_core.runs.folder import MASK_LOGITS, RunFolder
from tests.app_words import Opener
from tests.fake_run import HOSTILE, make_fake_run

APP = str(Path(__file__).resolve().parent.parent.parent / "app.py")


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of every kind; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs")
    make_fake_run(folder / "plain", seed=1, simulated=False)
    make_fake_run(folder / "toy", seed=2)
    make_fake_run(folder / "hostile", names=HOSTILE, n_perturbed=8, n_extended=4, seed=3)
    make_fake_run(folder / "one", n_perturbed=1, n_extended=0, n_measured=3, seed=4)
    _damage(folder)
    return folder


def _damage(folder: Path) -> None:
    """Runs that are wrong in one way each."""
    shutil.copytree(folder / "plain", folder / "nan")
    n = len(RunFolder(folder / "nan").panel())
    save_file({MASK_LOGITS: np.full((n, n), np.nan, dtype=np.float32)}, folder / "nan" / "model.safetensors")

    shutil.copytree(folder / "plain", folder / "future")
    config = json.loads((folder / "future" / "config.json").read_text())
    (folder / "future" / "config.json").write_text(json.dumps({**config, "format": 99}))

    shutil.copytree(folder / "plain", folder / "bare")
    for name in ("model.safetensors", "effects.h5ad", "evaluation.json", "cells.h5ad", "metrics.jsonl"):
        (folder / "bare" / name).unlink()

    shutil.copytree(folder / "plain", folder / "torn")
    for name in ("effects.h5ad", "model.safetensors", "cells.h5ad"):
        content = (folder / "torn" / name).read_bytes()
        (folder / "torn" / name).write_bytes(content[: len(content) // 2])
    (folder / "torn" / "evaluation.json").write_text('{"response": ')

    shutil.copytree(folder / "plain", folder / "broken_config")
    (folder / "broken_config" / "config.json").write_text("{")

    shutil.copytree(folder / "plain", folder / "dead")
    status = json.loads((folder / "dead" / "status.json").read_text())
    (folder / "dead" / "status.json").write_text(
        json.dumps({**status, "state": "training", "heartbeat": status["heartbeat"] - 7200})
    )

    shutil.copytree(folder / "plain", folder / "nulls")
    report = json.loads((folder / "nulls" / "evaluation.json").read_text())
    (folder / "nulls" / "evaluation.json").write_text(json.dumps(_all_null(report)))


def _all_null(value: object) -> object:
    """The same structure with every number null."""
    if isinstance(value, dict):
        return {key: _all_null(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_all_null(part) for part in value]
    return None if isinstance(value, int | float) else value


@pytest.fixture
def open_app(made_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """open_app(page, run=..., **url): the app on that page; `folder` takes the place of the made runs."""

    def opener(page: str = "runs", folder: Path = made_runs, **url: str) -> AppTest:
        monkeypatch.setenv("GPOVAE_RUNS_DIR", str(folder))
        app = AppTest.from_file(APP, default_timeout=180)
        for name, value in url.items():
            app.query_params[name] = value
        app.run()
        return app if page == "home" else app.switch_page(f"pages/{page}.py").run()

    return opener
