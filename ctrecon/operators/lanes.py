"""Vector instructions over the images of a batch, for numba kernels.

A projector looks up where a ray passes once and needs the answer for every image of a batch. So a batch is stored with
its images innermost, ``[..., LANES]``, and one vector instruction serves them all. numba's own vectoriser will not do
this (the positions it reads from and writes to might overlap), hence the few lines of LLVM below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from ctrecon.operators.threads import split

Array = npt.NDArray[Any]

WIDE = 16
NARROW = 4


def batches(count: int) -> Iterator[tuple[slice, int]]:
    """Cut a batch into pieces and say how many lanes each takes: 1, ``NARROW`` or ``WIDE``; the last may be padded."""
    at = 0
    while at < count:
        left = count - at
        # Two narrow passes cost about as much as a wide one half empty.
        lanes = 1 if left == 1 else NARROW if left <= 2 * NARROW else WIDE
        yield slice(at, min(at + lanes, count)), lanes
        at += lanes


def to_lanes(batch: Array, lanes: int, *, before: int = 0, after: int = 0) -> Array:
    """``[batch, rows, columns] -> [rows, before + columns + after, lanes]``, filled up with zeros."""
    count, rows, columns = batch.shape
    out = np.zeros((rows, before + columns + after, lanes), dtype=batch.dtype)
    inner = np.moveaxis(out[:, before : before + columns, :count], -1, 0)

    def copy(a: int, b: int) -> None:
        inner[:, a:b] = batch[:, a:b]

    split(rows, copy)
    return out


def from_lanes(stacked: Array, out: Array) -> None:
    """Write ``stacked`` ``[rows, columns, lanes]`` into ``out`` ``[batch, rows, columns]``; spare lanes are left."""
    inner = np.moveaxis(stacked[..., : out.shape[0]], -1, 0)

    def copy(a: int, b: int) -> None:
        out[:, a:b] = inner[:, a:b]

    split(out.shape[1], copy)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, index_type: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    position = context.cast(builder, index, index_type, types.intp)
    return builder.bitcast(
        builder.gep(data, [builder.mul(position, ir.Constant(position.type, vector.count))]), vector.as_pointer()
    )


def _splat(builder: Any, value: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


def _fma(builder: Any, vector: Any, bits: int) -> Any:
    kind = ir.FunctionType(vector, [vector] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{vector.count}f{bits}")


def _vector(array_type: Any, count: int) -> Any:
    return ir.VectorType(ir.FloatType() if array_type.dtype.bitwidth == 32 else ir.DoubleType(), count)


@intrinsic
def gather_add(
    typing: Any, out: Any, i: Any, source: Any, k: Any, low: Any, high: Any, lanes: Any
) -> Any:
    """``out[i, :] += low * source[k, :] + high * source[k + 1, :]``.

    ``out`` and ``source`` are contiguous with the lanes innermost, ``i`` and ``k`` count cells of lanes from their
    starts; ``lanes`` is any tuple with one entry a lane, so that its length is known when compiling.
    """
    weight = out.dtype

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        vector = _vector(kinds[0], kinds[6].count)
        target = _pointer(context, builder, kinds[0], args[0], args[1], kinds[1], vector)
        here = _pointer(context, builder, kinds[2], args[2], args[3], kinds[3], vector)
        there = builder.gep(here, [ir.Constant(ir.IntType(64), 1)])
        fma, align = _fma(builder, vector, weight.bitwidth), weight.bitwidth // 8
        total = builder.load(target, align=align)
        total = builder.call(fma, [_splat(builder, args[4], vector), builder.load(here, align=align), total])
        total = builder.call(fma, [_splat(builder, args[5], vector), builder.load(there, align=align), total])
        builder.store(total, target, align=align)
        return context.get_dummy_value()

    return types.void(out, i, source, k, weight, weight, lanes), codegen


@intrinsic
def scatter_add(
    typing: Any, out: Any, k: Any, source: Any, i: Any, low: Any, high: Any, lanes: Any
) -> Any:
    """The transpose of ``gather_add``: ``out[k, :] += low * source[i, :]`` and ``out[k + 1, :] += high * ...``."""
    weight = out.dtype

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        vector = _vector(kinds[0], kinds[6].count)
        here = _pointer(context, builder, kinds[0], args[0], args[1], kinds[1], vector)
        there = builder.gep(here, [ir.Constant(ir.IntType(64), 1)])
        fma, align = _fma(builder, vector, weight.bitwidth), weight.bitwidth // 8
        value = builder.load(_pointer(context, builder, kinds[2], args[2], args[3], kinds[3], vector), align=align)
        for target, factor in ((here, args[4]), (there, args[5])):
            total = builder.load(target, align=align)
            builder.store(builder.call(fma, [_splat(builder, factor, vector), value, total]), target, align=align)
        return context.get_dummy_value()

    return types.void(out, k, source, i, weight, weight, lanes), codegen


def tag(lanes: int) -> tuple[int, ...]:
    """The tuple that tells a kernel how many lanes it works on."""
    return (0,) * lanes


