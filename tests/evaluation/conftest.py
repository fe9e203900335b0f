"""Prepared cells drawn from a small known network, made directly: no file, no preparation."""

from __future__ import annotations

from collections.abc import Sequence

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells

PERTURBED = ("PERT0", "PERT1", "PERT2", "PERT3", "PERT4", "PERT5")
EXTENDED = ("VIA0", "VIA1", "VIA2")
UNMEASURED = "PERT5"
EDGES = (
    ("PERT0", "PERT1"),
    ("PERT0", "VIA0"),
    ("VIA0", "PERT3"),
    ("PERT2", "VIA1"),
    ("PERT4", "PERT2"),
    ("PERT5", "VIA2"),
)
"""The true network; PERT0 reaches PERT3 only through VIA0, which is never perturbed."""


def true_network(panel: Panel) -> np.ndarray:
    """(n, n) bool."""
    adjacency = np.zeros((len(panel), len(panel)), dtype=bool)
    for source, target in EDGES:
        adjacency[panel.index[source], panel.index[target]] = True
    return adjacency


def _total_effects(genes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Log fold change of every gene under every perturbation: a knock-down that halves at each step of a
    path.
    """
    effects: dict[str, dict[str, float]] = {}
    for source in PERTURBED:
        shift, frontier = {source: -2.0}, [source]
        while frontier:
            here = frontier.pop()
            for a, b in EDGES:
                if a == here and b not in shift:
                    shift[b] = shift[a] * 0.7
                    frontier.append(b)
        effects[source] = {gene: value for gene, value in shift.items() if gene in genes}
    return effects


def build_screen(
    seed: int = 0,
    cells: int = 60,
    controls: int = 150,
    rest: int = 60,
    extra: dict[str, int] | None = None,
    unseen: tuple[str, ...] = (),
) -> PreparedCells:
    """Poisson counts under the network above. extra: more perturbations (combinations too) -> cells; unseen:
    all cells held out.
    """
    rng = np.random.default_rng(seed)
    genes = [g for g in (*PERTURBED, *EXTENDED) if g != UNMEASURED] + [f"REST{i:02d}" for i in range(rest)]
    names = {**dict.fromkeys(PERTURBED, cells), **(extra or {})}
    labels = np.repeat([keys.CONTROL, *names], [controls, *names.values()]).astype(object)
    splits = rng.choice([keys.TRAIN, keys.VALIDATION, keys.TEST], p=[0.5, 0.1, 0.4], size=len(labels)).astype(
        object
    )
    splits[np.isin(labels, list(unseen))] = keys.UNSEEN

    base = rng.normal(1.5, 0.5, size=len(genes))
    effects = _total_effects(genes)
    shift = np.zeros((len(labels), len(genes)))
    for row, label in enumerate(labels):
        for gene in str(label).split(keys.PAIR_SEPARATOR):
            for target, value in effects.get(gene, {}).items():
                shift[row, genes.index(target)] += value
    depth = rng.lognormal(0, 0.3, size=(len(labels), 1))
    counts = sparse.csr_matrix(rng.poisson(depth * np.exp(base + shift)).astype(np.float32))

    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: np.zeros(len(labels), dtype=bool),
            keys.SPLIT: splits,
            keys.CONTROL_ID: "",
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1)).ravel().astype(float),
        },
        index=pd.Index([f"cell{i:04d}" for i in range(len(labels))], dtype=object),
    )
    shuffled = rng.permutation(len(labels))
    adata = anndata.AnnData(X=counts, obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=object)))[
        shuffled
    ].copy()
    panel = Panel(
        PanelData(
            perturbed=PERTURBED,
            extended=EXTENDED,
            measured=tuple(g for g in (*PERTURBED, *EXTENDED) if g in genes),
        )
    )
    report = PreparationReport(
        source="drawn.h5ad",
        simulated=True,
        cells_read=len(labels),
        cells_kept=len(labels),
        genes_measured=len(genes),
        counts_from="X",
        label_column="perturbation",
        control_label="control",
        perturbations=names,
        control_cells=controls,
    )
    return PreparedCells(cells=adata, panel=panel, report=report)


@pytest.fixture(scope="session")
def screen() -> PreparedCells:
    return build_screen()
