"""What a run found, in three lines: who regulates most, which groups there are, how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from gpovae_core.network.overview import Overview
from gpovae_core.reporting.words import share

NAMED = 3
"""Regulators and groups named at most."""


def findings(found: Overview, false_share: float | None) -> list[str]:
    """Up to three sentences, plain text. false_share: estimated share of the edges without any effect; None:
    not known.
    """
    if not found.edges:
        return [
            f"No edge is above W {found.threshold:g}: at this threshold the run says nothing about who "
            "regulates whom."
        ]
    told = [_hubs(found)]
    if groups := _groups(found):
        told.append(groups)
    if sure := _sure(found, false_share):
        told.append(sure)
    return told


def _hubs(found: Overview) -> str:
    hubs = [f"{gene} ({targets:,})" for gene, targets in list(found.regulators.items())[:NAMED]]
    verb = "regulate" if len(hubs) > 1 else "regulates"
    return (
        f"{_listed(hubs)} {verb} most: {found.edges:,} edges with W above {found.threshold:g} go out from "
        f"{len(found.regulators):,} of {found.perturbed:,} perturbed genes."
    )


def _groups(found: Overview) -> str:
    """The largest group, and the largest that several regulators share."""
    several = [group for group in found.groups if len(group.genes) > 1]
    shared = next((group for group in several if len(group.regulators) > 1), None)
    alone = next((group for group in several if len(group.regulators) == 1), None)
    parts = []
    if alone is not None:
        parts.append(f"{len(alone.genes):,} genes answer to {alone.regulators[0]} alone")
    if shared is not None:
        by = _listed(list(shared.regulators))
        which = "both" if len(shared.regulators) == 2 else "each"
        first = ", ".join(shared.genes[:NAMED]) + ", …" * (len(shared.genes) > NAMED)
        what = "" if parts else " genes answer"
        parts.append(f"{len(shared.genes):,}{what} to {which} of {by} ({first})")
    return f"Largest groups of targets: {', '.join(parts)}." if parts else ""


def _sure(found: Overview, false_share: float | None) -> str:
    parts = []
    if false_share is not None:
        parts.append(f"about {share(false_share)} of these edges have no effect at all behind them")
    if found.again is not None:
        parts.append(f"{found.again:,} of {found.edges:,} come back in half of an ensemble")
    if found.in_doubt is not None and found.in_doubt[0]:
        judged, doubtful = found.in_doubt
        parts.append(f"{doubtful:,} of {judged:,} may run over a gene that nobody perturbed")
    return f"How sure: {'; '.join(parts)}." if parts else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
