"""Vector instructions over the images of a batch, for numba kernels.

numba's own vectoriser will not do this (the positions it reads from and writes to might overlap), hence the few lines
of LLVM below. Loading numba takes as long as a small reconstruction, so only kernels import this file, and only what
needs kernels imports those, when it first runs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _pointer(
    context: Any, builder: Any, array_type: Any, array: Any, index: Any, index_type: Any, vector: Any, stride: int
) -> Any:
    """Where the vector begins ``stride * index`` elements into a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    position = context.cast(builder, index, index_type, types.intp)
    place = builder.gep(data, [builder.mul(position, ir.Constant(position.type, stride))])
    return builder.bitcast(place, vector.as_pointer())


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
def gather_add(typing: Any, out: Any, i: Any, source: Any, k: Any, low: Any, high: Any, lanes: Any) -> Any:
    """``out[i, :] += sum_j low[j] * source[k[j], :] + high[j] * source[k[j] + 1, :]``.

    ``out`` and ``source`` are contiguous with the lanes innermost; ``i`` and ``k[j]`` count cells of lanes from their
    starts. ``k``, ``low`` and ``high`` are tuples of one length. ``lanes`` is any tuple with one entry a lane, so that
    its length is known when compiling.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, unpack = signature.args, partial(cgutils.unpack_tuple, builder)
        vector, align = _vector(kinds[0], kinds[6].count), kinds[0].dtype.bitwidth // 8
        fma = _fma(builder, vector, kinds[0].dtype.bitwidth)
        target = _pointer(context, builder, kinds[0], args[0], args[1], kinds[1], vector, vector.count)
        total = builder.load(target, align=align)
        for where, *factors in zip(unpack(args[3]), unpack(args[4]), unpack(args[5]), strict=True):
            here = _pointer(context, builder, kinds[2], args[2], where, kinds[3].dtype, vector, vector.count)
            there = builder.gep(here, [ir.Constant(ir.IntType(64), 1)])
            for place, factor in zip((here, there), factors, strict=True):
                total = builder.call(fma, [_splat(builder, factor, vector), builder.load(place, align=align), total])
        builder.store(total, target, align=align)
        return context.get_dummy_value()

    weights = types.UniTuple(out.dtype, k.count)
    return types.void(out, i, source, k, weights, weights, lanes), codegen


@intrinsic
def scatter_add(typing: Any, out: Any, k: Any, source: Any, i: Any, low: Any, high: Any, lanes: Any) -> Any:
    """The transpose: ``out[k[j], :] += low[j] * source[i, :]`` and ``out[k[j] + 1, :] += high[j] * source[i, :]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, unpack = signature.args, partial(cgutils.unpack_tuple, builder)
        vector, align = _vector(kinds[0], kinds[6].count), kinds[0].dtype.bitwidth // 8
        fma = _fma(builder, vector, kinds[0].dtype.bitwidth)
        there = _pointer(context, builder, kinds[2], args[2], args[3], kinds[3], vector, vector.count)
        value = builder.load(there, align=align)
        for where, *factors in zip(unpack(args[1]), unpack(args[4]), unpack(args[5]), strict=True):
            here = _pointer(context, builder, kinds[0], args[0], where, kinds[1].dtype, vector, vector.count)
            there = builder.gep(here, [ir.Constant(ir.IntType(64), 1)])
            for place, factor in zip((here, there), factors, strict=True):
                total = builder.call(fma, [_splat(builder, factor, vector), value, builder.load(place, align=align)])
                builder.store(total, place, align=align)
        return context.get_dummy_value()

    weights = types.UniTuple(out.dtype, k.count)
    return types.void(out, k, source, i, weights, weights, lanes), codegen


@intrinsic
def pair_add(typing: Any, out: Any, k: Any, low: Any, high: Any) -> Any:
    """``out[k] += low; out[k + 1] += high`` for a flat array, as one addition of two lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        vector, align = _vector(kinds[0], 2), kinds[0].dtype.bitwidth // 8
        place = _pointer(context, builder, kinds[0], args[0], args[1], kinds[1], vector, 1)
        both = ir.Constant(vector, ir.Undefined)
        for j in range(2):
            both = builder.insert_element(both, args[2 + j], ir.Constant(ir.IntType(32), j))
        builder.store(builder.fadd(builder.load(place, align=align), both), place, align=align)
        return context.get_dummy_value()

    return types.void(out, k, out.dtype, out.dtype), codegen
