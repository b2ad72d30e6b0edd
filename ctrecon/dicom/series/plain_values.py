"""What a dataset says, as JSON that does not depend on how it was encoded: for the manifest of a series."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ctrecon.dicom.series.coerced import is_coercible, keyword_of

Plain = Mapping[str, Any]
_LONGEST = 200
_NUMBERS = frozenset(("DS", "FD", "FL", "OD", "OF"))
_WHOLE = frozenset(("IS", "US", "SS", "UL", "SL", "UV", "SV"))


def plain(ds: Dataset) -> dict[str, Any]:
    """Every attribute that an archive may not change, by keyword: texts, numbers, items, hashes of what is long.

    Pixels and our own private block are left out; they are compared by what they decode to.
    """
    found: dict[str, Any] = {}
    for element in ds:
        if not is_coercible(element) and element.keyword != "PixelData":
            found[keyword_of(element)] = _value(element)
    return found


def coercible(ds: Dataset) -> dict[str, str]:
    """Of every attribute that an archive may change, one byte of a hash: a change shows, but nobody's name does.

    A value that is empty counts like none. Those within items are called as the way to them, with the item's number.
    Private ones are looked at within items only.
    """
    found: dict[str, str] = {}
    for element in ds:
        if not is_coercible(element):
            if element.VR == "SQ":
                for k, item in enumerate(element.value, start=1):
                    way = f"{keyword_of(element)}[{k}]."
                    found |= {way + name: value for name, value in coercible(item).items()}
                    found |= {way + keyword_of(one): _byte(one) for one in item if one.tag.is_private}
        elif not element.tag.is_private and element.tag.element != 0 and not element.is_empty:
            found[keyword_of(element)] = _byte(element)
    found.pop("SpecificCharacterSet", None)  # the texts are compared, not how they are written
    return found


def _byte(element: DataElement) -> str:
    return hashlib.sha256(b"ctrecon coercible " + repr(_value(element)).encode()).hexdigest()[:2]


def _value(element: DataElement) -> Any:
    if element.VR == "SQ":
        return [plain(item) for item in element.value]
    if element.is_empty:
        return None
    one = _one_of(element.VR)
    if isinstance(element.value, MultiValue | list):
        return _short([one(value) for value in element.value])
    return _short(one(element.value))


def _one_of(vr: str) -> Callable[[Any], Any]:
    if vr in _NUMBERS:
        return lambda value: _bytes(value) if isinstance(value, bytes) else repr(float(value))
    if vr in _WHOLE:
        return lambda value: str(int(value))
    return lambda value: _bytes(value) if isinstance(value, bytes) else _text(value)


def _text(value: Any) -> str:
    # Trailing spaces pad; ends of lines are written in two ways.
    return str(value).replace("\r\n", "\n").strip(" \0\n")


def _bytes(value: bytes) -> str:
    return "sha256 " + hashlib.sha256(value.rstrip(b"\0")).hexdigest()


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else "\\".join(map(str, value))
    if len(text) > _LONGEST:
        return "sha256 " + hashlib.sha256(text.encode()).hexdigest()
    return value
