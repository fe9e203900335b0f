"""Networks as other programs write them: a square matrix of NumPy, its genes in a text file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.errors import QueryError

ENDING = ".npy"
EXPECTED = (
    "Expected a square matrix of numbers as numpy.save writes it: row = source, column = target, 0 = no edge."
)


def read_adjacency(path: Path) -> pd.DataFrame:
    """Edges of a matrix saved by NumPy (DCDI's DAG.npy): source, target and, unless all are 1, weight.

    The genes, in the order of the rows, stand one a line in the text file of the same name that ends in .txt.
    Raises QueryError that says what is wrong with either; nothing in the file is executed.
    """
    path = Path(path)
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise QueryError(f"There is no matrix '{path}'.") from None
    except OSError as error:
        raise QueryError(f"The matrix '{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:  # objects, a cut file, another kind of file
        raise QueryError(f"'{path.name}' is not a matrix that can be read. {EXPECTED}") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "buif":
        raise QueryError(f"'{path.name}' holds {_form(matrix)}. {EXPECTED}")
    genes = _genes(path.with_suffix(".txt"), path.name, len(matrix))
    weights = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise QueryError(f"'{path.name}' has entries that are no finite number. {EXPECTED}")
    rows, columns = np.nonzero(weights)
    if not len(rows):
        raise QueryError(f"'{path.name}' lists no edges: every entry is 0. {EXPECTED}")
    edges = pd.DataFrame({keys.SOURCE: [genes[i] for i in rows], keys.TARGET: [genes[j] for j in columns]})
    found = weights[rows, columns]
    return edges if (found == 1).all() else edges.assign(**{keys.WEIGHT: found})


def _genes(path: Path, matrix: str, count: int) -> list[str]:
    """The names of the rows of a matrix of that size."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise QueryError(
            f"'{matrix}' holds no names: list its {count:,} genes, one a line in the order of the rows, in "
            f"'{path.name}' beside it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"The list of genes '{path}' cannot be read as text.") from error
    genes = [line for line in lines if line]
    if len(genes) != count:
        raise QueryError(f"'{path.name}' lists {len(genes):,} genes, and '{matrix}' has {count:,} rows.")
    repeated = pd.Index(genes)[pd.Index(genes).duplicated()]
    if len(repeated):
        raise QueryError(f"'{path.name}' lists {repeated[0]!r:.60} more than once.")
    return genes


def _form(matrix: np.ndarray) -> str:
    size = " x ".join(f"{length:,}" for length in matrix.shape) or "a single value"
    return f"{size} of type {matrix.dtype}"
