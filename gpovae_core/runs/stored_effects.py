"""The effects of a run, left on disk: of a layer only the rows that somebody looks at are read.

A genome-wide screen has 0.4 GB of effects in nineteen layers; a page shows a row of ten of them, or two whole
ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.errors import RunError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@contextmanager
def readable(run: str, name: str) -> Iterator[None]:
    """Whatever the libraries say about a damaged file of a run becomes a RunError that names it."""
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RunError(f"Run '{run}': {name} is damaged or incomplete ({reason}).") from error


@dataclass(frozen=True)
class StoredLayer:
    """(perturbations, genes) numbers of a layer. `layer[rows]` reads these rows, `np.asarray(layer)` all."""

    path: Path
    name: str
    shape: tuple[int, int]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """rows: a place, a slice or (k,) places. Raises RunError for a damaged file."""
        import h5py

        with readable(self.path.parent.name, self.path.name), h5py.File(self.path, "r") as file:
            stored: Any = file[f"layers/{self.name}"]
            if isinstance(stored, h5py.Group):  # sparse, of a table that somebody else made
                return _dense(stored)[rows]
            if isinstance(rows, np.ndarray):  # HDF5 takes places in rising order, each once
                places, back = np.unique(rows, return_inverse=True)
                return stored[places][back]
            return stored[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)


def _dense(group: Any) -> np.ndarray:
    from anndata.io import read_elem

    return np.asarray(read_elem(group).toarray())  # type: ignore[union-attr]


@dataclass(frozen=True)
class StoredEffects:
    """effects.h5ad of a run, its parts named as those of an AnnData, so that what takes one takes the other.

    obs, var_names: of all perturbations and measured genes; layers: on disk (StoredLayer), or arrays where
    they were worked out here. Nothing is held open: a run whose effects are replaced can be read on.
    """

    obs: pd.DataFrame
    var_names: pd.Index
    layers: Mapping[str, StoredLayer | np.ndarray]

    @classmethod
    def open(cls, path: Path) -> StoredEffects:
        """Reads the names only. Raises RunError for a file that is damaged."""
        import h5py
        from anndata.io import read_elem

        with readable(path.parent.name, path.name), h5py.File(path, "r") as file:
            parts: Any = file
            obs, var = (read_elem(parts[part]) for part in ("obs", "var"))
            shape = (len(obs), len(var))  # type: ignore[arg-type]
            layers = {
                name: StoredLayer(path, name, shape)
                for name, stored in parts.get("layers", {}).items()
                if _fits(name, stored, shape)
            }
        return cls(obs, var.index, layers)  # type: ignore[arg-type, union-attr]

    @property
    def obs_names(self) -> pd.Index:
        return self.obs.index

    @property
    def n_obs(self) -> int:
        return len(self.obs)

    @property
    def n_vars(self) -> int:
        return len(self.var_names)

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_obs, self.n_vars

    def with_layers(self, layers: Mapping[str, np.ndarray]) -> StoredEffects:
        """The same with further layers (perturbations, genes), in memory."""
        return replace(self, layers={**self.layers, **layers})

    def held(self, *names: str) -> StoredEffects:
        """The same with these of its layers in memory, for work that goes through all rows one by one."""
        return self.with_layers(
            {name: np.asarray(self.layers[name]) for name in names if name in self.layers}
        )


def _fits(name: str, stored: Any, shape: tuple[int, int]) -> bool:
    found = stored.attrs["shape"] if hasattr(stored, "keys") else stored.shape
    if tuple(int(size) for size in found) != shape:
        raise ValueError(f"layer '{name}' has shape {tuple(found)}, not {shape}")
    return True


if TYPE_CHECKING:
    Effects = AnnData | StoredEffects
    """As in effects.h5ad: obs = perturbations, var = measured genes, layers as in keys."""
