"""Whether two files are of one scan: what their headers say of it is the same."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from ctrecon.dicom.raw.ct_pd_file import Common
from ctrecon.dicom.raw.ct_pd_stated import UNSAID, alike
from ctrecon.errors import InputError

# No message may quote who it is, or when.
_UNSAID = ("patient", "born", *UNSAID)
# FL has 24 bits; what a scanner means to be equal differs by less than this.
_EQUAL = 1e-5


def check_same(folder: Path, first: str, common: Common, name: str, own: Common) -> None:
    """Raises InputError with what differs, where ``name`` is not of the scan that ``first`` is of."""
    for one in fields(Common):
        if one.name != "stated":
            a, b = getattr(common, one.name), getattr(own, one.name)
            _demand(folder, one.name, (first, a), (name, b), same=_equal(a, b))
    for (keyword, value), (_, other) in zip(common.stated, own.stated, strict=True):
        _demand(folder, keyword, (first, value), (name, other), same=alike(keyword, value, other))


def _equal(a: Any, b: Any) -> bool:
    return math.isclose(a, b, rel_tol=_EQUAL) if isinstance(a, float) and isinstance(b, float) else bool(a == b)


def _demand(folder: Path, what: str, one: tuple[str, Any], other: tuple[str, Any], *, same: bool) -> None:
    if same:
        return
    (first, a), (name, b) = one, other
    if what in _UNSAID:
        said = "patient" if what == "born" else what
        raise InputError(
            f"{folder}: mixes scans: {first} and {name} are not of the same {said}; put each into a folder of its own"
        )
    raise InputError(
        f"{folder}: mixes scans: {what.replace('_', ' ')} is {str(a)[:80]} in {first} and {str(b)[:80]} in {name}; "
        "put each scan into a folder of its own"
    )
