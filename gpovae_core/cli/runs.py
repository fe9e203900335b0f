"""Commands about run folders: what is in one, into one, out of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gpovae_core.cli.shared import Json, RunArgument, show
from gpovae_core.errors import SettingsError


def info(run: RunArgument, as_json: Json = False) -> None:
    """Show the data, settings, state and panel of a run."""
    from gpovae_core.runs.clusters.told import in_words
    from gpovae_core.runs.folder import RunFolder

    folder = RunFolder.open(run)
    panel = folder.panel().data if folder.has("panel.json") else None
    answer = {
        "run": str(folder.path),
        "source": folder.source().model_dump(),
        "status": folder.status().model_dump(),
        "at_a_cluster": in_words(folder.status()) or None,
        "panel": {
            "perturbed": len(panel.perturbed),
            "extended": len(panel.extended),
            "measured": len(panel.measured),
        }
        if panel
        else None,
        "settings": folder.settings().model_dump(mode="json"),
    }
    show(answer, as_json, json.dumps(answer, indent=2))


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A run exported as .zip, a .ckpt of the authors' release, or a matrix (.csv, .tsv, .npz).",
        ),
    ],
    run: Annotated[Path, typer.Option(help="Folder of the new run.")],
    genes: Annotated[
        Path | None,
        typer.Option(help="Gene names in the order of the matrix: one a line, or the release's grn.csv."),
    ] = None,
    perturbed: Annotated[
        Path | None, typer.Option(help="For a matrix: which of its genes were perturbed, one a line.")
    ] = None,
    values: Annotated[str, typer.Option(help="For a matrix: probabilities, logits, or auto.")] = "auto",
    transpose: Annotated[
        bool, typer.Option("--transpose", help="For a matrix: its rows are targets, not sources.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a run from a network trained elsewhere.

    Nothing in the file is executed.
    """
    from gpovae_core.runs.importing import import_file

    if values not in ("auto", "probabilities", "logits"):
        raise SettingsError(f"--values takes probabilities, logits or auto; got '{values}'.")
    folder = import_file(file, run, genes, perturbed, values, transpose)
    panel, status = folder.panel(), folder.status()
    answer = {
        "run": str(folder.path),
        "state": status.state,
        "genes": len(panel),
        "perturbed": len(panel.data.perturbed),
    }
    text = (
        f"Run {folder.path}: {status.state}, {len(panel)} genes, {len(panel.data.perturbed)} of them "
        f"perturbed. {status.message}"
    ).rstrip()
    show(answer, as_json, text)


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="File to write, .zip; `gpovae import` reads it again.")],
    resumable: Annotated[bool, typer.Option("--resumable", help="With what is needed to train on.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run as one file, to keep or to move.

    `gpovae import` opens it on another machine.
    """
    from gpovae_core.runs.archive import export_run
    from gpovae_core.runs.folder import RunFolder

    export_run(RunFolder.open(run), out, resumable)
    answer = {"run": str(run), "out": str(out), "bytes": out.stat().st_size}
    show(answer, as_json, f"Wrote {run} to {out} ({answer['bytes'] / 1e6:,.1f} MB).")
