"""Checkpoints of others: their numbers are read, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from gpovae_core.errors import RunError
from gpovae_core.runs.tensors import read_tensors
from tests.conftest import shared_folder


class Hostile:
    """Would make a file as soon as it is unpickled."""

    def __init__(self, call, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def repacked(path: Path, content: bytes, extra: dict[str, bytes] | None = None) -> Path:
    """A zip as torch writes it, with this pickle in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in (extra or {}).items():
            archive.writestr(f"archive/{name}", data)
    return path


def test_every_kind_of_tensor_is_read_as_torch_wrote_it(tmp_path):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        whole=base,
        transposed=base.T,
        part=base[1:3, ::2],
        scalar=torch.tensor(3.5),
        empty=torch.zeros(0, 3),
        long=torch.arange(5),
        half=base.half(),
        brain=base.bfloat16(),
        double=base.double(),
        flags=base > 3,
        parameter=torch.nn.Parameter(base * 2),
    )
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "x.ckpt")
    found = read_tensors(tmp_path / "x.ckpt")
    assert set(found) == set(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(
            found[name], tensor.detach().float().numpy() if name == "brain" else tensor.detach().numpy()
        )


def test_the_released_checkpoint_gives_its_tensors():
    path = shared_folder("fixtures") / "released_checkpoint.ckpt"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    found = read_tensors(path)
    logits = found["loss_module.guide.param_dict.q_mask_logits"]
    w = 1 / (1 + np.exp(-logits))
    assert (w.shape, round(float(w.min()), 3), round(float(w.max()), 3)) == ((50, 50), 0.479, 0.507)
    np.testing.assert_array_equal(logits, found["predictor.guide.param_dict.q_mask_logits"])
    assert (found["D_obs_counts_train"] > 0).sum() == 30


HOSTILE_CALLS = {
    "os.system": lambda mark: Hostile(os.system, f"touch {mark}"),
    "eval": lambda mark: Hostile(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Hostile(exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Hostile(open, str(mark), "w"),
    "Path.touch": lambda mark: Hostile(Path.touch, mark),
    "pickle in pickle": lambda mark: Hostile(pickle.loads, pickle.dumps(Hostile(os.system, f"touch {mark}"))),
    "getattr chain": lambda mark: Hostile(getattr, Hostile(__import__, "os"), "system"),
}


@pytest.mark.parametrize("name", HOSTILE_CALLS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_would_run_code_runs_nothing(tmp_path, name, protocol):
    mark = tmp_path / "ran"
    content = pickle.dumps(
        {"state_dict": {"w": HOSTILE_CALLS[name](mark)}, "x": HOSTILE_CALLS[name](mark)}, protocol=protocol
    )
    with pytest.raises(RunError, match="holds no tensors"):
        read_tensors(repacked(tmp_path / "x.ckpt", content))
    assert not mark.exists()
    pickle.loads(content)  # the same bytes do run where they are trusted: the test is able to fail
    assert name == "getattr chain" or mark.exists()


def test_hostile_objects_beside_tensors_do_not_stand_in_the_way(tmp_path):
    mark = tmp_path / "ran"
    torch.save(
        {"state_dict": {"w": torch.eye(3)}, "hyper_parameters": Hostile(os.system, f"touch {mark}")},
        tmp_path / "x.ckpt",
    )
    np.testing.assert_array_equal(read_tensors(tmp_path / "x.ckpt")["w"], np.eye(3))
    assert not mark.exists()


def _window(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int = 4) -> bytes:
    """The pickle of a tensor that is a window on a storage of `count` floats."""

    class Writer(pickle._Pickler):
        def persistent_id(self, item: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", count) if item == "STORAGE" else None

    import io

    class Window:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, ("STORAGE", offset, shape, strides, False, OrderedDict())

    out = io.BytesIO()
    Writer(out, protocol=2).dump({"state_dict": {"w": Window()}})
    return out.getvalue()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2, 2), (4, 1)),
        (0, (1_000_000, 1_000_000), (0, 0)),
        (4, (1,), (1,)),
        (0, (2**40,), (0,)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path, offset, shape, strides):
    path = repacked(
        tmp_path / "x.ckpt", _window(offset, shape, strides), {"data/0": np.arange(4, dtype="<f4").tobytes()}
    )
    with pytest.raises(RunError, match=r"reaches beyond|would take"):
        read_tensors(path)


def test_a_window_inside_its_numbers_is_read(tmp_path):
    path = repacked(
        tmp_path / "x.ckpt", _window(1, (3,), (1,)), {"data/0": np.arange(4, dtype="<f4").tobytes()}
    )
    np.testing.assert_array_equal(read_tensors(path)["w"], [1, 2, 3])


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), id="picture"),
        pytest.param(lambda path: path.write_bytes(pickle.dumps({"state_dict": {}})), id="bare pickle"),
        pytest.param(lambda path: zipfile.ZipFile(path, "w").writestr("notes.txt", "hello"), id="other zip"),
        pytest.param(lambda path: repacked(path, b"\x80\x02}q\x00"), id="pickle cut off"),
        pytest.param(lambda path: repacked(path, b"garbage"), id="no pickle"),
        pytest.param(lambda path: repacked(path, _window(0, (4,), (1,))), id="numbers missing"),
        pytest.param(
            lambda path: repacked(path, _window(0, (4,), (1,)), {"data/0": b"\x00" * 7}), id="numbers cut off"
        ),
        pytest.param(lambda path: repacked(path, pickle.dumps([1, 2])), id="a list"),
    ],
)
def test_a_broken_checkpoint_is_said_in_words(tmp_path, make):
    make(tmp_path / "x.ckpt")
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        read_tensors(tmp_path / "x.ckpt")


def test_a_truncated_checkpoint_is_said_in_words(tmp_path):
    torch.save({"state_dict": {"w": torch.rand(50, 50)}}, tmp_path / "x.ckpt")
    content = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match="cut off"):
        read_tensors(tmp_path / "x.ckpt")
