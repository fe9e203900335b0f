"""Batches for training: sliced from one sparse matrix, everything looked up by cell id once, up front."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from gpovae_core import keys
from gpovae_core.data.expression import absolute_cell_effects, log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.store import row_blocks, rows_of, shape_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from gpovae_core.data.schema import PreparedCells
    from gpovae_core.data.store import StoredCounts


@dataclass(frozen=True)
class SparseCounts:
    """(B, G) counts as their k entries that are not 0, cell by cell, none twice."""

    starts: Tensor  # (B + 1,) first entry of every cell, and their number
    gene: Tensor  # (k,) int32
    value: Tensor  # (k,)
    genes: int  # G

    @classmethod
    def of(cls, counts: csr_matrix) -> SparseCounts:
        starts, gene, value = (
            torch.from_numpy(values) for values in (counts.indptr, counts.indices, counts.data)
        )
        return cls(starts.long(), gene.int(), value, shape_of(counts)[1])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SparseCounts:
        starts, gene, value = (
            values.to(device, non_blocking=non_blocking) for values in (self.starts, self.gene, self.value)
        )
        return SparseCounts(starts, gene, value, self.genes)

    def by_entry(self, of_cells: Tensor) -> Tensor:
        """(k,) what of_cells (B,) holds for the cell of each entry."""
        return of_cells.repeat_interleave(
            self.starts.diff(), output_size=len(self.value)
        )  # unsaid, the size is asked of the device

    def dense(self, value: Tensor | None = None) -> Tensor:
        """(B, G), with the entries `value` (k,) in place of the counts where given."""
        value, cells = self.value if value is None else value, len(self.starts) - 1
        return value.new_zeros(cells * self.genes).index_copy_(0, self._place, value).view(cells, self.genes)

    @cached_property
    def _place(self) -> Tensor:
        return (
            self.by_entry(torch.arange(len(self.starts) - 1, device=self.starts.device) * self.genes)
            + self.gene
        )


@dataclass(frozen=True)
class Batch:
    """B cells under U distinct perturbations (the control is one of them, with a row of zeros in
    `dosage`).
    """

    counts: SparseCounts  # (B, G) raw counts
    library_size: Tensor  # (B,)
    artifact: Tensor  # (B,) 0 or 1
    effects: Tensor  # (B, m) dX at the measured panel genes; zeros for controls
    group: Tensor  # (B,) which of the U perturbations
    dosage: Tensor  # (U, n)
    rows: Tensor  # (r,) panel positions of the genes perturbed in this batch
    # (B,) which of the V profiles: that of the cell's perturbation among cells with the other label
    profile: Tensor
    profiles: Tensor  # (V, G) median counts
    profile_group: Tensor  # (V,) perturbation of a profile
    profile_label: Tensor  # (V,) its artifact label, 0 or 1
    has_profile: Tensor  # (V,) 0 where there was no such cell, else 1

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return Batch(
            **{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)}
        )


@dataclass(frozen=True)
class TrainingConstants:
    """What the loss needs to know about the whole training set."""

    cells_per_gene: np.ndarray  # (n,) training cells in which each panel gene is perturbed
    failing_cells: int
    training_cells: int
    log_mean: np.ndarray  # (G,) mean of log1p counts
    log_std: np.ndarray  # (G,) unbiased


class CellBatches(torch.utils.data.Dataset):
    """The cells of some splits as a dataset that hands out whole batches (`dataset.__getitems__(positions) ->
    Batch`).

    profiles: counterfactual profiles of the *training* cells, see `counterfactual_profiles`.
    """

    def __init__(
        self, prepared: PreparedCells, splits: tuple[str, ...], profiles: CounterfactualProfiles
    ) -> None:
        obs = prepared.cells.obs
        self.positions = np.flatnonzero(prepared.where(splits=splits))
        self._counts = prepared.counts
        self._library = prepared.library_size.astype(np.float32)
        self._artifact = np.asarray(obs[keys.ARTIFACT], dtype=np.float32)
        self._expression: Any = log_expression(prepared.counts, prepared.library_size)
        self._columns: np.ndarray | slice = prepared.panel_columns
        if sparse.issparse(
            self._expression
        ):  # of counts on disk, only the rows that are asked for are computed
            self._expression, self._columns = self._expression[:, self._columns], slice(None)
        self._controls = obs.index.get_indexer(
            obs[keys.CONTROL_ID].astype(str)
        )  # -1 for controls, whose id is ""
        self._profiles = profiles
        self._group = profiles.group_of(prepared.labels)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> Batch:
        cells = self.positions[positions]
        present, group = np.unique(self._group[cells], return_inverse=True)
        dosage = self._profiles.dosage[present]
        other = 1 - self._artifact[cells].astype(np.int64)
        wanted, profile = np.unique(2 * group + other, return_inverse=True)  # most are of one label only
        of, label = np.divmod(wanted, 2)
        return Batch(
            counts=SparseCounts.of(self._counts[cells]),
            library_size=torch.from_numpy(self._library[cells]),
            artifact=torch.from_numpy(self._artifact[cells]),
            effects=torch.from_numpy(
                absolute_cell_effects(self._expression, cells, self._controls[cells], self._columns)
            ),
            group=torch.from_numpy(group),
            dosage=torch.from_numpy(dosage),
            rows=torch.from_numpy(np.flatnonzero(dosage.any(axis=0))),
            profile=torch.from_numpy(profile),
            profiles=torch.from_numpy(self._profiles.counts[present[of], label]),
            profile_group=torch.from_numpy(of),
            profile_label=torch.from_numpy(label),
            has_profile=torch.from_numpy(self._profiles.present[present[of], label]),
        )


@dataclass(frozen=True)
class CounterfactualProfiles:
    """Per perturbation (control first) and artifact label: the median counts of up to `cells` training cells.

    A cell with label a meets the profile of its perturbation among cells with the *other* label, 1 - a; it
    has no counterfactual where no such cell exists.
    """

    names: tuple[str, ...]  # (U,) keys.CONTROL, then the perturbations
    dosage: np.ndarray  # (U, n)
    counts: np.ndarray  # (U, 2, G)
    present: np.ndarray  # (U, 2) 0 or 1

    def group_of(self, labels: np.ndarray) -> np.ndarray:
        """(n_obs,) row of each cell's perturbation."""
        row = {name: i for i, name in enumerate(self.names)}
        return np.array([row[label] for label in labels])


def counterfactual_profiles(
    prepared: PreparedCells, cells: int, seed: int, progress: Progress | None = None
) -> CounterfactualProfiles:
    """Profiles from the training cells; which of them, where there are more than `cells`, is drawn with
    `seed`.
    """
    rng = np.random.default_rng(seed)
    names = (keys.CONTROL, *prepared.perturbations)
    artifact = np.asarray(prepared.cells.obs[keys.ARTIFACT], dtype=bool)
    counts = np.zeros((len(names), 2, prepared.cells.n_vars), dtype=np.float32)
    present = np.zeros((len(names), 2), dtype=np.float32)
    training = cells_of(prepared.labels, names, prepared.where(splits=(keys.TRAIN,)))
    for u, own in enumerate(training):
        tell(progress, "gathering counterfactual profiles", u / len(names))
        for label in (0, 1):
            candidates = own[artifact[own] == bool(label)]
            if len(candidates):
                chosen = rng.permutation(candidates)[:cells]
                counts[u, label] = np.median(prepared.counts[chosen].toarray(), axis=0)
                present[u, label] = 1.0
    dosage = np.stack([prepared.panel.dosage(name) for name in names])
    return CounterfactualProfiles(names, dosage, counts, present)


def _mean_and_square(
    counts: csr_matrix | StoredCounts, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over cells of log1p counts, and of its square, per gene."""
    cells, genes = shape_of(counts)
    total = np.zeros((2, genes))
    for rows, block in row_blocks(counts):
        logs = block.log1p()
        means = [
            np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
            for values in (logs, logs.multiply(logs))
        ]
        total += np.stack(means) * ((rows.stop - rows.start) / cells)
        tell(progress, "measuring the training cells", rows.stop / cells)
    return total[0], total[1]


def training_constants(prepared: PreparedCells, progress: Progress | None = None) -> TrainingConstants:
    """Counts and statistics over the training cells only."""
    training = np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))
    names, tally = np.unique(prepared.labels[training].astype(str), return_counts=True)
    cells_per_gene = np.sum(
        [count * np.abs(prepared.panel.dosage(name)) for name, count in zip(names, tally, strict=True)],
        axis=0,
    )
    mean, square = _mean_and_square(rows_of(prepared.counts, training), progress)
    unbiased = len(training) / max(len(training) - 1, 1)
    return TrainingConstants(
        cells_per_gene=np.asarray(cells_per_gene, dtype=np.float64),
        failing_cells=int(np.asarray(prepared.cells.obs[keys.ARTIFACT], dtype=bool)[training].sum()),
        training_cells=len(training),
        log_mean=mean,
        log_std=np.sqrt(np.maximum(square - mean**2, 0.0) * unbiased),
    )
