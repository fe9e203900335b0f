"""The `gpovae` command. Each command reads its options, calls one function, and shows the answer.

One file holds a group of commands; COMMANDS lists them all, in the order of `gpovae --help`. Heavy libraries
are imported where they are used: `gpovae --help` must not wait for torch.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from gpovae_core.cli import (
    cells,
    clusters,
    comparing,
    effects,
    knowledge,
    networks,
    questions,
    runs,
    scores,
    serving,
    sweeps,
    training,
)
from gpovae_core.cli.flags import in_flags
from gpovae_core.data.room import NotEnoughError, is_full
from gpovae_core.errors import GpoVaeError

COMMANDS = (
    serving.app_,
    cells.simulate,
    cells.validate,
    training.train,
    training.estimate,
    cells.fetch,
    scores.evaluate,
    scores.null,
    networks.ensemble,
    scores.unseen,
    scores.report,
    sweeps.sweep,
    clusters.sites,
    clusters.stop,
    questions.predict,
    comparing.transfer,
    comparing.compare,
    questions.pairs,
    networks.network,
    effects.network_from_effects,
    networks.figure,
    networks.paths,
    knowledge.enrich,
    knowledge.activity,
    knowledge.prior,
    runs.info,
    runs.import_,
    runs.export,
)

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
for _command in COMMANDS:
    app.command(_command.__name__.rstrip("_").replace("_", "-"))(_command)


def _version(asked: bool) -> None:
    if asked:
        from gpovae_core import __version__

        print(f"gpovae {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Train a GPO-VAE on Perturb-seq cells and question the gene regulatory network it learned."""


def main() -> NoReturn:
    """Entry point: what a user can mend is one clear message and exit code 2; a traceback is a bug."""
    # Threads of torch that wait busily slow training tenfold as soon as anything else wants the cores. Read
    # when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except NotEnoughError as error:
        print(f"Error: {in_flags(str(error))} To begin it all the same: --anyway.", file=sys.stderr)
    except GpoVaeError as error:
        print(f"Error: {in_flags(str(error))}", file=sys.stderr)
    except OSError as error:
        place = f": '{error.filename}'" if error.filename else ""
        words = "The disk is full; make room there, then try again" if is_full(error) else error.strerror
        print(f"Error: {words or error}{place}", file=sys.stderr)
    raise SystemExit(2)
