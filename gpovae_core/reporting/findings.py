"""What a run found, in three lines: how sure it is, which genes have most edges, which groups there are."""

from __future__ import annotations

from collections.abc import Sequence

from gpovae_core.evaluation.network_scores import Network
from gpovae_core.network.overview import Group, Overview
from gpovae_core.reporting.trust import numbers_of, trust_in_words
from gpovae_core.reporting.words import share

NAMED = 3
"""Regulators, groups, and genes of a group that are named."""
MOST_NAMED = 5
"""Named at most where several are as large as the last one named."""


def findings(found: Overview, scores: Network | None) -> list[str]:
    """Up to three lines, plain text. scores: of its edges in held-out cells, None where it was not scored."""
    if not found.edges:
        return [
            f"No edge is above W {found.threshold:g}: at this threshold the run says nothing about who "
            "regulates whom."
        ]
    told = (trust_in_words(numbers_of(found, scores), found.members), _hubs(found), _groups(found))
    return [line for line in told if line]


def come_back_in_words(found: Overview) -> str:
    """How many edges an ensemble finds again; "" where there is none."""
    if found.again is None:
        return ""
    return (
        f"{found.again:,} of {found.edges:,} edges come back in at least half of {found.members:,} networks "
        "from other draws of the cells"
    )


def false_in_words(edges: int, false_share: float | None) -> str:
    """How many edges are expected to have no effect behind them; "" where that is not known."""
    if false_share is None or not edges:
        return ""
    expected = false_share * edges
    number = "fewer than 1" if expected < 1 else f"about {expected:,.0f}"
    return f"expected to have no effect at all behind them: {number} of {edges:,} ({share(false_share)})"


def _hubs(found: Overview) -> str:
    named = list(found.regulators.items())[: _as_large(list(found.regulators.values()))]
    hubs = [f"{gene} ({count:,})" for gene, count in named]
    verb = "have" if len(hubs) > 1 else "has"
    return (
        f"{_listed(hubs)} {verb} most targets: {found.edges:,} edges with W above {found.threshold:g} go out "
        f"from {len(found.regulators):,} of {found.perturbed:,} perturbed genes."
    )


def _groups(found: Overview) -> str:
    """The largest groups of genes that have the same regulators, whatever their number, and the largest with
    several where it is none of these.
    """
    several = [group for group in found.groups if len(group.genes) > 1]
    if not several:
        return ""
    largest = several[: _as_large([len(group.genes) for group in several])]
    first = largest[0]
    names = ", ".join(first.genes[:NAMED]) + ", …" * (len(first.genes) > NAMED)
    parts = [f"{len(first.genes):,} answer to {_by(first)} ({names})"]
    parts += [f"{len(group.genes):,} to {_by(group)}" for group in largest[1:]]
    words = f"Largest groups of genes with the same regulators: {', '.join(parts)}"
    shared = next((group for group in several if len(group.regulators) > 1), None)
    if shared is not None and shared not in largest:
        words += f"; the largest with more than one regulator: {len(shared.genes):,} to {_by(shared)}"
    return f"{words}. Genes that regulate others are in no group."


def _by(group: Group) -> str:
    if len(group.regulators) == 1:
        return f"{group.regulators[0]} alone"
    return f"{'both ' * (len(group.regulators) == 2)}{_listed(group.regulators)}"


def _as_large(sizes: Sequence[int]) -> int:
    """How many to name of what has these falling sizes: NAMED and those as large as the last of them, but
    none of the equals beyond NAMED where they are more than MOST_NAMED in all.
    """
    if len(sizes) <= NAMED:
        return len(sizes)
    equal = sum(size >= sizes[NAMED - 1] for size in sizes)
    return equal if equal <= MOST_NAMED else NAMED


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
