"""What another set of cells shows of the same genes: another run, a file of cells, or a table of effects.

Whatever it is, it becomes log fold changes with their errors, by the code that measures them in a run, so
that both sides speak of the same quantity. Genes are matched by symbol, without regard to case where that is
unambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.effect_tables.read import holds_effects, read_effects
from gpovae_core.data.effect_tables.report import MeasuredEffects
from gpovae_core.data.progress import Progress, stretch
from gpovae_core.data.schema import Panel, PanelData, PreparedCells
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.errors import QueryError, RunError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.own_change import OwnChange, own_change
from gpovae_core.runs.folder import RunFolder, is_run


@dataclass(frozen=True)
class Elsewhere:
    """name: as shown; panel: its perturbed genes, and those of its genes that were asked for; sources: (p,)
    panel positions of the perturbed genes; effect, error: (p, n) natural log fold changes and standard
    errors, infinite where nothing was measured; own: of the p perturbed genes; cells: what it was measured
    in, None where that is a table; halves: the effects measured twice, each time against another half of the
    controls, None without cells: whatever two perturbations have in common by sharing their controls is not
    in the first of one and the second of the other.
    """

    name: str
    panel: Panel
    sources: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    own: OwnChange
    cells: PreparedCells | None = None
    halves: tuple[Contrasts, Contrasts] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """(p,) the perturbed genes."""
        return tuple(self.panel.genes[i] for i in self.sources)


def read_elsewhere(
    path: Path, genes: Sequence[str] | None, settings: Settings, progress: Progress | None = None
) -> Elsewhere:
    """The run, file of cells or table of effects at `path`, over its perturbed genes and those of `genes`
    (None: all) that it measures. settings: how a file of cells is read, and what counts as a change of the
    perturbed gene itself. All of its cells count, as none of them trained the network that is held against
    them.

    Raises RunError where there is nothing at `path`, DataError for what cannot be used, QueryError where no
    gene alone is perturbed.
    """
    path = Path(path)
    if is_run(path):
        return of_run(RunFolder.open(path), genes, settings)
    if not path.exists():
        raise RunError(f"There is no run, file of cells or table of effects '{path}'.")
    if holds_effects(path):
        return _with_sources(_of_table(path.name, read_effects(path), genes, settings))
    from gpovae_core.data.prepare import prepare

    prepared = prepare(path, settings.data, stretch(progress, words="preparing: {}"))
    return of_cells(path.name, prepared, genes, settings)


def of_run(run: RunFolder, genes: Sequence[str] | None, settings: Settings) -> Elsewhere:
    """From the cells of a run, or, where it has none, from the effects of its network stage."""
    if run.has("cells.h5ad"):
        return of_cells(run.name, run.cells(), genes, run.settings())
    arrays = run.network_arrays()
    if not arrays:
        raise QueryError(
            f"Run '{run.name}' holds neither cells nor measured effects: nothing of it can be compared with "
            "what another network predicts."
        )
    fit, panel = NetworkFit.from_arrays(arrays), run.panel()
    rows = np.flatnonzero(np.isfinite(fit.effect).any(axis=1))
    error = np.where(np.isfinite(fit.effect_sd[rows]), fit.effect_sd[rows], np.inf)
    effect = np.where(np.isfinite(error), fit.effect[rows], 0.0)
    own = OwnChange(fit.own.change[rows], fit.own.kind[rows], fit.own.source[rows])
    return _with_sources(Elsewhere(run.name, panel, rows, effect, error, own))


def of_cells(
    name: str, prepared: PreparedCells, genes: Sequence[str] | None, settings: Settings
) -> Elsewhere:
    """From all cells, over the perturbed genes and those of `genes` (None: all) that are measured."""
    panel = _panel(prepared.panel.data.perturbed, [str(gene) for gene in prepared.cells.var_names], genes)
    cells = replace(prepared, panel=panel)
    found = _of_contrasts(name, panel, contrasts(cells, keys.SPLITS), settings)
    return _with_sources(replace(found, cells=prepared, halves=_against_halves(cells, found.sources)))


def _against_halves(prepared: PreparedCells, sources: np.ndarray) -> tuple[Contrasts, Contrasts] | None:
    """See `Elsewhere.halves`; None where a perturbation has too few controls beside it in either."""
    controls = np.flatnonzero(prepared.labels == keys.CONTROL)
    ordered = controls[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[controls])]
    drawn = np.random.default_rng(0).permutation(ordered)
    halves = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    perturbed = np.flatnonzero(prepared.labels != keys.CONTROL)
    one, other = (contrasts(prepared, keys.SPLITS, np.concatenate([perturbed, half])) for half in halves)
    same = all(np.array_equal(found.sources, sources) for found in (one, other))
    return (one, other) if same else None


def _of_table(
    name: str, found: MeasuredEffects, genes: Sequence[str] | None, settings: Settings
) -> Elsewhere:
    panel = _panel(sorted(found.perturbations), found.genes, genes)
    column = {gene: place for place, gene in enumerate(found.genes)}
    order = [found.perturbations.index(gene) for gene in sorted(found.perturbations)]
    measured = [gene for gene in panel.genes if gene in column]
    here, there = [panel.index[gene] for gene in measured], [column[gene] for gene in measured]
    effect = np.zeros((len(order), len(panel)))
    error = np.full(effect.shape, np.inf)
    effect[:, here], error[:, here] = found.effect[order][:, there], found.error[order][:, there]
    observed = Contrasts(
        np.arange(len(order)), effect, error, np.zeros(len(order)), np.zeros(0), 0, np.zeros(len(panel))
    )
    return _of_contrasts(name, panel, observed, settings)


def _of_contrasts(name: str, panel: Panel, observed: Contrasts, settings: Settings) -> Elsewhere:
    network = settings.network
    own = own_change(observed, network.perturbation, network.complete_loss)
    return Elsewhere(name, panel, observed.sources, observed.effect, observed.error, own)


def _with_sources(found: Elsewhere) -> Elsewhere:
    if not len(found.sources):
        raise QueryError(
            f"'{found.name}' shows no effect of a single perturbed gene: there is nothing to compare with."
        )
    return found


def _panel(perturbed: Sequence[str], measured: Sequence[str], wanted: Sequence[str] | None) -> Panel:
    """The perturbed genes, and the measured ones that are among the wanted; None: all."""
    asked = {gene.casefold() for gene in (measured if wanted is None else wanted)}
    taken = set(perturbed)
    others = sorted(gene for gene in set(measured) - taken if gene.casefold() in asked)
    present = set(measured)
    genes = (*perturbed, *others)
    return Panel(
        PanelData(
            perturbed=tuple(perturbed),
            extended=tuple(others),
            measured=tuple(gene for gene in genes if gene in present),
        )
    )


def matched(ours: Sequence[str], theirs: Sequence[str]) -> np.ndarray:
    """(ours,) place of the same gene among `theirs`, -1 where there is none: the same spelling, or the only
    one on either side that differs in nothing but case.
    """
    exact = {gene: place for place, gene in enumerate(theirs)}
    folded = _once(theirs)
    own = _once(ours)
    return np.array(
        [exact.get(gene, folded.get(gene.casefold(), -1) if gene.casefold() in own else -1) for gene in ours],
        dtype=int,
    )


def _once(names: Sequence[str]) -> dict[str, int]:
    """Folded name -> its place, of those that only one name folds to."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.casefold(), []).append(place)
    return {name: found[0] for name, found in places.items() if len(found) == 1}


def cells_in_both(ours: PreparedCells, theirs: PreparedCells) -> int:
    """Cells of one set that the other has too: the same id under the same perturbation."""
    pairs = [
        set(zip(one.cells.obs_names.astype(str), one.labels.tolist(), strict=True)) for one in (ours, theirs)
    ]
    return len(pairs[0] & pairs[1])
