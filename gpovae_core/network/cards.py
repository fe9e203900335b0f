"""What there is to know of one gene: its edges at a threshold, its measured effects, and where to read on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

_SPECIES = {
    "ENSG": ("Homo_sapiens", "9606"),
    "ENSMUSG": ("Mus_musculus", "10090"),
    "ENSRNOG": ("Rattus_norvegicus", "10116"),
    "ENSDARG": ("Danio_rerio", "7955"),
}


@dataclass(frozen=True)
class GeneCard:
    """targets, regulators: edges out and in above the threshold; as_source, as_target: gene, effect and
    effect_se, the strongest measured ones of knocking this gene down, and of other perturbations on it; own,
    own_se: of its knock-down on itself, None where not measured; as_raised, own_raised, own_raised_se: the
    same of its activation in other cells, empty and None without any; unit: of these, in words (the log2 fold
    change of `network.measured`, where the run has it); links: site -> address, none for simulated genes.
    """

    gene: str
    identifier: str
    perturbed: bool
    measured: bool
    reason: str
    targets: int
    regulators: int
    self_loop: float
    own: float | None
    own_se: float | None
    own_raised: float | None
    own_raised_se: float | None
    unit: str
    as_source: pd.DataFrame
    as_target: pd.DataFrame
    as_raised: pd.DataFrame
    links: dict[str, str]


def gene_card(network: GeneNetwork, gene: str, threshold: float, most: int = 5) -> GeneCard:
    """The card of a gene; `most`: effects listed in either direction. Raises QueryError for a gene that is
    not in the panel.
    """
    network.check_threshold(threshold)
    place = network.panel.position(gene)
    gene = network.panel.genes[place]
    out, into = network.weights[place] > threshold, network.weights[:, place] > threshold
    effects, errors, unit = measured_effects(network)
    raised = None if network.measured is None else network.measured.activated
    parts = [np.full(effects.shape, np.nan)] * 2 if raised is None else [raised.effect, raised.effect_se]
    (up, up_se), (onto, onto_se) = ([part[place] for part in parts], [part[:, place] for part in parts])
    names = network.panel.genes
    return GeneCard(
        gene=gene,
        identifier=network.panel.data.ids.get(gene, ""),
        perturbed=bool(network.has_evidence[place]),
        measured=bool(network.panel.is_measured[place]),
        reason=network.panel.data.reasons.get(gene, ""),
        targets=int(out.sum() - out[place]),
        regulators=int(into.sum() - into[place]),
        self_loop=float(network.weights[place, place]),
        own=_known(effects[place, place]),
        own_se=_known(errors[place, place]),
        own_raised=_known(up[place]),
        own_raised_se=_known(up_se[place]),
        unit=unit,
        as_source=_strongest(names, effects[place], errors[place], place, len(network), most),
        as_target=_strongest(
            [*names, *(keys.for_reading(name + keys.ACTIVATED) for name in names)],
            np.concatenate([effects[:, place], onto]),
            np.concatenate([errors[:, place], onto_se]),
            place,
            len(network),
            most,
        ),
        as_raised=_strongest(names, up, up_se, place, len(network), most),
        links={} if network.simulated else gene_links(gene, network.panel.data.ids.get(gene, "")),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


FOLD_CHANGE = "log2 fold change of mean shares, training cells"
LOG_DIFFERENCE = "difference of mean log2(counts per 10,000 + 1), which is no fold change; training cells"


def measured_effects(network: GeneNetwork) -> tuple[np.ndarray, np.ndarray, str]:
    """(n, n) effects, (n, n) their standard errors, and their unit."""
    found = network.measured
    if found is not None and np.isfinite(found.effect).any():
        return found.effect, found.effect_se, FOLD_CHANGE
    return network.effects, np.full(network.effects.shape, np.nan), LOG_DIFFERENCE


def _strongest(
    names: Sequence[str], effects: np.ndarray, errors: np.ndarray, itself: int, panel: int, most: int
) -> pd.DataFrame:
    """Effects (k,) by name, but those of the panel gene `itself`, whatever was done to it; names: the genes
    of the panel (`panel` of them), perhaps several times over.
    """
    others = np.arange(len(effects)) % panel != itself
    known = np.flatnonzero(np.isfinite(effects) & others)
    # by the least that their interval allows: few counts give large changes that mean nothing
    least = np.abs(effects[known]) - keys.NORMAL_95 * np.nan_to_num(errors[known])
    best = known[np.argsort(-least, kind="stable")][:most]
    return pd.DataFrame(
        {"gene": [names[i] for i in best], "effect": effects[best], "effect_se": errors[best]}
    )


def gene_links(gene: str, identifier: str = "") -> dict[str, str]:
    """Addresses at NCBI, Ensembl and UniProt for a symbol, and its Ensembl id where there is one. Nothing is
    asked of any site.

    The species is known from the id only; without one the pages are searches over all species.
    """
    prefix = next(
        (
            start
            for start in _SPECIES
            if identifier.startswith(start) and identifier[len(start) :][:1].isdigit()
        ),
        None,
    )
    species, taxon = _SPECIES[prefix] if prefix else ("Multi", "")
    symbol = quote(gene, safe="")
    organism = f"+AND+organism_id%3A{taxon}" if taxon else ""
    ncbi = f"https://www.ncbi.nlm.nih.gov/gene/?term={symbol}%5Bsym%5D" + (
        f"+AND+txid{taxon}%5BOrganism%5D" if taxon else ""
    )
    bare = quote(identifier.split(".")[0], safe="")
    ensembl = (
        f"https://www.ensembl.org/{species}/Gene/Summary?g={bare}"
        if prefix
        else f"https://www.ensembl.org/Multi/Search/Results?q={symbol}"
    )
    return {
        "NCBI Gene": ncbi,
        "Ensembl": ensembl,
        "UniProt": f"https://www.uniprot.org/uniprotkb?query=gene_exact%3A{symbol}{organism}",
    }


def publication_link(name: str) -> str:
    """Address of 'PMID 22909821' or 'doi 10.1038/nature'; '' for anything else."""
    kind, _, number = name.partition(" ")
    if kind == "PMID" and number.isascii() and number.isdigit():
        return f"https://pubmed.ncbi.nlm.nih.gov/{number}/"
    return f"https://doi.org/{quote(number, safe='/')}" if kind == "doi" and number else ""
