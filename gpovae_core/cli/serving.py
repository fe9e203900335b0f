"""The command that serves the dashboard."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gpovae_core.errors import SettingsError

HERE = "localhost"
FIRST_PORT = 8501


def app_(
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help=f"Port to listen on (default: {FIRST_PORT}, or the next one that is free)."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another one than localhost opens it to the network.")
    ] = HERE,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with the runs (default: GPOVAE_RUNS_DIR, or runs)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with files of cells (default: GPOVAE_DATA_DIR, or data)."),
    ] = None,
) -> None:
    """Serve the dashboard, to be opened in a browser.

    It is served on this machine alone, unless --host says otherwise. The demo runs are in it from the start.
    Ctrl-C stops it; trainings that it started go on.
    """
    from gpovae_core.data.folder import data_folder
    from gpovae_core.runs.folder import runs_folder
    from gpovae_core.runs.shipped import app_script

    script = app_script()
    for option, folder, name in (("--runs", runs, "GPOVAE_RUNS_DIR"), ("--data", data, "GPOVAE_DATA_DIR")):
        if folder is not None:
            _check_folder(option, folder)
            os.environ[name] = str(folder.resolve())
        elif os.environ.get(name):
            _check_folder(name, Path(os.environ[name]))
    others = _listens_to_others(host, port)
    typer.echo(f"Runs: {runs_folder().resolve()}. Cells: {data_folder().resolve()}.", err=True)
    if others:
        typer.echo(_in_the_open(host), err=True)
    _serve(script, host, port)


def _check_folder(option: str, folder: Path) -> None:
    """Raises SettingsError for what cannot be a folder of runs or of cells. One that is not there yet can: it
    is made when something is put into it.
    """
    from gpovae_core.runs.folder import is_run

    above = folder.resolve().parent
    if is_run(folder) or (folder.exists() and not folder.is_dir()):
        what = "a run itself" if folder.is_dir() else "a file"
        raise SettingsError(f"{option}: '{folder}' is {what}. Give the folder that holds it: '{above}'.")
    if not folder.exists() and not above.is_dir():
        raise SettingsError(
            f"{option}: there is no folder '{folder}', nor '{above}' in which it could be made."
        )


def _listens_to_others(host: str, port: int | None) -> bool:
    """Whether other machines can reach an address that this one listens on. Raises SettingsError for an
    address that is not this machine's, and for a port that is taken or not allowed.
    """
    from ipaddress import ip_address

    try:
        found = socket.getaddrinfo(host or None, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise SettingsError(
            f"--host: '{host}' is not the name or address of a machine. Leave it out to listen on this "
            "machine alone, or give 0.0.0.0 for all networks of this machine."
        ) from None
    tried: list[OSError] = []
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(address)
        except OSError as error:
            tried.append(error)
    if len(tried) == len(found):
        raise SettingsError(_not_bound(host, port, tried[0]))
    return not all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _not_bound(host: str, port: int | None, error: OSError) -> str:
    import errno

    if error.errno == errno.EADDRINUSE:
        return f"--port: another program listens on port {port} already. Choose another one, or leave it out."
    if error.errno == errno.EACCES:
        return f"--port: this user may not listen on port {port}. Choose one above 1023, or leave it out."
    return (
        f"--host: '{host}' is no address of this machine ({error.strerror}). Leave it out, or give 0.0.0.0."
    )


def _in_the_open(host: str) -> str:
    """What it means to listen on an address that other machines can reach."""
    return (
        f"Warning: with --host {host} other machines can reach the dashboard. It asks for no password and "
        "encrypts nothing: whoever reaches it can see every run, read and upload files of cells, start and "
        "stop trainings, and delete runs. Do this only on a network where everybody may. To use it from one "
        f"other machine, leave out --host and type there: ssh -L {FIRST_PORT}:localhost:{FIRST_PORT} "
        "NAME-OF-THIS-MACHINE"
    )


def _serve(script: Path, host: str, port: int | None) -> NoReturn:
    """Become the server. What is not said here stands in .streamlit/config.toml beside the script."""
    options = [f"--server.address={host}"]
    options += [f"--server.port={port}"] * (port is not None)
    if host not in ("", "0.0.0.0", "::"):  # noqa: S104
        options.append(f"--browser.serverAddress={host}")
    # -P: what lies in the working directory is nothing to import
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(script), *options]
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # the same process, so that a signal reaches the server
    raise SystemExit(subprocess.call(command))  # noqa: S603
