"""Combinations whose parts stand in columns of their own: gene_A and gene_B, guide_1 and guide_2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpovae_core.data.labels.text import column_of

if TYPE_CHECKING:
    import pandas as pd

GENE_STEMS = (
    "gene",
    "target",
    "target_gene",
    "gene_target",
    "perturbation",
    "pert",
    "perturbed_gene",
    "condition",
)
GUIDE_STEMS = ("guide", "sgrna", "grna", "guide_id", "sgrna_id", "grna_id", "protospacer", "sgid")
JOINED = "+"
_PART = re.compile(r"(?P<stem>.+?)[_\-. ]?(?P<part>[abAB]|[1-4])(?P<rest>|[_\-. ](?:gene|id|name|target))")


@dataclass(frozen=True)
class ColumnGroup:
    """columns: in the order of their parts; of_guides: they name guides, not genes."""

    columns: tuple[str, ...]
    of_guides: bool

    @property
    def name(self) -> str:
        return JOINED.join(self.columns)


def find_groups(obs: pd.DataFrame) -> list[ColumnGroup]:
    """Groups of text columns that are called alike but for a last A, B, ... or 1, 2, ...; genes first."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for name in map(str, obs.columns):
        match = _PART.fullmatch(name)
        if match and (obs.columns == name).sum() == 1 and _holds_text(column_of(obs, name)):
            stem = re.sub(r"[\s.\-]+", "_", match["stem"]).casefold().strip("_")
            parts.setdefault((stem, match["rest"].casefold()), {})[match["part"].casefold()] = name
    groups = []
    for (stem, rest), found in parts.items():
        first = "a" if "a" in found else "1"
        second = "b" if first == "a" else "2"
        known = stem in GENE_STEMS or stem in GUIDE_STEMS
        if known and {first, second} <= set(found):
            columns = tuple(found[part] for part in sorted(found) if part.isdigit() == first.isdigit())
            groups.append(ColumnGroup(columns, stem in GUIDE_STEMS and rest[1:] not in ("gene", "target")))
    return sorted(groups, key=lambda group: (group.of_guides, group.name))


def _holds_text(column: pd.Series) -> bool:
    import pandas as pd

    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)
