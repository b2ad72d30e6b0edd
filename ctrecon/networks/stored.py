"""What every stored network has: a name for its architecture, and a shape, checked before anything is built from it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from torch import nn

from ctrecon.errors import SettingError

_MOST = 4096


class StoredNetwork(nn.Module):
    """``kind`` names the architecture in a file; ``Shape`` describes one of its networks, which has it as ``shape``.

    A ``Shape`` is a frozen dataclass of counts, flags and tuples of counts with defaults, which calls ``check_counts``,
    and has ``least_numbers``: at least so many numbers are in the weights, so a file that holds fewer does not fit.
    """

    kind: ClassVar[str]
    Shape: ClassVar[type[Any]]
    shape: Any


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
