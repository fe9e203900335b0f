"""Runs made from a checkpoint, a matrix, or an exported run."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gpovae_core.data.room import RoomError
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs import archive
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.importing import gene_names, import_file, panel_order
from gpovae_core.runs.model import load_model
from gpovae_core.runs.tensors import read_tensors
from tests.conftest import shared_folder
from tests.fake_run import make_fake_run

NAMES = [f"P{(7 * i) % 30:02d}" for i in range(30)] + [f"E{(3 * i) % 20:02d}" for i in range(20)]


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    return Path(
        shutil.copy(shared_folder("fixtures") / "released_checkpoint.ckpt", tmp_path / "released.ckpt")
    )


def test_names_and_weights_of_the_release_keep_together(checkpoint, tmp_path):
    run = import_file(checkpoint, tmp_path / "run", genes=NAMES)
    tensors = read_tensors(checkpoint)
    w = 1 / (1 + np.exp(-tensors["loss_module.guide.param_dict.q_mask_logits"].astype(float)))
    network = GeneNetwork.from_run(run)
    assert network.panel.data.perturbed == tuple(sorted(NAMES[:30]))
    for source, target in ((0, 1), (17, 42), (49, 3)):
        i, j = (network.panel.index[NAMES[g]] for g in (source, target))
        assert network.weights[i, j] == pytest.approx(w[source, target], abs=1e-6)
    assert run.status().state == "imported"
    assert run.source().imported


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def test_the_imported_decoder_and_guide_compute_what_the_released_ones_do(checkpoint, tmp_path):
    """Written out plainly on the file's own tensors, in the file's own order of genes."""
    model = load_model(import_file(checkpoint, tmp_path / "run", genes=NAMES))
    old = {
        name.removeprefix("loss_module."): value.astype(float)
        for name, value in read_tensors(checkpoint).items()
    }
    order = panel_order(NAMES, np.arange(50) < 30)
    rng = np.random.default_rng(0)
    basal, offset, artifact = rng.normal(size=8), rng.normal(size=50), rng.normal(size=8)

    def layers(name: str, x: np.ndarray) -> np.ndarray:
        y = leaky(old[f"{name}.layers.0.0.weight"] @ x + old[f"{name}.layers.0.0.bias"])
        layer = 1
        while f"{name}.layers.{layer}.0.weight" in old:
            y = leaky(old[f"{name}.layers.{layer}.0.weight"] @ y + old[f"{name}.layers.{layer}.0.bias"]) + y
            layer += 1
        return y

    hidden = layers("model.decoder.mlp", np.concatenate([basal, offset, artifact]))
    scores = (
        old["model.decoder.normalized_mean_decoder.0.weight"] @ hidden
        + old["model.decoder.normalized_mean_decoder.0.bias"]
    )
    expected = scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()

    def tensor(x: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(x, dtype=torch.float32)

    with torch.no_grad():
        condition = model.decoder.mlp.first.conditions(
            tensor(offset[order])[None, None], tensor(artifact)[None, None]
        )[0, 0, 1]
        np.testing.assert_allclose(
            model.decoder.log_share(tensor(basal), condition).numpy(), expected, atol=1e-5
        )

    gene = 11  # its row of the mask, and its one-hot
    mask = (rng.random(50) < 0.5).astype(float)
    hidden = layers("guide.embedding_encoder.mlp", np.concatenate([mask, np.eye(50)[gene]]))
    mean = (
        old["guide.embedding_encoder.mean_encoder.weight"] @ hidden
        + old["guide.embedding_encoder.mean_encoder.bias"]
    )
    with torch.no_grad():
        effect, row = model.guide.effect, torch.tensor([list(order).index(gene)])
        first = (
            effect.first.block("mask", tensor(mask[order])[None])
            + effect.first.columns("identity", row)
            + effect.first.bias
        )
        np.testing.assert_allclose(
            model.guide.effect_head(effect(first)).mean.numpy()[0], mean[order], atol=1e-5
        )


def test_without_names_they_are_asked_for_and_grn_csv_beside_it_answers(checkpoint, tmp_path):
    with pytest.raises(RunError, match="50 genes but not their names"):
        import_file(checkpoint, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    rows = "\n".join(f"{name}," + ",".join(["0.5"] * 50) for name in NAMES)
    (tmp_path / "grn.csv").write_text("," + ",".join(NAMES) + "\n" + rows)
    assert set(import_file(checkpoint, tmp_path / "run").panel().genes) == set(NAMES)


BAD_NAMES = [
    (NAMES[:-1], "49 names"),
    ([*NAMES[:-1], NAMES[0]], "used more than once"),
    ([*NAMES[:-1], ""], "empty"),
]


@pytest.mark.parametrize(("names", "words"), BAD_NAMES)
def test_names_that_do_not_fit_are_refused(checkpoint, tmp_path, names, words):
    with pytest.raises(RunError, match=words):
        import_file(checkpoint, tmp_path / "run", genes=gene_names(names))


def test_probability_mode(tmp_path):
    w = torch.tensor([[0.2, 0.9], [0.5, 1.0]])
    torch.save({"state_dict": {"loss_module.guide.param_dict.q_mask_probs": w}}, tmp_path / "x.ckpt")
    run = import_file(tmp_path / "x.ckpt", tmp_path / "run", genes=["A", "B"])
    np.testing.assert_allclose(run.edge_probabilities(), w, atol=1e-6)


MATRIX = np.array([[0.0, 0.25, 1.0], [0.5, 0.75, 0.125], [0.9, 0.1, 0.3]])


def table(separator: str, rows: list[str], columns: list[str], values=MATRIX) -> str:
    lines = [separator.join(["", *columns])]
    return (
        "\n".join(
            [
                *lines,
                *(separator.join([name, *map(str, row)]) for name, row in zip(rows, values, strict=True)),
            ]
        )
        + "\n"
    )


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_named_table_becomes_a_network_whatever_the_order_of_its_columns(tmp_path, separator):
    (tmp_path / "g.csv").write_text(table(separator, ["b", "a", "c"], ["b", "a", "c"]))
    order = [2, 0, 1]
    (tmp_path / "h.csv").write_text(table(separator, ["b", "a", "c"], ["c", "b", "a"], MATRIX[:, order]))
    one, other = (import_file(tmp_path / f"{x}.csv", tmp_path / x) for x in "gh")
    assert one.panel().genes == ("a", "b", "c")
    np.testing.assert_allclose(one.edge_probabilities()[1, 0], MATRIX[0, 1], atol=1e-6)  # b -> a
    np.testing.assert_allclose(one.edge_probabilities(), other.edge_probabilities(), atol=1e-7)
    turned = import_file(tmp_path / "g.csv", tmp_path / "t", transpose=True)
    np.testing.assert_allclose(turned.edge_probabilities(), one.edge_probabilities().T, atol=1e-7)


def test_npz_with_names_inside_or_given_dense_or_sparse(tmp_path):
    from scipy import sparse

    np.savez(tmp_path / "a.npz", W=MATRIX, genes=np.array(["x", "y", "z"]))
    sparse.save_npz(tmp_path / "b.npz", sparse.csr_matrix(MATRIX))
    first = import_file(tmp_path / "a.npz", tmp_path / "a", perturbed=["z"])
    second = import_file(tmp_path / "b.npz", tmp_path / "b", genes=["x", "y", "z"], perturbed=["z"])
    assert first.panel().genes == second.panel().genes == ("z", "x", "y")
    np.testing.assert_allclose(first.edge_probabilities()[0, 1], MATRIX[2, 0], atol=1e-6)
    np.testing.assert_allclose(first.edge_probabilities(), second.edge_probabilities())


def test_logits_are_taken_only_when_they_are_said_to_be(tmp_path):
    logits = np.array([[-3.0, 2.0], [0.0, 5.0]])
    np.savez(tmp_path / "a.npz", W=logits, genes=np.array(["x", "y"]))
    with pytest.raises(RunError, match="--values logits"):
        import_file(tmp_path / "a.npz", tmp_path / "run")
    run = import_file(tmp_path / "a.npz", tmp_path / "run", values="logits")
    np.testing.assert_allclose(run.edge_probabilities(), 1 / (1 + np.exp(-logits)), atol=1e-6)


def _pickled_npz(path: Path) -> None:
    np.savez(path, W=MATRIX, genes=np.array(["x", "y", None], dtype=object))


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "no text"),
    "bare pickle": (lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(50)), "could run any code"),
    "prose": (lambda path: path.write_text("hello"), "neither commas nor tabs"),
    "not square": (lambda path: path.write_text(",a,b\na,1,0\n"), "square"),
    "other names": (lambda path: path.write_text(",a,b\na,1,0\nc,0,1\n"), "do not name the same genes"),
    "repeated names": (lambda path: path.write_text(",a,a\na,1,0\na,0,1\n"), "more than once|same genes"),
    "a word in it": (lambda path: path.write_text(",a,b\na,1,lots\nb,0,1\n"), "'lots', which is no number"),
    "a gap in it": (lambda path: path.write_text(",a,b\na,1,\nb,0,1\n"), "no number"),
    "NaN in it": (lambda path: path.write_text(",a,b\na,1,nan\nb,0,1\n"), "no number"),
    "ragged": (lambda path: path.write_text(",a,b\na,1,0,5,6\nb,0,1\n"), "no table|square|number"),
    "weights beyond 1": (
        lambda path: path.write_text(",a,b\na,1,7\nb,0,1\n"),
        "probabilities lie between 0 and 1",
    ),
    "latin 1": (lambda path: path.write_bytes(",a,é\na,1,0\né,0,1\n".encode("latin-1")), "UTF-8"),
    "other zip": (
        lambda path: zipfile.ZipFile(path, "w").writestr("notes.md", "x"),
        "zip archive of something else",
    ),
    "zip cut off": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "cut off or damaged"),
    "objects in npz": (_pickled_npz, "could run any code"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_imported_says_why_and_leaves_nothing_behind(tmp_path, name):
    make, words = BROKEN[name]
    path = tmp_path / ("m.npz" if "npz" in name else "m.csv")
    make(path)
    with pytest.raises(RunError, match=words):
        import_file(path, tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


@pytest.fixture
def run(tmp_path) -> RunFolder:
    (tmp_path / "runs").mkdir()
    return make_fake_run(tmp_path / "runs" / "one")


def test_a_run_comes_back_from_its_file_as_it_was(run, tmp_path):
    (run.checkpoints / "last.ckpt").write_bytes(b"state")
    (run.path / "worker.txt").write_text("/home/somebody/secret")
    archive.export_run(run, tmp_path / "one.zip")
    archive.export_run(run, tmp_path / "all.zip", resumable=True)
    back = import_file(tmp_path / "one.zip", tmp_path / "runs" / "two")
    np.testing.assert_array_equal(back.edge_probabilities(), run.edge_probabilities())
    assert back.settings() == run.settings()
    assert back.evaluation() == run.evaluation()
    assert len(back.metrics()) == len(run.metrics())
    assert back.cells().cells.shape == run.cells().cells.shape
    assert not back.has("checkpoints/last.ckpt")
    assert import_file(tmp_path / "all.zip", tmp_path / "runs" / "three").has("checkpoints/last.ckpt")
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert not any(
            b"somewhere" in packed.read(name) for name in packed.namelist() if name.endswith(("json", "txt"))
        )
        assert not [name for name in packed.namelist() if "worker" in name]


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.txt",
        "../config.json",
        "/config.json",
        "/tmp/gpovae-evil.txt",
        "one/../../evil.json",
        "one/run.sh",
        "one/checkpoints/other.ckpt",
        "one/.lock",
        "one/inner.zip",
        "one/inner.json",
        "one/effects9.h5ad",
        "C:\\evil.json",
        "config.json",
    ],
)
def test_an_archive_with_what_no_run_has_is_refused_by_name(run, tmp_path, name):
    archive.export_run(run, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip", "a") as packed:
        packed.writestr(name, "evil")
    with pytest.raises((RunError, RoomError), match=re.escape(f"'{name}'")):
        import_file(tmp_path / "one.zip", tmp_path / "runs" / "two")
    names = {p.name for p in tmp_path.rglob("*")} | {p.name for p in tmp_path.parent.glob("*")}
    assert not names & {"evil.txt", "evil.json", "run.sh", "other.ckpt", "two"}
    assert not Path("/tmp/gpovae-evil.txt").exists()


def test_an_archive_packed_again_with_its_folders_is_still_a_run(run, tmp_path):
    archive.export_run(run, tmp_path / "one.zip", resumable=True)
    with zipfile.ZipFile(tmp_path / "one.zip") as old, zipfile.ZipFile(tmp_path / "two.zip", "w") as new:
        new.writestr("one/", "")
        new.writestr("one/checkpoints/", "")
        for name in old.namelist():
            new.writestr(name, old.read(name))
    import_file(tmp_path / "two.zip", tmp_path / "a" / "b" / "two").edge_probabilities()


def test_a_run_that_would_fill_the_disk_is_refused_before_anything_is_written(run, tmp_path, monkeypatch):
    archive.export_run(run, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as new:
        for name in ("config.json", "status.json"):
            new.writestr(name, b" " * 30_000_000)
    with pytest.raises(RoomError, match="more than 100 times"):
        import_file(tmp_path / "bomb.zip", tmp_path / "runs" / "two")
    monkeypatch.setenv("GPOVAE_KEEP_FREE_GB", "1e9")
    with pytest.raises(RoomError, match="kept free"):
        import_file(tmp_path / "one.zip", tmp_path / "runs" / "two")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["one"]


@pytest.mark.parametrize("damage", ["config", "status", "future", "cut"])
def test_a_damaged_archive_is_said_and_leaves_nothing_behind(run, tmp_path, damage):
    if damage == "config":
        (run.path / "config.json").write_text(
            '{"format": 1, "settings": {"loss": {"hops": -1}}, "source": {"path": "x"}}'
        )
    if damage == "future":
        config = json.loads((run.path / "config.json").read_text())
        (run.path / "config.json").write_text(json.dumps({**config, "format": 99}))
    archive.export_run(run, tmp_path / "one.zip")
    if damage == "status":
        with zipfile.ZipFile(tmp_path / "one.zip") as old, zipfile.ZipFile(tmp_path / "two.zip", "w") as new:
            for name in old.namelist():
                if not name.endswith("status.json"):
                    new.writestr(name, old.read(name))
        (tmp_path / "two.zip").replace(tmp_path / "one.zip")
    if damage == "cut":
        content = (tmp_path / "one.zip").read_bytes()
        (tmp_path / "one.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(GpoVaeError):
        import_file(tmp_path / "one.zip", tmp_path / "runs" / "two")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["one"]


@pytest.mark.parametrize(
    "name", ["", " ", "..", ".hidden", "a/b", "a\\b", "a\nb", "x" * 81, "CON", "nul.txt", "é", "-rf", "end."]
)
def test_names_that_a_run_cannot_have(run, name):
    with pytest.raises(RunError, match="cannot be called"):
        archive.rename(run, name)
    assert run.path.is_dir()


@pytest.mark.parametrize(
    "wish", ["<script>", "../../etc", "", "CON", "基因", "a" * 200, "one", "ONE", "-rf", "x\ny"]
)
def test_a_free_name_is_always_a_good_one(run, wish):
    name = archive.free_name(run.path.parent, wish)
    assert archive.check_run_name(name) == name
    assert name.casefold() != "one"


def test_rename_trash_and_back(run):
    renamed = archive.rename(run, "other name")
    assert RunFolder.open(renamed.path).name == "other name"
    make_fake_run(run.path)
    with pytest.raises(RunError, match="already"):
        archive.rename(RunFolder(run.path), "other name")
    archive.trash(renamed)
    (thrown,) = archive.in_trash(renamed.path.parent)
    make_fake_run(renamed.path)
    assert archive.restore(thrown).name == "other name 2"
    assert archive.in_trash(renamed.path.parent) == []


def test_a_run_at_work_is_neither_renamed_nor_deleted_nor_exported(run, tmp_path):
    import os

    run.write_status(state="training", pid=os.getpid())
    for action in (
        lambda: archive.rename(run, "x"),
        lambda: archive.trash(run),
        lambda: archive.export_run(run, tmp_path / "x.zip"),
    ):
        with pytest.raises(RunError, match="Stop it first"):
            action()
    assert run.path.is_dir()
