"""A table of effects in the place of cells: how it is read, what to tell of it, and the network that it
gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.shared import data_files, listing, shell, state
from dashboard.shared.controls import on_page
from dashboard.shared.glossary import show_table
from dashboard.shared.run_summary import command
from dashboard.shared.words import plain
from gpovae_core.config import NetworkSettings
from gpovae_core.data.effect_tables.known import EffectColumns
from gpovae_core.data.effect_tables.read import read_effects
from gpovae_core.data.effect_tables.report import MeasuredEffects
from gpovae_core.data.room import full_disk_said
from gpovae_core.errors import DataError, GpoVaeError, RunError
from gpovae_core.reporting.sentences import effects_file_in_words
from gpovae_core.runs import processes
from gpovae_core.runs.archive import check_run_name, free_name
from gpovae_core.runs.folder import tail
from gpovae_core.runs.from_effects import PANEL_EXTRA, Null

DIRECTIONS = tuple(get_args(NetworkSettings.model_fields["perturbation"].annotation))
UNITS = {None: "as its name says", "log2": "log2", "ln": "natural logarithm"}
NULLS = {
    "auto": "control rows of the table, where it has any",
    "normal": "noise of exactly the stated errors",
    "none": "nothing: it stays unknown",
}
MOST_ROWS = 2000
NAME, STARTED, PROBLEM = "effects_run_name", "effects_started", "effects_problem"
UNREAD = "effects_unread"


def show(path: Path) -> None:
    """What is in the table, as it is read, and a network from it."""
    st.subheader(plain(path.name))
    st.markdown("A table of **effects**: no cells are in it, and none are needed for a network.")
    with st.expander("How this file is read", expanded=st.session_state.get(UNREAD) == path.name):
        columns = told()
    with shell.errors_in_words(), opened_where_refused(path.name):
        stamped = data_files.stamp(path) if path.is_file() else (str(path), path.stat().st_mtime_ns, 0)
        with st.spinner("Reading the effects …", show_time=True):
            found = _effects(stamped, columns)
        st.success("This file can be used.")
        for line in effects_file_in_words(found.report):
            st.caption(plain(on_page(line)))
        own_changes(found)
        network(path, columns)


@contextmanager
def opened_where_refused(name: str) -> Iterator[None]:
    """Show what can be told of the columns where the table cannot be read without."""
    try:
        yield
    except DataError:
        if st.session_state.get(UNREAD) != name:
            st.session_state[UNREAD] = name
            st.rerun()
        raise


def told() -> EffectColumns:
    """What the person says of the columns; empty fields are found by their names."""
    places = st.columns(5)
    fields = {
        "perturbation": "Column of the perturbed gene",
        "gene": "Column of the measured gene",
        "effect": "Effects: column or layer",
        "error": "Standard errors: column or layer",
    }
    given: dict[str, Any] = {
        name: place.text_input(title, placeholder="found by name", key=f"effects_{name}").strip() or None
        for place, (name, title) in zip(places, fields.items(), strict=False)
    }
    unit: Any = places[-1].selectbox("Unit", list(UNITS), format_func=UNITS.__getitem__, key="effects_unit")
    return EffectColumns(**given, unit=unit)


@st.cache_resource(max_entries=2, ttl=3600, show_spinner=False)
def _effects(stamped: data_files.Stamp, columns: EffectColumns) -> MeasuredEffects:
    return read_effects(Path(stamped[0]), columns)


def own_changes(found: MeasuredEffects) -> None:
    """Every perturbation with the change of its own gene."""
    place = {gene: j for j, gene in enumerate(found.genes)}
    rows = []
    for i, gene in enumerate(found.perturbations):
        j = place.get(gene)
        known = j is not None and np.isfinite(found.error[i, j])
        rows.append(
            {
                "Perturbation": gene,
                "Own change": found.effect[i, j] / np.log(2) if known else None,
                "Standard error": found.error[i, j] / np.log(2) if known else None,
                "Measured genes": int(np.isfinite(found.error[i]).sum()),
            }
        )
    table = pd.DataFrame(rows).sort_values("Own change", ascending=False, na_position="last")
    log2 = st.column_config.NumberColumn(format="%.2f", help="log2 fold change of the gene itself")
    show_table(table.head(MOST_ROWS), column_config={"Own change": log2, "Standard error": log2})


def network(path: Path, columns: EffectColumns) -> None:
    """Settings, a name and a button; the work goes on in the background."""
    st.markdown("##### A network from these effects")
    left, middle, right = st.columns(3)
    extra = left.number_input(
        "Genes beside the perturbed ones",
        0,
        5000,
        PANEL_EXTRA,
        100,
        key="effects_extra",
        help="Those that change most clearly: the largest effect over its standard error.",
    )
    direction: Any = middle.selectbox(
        "What was done to the genes",
        DIRECTIONS,
        key="effects_direction",
        help="auto: read off their own change.",
    )
    null: Any = right.selectbox(
        "Without any effect one would see",
        list(NULLS),
        format_func=NULLS.__getitem__,
        key="effects_null",
        help="For the estimated share of false edges. The table itself cannot tell it.",
    )
    folder = listing.runs_folder()
    running = st.session_state.get(STARTED)
    if running is not None:
        watch(running)
        return
    done()
    if (problem := st.session_state.pop(PROBLEM, None)) is not None:
        st.error(plain(on_page(problem)))
    if st.session_state.get("effects_named_for") != path.name:
        st.session_state["effects_named_for"] = path.name
        st.session_state[NAME] = free_name(folder, path.name.split(".")[0])
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.text_input("Name of the run", key=NAME, max_chars=80)
    options = _options(int(extra), direction, null, columns)
    right.button(
        "Fit the network",
        type="primary",
        key="effects_start",
        on_click=start,
        args=(path, options),
        width="stretch",
    )
    with st.expander("The same in a terminal"):
        run = folder / str(st.session_state[NAME])
        st.code(command("gpovae", "network-from-effects", path, "--run", run, *options), language="bash")


def _options(extra: int, direction: str, null: Null, columns: EffectColumns) -> list[str]:
    """Options of the command; those with their usual value are left out."""
    given = {
        "--panel-extra": None if extra == PANEL_EXTRA else str(extra),
        "--direction": None if direction == "auto" else direction,
        "--null": None if null == "auto" else null,
        "--unit": columns.unit,
        "--perturbation-column": columns.perturbation,
        "--gene-column": columns.gene,
        "--effect-column": columns.effect,
        "--error-column": columns.error,
    }
    return [part for option, value in given.items() if value is not None for part in (option, value)]


def start(path: Path, options: list[str]) -> None:
    folder = listing.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if name in listing.all_runs():
            raise RunError(f"There is already a run called '{name}'. Choose another name.")
        folder.mkdir(parents=True, exist_ok=True)
        run = (folder / name).resolve()
        words = ["network-from-effects", str(path.resolve()), "--run", str(run), *options]
        with full_disk_said(folder):
            processes.start_errand(words, _record(name), folder.resolve())
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)
        return
    st.session_state[STARTED] = name
    st.session_state["effects_named_for"] = None


def watch(name: str) -> None:
    """Until the run is there, or what kept it from being made."""

    @st.fragment(run_every=1.0)
    def bar() -> None:
        if processes.errand_runs(_record(name)):
            lines = [line for line in tail(_record(name).with_suffix(".txt"), 3) if "%" in line[:5]]
            doing = lines[-1].split("%", 1)[1].strip() if lines else "starting"
            st.info(f"**{plain(name)}**: {plain(doing)} … It goes on when you leave this page.")
            return
        st.session_state.pop(STARTED, None)
        if (listing.runs_folder() / name / "model.safetensors").is_file():
            shell.choose_run(name)
            st.session_state["effects_done"] = name
        else:
            printed = tail(_record(name).with_suffix(".txt"), 20)
            words = [line for line in printed if line.startswith("Error: ")]
            st.session_state[PROBLEM] = (
                words[-1].removeprefix("Error: ")
                if words
                else f"The work on '{name}' ended without a network: {' '.join(printed[-2:]) or 'no word'}"
            )
        st.rerun()

    bar()


def done() -> None:
    """Where the network is that was just made."""
    name = st.session_state.get("effects_done")
    if name is not None and name == state.get(state.RUN):
        st.success(f"The network of {plain(name)} is there.")
        if st.button("Open its network", type="primary", key="effects_network"):
            shell.go("pages/network.py")


def _record(name: str) -> Path:
    return listing.runs_folder() / ".from_effects" / f"{name}.json"
