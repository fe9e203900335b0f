"""GPO-VAE for Perturb-seq: train it, load it, and question the gene regulatory network it learned.

`import gpovae_core as gp` has the names that a notebook needs, see gpovae_core.api. They are loaded when they
are first used, so that the import itself, and `gpovae --help`, wait for nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpovae_core.api.making import network_from_effects, read, simulate, train, validate
    from gpovae_core.api.run import Run, find_runs, open_demo, open_run
    from gpovae_core.errors import GpoVaeError

__version__ = "0.2.0"

__all__ = [
    "GpoVaeError",
    "Run",
    "__version__",
    "find_runs",
    "network_from_effects",
    "open_demo",
    "open_run",
    "read",
    "simulate",
    "train",
    "validate",
]

_HOMES = {
    "gpovae_core.api.run": ("Run", "find_runs", "open_demo", "open_run"),
    "gpovae_core.api.making": ("network_from_effects", "read", "simulate", "train", "validate"),
    "gpovae_core.errors": ("GpoVaeError",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'gpovae_core' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
