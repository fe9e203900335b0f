"""What a training needs of the place that keeps its work, and no more: a run folder is one
(runs.folder.RunFolder).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Keeper(Protocol):
    """Keeps status, metrics, weights and the state to resume of one training."""

    @property
    def path(self) -> Path:
        """The folder; weights go to model.safetensors in it."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def checkpoints(self) -> Path:
        """Folder for the state to resume."""
        ...

    def write_status(self, **changes: Any) -> Any:
        """The old status plus `changes`, with a new heartbeat."""
        ...

    def status(self) -> Any:
        """What write_status has written; `epoch` counts the finished ones."""
        ...

    def log(self, text: str) -> None:
        """One line of what happened, in words."""
        ...

    def append_metrics(self, row: dict[str, float]) -> None:
        """One finished epoch."""
        ...

    def write_network(self, arrays: dict[str, np.ndarray]) -> None:
        """Arrays of the network stage, by name."""
        ...

    def network_arrays(self) -> dict[str, np.ndarray]:
        """What write_network stored; empty where nothing was."""
        ...
