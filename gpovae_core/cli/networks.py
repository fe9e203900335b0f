"""Commands about the network of a run: how often its edges come back, what is in it, how it is wired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpovae_core.cli.shared import (
    Anyway,
    Gpus,
    Hours,
    Jobs,
    Json,
    Memory,
    On,
    Preset,
    References,
    RunArgument,
    Threshold,
    network_of,
    progress_bar,
    references_for,
    request_given,
    settings_given,
    show,
    show_sent,
)
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    from gpovae_core.data.schema import PreparedCells
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.runs.ensemble import Ensemble
    from gpovae_core.runs.folder import RunFolder


LEAST_EXPECTED = 0.01
"""`gpovae network --influence` writes expected effects larger than this unless told otherwise, log2."""


def ensemble(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE", help="A run folder; or cells, of which a run is made first (--run)."
        ),
    ],
    members: Annotated[int, typer.Option(help="How many networks; more than before continues.")] = 20,
    vary: Annotated[str, typer.Option(help="cells (drawn again with replacement), seeds, or both.")] = "both",
    threshold: Threshold = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws of cells.")] = 0,
    run: Annotated[Path | None, typer.Option(help="For cells: folder of the new run.")] = None,
    preset: Preset = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="For cells: any setting.")
    ] = None,
    on: On = None,
    gpus: Gpus = None,
    hours: Hours = None,
    memory: Memory = None,
    jobs: Jobs = None,
    anyway: Anyway = False,
    as_json: Json = False,
) -> None:
    """Count how often each edge comes back.

    The network is found again from other draws of the cells and other seeds. With W from calibrated effects
    (preset evidence) no autoencoder is trained for it; elsewhere every member is a training. Stopped by
    Ctrl-C, continued by the same command.
    """
    from gpovae_core.config import checked, make_settings
    from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, make_ensemble, submit_ensemble
    from gpovae_core.runs.folder import RunFolder, is_run
    from gpovae_core.workflow import start_run

    plan = checked(
        EnsemblePlan,
        {"members": members, "vary": vary, "threshold": threshold, "seed": seed},
        "An ensemble that cannot be made",
    )
    if on is not None and not is_run(source):
        raise SettingsError(
            f"'{source}' is no run, and only the ensemble of a run can be sent to a cluster. Send the "
            f"training first: `gpovae train {source} --run DIR --on {on}`; its ensemble follows it."
        )
    asked = request_given(on, gpus, hours, memory, jobs, source.resolve().parent)
    if asked is not None:
        folder = RunFolder.open(source)
        submit_ensemble(folder, plan, asked)
        show_sent(f"Ensemble of {folder.path}", EnsembleJob.of(folder), as_json)
        return
    with progress_bar() as progress:
        if is_run(source):
            if run is not None or preset is not None or set_:
                raise SettingsError(
                    "A run keeps its settings and its place; leave out --run, --preset and --set."
                )
            folder = RunFolder.open(source)
        elif run is None:
            raise SettingsError(
                f"'{source}' is no run. To make one of these cells first, say where: --run runs/NAME."
            )
        else:
            folder = start_run(
                source,
                run,
                make_settings(preset, settings_given(sets=set_)),
                progress,
            )
        found = make_ensemble(folder, plan, progress)
    status = EnsembleJob.of(folder).status()
    answer = {"run": str(folder.path), "state": status.state, "ensemble": found.facts() if found else None}
    show(
        answer,
        as_json,
        f"Ensemble of {folder.path}: {status.state}, {status.message}.\n"
        + (_ensemble_words(found) if found else ""),
    )


def network(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write: .csv, .graphml, .gexf, .sif, .cx2 or .html.")],
    threshold: Threshold = None,
    influence: Annotated[
        bool,
        typer.Option(
            "--influence",
            help=(
                "All that follows over up to K hops, in place of W: ranked and weighted by the effect that "
                "T_K makes expected when the source is perturbed, as it is scored; T_K in its own column."
            ),
        ),
    ] = False,
    frequency: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Only edges that at least this share of the ensemble has (gpovae ensemble).",
        ),
    ] = 0.0,
    reference: References = None,
    as_json: Json = False,
) -> None:
    """Write the edges of a run to a file.

    Edges above a threshold: source, target, weight, sign, effect (log2 fold change of mean
    shares in the training cells), effect_se, p, p_adjusted (held-out cells; empty where they were too many to
    test), cells, strength with its interval and frequency where the run has them, and, where there are tables
    of known edges, known_in, known_signs and publications.
    """
    from gpovae_core.network.exports import write_edges
    from gpovae_core.network.measured import tests_at_once
    from gpovae_core.runs.ensemble import read_ensemble
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    net, cut = network_of(run, threshold)
    cells = folder.cells() if folder.has("cells.h5ad") else None
    if cells is not None and (tests := tests_at_once(cells)) is not None:
        net = net.with_tests(tests)
    if frequency:
        read_ensemble(folder)  # says what is wrong with it, if anything is
        net = net.found_often(frequency)
    if influence:
        net = _influence(net, folder, cells)
        cut = LEAST_EXPECTED if threshold is None else threshold
    tables = references_for(net, reference)
    write_edges(net, cut, out, references=tables)
    edges = net.edges(cut)
    answer = {"matrix": "T_K" if influence else "W", "threshold": cut, "edges": len(edges), "out": str(out)}
    answer["references"] = [table.name for table in tables]
    words = f" What {' and '.join(answer['references'])} say is in the file." if tables else ""
    show(
        answer,
        as_json,
        f"Wrote {len(edges)} edges with {_WEIGHTS[net.measure]} > {cut:g} to {out}.{words}",
    )


_WEIGHTS = {"W": "W", "T": "abs(T_K)", "E": "an expected effect"}


def _influence(net: GeneNetwork, folder: RunFolder, cells: PreparedCells | None) -> GeneNetwork:
    """Weighted as `methods.influence` scores it: on the scale of the measurements where the cells are at
    hand, in log2 fold changes where only the network stage is, by T itself where there was none.
    """
    import numpy as np

    from gpovae_core.methods.expected import predicted_by_network
    from gpovae_core.methods.fitted import NetworkFit

    arrays, hops = folder.network_arrays(), folder.settings().loss.shown_hops
    if not arrays:
        return net.influence_network(hops)
    fit = NetworkFit.from_arrays(arrays)
    if cells is None:
        return net.expected_network(hops, fit.expected_change() / np.log(2))
    expected = np.full((len(net), len(net)), np.nan)
    expected[:, cells.panel.is_measured] = predicted_by_network(fit, cells)[:, cells.panel_columns]
    return net.expected_network(hops, expected)


def figure(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write: .pdf, .svg or .png.")],
    width: Annotated[float, typer.Option(help="Millimetres: 85 for a column of a page, 174 for two.")] = 85,
    gene: Annotated[str | None, typer.Option(help="Only the edges out of and into this gene.")] = None,
    threshold: Threshold = None,
    caption: Annotated[bool, typer.Option(help="With a caption below the picture.")] = True,
    as_json: Json = False,
) -> None:
    """Draw the network for a paper.

    Regulators and their groups of targets, with legend and caption, letters of at least 6 pt at the width it
    is printed in.
    """
    from dataclasses import replace

    from gpovae_core.data.atomic import replacing
    from gpovae_core.methods.fitted import NetworkFit
    from gpovae_core.network.contrary import contrary_edges
    from gpovae_core.plots.paper import check, drawing_bytes
    from gpovae_core.plots.paper_network import network_drawing
    from gpovae_core.runs.folder import RunFolder

    form = out.suffix.lower().removeprefix(".")
    check(form, width)
    net, cut = network_of(run, threshold)
    arrays = RunFolder.open(run).network_arrays()
    own_change = NetworkFit.from_arrays(arrays).own_change if arrays else None
    drawing = network_drawing(net, cut, gene, width, contrary_edges(net, own_change))
    with replacing(out) as aside:
        aside.write_bytes(drawing_bytes(drawing if caption else replace(drawing, caption=""), form, width))
    answer = {"out": str(out), "width_mm": width, "threshold": cut, "caption": drawing.caption}
    show(answer, as_json, f"Wrote {out}, {width:g} mm wide. {drawing.caption}")


def paths(
    run: RunArgument,
    source: Annotated[list[str], typer.Option(help="Gene the path starts from; repeatable.")],
    target: Annotated[str, typer.Option(help="Gene it leads to.")],
    hops: Annotated[int, typer.Option(min=1, help="Most edges in a path.")] = 5,
    top: Annotated[int, typer.Option(min=1, help="How many paths.")] = 10,
    threshold: Annotated[float, typer.Option(help="Only edges with W above this.")] = 0.0,
    reference: References = None,
    as_json: Json = False,
) -> None:
    """Find the most probable paths between two genes.

    With their share of what reaches the target within the hops, and which of their steps tables of known
    edges list.
    """
    from gpovae_core.network.agreement import known_steps
    from gpovae_core.network.paths import trace_paths
    from gpovae_core.reporting.known import plain_step, step_in_words

    net, _ = network_of(run, None)
    trace = trace_paths(net, source, target, hops, top, threshold)
    tables = references_for(net, reference)
    steps = [known_steps(net, path.genes, tables) for path in trace.paths]
    found = [
        {
            "genes": list(path.genes),
            "probability": path.probability,
            "share": path.share,
            "steps": [plain_step(one) for one in own],
        }
        for path, own in zip(trace.paths, steps, strict=True)
    ]
    answer = {
        "paths": found,
        "share_by_hops": list(trace.share_by_hops),
        "influence": trace.influence,
        "explained": trace.explained,
        "remainder": trace.remainder,
    }
    lines = [f"probability, share of the influence over {hops} hops, path"]
    for path, own in zip(trace.paths, steps, strict=True):
        lines.append(f"{path.probability:.3g}  {path.share:.1%}  {' -> '.join(path.genes)}")
        lines += [f"    {step_in_words(one)}" for one in own if one.known]
    lines.append(
        f"These paths carry {trace.explained:.1%}; {trace.remainder:.1%} runs over others and over walks "
        "that revisit genes."
    )
    show(answer, as_json, "\n".join(lines) if found else f"No path of at most {hops} hops.")


def _ensemble_words(found: Ensemble) -> str:
    """How many edges come back how often, and how much two members agree, beside chance."""
    counts = ", ".join(
        f"{int((found.frequency >= share).sum())} in at least {share:.0%}" for share in (0.5, 0.8, 0.95)
    )
    lines = [
        f"Edges (W > {found.threshold:g}): {found.edges:.1f} in a member on average; {counts} of "
        f"{found.members} members."
    ]
    for row in found.stability.to_dict("records"):
        lines.append(
            f"  strongest {row['edges']:.0f}: two members share {row['overlap']:.0%} (Jaccard "
            f"{row['jaccard']:.2f}; random {row['random_jaccard']:.2f})"
        )
    return "\n".join(lines)
