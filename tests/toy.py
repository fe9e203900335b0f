"""A tiny simulated data set and tiny settings: seconds, not minutes, through the whole way."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate

TINY = {
    "model": {
        "latent": 4,
        "decoder_width": 16,
        "basal_width": 16,
        "embedding_width": 16,
        "embedding_layers": 2,
    },
    "training": {"epochs": 4, "batch_size": 128, "particles": 2},
    "inference": {"guide_samples": 4, "basal_draws": 20, "library_levels": 4},
    "evaluation": {"split_halves": 4},
    "data": {"detect_doublets": False},
}


@cache
def toy_simulation(seed: int = 0, cells: int = 700) -> Simulation:
    values = {"genes": 20, "perturbations": 6, "cells": cells, "mitochondrial_genes": 2, "seed": seed}
    return simulate(SimulationSettings(**values))


def tiny_settings(preset: str = "released", **sections: dict[str, object]) -> Settings:
    merged = {name: {**TINY.get(name, {}), **sections.get(name, {})} for name in {*TINY, *sections}}
    return make_settings(preset, merged)


@cache
def toy_cells(seed: int = 0) -> PreparedCells:
    return prepare(toy_simulation(seed).adata.copy(), tiny_settings().data)


def write_toy(folder: Path, seed: int = 0, cells: int = 700) -> Path:
    """The toy cells as a file, as a user would have them."""
    path = folder / "toy.h5ad"
    toy_simulation(seed, cells).write(path)
    return path


def tiny_options() -> list[str]:
    """TINY as options of `gpovae train`."""
    pairs = [
        (f"{section}.{field}", value) for section, fields in TINY.items() for field, value in fields.items()
    ]
    return [part for name, value in pairs for part in ("--set", f"{name}={json.dumps(value)}")]
