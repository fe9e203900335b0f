"""What a run found, in three lines: how sure it is, which genes have most edges, which groups there are."""

from __future__ import annotations

from collections.abc import Sequence

from gpovae_core.evaluation.network_scores import Network
from gpovae_core.network.overview import Overview
from gpovae_core.reporting.trust import numbers_of, trust_in_words

NAMED = 3
"""Regulators and groups named at most."""


def findings(found: Overview, scores: Network | None) -> list[str]:
    """Up to three lines, plain text. scores: of its edges in held-out cells, None where it was not scored."""
    if not found.edges:
        return [
            f"No edge is above W {found.threshold:g}: at this threshold the run says nothing about who "
            "regulates whom."
        ]
    told = (trust_in_words(numbers_of(found, scores), found.members), _hubs(found), _groups(found))
    return [line for line in told if line]


def _hubs(found: Overview) -> str:
    hubs = [f"{gene} ({targets:,})" for gene, targets in list(found.regulators.items())[:NAMED]]
    verb = "have" if len(hubs) > 1 else "has"
    return (
        f"{_listed(hubs)} {verb} most targets: {found.edges:,} edges with W above {found.threshold:g} go out "
        f"from {len(found.regulators):,} of {found.perturbed:,} perturbed genes."
    )


def _groups(found: Overview) -> str:
    """The largest group, and the largest that several regulators share."""
    several = [group for group in found.groups if len(group.genes) > 1]
    shared = next((group for group in several if len(group.regulators) > 1), None)
    alone = next((group for group in several if len(group.regulators) == 1), None)
    parts = []
    if alone is not None:
        parts.append(f"{len(alone.genes):,} genes have an edge from {alone.regulators[0]} alone")
    if shared is not None:
        by = _listed(list(shared.regulators))
        which = "both" if len(shared.regulators) == 2 else "each"
        first = ", ".join(shared.genes[:NAMED]) + ", …" * (len(shared.genes) > NAMED)
        what = "" if parts else " genes have an edge"
        parts.append(f"{len(shared.genes):,}{what} from {which} of {by} ({first})")
    return f"Largest groups of targets: {', '.join(parts)}." if parts else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
