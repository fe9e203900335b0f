"""From the labels of a table of effects to the genes that were perturbed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpovae_core import keys
from gpovae_core.data.effect_tables.report import Raw, some
from gpovae_core.data.files import refuse
from gpovae_core.data.labels.controls import control_kind
from gpovae_core.data.labels.names import Found, Names
from gpovae_core.data.labels.reading import UNCLEAR_SHARE

_SEPARATORS = (keys.PAIR_SEPARATOR, "_", "|", ";", ",", "&")
_AGAINST = re.compile(r"^(.+?)\s*[ _.-](?:vs|versus|against)[ _.-].*$|^(.+?) - .+$", re.IGNORECASE)
_IN_FRONT = re.compile(
    r"^(?:(?i:condition|perturbation|perturbed|group|gene|target|treatment|crispri|crispra|crispr|sgrna|ko|kd"
    r"|oe)[ _.:-]+|condition(?=[A-Z])|s[ghi][ _.:-]*(?=[A-Z]))"
)
_BEHIND = re.compile(
    r"(?:[ _.:-]+(?:ko|kd|oe|knock[ _-]?(?:down|out)|crispri|crispra|(?:g|sg|guide)?\d+)|-/-)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Targets:
    """found: perturbed gene -> (its row, its label as written); controls: rows that name a control; notes: in
    words what was left out or respelled.
    """

    found: dict[str, tuple[int, str]]
    controls: list[int]
    notes: list[str]


def read_targets(raw: Raw, name: str) -> Targets:
    """What the rows of a table are about. Raises DataError where that is not clear, or one gene has several
    rows.
    """
    genes = set(raw.genes)
    by_fold: dict[str, list[str]] = {}
    for gene in raw.genes:
        by_fold.setdefault(gene.casefold(), []).append(gene)
    names = Names(raw.genes)
    rows: dict[str, list[int]] = {}
    controls, combined = [], []
    near: dict[str, tuple[str, ...]] = {}
    for row, label in enumerate(raw.labels):
        target = _target(label, genes, by_fold)
        said = Found() if target is None or target in genes else names.find(target)
        if target is None:
            (controls if _parts_are_controls(label) else combined).append(row)
        elif said.near:
            near[label] = said.near
        elif len(said.genes) > 1:
            combined.append(row)
        else:
            rows.setdefault(said.genes[0] if said.genes else target, []).append(row)
    _check_shared({gene: [raw.labels[row] for row in several] for gene, several in rows.items()}, name)
    notes = _near_notes(near, len(raw.labels), name)
    if combined:
        notes.append(
            f"{len(combined):,} combinations are left out, as their effects are no one gene's: "
            f"{some([raw.labels[row] for row in combined])}."
        )
    found = {gene: (several[0], raw.labels[several[0]]) for gene, several in rows.items()}
    respelled = [f"{label} as {gene}" for gene, (_, label) in found.items() if label != gene]
    if respelled:
        notes.append(f"Labels read as genes: {some(respelled)}.")
    return Targets(found, controls, notes)


def _target(label: str, genes: set[str], by_fold: dict[str, list[str]]) -> str | None:
    """The one gene that a label names, measured or not; None for a control and for a combination."""
    if label in genes:
        return label
    against = _AGAINST.match(label)
    bare = next((part for part in against.groups() if part), label).strip() if against else label
    for tried in (
        bare,
        _IN_FRONT.sub("", bare),
        _BEHIND.sub("", bare),
        _BEHIND.sub("", _IN_FRONT.sub("", bare)),
    ):
        same = by_fold.get(tried.casefold(), [])
        if tried in genes or len(same) == 1:
            return tried if tried in genes else same[0]
    if control_kind(bare) is not None:
        return None
    for separator in _SEPARATORS:
        parts = [part.strip() for part in bare.split(separator) if part.strip()]
        if len(parts) < 2:
            continue
        single = [part for part in parts if control_kind(part) is None]
        if separator == keys.PAIR_SEPARATOR or all(part.casefold() in by_fold for part in single):
            return _target(single[0], genes, by_fold) if len(single) == 1 else None
    return bare


def _near_notes(near: dict[str, tuple[str, ...]], labels: int, name: str) -> list[str]:
    """That labels which are near to measured genes were left out; refused where they are more than a few."""
    if not near:
        return []
    shown = some([f"{label} ({' or '.join(genes[:3])}?)" for label, genes in near.items()])
    if len(near) > UNCLEAR_SHARE * labels:
        refuse(
            "labels-near-genes",
            f"'{name}': labels that nearly name a measured gene, but not clearly: {shown}.",
            "Write the gene's name in the column of perturbations.",
        )
    return [f"Labels that nearly name a measured gene, but not clearly, are left out: {shown}."]


def _parts_are_controls(label: str) -> bool:
    """Whether a label that names no gene names a control rather than a combination."""
    against = _AGAINST.match(label)
    bare = next((part for part in against.groups() if part), label) if against else label
    if control_kind(bare) is not None:
        return True
    parts = [part for part in bare.split(keys.PAIR_SEPARATOR) if part.strip()]
    return len(parts) > 1 and all(control_kind(part) is not None for part in parts)


def _check_shared(found: dict[str, list[str]], name: str) -> None:
    """found: perturbed gene -> the labels of its rows."""
    twice = {gene: labels for gene, labels in found.items() if len(labels) > 1}
    if twice:
        listed = "; ".join(f"{gene}: {', '.join(labels[:4])}" for gene, labels in list(twice.items())[:3])
        refuse(
            "duplicate-pairs",
            f"'{name}' has several rows of effects for one perturbed gene ({listed}), so its pairs are there "
            "more than once.",
            "Keep one row for each gene: combine its guides, or choose one contrast.",
        )


def check_measured(kept: list[str], raw: Raw, name: str) -> list[str]:
    """Perturbed genes that are not measured. Raises DataError where that is all of them."""
    genes = set(raw.genes)
    missing = [gene for gene in kept if gene not in genes]
    if len(missing) == len(kept):
        refuse(
            "targets-not-measured",
            f"'{name}': none of the {len(kept):,} perturbed genes ({some(kept)}) is among the "
            f"{len(genes):,} measured ones ({some(raw.genes)}).",
            "Name both alike, as gene symbols or as Ensembl ids (effects.perturbation_column and "
            "effects.gene_column choose the columns).",
        )
    return missing
