"""The tutorials run from the first cell to the last in an empty folder, and hold what a reader should see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import PROJECT

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: make install")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: make install")

NOTEBOOKS = sorted((PROJECT / "docs" / "notebooks").glob("*.ipynb"))
LARGEST = 80_000
"""Bytes: outputs are tables and small pictures."""


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["edge", "from_file_to_network"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_holds_small_outputs_and_nothing_of_the_machine(path: Path):
    text = path.read_text()
    assert len(text) < LARGEST
    assert not [part for part in ("/home/", "/tmp/", "/root/", "site-packages", "Traceback") if part in text]
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run it from the top"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.delenv(
        "MPLBACKEND", raising=False
    )  # Streamlit, in a test of its pages, sets one without pictures
    notebook = nbformat.read(path, 4)
    told = {place: len(cell.get("outputs", [])) for place, cell in enumerate(notebook.cells)}
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    plain = [
        [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
        for cell in notebook.cells
    ]
    assert {place: len(outputs) for place, outputs in enumerate(plain)} == told
