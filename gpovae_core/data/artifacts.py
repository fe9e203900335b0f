"""Which cells failed quality control: six criteria, each with its own cut-off and a line in the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.config import ARTIFACT_CRITERIA
from gpovae_core.data.cores import in_processes
from gpovae_core.data.design.find import Design
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import ArtifactCriterion
from gpovae_core.data.store import StoredCounts, row_blocks
from gpovae_core.data.wording import counted
from gpovae_core.errors import GpoVaeError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    from gpovae_core.config import DataSettings

UMI_COUNT, GENES_DETECTED, MITOCHONDRIAL, RIBOSOMAL, HAEMOGLOBIN, DOUBLET = ARTIFACT_CRITERIA

WHOLE_TRANSCRIPTOME = 1000
"""Fewer measured genes are a targeted panel: somebody chose them, so a class's share of the counts says
nothing about the cell.
"""
LARGEST_DOUBLET_GROUP = 10_000
"""Scrublet's exact neighbours cost the square of the cells; larger groups are cut into random parts of at
most this size.
"""
SCRUBLET_LOADED, SCRUBLET_PER_VALUE = 0.5e9, 40
"""Bytes of a process that has loaded it, and for every stored count of the group (measured: 1.5 GB for 28
million).
"""
DOUBLETS_EACH, FEWEST_CELLS_OF_GENE, FEWEST_GENES_OF_CELL = 2.0, 3, 3
"""As scanpy sets them: simulated doublets for every cell, and what a gene and a cell need to count."""
COMPONENTS = 30
"""Principal components in which neighbours are looked for, as in scanpy."""
_CELLS_AT_ONCE = 1000
"""Cells that are dense at a time."""
SCRUBLET_SECONDS = 20.0
"""What the first group is taken to last, for a share that moves."""
FEWEST_CONTROLS = 50
"""Controls from which a cut-off is taken; with fewer in a batch it comes from all controls."""
FEWEST_FOR_SHIFT = 20
"""Cells of a perturbation in a batch whose median is taken for them; with fewer, that of all its cells."""
_MANY_FAIL = 0.2
RARE = 0.05
"""Where controls have no spread at all, as many cells beyond their value are taken to be the few that are
unlike the others (a red cell among cells without haemoglobin); more are an ordinary part of the cells.
"""

_GENES = {  # whole names: pseudogenes (RPL23P8, HBBP1) and kinases (RPS6KA1) of similar name stay out
    MITOCHONDRIAL: r"MT-.+",
    RIBOSOMAL: r"RP[LS](\d+[AXYL]?\d?(L\d?)?|A|P\d)",
    HAEMOGLOBIN: r"HB(A\d?|B|D|E1|G\d|M|Q1|Z|A-\w\d?|B-\w+)",
}
_CLASS = {MITOCHONDRIAL: "mitochondrial", RIBOSOMAL: "ribosomal", HAEMOGLOBIN: "haemoglobin"}
_COLUMNS = {
    MITOCHONDRIAL: (
        "pct_counts_mt",
        "percent_mito",
        "percent.mt",
        "percent_mt",
        "pct_mito",
        "pct_mt",
        "p_mito",
        "mito_percent",
        "mitopercent",
    ),
    RIBOSOMAL: ("pct_counts_ribo", "percent_ribo", "percent.ribo", "pct_ribo", "p_ribo"),
    HAEMOGLOBIN: ("pct_counts_hb", "percent_hb", "percent.hb", "pct_hb", "p_hb"),
}


@dataclass(frozen=True)
class Artifacts:
    """failed: (n_obs,) bool; by_criterion: bool columns of the criteria in use, same rows; criteria: all six,
    for the report.
    """

    failed: np.ndarray
    by_criterion: pd.DataFrame
    criteria: list[ArtifactCriterion]


def mad_cutoff(values: np.ndarray, mads: float, direction: str) -> float:
    """median - mads * MAD ("below" fails) or median + mads * MAD ("above" fails); MAD = median absolute
    deviation, unscaled.
    """
    middle = float(np.median(values))
    spread = mads * float(np.median(np.abs(values - middle)))
    return middle - spread if direction == "below" else middle + spread


def outliers(values: np.ndarray, cutoff: float | np.ndarray, direction: str) -> np.ndarray:
    """(n_obs,) bool: strictly beyond the cut-off, or each beyond its own."""
    return values < cutoff if direction == "below" else values > cutoff


def class_genes(genes: Sequence[str], criterion: str) -> np.ndarray:
    """(n_vars,) bool: mitochondrial, ribosomal or haemoglobin genes (human and mouse; not RPS6KA1, HBP1,
    HBEGF or HBS1L).
    """
    import re

    pattern = re.compile(_GENES[criterion], re.IGNORECASE)
    return np.array([bool(pattern.fullmatch(gene)) for gene in genes], dtype=bool)


def artifact_labels(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    obs: pd.DataFrame,
    labels: np.ndarray,
    settings: DataSettings,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Artifacts:
    """Cells that fail any of `settings.artifact_criteria`: those of Baek et al. 2025 (section "Artifact
    label") and its code, with cut-offs that do not look at what a perturbation does (see `judge`).

    counts: (n_obs, n_vars) raw; obs: columns of the file, same rows, looked through for percentages measured
    over the whole transcriptome; labels: (n_obs,) canonical; design: batches, within which doublets are
    looked for and cut-offs taken, and the counts of the whole transcriptome. A criterion that cannot be used
    says so in its note.
    """
    import pandas as pd

    design = Design() if design is None else design
    cells = _Cells(counts, genes, obs, np.asarray(labels, dtype=object), design)
    results = [_apply(name, cells, settings, progress) for name in ARTIFACT_CRITERIA]
    by_criterion = pd.DataFrame(
        {c.name: failing for c, failing in results if failing is not None}, index=obs.index
    )
    failed = np.asarray(by_criterion.to_numpy(dtype=bool).any(axis=1))
    return Artifacts(failed, by_criterion, [criterion for criterion, _ in results])


@dataclass(frozen=True)
class _Cells:
    """What is known of the cells, all in the same rows."""

    counts: sparse.csr_matrix | StoredCounts
    genes: Sequence[str]
    obs: pd.DataFrame
    labels: np.ndarray
    design: Design

    @property
    def batch(self) -> pd.Series | None:
        return self.design.values.get(keys.BATCH)

    @property
    def batch_codes(self) -> np.ndarray:
        """(n_obs,) from 0 on, of the batches and conditions within which cut-offs are taken."""
        batch = self.design.compared
        return np.zeros(len(self.labels), dtype=int) if batch is None else np.asarray(batch.cat.codes)


def _apply(
    name: str, cells: _Cells, settings: DataSettings, progress: Progress | None
) -> tuple[ArtifactCriterion, np.ndarray | None]:
    if name not in settings.artifact_criteria:
        return _skipped(name, "switched off in the settings"), None
    if name == DOUBLET:
        return _doublets(cells.counts, settings, cells.batch, progress)
    values, source = criterion_values(
        name, cells.counts, cells.genes, cells.obs, cells.design, settings.judge_targeted_counts
    )
    if values is None:
        return _skipped(name, source), None
    counted_up = name in (UMI_COUNT, GENES_DETECTED)
    direction = "below" if counted_up else "above"
    judged = judge(
        values, cells.labels, cells.batch_codes, settings.artifact_mads, direction, ratios=counted_up
    )
    cutoff, failing = float(np.median(judged.cutoffs)), judged.failing
    if cutoff == np.median(values[judged.reference]) and failing.mean() > RARE:
        return _skipped(
            name,
            f"{source}; " * bool(source) + "at least half of the cells have the same value "
            f"({cutoff:.4g}), so nothing says how far from it is too far",
        ), None
    meaning = _meaning(values[judged.reference], judged.cutoffs, direction, failing)
    note = "; ".join(part for part in (source, _spread(judged.cutoffs), meaning) if part)
    return ArtifactCriterion(
        name=name, used=True, cutoff=cutoff, direction=direction, failing=int(failing.sum()), note=note
    ), failing


@dataclass(frozen=True)
class Judgement:
    """failing: (n_obs,) bool; cutoffs: one for every batch; reference: (n_obs,) bool, cells behind them."""

    failing: np.ndarray
    cutoffs: np.ndarray
    reference: np.ndarray


def judge(
    values: np.ndarray, labels: np.ndarray, batch: np.ndarray, mads: float, direction: str, ratios: bool
) -> Judgement:
    """Which cells lie beyond the cut-off of their batch, beside the cells of their own perturbation.

    A knock-down of a hub may change how many counts its cells have; that is its effect, and no sign of a poor
    cell. So the cut-off is that of the control cells of the batch (of all controls where it has few, of all
    cells where there are few controls at all), and a perturbation as a whole is moved to them first: its
    median to theirs, as a factor (ratios) or a difference, and its median absolute deviation down to theirs
    where it is larger (counts of genes spread more widely where there are fewer).

    values: (n_obs,); labels: (n_obs,) canonical; batch: (n_obs,) codes from 0 on; direction: "below" or
    "above" the cut-off fails.
    """
    control = labels == keys.CONTROL
    common = control if control.sum() >= FEWEST_CONTROLS else np.ones(len(labels), dtype=bool)
    scaled = np.log(np.maximum(values, 1.0)) if ratios else values
    reference = np.zeros(len(labels), dtype=bool)
    middle, spread, cutoff = (np.empty(len(values)) for _ in range(3))
    cutoffs = np.empty(int(batch.max(initial=0)) + 1)
    for code in range(len(cutoffs)):
        here = batch == code
        own = here & control
        chosen = own if own.sum() >= FEWEST_CONTROLS else common
        reference |= chosen
        cutoffs[code] = cutoff[here] = mad_cutoff(values[chosen], mads, direction)
        middle[here], spread[here] = _middle_and_spread(scaled[chosen])
    apart = scaled - middle
    shift, wider = _shifts(apart, spread, labels, batch)
    changed = (shift != 0.0) | (wider != 1.0)
    moved = middle + (apart - shift) / wider
    moved = np.where(changed, np.exp(moved) if ratios else moved, values)
    return Judgement(outliers(moved, cutoff, direction), cutoffs, reference)


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Median and median absolute deviation."""
    middle = float(np.median(values))
    return middle, float(np.median(np.abs(values - middle)))


def _shifts(
    apart: np.ndarray, spread: np.ndarray, labels: np.ndarray, batch: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n_obs,) median of `apart` among the cells of the same perturbation, and how many times `spread` their
    median absolute deviation is, at least 1: of those in the same batch where there are enough.

    apart, spread: (n_obs,) distance from the median of the batch's controls, and their spread.
    """
    shift, wider = np.empty(len(apart)), np.ones(len(apart))
    codes = np.unique(labels.astype(str), return_inverse=True)[1]
    by_label = np.argsort(codes, kind="stable")
    for rows in np.split(by_label, np.cumsum(np.bincount(codes))[:-1]):
        groups = [rows[batch[rows] == code] for code in np.unique(batch[rows])]
        for cells in (rows, *(group for group in groups if len(group) >= FEWEST_FOR_SHIFT)):
            shift[cells], own = _middle_and_spread(apart[cells])
            times = np.divide(own, spread[cells], out=np.ones(len(cells)), where=spread[cells] > 0)
            wider[cells] = np.maximum(times, 1.0)
    return shift, wider


def _skipped(name: str, note: str) -> ArtifactCriterion:
    return ArtifactCriterion(name=name, used=False, note=note)


def criterion_values(
    name: str,
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    obs: pd.DataFrame,
    design: Design | None = None,
    judge_targeted: bool = False,
) -> tuple[np.ndarray | None, str]:
    """(values (n_obs,) of a criterion that has a cut-off, or None; where they come from, or why there are
    none).

    counts: (n_obs, n_vars) raw; obs: columns of the file, same rows; design: with the counts of the whole
    transcriptome where the file has them; judge_targeted: counts of a targeted panel are judged too. Doublets
    are called, not measured: not for them.
    """
    library = None if design is None else design.values.get(keys.SIZE_FACTOR)
    if name not in (UMI_COUNT, GENES_DETECTED):
        return _percentages(name, counts, genes, obs, whole=library is None)
    if name == UMI_COUNT and design is not None and library is not None:
        column = design.columns.size_factor
        return library.to_numpy(dtype=np.float64), f"taken from the column '{column}' of obs"
    if len(genes) < WHOLE_TRANSCRIPTOME and not judge_targeted:
        what = "counts of these" if name == UMI_COUNT else "number of these that are seen"
        why = (
            f"only {len(genes):,} chosen genes were measured, and the {what} may change with what a "
            "perturbation does"
        )
        hint = "; a column with the counts of the whole transcriptome (size_factor) would serve"
        on = "; judge_targeted_counts judges them all the same"
        return None, why + (hint if name == UMI_COUNT else "") + on
    if name == UMI_COUNT:
        return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel(), ""
    return np.diff(counts.indptr).astype(np.float64), ""


def _percentages(
    name: str, counts: sparse.csr_matrix | StoredCounts, genes: Sequence[str], obs: pd.DataFrame, whole: bool
) -> tuple[np.ndarray | None, str]:
    """whole: whether the counts are those of the whole transcriptome, as far as is known; where they are
    not, a column of obs that was measured over it goes before them.
    """
    members = class_genes(genes, name)
    targeted = len(genes) < WHOLE_TRANSCRIPTOME
    if members.any() and not targeted and (whole or _from_obs(name, obs)[0] is None):
        total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
        parts = [block[:, np.flatnonzero(members)].sum(axis=1) for _, block in row_blocks(counts)]
        part = np.asarray(np.concatenate(parts), dtype=np.float64).ravel()
        return 100.0 * np.divide(part, total, out=np.zeros_like(total), where=total > 0), ""
    values, column = _from_obs(name, obs)
    if values is not None:
        return values, f"taken from the column '{column}' of obs"
    if not members.any():
        return None, f"no {_CLASS[name]} genes among the {len(genes):,} measured ones"
    shown = ", ".join(gene for gene, member in zip(genes, members, strict=True) if member)
    return (
        None,
        f"only {len(genes):,} chosen genes were measured, so the share of {shown} in their counts does not "
        "show a cell's quality",
    )


def _from_obs(name: str, obs: pd.DataFrame) -> tuple[np.ndarray | None, str]:
    """Percentages from a known column of obs; a share (largest value at most 1) is turned into percent."""
    import pandas as pd

    by_name = {str(column).casefold(): column for column in obs.columns}
    for wish in _COLUMNS[name]:
        column = by_name.get(wish)
        if column is not None and pd.api.types.is_numeric_dtype(obs[column]):
            values = obs[column].to_numpy(dtype=np.float64)
            if np.isfinite(values).all() and values.min() >= 0:
                return values * (100.0 if values.max() <= 1.0 else 1.0), str(column)
    return None, ""


def _spread(cutoffs: np.ndarray) -> str:
    """That a criterion has a cut-off in every batch, where they differ."""
    low, high = float(cutoffs.min()), float(cutoffs.max())
    return (
        "" if low == high else f"{len(cutoffs)} batches with cut-offs of their own, {low:,.4g} to {high:,.4g}"
    )


def _meaning(reference: np.ndarray, cutoffs: np.ndarray, direction: str, failing: np.ndarray) -> str:
    """What a reader should know about an unusual cut-off. reference: values of the cells it comes from."""
    if direction == "below" and cutoffs.max() <= 0:
        return "the cut-off is below zero: no cell can fail, the counts are spread too widely"
    cutoff = float(np.median(cutoffs))
    if cutoff == np.median(reference) and failing.any():
        what = "every cell with any" if cutoff == 0 else "every cell beyond the median"
        return f"at least half of the cells have the same value, so {what} fails ({failing.mean():.0%})"
    if failing.mean() > _MANY_FAIL:
        return (
            f"{failing.mean():.0%} of the cells fail, more than damage would explain: consider leaving this "
            "criterion out"
        )
    return ""


def _doublets(
    counts: sparse.csr_matrix | StoredCounts,
    settings: DataSettings,
    batch: pd.Series | None,
    progress: Progress | None,
) -> tuple[ArtifactCriterion, np.ndarray | None]:
    if not settings.detect_doublets:
        return _skipped(DOUBLET, "switched off in the settings (detect_doublets)"), None
    n_obs, n_vars = cast("tuple[int, int]", counts.shape)
    if n_vars < WHOLE_TRANSCRIPTOME:
        note = (
            f"Scrublet looks for doublets in the variable genes of a whole transcriptome; {n_vars:,} chosen "
            "genes are too few"
        )
        return _skipped(DOUBLET, note), None
    groups = doublet_groups(n_obs, batch, settings.seed)
    failing, done = np.zeros(n_obs, dtype=bool), -1
    asked = ((counts[rows], settings.seed) for rows in groups)
    began = last = time.monotonic()

    def meanwhile() -> None:
        """Scrublet says nothing of how far it is: the time of the groups before is taken for that."""
        now = time.monotonic()
        usual = (last - began) / (done + 1) if done >= 0 else SCRUBLET_SECONDS
        share = 1 - np.exp(-(now - last) / max(usual, 1e-3))
        tell(progress, "looking for doublets", (done + 1 + float(share)) / len(groups))

    try:
        memory = _memory_of(counts, groups)
        for done, found in enumerate(in_processes(_predict, asked, memory, meanwhile)):
            last = time.monotonic()
            failing[groups[done]] = found
            tell(progress, "looking for doublets", (done + 1) / len(groups))
    except (MemoryError, BrokenExecutor) as error:  # no answer of Scrublet's: another machine would give one
        raise GpoVaeError(
            "The search for doublets ran out of memory, or one of its processes was killed. Use fewer at a "
            "time (`--jobs 1`), or do without it (data.detect_doublets = false)."
        ) from error
    # Scrublet gives up in many ways on small or odd groups; cells are then kept, and the report says so
    except Exception as error:
        size = len(groups[min(done + 1, len(groups) - 1)])
        first = (str(error).splitlines() or [type(error).__name__])[0][:120]
        return _skipped(
            DOUBLET, f"Scrublet could not be run on a group of {counted(size, 'cell')} ({first})"
        ), None
    note = "Scrublet" + (f", in {len(groups)} groups of cells" if len(groups) > 1 else "")
    return ArtifactCriterion(name=DOUBLET, used=True, failing=int(failing.sum()), note=note), failing


def _memory_of(counts: sparse.csr_matrix | StoredCounts, groups: list[np.ndarray]) -> float:
    """Bytes that Scrublet takes of a group at most."""
    lengths = np.diff(counts.indptr)
    largest = max((int(lengths[rows].sum()) for rows in groups), default=0)
    return SCRUBLET_LOADED + SCRUBLET_PER_VALUE * largest


def _predict(asked: tuple[sparse.csr_matrix, int]) -> np.ndarray:
    return predict_doublets(*asked)


def doublet_groups(n_obs: int, batch: pd.Series | None, seed: int) -> list[np.ndarray]:
    """Rows to search together: one group per batch, cut at random into parts of at most LARGEST_DOUBLET_GROUP
    cells.
    """
    names = np.zeros(n_obs, dtype=int) if batch is None else np.asarray(batch.astype(str))
    generator = np.random.default_rng(seed)
    groups = []
    for name in np.unique(names):
        rows = generator.permutation(np.flatnonzero(names == name))
        groups += [np.sort(part) for part in np.array_split(rows, -(-len(rows) // LARGEST_DOUBLET_GROUP))]
    return groups


def predict_doublets(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
    """(n_obs,) bool by scanpy's Scrublet with exact neighbours.

    Approximate ones need a pynndescent and a scipy that fit each other, and change between machines. Where
    Scrublet finds no threshold between its two modes, no cell is called. Raises what Scrublet raises.

    Its principal components are handed over (`_components`), one more than it keeps: of them it takes the
    largest, and turns them.
    """
    import warnings

    import numba
    import scanpy as sc
    from anndata import AnnData

    threads = numba.get_num_threads()
    numba.set_num_threads(1)  # sums over genes may come in another order on more
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells, kept = _variable_genes(counts)
            simulated = sc.pp.scrublet_simulate_doublets(
                cells, layer="raw", sim_doublet_ratio=DOUBLETS_EACH, random_seed=seed
            )
            del cells.layers["raw"]
            for part in (cells, simulated):
                sc.pp.normalize_total(part, target_sum=1e6)
            parents = simulated.obsm["doublet_parents"]
            cells, simulated = (AnnData(part) for part in _components(cells.X, simulated.X, COMPONENTS + 1))
            simulated.obsm["doublet_parents"] = parents
            sc.pp.scrublet(
                cells,
                adata_sim=simulated,
                mean_center=False,
                normalize_variance=False,
                n_prin_comps=COMPONENTS,
                random_state=seed,
                use_approx_neighbors=False,
                verbose=False,
            )
    finally:
        numba.set_num_threads(threads)
    found = np.zeros(len(kept), dtype=bool)
    if "predicted_doublet" in cells.obs:
        found[kept] = cells.obs["predicted_doublet"].fillna(False)
    return found


def _components(cells: Any, simulated: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(n_obs, number) and (n_simulated, number): principal components of cells, sparse, whose genes are taken
    to mean 0 and standard deviation 1, and simulated ones along the same axes.

    Scrublet's own holds all of them as dense matrices, several times. The axes are those of the covariance of
    genes, which is summed up over blocks of cells.
    """
    from scipy import linalg, sparse
    from sklearn.utils.sparsefuncs import mean_variance_axis

    cells, simulated = sparse.csr_matrix(cells), sparse.csr_matrix(simulated)
    n_obs, n_genes = cast("tuple[int, int]", cells.shape)
    if number > min(n_obs, n_genes):
        raise ValueError(
            f"{n_obs:,} cells and {n_genes:,} variable genes are too few for {number} components"
        )
    moments: Any = mean_variance_axis(cells, axis=0)
    mean, variance = (np.asarray(part, dtype=np.float64) for part in moments)
    scale = 1.0 / np.sqrt(variance * n_obs / (n_obs - 1))

    def standard(part: sparse.csr_matrix) -> np.ndarray:
        return (part.toarray() - mean) * scale

    covariance = np.zeros((n_genes, n_genes))
    for start in range(0, n_obs, _CELLS_AT_ONCE):
        dense = standard(cells[start : start + _CELLS_AT_ONCE])
        covariance += dense.T @ dense
    _, axes = linalg.eigh(covariance, subset_by_index=(n_genes - number, n_genes - 1), overwrite_a=True)

    def along(whole: sparse.csr_matrix) -> np.ndarray:
        starts = range(0, cast("tuple[int, int]", whole.shape)[0], _CELLS_AT_ONCE)
        return np.concatenate([standard(whole[k : k + _CELLS_AT_ONCE]) @ axes for k in starts])

    return along(cells), along(simulated)


def _variable_genes(counts: sparse.csr_matrix) -> tuple[AnnData, np.ndarray]:
    """What `scanpy.pp.scrublet` does before it simulates doublets, step by step, without its copies of all
    genes: cells with normalised counts of the variable genes, the counts themselves in the layer "raw", and
    (n_obs,) bool which cells these are.
    """
    import scanpy as sc
    from anndata import AnnData

    chosen: Any = sc.pp.filter_genes(AnnData(counts), min_cells=FEWEST_CELLS_OF_GENE, inplace=False)
    raw: Any = counts[:, np.flatnonzero(chosen[0])]
    chosen = sc.pp.filter_cells(AnnData(raw), min_genes=FEWEST_GENES_OF_CELL, inplace=False)
    kept = np.asarray(chosen[0])
    raw = raw[np.flatnonzero(kept)]
    cells = AnnData(raw.copy())
    sc.pp.normalize_total(cells)
    sc.pp.log1p(cells)
    sc.pp.highly_variable_genes(cells)
    variable = np.flatnonzero(cells.var["highly_variable"])
    cells = AnnData(raw.copy())
    sc.pp.normalize_total(cells)
    normalised: Any = cells.X
    cells = AnnData(normalised[:, variable])
    cells.layers["raw"] = raw[:, variable]
    return cells, kept
