"""Perturbations as the schema of CELLxGENE writes them from version 7.1 on: ids of guides in a column of obs,
and what each of them is in uns["genetic_perturbations"].

https://github.com/chanzuckerberg/single-cell-curation/blob/main/schema/7.1.0/schema.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpovae_core import keys
from gpovae_core.data.guide_targets import TargetReader

if TYPE_CHECKING:
    import pandas as pd

ID, STRATEGY, DESCRIBED = "genetic_perturbation_id", "genetic_perturbation_strategy", "genetic_perturbations"
DELIMITER = " || "
NO_ID = "na"


def is_cellxgene(obs: pd.DataFrame) -> bool:
    return (obs.columns == ID).sum() == 1


def guides_of(ids: str) -> tuple[str, ...]:
    """Ids in one value of the column; none where it is "na" or empty."""
    return tuple(part.strip() for part in ids.split(DELIMITER.strip()) if part.strip() not in ("", NO_ID))


def stated_targets(
    described: Any, guides: list[str], reader: TargetReader
) -> dict[str, tuple[str, ...] | None]:
    """guide -> its target genes: none for the role of a control, None where nothing says them.

    A guide may overlap several features, a gene and its antisense say: the one that its id names is the
    target, else the one that most guides of the file overlap, else the first measured one by name.
    """
    entries = {guide: _entry(described, guide) for guide in guides}
    features = {guide: _features(entry) for guide, entry in entries.items()}
    common = Counter(identifier for found in features.values() for identifier in found)
    targets: dict[str, tuple[str, ...] | None] = {}
    for guide in guides:
        if entries[guide].get("role") == keys.CONTROL or (not entries[guide] and reader.is_control(guide)):
            targets[guide] = ()
            continue
        named = reader.from_name(guide)
        symbols = {
            reader.measured(identifier) or reader.measured(symbol) or symbol or identifier: common[identifier]
            for identifier, symbol in features[guide].items()
        }
        if symbols and named not in symbols:
            named = min(symbols, key=lambda gene: (-symbols[gene], gene not in reader.genes, gene))
        elif not symbols and named not in reader.genes:
            named = None
        targets[guide] = None if named is None else (named,)
    return targets


def _entry(described: Any, guide: str) -> Mapping[str, Any]:
    entry = described.get(guide) if isinstance(described, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def _features(entry: Mapping[str, Any]) -> dict[str, str]:
    """Ensembl id -> symbol ("" where it is not written beside it)."""
    found = next((entry[key] for key in ("target_features", "intended_features") if entry.get(key)), None)
    if isinstance(found, Mapping):
        return {str(identifier): str(symbol or "") for identifier, symbol in found.items()}
    return {}
