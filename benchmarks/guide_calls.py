"""Guides called from their UMIs beside the authors' own calls, cell by cell.

    python benchmarks/guide_calls.py
    python benchmarks/guide_calls.py --json

The screen is papalexi2021_thp1_585.h5ad: 7,108 cells, UMIs of 107 guides, and the guide that its authors
called. It is looked for in GPOVAE_DATA_DIR, or beside the project in ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data.guides import call_guides
from gpovae_core.data.read import read_cells

NAME = "papalexi2021_thp1_585.h5ad"
RULES = {
    "mixture": DataSettings(),
    "threshold": DataSettings(guide_rule="threshold"),
    "threshold, 5 UMIs and half of the cell's": DataSettings(
        guide_rule="threshold", guide_umis=5, guide_share=0.5
    ),
}


def compared(cells: AnnData, settings: DataSettings) -> dict[str, Any]:
    """How many cells have what, and how many agree with the authors in the target."""
    umis: Any = cells.obsm["guide_umis"]
    matrix = sparse.csr_matrix(umis.to_numpy(dtype=float))
    start = time.perf_counter()
    found = call_guides(matrix, settings)
    seconds = time.perf_counter() - start
    guides = np.array(umis.columns, dtype=object)
    authors = cells.obs["guide"].astype(str).to_numpy()
    targets = pd.Series(cells.obs["perturbation"].astype(str).to_numpy(), authors).groupby(level=0).first()
    of_guide = np.array([targets.get(guide, guide) for guide in guides], dtype=object)
    own = np.asarray(matrix[np.arange(len(authors)), pd.Index(guides).get_indexer(authors)]).ravel()
    rows = []
    for row, guide in enumerate(authors):
        called = found.called.indices[found.called.indptr[row] : found.called.indptr[row + 1]]
        aimed = set(of_guide[called])
        acting = aimed - {"non-targeting"} or aimed
        rows.append((len(acting), guide in guides[called], acting == {targets[guide]}))
    table = pd.DataFrame(rows, columns=pd.Index(["targets", "has_it", "agrees"]))
    one = table["targets"] == 1
    return {
        "fitted_guides": int(found.fitted.sum()),
        "median_threshold": float(np.median(found.thresholds)),
        "seconds": round(seconds, 2),
        "agree": float(table["agrees"].mean()),
        "none": float((table["targets"] == 0).mean()),
        "one": float(one.mean()),
        "more": float((table["targets"] > 1).mean()),
        "agree_where_one": float(table.loc[one, "agrees"].mean()),
        "authors_guide_among_called": float(table["has_it"].mean()),
        "median_umis_where_none": float(np.median(own[table["targets"] == 0]))
        if (table["targets"] == 0).any()
        else None,
        "median_umis": float(np.median(own)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("GPOVAE_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")
    cells: Any = read_cells(folder / NAME)
    results = {name: compared(cells, settings) for name, settings in RULES.items()}
    if arguments.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        print(
            name
            + ": "
            + ", ".join(f"{key} {value:.4g}" for key, value in result.items() if value is not None)
        )


if __name__ == "__main__":
    main()
