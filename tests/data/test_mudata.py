"""MuData as its own writer writes it: several modalities, cells in another order and not in all of them, obsm
and obsmap of the whole, labels where laboratories keep them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data.read import read_cells
from gpovae_core.data.validate import examine
from tests.data.small import small_cells
from tests.data.test_forms import check

mudata = pytest.importorskip("mudata")
pytestmark = pytest.mark.filterwarnings("ignore")

GUIDES = [f"{name}_g{i}" for name in ("GENE03", "GENE11", "GENE20", "non-targeting") for i in (1, 2)]


def guide_counts(labels: pd.Series) -> np.ndarray:
    """(cells, guides) 30 of one guide of the label, and few of others."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.2, (len(labels), len(GUIDES)))
    own = [GUIDES.index(f"{label}_g{1 + i % 2}") for i, label in enumerate(labels)]
    counts[np.arange(len(labels)), own] += 30
    return counts.astype(np.float32)


def written(path: Path, rna: str, guides: str, labels_in: str, normalised: bool = False) -> Path:
    rng = np.random.default_rng(2)
    cells = small_cells()
    labels = cells.obs["perturbation"].astype(str)
    own = cells.copy()
    own.obs = cells.obs[["perturbation"]] if labels_in == "genes" else cells.obs[[]]
    own.obsm["X_pca"] = rng.normal(size=(cells.n_obs, 4))
    if normalised:
        own.layers["counts"] = own.X.copy()
        own.X = sparse.csr_matrix(np.log1p(own.X.toarray()))
    parts = {
        "atac": AnnData(sparse.csr_matrix(rng.poisson(1.0, (cells.n_obs, 6)).astype(np.float32))),
        "prot": AnnData(rng.poisson(9.0, (cells.n_obs, 3)).astype(np.float32)),
        guides: AnnData(sparse.csr_matrix(guide_counts(labels))),
    }
    for name, part in parts.items():
        part.obs_names = cells.obs_names
        part.var_names = GUIDES if name == guides else [f"{name}-{i}" for i in range(part.n_vars)]
        if name == guides and labels_in == "guides":
            part.obs["target"] = labels
        order = rng.permutation(cells.n_obs)
        parts[name] = part[order if name == guides else order[:-20]].copy()
    whole: Any = mudata.MuData({rna: own, **parts})
    if labels_in == "whole":
        whole.obs["perturbation"] = labels.reindex(whole.obs_names)
    whole.obsm["X_wnn"] = rng.normal(size=(whole.n_obs, 2))
    assert rna in whole.obsmap
    whole.write(path)
    return path


@pytest.mark.parametrize("labels_in", ["genes", "whole", "guides", "nowhere"])
@pytest.mark.parametrize(
    ("rna", "guides"), [("rna", "guide"), ("RNA", "crispr"), ("gex", "gdo"), ("transcriptome", "sgRNA")]
)
def test_labels_and_counts_are_those_that_were_written(
    tmp_path: Path, rna: str, guides: str, labels_in: str
) -> None:
    path = written(tmp_path / "screen.h5mu", rna, guides, labels_in, normalised=labels_in == "whole")
    examination = examine(read_cells(path), DataSettings())
    check(examination)
    note = f"Genes are read from the modality '{rna}', guides from '{guides}'; not used: atac, prot."
    assert note in examination.summary["notes"]
    about = {decision.about: decision.taken for decision in examination.decisions}
    assert ("guide calls" in about["Labels"]) == (labels_in == "nowhere")


def test_its_counts_are_read_in_blocks_where_they_are_too_many(tmp_path: Path, monkeypatch: Any) -> None:
    path = written(tmp_path / "screen.h5mu", "rna", "guide", "nowhere")
    held = examine(read_cells(path), DataSettings())
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    stored = examine(read_cells(path), DataSettings())
    assert stored.summary == held.summary
    assert stored.reading is not None
    assert held.reading is not None
    rows = np.arange(len(held.reading.labels))
    assert (stored.reading.counts[rows] != held.reading.counts[rows]).nnz == 0
