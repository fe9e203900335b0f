"""Where the genes that do not respond lie, for a perturbation that moves most of those that are measured.

The common lift of all shares is the weighted median over genes (effects.contrasts), which most genes must
not have left. Where fewer than half lie within what counting scatters around the median, it stands among
genes that moved. Then their log fold changes are taken for a mixture: unchanged genes, which share one place
and scatter by their errors alone, and moved ones, which scatter widely around a place of their own. The
place of the first is the lift, if the data tell it apart from every other place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNCHANGED = 0.05
"""Log fold changes of about this size are none."""
WITHIN = 2.0
"""Standard errors around the lift within which a gene is taken not to have moved."""
MOST = 0.5
LEAST_WIDE = 0.15
"""Standard deviation of what genes that moved do, natural log: narrower ones are no second kind."""
APART = 0.1
"""Places nearer to one another are the same, natural log."""
CLEAR = 8.0
"""By how much the log likelihood of a place must exceed that of any other, the median among them."""
FEWEST = 8
"""Genes that the lift must be read off."""
_STARTS, _STEPS, _SHARES = 24, 60, (0.02, 0.98)


@dataclass(frozen=True)
class Place:
    """Of the unchanged genes. at: natural log fold change; share: of the genes that lie there; clear: whether
    the data tell it apart from other places.
    """

    at: float
    share: float
    clear: bool

    @property
    def at_median(self) -> bool:
        return abs(self.at) <= APART


def place_of_unchanged(values: np.ndarray, errors: np.ndarray) -> Place:
    """The place that most likely holds the genes that did not move; 0 is where the median has it.

    values, errors: (k,) log fold changes and their standard errors.
    """
    starts = np.append(np.quantile(values, np.linspace(*_SHARES, _STARTS)), 0.0)
    at, share, likelihood = _places(values, errors, starts)
    best = int(np.argmax(likelihood[:-1]))
    apart = np.abs(at - at[best]) > APART
    other = likelihood[apart].max(initial=-np.inf)
    clear = likelihood[best] - other > CLEAR and share[best] * len(values) >= FEWEST
    return Place(float(at[best]), float(share[best]), bool(clear))


def _places(
    values: np.ndarray, errors: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(s,) place, share and log likelihood that expectation maximisation ends at from every start; the last
    one stays where it is.
    """
    narrow = errors**2 + UNCHANGED**2
    at, share = starts.copy()[:, None], np.full((len(starts), 1), 0.5)
    mean, variance = np.full_like(at, values.mean()), np.full_like(at, max(values.var(), LEAST_WIDE**2))
    joint = np.zeros((len(starts), len(values)))
    for _ in range(_STEPS):
        wide = errors**2 + variance
        one = np.log(share) - 0.5 * (np.log(narrow) + (values - at) ** 2 / narrow)
        two = np.log1p(-share) - 0.5 * (np.log(wide) + (values - mean) ** 2 / wide)
        joint = np.logaddexp(one, two)
        unchanged = np.exp(one - joint)
        moved = 1 - unchanged
        share = np.clip(unchanged.mean(axis=1, keepdims=True), *_SHARES)
        at[:-1] = _mean(values, unchanged / narrow)[:-1]
        mean = _mean(values, moved / wide)
        beyond = (moved * ((values - mean) ** 2 - errors**2)).sum(axis=1, keepdims=True)
        total = np.maximum(moved.sum(axis=1, keepdims=True), 1e-9)
        variance = np.maximum(beyond / total, LEAST_WIDE**2)
    return at[:, 0], share[:, 0], joint.sum(axis=1)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights * values).sum(axis=1, keepdims=True) / np.maximum(
        weights.sum(axis=1, keepdims=True), 1e-300
    )
