"""What a sweep is to try: a small declarative file (TOML or JSON) with a preset, named conditions, axes,
seeds and objectives.

    title = "Hops and sparsity"
    preset = "released"
    seeds = [0, 1, 2]
    objectives = { ate_rho = "maximize", mu_wd_top = "maximize" }

    [changes.training]
    epochs = 200

    [axes]
    "loss.hops" = [2, 5]
    "loss.sparsity" = { low = 0.1, high = 10.0, log = true }   # a range: only with sampler = "tpe"

A *point* is one condition with one value on every axis; it is tried once per seed, each time as a run of its
own.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gpovae_core import keys
from gpovae_core.config import PRESETS, Settings, checked, idle_settings, make_settings
from gpovae_core.errors import SettingsError
from gpovae_core.sweeps.measures import MEASURES

SHIPPED = Path(__file__).resolve().parent / "shipped"
CONDITION = "condition"
"""Name of the parameter that says which condition a point has."""
MOST_POINTS = 10_000

Changes = dict[str, dict[str, Any]]
Value = bool | int | float | str
Point = dict[str, Value]
"""Condition (where there are any) and axes by name -> value."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Part):
    """A named set of changed settings."""

    name: str = Field(min_length=1, max_length=200)
    changes: Changes = Field(default_factory=dict)


class Range(_Part):
    """An axis from low to high; whole numbers where both ends are. log: even on a logarithmic scale."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise ValueError("a range goes from low up to high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range starts above 0")
        return self


class HoldOut(_Part):
    """Draws of perturbations that are held out with all their cells: one condition per draw."""

    perturbations: int = Field(default=3, ge=1)
    draws: int = Field(default=5, ge=1, le=1000)
    seed: int = Field(default=0, ge=0)


class SweepPlan(_Part):
    """All that a sweep is to try. Raises ValueError (pydantic's) for axes, objectives and points that cannot
    be.
    """

    title: str = Field(min_length=1, max_length=120, description="What the sweep is called.")
    about: str = Field(default="", description="What it asks, in a sentence.")
    preset: str | None = Field(default=None, description="Preset of every run; the default one if none.")
    changes: Changes = Field(
        default_factory=dict, description="Settings of every run: section, field, value."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), description="Named sets of changed settings, each a point: `name` and `changes`."
    )
    hold_out: HoldOut | None = Field(
        default=None,
        description=(
            "Draws of perturbations held out with all their cells, each a condition: `perturbations` in a "
            "draw, `draws`, `seed`."
        ),
    )
    axes: dict[str, tuple[Value, ...] | Range] = Field(
        default_factory=dict,
        description=(
            "Setting (SECTION.FIELD) and its values, or with tpe a range: `low`, `high`, `log` for even "
            "steps of its logarithm."
        ),
    )
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1, description="Every point once per seed.")
    objectives: dict[str, Literal["maximize", "minimize"]] = Field(
        default_factory=lambda: {"ate_rho": "maximize"},
        min_length=1,
        description="Measures by which points are compared, and which way is better.",
    )
    sampler: Literal["grid", "tpe"] = Field(
        default="grid", description="All combinations of the axes, or those that Optuna's TPE proposes."
    )
    trials: int = Field(default=30, ge=1, le=MOST_POINTS, description="With tpe: how many points are tried.")
    top: int = Field(
        default=100, ge=1, description="Networks are compared by so many of their strongest edges."
    )

    @model_validator(mode="after")
    def _check(self) -> SweepPlan:
        unknown = sorted(set(self.objectives) - set(MEASURES))
        if unknown:
            raise ValueError(f"objectives: unknown {', '.join(unknown)}; known are {', '.join(MEASURES)}")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: each once, and none below 0")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset: unknown '{self.preset}'; known are {', '.join(PRESETS)}")
        names = [condition.name for condition in self.conditions]
        if len(set(names)) < len(names):
            raise ValueError("conditions: each needs a name of its own")
        for name, axis in self.axes.items():
            self._check_axis(name, axis)
        if not (self.axes or self.conditions or self.hold_out):
            raise ValueError("nothing to try: give conditions, axes or hold_out")
        if self.sampler == "grid" and self.size > MOST_POINTS:
            raise ValueError(f"the grid has {self.size:,} points; at most {MOST_POINTS:,}")
        return self

    def _check_axis(self, name: str, axis: tuple[Value, ...] | Range) -> None:
        section, _, field = name.partition(".")
        models = {part: info.annotation for part, info in Settings.model_fields.items()}
        fields = getattr(models.get(section), "model_fields", {})
        if field not in fields:
            raise ValueError(f"axes: there is no setting '{name}'")
        if field == "seed":
            raise ValueError("axes: seeds are given as seeds, not as an axis")
        if isinstance(axis, Range) and self.sampler == "grid":
            raise ValueError(
                f"axes: '{name}' is a range, which only sampler = \"tpe\" can try; list its values"
            )
        if isinstance(axis, tuple) and (not axis or len(set(axis)) < len(axis)):
            raise ValueError(f"axes: '{name}' needs values, each once")

    @property
    def size(self) -> int:
        """Points in all."""
        if self.sampler == "tpe":
            return self.trials
        lengths = [len(axis) for axis in self.axes.values() if isinstance(axis, tuple)]
        return int(np.prod(lengths, dtype=np.int64)) * max(
            1, len(self.conditions), self.hold_out.draws if self.hold_out else 0
        )

    @property
    def parameters(self) -> dict[str, tuple[Value, ...] | Range]:
        """What differs between points: the condition where there are any, then the axes."""
        named: dict[str, tuple[Value, ...] | Range] = (
            {CONDITION: tuple(c.name for c in self.conditions)} if self.conditions else {}
        )
        return {**named, **self.axes}

    def points(self) -> list[Point]:
        """Every point of the grid, in the order of the file. Ranges have no grid."""
        choices = {name: axis for name, axis in self.parameters.items() if isinstance(axis, tuple)}
        return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]

    def settings(self, point: Point, seed: int) -> Settings:
        """Settings of a point and a seed (of split, weights, batches and draws). Raises SettingsError."""
        merged: Changes = {}
        own = next((c.changes for c in self.conditions if c.name == point.get(CONDITION)), {})
        axes: Changes = {}
        for name, value in point.items():
            if name != CONDITION:
                section, _, field = name.partition(".")
                axes.setdefault(section, {})[field] = value
        for layer in (self.changes, own, axes, {"data": {"seed": seed}, "training": {"seed": seed}}):
            for section, fields in layer.items():
                merged[section] = {**merged.get(section, {}), **fields}
        return make_settings(self.preset, merged)

    def check_points(self) -> SweepPlan:
        """The plan itself where every point gives settings that can be used; SettingsError that names the
        first that does not, or an axis along which nothing changes."""
        tried = self.points() if self.sampler == "grid" else self._corners()
        idle: list[dict[str, str]] = []
        for point in tried:
            try:
                idle.append(idle_settings(self.settings(point, self.seeds[0])))
            except SettingsError as error:
                raise SettingsError(f"Sweep '{self.title}', {point_words(point)}: {error}") from error
        for name in self.axes:
            if all(name in reasons for reasons in idle):
                raise SettingsError(
                    f"Sweep '{self.title}': the axis '{name}' has no effect at any point: {idle[0][name]}."
                )
        return self

    def _corners(self) -> list[Point]:
        """The ends of every axis, the others at their first value."""
        ends = {n: (a.low, a.high) if isinstance(a, Range) else a for n, a in self.parameters.items()}
        first: Point = {name: values[0] for name, values in ends.items()}
        return [first, *({**first, name: value} for name, values in ends.items() for value in values)]

    def with_perturbations(self, names: list[str]) -> SweepPlan:
        """The plan with a condition per draw of held-out perturbations in the place of `hold_out`. names:
        those of the data.

        Raises SettingsError where there are too few, or conditions beside hold_out.
        """
        if self.hold_out is None:
            return self
        if self.conditions:
            raise SettingsError(f"Sweep '{self.title}' has both conditions and hold_out; give one of them.")
        single = sorted(name for name in names if keys.PAIR_SEPARATOR not in name)
        size = self.hold_out.perturbations
        if len(single) - size < 2:
            raise SettingsError(
                f"Of {len(single)} perturbations {size} cannot be held out: at least 2 have to stay to "
                "train on."
            )
        rng = np.random.default_rng(self.hold_out.seed)
        draws = [
            sorted(rng.choice(single, size=size, replace=False).tolist()) for _ in range(self.hold_out.draws)
        ]
        conditions = tuple(
            Condition(name=f"draw {k}: {', '.join(draw)}"[:200], changes={"data": {"unseen": draw}})
            for k, draw in enumerate(draws, start=1)
        )
        return self.model_copy(update={"conditions": conditions, "hold_out": None})


def point_words(point: Point) -> str:
    """A point in words: 'condition full, loss.hops 5'."""
    return (
        ", ".join(str(value) if name == CONDITION else f"{name} {value}" for name, value in point.items())
        or "the only point"
    )


def shipped_plans() -> dict[str, SweepPlan]:
    """Name -> plan of the sweeps that come with the program."""
    return {path.stem: read_plan(path) for path in sorted(SHIPPED.glob("*.toml"))}


def find_plan(wanted: str) -> SweepPlan:
    """A shipped plan by its name, or one read from a file. Raises SettingsError where there is neither."""
    path = Path(wanted)
    if path.is_file():
        return read_plan(path)
    known = sorted(path.stem for path in SHIPPED.glob("*.toml"))
    if wanted in known:
        return read_plan(SHIPPED / f"{wanted}.toml")
    raise SettingsError(
        f"There is no sweep '{wanted}': give a file (.toml or .json), or one of {', '.join(known)}."
    )


def read_plan(path: Path) -> SweepPlan:
    """A plan from a file. Raises SettingsError that says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"The sweep file '{path}' cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # of JSON, TOML and of what is no text
        raise SettingsError(
            f"The sweep file '{path.name}' is no valid {path.suffix.lstrip('.').upper() or 'TOML'}: {error}."
        ) from error
    return plan_from(values, path.name)


def plan_from(values: object, name: str = "sweep") -> SweepPlan:
    """A plan from plain values. Raises SettingsError that lists every bad field."""
    return checked(SweepPlan, values, f"Sweep file '{name}' cannot be used").check_points()
