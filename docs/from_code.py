"""The reference as it stands in the code: every command, every setting and every public name, as Markdown for
the pages of docs/reference that ask for it.

A line such as `%%commands%%` of a page (MADE has all) is replaced by what the function of that name says. As
an extension of Sphinx (`setup`) this happens when a page is read.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import typer.main
from pydantic import BaseModel

import gpovae_core
from gpovae_core.cli import app
from gpovae_core.config import DEFAULT_PRESET, PRESETS, make_settings, sections
from gpovae_core.data.simulate.settings import SimulationSettings
from gpovae_core.runs.clusters.sites import Site
from gpovae_core.sweeps.plan import SweepPlan

OTHER_PRESETS = tuple(name for name in PRESETS if name != DEFAULT_PRESET)


def commands() -> str:
    """Every command with its usage, its arguments and its options, as `gpovae COMMAND --help` says them."""
    group = typer.main.get_command(app)
    parts = []
    for name, command in getattr(group, "commands").items():  # noqa: B009 (typer names no public type for it)
        context = command.context_class(command, info_name=f"gpovae {name}")
        rows = [
            (f"`{said[0]}`", _cell(said[1]))
            for one in command.get_params(context)
            if (said := one.get_help_record(context)) is not None  # hidden options have none
        ]
        usage = command.get_usage(context).removeprefix("Usage: ")
        parts += [
            f"## gpovae {name}",
            _prose(command.help),
            f"```sh\n{usage}\n```",
            _table(("option", "what it does"), rows),
        ]
    return "\n\n".join(parts)


def settings() -> str:
    """Every setting of a run: what it may be, what it is by default, what the other presets have instead."""
    presets = {name: sections(make_settings(name)) for name in (DEFAULT_PRESET, *OTHER_PRESETS)}
    parts = []
    for section, own in presets[DEFAULT_PRESET].items():
        others = {
            field: _differences(
                value, {name: getattr(presets[name][section], field) for name in OTHER_PRESETS}
            )
            for field, value in own
        }
        table = _fields(type(own), dict(own), f"{section}.", others)
        parts += [f"## {section}", _prose(type(own).__doc__), table]
    return "\n\n".join(parts)


def simulator() -> str:
    """Every setting of `gpovae simulate`."""
    return _fields(SimulationSettings, dict(SimulationSettings()))


def clusters() -> str:
    """Every key of a table of clusters.toml."""
    return _fields(Site, dict(Site()))


def sweep() -> str:
    """Every key of the file of a sweep."""
    fields = SweepPlan.model_fields
    return _fields(
        SweepPlan, {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    )


def python() -> str:
    """Every public name of the package, functions first, for autodoc to show with signature and docstring."""
    named = {name: getattr(gpovae_core, name) for name in gpovae_core.__all__}
    kinds = {name: _kind(thing) for name, thing in named.items()}
    directives = []
    for name in sorted(named, key=lambda name: (KINDS.index(kinds[name]), name)):
        members = "   :members:\n" if kinds[name] == "class" else ""
        directive = kinds[name].replace("exception", "class")
        directives.append(f"```{{eval-rst}}\n.. auto{directive}:: gpovae_core.{name}\n{members}```")
    return "\n\n".join(directives)


KINDS = ("function", "class", "exception", "data")


def _kind(thing: object) -> str:
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, Exception) else "class"
    return "function" if callable(thing) else "data"


MADE: dict[str, Callable[[], str]] = {
    one.__name__: one for one in (commands, settings, simulator, clusters, sweep, python)
}


def filled(text: str) -> str:
    """A page with what it asks for put in."""
    return re.sub(rf"(?m)^%%({'|'.join(MADE)})%%$", lambda match: MADE[match[1]](), text)


def setup(sphinx: Any) -> dict[str, bool]:
    def fill(_sphinx: Any, _name: str, source: list[str]) -> None:
        source[0] = filled(source[0])

    sphinx.connect("source-read", fill)
    return {"parallel_read_safe": True}


def _fields(
    model: type[BaseModel], values: dict[str, Any], prefix: str = "", others: dict[str, str] | None = None
) -> str:
    """A table of the fields of a model. others: field -> what to say behind its default."""
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        may_be = _allowed(schema["properties"][name], schema.get("$defs", {}))
        default = "needed" if field.is_required() else f"default `{_shown(values[name])}`"
        besides = (others or {}).get(name, "")
        said = f"{_cell(field.description or '')}<br>{may_be}; {default}{besides}"
        rows.append((f"`{prefix}{name}`", said))
    return _table(("setting", "what it does, what it may be"), rows)


def _allowed(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """In words what a field accepts, from its JSON schema."""
    if "$ref" in schema:
        return _allowed(definitions[schema["$ref"].split("/")[-1]], definitions)
    if "anyOf" in schema:
        options = [_allowed(one, definitions) for one in schema["anyOf"] if one.get("type") != "null"]
        nothing = len(options) < len(schema["anyOf"])
        return ", ".join(dict.fromkeys(options)) + (", or not given" if nothing else "")
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        inner = schema.get("items", {})
        return "several: " + _allowed(inner, definitions) if inner else "several"
    if kind == "object":
        return "a table"
    words = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true, false"}[
        kind
    ]
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ", ".join([words, *(f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema)])


def _differences(value: object, others: dict[str, Any]) -> str:
    """Presets that have another value than the default one, by that value, to stand behind it."""
    by_value: dict[str, list[str]] = {}
    for name, other in others.items():
        if other != value:
            by_value.setdefault(_shown(other), []).append(name)
    return "".join(f"; `{shown}` in {', '.join(names)}" for shown, names in by_value.items())


def _shown(value: Any) -> str:
    return json.dumps(value, default=lambda other: other.model_dump())


def _prose(docstring: str | None) -> str:
    return " ".join(inspect.cleandoc(docstring or "").split())


def _cell(text: str) -> str:
    """Text as it stands, in a table: nothing in it is markup but code in backticks."""
    text = " ".join(text.split()).replace("|", "\\|")
    return re.sub(r"(`[^`]*`)|([\[\]*_<>])", lambda found: found[1] or f"\\{found[2]}", text)


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
