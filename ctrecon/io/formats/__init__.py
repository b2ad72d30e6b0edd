"""Formats of scanners and collections that are more than named arrays: a file in this folder is one, by being here.

Such a file has two functions: ``takes(path)`` says whether a file or folder is of this format, from its name and what
lies beside it; ``read(path, ask)`` reads it or refuses it. Its constant ``NAME`` is what a person is told, ``PLACE``
says when it is asked (the first that takes a path reads it), and ``VOLUMES = True`` that ``read`` can give all detector
rows together, and add cells up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ctrecon.io.ask import Ask
from ctrecon.io.measured import Measured
from ctrecon.support.folder import in_place


@dataclass(frozen=True)
class Format:
    """What a file of this folder offers: see above."""

    name: str
    takes: Callable[[Path], bool]
    read: Callable[[Path, Ask], Measured]
    volumes: bool = False


@cache
def all_formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are asked."""
    found = (importlib.import_module(f"{__name__}.{name}") for name in in_place(__name__))
    return tuple(Format(one.NAME, one.takes, one.read, getattr(one, "VOLUMES", False)) for one in found)


def format_of(path: Path) -> Format | None:
    """The format that takes ``path``, None where none does."""
    return next((one for one in all_formats() if one.takes(path)), None)
