"""Do networks hold in other cells of the same screens? The network stage alone, on real cells.

    python benchmarks/transfer.py
    python benchmarks/transfer.py --json --only halves

halves: Papalexi's cells in two random halves, one held against the other, and against the other with its
labels shuffled; replicates: Papalexi's replicate 1 against 2 and 3; stimulation: Datlinger's stimulated
against its unstimulated cells; macrophages: Papalexi's THP-1 cells against knock-downs in primary
macrophages, a table of effects. Real data as in benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import anndata
import numpy as np
from safetensors.numpy import save_file

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.questions.elsewhere import of_cells, read_elsewhere
from gpovae_core.questions.transfer import Transfer, transfer
from gpovae_core.reporting.transfer import transfer_in_words
from gpovae_core.runs.folder import MASK_LOGITS, DataSource, RunFolder

DATA = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data"))
PAPALEXI, DATLINGER = "papalexi2021_thp1.h5ad", "datlinger2021_jurkat.h5ad"
MACROPHAGES = "macrophage_crispri_effects.h5ad"
PART = "part"
"""Column of obs that the benchmark adds, taken for conditions."""


def settings_of(part: str, **data: object) -> Settings:
    """Cells of one part alone; doublets are not looked for, which takes most of the time."""
    fields = {"condition": PART, "conditions": (part,), "detect_doublets": False, **data}
    return make_settings("evidence", {"data": fields})


def network_run(path: Path, cells: anndata.AnnData, settings: Settings) -> RunFolder:
    """A run with W, S and T_K and no autoencoder."""
    prepared = prepare(cells, settings.data)
    run = RunFolder.create(path, settings, DataSource(path=path.name))
    run.write_cells(prepared)
    fit = fit_network(prepared, settings).as_kept()
    run.write_network(fit.arrays())
    save_file({MASK_LOGITS: fit.log_odds.astype(np.float32)}, run.path / "model.safetensors")
    return run


def between(folder: Path, cells: anndata.AnnData, here: str, theirs: list[str]) -> list[Transfer]:
    """The network of the cells of one part in those of others."""
    run = network_run(folder / here, cells, settings_of(here))
    genes = run.panel().genes
    return [
        transfer(run, of_cells(part, prepare(cells, settings.data), genes, settings))
        for part in theirs
        for settings in [settings_of(part)]
    ]


def halves(folder: Path, seeds: int) -> list[Transfer]:
    found = []
    for seed in range(seeds):
        cells = anndata.read_h5ad(DATA / PAPALEXI)
        rng = np.random.default_rng(seed)
        cells.obs[PART] = np.where(rng.random(cells.n_obs) < 0.5, "one half", "other half")
        found += between(folder / f"{seed}", cells, "one half", ["other half"])
        there = np.flatnonzero(cells.obs[PART] == "other half")
        labels = cells.obs["perturbation"].astype(str).to_numpy(dtype=object)
        labels[there] = labels[rng.permutation(there)]
        cells.obs["perturbation"], cells.obs["guide"] = labels, "unknown"
        run = RunFolder.open(folder / f"{seed}" / "one half")
        settings = settings_of("other half")
        shuffled = of_cells(
            "other half, shuffled", prepare(cells, settings.data), run.panel().genes, settings
        )
        found.append(transfer(run, shuffled))
    return found


def replicates(folder: Path, seeds: int) -> list[Transfer]:
    cells = anndata.read_h5ad(DATA / PAPALEXI)
    cells.obs[PART] = cells.obs["batch"].astype(str)
    return between(folder, cells, "rep_1", ["rep_2", "rep_3"])


def stimulation(folder: Path, seeds: int) -> list[Transfer]:
    cells = anndata.read_h5ad(DATA / DATLINGER)
    cells.obs[PART] = cells.obs.pop("condition").astype(str)
    return between(folder, cells, "stimulated", ["unstimulated"])


def macrophages(folder: Path, seeds: int) -> list[Transfer]:
    cells = anndata.read_h5ad(DATA / PAPALEXI)
    cells.obs[PART] = "THP-1"
    run = network_run(folder / "THP-1", cells, settings_of("THP-1"))
    there = read_elsewhere(DATA / MACROPHAGES, run.panel().genes, make_settings("evidence"))
    return [transfer(run, there)]


TASKS = {one.__name__: one for one in (halves, replicates, stimulation, macrophages)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=TASKS, nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3, help="pairs of halves")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    answers = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            found = TASKS[name](Path(folder), options.seeds)
        answers[name] = [{**one.plain(), "edges": None} for one in found]
        if not options.json:
            print(f"== {name} ==", *(f"{transfer_in_words(one)}\n" for one in found), sep="\n", flush=True)
    if options.json:
        print(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
