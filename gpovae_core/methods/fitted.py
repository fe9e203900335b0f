"""What the network stage of a run found: W, S, T_K and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from gpovae_core.methods.own_change import (
    ACTIVATION,
    ASSUMED,
    KNOCK_DOWN,
    KNOCK_OUT,
    READ,
    SOURCES,
    TYPICAL,
    OwnChange,
)


@dataclass(frozen=True)
class NetworkFit:
    """Arrays in panel order, n genes, row = source, column = target; natural logarithms.

    log_odds: (n, n) of W; strength: (n, n) S, change of the target per unit change of the source if the edge
    is there; strength_sd: (n, n) its standard deviation, NaN where nothing was learned; influence, passing:
    (n, n) T_K of W * S, and what genes in between pass on (methods.passing); evidence: (n, n) probability
    that perturbing the row changes the column at all, NaN where that was not measured; effect, effect_sd: (n,
    n) observed log fold change without the common shift, and standard error, NaN where not measured;
    own_change: (n,) log fold change of a gene when it is perturbed, as taken for its hops; own_source: (n,)
    how that is known, as places in own_change.SOURCES; shift: (n,) common lift of all shares under each
    perturbation, NaN where none. null_threshold, null_share: (t,) share of pairs with W above a threshold
    where there is no effect, by the same rule. knock_out: (1,) 1 where own_change was assumed and not read
    off the targets.
    """

    log_odds: np.ndarray
    strength: np.ndarray
    strength_sd: np.ndarray
    influence: np.ndarray
    passing: np.ndarray
    evidence: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    own_change: np.ndarray
    own_source: np.ndarray
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
        """Out of what was stored. Runs of before `own_source` was kept get it from what it leaves behind: a
        change that was read off its target is the effect on it. Those of before `passing` was kept passed
        every change on in proportion.
        """
        if "passing" not in arrays:
            arrays = arrays | {"passing": np.ones_like(arrays["influence"])}
        if "own_source" not in arrays:
            change, seen = arrays["own_change"], np.diag(arrays["effect"])
            read = np.isclose(change, seen, rtol=1e-5) & (arrays["knock_out"][0] == 0)
            other = TYPICAL if arrays["knock_out"][0] == 0 else ASSUMED
            source = np.where(read, SOURCES.index(READ), SOURCES.index(other)).astype(np.float64)
            arrays = arrays | {"own_source": source}
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @property
    def own(self) -> OwnChange:
        """`own_change` of every panel gene with what kind it is and how it is known."""
        fall = KNOCK_OUT if self.knock_out[0] else KNOCK_DOWN
        return OwnChange(
            change=self.own_change,
            kind=np.where(self.own_change > 0, ACTIVATION, fall).astype(object),
            source=np.array(
                [SOURCES[int(code)] if code in range(len(SOURCES)) else ASSUMED for code in self.own_source],
                dtype=object,
            ),
        )

    def expected_change(self) -> np.ndarray:
        """(n, n) log fold change of the column that perturbing the row is expected to bring about through the
        network.
        """
        return self.own_change[:, None] * self.influence
