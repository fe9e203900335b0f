"""What cells with several perturbed genes say of one of them: cells with A and B beside cells with B alone.

In a regression of log fold changes on dosages a pair says of A what is left when the effect of B is taken
off it. Here it is taken off where it was measured, in the cells with the same genes but A: no effect of B has
to be known, and counts are compared with counts, so that errors hold for few of them. For three labels A, B
and A+B that is the regression itself, weighted by the variances of the three (tests/effects/test_beside.py).

Effects need not add up. How far those in pairs lie from that of A alone, beyond their errors, is part of
their variance, and together they never count for more than the cells with A alone: so a pair that does
something of its own never moves the effect of A by more than the error that is left. A gene that is perturbed
beside others only has no effect of its own.
"""

from __future__ import annotations

import numpy as np

from gpovae_core import keys

AGREEING = 1.0
"""Degrees of freedom with which effects in pairs are expected to agree before they are seen (a moderated
variance, as Smyth 2004 moderates one). Guides of one gene are expected to agree more (effects.contrasts):
where every pair of a simulated screen interacts, 2 finds more false edges than 1, and where none does, no
more true ones (benchmarks/pairs.py).
"""


def parts(label: str) -> tuple[str, ...]:
    """The genes of a label, in its order."""
    return tuple(label.split(keys.PAIR_SEPARATOR))


def beside_others(labels: np.ndarray, genes: set[str]) -> dict[str, dict[str, str]]:
    """Label -> {gene -> the label with that gene on top}, for those of `genes` whose perturbation can be seen
    in cells of the first label; labels: (cells,), two cells of each are needed.
    """
    names, number = np.unique(labels.astype(str), return_counts=True)
    known = {frozenset(parts(name)): name for name in names[number > 1].tolist() if name != keys.CONTROL}
    found: dict[str, dict[str, str]] = {}
    for together, name in known.items():
        for gene in parts(name) if len(together) > 1 else ():
            others = known.get(together - {gene})
            if others is not None and gene in genes:
                found.setdefault(others, {})[gene] = name
    return found


def joined(
    effect: np.ndarray, error: np.ndarray, effects: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Effect and standard error of a gene, (n,) each, from those of its cells alone (n,) and those beside k
    others (k, n), infinite errors where nothing was measured; what only others say is left out.

    Two variances are added to those beside others: between them (DerSimonian and Laird 1986), and between
    them and the gene alone, either only as far as more than their errors is seen, moderated by AGREEING.
    """
    weight = 1 / errors**2
    mean, total = _mean(effects, weight)
    number = np.isfinite(errors).sum(axis=0)
    free = np.maximum(number - 1, 0)
    off = (weight * (effects - mean) ** 2).sum(axis=0)
    independent = total - (weight**2).sum(axis=0) / np.maximum(total, 1e-300)
    between = _excess(off, free) * free / np.maximum(independent, 1e-300)
    weight = 1 / (errors**2 + np.where(free > 0, between, 0.0))
    mean, total = _mean(effects, weight)
    usable = (total > 0) & np.isfinite(error)
    own = np.where(usable, error, 1.0) ** 2
    beside = np.maximum(1 / np.where(usable, total, 1.0), own)
    apart = own + beside
    beside += _excess((mean - effect) ** 2 / apart, np.ones(1)) * apart
    share = own / (own + beside)
    return (
        np.where(usable, effect + share * (mean - effect), effect),
        np.where(usable, np.sqrt(share * beside), error),
    )


def _mean(effects: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = weight.sum(axis=0)
    return (weight * effects).sum(axis=0) / np.maximum(total, 1e-300), total


def _excess(squares: np.ndarray, free: np.ndarray) -> np.ndarray:
    """How far a sum of squares of `free` standard normals exceeds its mean, moderated, per degree."""
    return np.maximum((AGREEING + squares) / (AGREEING + free) - 1, 0.0)
