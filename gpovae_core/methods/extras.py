"""Methods that other packages compute: whether they are installed, and cells in the form they take."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from gpovae_core.errors import QueryError
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.moments import covariance


def missing(package: str, extra: str = "comparators") -> str | None:
    """What to do where an optional package is not installed, in words; None where it is. extra: of this
    project, that brings it.
    """
    if find_spec(package) is not None:
        return None
    return f"the package {package} is not installed (pip install 'gpovae[{extra}]')."


def module(name: str) -> Any:
    """A module of an optional package."""
    return import_module(name)


def refuse_beyond(most: int, genes: int) -> None:
    """Raises QueryError for a panel whose measured genes are too many for a method."""
    if genes > most:
        raise QueryError(f"it takes long beyond {most} measured panel genes, and this panel has {genes}.")


def in_place_of_cells(inputs: Inputs) -> np.ndarray:
    """(2 m, m) rows with mean 0 and the covariance of the measured panel genes over the training cells: to a
    method that takes least squares for its loss the same as the cells, and as fast for millions of them.
    """
    found = covariance(inputs.expression)[1]
    m = len(found)
    values, vectors = np.linalg.eigh(found)
    root = np.sqrt(m * np.maximum(values, 0.0))[:, None] * vectors.T
    return np.vstack([root, -root])
