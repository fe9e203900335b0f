"""Commands about what is known from elsewhere: gene sets, regulators, tables of edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import Json, RunArgument, Threshold, network_of, progress_bar, show
from gpovae_core.errors import SettingsError


def enrich(
    run: RunArgument,
    gene: Annotated[
        str | None, typer.Option(help="The targets of this gene: edges with W above the threshold.")
    ] = None,
    genes: Annotated[
        list[str] | None, typer.Option(help="Genes of the panel, separated by commas; repeatable.")
    ] = None,
    perturbation: Annotated[
        str | None, typer.Option(help="All measured effects of perturbing this gene, ranked and signed.")
    ] = None,
    sets: Annotated[
        list[Path] | None,
        typer.Option(
            help="Gene sets (.gmt, gzip or not) in the place of Reactome and WikiPathways; repeatable."
        ),
    ] = None,
    threshold: Threshold = None,
    top: Annotated[int, typer.Option(min=1, help="How many sets are printed as text.")] = 20,
    as_json: Json = False,
) -> None:
    """Find gene sets among targets, or along effects.

    Known gene sets that hold more of the genes than chance would put there: hypergeometric test against
    the measured genes of the panel, Benjamini-Hochberg over all sets tested. With --perturbation: which sets
    go up or down under it, by the ranks of all effects.
    """
    from gpovae_core.data.gene_sets import read_gene_sets, shipped_gene_sets
    from gpovae_core.network.enrichment import (
        effects_of,
        over_representation,
        ranked_enrichment,
        targets_of,
    )
    from gpovae_core.reporting.knowledge import ranked_in_words

    if [gene is not None, bool(genes), perturbation is not None].count(True) != 1:
        raise SettingsError(
            "Say which genes: --gene G for the targets of G, --genes A,B,C, or --perturbation G for all "
            "effects of G."
        )
    net, cut = network_of(run, threshold)
    known = [found for path in sets for found in read_gene_sets(path)] if sets else shipped_gene_sets()
    if perturbation is not None:
        ranked = ranked_enrichment(*effects_of(net, perturbation), known)
        show(ranked.plain(), as_json, ranked_in_words(ranked, top))
        return
    if gene is not None:
        chosen = targets_of(net, gene, cut)
    else:
        chosen = [name.strip() for part in genes or [] for name in part.split(",") if name.strip()]
    found = over_representation(net.panel, chosen, known)
    lines = [
        f"{len(found.selected):,} genes against the {found.background:,} measured genes of the panel; "
        f"{found.tested:,} sets tested.",
        "p, adjusted, overlap of size, set (source): genes",
    ]
    if found.left_out:
        lines.insert(1, f"Not measured, so left out: {', '.join(found.left_out)}.")
    lines += [
        f"{row.p:.2g}  {row.p_adjusted:.2g}  {row.overlap} of {row.size}  {row.name} ({row.source}): "
        f"{', '.join(row.genes[:8])}{' …' if len(row.genes) > 8 else ''}"
        for row in found.sets[:top]
    ]
    show(found.plain(), as_json, "\n".join(lines))


def activity(
    run: RunArgument,
    table: Annotated[
        Path | None,
        typer.Option(help="Signed edges beside W: CollecTRI, TRRUST, DoRothEA, source,target,sign."),
    ] = None,
    perturbation: Annotated[
        list[str] | None, typer.Option(help="A perturbed gene; repeatable. All of them without it.")
    ] = None,
    threshold: Threshold = None,
    top: Annotated[int, typer.Option(min=1, help="How many activities are printed as text.")] = 20,
    out: Annotated[Path | None, typer.Option(help="CSV to write: every activity.")] = None,
    as_json: Json = False,
) -> None:
    """Say which regulators act under a perturbation.

    By what their targets do: by W, by a table, and where both agree. Needs decoupler (pip install
    'gpovae[activity]').
    """
    from gpovae_core.data.write import write_table
    from gpovae_core.network.activity import activities
    from gpovae_core.network.references import read_reference_files
    from gpovae_core.reporting.knowledge import activities_in_words

    net, cut = network_of(run, threshold)
    reference = None if table is None else read_reference_files([table])[0]
    found = activities(net, reference, cut, tuple(perturbation or ()))
    if out is not None:
        write_table(found.table, ("network", "perturbation", "regulator"), out)
    show(found.plain(), as_json, activities_in_words(found, top))


def prior(
    run: RunArgument,
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="Known edges: TRRUST, CollecTRI, STRING, source and target ..."),
    ],
    threshold: Threshold = None,
    draws: Annotated[int, typer.Option(help="Rewired tables beside it.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the rewiring and the halves.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: edges with W as the table makes it, and without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether a table of known edges would help.

    The weight that the cells of a run give it, beside rewired tables, the other half of the table, and
    held-out cells. The run itself stays as it is.
    """
    from gpovae_core.data.write import write_table
    from gpovae_core.network.knowledge import ask_cells
    from gpovae_core.network.references import read_reference_files
    from gpovae_core.reporting.knowledge import knowledge_in_words
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    with progress_bar() as progress:
        found = ask_cells(folder, read_reference_files([table])[0], threshold, draws, seed, progress)
    if out is not None:
        write_table(found.edges, ("source", "target"), out)
    show(found.plain(), as_json, knowledge_in_words(found))
