"""What every stored architecture is described by: a frozen dataclass of whole numbers, checked before it is built."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Protocol

from torch import Tensor

from ctrecon.errors import SettingError

_MOST = 4096


class Shape(Protocol):
    """Whole numbers, flags, and tuples of whole numbers; a description of a network, not yet its memory."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def least_numbers(self) -> int:
        """At least so many numbers are in its weights, so a file that holds fewer does not fit it."""
        ...


class Network(Protocol):
    """An architecture that can be stored: ``kind`` is its name in the file, ``Shape`` describes one of its networks."""

    kind: ClassVar[str]
    Shape: ClassVar[type[Any]]

    @property
    def shape(self) -> Any: ...
    def __call__(self, x: Tensor) -> Tensor: ...


def check_counts(shape: Any) -> None:
    """Raise SettingError unless every field holds what its default is: a flag, a count, or so many counts."""
    for field in fields(shape):
        value, example = getattr(shape, field.name), field.default
        if isinstance(example, bool):
            good = isinstance(value, bool)
        elif isinstance(example, tuple):
            good = isinstance(value, tuple) and len(value) == len(example) and all(map(_is_count, value))
        else:
            good = _is_count(value)
        if not good:
            raise SettingError(f"{field.name} is {str(value)[:40]!r}, which no network here has")


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST
