"""Gene sets: those that come with the project, and any file in the form GMT (name, description and genes of a
set in one line, separated by tabs), packed with gzip or not.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gpovae_core.data.text_tables import NotATable, lines_of, stem_of
from gpovae_core.errors import QueryError

SHIPPED = {"reactome.gmt.gz": "Reactome", "wikipathways.gmt.gz": "WikiPathways"}
"""File -> the source of its sets; both are in the public domain (CC0)."""
MOST_BYTES = 500_000_000
EXPECTED = (
    "Expected gene sets in the form GMT: one set a line, its name, a description and its genes, separated by "
    "tabs."
)
_WEIGHT = re.compile(r",-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$")


@dataclass(frozen=True)
class GeneSet:
    """name, description: as in the file; source: where it is from, as shown; genes: symbols as written."""

    name: str
    source: str
    genes: frozenset[str]
    description: str = ""


def read_gene_sets(content: bytes | Path, source: str | None = None) -> list[GeneSet]:
    """The sets of a GMT file, in its order. source: as shown; the name of the file where None. Sets of one
    name are told apart by their description. Raises QueryError that says what is wrong.
    """
    name = content.name if isinstance(content, Path) else source or "The file"
    shown = source or stem_of(name)
    found = []
    try:
        for number, line in lines_of(content, MOST_BYTES):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split("\t")]
            if len(fields) < 3:
                raise QueryError(f"'{name}', line {number:,}: no name, description and genes. {EXPECTED}")
            if not fields[0]:
                raise QueryError(f"'{name}', line {number:,}: a set without a name. {EXPECTED}")
            genes = frozenset(_WEIGHT.sub("", gene) for gene in fields[2:] if gene)
            if genes:
                found.append(GeneSet(fields[0], shown, genes, fields[1]))
    except NotATable as error:
        raise QueryError(f"'{name}' {error}. {EXPECTED}") from error
    except FileNotFoundError:
        raise QueryError(f"There is no file '{content}' with gene sets.") from None
    except OSError as error:
        raise QueryError(f"'{name}' cannot be read: {error.strerror or error}.") from error
    if not found:
        raise QueryError(f"'{name}' holds no gene sets. {EXPECTED}")
    return _apart(found)


@cache
def shipped_gene_sets() -> list[GeneSet]:
    """Reactome and WikiPathways, human symbols; see data/shipped/README.md."""
    folder = Path(__file__).parent / "shipped"
    return [one for name, source in SHIPPED.items() for one in read_gene_sets(folder / name, source)]


def _apart(sets: list[GeneSet]) -> list[GeneSet]:
    """Sets of one name get their description, or else a number, behind it."""
    counts, seen = Counter(one.name for one in sets), Counter()
    result = []
    for one in sets:
        if counts[one.name] > 1:
            seen[one.name] += 1
            described = one.description and one.description != one.name
            mark = one.description if described else str(seen[one.name])
            one = replace(one, name=f"{one.name} ({mark})")
        result.append(one)
    names = Counter(one.name for one in result)
    return [
        replace(one, name=f"{one.name} #{place}") if names[one.name] > 1 else one
        for place, one in enumerate(result, start=1)
    ]
