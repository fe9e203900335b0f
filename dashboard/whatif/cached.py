"""What only the page What if reads or computes of a run, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.shared import contents
from dashboard.shared.cached import of_run
from gpovae_core.evaluation.scores import UnseenProtocol
from gpovae_core.evaluation.stored import read_unseen
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.interactions import Interaction


@of_run("cells.h5ad", kind="data", entries=32, spinner="Comparing the combination with its parts …")
def interaction(run: RunFolder, combination: str, splits: tuple[str, ...]) -> Interaction:
    """A measured combination beside its parts. Raises QueryError where one of them was not measured in these
    splits.
    """
    from gpovae_core.questions.interactions import measured_interaction

    return measured_interaction(contents.cells(run), combination, splits)


@of_run("unseen.json", kind="data", entries=32)
def unseen(run: RunFolder) -> UnseenProtocol | None:
    """How well the network alone predicted held-out perturbations of this run; None where that was not
    measured.
    """
    return read_unseen(run)
