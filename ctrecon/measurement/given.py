"""What a Python user hands over as an array, made plain: numbers of this machine in rows, or an error that helps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

LARGEST_VALUE, SMALLEST_VALUE = 1e30, 1e-30
"""Squares and sums of what is measured must stay far from overflow, in float64, and from vanishing."""

_DIMENSIONAL = {2: "two", 3: "three"}
_REMEDIES = {
    "c": "take its real part or its modulus",
    "b": "truth values are no measurement; convert it with .astype(numpy.float32) if they are",
    "O": "they are Python objects of any kind; make it an array of numbers",
    "V": "it is a structured array; choose one field",
    "M": "they are dates",
    "m": "they are durations",
    "S": "they are text; convert it with .astype(numpy.float64)",
    "U": "they are text; convert it with .astype(numpy.float64)",
}


def plain_floats(source: str, name: str, values: Any) -> Array:
    """Whatever holds float32 or float64 numbers as a NumPy array of them: C order, native bytes, writable.

    Taken are arrays of any strides and byte order, memory maps, read-only views, masked arrays without a masked value,
    torch tensors on any device (detached), nested lists of numbers, and all else with ``__array__``. An array that
    is plain already is not copied.

    Args:
        source: What the values belong to, for messages.
        name: What they are, for messages.
        values: What was handed over.

    Returns:
        The array; of lists float64.

    Raises:
        InputError: For other numbers, masked values, or what is no array at all, with its shape and the remedy.
    """
    found = as_array(source, name, values)
    if found.dtype.kind != "f" or found.dtype.itemsize not in (4, 8):
        remedy = _REMEDIES.get(found.dtype.kind, "convert it first, for example with .astype(numpy.float32)")
        raise InputError(
            f"{source}: the {name} must hold float32 or float64 numbers, got {found.dtype} of shape {found.shape}; "
            f"{remedy}"
        )
    found = np.ascontiguousarray(found, dtype=found.dtype.newbyteorder("=")).reshape(found.shape)
    # What only reads would not mind, but torch shares memory with writable arrays alone.
    return found if found.flags.writeable else found.copy()


def as_array(source: str, name: str, values: Any) -> Array:
    """Whatever holds an array, as one of NumPy's; of what it holds nothing is asked.

    Args:
        source: What the values belong to, for messages.
        name: What they are, for messages.
        values: As for ``plain_floats``.

    Returns:
        The array; of lists float64.

    Raises:
        InputError: For masked values, and for what is no array.
    """
    if np.ma.isMaskedArray(values):
        masked = int(np.ma.getmaskarray(values).sum())
        if masked:
            raise InputError(
                f"{source}: the {name} of shape {values.shape} has {masked} masked values, which have no place in a "
                "scan; fill them (.filled) and state a large variance for those rays, or drop their views"
            )
        values = values.data
    if hasattr(values, "detach"):
        values = _tensor(source, name, values)
    try:
        if isinstance(values, list | tuple):
            return np.asarray(values, dtype=np.float64)
        if hasattr(values, "__array__") or hasattr(values, "__array_interface__"):
            return np.asarray(values)
    except Exception as why:  # what is asked may be anybody's code, as of a device that is gone
        raise InputError(
            f"{source}: the {name} cannot be made an array ({str(why)[:120]}); give rows of numbers, equally long"
        ) from None
    raise InputError(f"{source}: the {name} must be an array of float32 or float64, got {type(values).__name__}")


def _tensor(source: str, name: str, values: Any) -> Any:
    try:
        return values.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as why:
        kind = str(getattr(values, "dtype", type(values).__name__))
        if not getattr(values, "is_nested", False):  # such a one has no shape
            kind += f", shape {tuple(values.shape)}"
        raise InputError(
            f"{source}: the {name} is a tensor ({kind}) that has no NumPy form "
            f"({str(why)[:120]}); make it a dense tensor of torch.float32 or float64"
        ) from None


def check_values(
    source: str, name: str, values: Array, shape: tuple[int, ...] | None, axes: tuple[str, ...]
) -> None:
    """Raises InputError unless ``values`` have these axes, are not empty, finite, and of ``shape`` where given."""
    if values.ndim != len(axes) or 0 in values.shape:
        raise InputError(
            f"{source}: the {name} must be {_DIMENSIONAL[len(axes)]}-dimensional, [{', '.join(f'{a}s' for a in axes)}] "
            f"with at least one of each, got shape {values.shape}; reshape or cut it"
        )
    if shape is not None and values.shape != shape:
        raise InputError(f"{source}: the {name} has shape {values.shape}, the sinogram {shape}; they must agree")
    bad = ~np.isfinite(values)
    if bad.any():
        first = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise InputError(
            f"{source}: the {name} holds {int(bad.sum())} values that are not finite (NaN or Inf), the first at "
            f"{', '.join(f'{axis} {at}' for axis, at in zip(axes, first, strict=True))}; replace them or drop those "
            f"{axes[0]}s"
        )
    largest = float(np.abs(values).max())
    if largest > LARGEST_VALUE or (name == "sinogram" and 0 < largest < SMALLEST_VALUE):
        what = f"holds {largest:.3g} at most, which nothing measures"
        raise InputError(f"{source}: the {name} {what}; check the file's format")
