"""Perturbed against control cells on a scale that knows no library size: log fold changes of mean shares,
with standard errors.

A share is a count over the size of the cell: its counts over the measured genes, or over the whole
transcriptome where the file gives them. Shares of measured genes add up to one, so a strong fall of an
abundant gene lifts all others; `shift` is that common lift, taken out of every perturbation as the weighted
median over its genes (most genes are taken not to respond; where most do, effects.centre). What is left is
what the perturbation does to a gene, the scale on which effects pass along a path.

Cells are compared within the strata of the design (effects.design), batches and donors: the means of both
sides are weighted by n m / (n + m) over the strata, n perturbed and m control cells each, as Mantel and
Haenszel weigh a common ratio (1959), which needs no stratum to have many counts. With one stratum that is the
plain ratio of means. Where a perturbation was done with several guides or donors, what they disagree on
beyond the scatter of cells is part of the error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.design.strata import FEWEST_CONTROLS
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.data.store import columns_of, cuts, rows_of
from gpovae_core.effects.agreement import excess
from gpovae_core.effects.beside import beside_others, joined, parts
from gpovae_core.effects.centre import MOST, UNCHANGED, WITHIN, place_of_unchanged
from gpovae_core.effects.design import MOST_DEPTHS, Design, by_depth
from gpovae_core.effects.draws import depth_to_draw_by, drawn_like

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from gpovae_core.data.schema import PreparedCells

PSEUDO_COUNT = 0.5
"""Counts added to either side, so that a gene not seen in a group has a finite logarithm."""

_CENTRINGS = 3

FEWEST_GUIDES = 6
FEWEST_OF_GUIDE = 10
"""Control guides, and training cells of each, that show what guides do by themselves."""

_BLOCK, _VALUES = 20_000, 2**24
"""Cells whose shares are held at a time, and how many counts of theirs."""
_PAIRS = 2**15
"""Pairs that are worked out at a time: as many as stay close to the processor."""


@dataclass(frozen=True)
class ShareMoments:
    """Mean and unbiased variance of the shares of r groups of cells: mean, variance (r, m); cells (r,), or
    (r, m) where genes differ in how many independent cells a group amounts to; scatter: (r,) mean of one over
    the size of a cell, what a share scatters by for its mean where counts are Poisson; None: not asked for.
    """

    mean: np.ndarray
    variance: np.ndarray
    cells: np.ndarray
    scatter: np.ndarray | None = None


@dataclass(frozen=True)
class Contrasts:
    """Single-gene perturbations against controls, over the n panel genes; natural logarithms.

    sources: (p,) panel position of each perturbed gene; effect: (p, n) log fold change without `shift`, 0
    where nothing was measured; error: (p, n) its standard error (see `log_fold_change`), infinite where
    nothing was measured; shift: (p,) the common lift that was taken out; cells: (p,) perturbed cells that
    could be compared, counts: (p, strata) the same by stratum, where pairs help (effects.beside) as many as
    would have measured as well; control_cells; control_share: (n,) mean share
    in controls, 0 where not measured; alone: perturbations with cells and no controls in any of their strata,
    of which nothing can be said; raised: (p,) `second`, empty for none. Those come first, so that of what is
    kept once for a gene its knock-down has the last word. unmoved: (p,) share of the genes that `shift` was
    read off: 1 where most lie there, less where most moved (effects.centre), 0 where it cannot be told; empty
    where it was not looked at. stated: (p,) what the file states was done to each (data.kinds.Kind), None
    where it does not, empty for all of them.
    """

    sources: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    shift: np.ndarray
    cells: np.ndarray
    control_cells: int
    control_share: np.ndarray
    counts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=int))
    alone: tuple[str, ...] = ()
    raised: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    unmoved: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stated: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=object))

    @property
    def second(self) -> np.ndarray:
        """(p,) bool: the activation of a gene that is knocked down in other cells."""
        return self.raised if len(self.raised) else np.zeros(len(self.sources), dtype=bool)

    @property
    def unclear(self) -> np.ndarray:
        """(p,) bool: most genes moved, and what lift is to be taken out cannot be told."""
        return self.unmoved == 0 if len(self.unmoved) else np.zeros(len(self.sources), dtype=bool)

    def names(self, panel: Panel) -> list[str]:
        """(p,) the perturbations."""
        pairs = zip(self.sources, self.second, strict=True)
        return [panel.genes[source] + (keys.ACTIVATED if up else "") for source, up in pairs]

    @property
    def counted(self) -> np.ndarray:
        """(p, n) bool: measured pairs of two different genes."""
        pairs = np.isfinite(self.error)
        pairs[np.arange(len(self.sources)), self.sources] = False
        return pairs

    @property
    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """(p,) effect of every perturbation on its own gene, and its standard error (infinite where not
        measured).
        """
        rows = np.arange(len(self.sources))
        return self.effect[rows, self.sources], self.error[rows, self.sources]


def contrasts(
    prepared: PreparedCells,
    splits: tuple[str, ...] = (keys.TRAIN,),
    rows: np.ndarray | None = None,
    progress: Progress | None = None,
    both: bool = False,
) -> Contrasts:
    """Every single-gene perturbation with at least two cells in `splits` that have controls beside them,
    against those (at least two in a stratum, or nothing is known), and beside the genes that it shares cells
    with (effects.beside).

    Only cells that pass quality control: what low-quality cells and doublets show is not the perturbation.
    rows: cells to take in the place of all, where a cell may come several times (effects.bootstrap); both:
    whether a gene that is knocked down in some cells and activated in others gets a row for each, or one for
    its knock-down alone.
    """
    design = Design.of(prepared)
    passing = prepared.where(splits=splits) & prepared.passing & (design.size > 0)
    cells = np.arange(len(passing)) if rows is None else rows
    cells = cells[passing[cells]]
    labels = prepared.labels[cells]
    perturbed = prepared.panel.data.perturbed
    names = [*(gene + keys.ACTIVATED for gene in perturbed if both), *perturbed]
    number = Counter(labels.tolist())
    present = [name for name in names if number[name] > 1]

    def reading(done: float) -> None:
        tell(progress, "effects of perturbations", done)

    alone = _against_controls(prepared, design, cells, labels, present, reading)
    beside = []
    for others, pairs in beside_others(labels, {prepared.panel.genes[i] for i in alone.sources}).items():
        own = np.flatnonzero(np.isin(labels, [others, *pairs.values()]))
        named = labels[own].copy()
        named[named == others] = keys.CONTROL
        for gene, pair in pairs.items():
            named[named == pair] = gene
        found = _against_controls(prepared, design, cells[own], named, list(pairs))
        held = [prepared.panel.index[gene] for gene in parts(others) if gene in prepared.panel.index]
        found.error[:, held] = np.inf  # of the others only as much is left as they were knocked down
        beside.append(found)
    found = _joined(alone, beside)
    stated = prepared.report.directions.stated
    if not stated:
        return found
    return replace(found, stated=np.array([stated.get(name) for name in found.names(prepared.panel)], object))


def _joined(alone: Contrasts, beside: list[Contrasts]) -> Contrasts:
    """The effects of genes `alone` with what they show beside others; counts grow as if their cells did."""
    effect, error, counts = alone.effect.copy(), alone.error.copy(), alone.counts.copy()
    for row, source in enumerate(alone.sources):
        own = [(found, int(at)) for found in beside for at in np.flatnonzero(found.sources == source)]
        if not own or alone.second[row]:
            continue
        effect[row], error[row] = joined(
            alone.effect[row],
            alone.error[row],
            np.stack([found.effect[at] for found, at in own]),
            np.stack([found.error[at] for found, at in own]),
        )
        known = np.isfinite(error[row])
        gain = np.median((alone.error[row, known] / error[row, known]) ** 2) if known.any() else 1.0
        counts[row] = np.round(counts[row] * gain)
    return replace(alone, effect=effect, error=error, counts=counts)


def _against_controls(
    prepared: PreparedCells,
    design: Design,
    cells: np.ndarray,
    labels: np.ndarray,
    genes: list[str],
    done: Callable[[float], None] | None = None,
) -> Contrasts:
    """Each of `genes`, as they are labelled, that has controls beside it; labels: (cells,); done:
    as in `_compare`.
    """
    place = {gene: row for row, gene in enumerate(genes)}
    group = np.array([place.get(label, -1) for label in labels], dtype=int)
    treated, control = _chosen(group, len(genes)), labels == keys.CONTROL
    reference = sparse.csr_matrix(control.astype(np.float64)[None, :])
    compared = _compare(prepared, design, cells, treated, reference, done)
    known = compared.counts.sum(axis=1) > 1
    names = [gene for gene, is_known in zip(genes, known, strict=True) if is_known]
    extra = _between(prepared, design, cells, treated, reference, compared)
    own = np.array([prepared.panel.index[keys.genes_of(name)[0]] for name in names], dtype=int)
    found = _contrasts(prepared, design, own, compared.rows(known), extra[known])
    return replace(
        found,
        control_cells=int(control.sum()),
        raised=np.array([keys.is_raised(name) for name in names], dtype=bool),
        alone=tuple(gene for gene, is_known in zip(genes, known, strict=True) if not is_known),
    )


def _over(prepared: PreparedCells, columns: np.ndarray | None) -> tuple[PreparedCells, list[str]]:
    """The same cells over all measured genes, or those of `columns`, and their names."""
    names = prepared.cells.var_names if columns is None else prepared.cells.var_names[columns]
    genes, perturbed = [str(gene) for gene in names], prepared.panel.data.perturbed
    others = tuple(gene for gene in genes if gene not in set(perturbed))
    panel = Panel(PanelData(perturbed=perturbed, extended=others, measured=tuple(genes)))
    return replace(prepared, panel=panel), genes


def drawn_controls(
    prepared: PreparedCells,
    design: Design,
    splits: tuple[str, ...],
    columns: np.ndarray,
    size: int,
    draws: int,
) -> Contrasts:
    """Groups of `size` controls of `splits`, drawn at random, against all others, over the genes of
    `columns`, within the strata of `design`; the same cells whatever their order in the file. Fewer than
    `draws` of them where some had not two cells beside others.
    """
    wide, _ = _over(prepared, columns)
    pool = np.flatnonzero(prepared.where(keys.CONTROL, splits) & (design.size > 0))
    pool = pool[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[pool])]
    rng = np.random.default_rng(0)
    treated = _of_rows([rng.permutation(len(pool))[:size] for _ in range(draws)], len(pool))
    compared = _compare(wide, design, pool, treated, _AllBut(treated))
    known = compared.counts.sum(axis=1) > 1
    nobody = np.full(known.sum(), len(wide.panel))
    return _contrasts(wide, design, nobody, compared.rows(known), np.zeros((len(nobody), 1)))


def label_contrasts(
    prepared: PreparedCells,
    names: tuple[str, ...],
    splits: tuple[str, ...],
    columns: np.ndarray | None = None,
    design: Design | None = None,
    done: Callable[[float], None] | None = None,
) -> tuple[Contrasts, np.ndarray]:
    """Every one of `names`, combinations too, against controls over all measured genes (or those of
    `columns`), not those of the panel alone; and (G,) the columns of these contrasts in the order of the
    genes. All cells of `splits` with counts; rows without two cells beside controls have infinite errors
    throughout. design: that of `prepared` where None; done: as in `_compare`.
    """
    wide, genes = _over(prepared, columns)
    panel = wide.panel
    design = Design.of(wide) if design is None else design
    cells = np.flatnonzero(prepared.where(splits=splits) & (design.size > 0))
    place = {name: row for row, name in enumerate(names)}
    labels = prepared.labels[cells]
    group = np.array([place.get(label, -1) for label in labels], dtype=int)
    treated, control = _chosen(group, len(names)), labels == keys.CONTROL
    reference = sparse.csr_matrix(control.astype(np.float64)[None, :])
    compared = _compare(wide, design, cells, treated, reference, done)
    known = compared.counts.sum(axis=1) > 1
    extra = _between(wide, design, cells, treated, reference, compared)
    own = np.array([panel.index[keys.genes_of(name)[0]] for name in names], dtype=int)
    found = _contrasts(wide, design, own[known], compared.rows(known), extra[known])
    n = len(panel)
    effect, error = np.zeros((len(names), n)), np.full((len(names), n), np.inf)
    shift, counts = np.zeros(len(names)), np.zeros(compared.counts.shape, dtype=int)
    unmoved = np.ones(len(names))
    effect[known], error[known], shift[known], counts[known], unmoved[known] = (
        found.effect,
        found.error,
        found.shift,
        found.counts,
        found.unmoved,
    )
    cells = counts.sum(axis=1)
    controls = int(control.sum())
    whole = Contrasts(
        own, effect, error, shift, cells, controls, found.control_share, counts, unmoved=unmoved
    )
    return whole, np.array([panel.index[gene] for gene in genes], dtype=int)


def null_contrasts(
    prepared: PreparedCells, like: Contrasts, draws: int, seed: int, progress: Progress | None = None
) -> Iterator[Contrasts]:
    """What `contrasts` finds where there is nothing: training controls in the place of every perturbation of
    `like`.

    Each row compares as many controls of every stratum as the perturbation has cells there (at most half of
    all), as deep as these (effects.draws), with all the others; drawn `draws` times, each when it is asked
    for.
    """
    design = Design.of(prepared)
    pool = _control_pool(prepared, design)
    strata = np.unique(design.stratum)
    members = [np.flatnonzero(design.stratum[pool] == stratum) for stratum in strata]
    sizes = np.minimum(like.counts, [len(own) // 2 for own in members])
    if len(pool) < 4 or not len(sizes) or sizes.sum() == 0:
        return
    cells = np.flatnonzero(prepared.where(splits=(keys.TRAIN,)) & prepared.passing & (design.size > 0))
    labels, kind = prepared.labels[cells], np.full(len(design.size), -1)
    depth = depth_to_draw_by(prepared, design)
    kind[cells] = by_depth(depth[cells], design.stratum[cells], labels == keys.CONTROL)
    perturbed = _kinds_of(prepared, like, labels, kind[cells])
    rng = np.random.default_rng(seed)
    for drawn in range(draws):

        def told(done: float, before: int = drawn) -> None:
            tell(progress, "controls in the place of perturbed cells", (before + done) / draws)

        told(0.0)
        chosen = [np.zeros(0, dtype=int)] * len(sizes)
        for row, wanted in enumerate(sizes):
            for own, size in zip(members, wanted, strict=True):
                if size:
                    here = kind[pool[own]]
                    alike = perturbed[row][perturbed[row] // MOST_DEPTHS == here[0] // MOST_DEPTHS]
                    depths = rng.choice(alike if len(alike) else here, size)
                    chosen[row] = np.concatenate([chosen[row], own[drawn_like(rng, depths, here)]])
        treated = _of_rows(chosen, len(pool))
        compared = _compare(prepared, design, pool, treated, _AllBut(treated), told)
        yield _contrasts(prepared, design, like.sources, compared, np.zeros((len(sizes), 1)))


def _kinds_of(
    prepared: PreparedCells, like: Contrasts, labels: np.ndarray, kind: np.ndarray
) -> list[np.ndarray]:
    """`kind` of the cells of every perturbation of `like`, ascending; labels, kind: (cells,)."""
    place = {name: row for row, name in enumerate(like.names(prepared.panel))}
    row = np.array([place.get(label, len(place)) for label in labels], dtype=int)
    bounds = np.cumsum(np.bincount(row, minlength=len(place) + 1))[:-1]
    return [np.sort(part) for part in np.split(kind[np.argsort(row, kind="stable")], bounds)[:-1]]


def guide_contrasts(
    prepared: PreparedCells, like: Contrasts, draws: int, seed: int, progress: Progress | None = None
) -> Iterator[Contrasts]:
    """What `contrasts` finds where there is nothing but what guides do by themselves: whole control guides in
    the place of every perturbation of `like`, as many as it has guides (at most half of them), against the
    cells of all others.

    No more cells of every stratum than the perturbation has. Empty with fewer than FEWEST_GUIDES control
    guides of at least FEWEST_OF_GUIDE training cells.
    """
    design = Design.of(prepared)
    number = design.replicates.get(keys.GUIDE)
    pool = _control_pool(prepared, design)
    if number is None or not len(like.sources):
        return
    guide, stratum = number[pool], np.unique(design.stratum, return_inverse=True)[1].ravel()[pool]
    names, cells = np.unique(guide[guide >= 0], return_counts=True)
    names = names[cells >= FEWEST_OF_GUIDE]
    if len(names) < FEWEST_GUIDES:
        return
    several = _guides_each(prepared, like, number, len(names) // 2)
    cells_of = {name: np.flatnonzero(guide == name) for name in names}
    rng = np.random.default_rng(seed)
    for drawing in range(draws):

        def told(done: float, before: int = drawing) -> None:
            tell(progress, "control guides in the place of perturbed genes", (before + done) / draws)

        told(0.0)
        treated, left_out = [], []
        for row, count in enumerate(several):
            drawn = np.sort(np.concatenate([cells_of[name] for name in rng.permutation(names)[:count]]))
            within = stratum[drawn]
            sizes = enumerate(like.counts[row])
            own = np.concatenate([rng.permutation(drawn[within == part])[:size] for part, size in sizes])
            left_out.append(drawn)
            # none of them may be in the batches of the perturbation
            treated.append(own if len(own) >= FEWEST_OF_GUIDE else drawn)
        one, others = _of_rows(treated, len(pool)), _AllBut(_of_rows(left_out, len(pool)))
        compared = _compare(prepared, design, pool, one, others, told)
        extra = _between(prepared, design, pool, one, others, compared)
        yield _contrasts(prepared, design, like.sources, compared, extra)


def _guides_each(prepared: PreparedCells, like: Contrasts, number: np.ndarray, most: int) -> np.ndarray:
    """(p,) guides of every perturbation of `like` in the training cells, 1 to `most`."""
    training = prepared.where(splits=(keys.TRAIN,)) & prepared.passing & (number >= 0)
    place = {name: row for row, name in enumerate(like.names(prepared.panel))}
    row = np.array([place.get(label, -1) for label in prepared.labels[training]], dtype=int)
    pairs = np.unique(np.stack([row, number[training]]), axis=1)[0]
    return np.clip(np.bincount(pairs[pairs >= 0], minlength=len(like.sources)), 1, most)


def _control_pool(prepared: PreparedCells, design: Design) -> np.ndarray:
    """Rows of the training controls that pass, the same cells whatever their order in the file."""
    pool = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)) & prepared.passing & (design.size > 0))
    return pool[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[pool])]


def share_moments(
    counts: csr_matrix, library_size: np.ndarray, groups: list[np.ndarray], columns: np.ndarray
) -> ShareMoments:
    """Moments of the shares x / l at `columns` for every group of rows; zeros for a group without cells."""
    from gpovae_core.effects.compiled import add_moments

    mean, variance = np.zeros((2, len(groups), len(columns)))
    for row, rows in enumerate(groups):
        everybody = sparse.csr_matrix(np.ones((1, len(rows))))
        (sums,) = _sums([everybody], _shares(counts, library_size, rows, columns))
        at = slice(row, row + 1)
        add_moments(sums, np.full(1, float(len(rows))), np.ones((2, 1)), mean[at], variance[at])
    return ShareMoments(mean, variance, np.array([len(rows) for rows in groups]))


def log_fold_change(
    treated: ShareMoments, control: ShareMoments, pseudo_share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log ratio of mean shares and its standard error, both (r, m). control: one row for all, or one for
    each.

    The error is the one for which effect / error is the signed root of the likelihood ratio against no effect
    for sums of shares that scatter as a Poisson count times variance / mean does (quasi-likelihood, McCullagh
    and Nelder 1989, chapter 9). The usual first-order error of a logarithm fails where a group has few
    counts: none seen where six were expected is a logarithm of six such errors, and happens once in 400.
    benchmarks/calibration.py shows how often either exceeds a normal where there is no effect. pseudo_share:
    (r, 1) added to both sides of the ratio.

    Without an effect both groups have one mean, and their variances differ only as their cells differ in
    size: each is the mean times the group's own `scatter` for the counting, plus what is left of the pooled
    one; where less than counting is left, the pooled one in proportion.
    """
    from gpovae_core.effects.compiled import ratios

    effect, error = np.empty(treated.mean.shape), np.empty(treated.mean.shape)
    ratios(_columns(treated), _columns(control), _table(pseudo_share), effect, error)
    return effect, error


def _columns(moments: ShareMoments) -> tuple[np.ndarray, ...]:
    """As the compiled loop takes them."""
    scatter = np.zeros((0, 1)) if moments.scatter is None else moments.scatter
    return _table(moments.mean), _table(moments.variance), _table(moments.cells), _table(scatter)


def _table(values: np.ndarray) -> np.ndarray:
    columns = values[:, None] if values.ndim == 1 else values
    return np.ascontiguousarray(columns, dtype=np.float64)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Least value at which half of the weight is reached; 0 without values."""
    from gpovae_core.effects.compiled import median

    return median(np.array(values, dtype=np.float64), np.array(weights, dtype=np.float64))


@dataclass(frozen=True)
class _AllBut:
    """Groups that are large together and differ by little: all cells but those `left_out`, sparse (r, cells)
    0 or 1. Their sums are taken off the sum of all, which is worked out once.
    """

    left_out: Any

    @property
    def shape(self) -> tuple[int, int]:
        return self.left_out.shape

    def sum(self, axis: int) -> np.ndarray:
        return self.left_out.shape[axis] - np.asarray(self.left_out.sum(axis=axis))

    def __matmul__(self, values: np.ndarray) -> np.ndarray:
        return values.sum() - self.left_out @ values


def _of_cells(sides: list[Any], cells: Any) -> list[Any]:
    """Some of the cells of every side; a side that stands there twice is cut once."""
    cut: dict[int, Any] = {}

    def of(chosen: Any) -> Any:
        if id(chosen) not in cut:
            cut[id(chosen)] = chosen[:, cells]
        return cut[id(chosen)]

    return [_AllBut(of(side.left_out)) if isinstance(side, _AllBut) else of(side) for side in sides]


@dataclass(frozen=True)
class _Compared:
    """r groups of cells and the controls beside them, weighted over strata. treated, control: moments (r, m);
    counts: (r, strata) perturbed cells that have controls beside them; degrees: (r,) of their variance.
    """

    treated: ShareMoments
    control: ShareMoments
    counts: np.ndarray

    def rows(self, kept: np.ndarray) -> _Compared:
        return _Compared(_rows(self.treated, kept), _rows(self.control, kept), self.counts[kept])


def _compare(
    prepared: PreparedCells,
    design: Design,
    cells: np.ndarray,
    treated: Any,
    control: Any,
    done: Callable[[float], None] | None = None,
) -> _Compared:
    """treated, control: sparse (r, cells) and (r or 1, cells) 0 or 1, whether a cell is in a group; control
    may be `_AllBut`. done: told the share of the cells that were read.
    """
    groups, strata = treated.shape[0], np.unique(design.stratum)
    m = len(prepared.panel_columns)
    weight, inverse_n, inverse_m, degrees = (np.zeros(groups) for _ in range(4))
    sides_of = [(np.zeros((groups, m)), np.zeros((groups, m))) for _ in range(2)]
    scatter_t, scatter_c = np.zeros(groups), np.zeros(groups)
    counts = np.zeros((groups, len(strata)), dtype=int)
    read = 0

    def reading(more: int) -> None:
        nonlocal read
        read += more
        if done is not None:
            done(read / len(cells))

    for column, stratum in enumerate(strata):
        own = np.flatnonzero(design.stratum[cells] == stratum)
        sides = _of_cells([treated, control], own)
        n, k = (np.asarray(side.sum(axis=1)).ravel() for side in sides)
        w = np.where((n > 0) & (k >= FEWEST_CONTROLS), n * k / np.maximum(n + k, 1), 0.0)
        if not w.any():
            continue
        counts[:, column] = np.where(w > 0, n, 0)
        sums = _sums_of(prepared, design, cells[own], sides, reading)
        inverse = 1 / design.size[cells[own]]
        over_n, over_m = w**2 / np.maximum(n, 1), w**2 / np.maximum(k, 1)
        weight += w
        inverse_n, inverse_m = inverse_n + over_n, inverse_m + over_m
        free = np.where(w > 0, np.maximum(n - 1, 0), 0)
        degrees += free
        for side, number, of_variance, found in zip(sums, (n, k), (free, over_m), sides_of, strict=True):
            _add_moments(side, number, np.stack([w, of_variance]), found)
        scatter_t += over_n * (sides[0] @ inverse) / np.maximum(n, 1)
        scatter_c += over_m * (sides[1] @ inverse) / np.maximum(k, 1)
    some, divide = np.maximum(weight, 1e-300), np.maximum(inverse_n, 1e-300)
    (mean_t, var_t), (mean_c, var_c) = sides_of
    mean_t /= some[:, None]
    mean_c /= some[:, None]
    var_t /= np.maximum(degrees, 1)[:, None]
    var_c /= np.maximum(inverse_m, 1e-300)[:, None]
    return _Compared(
        ShareMoments(
            mean_t,
            var_t,
            np.where(weight > 0, weight**2 / divide, 0.0),
            scatter_t / divide,
        ),
        ShareMoments(
            mean_c,
            var_c,
            np.where(weight > 0, weight**2 / np.maximum(inverse_m, 1e-300), 0.0),
            scatter_c / np.maximum(inverse_m, 1e-300),
        ),
        counts,
    )


def _between(
    prepared: PreparedCells,
    design: Design,
    cells: np.ndarray,
    treated: Any,
    control: Any,
    compared: _Compared,
) -> np.ndarray:
    """(r, m) variance of a perturbation's mean share that comes of its guides, or donors, disagreeing beyond
    the scatter of their cells; 0 where it has but one. The larger one where there are several kinds.

    One-way analysis of variance over the replicates: their mean squares against the variance between cells
    (Searle, Casella and McCulloch 1992, chapter 3), moderated by those of all other pairs
    (effects.agreement). Each replicate's mean is taken relative to the controls beside it, so that replicates
    of different batches can be compared.
    """
    extra = np.zeros(compared.treated.mean.shape)
    row, cell = sparse.csr_matrix(treated).nonzero()
    for number in design.replicates.values():
        used = number[cells[cell]] >= 0
        pairs, unit = np.unique(np.stack([row[used], number[cells[cell[used]]]]), axis=1, return_inverse=True)
        shape = (pairs.shape[1], len(cells))
        units = sparse.csr_matrix((np.ones(used.sum()), (unit.ravel(), cell[used])), shape=shape)
        extra = np.maximum(extra, _disagreement(prepared, design, cells, units, pairs[0], control, compared))
    return extra


def _disagreement(
    prepared: PreparedCells,
    design: Design,
    cells: np.ndarray,
    replicates: Any,
    group_of: np.ndarray,
    control: Any,
    compared: _Compared,
) -> np.ndarray:
    """See `_between`, for one kind of replicate. replicates: (units, cells) 0 or 1; group_of: (units,)
    the perturbation of each.
    """
    units, (groups, m) = len(group_of), compared.treated.mean.shape
    seen, expected, size = np.zeros((units, m)), np.zeros((units, m)), np.zeros(units)
    for stratum in np.unique(design.stratum):
        own = np.flatnonzero(design.stratum[cells] == stratum)
        sides = _of_cells([replicates, control], own)
        beside = np.broadcast_to(np.asarray(sides[1].sum(axis=1)).ravel(), groups)[group_of]
        if not (beside >= FEWEST_CONTROLS).any():
            continue
        (first, _), (controls, _) = _sums_of(prepared, design, cells[own], sides)
        n = np.asarray(sides[0].sum(axis=1)).ravel()
        known = beside >= FEWEST_CONTROLS
        typical = np.broadcast_to(controls, (groups, m))[group_of] / np.maximum(beside, 1)[:, None]
        seen += np.where(known[:, None], first, 0.0)
        expected += np.where(known[:, None], n[:, None] * typical, 0.0)
        size += np.where(known, n, 0)
    number = np.bincount(group_of[size > 0], minlength=groups)
    total = np.bincount(group_of, size, minlength=groups)
    squares = np.bincount(group_of, size**2, minlength=groups)
    reference = compared.control.mean[group_of]
    plain = seen / np.maximum(size, 1)[:, None]
    value = np.where(expected > 0, seen / np.where(expected > 0, expected, 1.0) * reference, plain)
    belongs = sparse.csr_matrix((size, (group_of, np.arange(units))), shape=(groups, units))
    mean = (belongs @ value) / np.maximum(total, 1)[:, None]
    spread = np.asarray(belongs @ (value - mean[group_of]) ** 2) / np.maximum(number - 1, 1)[:, None]
    typical = (total - squares / np.maximum(total, 1)) / np.maximum(number - 1, 1)
    within, several = compared.treated.variance, number > 1
    known = several[:, None] & (within > 0)
    ratio = np.divide(spread, within, out=np.zeros(spread.shape), where=known)
    between = excess(ratio, np.maximum(number - 1, 1), known) * within / np.maximum(typical, 1e-300)[:, None]
    share = squares / np.maximum(total, 1) ** 2
    return np.where(known, between * share[:, None], 0.0)


def _contrasts(
    prepared: PreparedCells, design: Design, own: np.ndarray, compared: _Compared, extra: np.ndarray
) -> Contrasts:
    """Log fold changes in panel order, centred. compared: a row for each of `own`; extra: (p, m) or (p, 1)
    variance of the perturbed means beyond that of their cells.
    """
    n = len(prepared.panel)
    measured = np.flatnonzero(prepared.panel.is_measured)
    treated, control = compared.treated, compared.control
    cells = compared.counts.sum(axis=1)
    pseudo = PSEUDO_COUNT / (np.maximum(cells, 1)[:, None] * np.median(design.size[design.size > 0]))
    itself = own[:, None] == measured[None, :]
    known = len(own) > 0 and cells.min() > 0

    effect, error, shift = np.zeros((len(own), n)), np.full((len(own), n), np.inf), np.zeros((len(own), 1))
    unmoved = np.ones(len(own))

    def centre(rows: slice) -> None:
        sides = _rows(treated, rows), _rows(control, rows)
        found = _centred(*sides, extra[rows], pseudo[rows], itself[rows], design.whole)
        effect[rows][:, measured], error[rows][:, measured], shift[rows], unmoved[rows] = found

    for _ in at_once(centre, _row_blocks(len(own) if known else 0, len(measured))):
        pass
    share = np.zeros(n)
    share[measured] = np.average(control.mean, axis=0, weights=np.maximum(cells, 1e-9)) if len(own) else 0.0
    controls = round(float(control.cells.max())) if len(own) else 0
    return Contrasts(
        own, effect, error, shift[:, 0], cells, controls, share, compared.counts, unmoved=unmoved
    )


def _centred(
    treated: ShareMoments,
    control: ShareMoments,
    extra: np.ndarray,
    pseudo: np.ndarray,
    itself: np.ndarray,
    whole: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(r, m) log fold changes without the common lift, their errors, (r, 1) that lift, and (r,)
    `Contrasts.unmoved`. itself: (r, m) bool, the perturbed gene, which has no say in it; whole: shares are of
    the whole transcriptome, where what the panel does lifts nothing; others: as in `_contrasts`.
    """
    from gpovae_core.effects.compiled import agreeing, centres

    shift, step = np.zeros((2, len(itself), 1))
    worth = _worth(treated, extra)
    effect, error = np.zeros(itself.shape), np.full(itself.shape, np.inf)
    for _ in range(_CENTRINGS):  # the lift changes the pooled mean a little, so it is taken out of the cells
        effect, error = _without(shift, treated, worth, control, pseudo)
        if whole:
            return effect, error, shift, np.ones(len(itself))
        centres(effect, error, itself, step[:, 0])
        shift = shift + step
    near = np.ones(len(itself))
    agreeing(effect, error, itself, step[:, 0], (WITHIN, UNCHANGED), near)
    effect -= step
    for row in np.flatnonzero(near < MOST):
        own = slice(row, row + 1)
        sides = _rows(treated, own), worth[own], _rows(control, own), pseudo[own]
        effect[own], error[own], shift[own], near[row] = _by_place(
            effect[own], error[own], shift[own], ~itself[own], sides
        )
    return effect, error, shift, np.where(near < MOST, near, 1.0)


def _without(
    shift: np.ndarray, treated: ShareMoments, worth: np.ndarray, control: ShareMoments, pseudo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(r, m) log fold changes and errors once the lift `shift` (r, 1) is taken out of the perturbed cells."""
    scale = np.exp(-shift)
    moved = ShareMoments(
        treated.mean * scale,
        treated.variance * scale**2,
        worth,
        None if treated.scatter is None else treated.scatter * scale[:, 0],
    )
    return log_fold_change(moved, control, pseudo)


def _by_place(
    effect: np.ndarray, error: np.ndarray, shift: np.ndarray, judged: np.ndarray, sides: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """What `_centred` gives, of one row whose median lies among genes that moved, by the place of those that
    did not (effects.centre); as it was where the data do not tell it. judged: (1, m) genes that have a say;
    sides: as `_without` takes them.
    """
    place = place_of_unchanged(effect[judged], error[judged])
    if not place.clear:
        return effect, error, shift, place.share if place.at_median else 0.0
    for _ in range(_CENTRINGS):
        shift = shift + place.at
        effect, error = _without(shift, *sides)
        place = place_of_unchanged(effect[judged], error[judged])
    return effect, error, shift, place.share


def _worth(treated: ShareMoments, extra: np.ndarray) -> np.ndarray:
    """(p, m) independent cells that a group amounts to where its mean has the variance `extra` on top."""
    n = treated.cells[:, None]
    variance = np.where(treated.variance > 0, treated.variance, np.inf)
    return n / (1 + n * extra / variance)


def _chosen(group: np.ndarray, groups: int) -> Any:
    """Sparse (groups, cells) 0 or 1; group: (cells,) number, -1 for none."""
    member = np.flatnonzero(group >= 0)
    return sparse.csr_matrix((np.ones(len(member)), (group[member], member)), shape=(groups, len(group)))


def _of_rows(rows: list[np.ndarray], cells: int) -> Any:
    """Sparse (groups, cells) 0 or 1; rows: the cells of every group."""
    bounds = np.concatenate([[0], np.cumsum([len(own) for own in rows])])
    place = np.concatenate([np.zeros(0, dtype=int), *(np.sort(own) for own in rows)])
    return sparse.csr_matrix((np.ones(len(place)), place, bounds), shape=(len(rows), cells))


def _sums_of(
    prepared: PreparedCells,
    design: Design,
    cells: np.ndarray,
    sides: list[Any],
    done: Callable[[int], None] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every side, (r, cells): (r, m) sums of shares and of their squares, read in blocks of cells; done:
    told how many cells each block had.
    """
    m = len(prepared.panel_columns)
    totals = [(np.zeros((side.shape[0], m)), np.zeros((side.shape[0], m))) for side in sides]

    def block(part: slice) -> tuple[int, list[tuple[np.ndarray, np.ndarray]]]:
        shares = _shares(prepared.counts, design.size, cells[part], prepared.panel_columns)
        return shares.shape[0], _sums(_of_cells(sides, part), shares)

    for read, sums in at_once(block, _blocks(np.diff(prepared.counts.indptr)[cells])):
        for (more, squares), (first, square) in zip(sums, totals, strict=True):
            first += more
            square += squares
        if done is not None:
            done(read)
    return totals


def _blocks(lengths: np.ndarray) -> Iterator[slice]:
    """Of cells with so many stored counts each, (cells,): no more of either than may be held."""
    return cuts(np.maximum(lengths, _VALUES // _BLOCK), _VALUES)


def _shares(counts: csr_matrix, size: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Any:
    chosen: Any = columns_of(rows_of(counts, rows), columns).tocsr()
    data = chosen.data.astype(np.float64)
    data /= np.repeat(size[rows], np.diff(chosen.indptr))
    return sparse.csr_matrix((data, chosen.indices, chosen.indptr), chosen.shape)


def _add_moments(
    sums: tuple[np.ndarray, np.ndarray],
    cells: np.ndarray,
    weights: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
) -> None:
    """Adds means and unbiased variances of the shares of r groups, weighted, to `found` (r, m) each.
    sums: (r, m) or one for all, over `cells` (r,) or (1,) cells; weights: (2, r).
    """
    from gpovae_core.effects.compiled import add_moments

    def add(part: slice) -> None:
        own = slice(None) if len(cells) == 1 else part
        first, square = (each[own] for each in sums)
        add_moments(
            (first, square), cells[own].astype(np.float64), weights[:, part], *(each[part] for each in found)
        )

    for _ in at_once(add, _row_blocks(*found[0].shape)):
        pass


def _row_blocks(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, _PAIRS // max(1, columns))
    return (slice(low, low + size) for low in range(0, rows, size))


def _sums(sides: list[Any], shares: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every side, (r, cells) 0 or 1, the (r, m) sums of shares and of their squares; shares: (cells, m)
    sparse.
    """
    from gpovae_core.effects.compiled import group_sums

    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def of(chosen: Any) -> tuple[np.ndarray, np.ndarray]:
        if id(chosen) not in kept:
            first, square = (np.zeros((chosen.shape[0], shares.shape[1])) for _ in range(2))
            group_sums(_arrays(chosen), _arrays(shares), first, square)
            kept[id(chosen)] = first, square
        return kept[id(chosen)]

    def but(left_out: Any) -> tuple[np.ndarray, np.ndarray]:
        first, square = of(left_out)
        everything, squares = of(everybody)
        return everything - first, squares - square

    everybody = sparse.csr_matrix(np.ones((1, shares.shape[0])))
    return [but(side.left_out) if isinstance(side, _AllBut) else of(side) for side in sides]


def _arrays(matrix: Any) -> tuple[np.ndarray, ...]:
    return matrix.indptr, matrix.indices, matrix.data


def _rows(moments: ShareMoments, rows: np.ndarray | slice) -> ShareMoments:
    scatter = None if moments.scatter is None else moments.scatter[rows]
    return ShareMoments(moments.mean[rows], moments.variance[rows], moments.cells[rows], scatter)
