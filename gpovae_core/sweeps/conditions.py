"""One run for each condition of a screen, over one panel, as one job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gpovae_core.config import Settings, changed_from_preset
from gpovae_core.data.describe import panel_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.read import read_cells
from gpovae_core.data.validate import examine
from gpovae_core.errors import DataError, SettingsError
from gpovae_core.sweeps.plan import SweepPlan, plan_from


def plan_of_conditions(source: Path, settings: Settings, progress: Progress | None = None) -> SweepPlan:
    """A plan with a run for every condition of the cells in `source`, or for each that `settings.data` names,
    with these settings; all runs have the measured genes in their panel that any would have by itself.

    Raises SettingsError where there are fewer than two conditions, DataError that names the condition whose
    cells cannot be used alone.
    """
    cells = read_cells(source)
    tell(progress, "looking for conditions", 0.0)
    found = examine(cells, settings.data)
    if found.reading is None and not settings.data.conditions:
        raise DataError([problem for problem in found.problems if problem.severity == "error"])
    names = list(settings.data.conditions or found.summary.get("conditions", {}))
    if len(names) < 2:
        raise SettingsError(
            "A run for each condition needs cells under at least two; "
            + (f"there is only '{names[0]}'." if names else "no column of obs is known to hold conditions.")
            + " Name the column with --condition."
        )
    panel: set[str] = set(settings.data.panel_genes)
    for place, name in enumerate(names):
        tell(progress, f"choosing the panel: {name}", (place + 1) / (len(names) + 1))
        alone = settings.data.model_copy(update={"conditions": (name,)})
        own = examine(cells, alone)
        if own.reading is None:
            errors = [problem for problem in own.problems if problem.severity == "error"]
            raise DataError(
                [replace(one, message=f"Condition '{name}' alone: {one.message}") for one in errors]
            )
        panel |= set(panel_of(own.reading, alone).data.measured)
    changes: dict[str, dict[str, object]] = {}
    for (section, field), (value, _) in changed_from_preset(settings).items():
        changes.setdefault(section, {})[field] = value
    changes.setdefault("data", {}).update({"conditions": (), "panel_genes": sorted(panel)})
    values = {
        "title": "Each condition",
        "about": f"A run for each of {len(names)} conditions, over one panel of genes.",
        "preset": settings.preset,
        "changes": changes,
        "conditions": [{"name": name[:200], "changes": {"data": {"conditions": [name]}}} for name in names],
        "seeds": [settings.training.seed],
    }
    return plan_from(values, "each condition")
