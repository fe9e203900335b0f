"""The scores of a run in its folder: evaluation.json and unseen.json, read and written as trees."""

from __future__ import annotations

from gpovae_core.errors import RunError
from gpovae_core.evaluation.plain import Damaged
from gpovae_core.evaluation.scores import SCHEMA, Evaluation, FromTheFuture, UnseenProtocol
from gpovae_core.runs.folder import RunFolder


def write_evaluation(run: RunFolder, scores: Evaluation) -> None:
    run.write_evaluation(scores.to_json())


def read_evaluation(run: RunFolder) -> Evaluation | None:
    """None where the run was not evaluated. Raises RunError, in words, for a file that is damaged or was
    written by a later version.
    """
    if not run.has("evaluation.json"):
        return None
    try:
        return Evaluation.from_json(run.evaluation())
    except FromTheFuture as error:
        raise RunError(
            f"The scores of run '{run.name}' were written by a later version of gpovae (schema "
            f"{error.schema}; this version knows {SCHEMA}). Update gpovae, or score the run again: gpovae "
            f"evaluate {run.path}"
        ) from error
    except Damaged as error:
        raise RunError(
            f"The scores of run '{run.name}' are damaged: in evaluation.json, {error}. Score the run again: "
            f"gpovae evaluate {run.path}"
        ) from error


def write_unseen(run: RunFolder, scores: UnseenProtocol) -> None:
    run.write_unseen(scores.to_json())


def read_unseen(run: RunFolder) -> UnseenProtocol | None:
    """What `gpovae unseen` kept with the run; None where it was not asked. Raises RunError for a damaged
    file.
    """
    if not run.has("unseen.json"):
        return None
    try:
        return UnseenProtocol.from_json(run.unseen())
    except Damaged as error:
        raise RunError(
            f"What run '{run.name}' says of unseen perturbations is damaged: in unseen.json, {error}. "
            f"Measure it again: gpovae unseen {run.path}"
        ) from error
