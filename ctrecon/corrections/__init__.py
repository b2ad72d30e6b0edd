"""Corrections of what was measured, by name: one line here and one file in this folder make a new one.

A correction is a function ``(scan, *, ...) -> Scan``: it changes values with the variance that goes with them, or
marks rays as missing, and leaves a scan without its fault (nearly) as it is. They are applied in the order of
``CORRECTIONS``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping

from ctrecon.corrections.record import recorded
from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan

CORRECTIONS: dict[str, tuple[str, str]] = {
    "saturation": ("saturation", "Leave out rays at the ceiling or the floor of the detector's range."),
    "dead": ("dead_cells", "Leave out cells that are dead, hot or far noisier than all others."),
    "zingers": ("zingers", "Leave out single rays that stand out from all their neighbours."),
    "scatter": ("scatter", "Take off scattered photons, a share of the open beam."),
    "flicker": ("flicker", "Level the views by the air at both ends of the detector."),
    "rings": ("rings", "Take out stripes of single cells, which draw rings (N. T. Vo's set)."),
    "hardening": ("hardening", "Straighten line integrals of a beam that hardens, by a polynomial."),
    "bimodal": ("bimodal", "Straighten line integrals of a beam that hardens, by a soft and a hard energy."),
    "metal": ("metal", "Leave out rays through metal."),
    "nmar": ("nmar", "Replace rays through metal by those of a body without it (normalised interpolation)."),
    "truncation": ("truncation", "Widen a detector that does not see all of the object, by cells that are missing."),
}
"""Every correction by name: the function in the file of that name, and what a person is told."""


def load_correction(name: str) -> Callable[..., Scan]:
    """The function of a correction.

    Args:
        name: One of ``CORRECTIONS``.

    Returns:
        From a scan, with numbers as keywords, to the corrected scan.

    Raises:
        SettingError: Where there is none of that name.
    """
    if name not in CORRECTIONS:
        raise SettingError(f"there is no correction {name[:60]!r}; use {', '.join(CORRECTIONS)}")
    function: Callable[..., Scan] = getattr(importlib.import_module(f"{__name__}.{name}"), CORRECTIONS[name][0])
    return function


def parameters_of(name: str) -> dict[str, float | None]:
    """The numbers that a correction takes.

    Args:
        name: One of ``CORRECTIONS``.

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
    return {name: found[name] for name in CORRECTIONS if name in found}


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
        scan = recorded(name, scan, load_correction(name)(scan, **numbers), {**parameters_of(name), **numbers})
    return scan
