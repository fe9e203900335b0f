"""Which of several processes of one training this is. The first does the work of a run; the others only train
with it.

Lightning starts the processes of one machine itself (the same command again, LOCAL_RANK set); torchrun and
SLURM start all of them at once. Nothing here imports torch: the first question of a process is whether it is
the first.
"""

from __future__ import annotations

import os

from gpovae_core.config import TrainingSettings
from gpovae_core.errors import SettingsError

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""In the order in which they count: torchrun's number of this process, Lightning's on the machine,
SLURM's.
"""


def world_size(training: TrainingSettings) -> int:
    """How many processes train together."""
    return training.devices * training.nodes


def is_first(training: TrainingSettings) -> bool:
    """Whether this process prepares, writes and scores. Of independent trainings side by side each is its own
    first.
    """
    if world_size(training) == 1:
        return True
    return _rank() == 0 and _number("NODE_RANK") == 0


def check_launch(training: TrainingSettings) -> None:
    """Raises SettingsError where torchrun or SLURM started another number of processes than the settings ask
    for.
    """
    started = (
        _number("WORLD_SIZE")
        if "RANK" in os.environ
        else _number("SLURM_NTASKS")
        if world_size(training) > 1
        else 0
    )
    if started > 1 and started != world_size(training):
        raise SettingsError(
            f"{started} processes were started for training.devices={training.devices} on "
            f"training.nodes={training.nodes}, which is {world_size(training)}. Give --devices (processes "
            "on a machine) and --nodes (machines) as they were started."
        )


def _rank() -> int:
    return next((_number(name) for name in RANK_VARIABLES if name in os.environ), 0)


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else 0
