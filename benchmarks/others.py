"""Screens drawn by other people's simulators, where they are installed: grnlab (Hill kinetics, chemical
Langevin noise) and harissa (bursts of transcription, proteins).

    pip install --no-deps grnlab harissa

Cells of a perturbation are samples of one long trajectory of the perturbed network, far enough apart that
little is left of the last one: e^-2.5 of the slowest transcript in grnlab, 1/256 of a protein in harissa.
Expression is drawn once, counts from it at any depth: a library size that is log-normal, and Poisson counts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.simulate import CONTROL_LABEL

GENES, SILENT_GENES, PERTURBED = 60, 10, 30
CELLS_EACH, CONTROLS = 60, 400
LIBRARY_SPREAD = 0.35
LEAST_CHANGE = 0.1


@dataclass(frozen=True)
class Expression:
    """level: (cells, genes) amount of each transcript; label: (cells,) perturbation; edges: see worlds."""

    level: np.ndarray
    label: np.ndarray
    edges: pd.DataFrame

    def counted(self, depth: float) -> tuple[AnnData, pd.DataFrame]:
        """Counts of about `depth` a gene and control cell, and the edges."""
        rng = np.random.default_rng(0)
        scale = depth / self.level[self.label == CONTROL_LABEL].mean()
        library = rng.lognormal(0.0, LIBRARY_SPREAD, (len(self.label), 1))
        counts = sparse.csr_matrix(rng.poisson(self.level * scale * library).astype(np.float32))
        obs = pd.DataFrame({"perturbation": self.label}, index=[f"c{i:05d}" for i in range(len(self.label))])
        return AnnData(counts, obs=obs, var=pd.DataFrame(index=gene_names())), self.edges


def gene_names() -> list[str]:
    return [f"G{i:03d}" for i in range(GENES)]


def missing(simulator: str) -> str | None:
    """Why this simulator cannot be used here, in words; None where it can."""
    if importlib.util.find_spec(simulator) is not None:
        return None
    return f"Worlds of {simulator} are left out: it is not installed (pip install --no-deps {simulator})."


def grnlab_screen(topology: str, factor: float, seed: int = 0) -> Expression:
    """A random network of 50 genes and 10 without edges; perturbing a gene multiplies its production by
    `factor`.

    Only grnlab.simulate is used: its steady_state and knockout_screen call numpy.trapz, which numpy 2.4 no
    longer has.
    """
    import grnlab

    names = gene_names()
    inside = GENES - SILENT_GENES
    signs = np.zeros((GENES, GENES))  # grnlab's way: row = target, column = source
    signs[:inside, :inside] = grnlab.random_network(inside, topology=topology, mean_degree=1.0, seed=seed)
    model = grnlab.build_model(signs, seed=seed, labels=names)
    rng = np.random.default_rng(seed)
    regulators = np.flatnonzero((signs != 0).any(axis=0))
    rest = np.setdiff1d(np.arange(GENES), regulators)
    perturbed = np.sort(
        np.concatenate([rng.permutation(regulators)[:PERTURBED], rng.permutation(rest)])[:PERTURBED]
    )

    def run(cells: int, gene: int | None, noise: str = "langevin") -> np.ndarray:
        changed, noisy = model, noise != "none"
        if gene is not None:
            changed = grnlab.perturb(model, knockdown=[gene], knockdown_factor=factor)
        found = grnlab.simulate(
            changed,
            duration=5.0 * (cells - 1) if noisy else 60.0,
            sample_dt=5.0 if noisy else 60.0,
            dt=0.1,
            transient=30.0 if noisy else 0.0,
            noise=noise,
            noise_strength=0.15,
            seed=seed + 1 + (gene if gene is not None else GENES),
        )
        return found.x if noisy else found.x[-1:]

    still = run(1, None, "none")[0]
    visible = _change_over_one_edge(model, still, factor)
    return _screen(run, perturbed, _edges(signs.T, visible, names))


def _change_over_one_edge(model: Any, still: np.ndarray, factor: float) -> np.ndarray:
    """(genes, genes) bool, row = source: the production of the target changes by more than LEAST_CHANGE where
    the source alone has `factor` of its amount and every other regulator stays.
    """
    base = model.production(0.0, still)
    changed = np.zeros((GENES, GENES), dtype=bool)
    for gene in range(GENES):
        other = still.copy()
        other[gene] *= factor
        now = model.production(0.0, other)
        changed[gene] = np.abs(now - base) > LEAST_CHANGE * np.maximum(base, 1e-12)
    return changed


def harissa_screen(factor: float, loops: bool, seed: int = 0) -> Expression:
    """Bursty transcription, proteins that regulate; perturbing a gene multiplies the rate of its bursts by
    `factor`. loops: a third of the edges run back against the order of the genes.

    harissa's NetworkModel rescales proteins by the rate of bursts, which would take a perturbation out again,
    so its process is used directly and the rate is changed afterwards.
    """
    from harissa import NetworkModel
    from harissa.simulation.pdmp_fast import BurstyPDMP
    from numba import njit

    @njit
    def start_from(number: int) -> None:  # numba has a generator of its own
        np.random.seed(number)

    names = gene_names()
    rng = np.random.default_rng(seed)
    model: Any = NetworkModel(GENES)
    strength = _random_strengths(rng, loops)
    model.inter[1:, 1:] = strength
    # Half way up where every regulator stands at half of its range.
    model.basal[1:] = -0.5 * strength.sum(axis=0)
    model.d[1, :] = np.log(2) / 10  # per hour; harissa's own 46 hours would have cells 370 hours apart
    regulators = np.flatnonzero((strength != 0).any(axis=1))
    perturbed = np.sort(rng.permutation(regulators)[:PERTURBED])

    def run(cells: int, gene: int | None) -> np.ndarray:
        start_from(seed + 1 + (gene if gene is not None else GENES))
        process = BurstyPDMP(model.a, model.d, model.basal, model.inter, thin_adapt=False)  # exact either way
        process.state["P"][1:] = 0.5
        if gene is not None:
            process.param["K1"][gene + 1] *= factor
            process.param["K0"][gene + 1] *= factor
        return process.simulation(100.0 + 80.0 * np.arange(cells))["M"]

    # Over one edge alone the protein of the source falls from a half to factor / 2.
    off = 0.5 * (1 - factor) * np.abs(strength)
    visible = np.abs(2 / (1 + np.exp(off)) - 1) > LEAST_CHANGE
    return _screen(run, perturbed, _edges(np.sign(strength), visible, names))


def _random_strengths(rng: np.random.Generator, loops: bool) -> np.ndarray:
    """(genes, genes) row = source; about one edge a gene among all but the last SILENT_GENES."""
    inside = GENES - SILENT_GENES
    strength = np.zeros((GENES, GENES))
    while (strength != 0).sum() < inside:
        low, high = np.sort(rng.choice(inside, 2, replace=False))
        source, target = (high, low) if loops and rng.random() < 1 / 3 else (low, high)
        strength[source, target] = rng.choice([-1.0, 1.0], p=[0.35, 0.65]) * rng.uniform(3.0, 6.0)
    return strength


def _screen(
    run: Callable[[int, int | None], np.ndarray], perturbed: np.ndarray, edges: pd.DataFrame
) -> Expression:
    names = gene_names()
    levels = [run(CONTROLS, None), *(run(CELLS_EACH, int(gene)) for gene in perturbed)]
    labels = [CONTROL_LABEL] * len(levels[0])
    for gene, part in zip(perturbed, levels[1:], strict=True):
        labels += [names[gene]] * len(part)
    return Expression(np.concatenate(levels), np.array(labels, dtype=object), edges)


def _edges(sign: np.ndarray, visible: np.ndarray, names: list[str]) -> pd.DataFrame:
    """sign: (genes, genes), row = source."""
    rows, columns = np.nonzero(sign * (1 - np.eye(len(sign))))
    return pd.DataFrame(
        {
            keys.SOURCE: [names[i] for i in rows],
            keys.TARGET: [names[j] for j in columns],
            keys.SIGN: sign[rows, columns].astype(int),
            "visible": visible[rows, columns],
        }
    )


KINDS: dict[str, dict[str, Callable[[], Expression]]] = {
    "grnlab": {
        "hubs": lambda: grnlab_screen("scalefree", 0.2),
        "knock-out": lambda: grnlab_screen("erdosrenyi", 0.0),
    },
    "harissa": {
        "loops": lambda: harissa_screen(0.2, loops=True),
        "knock-out": lambda: harissa_screen(0.0, loops=False),
    },
}
"""Simulator -> name -> a way to draw it; about a minute each."""
