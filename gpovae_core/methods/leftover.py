"""What an effect that no path explains may be beside an edge: what a linear network leaves of a real one.

The regressions behind W (methods.ascent) ask whether a path explains an effect, within a tolerance of itself.
Their odds grow without bound with the precision of the effect. Real responses are not linear, so beyond some
twenty to one it is sure that something is left, and no surer that it is an edge. What tells edges from such
rests is their strength: where the truth is known, in worlds of other people's simulators as in those of this
project's own, the odds against an edge fall with its strength to the power FALL, and little with the odds of
the regression (SLOPE).

One kind of rest is large. Where the source turns a gene against that gene's own perturbation (it raises what
was knocked down), nothing says what that gene then passes on: a target near its floor hardly answers when its
regulator is lost, and answers manifold when it rises. Where the gene's own perturbation shows any effect on
the target, however small, such a path is there, and no less probable than an edge.
"""

from __future__ import annotations

import numpy as np

from gpovae_core.data.cores import one_core_products
from gpovae_core.methods.explained import LOG_ODDS_LIMIT, TotalEffects, felt

REST, FALL, SLOPE = 0.55, 1.5, 0.1
"""Fitted to the pairs with W > 0.5 of 48 simulated screens (docs/notes.md): log odds that a rest is an edge
are FALL log(strength / REST) + SLOPE times those of the regression.
"""
SHOWN = 3.0
"""Effect over its error from which a path is there, however small the effect is, ..."""
TURNED = 0.5
"""... over a gene that the source changes with more than this probability."""


def with_rests(log_odds: np.ndarray, strength: np.ndarray, turned: np.ndarray | float) -> np.ndarray:
    """Log odds of W: the chances of all ways in which there is no edge, each relative to that of an edge, add
    up.

    log_odds: of the regressions; strength: of the edge if it is there, per unit that is felt of the source;
    turned: of `turned_paths`; all of one shape.
    """
    known = np.clip(log_odds, 0.0, LOG_ODDS_LIMIT)
    rest = (REST / np.maximum(np.abs(strength), 1e-9)) ** FALL * np.exp(-SLOPE * known)
    return np.maximum(-np.log(np.exp(-log_odds) + rest + turned), -LOG_ODDS_LIMIT)


def turned_paths(total: TotalEffects, n: int) -> np.ndarray:
    """(p, n) how far each source turns perturbed genes that have an effect on each gene against their own
    change: what is felt of that, summed over these genes, at most 1.
    """
    direction = np.zeros(n)
    direction[total.sources] = np.sign(total.own)
    with np.errstate(invalid="ignore"):
        shown = (total.seen & (np.abs(total.effect) > SHOWN * total.error)).astype(float)
    changed = np.where(total.seen & (total.probability > TURNED), total.probability, 0.0)
    reaching = changed * felt(total.believed)
    turned = np.where(reaching * direction < 0, np.abs(reaching), 0.0)[:, total.sources]
    with one_core_products():
        return np.minimum(turned @ shown, 1.0)
