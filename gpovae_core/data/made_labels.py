"""Labels that no single column of obs holds: made from guide UMIs, from the ids of CELLxGENE's schema, or
from columns that name the parts of a combination.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data import cellxgene
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.guide_files import GuideMatrix, for_cells, guides_within, read_guides, read_target_table
from gpovae_core.data.guide_targets import TargetReader, Targets, find_targets
from gpovae_core.data.guides import GuideCalls, call_guides
from gpovae_core.data.labels.reading import Labels
from gpovae_core.data.labels.text import column_of, label_text
from gpovae_core.data.paired_columns import ColumnGroup, find_groups
from gpovae_core.data.wording import counted
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.config import DataSettings
    from gpovae_core.data.backed import BackedCells

GUIDE_CALLS = "guide calls"
"""As label_column: labels from guide UMIs. Also the column of guides that is made from them."""
MOST_TARGETS = 2
"""Genes of a combination that is used: one more, and effects could not be told from so few cells."""
FEWEST_LABELS = 3
"""The control and two perturbations."""
HIGH_MOI = 3
"""Median of the targeted genes of a cell with any, from which on a screen is one of high MOI."""
SAME_CELLS = 0.5
"""Share of the cells that a second file must know."""
_NO_GUIDE, _TOO_MANY = "no guide called", f"more than {MOST_TARGETS} targeted genes"
_UNSTATED, _UNPERTURBED = "target of a guide not stated", "no perturbation"


@dataclass(frozen=True)
class MadeLabels:
    """name: what label_column says for it; labels: canonical, as `read_labels` gives them; guides: (n_obs,)
    text, the guides of every cell joined by '+', "" for none, None where they stand in obs; counts: how many
    cells have no target, one, two, more.
    """

    name: str
    labels: Labels
    guides: pd.Series | None = None
    decisions: tuple[Decision, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def make_labels(
    cells: AnnData | BackedCells,
    reader: TargetReader,
    settings: DataSettings,
    min_cells: int,
    unless: bool = False,
) -> MadeLabels | None:
    """Labels that have to be made, or None where a column of obs is to be read.

    What a person asks for (label_column, a file of guides) comes first, then the ids of CELLxGENE's schema,
    which are exact; then, unless: obs has one column of labels, or several that a person has to choose from,
    the parts of a combination and guide UMIs.
    """
    obs = cast("pd.DataFrame", cells.obs)
    wanted = settings.label_column
    groups = _groups(obs, reader)
    if wanted is not None and wanted != GUIDE_CALLS:
        group = next((group for group in groups if group.name == wanted), None)
        if group is not None:
            return _from_columns(obs, group, groups, reader, min_cells)
        if wanted == cellxgene.ID and cellxgene.is_cellxgene(obs):
            return _from_ids(cells, reader, min_cells)
        return None
    if settings.guides is not None or wanted == GUIDE_CALLS:
        return _from_umis(cells, reader, settings, min_cells)
    if cellxgene.is_cellxgene(obs):
        return _from_ids(cells, reader, min_cells)
    if unless:
        return None
    if groups:
        return _from_columns(obs, groups[0], groups, reader, min_cells)
    return _from_umis(cells, reader, settings, min_cells) if guides_within(cells, reader) else None


def offered(cells: AnnData | BackedCells, reader: TargetReader, column: str | None) -> list[Option]:
    """What label_column may be besides a column of obs."""
    obs = cast("pd.DataFrame", cells.obs)
    found = [Option(value=group.name, text=" and ".join(group.columns)) for group in _groups(obs, reader)]
    if cellxgene.is_cellxgene(obs) and column != cellxgene.ID:
        found.append(Option(value=cellxgene.ID, text=f"{cellxgene.ID} (schema of CELLxGENE)"))
    within = guides_within(cells, reader)
    if within:
        found.append(Option(value=GUIDE_CALLS, text=f"guide calls from {within[0].source}"))
    return found


def parts_of_labels(obs: pd.DataFrame, reader: TargetReader) -> list[str]:
    """Columns of obs that hold a part of the labels, and must not be taken for the labels."""
    own = [cellxgene.STRATEGY] if cellxgene.is_cellxgene(obs) else []
    parts = [name for group in _groups(obs, reader) for name in group.columns]
    return [*(name for name in own if name in obs.columns), *parts]


def _groups(obs: pd.DataFrame, reader: TargetReader) -> list[ColumnGroup]:
    """Those groups of columns in which a measured gene is named."""
    found = []
    for group in find_groups(obs):
        values = {value for name in group.columns for value in set(label_text(column_of(obs, name)))}
        if any(reader.from_name(value) in reader.genes for value in values if value):
            found.append(group)
    return found


def not_used(cells: AnnData | BackedCells, reader: TargetReader, column: str) -> list[Decision]:
    """That there are other labels than those of `column`, for the report."""
    found = offered(cells, reader, column)
    if not found:
        return []
    words = " and ".join(option.text for option in found)
    why = f"because '{column}' of obs is read"
    taken = f"{words}: not used"
    return [
        Decision(setting="label_column", about="Other labels", taken=taken, why=why, options=tuple(found))
    ]


def infections(labels: Labels, min_cells: int) -> list[Problem]:
    """The problem with labels of obs that name many genes a cell, where next to no cells share one."""
    assert labels.canonical is not None
    sizes = labels.canonical.value_counts()
    names = [str(name) for name in sizes.index if name != keys.CONTROL]
    genes = {name: name.count(keys.PAIR_SEPARATOR) + 1 for name in names}
    if not genes or (sizes >= min_cells).sum() >= FEWEST_LABELS:
        return []
    median = float(np.median(np.repeat(list(genes.values()), [sizes[name] for name in genes])))
    return [_high_moi(median, min_cells)] if median >= HIGH_MOI else []


def _from_umis(
    cells: AnnData | BackedCells, reader: TargetReader, settings: DataSettings, min_cells: int
) -> MadeLabels:
    ids = list(map(str, cells.obs_names))
    try:
        matrix = _guide_matrix(cells, reader, settings, ids)
        table = matrix.targets
        if settings.guide_targets is not None:
            table = read_target_table(settings.guide_targets, matrix.guides, reader)
    except DataError as error:
        return MadeLabels(GUIDE_CALLS, Labels(None, problems=list(error.problems)))
    targets = find_targets(matrix.guides, table, reader)
    problems = _target_problems(targets, matrix, reader, settings.guide_targets is not None)
    if any(problem.severity == "error" for problem in problems):
        return MadeLabels(GUIDE_CALLS, Labels(None, problems=problems))
    umis, known = for_cells(matrix, ids)
    if known < SAME_CELLS * len(ids):
        return MadeLabels(GUIDE_CALLS, Labels(None, problems=[_other_cells(matrix, known, ids)]))
    calls = call_guides(umis, settings) if not matrix.called else _as_called(umis)
    called = calls.called
    guides = [
        tuple(matrix.guides[i] for i in sorted(called.indices[called.indptr[row] : called.indptr[row + 1]]))
        for row in range(len(ids))
    ]
    made = _labelled(GUIDE_CALLS, cells.obs_names, guides, targets.targets.get, min_cells)
    notes = [_rule_in_words(matrix, calls, settings), f"Called: {_counts_in_words(made.counts)}."]
    if known < len(ids):
        notes.append(
            f"{counted(len(ids) - known, 'cell')} not in {matrix.source}: they count as without a guide."
        )
    if targets.guessed and len(targets.guessed) > len(targets.unknown):
        notes.append(
            f"The targets of {counted(len(targets.guessed), 'guide')} were read out of their names, e.g. "
            f"{targets.guessed[0]}: {', '.join(targets.targets.get(targets.guessed[0], ())) or 'control'}."
        )
    labels = replace(
        made.labels, problems=[*problems, *made.labels.problems], notes=[*notes, *made.labels.notes]
    )
    decisions = (_source_decision(matrix.source, settings), _rule_decision(made.counts, matrix, settings))
    return replace(made, labels=labels, decisions=decisions)


def _guide_matrix(
    cells: AnnData | BackedCells, reader: TargetReader, settings: DataSettings, ids: Sequence[str]
) -> GuideMatrix:
    if settings.guides is not None:
        return read_guides(settings.guides, ids, reader)
    within = guides_within(cells, reader)
    if not within:
        message = f"label_column is '{GUIDE_CALLS}', but the file holds no matrix of guide UMIs."
        hint = "Expected is an entry of obsm whose columns are guides; or name a second file (data.guides)."
        raise DataError([Problem("guides-missing", message, hint)])
    return within[0]


def _target_problems(
    targets: Targets, matrix: GuideMatrix, reader: TargetReader, with_table: bool
) -> list[Problem]:
    hint = "Give a table with the columns 'guide' and 'target' (data.guide_targets)."
    genes = {gene for found in targets.targets.values() for gene in found}
    measured = genes & reader.genes
    if targets.unknown and not with_table and matrix.targets is None:
        message = (
            f"Nothing says which genes {counted(len(targets.unknown), 'guide')} of {matrix.source} target, "
            f"e.g. {', '.join(targets.unknown[:3])}."
        )
        return [Problem("guide-targets-missing", message, hint)]
    if genes and not measured:
        message = (
            f"None of the {len(genes):,} targets of the guides in {matrix.source} is a measured gene, e.g. "
            f"{', '.join(sorted(genes)[:3])}."
        )
        return [Problem("guide-targets-not-measured", message, hint)]
    if targets.unknown:
        message = (
            f"The table of targets leaves out {counted(len(targets.unknown), 'guide')}, e.g. "
            f"{', '.join(targets.unknown[:3])}; cells with one are left out."
        )
        return [Problem("guides-without-target", message, severity="warning")]
    return []


def _other_cells(matrix: GuideMatrix, known: int, ids: Sequence[str]) -> Problem:
    message = (
        f"{matrix.source} knows {known:,} of the {len(ids):,} cells; its cells are called "
        f"{', '.join(matrix.cells[:2])}, those of the file {', '.join(ids[:2])}."
    )
    return Problem("guides-of-other-cells", message, "Give the guides of the same cells, under the same ids.")


def _as_called(called: Any) -> GuideCalls:
    """Calls of a file, (n_obs, guides), 1 where a guide was called."""
    width = called.shape[1]
    return GuideCalls(called, np.ones(width, dtype=int), np.zeros(width, dtype=bool))


def _rule_in_words(matrix: GuideMatrix, calls: GuideCalls, settings: DataSettings) -> str:
    if matrix.called:
        return f"Guides are taken as called: {matrix.source}."
    n = len(matrix.guides)
    if settings.guide_rule == "threshold":
        return (
            f"Guides are called from {matrix.source} where a cell has at least {settings.guide_umis} UMIs of "
            f"one, and these are {settings.guide_share:.0%} or more of its guide UMIs."
        )
    fitted = int(calls.fitted.sum())
    middle = f" (median {int(np.median(calls.thresholds[calls.fitted]))} UMIs)" if fitted else ""
    rest = (
        f"; {n - fitted:,} that show no two kinds of cells from {settings.guide_umis} UMIs on"
        if fitted < n
        else ""
    )
    return (
        f"Guides are called from {matrix.source} by a Poisson-Gaussian mixture on log2 UMIs for each of "
        f"{counted(fitted, 'guide')}{middle}{rest}."
    )


def _source_decision(source: str, settings: DataSettings) -> Decision:
    why = "as chosen" if settings.guides or settings.label_column else "because obs names no perturbed genes"
    return Decision(setting="label_column", about="Labels", taken=f"guide calls from {source}", why=why)


def _rule_decision(counts: dict[str, int], matrix: GuideMatrix, settings: DataSettings) -> Decision:
    said = _counts_in_words(counts)
    if matrix.called:
        return Decision(setting="", about="Guide calls", taken="as in the file", why=said)
    strict = (
        f"at least {settings.guide_umis} UMIs that are {settings.guide_share:.0%} of the cell's guide UMIs"
    )
    options = (
        Option(value="mixture", text="a Poisson-Gaussian mixture for each guide"),
        Option(value="threshold", text=strict),
    )
    taken = next(option.text for option in options if option.value == settings.guide_rule)
    return Decision(setting="guide_rule", about="Guide calls", taken=taken, why=said, options=options)


def _counts_in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{words} in {counted(n, 'cell')}" for words, n in counts.items() if n)


def _from_ids(cells: AnnData | BackedCells, reader: TargetReader, min_cells: int) -> MadeLabels:
    """Labels of CELLxGENE's schema. Cells without a perturbation are controls only where no cell has a guide
    whose role is control.
    """
    obs = cast("pd.DataFrame", cells.obs)
    text = label_text(column_of(obs, cellxgene.ID))
    guides_by_value = {value: cellxgene.guides_of(value) for value in set(text)}
    guides = [guides_by_value[value] for value in text]
    known = sorted({guide for found in guides_by_value.values() for guide in found})
    targets = cellxgene.stated_targets(cells.uns.get(cellxgene.DESCRIBED), known, reader)
    has_controls = any(found and not any(targets[guide] != () for guide in found) for found in guides)
    made = _labelled(
        cellxgene.ID,
        cells.obs_names,
        guides,
        targets.get,
        min_cells,
        without=(_UNPERTURBED, None) if has_controls else (_UNPERTURBED, keys.CONTROL),
    )
    unstated = [guide for guide, found in targets.items() if found is None]
    problems = list(made.labels.problems)
    if unstated:
        message = (
            f"uns['{cellxgene.DESCRIBED}'] states no target of {counted(len(unstated), 'guide')}, e.g. "
            f"{', '.join(unstated[:3])}; cells with one are left out."
        )
        problems.append(Problem("guides-without-target", message, severity="warning"))
    said = _counts_in_words(made.counts)
    decisions = (
        Decision(
            setting="label_column",
            about="Labels",
            taken=f"ids in {cellxgene.ID}",
            why="the schema of CELLxGENE",
            options=tuple(Option(value=str(name), text=str(name)) for name in obs.columns),
        ),
        Decision(setting="", about="Guide calls", taken="as in the file", why=said),
    )
    return replace(
        made,
        labels=replace(made.labels, problems=problems),
        guides=None,
        decisions=decisions,
    )


def _from_columns(
    obs: pd.DataFrame, group: ColumnGroup, groups: Sequence[ColumnGroup], reader: TargetReader, min_cells: int
) -> MadeLabels:
    """Labels of columns that name the parts of a combination: what each cell has in any of them."""
    texts = [label_text(column_of(obs, name)).to_numpy(dtype=object) for name in group.columns]
    names = sorted({value for text in texts for value in set(text)} - {""})
    if group.of_guides:
        found = find_targets(names, None, reader)
        targets: dict[str, tuple[str, ...] | None] = {name: found.targets.get(name) for name in names}
    else:
        targets = {name: reader.stated(name) for name in names}
    parts = [tuple(part for part in cell if part) for cell in zip(*texts, strict=True)]
    made = _labelled(group.name, obs.index, parts, targets.get, min_cells)
    other = next((other for other in groups if other.of_guides), None)
    guides = None
    if other is not None:
        own = [label_text(column_of(obs, name)).to_numpy(dtype=object) for name in other.columns]
        guides = _joined([tuple(part for part in cell if part) for cell in zip(*own, strict=True)], obs.index)
    said = _counts_in_words(made.counts)
    options = [Option(value=one.name, text=" and ".join(one.columns)) for one in groups]
    options += [Option(value=str(name), text=str(name)) for name in obs.columns]
    decision = Decision(
        setting="label_column",
        about="Labels",
        taken=" and ".join(group.columns) + " together",
        why=f"each names a part of a combination: {said}",
        options=tuple(options),
    )
    return replace(made, guides=guides, decisions=(decision,))


def _joined(guides: Sequence[tuple[str, ...]], index: pd.Index) -> pd.Series:
    import pandas as pd

    text = [keys.PAIR_SEPARATOR.join(sorted(set(found))) for found in guides]
    return pd.Series(pd.Categorical(text), index=index.astype(str), name=GUIDE_CALLS)


def _labelled(
    name: str,
    cells: pd.Index,
    guides: Sequence[tuple[str, ...]],
    targets_of: Callable[[str], tuple[str, ...] | None],
    min_cells: int,
    without: tuple[str, str | None] = (_NO_GUIDE, None),
) -> MadeLabels:
    """Labels out of the guides of every cell: the genes that these target, the control where it is none.

    targets_of: guide -> genes, () for a control guide, None where it is not known. without: (why, label) of
    cells without a guide. Cells with more than MOST_TARGETS genes are left out, with the word MOI.
    """
    import pandas as pd

    read: dict[tuple[str, ...], tuple[str | None, str, int]] = {}
    for found in set(guides):
        targets = [targets_of(guide) for guide in found]
        genes = sorted({gene for target in targets if target for gene in target})
        if not found:
            read[found] = (without[1], without[0], 0)
        elif None in targets:
            read[found] = (None, _UNSTATED, -1)
        elif len(genes) > MOST_TARGETS:
            read[found] = (None, _TOO_MANY, len(genes))
        else:
            read[found] = (keys.PAIR_SEPARATOR.join(genes) or keys.CONTROL, "", len(genes))
    each = [read[found] for found in guides]
    canonical = pd.Series([label for label, _, _ in each], index=cells, dtype=object, name=keys.PERTURBATION)
    left_out: dict[str, dict[str, int]] = {}
    for found, n in Counter(guides).items():
        label, why, genes = read[found]
        if label is None:
            shown = f"{genes} genes" if genes > MOST_TARGETS else "" if genes == 0 else ", ".join(found[:3])
            names = left_out.setdefault(why, {})
            names[shown] = names.get(shown, 0) + n
    counts = _counts(each, guides, targets_of)
    problems = _multiplicity(each, canonical, min_cells)
    if any(problem.severity == "error" for problem in problems):
        return MadeLabels(name, Labels(None, problems=problems), counts=counts)
    problems += _none_called(left_out, len(guides))
    controls = sorted({found for found in read if read[found][0] == keys.CONTROL and found})
    first = keys.PAIR_SEPARATOR.join(controls[0]) if controls else without[0]
    shown = f"control guides, e.g. {first}" if len(controls) > 1 else first
    labels = Labels(canonical, shown, left_out, problems)
    acting = {found: tuple(guide for guide in found if targets_of(guide)) or found for found in read}
    return MadeLabels(name, labels, _joined([acting[found] for found in guides], cells), counts=counts)


def _counts(
    each: Sequence[tuple[str | None, str, int]],
    guides: Sequence[tuple[str, ...]],
    targets_of: Callable[[str], tuple[str, ...] | None],
) -> dict[str, int]:
    """Cells by what they have, in words, in the order of a report."""
    targets = np.array([genes for _, _, genes in each])
    some = np.array([bool(found) for found in guides])
    several = sum(
        genes == 1 and sum(bool(targets_of(guide)) for guide in found) > 1
        for found, (_, _, genes) in zip(guides, each, strict=True)
    )
    return {
        "no guide": int((~some).sum()),
        "control guides only": int((some & (targets == 0)).sum()),
        "one targeted gene": int((targets == 1).sum()) - several,
        "several guides of one gene": several,
        "two targeted genes": int((targets == 2).sum()),
        "more targeted genes": int((targets > 2).sum()),
        "a guide of unknown target": int((targets < 0).sum()),
    }


def _none_called(left_out: dict[str, dict[str, int]], cells: int) -> list[Problem]:
    without = sum(left_out.get(_NO_GUIDE, {}).values())
    if not without:
        return []
    message = (
        f"Left out: {counted(without, 'cell')} ({without / max(1, cells):.1%}) in which no guide was called."
    )
    return [Problem("no-guide-called", message, severity="warning")]


def _multiplicity(
    each: Sequence[tuple[str | None, str, int]], canonical: pd.Series, min_cells: int
) -> list[Problem]:
    """What a high multiplicity of infection (MOI) means for the use of the cells."""
    genes = np.array([n for _, _, n in each])
    many = int((genes > MOST_TARGETS).sum())
    if not many:
        return []
    median = float(np.median(genes[genes > 0]))
    if median < HIGH_MOI:
        message = (
            f"Left out: {counted(many, 'cell')} with guides against more than {MOST_TARGETS} genes (several "
            "infections of one cell, MOI, or several cells in one droplet)."
        )
        return [Problem("many-guides", message, severity="warning")]
    sizes = canonical.value_counts()
    enough = sizes[sizes >= min_cells]
    if keys.CONTROL not in enough or len(enough) < FEWEST_LABELS:
        return [_high_moi(median, min_cells)]
    message = (
        f"{_median_in_words(median)}. Left out: {counted(many, 'cell')} with more than {MOST_TARGETS}; the "
        f"{int(sizes.sum()):,} with fewer are used."
    )
    return [Problem("high-moi-cells", message, "Check that the rest is no odd sample.", "warning")]


def _high_moi(median: float, min_cells: int) -> Problem:
    message = (
        f"{_median_in_words(median)}, and too few have at most {MOST_TARGETS} (at least {min_cells:,} "
        "control cells and as many of each of two perturbations are needed)."
    )
    hint = (
        "Effects of so many genes at once are not told apart here: use cells of low MOI, or a method made "
        "for high MOI (SCEPTRE); if background was called, call guides more strictly (guide_rule, "
        "guide_umis, guide_share)."
    )
    return Problem("high-moi", message, hint)


def _median_in_words(median: float) -> str:
    return (
        "This is a screen of high MOI (multiplicity of infection): half of the cells with a targeted gene "
        f"have {median:g} or more"
    )
