"""What of a scan is neither array nor geometry, as JSON: the entry ``scan`` of a sidecar and of an ``.npz`` file.

Every field of ``Scan`` that is not named here as something else goes this way, so a new field is kept or is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan

ARRAYS = ("sinogram", "variance", "mask", "counts", "white")
ELSEWHERE = (*ARRAYS, "matrix", "geometry", "grid", "source")
"""Fields with a place of their own; ``source`` is the file that is read."""
FACTS = tuple(field.name for field in fields(Scan) if field.name not in ELSEWHERE)
_LONGEST_TEXT, _MOST_ENTRIES = 10_000, 1000


def facts_of(scan: Scan) -> dict[str, Any]:
    """The fields that are numbers and texts, as JSON knows them."""
    plain = {name: getattr(scan, name) for name in FACTS}
    return plain | {"notes": list(scan.notes), "study": dict(scan.study)}


def read_facts(where: str, values: Any) -> dict[str, Any]:
    """The fields again, those that are stated.

    Args:
        where: The file, for messages.
        values: What JSON gave.

    Raises:
        InputError: For what ``facts_of`` would not write.
    """
    if not isinstance(values, Mapping):
        raise InputError(f'{where}: "scan" must be a JSON object, got {type(values).__name__}')
    unknown = sorted(str(key) for key in set(values) - set(FACTS))
    if unknown:
        raise InputError(f'{where}: unknown entry {unknown[0]!r} in "scan"; known are {", ".join(FACTS)}')
    found = {}
    for name, value in values.items():
        try:
            found[name] = _READERS[name](value)
        except ValueError as why:
            raise InputError(f'{where}: "{name}" in "scan" {why}, got {str(value)[:80]!r}') from None
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("must be a finite number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"must be a text of at most {_LONGEST_TEXT} characters")
    return value


def _or_nothing(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else reader(value)


def _shape(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(side) is int and side > 0 for side in value)
    if not whole or len(value) not in (2, 3):
        raise ValueError("must be two whole numbers, rows and columns, of a volume slices before them")
    return tuple(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
        raise ValueError(f"must be a list of at most {_MOST_ENTRIES} texts")
    return tuple(_text(one) for one in value)


def _named_texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > _MOST_ENTRIES:
        raise ValueError(f"must be an object of at most {_MOST_ENTRIES} texts")
    return {_text(name): _text(text) for name, text in value.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "whitened_mean": _number,
    "whitened_spread": _number,
    "image_shape": _or_nothing(_shape),
    "length_unit": _text,
    "water_mu_per_mm": _or_nothing(_number),
    "patient_position": _text,
    "study": _named_texts,
    "z_mm": _or_nothing(_number),
    "slice_mm": _or_nothing(_number),
    "kvp": _or_nothing(_number),
    "notes": _texts,
}
