"""What a dataset says, as JSON that does not depend on how it was encoded: for the manifest of a series."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ctrecon.dicom.series.coerced import is_coercible, keyword_of

Plain = Mapping[str, Any]
# What archives built on DCMTK write around a description, or in its place, where they compress without loss.
_RECOMPRESSED = re.compile(
    r"Lossless JPEG compression, selection value [1-7], point transform 0, compression ratio [0-9.]{1,12}( \[(.*)\])?",
    re.DOTALL,
)
_LONGEST = 200
# Compared by what they decode to; the tables belong to how they are compressed (file_check.py).
_PIXELS = ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_NUMBERS = frozenset(("DS", "FD", "FL", "OD", "OF"))
_WHOLE = frozenset(("IS", "US", "SS", "UL", "SL", "UV", "SV"))


def plain(ds: Dataset) -> dict[str, Any]:
    """Every attribute that an archive may not change, by keyword: texts, numbers, items, hashes of what is long.

    Pixels and our own private block are left out; they are compared by what they decode to.
    """
    found: dict[str, Any] = {}
    for element in ds:
        if not is_coercible(element) and element.keyword not in _PIXELS:
            found[keyword_of(element)] = _value(element)
    if "DerivationDescription" in found and _as_described(str(ds.DerivationDescription)) is None:
        del found["DerivationDescription"]
    return found


def coercible(ds: Dataset) -> dict[str, Any]:
    """``whose``: of every attribute that an archive may change, one byte of a hash: a change shows, but nobody's name
    does. ``together``: four bytes of a hash of all at once: who does not know them all learns nothing from it, and
    where one byte of one of them is the same by chance, this is not.

    A value that is empty counts like none. Those within items are called as the way to them, with the item's number.
    Private ones are looked at within items only. Of a description it is here that it was compressed without loss since.
    """
    return hashed(coercible_values(ds))


def hashed(found: Mapping[str, str]) -> dict[str, Any]:
    """``whose`` and ``together`` of values as ``coercible_values`` gives them."""
    whose = {name: _hash(value)[:2] if value else "" for name, value in found.items()}
    return {"together": _hash(repr(sorted(found.items())))[:8], "whose": whose}


def coercible_values(ds: Dataset) -> dict[str, str]:
    """What an archive may change, by the way to it."""
    found: dict[str, str] = {}
    for element in ds:
        if element.keyword == "DataSetTrailingPadding" and not bytes(element.value or b"").strip(b"\0"):
            continue
        if not is_coercible(element):
            if element.keyword == "DerivationDescription" and _RECOMPRESSED.fullmatch(_text(element.value)):
                found[element.keyword] = ""
            if element.VR == "SQ":
                for k, item in enumerate(element.value, start=1):
                    way = f"{keyword_of(element)}[{k}]."
                    found |= {way + name: value for name, value in coercible_values(item).items()}
                    private = (one for one in item if one.tag.is_private and one.tag.element != 0)
                    found |= {way + keyword_of(one): repr(_value(one)) for one in private}
        elif not element.tag.is_private and element.tag.element != 0 and not element.is_empty:
            found[keyword_of(element)] = repr(_value(element))
    found.pop("SpecificCharacterSet", None)  # the texts are compared, not how they are written
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(b"ctrecon coercible " + text.encode()).hexdigest()


def _value(element: DataElement) -> Any:
    if element.VR == "SQ":
        return [plain(item) for item in element.value]
    if element.is_empty:
        return None
    if element.keyword == "DerivationDescription" and isinstance(element.value, str):
        return _short(_as_described(element.value) or "")
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
    # Trailing spaces pad, leading ones and empty lines push a text out of sight; ends of lines are written in two ways.
    return str(value).replace("\r\n", "\n").rstrip(" \0\n")


def _as_described(value: str) -> str | None:
    """Without what was written by who compressed the pixels; what they decode to is compared anyway. None: no more."""
    text: str | None = _text(value)
    while text is not None and (found := _RECOMPRESSED.fullmatch(text)):
        text = found[2]
    return text


def _bytes(value: bytes) -> str:
    # Of an odd number of bytes one pads (PS3.5, 7.1.1); more of them would be somebody's.
    return "sha256 " + hashlib.sha256(value.removesuffix(b"\0")).hexdigest()


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else "\\".join(map(str, value))
    if len(text) > _LONGEST:
        return "sha256 " + hashlib.sha256(text.encode()).hexdigest()
    return value
