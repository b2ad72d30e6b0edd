"""Corrections of what was measured, by name: a file in this folder is one, found by being here.

A correction is a function ``(scan, *, ...) -> Scan`` with its file's name: it changes values with the variance that
goes with them, or marks rays as missing, and leaves a scan without its fault (nearly) as it is.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache

from ctrecon.corrections._record import recorded
from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan
from ctrecon.support.folder import in_place, says


@cache
def all_corrections() -> dict[str, str]:
    """Every correction, in the order in which they are applied: by the ``PLACE`` of its file, without one at the end.

    Returns:
        What a person is told of it (the first line of its file), by name.
    """
    return {name: says(f"{__name__}.{name}")[0] for name in in_place(__name__)}


def load_correction(name: str) -> Callable[..., Scan]:
    """The function of a correction.

    Args:
        name: One of ``all_corrections``.

    Returns:
        From a scan, with numbers as keywords, to the corrected scan.

    Raises:
        SettingError: Where there is none of that name.
    """
    if name not in all_corrections():
        raise SettingError(f"there is no correction {name[:60]!r}; use {', '.join(all_corrections())}")
    function: Callable[..., Scan] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    return function


def parameters_of(name: str) -> dict[str, float | None]:
    """The numbers that a correction takes.

    Args:
        name: One of ``all_corrections``.

    Returns:
        Their defaults by name; None for one that it finds by itself or asks for.

    Raises:
        SettingError: Where there is none of that name.
    """
    signature = inspect.signature(load_correction(name)).parameters.values()
    return {p.name: p.default for p in signature if p.kind is p.KEYWORD_ONLY}


def parse_corrections(text: str) -> dict[str, dict[str, float]]:
    """Read corrections as the command line has them.

    Args:
        text: Such as ``rings,scatter:share=0.02``: names, each with numbers after colons.

    Returns:
        The numbers by name, in the order in which they are applied.

    Raises:
        SettingError: For an unknown name or number.
    """
    found: dict[str, dict[str, float]] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, *rest = part.split(":")
        known = parameters_of(name)
        if name in found:
            raise SettingError(f"the correction {name} is asked for twice; name it once")
        found[name] = {}
        for setting in rest:
            key, equals, value = setting.partition("=")
            if key not in known or not equals:
                takes = ", ".join(known) or "nothing"
                said = f"the correction {name} takes {takes}, not {setting[:60]!r}"
                raise SettingError(f"{said}; write {name}:KEY=NUMBER")
            try:
                found[name][key] = float(value)
            except ValueError:
                raise SettingError(f"{name}:{key} must be a number, got {value[:60]!r}") from None
            _check_finite(name, key, found[name][key])
    return {name: found[name] for name in all_corrections() if name in found}


def _check_finite(name: str, key: str, value: float) -> None:
    if not math.isfinite(value):
        raise SettingError(f"{name}:{key} must be a finite number, got {value}")


def corrected(scan: Scan, what: str | Mapping[str, Mapping[str, float]]) -> Scan:
    """The scan after the corrections that ``what`` names, with a note on each: what, by which numbers, on which data.

    Args:
        scan: What was measured.
        what: As for ``parse_corrections``, or what it gives.

    Returns:
        The corrected scan.

    Raises:
        SettingError: For an unknown correction, or a number that it cannot use.
        InputError: For a scan that a correction cannot be made of.
    """
    wanted = parse_corrections(what) if isinstance(what, str) else what
    for name, numbers in wanted.items():
        for key, value in numbers.items():
            _check_finite(name, key, value)
        scan = recorded(name, scan, load_correction(name)(scan, **numbers), {**parameters_of(name), **numbers})
    return scan
