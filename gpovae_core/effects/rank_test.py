"""Mann and Whitney's test for counts, within strata: two groups of cells, most of which may not show the gene
at all.

Ranks are taken within each stratum and summed over N, the cells of both groups there: van Elteren's test
(1960), who divides by N + 1. Cells of another batch, or of another depth, are never ranked against each
other. With one stratum it is Mann and Whitney's test.

The usual normal approximation takes the rank sum for normal. Where a gene is seen in few cells it is not: it
is decided by how many of these few the group happens to hold, which is skewed, and nine control cells called
perturbed "change" genes at p = 1e-6. Here the number of cells that show the gene is taken as it is
distributed, and only the ranks among those that do are taken for normal; a single one lies anywhere among
them. In one stratum the number is hypergeometric (cells drawn without replacement), over several a sum
of such numbers, which is worked out where it is small and else taken for the binomial number of the same
mean and variance. A cell that shows the gene lies, in any stratum, half of the cells above one that does not,
so that no more than the sum has to be known.
Where no cell is at zero this is the usual test. `benchmarks/null_tests.py` shows how often it errs where
there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import special

SURELY_NORMAL = 100.0
"""With more cells expected in the smaller group that show the gene the rank sum itself is taken for normal.
"""

LOOKED_AT_BELOW = 0.2
"""Only p below this by the normal approximation are worked out; what is not near to a level stays as it is.
"""

LEAST_CHANCE, FEWEST_SHOWN = 0.05, 6
"""A gene cannot be tested where the smaller group holds a cell that shows it with a smaller chance than this,
or fewer cells than this show it in both together: the test could hardly ever speak, and would err far less
often than its level says.
"""

WORKED_OUT = 40
"""Over several strata the number of a group that show a gene is worked out where the group, or the cells that
show it, are at most so many.
"""

FAR_OUT, WORKED_OUT_FAR = 0.01, 400
"""With p below this up to so many: far out the binomial number is too wide by some, and p up to a third too
small.
"""

_AT_ONCE = 2_000_000
"""Pairs times terms that are held at a time."""


@dataclass(frozen=True)
class RankSums:
    """What is known of r rank sums, (r, t) each, over their strata.

    excess: of a group's rank sum beyond its expectation, every stratum over its N cells; variance: of it;
    step: between neighbouring sums; both, size, shown: cells of both groups, of the smaller one, and of both
    that show the gene; expected, scatter: mean and variance of how many of the smaller group show it; none:
    chance that none does; within, less: of k that show it the ranks scatter with variance k within - k^2
    less; single: whether there is but one stratum; strata: (q, t) size, shown and both of every stratum,
    first: (r,) where those of each sum begin.
    """

    excess: np.ndarray
    variance: np.ndarray
    step: np.ndarray
    both: np.ndarray
    size: np.ndarray
    shown: np.ndarray
    expected: np.ndarray
    scatter: np.ndarray
    none: np.ndarray
    within: np.ndarray
    less: np.ndarray
    single: np.ndarray
    strata: tuple[np.ndarray, np.ndarray, np.ndarray]
    first: np.ndarray

    @classmethod
    def of(
        cls,
        u: np.ndarray,
        m: np.ndarray,
        n: np.ndarray | int,
        ties: np.ndarray,
        silent: np.ndarray,
        first: np.ndarray | None = None,
    ) -> RankSums:
        """u: (q, t) Mann and Whitney's U of one group, m cells, in a stratum; n: cells of the other; ties:
        sum of t^3 - t over the t-fold values of both together; silent: cells of both at the least value, 0
        where that is not to be told apart. All broadcast. first: (r,) where the strata of each sum begin
        among the q; None: each is one by itself.
        """
        u, m, n, ties, silent = (
            np.atleast_2d(x)
            for x in np.broadcast_arrays(*(np.asarray(x, float) for x in (u, m, n, ties, silent)))
        )
        start = np.arange(len(u)) if first is None else first

        def over_strata(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values, start, axis=0) if len(start) else values[:0]

        both = np.maximum(m + n, 2)
        scale, shown = 1 / both, both - silent
        ones, others = over_strata(m), over_strata(n)
        total = ones + others
        turned = np.repeat(ones > others, np.diff(np.append(start, len(u))), axis=0)
        size = np.where(turned, n, m)
        mean = size * shown / both
        spread = (shown**2 - 1) / 12 - (ties - (silent**3 - silent)) / (12 * np.maximum(shown, 1))
        spread = np.maximum(spread, 0.0) * scale**2
        fewer = spread / np.maximum(shown - 1, 1)
        expected = over_strata(mean)
        some = np.maximum(expected, 1e-100)
        less = over_strata(fewer * mean**2) / some**2
        none = np.where(silent >= size, _log_choose(silent, size) - _log_choose(both, size), -np.inf)
        return cls(
            excess=over_strata((u - m * n / 2) * scale),
            variance=over_strata(
                np.maximum(scale**2 * m * n / 12 * ((both + 1) - ties / (both * (both - 1.0))), 0.0)
            ),
            step=over_strata(m * scale) / np.maximum(ones, 1),
            both=total,
            size=over_strata(size),
            shown=over_strata(m + n - silent),
            expected=expected,
            scatter=over_strata(mean * (1 - shown / both) * (both - size) / (both - 1)),
            none=np.exp(over_strata(none)),
            within=over_strata(spread * mean) / some + less,
            less=less,
            single=np.broadcast_to((np.diff(np.append(start, len(u))) == 1)[:, None], expected.shape),
            strata=(size, both - silent, both),
            first=start,
        )

    def _at(self, places: np.ndarray) -> RankSums:
        """(k, 1) of the sums at flat `places` (k,), without their strata."""
        single = {
            part.name: getattr(self, part.name).ravel()[places][:, None]
            for part in fields(self)
            if part.name not in ("strata", "first")
        }
        return replace(self, **single)

    def normal_p(self) -> np.ndarray:
        """(r, t) by the normal approximation with ties and continuity, as scipy.stats.mannwhitneyu has it."""
        excess, spread = np.abs(self.excess) - self.step / 2, np.sqrt(self.variance)
        z = np.divide(excess, spread, out=np.full(excess.shape, -np.inf), where=spread > 0)
        return np.where(np.isnan(self.excess), np.nan, np.minimum(2 * special.ndtr(-z), 1.0))

    def p_values(self) -> np.ndarray:
        """(r, t) two-sided: how often would as many cells of every stratum, drawn from both groups together,
        have a sum as far from its expectation? 1 where all values are equal, NaN where U is.
        """
        p = self.normal_p()
        looked_at = (p < LOOKED_AT_BELOW) & (self.expected < SURELY_NORMAL) & (self.shown < self.both)
        fewer = np.minimum(self.size, self.shown)
        small = looked_at & ~self.single & (fewer <= np.where(p < FAR_OUT, WORKED_OUT_FAR, WORKED_OUT))
        terms = np.add.reduceat(np.minimum(*self.strata[:2]), self.first, axis=0)
        for places in self._portions(np.flatnonzero(small), terms):
            most = int(terms.ravel()[places].max())
            p.flat[places] = self._at(places)._conditional_p(self._summed(places, most))
        for places in self._portions(np.flatnonzero(looked_at & ~small), np.minimum(self.size, self.shown)):
            sums = self._at(places)
            h = np.arange(int(np.minimum(sums.size, sums.shown).max()) + 1)[None, :]
            chance = np.where(sums.single, sums._hypergeometric(h), sums._binomial(h))
            p.flat[places] = sums._conditional_p(chance)
        return p

    def testable(self) -> np.ndarray:
        """(r, t) whether enough cells show the gene (LEAST_CHANCE, FEWEST_SHOWN) for a test.

        Decided from both groups together, never from which of them shows it, so that leaving genes out takes
        no side.
        """
        enough = self.shown >= np.minimum(FEWEST_SHOWN, self.both)
        return (self.size > 0) & enough & (1 - self.none >= LEAST_CHANCE)

    def _conditional_p(self, chance: np.ndarray) -> np.ndarray:
        """(k,) of sums (k, 1): the mean over h, the cells of the smaller group that show the gene, of how
        often the rank sum then lies as far out. Given h it has mean (h - its expectation) / 2; h = 1 is
        spread evenly. chance: (k, h) of 0, 1, ...
        """
        h = np.arange(chance.shape[1])[None, :]
        spread = np.sqrt(np.maximum(h * self.within - h**2 * self.less, 0.0)) / self.step
        out, centre = np.abs(self.excess) / self.step, (h - self.expected) / 2 / self.step
        beyond = _beyond(out - centre, spread, h) + _beyond(out + centre, spread, h)
        return np.minimum((chance * beyond).sum(axis=1), 1.0)

    @staticmethod
    def _portions(places: np.ndarray, terms: np.ndarray) -> Iterator[np.ndarray]:
        """Flat `places` in pieces of about _AT_ONCE terms, by rising `terms` (r, t), so that a piece is
        padded little.
        """
        terms = terms.ravel()[places]
        order = np.argsort(terms, kind="stable")
        pieces = np.cumsum(terms[order] + 1) // _AT_ONCE
        if len(places):
            yield from np.split(places[order], np.flatnonzero(np.diff(pieces)) + 1)

    def _summed(self, places: np.ndarray, most: int) -> np.ndarray:
        """(k, h) chance that so many of the smaller group, `most` at most, show the gene, stratum by stratum;
        places: (k,) flat ones of sums.
        """
        from gpovae_core.effects.compiled import over_strata

        row, column = np.divmod(places, self.shown.shape[1])
        last = np.append(self.first[1:], len(self.strata[0]))[row]
        chance = np.zeros((len(places), most + 1))
        logs = special.gammaln(np.arange(self.strata[2].max() + 1) + 1)
        over_strata((self.first[row], last, column), self.strata, logs, chance)
        return chance

    def _hypergeometric(self, h: np.ndarray) -> np.ndarray:
        """(k, h) the same, drawn from one stratum."""
        return _drawn(h, self.size, self.shown, self.both)

    def _binomial(self, h: np.ndarray) -> np.ndarray:
        """(k, h) the same in large groups: binomial with the mean and variance of the sum; of the cells that
        show the gene, or of those that do not, whichever are fewer.
        """
        fewer = self.expected <= self.size / 2
        mean = np.maximum(np.where(fewer, self.expected, self.size - self.expected), 1e-100)
        number = np.where(fewer, h, self.size - h)
        share = np.clip(1 - self.scatter / mean, 1e-12, 1 - 1e-12)
        times = mean / share
        possible = (number >= 0) & (number <= times) & (h <= self.shown) & (h <= self.size)
        log = _log_choose(times, number) + number * np.log(share) + (times - number) * np.log1p(-share)
        chance = np.exp(np.where(possible, log, -np.inf))
        return chance / np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)


def _drawn(h: np.ndarray, size: np.ndarray, shown: np.ndarray, both: np.ndarray) -> np.ndarray:
    """(k, h) chance that h of `size` cells, drawn without replacement, are among the `shown` of `both`."""
    zero = both - shown
    possible = (h <= shown) & (h <= size) & (size - h <= zero)
    log = _log_choose(shown, h) + _log_choose(zero, size - h) - _log_choose(both, size)
    return np.exp(np.where(possible, log, -np.inf))


def _beyond(distance: np.ndarray, spread: np.ndarray, h: np.ndarray) -> np.ndarray:
    """How often the sum of h ranks lies at least `distance` above its mean; in steps."""
    z = np.divide(distance - 0.5, spread, out=np.zeros(np.shape(distance)), where=spread > 0)
    tail = np.where(spread > 0, special.ndtr(-z), distance < 0.25)
    ranks = np.sqrt(12 * spread**2 + 1)  # so many, evenly spread, have this standard deviation
    evenly = np.clip((ranks + 1) / 2 - distance, 0.0, ranks) / ranks
    return np.where((h == 1) & (spread > 0), evenly, tail)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """log of n over k; wrong where k is not between 0 and n, which the caller leaves out."""
    inside = np.clip(k, 0, n)
    return special.gammaln(n + 1) - special.gammaln(inside + 1) - special.gammaln(n - inside + 1)
