"""A form made from the settings model: a new field, a new preset, a new limit shows up here by itself.

What a person has chosen is the *draft*: a preset, published values, and the fields that differ from them. It
is kept in the session and shared by the pages Data and Train.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from dashboard.shared import state
from dashboard.shared.setting_widget import Setting, draw
from gpovae_core.config import (
    PRESETS,
    PUBLISHED,
    Settings,
    changed_from_preset,
    idle_settings,
    make_settings,
)
from gpovae_core.errors import SettingsError

Changes = dict[str, dict[str, Any]]

TITLES = {
    "data": "Cells and panel",
    "model": "Sizes of the model",
    "network": "How the network is fitted",
    "loss": "Terms of the loss",
    "training": "Optimiser and stopping rule",
    "inference": "Predictions",
    "evaluation": "Scoring",
}
LABELS = {
    "loss.hops": "Hops K",
    "loss.alignment": "GPO weight",
    "loss.sparsity": "Sparsity",
    "training.epochs": "Most epochs",
    "training.device": "Device",
    "data.artifact_mads": "Cut-off in MADs",
    "data.artifact_criteria": "Quality criteria in use",
    "data.min_cells": "Least cells per perturbation",
    "data.conditions": "Conditions to use",
    "data.condition_as_batch": "Conditions are batches of one experiment",
    "data.hold_out": "Held out for the scores",
    "data.size_factor": "Counts of the whole transcriptome",
    "data.pair_separator": "What joins genes in a label",
    "data.other_features": "Columns that no gene has",
    "data.non_perturbed": "Cells called not perturbed",
    "network.perturbation": "What was done to the genes",
}
IN_SIGHT = (
    "loss.hops",
    "network.least_effect",
    "loss.alignment",
    "loss.sparsity",
    "training.epochs",
    "training.device",
)
EXPLAINED = {
    "loss.hops": "How many steps an effect may travel through the network.",
    "network.least_effect": "Smaller changes make no edge: natural log fold change, 0.05 is 5 %.",
    "loss.alignment": "How strongly the network is pulled towards the observed effects.",
    "loss.sparsity": "How strongly edges are held down: the higher, the fewer.",
    "training.epochs": "Passes over the cells at most; the early stop usually comes sooner.",
    "training.device": "Where to train; auto takes a graphics card where there is one.",
}
"""In plainer words than the model's own description, for the settings everybody sees."""
SEEDS = ("data.seed", "training.seed")
"""One seed in the form stands for these, as `--seed` does in the terminal."""
PRESET_WORDS = {
    "released": "released: the formulas of the authors' code",
    "paper": "paper: the formulas of Baek et al. 2025",
    "evidence": "evidence: edges from calibrated effects",
    "cradle-vae": "cradle-vae: predictions without a network, artifacts apart (Baek et al. 2024)",
    "sams-vae": "sams-vae: predictions without a network (Bereket and Karaletsos 2023)",
}
DEFAULT_PRESET = make_settings().preset


def draft() -> dict[str, Any]:
    """{"preset", "published" (or None), "changes": section -> field -> value}."""
    return state.get(state.DRAFT) or {"preset": DEFAULT_PRESET, "published": None, "changes": {}}


def draft_settings() -> Settings:
    """The settings of the draft. Raises SettingsError that names every bad field."""
    now = draft()
    return make_settings(now["preset"], now["changes"], now["published"])


def base_settings() -> Settings:
    """The settings of the draft's preset and published values, without the changes."""
    now = draft()
    return make_settings(now["preset"], published=now["published"])


def start_from(settings: Settings) -> None:
    """Make a draft that gives exactly these settings."""
    changes: Changes = {}
    for (section, field), (value, _) in changed_from_preset(settings).items():
        changes.setdefault(section, {})[field] = value
    _put({"preset": settings.preset, "published": None, "changes": changes})


def sections(settings: Settings) -> Changes:
    """Section -> field -> value, of those settings that come in sections."""
    models = {name: getattr(settings, name) for name in type(settings).model_fields}
    return {
        name: {field: getattr(m, field) for field in type(m).model_fields}
        for name, m in models.items()
        if hasattr(m, "model_fields")
    }


def change(path: str, value: Any) -> None:
    """Set one field of the draft; the value of the preset takes the change away."""
    now = draft()
    section, _, name = path.partition(".")
    changes = {key: dict(fields) for key, fields in now["changes"].items()}
    changes.setdefault(section, {})[name] = value
    if sections(base_settings())[section][name] == value:
        del changes[section][name]
    _put({**now, "changes": {key: fields for key, fields in changes.items() if fields}})


def _put(new: dict[str, Any]) -> None:
    state.put(**{state.DRAFT: new})


def _drop_idle() -> None:
    """Take changes away that have no effect here: saved with a run they would mislead."""
    for path in set(changed()) & _idle().keys():
        section, _, name = path.partition(".")
        change(path, sections(base_settings())[section][name])


def value_of(path: str) -> Any:
    """What the draft has for a field."""
    section, _, name = path.partition(".")
    return draft()["changes"].get(section, {}).get(name, sections(base_settings())[section][name])


def works(path: str) -> bool:
    """Whether the field is there and anything reads it, as the draft stands."""
    section, _, name = path.partition(".")
    return name in sections(base_settings()).get(section, {}) and path not in _idle()


def _idle() -> dict[str, str]:
    try:
        return idle_settings(draft_settings())
    except SettingsError:  # the page says what is wrong
        return idle_settings(base_settings())


def changed() -> list[str]:
    """Paths of the fields that differ from preset and published values."""
    return [f"{section}.{name}" for section, fields in draft()["changes"].items() for name in fields]


def preset_choice() -> None:
    """Preset and, where there are any, the values published for a data set."""
    now = draft()
    left, right, reset = st.columns([3, 3, 2], vertical_alignment="bottom")
    keys = ("form_preset", "form_published")

    def store(_chosen: str | None) -> None:
        preset = st.session_state[keys[0]]
        published = st.session_state.get(keys[1]) if preset == "released" else None
        _put({**draft(), "preset": preset, "published": published})
        _drop_idle()

    left.selectbox(
        "Preset",
        list(PRESETS),
        key=keys[0],
        on_change=state.drawn(keys[0], now["preset"], store),
        format_func=lambda name: str(PRESET_WORDS.get(name, name)),
        help="Where all values start.",
    )
    right.selectbox(
        "Values published for",
        list(PUBLISHED),
        index=None,
        key=keys[1],
        on_change=state.drawn(keys[1], now["published"], store),
        disabled=now["preset"] != "released",
        placeholder="no particular data set",
        help="What the authors used for their own data sets, on top of the preset 'released'.",
    )
    count = len(changed())
    reset.button(
        f"Undo {count} change{'s' if count != 1 else ''}" if count else "No changes",
        disabled=not count,
        on_click=lambda: _put({**draft(), "changes": {}}),
        width="stretch",
    )


def in_sight() -> None:
    """The few settings that matter most, each with its sentence."""
    paths = [path for path in IN_SIGHT if works(path)]
    columns = st.columns(len(paths) + 1)
    for column, path in zip(columns, paths, strict=False):
        with column:
            field(path, explained=True)
    with columns[-1]:
        seed_field()


def seed_field() -> None:
    key = "form_seed"

    def store(seed: int) -> None:
        for path in SEEDS:
            change(path, int(seed))

    callback = state.drawn(key, value_of(SEEDS[1]), store)
    st.number_input("Seed", min_value=0, step=1, key=key, on_change=callback)
    st.caption("Of split, weights, batches and draws: same seed, same result.")


def folded(leave_out: tuple[str, ...] = ()) -> None:
    """Everything else that has an effect, one fold per section."""
    idle = _idle()
    for section, fields in sections(base_settings()).items():
        paths = [
            f"{section}.{name}"
            for name in fields
            if f"{section}.{name}" not in (*IN_SIGHT, *SEEDS, *leave_out, *idle)
        ]
        touched = len([path for path in paths if path in changed()])
        title = TITLES.get(section, section.capitalize()) + (f" · {touched} changed" if touched else "")
        with st.expander(title):
            columns = st.columns(3)
            for place, path in enumerate(paths):
                with columns[place % 3]:
                    field(path, explained=True)


def field(
    path: str, explained: bool = False, words: dict[str, str] | None = None, open_ended: bool = False
) -> None:
    """One setting as the widget that fits its type. words: values to choose from -> how they are shown, where
    only the data know them; open_ended: whether others may be typed.
    """
    section, _, name = path.partition(".")
    info: FieldInfo = type(getattr(base_settings(), section)).model_fields[name]
    value = value_of(path)
    label = LABELS.get(path, name.replace("_", " ").capitalize())
    mark = " •" if path in changed() else ""
    now = draft()
    key = f"form_{now['preset']}_{now['published']}_{path}"
    tip = None if explained else info.description
    draw(Setting(path, label + mark, info, value, key, partial(change, path), words, open_ended, tip))
    if explained and info.description:
        st.caption(EXPLAINED.get(path, info.description))
