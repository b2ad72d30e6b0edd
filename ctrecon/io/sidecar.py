"""The JSON file beside a sinogram that says how it was measured (``docs/units.md``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.io.facts import read_facts
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import reason
from ctrecon.support.plain_file import whole_file

_LARGEST = 64 * 2**20
_ARRAYS = ("sinogram", "variance", "mask", "counts", "white", "dark")
_BAD = ("bad_columns", "bad_views")


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """The entry ``arrays``: where the values are, for files whose names say nothing.

    Each value is a variable of the data file, ``FILE:VARIABLE`` of a file beside it, or ``FILE.npy``.
    """

    sinogram: str | None = None
    variance: str | None = None
    mask: str | None = None
    counts: str | None = None
    white: str | None = None
    dark: str | None = None
    detectors_first: bool = False
    electronic_sigma: float = 0.0
    gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What one JSON file says. ``geometry`` is the object without the other entries; None where nothing is left.

    ``facts`` are other fields of the scan, the entry ``scan``. ``bad_columns`` (detector cells) and ``bad_views`` are
    numbers from 0: rays that are missing.
    """

    path: Path
    geometry: dict[str, Any] | None
    arrays: Arrays | None
    facts: dict[str, Any]
    bad_columns: tuple[int, ...] = ()
    bad_views: tuple[int, ...] = ()

    def read_geometry(self, detector_count: int) -> tuple[Geometry, Grid | None]:
        """Raises InputError that names this file."""
        assert self.geometry is not None
        try:
            return geometry_from_dict(self.geometry, detector_count=detector_count)
        except CtreconError as error:
            raise InputError(f"{self.path}: {error}") from None


def find_sidecar(data: Path, geometry_file: Path | None) -> Sidecar | None:
    """``geometry_file`` where given, else ``NAME.json`` beside ``NAME.suffix`` where there is one.

    Raises InputError for a file that is missing, too large, or not a JSON object of the format.
    """
    path = data.with_suffix(".json") if geometry_file is None else geometry_file
    if not path.is_file():
        if geometry_file is None:
            return None
        raise InputError(f"{path}: there is no such file; give --geometry the JSON file of docs/units.md")
    try:
        values = parse_json(whole_file(path, _LARGEST).decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON text ({reason(error)}); docs/units.md shows the format") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: must hold a JSON object, not a {type(values).__name__}; docs/units.md shows it")
    values.pop("raw", None)  # of ``raw.py``
    arrays = None if "arrays" not in values else _arrays(path, values.pop("arrays"))
    facts = read_facts(str(path), values.pop("scan", {}))
    bad = {name: _numbers(path, name, values.pop(name, [])) for name in _BAD}
    return Sidecar(path=path, geometry=values or None, arrays=arrays, facts=facts, **bad)


def read_geometry_file(path: Path) -> tuple[Geometry, Grid | None]:
    """The geometry of a JSON file that must be there, with the grid where it names one. Raises InputError."""
    sidecar = find_sidecar(path, path)
    assert sidecar is not None  # a named file is found, or the reason why not is raised
    try:
        return geometry_from_dict(sidecar.geometry or {})
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None


def _numbers(path: Path, name: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise InputError(f'{path}: "{name}" must be a list of whole numbers, counted from 0, got {str(values)[:80]!r}')
    return tuple(values)


def _arrays(path: Path, values: Any) -> Arrays:
    known = (*_ARRAYS, "detectors_first", "electronic_sigma", "gain")
    if not isinstance(values, dict):
        raise InputError(f'{path}: "arrays" must be an object with entries of {", ".join(known)}')
    unknown = sorted(str(key) for key in set(values) - set(known))
    if unknown:
        raise InputError(f'{path}: unknown entry {unknown[0]!r} in "arrays"; known are {", ".join(known)}')
    for key in _ARRAYS:
        if key in values and not (isinstance(values[key], str) and values[key]):
            raise InputError(f'{path}: "{key}" in "arrays" must be the name of a variable, got {values[key]!r}')
    if not isinstance(values.get("detectors_first", False), bool):
        raise InputError(f'{path}: "detectors_first" must be true or false, got {values["detectors_first"]!r}')
    for key in ("electronic_sigma", "gain"):
        if isinstance(values.get(key, 0.0), bool) or not isinstance(values.get(key, 0.0), int | float):
            raise InputError(f'{path}: "{key}" must be a number, got {values[key]!r}')
    if ("sinogram" in values) == ("counts" in values):
        raise InputError(f'{path}: "arrays" must name either a "sinogram" or "counts"')
    if "counts" in values and "white" not in values:
        raise InputError(f'{path}: "counts" in "arrays" need a "white" field beside them')
    return Arrays(**values)
