"""What tables of known edges say of an edge, a path or a gene, and gene sets of a selection, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core.data.gene_sets import shipped_gene_sets
from gpovae_core.errors import QueryError
from gpovae_core.network.agreement import OTHER_SIGN, KnownEdge, ListedOfGene
from gpovae_core.network.enrichment import Enrichment, over_representation
from gpovae_core.network.grn import SIGN_WORDS, GeneNetwork
from gpovae_core.network.references import Known
from gpovae_core.reporting.words import share

NOTES = 3
"""Signs and complexes, and publications, of an edge that are written out at most; a table has all."""
GENES = 8
"""Genes that are named at most."""
LEVEL = 0.05
"""Adjusted p up to which a gene set is said to be enriched."""
REGULATORS, SETS = 5, 3
"""Of a report: whose targets are held against gene sets, and sets for each at most."""


def known_in_words(entry: Known) -> str:
    """'TRRUST: yes (Activation; PMID 18497060, PMID 18694960 and 7 more)'."""
    if entry.found:
        return f"{entry.reference}: yes{_details(entry)}"
    if entry.reverse:
        return f"{entry.reference}: only the other way round"
    return (
        f"{entry.reference}: no, among {entry.listed:,} it lists for this source"
        if entry.listed
        else f"{entry.reference}: says nothing about this source"
    )


def _details(entry: Known) -> str:
    parts = [_some(notes) for notes in (entry.notes, entry.publications) if notes]
    return f" ({'; '.join(parts)})" if parts else ""


def _some(names: Sequence[str], most: int = NOTES) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def step_in_words(step: KnownEdge) -> str:
    """'STAT1 -> IRF1 (activates): TRRUST (Activation; PMID 18497060)', with what contradicts its sign."""
    said = ", ".join(f"{one.reference}{_details(one)}" for one in step.known) or "in no table"
    other = ", with the other sign" if step.standing == OTHER_SIGN else ""
    return f"{step.source} -> {step.target} ({SIGN_WORDS[step.sign]}): {said}{other}"


def plain_step(step: KnownEdge) -> dict[str, Any]:
    """As JSON holds it."""
    return {
        "source": step.source,
        "target": step.target,
        "weight": step.weight,
        "sign": step.sign,
        "known": [
            {"table": one.reference, "sign": one.sign, "publications": list(one.publications)}
            for one in step.known
        ],
    }


def steps_in_short(steps: Sequence[KnownEdge]) -> str:
    """How many steps of a path are listed, and where: '2 of 3: CollecTRI, TRRUST'; '' without any."""
    known = [step for step in steps if step.known]
    if not known:
        return ""
    tables = dict.fromkeys(one.reference for step in known for one in step.known)
    other = sum(step.standing == OTHER_SIGN for step in known)
    turned = f" ({other} with the other sign)" if other else ""
    return f"{len(known)} of {len(steps)}: {', '.join(tables)}{turned}"


def listed_in_words(tables: Sequence[ListedOfGene]) -> list[str]:
    """A line per table that could have listed an edge of the gene; one more for those that could not."""
    lines = [_listed_line(one) for one in tables if one.judged or one.regulators]
    silent = [one.name for one in tables if not (one.judged or one.regulators)]
    if silent:
        lines.append(f"Nothing of its edges can be looked up in {', '.join(silent)}.")
    return lines


def _listed_line(found: ListedOfGene) -> str:
    words = []
    if found.judged:
        among = f" of the {found.judged:,} of its targets that it could list"
        shares = share(len(found.targets) / found.judged), share(found.known / found.pairs)
        chance = f" ({shares[0]}; of all such genes {shares[1]})"
        named = f": {_named(found.targets, 'target')}" if found.targets else ""
        words.append(f"{len(found.targets):,}{among}{chance}{named}")
    if found.regulators:
        words.append(f"of its regulators {_named(found.regulators, 'source')}")
    return f"{found.name} lists {', and '.join(words)}."


def _named(edges: Sequence[KnownEdge], end: str) -> str:
    names = [f"{getattr(one, end)}{' (other sign)' if one.standing == OTHER_SIGN else ''}" for one in edges]
    return _some(names, GENES)


def gene_set_table(network: GeneNetwork, threshold: float) -> pd.DataFrame:
    """The sets enriched among the targets of the largest regulators: Gene, Targets, Set, Source, Overlap,
    Adjusted p, Genes; empty for made-up genes and where none is.
    """
    columns = pd.Index(["Gene", "Targets", "Set", "Source", "Overlap", "Adjusted p", "Genes"])
    above = (network.weights > threshold) & network.panel.is_measured
    np.fill_diagonal(above, False)
    counts = np.where(network.has_evidence, above.sum(axis=1), 0)
    rows = []
    for i in [] if network.simulated else np.argsort(-counts, kind="stable")[:REGULATORS]:
        targets = [network.panel.genes[j] for j in np.flatnonzero(above[i])]
        try:
            found = over_representation(network.panel, targets, shipped_gene_sets()) if targets else None
        except QueryError:  # another species, or ids: no set speaks of them
            found = None
        rows += [
            (
                network.panel.genes[i],
                len(targets),
                one.name,
                one.source,
                f"{one.overlap} of {one.size}",
                f"{one.p_adjusted:.2g}",
                _some(one.genes, GENES),
            )
            for one in (() if found is None else found.sets[:SETS])
            if one.p_adjusted <= LEVEL
        ]
    return pd.DataFrame(rows, columns=columns)


def sets_in_words(found: Enrichment, most: int = 3) -> list[str]:
    """The sets that hold more of the chosen genes than chance would, one a line, and against what."""
    against = (
        f"{found.tested:,} gene sets tested on {len(found.selected):,} genes, against the "
        f"{found.background:,} measured genes of the panel."
    )
    enriched = [one for one in found.sets if one.p_adjusted <= LEVEL]
    if not enriched:
        return [f"No gene set holds more of them than chance would put there: {against}"]
    lines = [
        f"{one.name} ({one.source}): {one.overlap} of its {one.size} genes, adjusted p {one.p_adjusted:.2g}: "
        f"{_some(one.genes, GENES)}."
        for one in enriched[:most]
    ]
    more = len(enriched) - most
    return [*lines, f"{f'{more:,} more at {LEVEL:.0%}. ' if more > 0 else ''}{against}"]
