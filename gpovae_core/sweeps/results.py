"""What came out of a sweep: one row per run, one per point with mean and spread over its seeds, and the
Pareto front.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.measures import MEASURES
from gpovae_core.sweeps.plan import point_words
from gpovae_core.sweeps.work import MEASURED, POINT, PROBLEM, SEED, SPARE, WORKER, is_finished

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

NUMBER, STATE, WORDS, RUN, SEED_COLUMN, REASON = "number", "state", "point", "run", "seed", "reason"
SPREAD = "_sd"


@dataclass(frozen=True)
class Results:
    """runs: one row per measured run: number, point (in words), the parameters, seed, run (its name), and
    every measure. points: one row per point: number, state ("waiting", "at work", "interrupted", "done",
    "failed"), point, the parameters, runs, reason, on_front, and of every measure mean and standard deviation
    over the seeds (`<measure>_sd`, NaN with one). total: points there will be.
    """

    runs: pd.DataFrame
    points: pd.DataFrame
    total: int

    def count(self, *states: str) -> int:
        return int(self.points[STATE].isin(states).sum()) if len(self.points) else 0


def results(folder: SweepFolder) -> Results:
    """Everything the study knows so far. A sweep on which nobody has worked yet has no rows."""
    plan = folder.plan
    trials = folder.study().get_trials(deepcopy=False) if folder.has_study() else []
    alive = {worker.name for worker in folder.alive()}
    here = {worker.name for worker in folder.workers()}
    rows, points = [], []
    for trial in trials:
        if SPARE in trial.user_attrs:
            continue
        point = {**trial.user_attrs.get(POINT, {}), **trial.params}
        head = {
            NUMBER: trial.number,
            WORDS: point_words(point),
            **{name: point.get(name) for name in plan.parameters},
        }
        measured = [
            trial.user_attrs[SEED.format(seed)] | {SEED_COLUMN: seed}
            for seed in plan.seeds
            if SEED.format(seed) in trial.user_attrs
        ]
        rows += [{**head, SEED_COLUMN: m[SEED_COLUMN], RUN: m["run"], **m["values"]} for m in measured]
        state = _state(trial, alive, here)
        points.append(
            {
                **head,
                STATE: state,
                "runs": len(measured),
                REASON: trial.user_attrs.get(PROBLEM, ""),
                **_mean_and_spread(measured),
            }
        )
    table = pd.DataFrame(points)
    if len(table):
        table["on_front"] = front(table, plan.objectives) & (table[STATE] == "done").to_numpy()
    return Results(pd.DataFrame(rows), table, plan.size)


def _state(trial: FrozenTrial, alive: set[str], here: set[str]) -> str:
    if MEASURED in trial.user_attrs:
        return "done"
    if is_finished(trial):
        return "failed"
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        return "waiting"
    return "interrupted" if worker in here and worker not in alive else "at work"


def _mean_and_spread(measured: list[dict[str, Any]]) -> dict[str, float]:
    """Over the seeds for which a measure is defined."""
    found: dict[str, float] = {}
    for name in MEASURES:
        values = [m["values"].get(name) for m in measured]
        values = [float(value) for value in values if value is not None]
        found[name] = float(np.mean(values)) if values else math.nan
        found[name + SPREAD] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return found


def front(points: pd.DataFrame, objectives: dict[str, Any]) -> np.ndarray:
    """(points,) bool: those with all objectives defined that no other point beats in one without losing in
    another.
    """
    signs = np.array([1.0 if way == "maximize" else -1.0 for way in objectives.values()])
    values = points[list(objectives)].to_numpy(dtype=np.float64) * signs
    known: np.ndarray = np.all(np.isfinite(values), axis=1)
    at_least = np.all(values[:, None] >= values[None], axis=2)
    more = np.any(values[:, None] > values[None], axis=2)
    beaten = np.any(np.logical_and(np.logical_and(at_least, more), known[:, None]), axis=0)
    return np.logical_and(known, np.logical_not(beaten))


def summary(folder: SweepFolder) -> dict[str, Any]:
    """Plain values for scripts: {"sweep", "title", "points", "finished", "total", "front"}; undefined numbers
    are None.
    """
    found = results(folder)
    points = [{name: _plain(value) for name, value in row.items()} for row in found.points.to_dict("records")]
    return {
        "sweep": str(folder.path),
        "title": folder.plan.title,
        "objectives": folder.plan.objectives,
        "seeds": list(folder.plan.seeds),
        "total": found.total,
        "finished": found.count("done", "failed"),
        "failed": found.count("failed"),
        "points": points,
        "front": [row[NUMBER] for row in points if row["on_front"]],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary_words(found: dict[str, Any]) -> str:
    """The same for reading: every objective as mean and spread over seeds, beside its baseline and
    ceiling.
    """
    lines = [
        f"{found['title']}: {found['finished']} of {found['total']} points finished, {found['failed']} "
        f"failed. {found['sweep']}"
    ]
    for row in found["points"]:
        scores = []
        for name in found["objectives"]:
            measure = MEASURES[name]
            beside = [
                f"{word} {_number(row[other])}"
                for word, other in (("baseline", measure.baseline), ("ceiling", measure.ceiling))
                if other is not None
            ]
            scores.append(
                f"{measure.title} {_number(row[name], row[name + SPREAD])}"
                + (f" ({', '.join(beside)})" if beside else "")
            )
        edges = f"{_number(row['edges'])} + {_number(row['edges_other'])} edges"
        star = " *" if row["on_front"] else ""
        problem = f" {row[REASON]}" if row[REASON] else ""
        lines.append(
            f"  {row[NUMBER]:3} {row[WORDS]}: {row[STATE]}{star}; " + "; ".join([*scores, edges]) + problem
        )
    if found["front"]:
        lines.append(
            "* on the Pareto front. Spread: standard deviation over seeds. Edges: from perturbed genes + "
            "from the others."
        )
    return "\n".join(lines)


def _number(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3g}" + ("" if spread is None else f" +- {spread:.2g}")
