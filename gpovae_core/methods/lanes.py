"""The same number of LANES targets as one value of compiled code, so that the processor adds or multiplies
them at once: numba's own loops are too short for that where LANES numbers are all there is.

Arithmetic is written as that of a single number; what a lane holds never depends on the others.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, extending
from numba.core.extending import models, overload, register_model

LANES = 8
"""Targets that are worked on side by side."""

intrinsic: Any = extending.intrinsic  # what it makes of a function takes other arguments
_njit: Any = njit


def loop(inline: bool = False) -> Any:
    """Compiles a function that makes no array. numba counts who holds an array each time that it comes out of
    a tuple or into a function, which takes longer than what is done with LANES numbers; here it does not.
    inline: a copy of it stands wherever it is called.
    """
    return _njit(cache=True, nogil=True, _nrt=False, forceinline=inline)


_DOUBLES, _INTEGERS = (ir.VectorType(kind, LANES) for kind in (ir.DoubleType(), ir.IntType(64)))


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _DOUBLES)


def _place(context: Any, builder: Any, signature: Any, array: Any, at: Any) -> Any:
    """Where element `at` of a flat array of doubles lies, as that of a vector."""
    held = context.make_array(signature.args[0])(context, builder, array)
    at = context.cast(builder, at, signature.args[1], types.intp)
    return builder.bitcast(builder.gep(held.data, [at]), _DOUBLES.as_pointer())


@intrinsic
def load(typing: Any, array: Any, at: Any) -> Any:
    """The LANES numbers from element `at` of a flat array on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args[0], args[1])
        return builder.load(place, align=8)

    return _lanes(array, at), generate


@intrinsic
def store(typing: Any, array: Any, at: Any, values: Any) -> Any:
    """Writes them there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, signature, args[0], args[1]), align=8)
        return context.get_dummy_value()

    return types.void(array, at, values), generate


def _spread(builder: Any, value: Any, kind: Any = _DOUBLES) -> Any:
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


@intrinsic
def spread(typing: Any, value: Any) -> Any:
    """The same number in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return _lanes(types.float64), generate


def _of_two(name: str) -> Any:
    @intrinsic
    def found(typing: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(*args)

        return _lanes(one, other), generate

    return found


_plus, _minus, _times, _over = (_of_two(name) for name in ("fadd", "fsub", "fmul", "fdiv"))


def _operator(which: Callable[..., Any], of_lanes: Any) -> None:
    @overload(which, strict=False)
    def found(one: Any, other: Any) -> Any:
        if one is _lanes and other is _lanes:
            return lambda one, other: of_lanes(one, other)
        if one is _lanes and isinstance(other, types.Float):
            return lambda one, other: of_lanes(one, spread(other))
        if other is _lanes and isinstance(one, types.Float):
            return lambda one, other: of_lanes(spread(one), other)
        return None


for _which, _of_lanes in (
    (operator.add, _plus),
    (operator.sub, _minus),
    (operator.mul, _times),
    (operator.truediv, _over),
):
    _operator(_which, _of_lanes)


def _by_llvm(name: str) -> Any:
    @intrinsic
    def found(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(_DOUBLES, [_DOUBLES])
            function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")
            return builder.call(function, args)

        return _lanes(value), generate

    return found


root, size = _by_llvm("sqrt"), _by_llvm("fabs")


@intrinsic
def where_over(typing: Any, one: Any, other: Any, then: Any, otherwise: Any) -> Any:
    """Lane by lane `then` where `one` is over `other`, else `otherwise`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return _lanes(one, other, then, otherwise), generate


@intrinsic
def any_over(typing: Any, one: Any, other: Any) -> Any:
    """Whether `one` is over `other` in any lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        over = builder.bitcast(builder.fcmp_ordered(">", args[0], args[1]), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", over, ir.IntType(LANES)(0))

    return types.boolean(one, other), generate


@intrinsic
def _two_to(typing: Any, shifted: Any) -> Any:
    """2 to the whole number that was added to _SHIFT."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _INTEGERS)
        bias, places = (_spread(builder, ir.IntType(64)(each), _INTEGERS) for each in (1023, 52))
        return builder.bitcast(builder.shl(builder.add(bits, bias), places), _DOUBLES)

    return _lanes(shifted), generate


_SHIFT = 1.5 * 2.0**52  # the last bits of a double near it are those of a whole number
_PER_DOUBLING = 1 / np.log(2.0)
_DOUBLING, _ITS_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # log 2 in two parts


@loop(inline=True)
def falling(q: Any) -> Any:
    """exp(-q) of lanes from 0 to 700, larger ones as 700; within 1e-15 of itself."""
    x = spread(0.0) - where_over(q, spread(700.0), spread(700.0), q)
    shifted = x * _PER_DOUBLING + _SHIFT
    whole = shifted - _SHIFT
    r = (x - whole * _DOUBLING) - whole * _ITS_REST
    series = spread(1 / 479001600.0)  # of exp, up to r**12
    series = series * r + 1 / 39916800.0
    series = series * r + 1 / 3628800.0
    series = series * r + 1 / 362880.0
    series = series * r + 1 / 40320.0
    series = series * r + 1 / 5040.0
    series = series * r + 1 / 720.0
    series = series * r + 1 / 120.0
    series = series * r + 1 / 24.0
    series = series * r + 1 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    series = series * r + 1.0
    return series * _two_to(shifted)
