"""What the network stage of a run found: W, S, T_K and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN, KNOCK_OUT
from gpovae_core.methods.own_change import ASSUMED, READ, SOURCES, TYPICAL, OwnChange

if TYPE_CHECKING:
    from gpovae_core.data.schema import Panel

RAISED = "raised"
"""Before the names of the arrays of `Raised`, where they lie beside the others."""
DEPTH_WITHOUT, LIFT_UNCLEAR, RESTS = "depth_without", "lift_unclear", "rests"
"""The names of those arrays, kept where they name a gene."""


@dataclass(frozen=True)
class Raised:
    """What the k activations of genes show that are knocked down in other cells, as `NetworkFit` has it of
    the knock-downs. genes: (k,) panel positions; effect, effect_sd: (k, n); own_change, own_source, shift:
    (k,).
    """

    genes: np.ndarray
    effect: np.ndarray
    effect_sd: np.ndarray
    own_change: np.ndarray
    own_source: np.ndarray
    shift: np.ndarray

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Raised | None:
        """Out of what was stored with a run; None where nothing of it was."""
        found = {one.name: arrays.get(f"{RAISED}_{one.name}") for one in fields(cls)}
        known = {name: values for name, values in found.items() if values is not None}
        return cls(**known) if len(known) == len(found) else None

    def over(self, values: np.ndarray, n: int) -> np.ndarray:
        """(n, ...) one of these (k, ...) by gene, NaN for those that were not activated."""
        result = np.full((n, *values.shape[1:]), np.nan)
        result[self.genes.astype(int)] = values
        return result


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
    where there is no effect, by the same rule. knock_out: (n,), in older runs (1,), 1 where the gene is taken
    to be knocked out. depth_without: (k, 2) of the genes that were left out of the depth by which controls
    were drawn for the null (effects.draws), the largest first: the place among all measured genes by name (a
    gene need not be in the panel), and the share of the controls' counts. lift_unclear: (k,) panel positions
    of genes that move most of the others, so that what common lift is to be taken out cannot be told.
    rests: (1,), empty in older runs, whose W does not count what may stand in the place of an edge
    (methods.leftover).
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
    depth_without: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    lift_unclear: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rests: np.ndarray = field(default_factory=lambda: np.ones(1))
    raised: Raised | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != RAISED}
        for name in (DEPTH_WITHOUT, LIFT_UNCLEAR, RESTS):
            if not len(own[name]):
                del own[name]
        more = {} if self.raised is None else vars(self.raised)
        return own | {f"{RAISED}_{name}": values for name, values in more.items()}

    def as_kept(self) -> NetworkFit:
        """The same to the precision in which a run keeps it, float32: what goes on from here and what reads
        the file then do with the same numbers.
        """
        return NetworkFit.from_arrays(
            {name: values.astype(np.float32).astype(np.float64) for name, values in self.arrays().items()}
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
        arrays = {DEPTH_WITHOUT: np.zeros((0, 2)), LIFT_UNCLEAR: np.zeros(0), RESTS: np.zeros(0)} | arrays
        own = {one.name: arrays[one.name] for one in fields(cls) if one.name != RAISED}
        return cls(**own, raised=Raised.from_arrays(arrays))

    @property
    def counts_rests(self) -> bool:
        """Whether W counts what may stand in the place of an edge."""
        return len(self.rests) > 0

    @property
    def own(self) -> OwnChange:
        """`own_change` of every panel gene with what kind it is and how it is known."""
        fall = np.where(self.knock_out > 0, KNOCK_OUT, KNOCK_DOWN)
        return OwnChange(
            change=self.own_change,
            kind=np.where(self.own_change > 0, ACTIVATION, fall).astype(object),
            source=np.array(
                [SOURCES[int(code)] if code in range(len(SOURCES)) else ASSUMED for code in self.own_source],
                dtype=object,
            ),
        )

    def z(self) -> np.ndarray:
        """(n, n) effects over their errors, of a gene that is activated in other cells too what both say: the
        sum of the one and the other turned round, over the root of two. NaN where nothing was measured.
        """
        with np.errstate(invalid="ignore"):
            found = self.effect / self.effect_sd
            if self.raised is None:
                return found
            turned = self.raised.over(-self.raised.effect / self.raised.effect_sd, len(found))
        together = (found + turned) / np.sqrt(2)
        alone = np.where(np.isfinite(found), found, turned)
        return np.where(np.isfinite(together), together, alone)

    def lifts(self, panel: Panel) -> dict[str, float]:
        """Perturbation -> its common lift of all shares, where that is known; natural logarithm."""
        found = {gene: float(self.shift[i]) for gene, i in panel.index.items() if np.isfinite(self.shift[i])}
        if self.raised is not None:
            names = [panel.genes[i] + keys.ACTIVATED for i in self.raised.genes.astype(int)]
            found |= dict(zip(names, self.raised.shift.tolist(), strict=True))
        return found

    def expected_change(self) -> np.ndarray:
        """(n, n) log fold change of the column that perturbing the row is expected to bring about through the
        network.
        """
        return self.own_change[:, None] * self.influence
