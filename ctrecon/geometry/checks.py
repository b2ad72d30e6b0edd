"""Numbers as geometries take them: checked once, at construction, with the value and the remedy in the message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.support.arguments import shown
from ctrecon.support.arrays import Array

MAX_IMAGE_SIDE = 16384
MAX_DETECTOR_CELLS = 65536
MAX_VIEWS = 1_000_000
MAX_RAYS_PER_CELL = 1000
LARGEST = 1e9
SMALLEST = 1e-9
_PRINTED = 4


class PerView(tuple[Any, ...]):
    """One entry for each view: a tuple that prints in a few words and whose hash is computed once."""

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return known

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[type[PerView], tuple[tuple[Any, ...]]]:
        return type(self), (tuple(self),)

    def __repr__(self) -> str:
        if len(self) <= _PRINTED:
            return super().__repr__()
        if isinstance(self[0], float):
            return f"<{len(self)} from {self[0]:.6g} to {self[-1]:.6g}>"
        return f"<{len(self)} views>"


def positive(name: str, value: float) -> float:
    """A length as a float. Raises GeometryError unless it is a finite number > 0, and one that a scanner may have."""
    number = _number(name, value)
    if not math.isfinite(number) or number <= 0:
        raise GeometryError(f"{name} must be a finite number > 0, got {value!r}")
    if number < SMALLEST:  # less than an atom in mm; what is divided by it overflows later, unexplained
        raise GeometryError(f"{name} must be at least {SMALLEST:g}, got {number:g}; is it in another unit?")
    return _sensible(name, number)


def finite(name: str, value: float) -> float:
    """``value`` as a float. Raises GeometryError unless it is a finite number."""
    number = _number(name, value)
    if not math.isfinite(number):
        raise GeometryError(f"{name} must be finite, got {value!r}")
    return _sensible(name, number)


def _sensible(name: str, number: float) -> float:
    """No scanner has lengths of a thousand kilometres; squares of such numbers overflow later, unexplained."""
    if abs(number) > LARGEST:
        raise GeometryError(f"{name} must be at most {LARGEST:g}, got {number:g}; is it in another unit?")
    return number


def count(name: str, value: int, largest: int) -> int:
    """``value`` as an int. Raises GeometryError unless it is a whole number from 1 to ``largest``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= largest:
        raise GeometryError(f"{name} must be a whole number from 1 to {largest}, got {value!r}")
    return int(value)


def axis_column(column: float, cells: int) -> float:
    """Where the rotation axis projects to. Raises GeometryError unless it is a number from 0 to the last cell's."""
    known = isinstance(column, int | float | np.integer | np.floating) and not isinstance(column, bool)
    if not known or not 0 <= column <= cells - 1:
        raise GeometryError(f"the rotation axis must project to columns 0 to {cells - 1}, got {shown(column)}")
    return float(column)


def angles(values: Sequence[float] | Array, name: str = "angles_rad") -> PerView:
    """At least one finite angle, one per view. Raises GeometryError."""
    if isinstance(values, PerView):
        return values
    listed = _floats(name, values)
    if listed.ndim != 1 or listed.size == 0:
        raise GeometryError(f"{name} must be a list with at least one angle, got shape {listed.shape}")
    return _finite_views(name, listed)


def each_view(name: str, values: Sequence[Any] | Array, views: int | None = None, width: int = 1) -> PerView:
    """A number, or ``width`` of them, for each view.

    Args:
        name: the argument's name, for messages.
        values: ``[views]``, or ``[views, width]`` where ``width`` is more than 1.
        views: how many there must be; None takes any number of at least one.
        width: how many numbers a view has.

    Returns:
        Floats, or tuples of ``width`` floats, one for each view.

    Raises:
        GeometryError: for another shape, and for values that are not finite.
    """
    if isinstance(values, PerView) and len(values) == views:
        return values
    listed = _floats(name, values)
    many = len(listed) if views is None and listed.ndim else views
    if listed.shape != ((many,) if width == 1 else (many, width)) or not listed.size:
        each = "one number" if width == 1 else f"{width} numbers"
        whom = "each view" if views is None else f"each of the {views} views"
        raise GeometryError(f"{name} must have {each} for {whom}, got shape {listed.shape}")
    return _finite_views(name, listed)


def _floats(name: str, values: Any) -> Array:
    if np.ma.is_masked(values):
        raise GeometryError(f"{name} has masked values; state them, or drop these views of the scan, too")
    try:
        found = np.asarray(values.detach() if hasattr(values, "detach") else values)
        if found.dtype.kind not in "fiuO":  # NumPy would drop imaginary parts, and read texts, dates and truth values
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise GeometryError(f"{name} must be a list of numbers, one per view") from None


def _finite_views(name: str, listed: Array) -> PerView:
    if len(listed) > MAX_VIEWS:
        raise GeometryError(f"{name} has {len(listed)} views, more than {MAX_VIEWS}")
    bad = ~np.isfinite(listed)
    if bad.any():
        first = int(np.argwhere(bad)[0, 0])
        raise GeometryError(f"{name} holds {int(bad.sum())} values that are not finite, the first at view {first}")
    if (large := np.abs(listed) > LARGEST).any():
        first = int(np.argwhere(large)[0, 0])
        raise GeometryError(f"{name} holds {int(large.sum())} values beyond {LARGEST:g}, the first at view {first}")
    return PerView(listed.tolist() if listed.ndim == 1 else map(tuple, listed.tolist()))


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise GeometryError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise GeometryError(f"{name} must be a number below 1e308, got one of {len(str(value))} digits") from None
