"""A device that computes on the CPU and is not it: tensors on it refuse to meet tensors that lie on the CPU,
as those of a GPU do. For tests of where tensors are made, on machines without a GPU.

torch's device "meta" lends its name; the values are real.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")

_aten: Any = torch.ops.aten
_INDEXES = (_aten.index.Tensor, _aten.index_put_.default, _aten._index_put_impl_.default)
"""May be given positions that lie on the CPU."""
_MOVES = (_aten._to_copy.default, _aten.copy_.default)


class Elsewhere(torch.Tensor):
    """A tensor of that device; `here` holds its values."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> Elsewhere:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=DEVICE
        )

    def __init__(self, here: torch.Tensor) -> None:
        self.here = here

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Elsewhere({self.here})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class OnIt(TorchDispatchMode):
    """While it holds, tensors that are asked for on the device are made there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The answer of an operation; RuntimeError where tensors of both devices meet in it."""
    asked = kwargs.get("device")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    if any(there) and func not in _MOVES:
        for tensor, is_there in zip(tensors, there, strict=True):
            if not is_there and tensor.dim() and not (func in _INDEXES and not tensor.is_floating_point()):
                raise RuntimeError(f"{func}: a tensor on the CPU {tuple(tensor.shape)} meets one elsewhere")
    on_it = any(there) if asked is None else torch.device(asked) == DEVICE
    if func is _aten.copy_.default:
        on_it = there[0]
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    answer = func(*tree_map(_here, args), **tree_map(_here, kwargs))
    if "out" in kwargs:
        return kwargs["out"]
    if func._schema.is_mutable and args and isinstance(args[0], torch.Tensor):
        return args[0]
    return tree_map(lambda value: _there(value) if on_it else value, answer)


def _there(value: Any) -> Any:
    return Elsewhere(value) if isinstance(value, torch.Tensor) else value


def _here(value: Any) -> Any:
    return value.here if isinstance(value, Elsewhere) else value


def moved(module: torch.nn.Module) -> torch.nn.Module:
    """The module itself, its weights and buffers now on the device."""
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            own = torch.nn.Parameter(Elsewhere(weight.detach()), requires_grad=weight.requires_grad)
            part._parameters[name] = own
        for name, values in part.named_buffers(recurse=False):
            part._buffers[name] = Elsewhere(values)
    return module
