"""Every form of file, written as the field's own programs write it: labels and counts as they were, cell by
cell.
"""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from anndata.io import write_elem
from scipy import sparse
from scipy.io import mmwrite

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.backed import BackedCells
from gpovae_core.data.cache import fingerprint
from gpovae_core.data.folder import list_files, save_upload
from gpovae_core.data.read import read_cells
from gpovae_core.data.readers import reader_of
from gpovae_core.data.validate import Examination, examine
from gpovae_core.errors import DataError
from tests.data.small import GENES, small_cells

GUIDES = ("GENE03_g1", "GENE11_g1", "non-targeting_g1")


def check(examination: Examination, labelled: bool = True) -> None:
    """Labels and counts are those of small_cells."""
    reading = examination.reading
    assert reading is not None, [str(problem) for problem in examination.problems]
    truth = small_cells()
    assert set(reading.labels.index) == set(truth.obs_names)
    want = truth.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    assert list(reading.labels) == list(want[reading.labels.index])
    assert reading.genes == GENES
    assert (reading.counts != truth[list(reading.labels.index), list(GENES)].X).nnz == 0


def examined(path: Path) -> Examination:
    return examine(read_cells(path), DataSettings())


def guide_counts() -> np.ndarray:
    """(cells, guides) 9 of the guide of the cell, of GENE20 none."""
    labels = small_cells().obs["perturbation"].astype(str).to_numpy()
    return np.array([[9.0 * label.startswith(guide.split("_")[0]) for guide in GUIDES] for label in labels])


def write_h5mu(path: Path, rna: str = "rna", guides: str = "gdo", labels_in: str = "rna") -> Path:
    """As muon lays it out: modalities in mod/, one table of all cells, columns of a modality with its name
    before them.
    """
    cells = small_cells()
    own = cells.copy()
    more = AnnData(sparse.csr_matrix(guide_counts()[5:]), obs=cells.obs[[]].iloc[5:])
    more.var_names = list(GUIDES)
    table = cells.obs[[]].copy()
    if labels_in == "whole":
        table["perturbation"], own.obs = cells.obs["perturbation"], cells.obs[[]]
    elif labels_in == "guides":
        more.obs["perturbation"], own.obs = cells.obs["perturbation"].iloc[5:], cells.obs[[]]
    else:
        table[f"{rna}:perturbation"] = cells.obs["perturbation"]
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0"})
        write_elem(file, f"mod/{rna}", own)
        write_elem(file, f"mod/{guides}", more)
        write_elem(file, "obs", table)
        write_elem(file, "var", pd.DataFrame(index=[*GENES, *GUIDES]))
    return path


@pytest.mark.parametrize("rna", ["rna", "RNA", "gex", "Gene Expression", "gene_expression", "scRNA"])
@pytest.mark.parametrize("labels_in", ["rna", "whole"])
def test_mudata(tmp_path: Path, rna: str, labels_in: str) -> None:
    path = write_h5mu(tmp_path / "screen.h5mu", rna, labels_in=labels_in)
    examination = examined(path)
    check(examination)
    assert any(f"modality '{rna}', guides from 'gdo'" in note for note in examination.summary["notes"])


def test_guides_of_mudata_go_with_their_cells(tmp_path: Path) -> None:
    cells = read_cells(write_h5mu(tmp_path / "screen.h5mu", guides="CRISPR_guides"))
    umis = cells.obsm[keys.GUIDE_UMIS]
    assert list(umis.columns) == list(GUIDES)
    assert (umis.to_numpy()[5:] == guide_counts()[5:]).all()
    assert (umis.to_numpy()[:5] == 0).all(), "cells that the modality lacks have none"


def test_labels_of_the_guide_modality_are_joined(tmp_path: Path) -> None:
    cells = read_cells(write_h5mu(tmp_path / "screen.h5mu", labels_in="guides"))
    want = small_cells().obs["perturbation"].astype(str)
    assert list(cells.obs["perturbation"].astype(str)[5:]) == list(want[5:])


def test_mudata_too_large_to_be_held(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    examination = examined(write_h5mu(tmp_path / "screen.h5mu"))
    assert examination.reading is not None
    assert examination.reading.counts.sum(axis=0).sum() == small_cells().X.sum()


def test_mudata_without_a_name_for_genes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds the modalities atac, prot"):
        read_cells(write_h5mu(tmp_path / "screen.h5mu", "atac", "prot"))


def features(guides: bool) -> tuple[Any, list[str], list[str], list[str]]:
    """(counts, ids, names, types) as Cell Ranger counts them, labels in no table."""
    cells = small_cells()
    counts = sparse.hstack([cells.X, guide_counts()]) if guides else cells.X
    ids = [f"ENSG{i:011d}" for i in range(len(GENES))] + (list(GUIDES) if guides else [])
    types = ["Gene Expression"] * len(GENES) + ["CRISPR Guide Capture"] * (len(GUIDES) if guides else 0)
    return sparse.csc_matrix(counts.T), ids, [*GENES, *(GUIDES if guides else ())], types


def write_10x_h5(path: Path, version: int = 3, guides: bool = True) -> Path:
    counts, ids, names, types = features(guides)
    text = [np.array(values, dtype="S") for values in (ids, names, types)]
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        group["barcodes"] = np.array(small_cells().obs_names, dtype="S")
        group["data"] = counts.data.astype(np.int32)
        group["indices"], group["indptr"] = counts.indices.astype(np.int64), counts.indptr.astype(np.int64)
        group["shape"] = np.array(counts.shape, dtype=np.int32)
        if version == 3:
            inner = group.create_group("features")
            inner["id"], inner["name"], inner["feature_type"] = text
            inner["genome"] = np.array(["GRCh38"] * len(ids), dtype="S")
            inner["_all_tag_keys"] = np.array(["genome"], dtype="S")
        else:
            group["genes"], group["gene_names"] = text[:2]
    return path


def write_10x_folder(folder: Path, zipped: bool = True, old: bool = False, before: str = "") -> Path:
    counts, ids, names, types = features(not old)
    folder.mkdir(parents=True)
    end = ".gz" if zipped else ""
    stream = io.BytesIO()
    mmwrite(stream, counts.astype(np.int64))
    table = zip(ids, names, strict=True) if old else zip(ids, names, types, strict=True)
    texts = {
        "matrix.mtx": stream.getvalue(),
        "barcodes.tsv": "\n".join(small_cells().obs_names).encode() + b"\n",
        "genes.tsv" if old else "features.tsv": "\n".join(map("\t".join, table)).encode() + b"\n",
    }
    for name, content in texts.items():
        (folder / f"{before}{name}{end}").write_bytes(gzip.compress(content) if zipped else content)
    return folder


def write_calls(path: Path) -> None:
    """Cell Ranger's calls: one guide for most cells, two for one, none for controls of the first five
    cells.
    """
    cells = small_cells()
    labels = cells.obs["perturbation"].astype(str)
    table = pd.DataFrame(
        {"cell_barcode": cells.obs_names, "num_features": 1, "feature_call": labels, "num_umis": "9"}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table.iloc[5:].to_csv(path, index=False)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "h5 of version 3": lambda out: write_10x_h5(out / "filtered_feature_bc_matrix.h5"),
    "h5 of version 2": lambda out: write_10x_h5(out / "filtered_gene_bc_matrices_h5.h5", 2, guides=False),
    "folder of version 3": lambda out: write_10x_folder(out / "filtered_feature_bc_matrix"),
    "folder of version 2": lambda out: write_10x_folder(out / "hg19", zipped=False, old=True),
    "folder of STARsolo": lambda out: write_10x_folder(out / "filtered", zipped=False),
    "folder of GEO": lambda out: write_10x_folder(out / "GSM1", before="GSM1_K562_"),
}


@pytest.mark.parametrize("form", WRITERS)
def test_10x(tmp_path: Path, form: str) -> None:
    cells = read_cells(WRITERS[form](tmp_path))
    assert list(cells.obs_names) == list(small_cells().obs_names)
    cells.obs["perturbation"] = small_cells().obs["perturbation"]
    examination = examine(cells, DataSettings())
    check(examination)
    assert examination.reading is not None
    assert examination.reading.ids["GENE03"] == "ENSG00000000003"


@pytest.mark.parametrize("form", ["h5 of version 3", "h5 of version 2"])
@pytest.mark.parametrize("calls", [True, False])
def test_a_10x_file_too_large_to_be_held_is_read_in_blocks(
    tmp_path: Path, monkeypatch: Any, form: str, calls: bool
) -> None:
    path = WRITERS[form](tmp_path)
    if calls:
        write_calls(tmp_path / "protospacer_calls_per_cell.csv")

    def found() -> Examination:
        cells = read_cells(path)
        if not calls:
            cells.obs["perturbation"] = small_cells().obs["perturbation"]
        return examine(cells, DataSettings())

    held = found()
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    assert isinstance(read_cells(path), BackedCells)
    stored = found()
    assert stored.problems == held.problems
    assert stored.summary == held.summary
    assert stored.reading is not None
    assert held.reading is not None
    assert stored.reading.genes == held.reading.genes
    assert stored.reading.ids == held.reading.ids
    assert stored.reading.labels.equals(held.reading.labels)
    rows = np.arange(len(held.reading.labels))
    assert (stored.reading.counts[rows] != held.reading.counts[rows]).nnz == 0


def test_a_folder_of_text_too_large_to_be_read_says_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpovae_core.data.memory.free_memory", lambda: 100_000)
    with pytest.raises(DataError, match=r"would need .* GB of memory.*matrix\.h5 of the same run"):
        read_cells(write_10x_folder(tmp_path / "filtered_feature_bc_matrix"))


@pytest.mark.parametrize("form", ["h5 of version 3", "folder of version 3"])
@pytest.mark.parametrize("place", ["", "crispr_analysis"])
def test_calls_of_cell_ranger_are_joined(tmp_path: Path, form: str, place: str) -> None:
    path = WRITERS[form](tmp_path / "outs")
    before = fingerprint(path)
    write_calls(tmp_path / "outs" / place / "protospacer_calls_per_cell.csv")
    assert fingerprint(path) != before, "what was prepared without them is not taken"
    cells = read_cells(path)
    want = small_cells().obs["perturbation"].astype(str)
    assert list(cells.obs["feature_call"][5:]) == list(want[5:])
    assert cells.obs["feature_call"][:5].isna().all()
    examination = examine(cells, DataSettings(label_column="feature_call"))
    assert examination.reading is not None
    assert len(examination.reading.labels) == len(want) - 5
    assert any("Guide calls come from" in note for note in examination.summary["notes"])


def test_calls_of_other_cells_are_refused(tmp_path: Path) -> None:
    path = write_10x_h5(tmp_path / "filtered_feature_bc_matrix.h5")
    write_calls(tmp_path / "protospacer_calls_per_cell.csv")
    table = pd.read_csv(tmp_path / "protospacer_calls_per_cell.csv")
    table["cell_barcode"] += "-9"
    table.to_csv(tmp_path / "protospacer_calls_per_cell.csv", index=False)
    with pytest.raises(DataError, match="None of the 240 cells"):
        read_cells(path)


def test_genes_of_one_symbol_are_told_by_their_ids(tmp_path: Path) -> None:
    path = write_10x_h5(tmp_path / "cells.h5", guides=False)
    with h5py.File(path, "r+") as file:
        file["matrix/features/name"][5] = b"GENE04"
    cells = read_cells(path)
    cells.obs["perturbation"] = small_cells().obs["perturbation"]
    examination = examine(cells, DataSettings())
    assert examination.reading is not None
    assert "GENE04" in examination.reading.genes


def test_folders_and_files_that_are_no_10x_say_so(tmp_path: Path) -> None:
    two = write_10x_folder(tmp_path / "two", before="a_")
    for file in write_10x_folder(tmp_path / "other", before="b_").iterdir():
        shutil.copy(file, two / file.name)
    with pytest.raises(DataError, match="holds 2 matrices"):
        read_cells(two)
    with h5py.File(tmp_path / "molecule_info.h5", "w") as file:
        file["barcode"] = np.arange(3)
    with pytest.raises(DataError, match="holds no 10x matrix of counts; found barcode"):
        read_cells(tmp_path / "molecule_info.h5")
    with h5py.File(write_10x_h5(tmp_path / "barnyard.h5", 2, guides=False), "r+") as file:
        file.copy("GRCh38", "mm10")
    with pytest.raises(DataError, match="several genomes"):
        read_cells(tmp_path / "barnyard.h5")
    short = write_10x_folder(tmp_path / "short", zipped=False)
    (short / "barcodes.tsv").write_text("a\nb\n")
    with pytest.raises(DataError, match="2 barcodes"):
        read_cells(short)


def packed(path: Path) -> Path:
    target = path.with_name(f"{path.name}.gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


def test_gzip_of_a_file_of_cells(tmp_path: Path, monkeypatch: Any) -> None:
    small_cells().write_h5ad(tmp_path / "cells.H5AD")
    path = packed(tmp_path / "cells.H5AD")
    check(examined(path))
    check(examined(packed(write_h5mu(tmp_path / "screen.h5mu"))))
    assert {file.name for file in list_files(tmp_path)} >= {"cells.H5AD.gz", "screen.h5mu.gz"}
    saved = save_upload(tmp_path / "data", "cells.h5ad.gz", io.BytesIO(path.read_bytes()))
    assert saved.name == "cells.h5ad.gz"
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    examination = examined(path)
    assert examination.reading is not None
    assert examination.reading.counts.sum(axis=0).sum() == small_cells().X.sum()


@pytest.mark.parametrize("inside", [b"no cells", b""])
def test_gzip_of_something_else_is_refused(tmp_path: Path, inside: bytes) -> None:
    (tmp_path / "cells.h5ad.gz").write_bytes(gzip.compress(inside))
    with pytest.raises(DataError, match="no gzip file with cells"):
        read_cells(tmp_path / "cells.h5ad.gz")


def test_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    small_cells().write_h5ad(tmp_path / "cells.h5ad")
    path = packed(tmp_path / "cells.h5ad")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_cells(path)


@pytest.mark.parametrize("outer", ["", "cells.zarr/"])
def test_zarr_in_a_zip(tmp_path: Path, outer: str) -> None:
    small_cells().write_zarr(tmp_path / "cells.zarr")
    path = tmp_path / "cells.zarr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "cells.zarr").rglob("*")):
            if file.is_file():
                archive.write(file, f"{outer}{file.relative_to(tmp_path / 'cells.zarr').as_posix()}")
    check(examined(path))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("obs/x", "1")
    assert reader_of(tmp_path / "other.zip") is None


def test_bytes_are_text_wherever_they_stand(tmp_path: Path) -> None:
    cells = small_cells()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        group = file["obs"]
        del group["perturbation"], group["_index"]
        labels = cells.obs["perturbation"].astype(str).to_numpy()
        group["perturbation"] = np.array(labels, dtype="S")
        group["perturbation"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        group["_index"] = np.array(cells.obs_names, dtype="S")
        group["_index"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    check(examined(tmp_path / "cells.h5ad"))


def test_text_of_bytes_is_text() -> None:
    cells = small_cells()
    cells.obs["perturbation"] = [f"b'{label}'" for label in cells.obs["perturbation"]]
    cells.obs["perturbation"] = cells.obs["perturbation"].astype("category")
    from gpovae_core.data.read import decode

    decode(cells.obs)
    assert set(cells.obs["perturbation"]) == {"non-targeting", "GENE03", "GENE11", "GENE20"}


@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize(
    "place", ["uns/thing", "obsm/X_new", "obsp/graph", "varm/loadings", "layers/odd", "obs/extra"]
)
def test_parts_of_unknown_encoding_are_passed_over_and_named(
    tmp_path: Path, monkeypatch: Any, place: str, backed: bool
) -> None:
    cells = small_cells()
    cells.uns["simulated"] = True
    cells.obs["extra"] = 1.0
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        if place in file:
            del file[place]
        file.create_group(place).attrs.update({"encoding-type": "hologram", "encoding-version": "9.0"})
    if backed:
        monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    examination = examined(tmp_path / "cells.h5ad")
    assert examination.ok
    assert examination.summary["simulated"] is True
    if not backed:
        check(examination)
    if place.split("/")[0] in ("uns", "obsm", "obs"):
        text = f"Passed over, since this version cannot read it and the work does not need it: {place}."
        assert text in examination.summary["notes"]
