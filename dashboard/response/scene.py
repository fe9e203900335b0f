"""What every part of the page Response looks at, and the gene that is chosen in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from dashboard.response import cached
from dashboard.shared import contents, state
from gpovae_core import keys
from gpovae_core.plots import response
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.runs.stored_effects import StoredEffects

MOST = 4
REFERENCES = {"test": "Held-out cells", "all": "All cells"}
TABLE_ROWS = 2000
NO_CELLS = "This run holds no cells, so nothing can be tested or drawn here."


@dataclass(frozen=True)
class Scene:
    """What every tab looks at: the run, its effects, the reference, the chosen perturbations and the chosen
    gene.
    """

    run: RunFolder
    effects: StoredEffects
    reference: response.Reference
    chosen: tuple[str, ...]
    gene: str | None

    @property
    def level(self) -> float:
        return self.run.settings().evaluation.significance

    @property
    def cells(self) -> str:
        return REFERENCES[self.reference].lower()

    def table(self, perturbation: str) -> pd.DataFrame:
        """Response table of a perturbation with its tests."""
        tests = cached.changes(self.run, perturbation, self.reference)
        return response.with_tests(cached.table(self.run, perturbation, self.reference), tests)

    @property
    def held_out(self) -> dict[str, str]:
        """Perturbations without compared training cells -> what their prediction rests on; "" in runs scored
        before that was asked.
        """
        trained = keys.cell_count(keys.OBSERVED_TRAIN)
        if trained not in self.effects.obs:
            return {}
        rows: Any = self.effects.obs[self.effects.obs[trained] == 0]
        return {
            str(name): str(rows.at[name, keys.RESTS_ON]) if keys.RESTS_ON in rows else ""
            for name in rows.index
        }

    @property
    def unseen(self) -> dict[str, str]:
        """Those of `held_out` whose cells did not train: others have cells, but no controls beside them."""
        alone = contents.without_controls(self.run)
        return {name: basis for name, basis in self.held_out.items() if name not in alone}

    def count(self, perturbation: str) -> int | None:
        column = keys.cell_count(response.LAYER[self.reference])
        return int(self.effects.obs.loc[perturbation, column]) if column in self.effects.obs else None  # type: ignore[arg-type]

    def file(self, *parts: str) -> str:
        """Name of a file, without ending, that names from the data cannot lead astray."""
        words = "_".join((self.run.name, *parts, self.reference))
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in words)[:120]


def chosen_gene(run: RunFolder, effects: StoredEffects) -> str | None:
    """The measured gene chosen on any page. One outside the panel is no focus for the Network page, so it is
    kept beside it.
    """
    aside, focus = state.get(state.MEASURED), state.get(state.FOCUS)
    if aside is not None and aside[1] == focus and aside[0] in effects.var_names:
        return aside[0]
    return focus if focus in effects.var_names else None


def choose_gene(run: RunFolder, gene: str | None) -> None:
    inside = gene is None or gene in run.panel().index
    focus = gene if inside else state.get(state.FOCUS)
    state.put(**{state.FOCUS: focus, state.MEASURED: None if inside else (gene, focus)})
