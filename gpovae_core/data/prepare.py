"""From a file of cells to what the model trains on: the whole way, with a report of everything done and left
out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data import conditions
from gpovae_core.data.artifacts import Artifacts, artifact_labels
from gpovae_core.data.backed import BackedCells
from gpovae_core.data.design.strata import strata
from gpovae_core.data.expression import LogExpression, log_expression
from gpovae_core.data.pairing import pair_controls
from gpovae_core.data.panel import choose_panel
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.read import read_cells
from gpovae_core.data.reading import Reading
from gpovae_core.data.schema import DesignColumns, Panel, PreparationReport, PreparedCells
from gpovae_core.data.splits import split_by_cells, split_cells
from gpovae_core.data.validate import Examination, examine
from gpovae_core.data.wording import counted
from gpovae_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.config import DataSettings

_IN_MEMORY = "(in memory)"


def prepare(
    source: Path | str | AnnData,
    settings: DataSettings,
    progress: Progress | None = None,
    scratch: Path | None = None,
) -> PreparedCells:
    """Prepared cells of a file (any form of `data.readers`) or an AnnData, which is not changed.

    Counts of a file that are too large to be held (data.store) stay on disk, in memory of about 2 GB: in the
    file `scratch`, or in a temporary one where None, until `PreparedCells.write` takes that to its place.

    Rows come sorted by cell id, columns by gene name: the order of the file has no influence on any result.
    Raises DataError with *all* errors of `examine`, SettingsError for settings that do not fit the data.
    """
    tell(progress, "reading the file", 0.0)
    name = Path(source).name if isinstance(source, str | Path) else _IN_MEMORY
    cells = read_cells(source) if isinstance(source, str | Path) else source
    tell(progress, "checking", 0.02)
    examination = examine(cells, settings, scratch, _told_of_passes(cells, progress))
    reading = examination.reading
    if reading is None:
        raise DataError([problem for problem in examination.problems if problem.severity == "error"])
    del cells
    return _assemble(name, reading, examination, settings, progress)


def _told_of_passes(cells: AnnData | BackedCells, progress: Progress | None) -> Progress:
    """What tells of `examine`: of counts in a file also what is gone through while they are checked, some
    times, nobody knows how many, until they are sorted.
    """
    passes, sorting = 0.0, stretch(progress, 0.05, 0.15)
    checking = True

    def read(values: int) -> None:
        nonlocal passes
        passes += values / max(cells.X.nnz, 1)  # type: ignore[union-attr]
        if checking:
            tell(progress, "checking", 0.05 - 0.03 * 0.5**passes)

    def told(stage: str, share: float) -> None:
        nonlocal checking
        checking = False
        tell(sorting, stage, share)

    if isinstance(cells, BackedCells):
        cells.tell(read)
    return told


def _assemble(
    name: str, reading: Reading, examination: Examination, settings: DataSettings, progress: Progress | None
) -> PreparedCells:
    splits = split_cells(reading.labels, settings, reading.design)
    by_cells = split_by_cells(reading.labels, splits, settings, reading.design)
    tell(progress, "quality control", 0.2)
    artifacts = artifact_labels(
        reading.counts,
        reading.genes,
        reading.obs,
        reading.labels.to_numpy(dtype=object),
        settings,
        reading.design,
        stretch(progress, 0.2, 0.5),
    )
    tell(progress, "choosing the panel", 0.5)
    training = (splits == keys.TRAIN).to_numpy()
    panel = choose_panel(
        reading.counts,
        reading.genes,
        reading.labels,
        training,
        settings,
        reading.ids,
        stretch(progress, 0.5, 0.6),
    )
    expression: Any = log_expression(reading.counts, target_sum=settings.target_sum)
    columns = np.flatnonzero(np.isin(np.array(reading.genes), np.array(panel.data.measured)))
    doing, gathering = "matching controls", stretch(progress, 0.6, 0.65)
    on_disk = isinstance(expression, LogExpression)
    matched = pair_controls(
        expression.of_columns(columns, gathering, doing) if on_disk else expression[:, columns],
        reading.labels,
        splits,
        settings,
        stretch(progress, 0.65, 1.0),
        strata(reading.design.values, reading.labels.to_numpy(dtype=object)),
    )
    report = _report(name, reading, examination, artifacts, panel, settings, by_cells)
    tell(progress, "done", 1.0)
    obs = _annotations(reading, artifacts, splits, matched)
    return PreparedCells.of(reading.counts, obs, reading.genes, panel, report)


def _annotations(
    reading: Reading, artifacts: Artifacts, splits: pd.Series, matched: pd.Series
) -> pd.DataFrame:
    import pandas as pd

    index = pd.Index(reading.labels.index, dtype=object)
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: pd.Categorical(reading.labels),
            keys.ARTIFACT: artifacts.failed,
            keys.SPLIT: pd.Categorical(splits, categories=list(keys.SPLITS)),
            keys.CONTROL_ID: matched.to_numpy(dtype=object),
            keys.LIBRARY_SIZE: np.asarray(reading.counts.sum(axis=1), dtype=np.float64).ravel(),
        },
        index=index,
    )
    for name, values in reading.design.values.items():
        obs[name] = values
    return obs


def _report(
    name: str,
    reading: Reading,
    examination: Examination,
    artifacts: Artifacts,
    panel: Panel,
    settings: DataSettings,
    by_cells: tuple[str, ...],
) -> PreparationReport:
    summary = examination.summary
    warnings = [str(problem) for problem in examination.problems]
    return PreparationReport(
        source=name,
        simulated=summary["simulated"],
        cells_read=summary["cells"],
        cells_kept=len(reading.labels),
        genes_measured=len(reading.genes),
        counts_from=summary["counts_from"],
        counts_how=summary["counts_how"],
        label_column=summary["label_column"],
        control_label=summary["control_label"],
        perturbations=summary["perturbations"],
        control_cells=summary["control_cells"],
        unmeasured_targets=tuple(summary["unmeasured_targets"]),
        artifacts=int(artifacts.failed.sum()),
        criteria=artifacts.criteria,
        design=DesignColumns(**summary["design"]),
        directions=reading.directions,
        hold_out=settings.hold_out,
        split_by_cells=by_cells,
        without_controls=reading.design.without_controls,
        unseparated=reading.design.unseparated,
        dropped=list(reading.dropped),
        conditions=conditions.sizes(reading.design),
        warnings=warnings,
        notes=[
            *summary["notes"],
            *warnings,
            *_panel_notes(panel, reading, settings),
            *_artifact_notes(artifacts),
        ],
    )


def _panel_notes(panel: Panel, reading: Reading, settings: DataSettings) -> list[str]:
    extended, perturbed = len(panel.data.extended), len(panel.data.perturbed)
    text = (
        f"The network spans {counted(perturbed, 'perturbed gene')} and {counted(extended, 'extended gene')}"
    )
    if extended and all(reason.startswith("measured") for reason in panel.data.reasons.values()):
        return [f"{text}: all {len(reading.genes):,} measured genes take part."]
    if extended:
        return [f"{text}, picked by a Wilcoxon test on the training cells."]
    rule = (
        f"abs(log2 fold change) > {settings.extended_min_abs_lfc:g} and adjusted p < "
        f"{settings.extended_max_p:g}"
    )
    return [
        f"{text}: no other gene passes the rule ({rule}); loosen it, or set panel to 'all', to allow genes "
        "in between."
    ]


def _artifact_notes(artifacts: Artifacts) -> list[str]:
    skipped = [criterion.name for criterion in artifacts.criteria if not criterion.used]
    share = artifacts.failed.mean() if len(artifacts.failed) else 0.0
    used = len(artifacts.criteria) - len(skipped)
    failed = counted(int(artifacts.failed.sum()), "cell")
    text = f"{failed} ({share:.1%}) failed quality control by {used} of {len(artifacts.criteria)} criteria"
    notes = [f"{text}; not used: {', '.join(skipped)}." if skipped else f"{text}."]
    if any(criterion.cutoff is not None for criterion in artifacts.criteria):
        notes.append(
            "Cut-offs come from control cells; what sets the cells of a perturbation apart from those as a "
            "whole does not count against them."
        )
    return notes
