"""Which class of geometries a name in JSON leads to."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TypeVar

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.support.folder import members

Kind = TypeVar("Kind", bound=type[Geometry])

_REGISTERED: dict[str, type[Geometry]] = {}
_HERE = "ctrecon.geometry"


def geometries() -> dict[str, type[Geometry]]:
    """Every geometry that JSON may name: those of the files of this folder, found by being here, and registered ones.

    Returns:
        The classes by their ``kind``.
    """
    _import_all()
    return _REGISTERED


@cache
def _import_all() -> None:
    for name in members(_HERE):
        importlib.import_module(f"{_HERE}.{name}")


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
    other = _REGISTERED.get(name, geometry)
    # The same class written once more, as a notebook's cell does that is run again, takes its own place.
    if (other.__module__, other.__qualname__) != (geometry.__module__, geometry.__qualname__):
        raise GeometryError(f"the geometry {name!r} is {other.__name__} already; choose another kind")
    _REGISTERED[name] = geometry
    return geometry
