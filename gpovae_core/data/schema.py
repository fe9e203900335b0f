"""What prepared data is: the gene panel, the cells with their annotations, and the report of how they came
about.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from gpovae_core import keys
from gpovae_core.data.atomic import replacing
from gpovae_core.data.kinds import Kind
from gpovae_core.errors import QueryError

if TYPE_CHECKING:  # anndata takes half a second to import; whoever holds cells has it already
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from gpovae_core.data.store import StoredCounts


class PanelData(BaseModel):
    """The panel as it stands in panel.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    perturbed: tuple[str, ...]  # G0, sorted
    extended: tuple[str, ...]  # G+, sorted
    measured: tuple[str, ...]  # panel genes that have a column of counts
    reasons: dict[str, str] = Field(default_factory=dict)  # extended gene -> why it is in the panel
    ids: dict[str, str] = Field(default_factory=dict)  # symbol -> Ensembl id, where the data has one


@dataclass(frozen=True)
class Panel:
    """The n genes of W in their order: perturbed genes G0 (sorted), then extended genes G+ (sorted)."""

    data: PanelData

    @cached_property
    def genes(self) -> tuple[str, ...]:
        return (*self.data.perturbed, *self.data.extended)

    @cached_property
    def index(self) -> dict[str, int]:
        """Gene -> row and column of W."""
        return {gene: i for i, gene in enumerate(self.genes)}

    @cached_property
    def is_perturbed(self) -> np.ndarray:
        """(n,) bool."""
        return np.arange(len(self)) < len(self.data.perturbed)

    @cached_property
    def is_measured(self) -> np.ndarray:
        """(n,) bool."""
        measured = set(self.data.measured)
        return np.array([gene in measured for gene in self.genes], dtype=bool)

    def __len__(self) -> int:
        return len(self.genes)

    def position(self, gene: str) -> int:
        """Row and column of a gene, case-insensitive where that is unambiguous, or of its Ensembl id. Raises
        QueryError with near names.
        """
        if gene in self.index:
            return self.index[gene]
        wanted = gene.strip().casefold()
        alike = [g for g in self.genes if g.casefold() == wanted]
        alike = alike or [
            g
            for g, identifier in self.data.ids.items()
            if identifier.casefold() == wanted and g in self.index
        ]
        if len(alike) == 1:
            return self.index[alike[0]]
        bare = keys.genes_of(gene)[0]
        if keys.is_raised(gene) and bare in self.index:
            raise QueryError(
                f"'{gene}' is a perturbation: the network has one row for {bare}, for which its knock-down "
                f"and its activation both speak. Ask for {bare}."
            )
        raise QueryError(unknown_gene(gene, self.genes))

    def canonical(self, perturbation: str) -> str:
        """A typed perturbation under its name in the data: genes as the panel spells them, sorted. Raises
        QueryError.
        """
        genes = {self._named(part) for part in perturbation.split(keys.PAIR_SEPARATOR)}
        return keys.PAIR_SEPARATOR.join(sorted(genes))

    def _named(self, typed: str) -> str:
        """One gene under its name in the data, also as `keys.for_reading` writes one that is activated."""
        if typed.strip() in self.index:
            return typed.strip()
        for ending in (keys.ACTIVATED, keys.for_reading(keys.ACTIVATED)):
            if typed.strip().casefold().endswith(ending.strip()):
                return self.genes[self.position(typed.strip()[: -len(ending.strip())])] + keys.ACTIVATED
        return self.genes[self.position(typed)]

    def dosage(self, perturbation: str) -> np.ndarray:
        """(n,) float32 row of the dosage matrix D: one at every gene of `perturbation`, minus one where it is
        raised and lowered in other cells (keys.ACTIVATED), zeros for the control.
        """
        row = np.zeros(len(self), dtype=np.float32)
        if perturbation != keys.CONTROL:
            for part in perturbation.split(keys.PAIR_SEPARATOR):
                (gene,) = keys.genes_of(part)
                row[self.position(gene)] = -1.0 if keys.is_raised(part) else 1.0
        return row


def unknown_gene(gene: str, known: tuple[str, ...] | list[str]) -> str:
    """Message for a gene that is not in `known`, with the nearest names."""
    from difflib import get_close_matches

    by_fold = {name.casefold(): name for name in known}
    near = [by_fold[m] for m in get_close_matches(gene.casefold(), list(by_fold), n=5, cutoff=0.6)]
    hint = (
        f"Did you mean {', '.join(near)}?"
        if near
        else f"The panel has {len(known)} genes, e.g. {', '.join(known[:5])}."
    )
    return f"Gene '{gene}' is not in the panel of this run. {hint}"


class Dropped(BaseModel):
    """Something left out on the way, and why."""

    what: str  # "perturbation", "cells", "gene"
    name: str
    count: int  # cells that went with it
    reason: str


class ArtifactCriterion(BaseModel):
    """One of the six quality criteria as it was applied."""

    name: str
    used: bool
    cutoff: float | None = None
    direction: str = ""  # "below" or "above" the cut-off fails
    failing: int = 0
    note: str = ""  # why it was skipped, or what it means


class DesignColumns(BaseModel):
    """Columns of obs that hold the design of a screen, None where it has none; see data.design."""

    batch: str | None = None
    donor: str | None = None
    guide: str | None = None
    condition: str | None = None
    size_factor: str | None = None
    direction: Literal["knock-down", "knock-out", "activation", "mixed"] | None = None
    """What was done to the genes as the file states or their own expression tells, see `Directions`; no
    column.
    """


class Directions(BaseModel):
    """How it is known what was done to the genes (data.direction). stated: perturbation -> what the file
    states; where: what states it, in words; silent: perturbations of which it states nothing, where it does
    of others; seen: what the targets' own expression shows, in words.
    """

    stated: dict[str, Kind] = Field(default_factory=dict)
    where: str = ""
    silent: int = 0
    seen: str = ""


class PreparationReport(BaseModel):
    """How a file became prepared cells, in numbers and words; nothing is dropped without a line here."""

    source: str  # file name, no folder
    simulated: bool = False
    cells_read: int
    cells_kept: int
    genes_measured: int
    counts_from: str  # "X", "raw" or a layer's name
    counts_how: str = ""  # what was done to the values, as in "recovered from log-normalised values"
    label_column: str
    control_label: str
    perturbations: dict[str, int]  # kept perturbation -> cells
    control_cells: int
    unmeasured_targets: tuple[str, ...] = ()
    artifacts: int = 0
    criteria: list[ArtifactCriterion] = Field(default_factory=list)
    design: DesignColumns | None = None  # None in reports from before it was read
    directions: Directions = Field(default_factory=Directions)
    hold_out: Literal["cells", "guides", "donors", "batches"] = "cells"
    split_by_cells: tuple[str, ...] = ()
    """Perturbations whose held-out cells have a guide, donor or batch in common with the training, though
    whole ones are held out elsewhere.
    """
    without_controls: tuple[str, ...] = ()
    """Perturbations whose batches, donors or conditions hold no controls, so that no effect of theirs can be
    measured.
    """
    unseparated: tuple[str, ...] = ()
    """Columns of obs that are like batches and that cells are not compared within: what differs there cannot
    be told from effects, and the share of false edges is unknown.
    """
    dropped: list[Dropped] = Field(default_factory=list)
    conditions: dict[str, int] = Field(default_factory=dict)
    """Conditions whose cells are used -> cells; empty where the file has none."""
    warnings: list[str] = Field(default_factory=list)
    """What a person should know before a training; part of the notes."""
    notes: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class PreparedCells:
    """Cells ready for training.

    cells: AnnData with raw counts as CSR float32 in X, shape (n_obs, n_vars), X empty where they are
    `stored`; var_names are gene
        symbols; obs is indexed by cell id and has the columns keys.PERTURBATION, ARTIFACT, SPLIT, CONTROL_ID
        and LIBRARY_SIZE, and of BATCH, DONOR, GUIDE, CONDITION and SIZE_FACTOR those that the file has.
    panel: the genes of W. report: how all this came about. stored: the counts, where they are too large to be
    held.
    """

    cells: AnnData
    panel: Panel
    report: PreparationReport
    stored: StoredCounts | None = None

    @classmethod
    def of(
        cls,
        counts: csr_matrix | StoredCounts,
        obs: pd.DataFrame,
        genes: Sequence[str],
        panel: Panel,
        report: PreparationReport,
    ) -> PreparedCells:
        """counts: (n_obs, n_vars), in memory or on disk; obs: as in `cells`; genes: names of its columns."""
        import pandas as pd
        from anndata import AnnData

        from gpovae_core.data.store import StoredCounts

        var = pd.DataFrame(index=pd.Index(genes, dtype=object))
        if isinstance(counts, StoredCounts):
            return cls(AnnData(obs=obs, var=var), panel, report, counts)
        return cls(AnnData(X=counts, obs=obs, var=var), panel, report)

    @property
    def counts(self) -> csr_matrix:
        """(n_obs, n_vars) raw counts, float32. On disk they answer `counts[rows]` as a matrix does; see
        data.store for the rest.
        """
        return cast("csr_matrix", self.cells.X if self.stored is None else self.stored)

    @cached_property
    def labels(self) -> np.ndarray:
        """(n_obs,) perturbation of every cell, str."""
        return np.asarray(self.cells.obs[keys.PERTURBATION].astype(str), dtype=object)

    @cached_property
    def library_size(self) -> np.ndarray:
        """(n_obs,) UMIs per cell over the measured genes, float64."""
        return np.asarray(self.cells.obs[keys.LIBRARY_SIZE], dtype=np.float64)

    @cached_property
    def passing(self) -> np.ndarray:
        """(n_obs,) bool: cells that passed quality control and have counts. What the others show is not the
        perturbation.
        """
        return ~np.asarray(self.cells.obs[keys.ARTIFACT], dtype=bool) & (self.library_size > 0)

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """All perturbations that have cells, sorted, without the control."""
        return tuple(sorted(set(self.labels) - {keys.CONTROL}))

    @cached_property
    def unseen(self) -> tuple[str, ...]:
        """Perturbations held out as a whole, sorted."""
        return tuple(sorted(set(self.labels[self.where(splits=(keys.UNSEEN,))])))

    def without_unseen(self) -> PreparedCells:
        """The cells of all other perturbations and the controls; itself where nothing is held out as a
        whole.
        """
        from gpovae_core.data.store import rows_of

        if not self.unseen:
            return self
        kept = np.flatnonzero(~self.where(splits=(keys.UNSEEN,)))
        obs = cast("pd.DataFrame", self.cells.obs.iloc[kept])
        return PreparedCells.of(
            rows_of(self.counts, kept), obs, list(self.cells.var_names), self.panel, self.report
        )

    def where(self, perturbation: str | None = None, splits: tuple[str, ...] = keys.SPLITS) -> np.ndarray:
        """(n_obs,) bool: cells of a perturbation (all where None) in the given splits."""
        mask = np.asarray(self.cells.obs[keys.SPLIT].isin(splits), dtype=bool)
        return mask if perturbation is None else mask & (self.labels == perturbation)

    @cached_property
    def panel_columns(self) -> np.ndarray:
        """(m,) columns of X of the measured panel genes, in panel order (see Panel.is_measured)."""
        genes = [
            gene for gene, measured in zip(self.panel.genes, self.panel.is_measured, strict=True) if measured
        ]
        return self.cells.var_names.get_indexer(genes)

    def write(self, path: Path) -> None:
        """One h5ad with panel and report inside, compressed but for counts on disk; replaced as a whole."""
        from gpovae_core.data.write import write_cells

        cells = self.cells.copy()
        cells.uns = {"panel": self.panel.data.model_dump_json(), "report": self.report.model_dump_json()}
        if self.stored is None:
            write_cells(cells, path)
            return
        with replacing(path) as aside:
            self.stored.write_as(aside)
            _annotate(aside, cells)

    @classmethod
    def read(cls, path: Path) -> PreparedCells:
        """Inverse of write."""
        import anndata

        from gpovae_core.data.store import StoredCounts, is_stored

        stored = StoredCounts(path) if is_stored(path) else None
        cells = anndata.read_h5ad(path) if stored is None else _annotations(path)
        panel = Panel(PanelData.model_validate(json.loads(cells.uns["panel"])))
        report = PreparationReport.model_validate(json.loads(cells.uns["report"]))
        return cls(cells=cells, panel=panel, report=report, stored=stored)


def _annotations(path: Path) -> AnnData:
    """obs, var and uns of an .h5ad file."""
    import h5py
    from anndata import AnnData
    from anndata.io import read_elem

    with h5py.File(path, "r") as file:
        obs, var, uns = (cast("Any", read_elem(cast("Any", file[name]))) for name in ("obs", "var", "uns"))
    for name in obs.select_dtypes(object):
        obs[name] = _each_once(obs[name].to_numpy())
    return AnnData(obs=obs, var=var, uns=uns)


def _each_once(values: np.ndarray) -> np.ndarray:
    """The same texts, those that are equal as one object: 130,000 cells have 600 perturbations."""
    import pandas as pd

    places, texts = pd.factorize(values)
    return values if (places < 0).any() else np.asarray(texts, dtype=object)[places]


def _annotate(path: Path, cells: AnnData) -> None:
    """Put obs, var and uns into an .h5ad file that holds X."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path, "r+") as file:
        for name, value in (("obs", cells.obs), ("var", cells.var), ("uns", dict(cells.uns))):
            write_elem(file, name, value)
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            write_elem(file, name, {})


def read_report(path: Path) -> PreparationReport:
    """Only the report out of prepared cells, without reading the counts."""
    import h5py

    with h5py.File(path) as file:
        text: Any = file["uns/report"]
        return PreparationReport.model_validate(json.loads(text[()]))
