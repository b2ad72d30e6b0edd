"""Which class of geometries a name in JSON leads to."""

from __future__ import annotations

from typing import TypeVar

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry

Kind = TypeVar("Kind", bound=type[Geometry])

GEOMETRIES: dict[str, type[Geometry]] = {}
"""Every geometry that JSON may name."""


def register(geometry: Kind) -> Kind:
    """Let JSON files name a class of geometries by its ``kind``; serves as a decorator.

    Args:
        geometry: The class, a frozen dataclass with a kind and a title.

    Returns:
        The same class.

    Raises:
        GeometryError: for a class that is not a frozen dataclass, and for a name that another class has.
    """
    name = getattr(geometry, "kind", None)
    frozen = bool(getattr(getattr(geometry, "__dataclass_params__", None), "frozen", False))
    if not isinstance(name, str) or not frozen or not hasattr(geometry, "title"):
        raise GeometryError(f"{geometry.__name__} must be a frozen dataclass with a kind and a title")
    other = GEOMETRIES.get(name, geometry)
    # The same class written once more, as a notebook's cell does that is run again, takes its own place.
    if (other.__module__, other.__qualname__) != (geometry.__module__, geometry.__qualname__):
        raise GeometryError(f"the geometry {name!r} is {other.__name__} already; choose another kind")
    GEOMETRIES[name] = geometry
    return geometry
