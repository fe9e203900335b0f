"""The odds of edges that have no effect (methods.direct, `null_log_odds`), compiled: every pair is gone
through once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def posterior(prior: Any, own: np.ndarray, others: np.ndarray, draw: Any, found: Any) -> None:
    """Log odds of edges and their strengths per unit that is felt, written to the arrays `found` (p, n).

    prior: (log_odds, least) (p,) of the source of each row, and slab, as in `EdgePrior`; own: (p,) what is
    felt of it; others: (p, n) precision of what other perturbations say, no edge up to noise, negative where
    nothing was measured; draw: effect, error and normal noise (p, n).
    """
    log_odds, least, slab = prior
    effect, error, noise = draw
    odds, mean = found
    for i in range(odds.shape[0]):
        for j in range(odds.shape[1]):
            known = others[i, j]
            if known < 0:
                odds[i, j], mean[i, j] = -np.inf, 0.0
                continue
            drawn = (own[i] / error[i, j]) ** 2
            error2 = 1 / (drawn + known)
            estimate = (drawn * effect[i, j] / own[i] + np.sqrt(known) * noise[i, j]) * error2
            without = error2 + least[i]
            having = without + slab
            gain = np.log(without / having) + estimate**2 * (1 / without - 1 / having)
            odds[i, j] = log_odds[i] + 0.5 * gain
            mean[i, j] = estimate * slab / (slab + error2)
