"""The design of a screen as its file tells it: which columns of obs hold batch, donor, guide, condition, and
the counts of the whole transcriptome.

A column is found by a usual name *and* by what it holds: a batch has controls beside perturbed cells, a guide
belongs to one perturbation, a condition has several perturbations. A name given in the settings wins. The
labels themselves are the guides where they name them and no other column does.

A perturbation without controls in its batches has no estimate and is named. Where that would be nearly all of
them, cells are compared across batches, and it is said that nobody can tell these from effects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.confounding import Confounding, Controls, Counts, confounding
from gpovae_core.data.labels.names import ENSEMBL
from gpovae_core.data.labels.text import column_of
from gpovae_core.data.schema import DesignColumns
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.config import DataSettings

OFF = "none"
"""Given instead of a column, it switches a part of the design off."""

MOST_BATCHES = 100
MOST_CONDITIONS = 20
MOST_NUMBERED = 20
"""Guides of a perturbation that may be numbered from one on in every perturbation anew."""
FEWEST_CELLS = 3
"""Cells that a value must share with a perturbation to count as standing beside it: fewer may be slips."""
NESTED = 0.95
"""Share of the cells of a guide column that must go with the perturbation their guide goes with."""
WHOLE_LIBRARY = 1.1
"""A size factor is taken unasked where the median cell has so many times the counts that the file holds."""
MOST_MISSING = 0.01
"""Share of the cells whose size factor may be missing: it is then taken from their counts in the file."""
FEWER_THAN_HELD = 0.01
"""Share of the cells that may have fewer counts in the size factor than in the file."""
RECOVERED_LIBRARY = "recovered_library_size"
"""Column of obs for library sizes that normalised values tell (see data.recover)."""
FEWEST_CONTROLS = 2
"""Controls that a stratum needs: fewer show no spread."""
FEWEST_COMPARED = 2
NEARLY_NONE = 0.1
"""Perturbations, and share of all of them, that need controls in their batches for anything to be compared
within batches; and the share of its cells that a perturbation needs there, as single cells may be slips.
"""
TOLD = 0.01
"""Share of the perturbed cells that have to be of no use for it to be said."""
NAMED = 10
"""Perturbations that are named in a message at most."""
MOST_OF_CROSSED = 0.9
"""Of the cells that have controls beside them in batches or in donors, how many have to keep them in both."""
_MISSING = {"", "nan", "<na>", "na", "n/a", "null"}

NAMES = {
    keys.BATCH: (
        "batch",
        "batch_id",
        "gem_group",
        "gemgroup",
        "gem_well",
        "gem",
        "lane",
        "lane_id",
        "replicate",
        "biological_replicate",
        "bio_rep",
        "rep",
        "library",
        "library_id",
        "sample",
        "sample_id",
        "channel",
        "plate",
        "run",
        "sequencing_batch",
        "orig_ident",
        "pool",
        "well",
        "seq_batch",
        "processing_batch",
        "library_batch",
        "experimental_batch",
        "experiment",
        "exp",
        "experimental_replicate",
        "bio_replicate",
        "biorep",
        "technical_replicate",
        "tech_rep",
        "tech_replicate",
        "sequencing_run",
        "seq_run",
        "sequencing_library",
        "10x_lane",
        "tenx_lane",
        "10x_channel",
        "10x_run",
        "flowcell",
        "flow_cell",
        "chip",
        "reaction",
        "lib",
    ),
    keys.DONOR: (
        "donor",
        "donor_id",
        "individual",
        "individual_id",
        "patient",
        "patient_id",
        "subject",
        "subject_id",
        "participant",
        "mouse",
        "animal",
        "person",
        "biosample",
        "sample_donor",
        "hash_donor",
        "genetic_background",
        "ipsc_line",
        "hipsc_line",
    ),
    keys.GUIDE: (
        "guide_calls",  # made from guide UMIs, see data.made_labels
        "genetic_perturbation_id",
        "guide",
        "guide_id",
        "guide_name",
        "sgrna",
        "sgrna_id",
        "sgrna_name",
        "grna",
        "grna_id",
        "grna_name",
        "protospacer",
        "protospacer_id",
        "feature_call",
        "guide_identity",
        "guide_call",
        "guides",
        "sgid",
        "sgid_ab",
    ),
    keys.CONDITION: (
        "condition",
        "stimulation",
        "stimulus",
        "stim",
        "treatment",
        "culture_condition",
        "timepoint",
        "time_point",
        "time",
        "dose",
        "cell_line",
        "experimental_condition",
        "disease",
        "cytokine",
        "drug",
        "compound",
        "stim_condition",
        "stim_status",
        "stimulation_condition",
        "treatment_condition",
        "growth_condition",
        "medium",
        "media",
        "context",
        "time_hr",
        "time_hrs",
        "time_hours",
        "time_h",
        "hour",
        "hours",
        "time_days",
        "dosage",
        "dose_value",
        "tissue",
        "tissue_type",
        "cell_type",
        "celltypes",
    ),
    keys.SIZE_FACTOR: (
        "total_umis_full_transcriptome",
        "total_umis",
        "total_umi",
        "ncounts",
        "n_counts",
        "total_counts",
        "ncount_rna",
        "numi",
        "numis",
        "n_umi",
        "n_umis",
        "umi_count",
        "umi_counts",
        "library_size",
        "lib_size",
        "full_library_size",
        "umis",
        "num_umis",
        "umi_sum",
        "umi_total",
        "umis_total",
        "sum_umis",
        "total_umi_count",
        "total_umi_counts",
        "n_count",
        "ncounts_rna",
        "ncount_originalexp",
        "numi_rna",
        "total_count",
        "total_counts_full",
        "total_counts_all",
        "n_counts_all",
        "counts_per_cell",
        "rna_counts",
        "gex_umis",
        "gex_umi_count",
        "tscp_count",
        "transcript_count",
        "transcripts",
        "n_transcripts",
        "total_transcripts",
        "n_molecules",
        "sum",
        "total",
        RECOVERED_LIBRARY,
    ),
}
"""Part of the design -> usual names of its column, folded as `_folded` does, the first in the file is tried
first.
"""
WORDS = {
    keys.BATCH: "batch",
    keys.DONOR: "donor",
    keys.GUIDE: "guide",
    keys.CONDITION: "condition",
    keys.SIZE_FACTOR: "size factor",
}


@dataclass(frozen=True)
class Design:
    """columns: the column of obs behind each part; values: part (keys.BATCH, ...) -> (n_obs,) categorical
    text, of keys.SIZE_FACTOR float; others: part -> further columns that could have been it; notes: in words;
    without_controls: perturbations that cannot be compared, as no controls are beside them; unseparated:
    columns of obs whose differences cannot be told from effects.
    """

    columns: DesignColumns = field(default_factory=DesignColumns)
    values: dict[str, pd.Series] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    without_controls: tuple[str, ...] = ()
    unseparated: tuple[str, ...] = ()

    @property
    def compared(self) -> pd.Series | None:
        """(n_obs,) categorical text: batch and condition of each cell, within which cells are compared; None
        where neither is known.
        """
        import pandas as pd

        batch, condition = self.values.get(keys.BATCH), self.values.get(keys.CONDITION)
        if batch is None or condition is None:
            return condition if batch is None else batch
        text = batch.astype(str) + " / " + condition.astype(str)
        return pd.Series(pd.Categorical(text), index=batch.index)


@dataclass(frozen=True)
class _Judged:
    """values: of the column as this part of the design, None where it cannot be used as it; why: what speaks
    against it, in words; unasked: whether it is taken without being named; told: whether `why` is worth a
    note; apart: whether it may be a batch that nothing can be compared within.
    """

    values: pd.Series | None
    why: str = ""
    unasked: bool = True
    told: bool = False
    apart: bool = False


def missing_columns(obs: pd.DataFrame, settings: DataSettings) -> list[Problem]:
    """A problem, with near names, for every column that the settings name for the design and obs lacks or has
    twice.
    """
    problems = []
    for part, words in WORDS.items():
        wanted = getattr(settings, part)
        if wanted is None or wanted == OFF or (obs.columns == wanted).sum() == 1:
            continue
        names = list(dict.fromkeys(map(str, obs.columns)))
        if wanted in names:
            message, hint = f"{part} is '{wanted}', but obs has several columns of this name.", "Rename them."
        else:
            by_fold = {name.casefold(): name for name in names}
            near = [by_fold[n] for n in get_close_matches(wanted.casefold(), list(by_fold), n=3)]
            message = (
                f"{part} is '{wanted}', but obs has no such column; it has: {', '.join(names) or 'none'}."
            )
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            hint += f"Name the column with the {words} of every cell, or '{OFF}'."
        problems.append(Problem("design-column-missing", message, hint))
    return problems


def find_design(
    obs: pd.DataFrame,
    labels: np.ndarray,
    totals: np.ndarray,
    settings: DataSettings,
    label_column: str | None = None,
    counts: Counts | None = None,
) -> Design:
    """What is known of the design of these cells.

    obs: columns of the file, (n_obs,) rows; labels: (n_obs,) canonical perturbations; totals: (n_obs,) counts
    of each cell in the file; counts: of cells, which show whether a column matters (data.confounding), None
    where they cannot be looked at. Columns that are not there are left to `missing_columns`.
    """
    judges: dict[str, Callable[[pd.Series], _Judged]] = {
        keys.BATCH: lambda column: _judge_batch(column, labels),
        keys.DONOR: lambda column: _judge_batch(column, labels),
        keys.GUIDE: lambda column: _judge_guide(column, labels),
        keys.CONDITION: lambda column: _judge_condition(column, labels),
        keys.SIZE_FACTOR: lambda column: _judge_size_factor(column, totals),
    }
    given = {part: wanted for part in WORDS if (wanted := getattr(settings, part)) is not None}
    controls = None if counts is None else Controls(labels, counts)
    columns: dict[str, Any] = {}
    values, others, notes, problems = {}, {}, [], []
    for part, judge in judges.items():
        if part in given:
            if part == keys.CONDITION and settings.conditions and (obs.columns == given[part]).sum() == 1:
                values[part], columns[part] = text_of(column_of(obs, given[part])), given[part]
                continue
            if given[part] == OFF or (obs.columns == given[part]).sum() != 1:
                continue
            judged = judge(column_of(obs, given[part]))
            if judged.values is None:
                problems.append(_unusable(part, given[part], judged.why))
                continue
            columns[part], values[part] = given[part], judged.values
            notes += _doubts(part, given[part], judged)
            continue
        usable = []
        for name in _usually_called(obs, part, {*given.values(), *columns.values(), label_column}):
            judged = judge(column_of(obs, name))
            if judged.values is not None and judged.unasked:
                usable.append((name, judged))
            elif judged.told:
                notes.append(f"'{name}' is not taken for the {WORDS[part]}: {judged.why}.")
        if part == keys.BATCH and len(usable) > 1:
            usable, words = _that_matter(usable, labels, controls)
            notes += words
        if usable:
            columns[part], values[part] = usable[0][0], usable[0][1].values
            notes += _doubts(part, usable[0][0], usable[0][1])
            others[part] = tuple(name for name, _ in usable[1:])
        elif part == keys.GUIDE and (obs.columns == label_column).sum() == 1 and label_column is not None:
            guides = _judge_labels(column_of(obs, label_column), labels)
            if guides is not None:
                columns[part], values[part] = label_column, guides
                notes.append(f"The guides are those that the labels in '{label_column}' name.")
    notes += [_choice_note(part, columns[part], found) for part, found in others.items() if found]
    notes += _overlaps(columns, values)
    stratum = strata(values, labels)
    alone = without_controls(stratum, labels)
    problems += _without_controls_in_words(alone, columns, labels)
    notes += _cells_without_controls(stratum, labels, alone)
    taken = {column for part, column in columns.items() if part not in (keys.BATCH, keys.DONOR)}
    apart = _unseparated(obs, labels, stratum, settings, {*taken, *given.values(), label_column}, controls)
    further = [name for name in others.get(keys.CONDITION, ()) if name not in apart]
    problems += _further_conditions(obs, columns, values, further)
    return Design(
        DesignColumns(**columns),
        values,
        others,
        tuple(notes),
        (*problems, *apart.values()),
        without_controls=alone,
        unseparated=tuple(apart),
    )


def _that_matter(
    usable: list[tuple[str, _Judged]], labels: np.ndarray, controls: Controls | None
) -> tuple[list[tuple[str, _Judged]], list[str]]:
    """Several columns with usual names of a batch, the one to take first, and what to say of it. Those come
    first that would be taken for effects (data.confounding); of two such, one that divides the other, or both
    together, where they leave as many perturbations beside controls.
    """
    found = dict(usable)
    codes = {name: _known_codes(judged.values) for name, judged in usable if judged.values is not None}
    if controls is None:
        return usable, []
    matter = {name: confounding(code, labels, None, controls) for name, code in codes.items()}
    chosen = [name for name in codes if matter[name].matters]
    if not chosen:
        return usable, []
    chosen.sort(key=lambda name: -(matter[name].moved or 0.0))
    taken = chosen[:1]
    for name in chosen[1:]:
        together = _together([codes[one] for one in (*taken, name)])
        least = min(len(_compared(codes[one], labels)[0]) for one in (*taken, name))
        if len(_compared(together, labels)[0]) >= MOST_OF_CROSSED * least:
            taken.append(name)
    taken = [name for name in found if name in taken]
    needed = [
        name
        for place, name in enumerate(taken)
        if not any(
            _divides(codes[other], codes[name], i < place) for i, other in enumerate(taken) if i != place
        )
    ]
    rest = [pair for pair in usable if pair[0] not in needed]
    if len(needed) == 1:
        first = usable[0][0]
        words = (
            f"The batch is read from '{needed[0]}' and not from '{first}', as perturbations are spread "
            "unevenly over it, and what differs there would be taken for effects."
        )
        return [(needed[0], found[needed[0]]), *rest], [words] * (needed[0] != first)
    listed = " and ".join(f"'{name}'" for name in needed)
    text = [found[name].values.astype(str) for name in needed]  # type: ignore[union-attr]
    whole = text[0].copy()
    for one in text[1:]:
        whole = whole + " / " + one
    for one in text:
        whole[one == keys.UNKNOWN] = keys.UNKNOWN
    import pandas as pd

    values = pd.Series(pd.Categorical(whole), index=whole.index, name=needed[0])
    words = (
        f"Cells are compared within {listed} together: perturbations are spread unevenly over the values of "
        "each, and what differs between them would be taken for effects."
    )
    return [(needed[0], _Judged(values)), *rest], [words]


def _together(codes: list[np.ndarray]) -> np.ndarray:
    """(n_obs,) number of every combination of values, -1 where one is unknown."""
    return np.where(np.min(codes, axis=0) < 0, -1, _crossed(codes))


def _divides(finer: np.ndarray, coarser: np.ndarray, alike: bool) -> bool:
    """Whether every value of one column lies in one of the other; alike: also where both divide the cells
    alike.
    """
    both = (finer >= 0) & (coarser >= 0)
    pairs = np.unique(np.stack([finer[both], coarser[both]]), axis=1).shape[1]
    values, others = len(np.unique(finer[both])), len(np.unique(coarser[both]))
    return pairs == values and (values > others or alike)


def _known_codes(values: pd.Series) -> np.ndarray:
    return np.where(np.asarray(values == keys.UNKNOWN), -1, _codes(values))


def _without_controls_in_words(
    alone: tuple[str, ...], columns: Mapping[str, str], labels: np.ndarray
) -> list[Problem]:
    if not alone:
        return []
    parts = [part for part in (keys.CONDITION, keys.BATCH, keys.DONOR) if part in columns]
    within = " and ".join(f"{WORDS[part]} ('{columns[part]}')" for part in parts)
    cells = dict(zip(*np.unique(labels.astype(str), return_counts=True), strict=True))
    named = [f"{name} ({counted(int(cells[name]), 'cell')})" for name in alone]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    one = len(alone) == 1
    whole = len(cells) - (keys.CONTROL in cells)
    message = (
        f"{counted(len(alone), 'perturbation')} of {whole:,} {'has' if one else 'have'} no control cells in "
        f"{'its' if one else 'their'} {within}, so {'its' if one else 'their'} effects cannot be measured: "
        f"{', '.join(named[:NAMED])}{more}."
    )
    flags = " ".join(f"--{part} {OFF}" for part in parts if part != keys.CONDITION)
    hint = "Add control cells of these to the file, or correct the column."
    if flags:
        hint += (
            f" With {flags} such cells are compared with other controls, and what differs between batches "
            "is taken for an effect."
        )
    return [Problem("no-controls-beside", message, hint, "warning")]


def _cells_without_controls(
    stratum: np.ndarray | None, labels: np.ndarray, alone: tuple[str, ...]
) -> list[str]:
    """How many cells of the other perturbations are of no use for their effects."""
    if stratum is None:
        return []
    perturbed = (labels != keys.CONTROL) & ~np.isin(labels, alone)
    left = int((perturbed & ~_have_controls(stratum, labels)).sum())
    if left < TOLD * perturbed.sum() or not left:
        return []
    return [
        f"{left:,} of {int(perturbed.sum()):,} perturbed cells have no control cells in their batch, donor "
        "or condition, and are compared with none."
    ]


def _unseparated(
    obs: pd.DataFrame,
    labels: np.ndarray,
    stratum: np.ndarray | None,
    settings: DataSettings,
    taken: set[str | None],
    controls: Controls | None,
) -> dict[str, Problem]:
    """Columns whose differences look like effects, as cells are not compared within them, with a warning of
    each: those that are called like a batch or a donor, also where controls cannot tell; conditions; and any
    other one of few values that is no outcome of the cells, where nobody has said what the batch is. taken:
    columns that are another part of the design, or were named.
    """
    found: dict[str, Problem] = {}
    if not (labels == keys.CONTROL).any():
        return found
    for part in (keys.BATCH, keys.DONOR, keys.CONDITION):
        for name in _usually_called(obs, part, taken):
            judged = _judge_batch(column_of(obs, name), labels)
            codes = _known_codes(text_of(column_of(obs, name)))
            if name in found or holds_one_label(codes, labels):
                continue
            seen = confounding(np.where(codes < 0, codes.max() + 1, codes), labels, stratum, controls)
            if part != keys.CONDITION and seen.matters:
                found[name] = _unseparated_in_words(part, name, seen, judged)
            elif seen.seen:
                crossed = _judge_condition(column_of(obs, name), labels).values is not None
                use_as = keys.CONDITION if crossed else keys.BATCH
                found[name] = _unseparated_in_words(use_as, name, seen, judged)
    if settings.batch is not None or controls is None:
        return found
    for name in _like_batches(obs, {*taken, *found}):
        codes = _known_codes(text_of(column_of(obs, name)))
        if 1 < len(np.unique(codes[codes >= 0])) <= MOST_BATCHES and not holds_one_label(codes, labels):
            seen = confounding(codes, labels, stratum, controls)
            if seen.seen:
                found[name] = _unseparated_in_words(keys.BATCH, name, seen, _Judged(None))
    return found


def _further_conditions(
    obs: pd.DataFrame, columns: Mapping[str, str], values: Mapping[str, pd.Series], others: Sequence[str]
) -> list[Problem]:
    """A warning for every further column of conditions that the one that is taken does not divide."""
    problems = []
    for name in others:
        further = text_of(column_of(obs, name))
        if _divides(_codes(values[keys.CONDITION]), _codes(further), alike=True):
            continue
        listed = ", ".join(f"'{value}'" for value in further.cat.categories[:8])
        message = (
            f"The column '{name}' of obs, too, looks like conditions ({listed}). Cells are compared within "
            f"'{columns[keys.CONDITION]}' alone and taken together over these."
        )
        hint = f"Name the one to compare within (--condition {name}), or make a file of the cells of one."
        problems.append(Problem("several-conditions", message, hint, "warning"))
    return problems


def _like_batches(obs: pd.DataFrame, taken: set[str | None]) -> Iterator[str]:
    """Further columns of text or whole numbers that are no outcome of the cells, going by their names."""
    from pandas.api import types

    for name in obs.columns:
        if not isinstance(name, str) or name in taken or (obs.columns == name).sum() != 1:
            continue
        dtype = obs[name].dtype
        number = types.is_float_dtype(dtype) or types.is_bool_dtype(dtype)
        if not number and not _NO_BATCH.search(_folded(name)):
            yield name


_NO_BATCH = re.compile(
    r"cluster|leiden|louvain|phase|cycle|doublet|singlet|multiplet|scrublet|state|snnres|annot|predict|score|"
    r"qc|quality|pass|filter|outlier|keep|mixscape|respon|umap|module|topic|program|confid|class|subtype|"
    r"lineage|ploidy|viab|dead|artifact|split|ngenes|nfeature|numi|count|umis|celltype|ontology|"
    r"guide|grna|sgrna|protospacer|barcode|construct|target|gene|perturb|crispr|feature|element|hit|truth|"
    r"infect|moi$|control|label"
)
"""Names, folded, of what cells turned out to be, or of what was done to their genes."""


def _unseparated_in_words(part: str, name: str, seen: Confounding, judged: _Judged) -> Problem:
    unknown = "be told from effects, and how many edges are false is not known."
    if seen.moved is None:
        why = judged.why if judged.apart else "control cells are not where the perturbed cells are"
        message = (
            f"Cells are compared without the column '{name}', which may hold batches: {why}. What differs "
            f"between its values cannot {unknown}"
        )
        hint = (
            f"Controls in every batch would tell. If another column holds the {WORDS[part]}, name it "
            f"(--{part}); if '{name}' is none, leave it out of the file."
        )
        return Problem("batch-not-compared", message, hint, "warning")
    one = seen.uneven == 1
    message = (
        f"The column '{name}' of obs divides the cells as batches do: {counted(seen.uneven, 'perturbation')} "
        f"{'is' if one else 'are'} spread over its values otherwise than controls, and what controls differ "
        f"by there would move {'its' if one else 'their'} effects by {np.expm1(seen.moved):.0%} (root mean "
        f"square over genes). Cells are not compared within it, so that what differs cannot {unknown}"
    )
    hint = f"Compare cells within it (--{part} {name})"
    if part == keys.BATCH and _folded(name) not in {_folded(usual) for usual in NAMES[part]}:
        hint += (
            f", or, where it is an outcome of the cells and no batch, say that there is none (--{part} {OFF})"
        )
    return Problem("batch-not-compared", message, f"{hint}.", "warning")


def _usually_called(obs: pd.DataFrame, part: str, taken: set[str | None]) -> Iterator[str]:
    """Columns of obs with a usual name, in the order of the names; as written before folded, each once. Last
    come those that are a usual name and a word for which one of them it is: batch_number, donorName.
    """
    names = [name for name in obs.columns if isinstance(name, str) and (obs.columns == name).sum() == 1]
    usual = {_folded(name): place for place, name in reversed(list(enumerate(NAMES[part])))}
    order = {}
    for name in names:
        folded = _folded(name)
        of_stem = folded not in usual
        place = usual.get(_WHICH.sub("", folded) if of_stem else folded)
        if place is not None:
            order[name] = (of_stem, place, name != NAMES[part][place])
    yield from (name for name in sorted(order, key=order.__getitem__) if name not in taken)


_WHICH = re.compile(r"(id|ids|name|names|number|num|nr|no|index|idx|label|code|group)$")


def is_usual(part: str, column: str) -> bool:
    """Whether a column has a name that is usual for a part of the design."""
    return _folded(column) in NAMES[part]


def _folded(name: str) -> str:
    """Guide-ID, guide.id, GUIDE ID, guideId -> guideid."""
    return re.sub(r"[\W_]+", "", name).casefold()


def _unusable(part: str, column: str, why: str) -> Problem:
    return Problem(
        "design-column-unusable",
        f"{part} is '{column}', but this column cannot be used as the {WORDS[part]}: {why}.",
        f"Name another column, or '{OFF}' to do without.",
    )


def _doubts(part: str, column: str, judged: _Judged) -> list[str]:
    """What speaks against a column that is taken nevertheless, or how it was read."""
    return [f"The {WORDS[part]} is read from '{column}', but note: {judged.why}."] if judged.why else []


def _choice_note(part: str, column: str, others: Sequence[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in others)
    return (
        f"The {WORDS[part]} is read from the column '{column}' of obs; {listed} would also be possible, by "
        f"setting data.{part}."
    )


def _overlaps(columns: dict[str, str], values: dict[str, pd.Series]) -> list[str]:
    """Parts that tell the same cells apart cannot be told from one another."""
    parts = [part for part in (keys.BATCH, keys.DONOR, keys.CONDITION) if part in values]
    notes = []
    for i, first in enumerate(parts):
        for second in parts[i + 1 :]:
            n_first, n_second = (len(values[part].cat.categories) for part in (first, second))
            together = _table(_codes(values[first]), _codes(values[second])).nnz
            if columns[first] != columns[second] and n_first == n_second == together:
                notes.append(
                    f"The {WORDS[first]} ('{columns[first]}') and the {WORDS[second]} ('{columns[second]}') "
                    "divide the cells alike: what one does cannot be told from what the other does."
                )
    return notes


def text_of(column: pd.Series) -> pd.Series:
    """(n_obs,) categorical text of a column, keys.UNKNOWN where it is missing; whole numbers without a point,
    only values that occur. Values are worked on, not cells.
    """
    import pandas as pd

    codes, found = pd.factorize(column, use_na_sentinel=True)
    names = [_as_text(value) for value in found] + [keys.UNKNOWN]
    return pd.Series(
        pd.Categorical(np.array(names, dtype=object)[codes]), index=column.index, name=column.name
    )


def _as_text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return keys.UNKNOWN if text.casefold() in _MISSING else text


def strata(obs: Mapping[str, pd.Series] | pd.DataFrame, labels: np.ndarray) -> np.ndarray | None:
    """(n_obs,) number of the stratum of every cell: its condition, batch and donor together, or where that
    leaves clearly fewer perturbed cells beside controls than batch and donor by themselves, its condition
    with the one that leaves more. Batches and donors that hold one label each (`holds_one_label`) are no
    strata, nor are those that leave no cell beside controls. None where none is known.

    A cell of an unknown batch or donor stands beside nobody: such controls have a stratum to themselves, such
    perturbed cells another one.

    obs: the columns keys.CONDITION, keys.BATCH and keys.DONOR, those there are; labels: (n_obs,) canonical.
    Numbers follow the names of the values, not the order of the cells.
    """
    control = labels == keys.CONTROL
    always = [value_numbers(obs[key]) for key in (keys.CONDITION,) if key in obs]
    columns, unknown = [], []
    for key in (keys.BATCH, keys.DONOR):
        number = value_numbers(obs[key]) if key in obs else np.zeros(0, dtype=int)
        if len(number) and not holds_one_label(number, labels):
            columns.append(number)
            unknown.append(np.asarray(obs[key] == keys.UNKNOWN, dtype=bool))
    tried = [_apart(_crossed([*always, one]), no, control) for one, no in zip(columns, unknown, strict=True)]
    beside = [_beside_controls(one, control) for one in tried]
    tried = [one for one, cells in zip(tried, beside, strict=True) if cells]
    if len(tried) > 1:
        both = _apart(_crossed([*always, *columns]), np.any(unknown, axis=0), control)
        if _beside_controls(both, control) >= MOST_OF_CROSSED * min(beside):
            return both
        return tried[int(np.argmax(beside))]
    return tried[0] if tried else _crossed(always) if always else None


def _apart(stratum: np.ndarray, unknown: np.ndarray, control: np.ndarray) -> np.ndarray:
    """(n_obs,) number of the stratum, another one for unknown cells, by whether they are controls."""
    return np.where(unknown, stratum.max(initial=0) + 1 + ~control, stratum)


def _have_controls(stratum: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n_obs,) bool: cells with enough controls in their stratum."""
    number = np.unique(stratum, return_inverse=True)[1].ravel()
    controls = np.bincount(number[labels == keys.CONTROL], minlength=number.max(initial=-1) + 1)
    return controls[number] >= FEWEST_CONTROLS


def without_controls(stratum: np.ndarray | None, labels: np.ndarray) -> tuple[str, ...]:
    """Perturbations of which fewer than two cells stand in a stratum with controls, sorted: none of their
    effects can be measured.
    """
    if stratum is None:
        return ()
    control, beside = labels == keys.CONTROL, _have_controls(stratum, labels)
    names, cells = np.unique(labels[~control & beside].astype(str), return_counts=True)
    return tuple(sorted(set(labels[~control].tolist()) - set(names[cells > 1].tolist())))


def _crossed(numbers: list[np.ndarray]) -> np.ndarray:
    """(n_obs,) number of every combination of values that occurs, in their order."""
    found = np.zeros(len(numbers[0]), dtype=int)
    for number in numbers:
        found = np.unique(found * (number.max(initial=0) + 2) + number + 1, return_inverse=True)[1].ravel()
    return found


def holds_one_label(number: np.ndarray, labels: np.ndarray) -> bool:
    """Whether every value of a column holds cells of one label only, and labels come in several: wells with a
    guide each. Within them nothing can be compared, but what the wells of a label disagree on is known.
    """
    import pandas as pd

    known = number >= 0
    label, names = pd.factorize(labels[known])
    pairs = len(np.unique(number[known] * max(len(names), 1) + label))
    return 2 * len(names) <= pairs == len(np.unique(number[known]))


def value_numbers(column: object) -> np.ndarray:
    """(n_obs,) the values of a column as numbers in the order of their names, -1 where there is none."""
    import pandas as pd

    return np.asarray(pd.Categorical(pd.Series(column).astype("category")).codes, dtype=int)  # type: ignore[arg-type]


def _beside_controls(stratum: np.ndarray, control: np.ndarray) -> int:
    """How many perturbed cells stand in a stratum that has controls."""
    controls = np.bincount(stratum[control] + 1, minlength=stratum.max(initial=-1) + 2)
    return int((controls[stratum[~control] + 1] >= FEWEST_CONTROLS).sum())


def _codes(values: pd.Series) -> np.ndarray:
    return np.asarray(values.cat.codes)


def _table(rows: np.ndarray, columns: np.ndarray) -> sparse.csr_matrix:
    """(values of `rows`, values of `columns`) cells that have both; codes from 0 on."""
    from scipy import sparse

    shape = (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)


def _beside(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """(n, m) 1 where a value stands beside another in enough cells to be no slip."""
    found = table.copy()
    found.data = (table.data >= FEWEST_CELLS).astype(np.int64)
    return found


def _judge_batch(column: pd.Series, labels: np.ndarray) -> _Judged:
    """A batch has controls beside the cells of FEWEST_COMPARED perturbations, and of one in ten, at least."""
    values = text_of(column)
    known = np.asarray(values != keys.UNKNOWN)
    codes = np.where(known, _codes(values), -1)
    n = len(np.unique(codes[known]))
    if n < 2:
        return _Judged(None, "all cells have the same value")
    compared, perturbations = _compared(codes, labels)
    if len(compared) < max(FEWEST_COMPARED, NEARLY_NONE * perturbations):
        number = f"only {len(compared):,}" if len(compared) else "none"
        shares = "shares" if len(compared) < 2 else "share"
        why = f"{number} of {counted(perturbations, 'perturbation')} {shares} a value with control cells"
        if holds_one_label(codes, labels):
            why += ". Named, it tells replicates: its values are then ranked as wholes, not their cells"
            return _Judged(values, why, unasked=False, told=True)
        return _Judged(None, f"{why}, so nothing can be compared within one", apart=True)
    if n > MOST_BATCHES:
        why = f"it has {n:,} values, more than the {MOST_BATCHES} that are taken unasked"
        return _Judged(values, why, unasked=False, told=True, apart=True)
    empty = int((~known).sum())
    if not empty:
        return _Judged(values)
    have, are = ("has", "is") if empty == 1 else ("have", "are")
    return _Judged(
        values,
        f"{counted(empty, 'cell')} ({empty / len(known):.1%}) {have} no value there and {are} compared with "
        "no others, as nobody knows beside which controls",
    )


def _compared(codes: np.ndarray, labels: np.ndarray) -> tuple[list[str], int]:
    """(perturbations with enough cells in values that hold controls, number of all perturbations). codes:
    (n_obs,) -1 unknown.
    """
    control = labels == keys.CONTROL
    beside = np.bincount(codes[control] + 1, minlength=codes.max(initial=-1) + 2) >= FEWEST_CELLS
    beside[0] = False
    names, label = np.unique(labels[~control].astype(str), return_inverse=True)
    whole = np.bincount(label.ravel(), minlength=len(names))
    own = np.bincount(label.ravel()[beside[codes[~control] + 1]], minlength=len(names))
    return names[own >= np.maximum(FEWEST_CELLS, NEARLY_NONE * whole)].tolist(), len(names)


def _judge_guide(column: pd.Series, labels: np.ndarray) -> _Judged:
    """A guide goes with one perturbation, and at least one perturbation or the control has two. Guides that
    are numbered anew in every perturbation get its name before their number.
    """
    import pandas as pd

    values = text_of(column)
    known = np.asarray(values != keys.UNKNOWN)
    if not known.any() or known.mean() < 0.5:
        return _Judged(None, "it is empty for more than half of the cells")
    perturbation = np.unique(labels.astype(str), return_inverse=True)[1]
    table = _table(_codes(values)[known], perturbation[known])
    used = np.flatnonzero(np.asarray(table.sum(axis=1)).ravel())
    beside = _beside(table[used])
    several = np.asarray(beside.sum(axis=0)).ravel() > 1
    if len(used) > known.sum() / FEWEST_CELLS:
        return _Judged(None, "nearly every cell has a value of its own")
    if table.max(axis=1).sum() >= NESTED * known.sum():
        if not several.any():
            return _Judged(None, "it tells nothing that the perturbation does not tell: each has one guide")
        return _Judged(values)
    if _numbered_anew(table[used], np.unique(labels.astype(str)) == keys.CONTROL) and several.mean() > 0.5:
        text = np.array(
            [f"{label} {value}" for label, value in zip(labels, values, strict=True)], dtype=object
        )
        text[~known] = keys.UNKNOWN
        numbered = pd.Series(pd.Categorical(text), index=values.index, name=values.name)
        return _Judged(numbered, "its values are counted anew in every perturbation, so each is read with it")
    return _Judged(None, "its values do not each belong to one perturbation", told=True)


def _numbered_anew(table: sparse.csr_matrix, control: np.ndarray) -> bool:
    """Whether nearly all perturbed cells have one of a few values that come in several perturbations, as
    numbers of guides do. What only controls have says nothing: they may have more guides than a gene has, and
    so may some genes.

    table: (values, labels) cells, every value with some; control: (labels,) bool.
    """
    cells = np.asarray(table[:, ~control].sum(axis=1)).ravel()
    shared = np.asarray(_beside(table).sum(axis=1)).ravel() > 1
    return bool((cells > 0).sum() <= MOST_NUMBERED and cells[shared].sum() >= NESTED * cells.sum() > 0)


_MARK = re.compile(r"[ACGTN]{8,}|\d+|(?<![A-Z0-9])[A-Z](?![A-Z0-9])", re.IGNORECASE)
"""What tells guides of a gene apart: a sequence, a number, a single letter."""


def _judge_labels(column: pd.Series, labels: np.ndarray) -> pd.Series | None:
    """The labels as guides, where two genes or more have several that differ by what tells guides apart
    (STAT1_g1 and STAT1_g2, STAT1-A and STAT1-B); None where they do not: spellings of one gene, or numbers of
    controls alone, are no guides.
    """
    values = _judge_guide(column, labels).values
    if values is None:
        return None
    names, label = np.unique(labels.astype(str), return_inverse=True)
    marks: dict[str, set[tuple[str, ...]]] = {}
    for row, code in zip(*_beside(_table(label, _codes(values))).nonzero(), strict=True):
        perturbation, written = str(names[row]), str(values.cat.categories[code])
        if perturbation != keys.CONTROL:
            marks.setdefault(perturbation, set()).add(_marks(written, keys.genes_of(perturbation)))
    return values if sum(len(found) > 1 for found in marks.values()) > 1 else None


def _marks(value: str, genes: Sequence[str]) -> tuple[str, ...]:
    """What a label holds besides its genes that tells guides apart, in any order."""
    rest = ENSEMBL.sub(" ", value)
    for gene in sorted(genes, key=len, reverse=True):
        rest = re.sub(re.escape(gene), " ", rest, flags=re.IGNORECASE)
    return tuple(sorted(mark.casefold() for mark in _MARK.findall(rest)))


def _judge_condition(column: pd.Series, labels: np.ndarray) -> _Judged:
    """Every condition has several perturbations, and most perturbations have several conditions."""
    values = text_of(column)
    n = len(values.cat.categories)
    if n < 2:
        return _Judged(None, "all cells have the same value")
    names, perturbation = np.unique(labels.astype(str), return_inverse=True)
    beside = _beside(_table(_codes(values), perturbation))[:, names != keys.CONTROL]
    per_value, per_label = (np.asarray(beside.sum(axis=axis)).ravel() for axis in (1, 0))
    if not (per_label > 1).any() or (per_value > 1).sum() < 2:
        return _Judged(None, "it is not crossed with the perturbations: none is seen under two of its values")
    if not (per_value > 1).all() or (per_label > 1).mean() < 0.5:
        why = "some values have a single perturbation, or most perturbations are seen under one value only"
        return _Judged(values, why, unasked=False, told=True)
    if n > MOST_CONDITIONS:
        why = f"it has {n:,} values, more than the {MOST_CONDITIONS} that are taken unasked"
        return _Judged(values, why, unasked=False, told=True)
    controls = np.bincount(_codes(values)[labels == keys.CONTROL], minlength=n)
    empty = [str(name) for name, cells in zip(values.cat.categories, controls, strict=True) if not cells]
    return _Judged(values, f"no control cells under {', '.join(empty)}" if empty else "")


def _judge_size_factor(column: pd.Series, totals: np.ndarray) -> _Judged:
    """The counts of the whole transcriptome are positive and never fewer than those that the file holds."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return _Judged(None, "it does not hold numbers", told=True)
    as_text = not pd.api.types.is_numeric_dtype(column)
    read: Any = pd.to_numeric(column.astype(object), errors="coerce") if as_text else column
    numbers = read.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(numbers) & (numbers > 0)
    missing = int((~known).sum())
    if not known.any():
        return _Judged(None, "it does not hold numbers above zero", told=True)
    if missing > MOST_MISSING * len(numbers):
        why = f"{missing / len(numbers):.0%} of the cells have no number above zero there"
        return _Judged(None, why, told=True)
    ratio = numbers[known] / np.maximum(totals[known], 1.0)
    fewer = float((ratio < 1.0).mean())
    if fewer > FEWER_THAN_HELD:
        why = f"{fewer:.0%} of the cells have fewer counts there than in the file itself"
        return _Judged(None, why, told=True)
    numbers[~known] = totals[~known] * np.median(ratio)
    values = pd.Series(numbers, index=column.index, name=column.name)
    if np.median(ratio) <= WHOLE_LIBRARY:
        return _Judged(values, "it holds about the counts of the file itself", unasked=False)
    if not missing:
        return _Judged(values)
    have, their = ("has", "its") if missing == 1 else ("have", "their")
    return _Judged(
        values,
        f"{counted(missing, 'cell')} {have} no number above zero there, and {their} counts in the file times "
        f"{np.median(ratio):.3g}, the median over the others, are taken",
    )
