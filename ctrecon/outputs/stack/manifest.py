"""The manifest of a stack: which slice stands where, which image and certificate belong to it, how it is shown.

JSON with sorted keys that holds its own SHA-256, taken with zeros in its place (as certificates do); ``manifest.sig``
beside it signs it. What is said here of the certificates each certificate proves.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ctrecon.errors import InputError
from ctrecon.support.json_text import parse_json

FORMAT = "ctrecon-stack/1"
NAME, SIGNATURE = "manifest.json", "manifest.sig"
MOST_BYTES = 64 << 20
WHOLE = "volume"
"""The stem of the evidence of a volume that has one certificate."""
_ZEROS = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stack says of itself.

    ``shape``: slices, rows, columns. Lengths are in ``length_unit``; ``first_mm`` is where the first voxel's middle
    stands, ``step_mm`` from one to the next, both (z, y, x) with x to the patient's left, y to the back and z to the
    head. ``slices``: of each ``z_mm``, ``status``, ``image_sha256`` and ``certificate_sha256`` (of the files; None
    without one), ``delta``, ``norm``, ``residual``, ``reason``, ``says_nothing``, ``says_little``. ``volume``: the name
    of the file beside the evidence, or of the store that holds it, and ``values``, what its numbers are. ``settings``
    is what was asked for, ``notes`` what was assumed. ``whole``: of a volume with one certificate (a cone beam) what
    else stands in ``slices``, which then have ``z_mm`` alone, and ``history_sha256``, of its history but for the clock;
    None of a stack, each of whose slices has a certificate.
    """

    shape: tuple[int, int, int]
    first_mm: tuple[float, float, float]
    step_mm: tuple[float, float, float]
    length_unit: str
    values: str
    volume: str
    slices: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]
    source: str
    notes: tuple[str, ...] = ()
    water_mu_per_mm: float | None = None
    patient_position: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    made_with: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, Any] | None = None

    @property
    def certified(self) -> int:
        """How many slices are certified."""
        if self.whole is not None:
            return self.shape[0] if self.whole["status"] == "certified" else 0
        return sum(one["status"] == "certified" for one in self.slices)

    def to_bytes(self) -> bytes:
        """The one form that it has.

        Returns:
            JSON in UTF-8 with sorted keys, which states its own SHA-256 (taken with zeros in its place).
        """
        values = {"format": FORMAT, "manifest_sha256": _ZEROS, **{f.name: getattr(self, f.name) for f in fields(self)}}
        if self.whole is None:
            del values["whole"]
        text = json.dumps(values, sort_keys=True, indent=1, allow_nan=False) + "\n"
        own = hashlib.sha256(text.encode()).hexdigest()
        return text.replace(f'"manifest_sha256": "{_ZEROS}"', f'"manifest_sha256": "{own}"', 1).encode()


def read_manifest(where: str, raw: bytes) -> Manifest:
    """The manifest in ``raw``. Raises InputError unless it is exactly what ``to_bytes`` writes."""
    try:
        values = parse_json(raw)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        values.pop("manifest_sha256", None)
        for name in ("shape", "first_mm", "step_mm", "slices", "notes", "range"):
            values[name] = tuple(values[name])
        found = Manifest(**values)
        _check(found)
        own = found.to_bytes()
    except (ValueError, TypeError, KeyError, OverflowError) as why:  # NaN and numbers without end among them
        said = "".join(c if c.isprintable() else "?" for c in str(why))[:120]
        raise InputError(f"{where}: is no manifest of a stack ({said})") from None
    if own != raw:
        raise InputError(f"{where}: its bytes do not match its hash: it was changed")
    return found


def _check(found: Manifest) -> None:
    shape = found.shape
    if len(shape) != 3 or not all(type(n) is int and 0 < n <= 1 << 14 for n in shape):
        raise ValueError("its shape is no number of slices, rows and columns")
    if len(found.slices) != shape[0] or not all(isinstance(one, dict) for one in found.slices):
        raise ValueError("it does not list every slice once")
    numbers = (*found.first_mm, *found.step_mm, *found.range)
    if len(found.first_mm) != 3 or len(found.step_mm) != 3 or len(found.range) != 2:
        raise ValueError("places have three numbers")
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers) or min(found.step_mm) <= 0:
        raise ValueError("a place is no finite number")
    for name in ("values", "volume", "source", "length_unit", "patient_position"):
        if not isinstance(getattr(found, name), str):
            raise ValueError(f"{name} is no text")
    for name in ("settings", "made_with"):
        if not isinstance(getattr(found, name), dict):
            raise ValueError(f"{name} are no entries")
    if not all(isinstance(note, str) for note in found.notes):
        raise ValueError("a note is no text")
    if found.water_mu_per_mm is not None and not (_number(found.water_mu_per_mm) and found.water_mu_per_mm > 0):
        raise ValueError("water does not attenuate")
    if found.whole is None:
        for one in found.slices:
            _check_slice(one, _OF_SLICE)
    else:
        if not isinstance(found.whole, dict):
            raise ValueError("what it says of the whole is no object")
        _check_slice(found.whole, _OF_WHOLE)
        for one in found.slices:
            _check_slice(one, {"z_mm": _number})
    if found.volume in ("", ".", "..") or "/" in found.volume or "\\" in found.volume:
        raise ValueError("its volume is no name in the same folder")


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_OF_SLICE: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("z_mm", "delta", "residual"), _number),
    **dict.fromkeys(("status", "image_sha256", "norm", "reason"), lambda value: isinstance(value, str)),
    **dict.fromkeys(("says_nothing", "says_little", "files"), _texts),
    "certificate_sha256": lambda value: value is None or isinstance(value, str),
}
_OF_WHOLE: dict[str, Callable[[Any], bool]] = {
    **{name: good for name, good in _OF_SLICE.items() if name != "z_mm"},
    "history_sha256": lambda value: isinstance(value, str),
}


def _check_slice(one: Mapping[str, Any], entries: Mapping[str, Callable[[Any], bool]]) -> None:
    if set(one) != set(entries):
        raise ValueError(f"a slice has other entries than {', '.join(entries)}")
    for name, good in entries.items():
        if not good(one[name]):
            raise ValueError(f"{name} of a slice is not what belongs there")
