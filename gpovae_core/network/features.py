"""What known edges and gene sets say of perturbed genes, as features for evaluation.known_unseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpovae_core.data.gene_sets import GeneSet, read_gene_sets, shipped_gene_sets
from gpovae_core.evaluation.known_unseen import Features
from gpovae_core.network.references import ReferenceNetwork, read_reference_files

LARGEST_SET = 300
"""Genes of a set beyond which sharing it says next to nothing ("Metabolism")."""


def features_of(files: Sequence[Path], perturbed: Sequence[str], measured: Sequence[str]) -> list[Features]:
    """A table for each file (.gmt: gene sets, else known edges); Reactome and WikiPathways without any.
    perturbed: (p,); measured: (n,) genes on which edges may act.
    """
    if not files:
        sets = shipped_gene_sets()
        names = dict.fromkeys(one.source for one in sets)
        return [_of_sets(name, [one for one in sets if one.source == name], perturbed) for name in names]
    found = []
    for file in map(Path, files):
        if ".gmt" in [suffix.casefold() for suffix in file.suffixes]:
            found.append(_of_sets(file.name, read_gene_sets(file), perturbed))
        else:
            found.append(_of_table(read_reference_files([file])[0], perturbed, measured))
    return found


def _of_sets(name: str, sets: Sequence[GeneSet], perturbed: Sequence[str]) -> Features:
    row = {gene.casefold(): i for i, gene in enumerate(perturbed)}
    used = [one for one in sets if len(one.genes) <= LARGEST_SET]
    shared = np.zeros((len(perturbed), len(used)))
    for column, one in enumerate(used):
        for gene in one.genes:
            if (i := row.get(gene.casefold())) is not None:
                shared[i, column] = 1.0
    return Features(name, shared[:, shared.sum(axis=0) > 1])


def _of_table(table: ReferenceNetwork, perturbed: Sequence[str], measured: Sequence[str]) -> Features:
    """Of a directed table: its targets, whatever their sign, are the features. Of one without directions: the
    partners, and the gene itself, so that two that are listed together share each other.
    """
    row = {gene.casefold(): i for i, gene in enumerate(perturbed)}
    if table.directed:
        column = {gene.casefold(): j for j, gene in enumerate(measured)}
        targets = np.zeros((len(perturbed), len(measured)))
        for source, target in table.known:
            if source in row and target in column and source != target:
                targets[row[source], column[target]] = table.knows(source, target).sign or 0.0
        return Features(table.name, np.abs(targets), targets)
    partners = {gene: j for j, gene in enumerate(sorted(table.genes))}
    shared = np.zeros((len(perturbed), len(partners)))
    for gene, i in row.items():
        if gene in partners:
            shared[i, partners[gene]] = 1.0
    for a, b in table.known:
        for one, other in ((a, b), (b, a)):
            if one in row:
                shared[row[one], partners[other]] = 1.0
    return Features(table.name, shared[:, shared.sum(axis=0) > 1])
