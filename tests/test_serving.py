"""`gpovae app`: what it hands to the server, and its errors in words. That the dashboard is served from
outside the checkout is seen by every browser test (tests/e2e/conftest.py).
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from gpovae_core.cli import main, serving
from gpovae_core.runs.shipped import APP, DEMOS, app_script
from tests.conftest import PROJECT


@pytest.fixture
def app(monkeypatch, capsys):
    """Call `gpovae app` up to where the server would take over: its exit code, what it said, the server's
    command line.
    """
    for name in ("GPOVAE_RUNS_DIR", "GPOVAE_DATA_DIR"):
        monkeypatch.setenv(name, "")  # put back after the test, whatever the command sets

    def call(*arguments: object) -> tuple[int, str, list[str]]:
        started: list[list[str]] = []

        def take_over(_: str, command: list[str]) -> None:
            started.append(command)
            raise SystemExit(0)

        monkeypatch.setattr(os, "execv", take_over)
        monkeypatch.setattr(sys, "argv", ["gpovae", "app", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), capsys.readouterr().err, started[0] if started else []

    return call


def test_by_itself_it_listens_on_this_machine_alone(app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, command = app()
    assert code == 0
    assert str(app_script()) in command
    assert "--server.address=localhost" in command
    assert not [option for option in command if option.startswith("--server.port")]
    assert f"{tmp_path}/runs" in said
    assert "Warning" not in said
    assert list(tmp_path.iterdir()) == []


def test_folders_reach_the_pages_by_their_whole_path(app, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    code, said, _ = app("--runs", "mine", "--data", "cells")
    assert code == 0
    assert os.environ["GPOVAE_RUNS_DIR"] == str(tmp_path / "mine")
    assert os.environ["GPOVAE_DATA_DIR"] == str(tmp_path / "cells")
    assert str(tmp_path / "mine") in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_says_what_another_host_means(app, host: str):
    if host == "::" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    code, said, command = app("--host", host)
    if code:
        assert "no address of this machine" in said  # IPv6 may be there and switched off
        return
    assert "no password" in said
    assert "ssh -L" in said
    assert f"--server.address={host}" in command


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_this_machine_needs_no_warning(app, host: str):
    code, said, command = app("--host", host, "--port", free_port())
    assert code == 0
    assert "Warning" not in said
    assert f"--browser.serverAddress={host}" in command


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def test_a_port_that_is_taken_is_told(app):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        code, said, command = app("--host", "127.0.0.1", "--port", taken.getsockname()[1])
    assert code == 2
    assert "another program listens" in said
    assert not command


@pytest.mark.parametrize("port", ["0", "-1", "65536", "many"])
def test_what_is_no_port_is_refused(app, port: str):
    code, said, command = app("--port", port)
    assert code == 2
    assert "--port" in said
    assert not command


@pytest.mark.parametrize("host", ["nowhere.invalid", "http://localhost", "192.0.2.7", "a b", "x" * 300])
def test_what_is_no_address_of_this_machine_is_refused(app, host: str):
    code, said, command = app("--host", host)
    assert code == 2
    assert "--host: '" in said
    assert not command


@pytest.mark.parametrize("option", ["--runs", "--data"])
def test_what_is_no_folder_is_refused(app, option: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    for given, words in (
        (DEMOS["demo"], "is a run itself"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "no" / "where", "there is no folder"),
        (tmp_path / "file" / "inside", "there is no folder"),
    ):
        code, said, command = app(option, given)
        assert code == 2, given
        assert words in said
        assert option in said
        assert not command


def test_a_folder_of_the_environment_is_checked_too(app, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPOVAE_RUNS_DIR", str(tmp_path / "file"))
    code, said, _ = app()
    assert code == 2
    assert "GPOVAE_RUNS_DIR" in said


def test_the_dashboard_is_that_of_the_checkout():
    assert app_script() == PROJECT / "app.py"
    assert (APP / ".streamlit" / "config.toml").is_file()
    assert all(path.is_dir() for path in DEMOS.values())
    assert serving.HERE == "localhost"
