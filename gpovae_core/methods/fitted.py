"""What the network stage of a run found: W, S, T_K and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class NetworkFit:
    """Arrays in panel order, n genes, row = source, column = target; natural logarithms.

    log_odds: (n, n) of W; strength: (n, n) S, change of the target per unit change of the source if the edge
    is there; strength_sd: (n, n) its standard deviation, NaN where nothing was learned; influence: (n, n) T_K
    of W * S; evidence: (n, n) probability that perturbing the row changes the column at all, NaN where that
    was not measured; effect, effect_sd: (n, n) observed log fold change without the common shift, and
    standard error, NaN where not measured; own_change: (n,) log fold change of a gene when it is perturbed,
    as taken for its hops; shift: (n,) common lift of all shares under each perturbation, NaN where none.
    null_threshold, null_share: (t,) share of pairs with W above a threshold where there is no effect, by the
    same rule. knock_out: (1,) 1 where own_change was assumed and not read off the targets.
    """

    log_odds: np.ndarray
    strength: np.ndarray
    strength_sd: np.ndarray
    influence: np.ndarray
    evidence: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    own_change: np.ndarray
    shift: np.ndarray
    null_threshold: np.ndarray
    null_share: np.ndarray
    knock_out: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def as_kept(self) -> NetworkFit:
        """The same to the precision in which a run keeps it, float32: what goes on from here and what reads
        the file then do with the same numbers.
        """
        return NetworkFit(
            **{name: values.astype(np.float32).astype(np.float64) for name, values in self.arrays().items()}
        )

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> NetworkFit:
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def expected_change(self) -> np.ndarray:
        """(n, n) log fold change of the column that perturbing the row is expected to bring about through the
        network.
        """
        return self.own_change[:, None] * self.influence
