"""Which attributes may stay in a de-identified file, and in which values: a list of what is known to be harmless.

``harmless.csv`` beside this file is made from the standard's dictionary (PS3.6, as in pydicom) by one rule, ``rule``,
and is data, so that a newer dictionary adds nothing by itself. What it does not name is removed, whatever it is.

A name on the list is not enough, for anything can be written anywhere. A value stays where it is of the kind that the
dictionary says (not the file), and no more of them than it says, and

- a number is finite, within 1e9 (whole numbers in text: below 1e6), and is written anew from its value: to seven
  significant digits unless it is one of single precision, and those to six in binary, so that letters are no number;
  from a million on to four, so that a date of birth or a number that somebody is filed by is none either; those that
  place and scale pixels keep their digits below a million, for a certificate needs them; five or more that are the
  codes of letters, and do not merely count, are no numbers;
- a term (CS) is one that the standard defines for this attribute, ``terms.csv``;
- a word (a kernel, a maker) is on a list, or of a form, that leaves no room for a name, ``terms.csv`` too;
- a UID is registered by the standard; others become keyed hashes;
- a tag is a public one.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_has_tag
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

from ctrecon.dicom.common.hounsfield import rescale_type
from ctrecon.dicom.deidentify.profile import Action, table

GROUPS = (0x0008, 0x0018, 0x0020, 0x0028, 0x0054, 0x0062, 0x5200)
"""Identification of what kind of image, acquisition, relationship, image, emission, segments, functional groups."""
_ALSO = frozenset(
    ("RealWorldValueMappingSequence", "RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped",
     "RealWorldValueIntercept", "RealWorldValueSlope", "MeasurementUnitsCodeSequence", "PurposeOfReferenceCodeSequence",
     "QuantityDefinitionSequence", "ConceptNameCodeSequence", "ConceptCodeSequence", "ValueType", "LUTLabel",
     "LUTExplanation", "PresentationLUTShape", "VOILUTFunction", "FrameVOILUTSequence", "ContentLabel",
     "ContentDescription", "DimensionIndexValues", "ReferencedSegmentNumber", "ParametricMapFrameTypeSequence")
)  # fmt: skip
_INTEGERS = {"US": (0, 65535), "SS": (-32768, 32767), "UL": (0, 999_999), "SL": (-999_999, 999_999)}
_DIGITS = {"FD": 7, "FL": 6, "DS": 7}
_DIGITS_OF_MILLIONS = 4
PLACING = frozenset(
    ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept")
)
"""What places and scales pixels: a certificate needs every digit."""
_KINDS = frozenset((*_INTEGERS, *_DIGITS, "IS", "US or SS", "UI", "AT", "SQ"))
_MOST_NUMBER, _MOST_PLACING, _SMALLEST = 1e9, 1_000_000, 1e-9
# Several binary numbers in a row are a place for text: two letters are at least 0x2020.
_MOST_OF_SEVERAL = 0x1FFF
_MOST_VALUES = {"DS": 4096, "IS": 4096}
_FEW, _LETTERS = 16, 5
_NEVER = re.compile("LUT|Palette|Pipeline|GridID|Private|Icon|Waveform")


def rule(tag: int, vr: str, vm: str, retired: str, keyword: str) -> bool:
    """Whether an entry of the dictionary is harmless in kind.

    It is neither retired nor in Table E.1-1, it stands in one of ``GROUPS`` (or is one of a few that quantities need),
    it is a number, a tag, a UID or a sequence, or a term or word for which ``terms.csv`` has a list, and no table of
    values and no array of binary numbers, in which there is room for text.
    """
    array = "n" in vm and vr in (*_INTEGERS, "FD", "FL")
    where = keyword in _ALSO or (tag >> 16 in GROUPS and not array and not _NEVER.search(keyword))
    kind = vr in _KINDS or keyword in terms()
    return bool(where and kind and keyword and not retired and tag not in table())


def made_by_rule(dictionary: Mapping[int, tuple[str, str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """The rows of ``harmless.csv`` for a dictionary as pydicom has it: tag, VR, VM, keyword."""
    rows = sorted((tag, *entry) for tag, entry in dictionary.items())
    return [
        (f"{tag:08X}", vr, vm, keyword) for tag, vr, vm, _, retired, keyword in rows
        if rule(tag, vr, vm, retired, keyword)
    ]  # fmt: skip


@cache
def harmless() -> dict[int, tuple[str, str, str]]:
    """Tag to value representation, multiplicity and keyword."""
    rows = csv.DictReader(_text("harmless.csv").splitlines())
    return {int(row["tag"], 16): (row["vr"], row["vm"], row["keyword"]) for row in rows}


def action_for(tag: int) -> Action:
    """What happens to a public attribute: as Table E.1-1 says, else it stays if it is on the list."""
    # Of a network, of a file's meta and directory, which no image has within.
    if tag >> 16 in (0x0000, 0x0002, 0x0004) or tag & 0xFFFF == 0:
        return Action.REMOVE
    return table().get(tag) or (Action.KEEP if tag in harmless() else Action.REMOVE)


@cache
def terms() -> dict[str, tuple[frozenset[str], re.Pattern[str] | None, str | None]]:
    """Keyword to its terms, a form that others may have, and what stands in the place of any other (None: nothing)."""
    rows = csv.DictReader(_text("terms.csv").splitlines())
    return {
        row["keyword"]: (
            frozenset(row["terms"].split("|")) - {""}, re.compile(row["form"]) if row["form"] else None,
            row["else"] or None,
        )
        for row in rows
    }  # fmt: skip


def _text(name: str) -> str:
    return files("ctrecon.dicom.deidentify").joinpath(name).read_text(encoding="ascii")


def harmless_value(tag: int, value: Any) -> tuple[str, Any] | None:
    """The representation and the value to write for an attribute on the list, sequences apart.

    Args:
        tag: An attribute of the list.
        value: What pydicom read, whatever the file says it is.

    Returns:
        ``(vr, value)``; the value is empty where it was; None where it must go.
    """
    vr, vm, keyword = harmless()[tag]
    several = isinstance(value, MultiValue | list | tuple)
    values = [] if value in (None, "", b"") else list(value) if several else [value]
    if not _fits(vm, len(values), _MOST_VALUES.get(vr, _FEW)):
        return None
    if keyword in terms():
        return _words(vr, keyword, [str(one) for one in values])
    several = len(values) > 1
    if _spell(values):
        return None
    if vr == "US or SS":
        vr = "SS" if any(isinstance(one, int) and one < 0 for one in values) else "US"
    found = [_PARSE[vr](one, several) for one in values]
    if vr == "DS" and keyword not in PLACING:
        found = [None if one is None else DSfloat(_shortened(vr, one), auto_format=True) for one in found]
    if None in found:
        return None
    return vr, found if several else found[0] if found else None


def _spell(values: Sequence[Any]) -> bool:
    """Whether numbers are the codes of letters, one each, as of a name: not so where they only count."""
    try:
        codes = [float(one) for one in values]
    except (TypeError, ValueError):
        return False
    if len(codes) < _LETTERS or len(set(np.diff(codes))) == 1:
        return False
    return all(code.is_integer() and 0 < code < 128 and chr(int(code)).isalpha() for code in codes)


def _fits(vm: str, count: int, most: int) -> bool:
    """Whether the dictionary's ``vm`` (``1``, ``2-n``, ``3-3n``, ``1-8``) allows so many values; none always may be."""
    first, _, last = vm.partition("-")
    highest = most if "n" in last else int(last or first)
    return count == 0 or int(first) <= count <= highest


def _words(vr: str, keyword: str, values: list[str]) -> tuple[str, Any] | None:
    known, form, instead = terms()[keyword]
    given = [" ".join(one.strip("\0 ").split()) for one in values]
    if keyword == "RescaleType":
        given = [rescale_type(one) for one in given]
    kept = []
    for one in given:
        if one in known or one == "" or (form is not None and form.fullmatch(one)):
            kept.append(one)
        elif instead is None:
            # Of several, such as the values of an image type, those before the first unknown one have their place.
            break
        else:
            kept.append(instead)
    if given and not kept:
        return None
    return vr, kept if len(kept) > 1 else kept[0] if kept else None


def _binary_integer(vr: str) -> Callable[[Any, bool], int | None]:
    low, high = _INTEGERS[vr]

    def parse(value: Any, several: bool) -> int | None:
        most = min(high, _MOST_OF_SEVERAL) if several else high
        return value if isinstance(value, int) and max(low, -most) <= value <= most else None

    return parse


def _binary_float(vr: str) -> Callable[[Any, bool], float | None]:
    def parse(value: Any, several: bool) -> float | None:
        return _shortened(vr, value) if isinstance(value, float) and _plain(value) else None

    return parse


def _shortened(vr: str, value: float) -> float:
    """The number to as many digits as may be told."""
    if abs(value) >= _MOST_PLACING:
        return float(f"{value:.{_DIGITS_OF_MILLIONS}g}")
    single = vr != "FL" and float(np.float32(value)) == value  # such as a power of two; eight letters are not
    return value if single else float(f"{value:.{_DIGITS[vr]}g}")


def _plain(value: float) -> bool:
    return value == 0 or (math.isfinite(value) and _SMALLEST <= abs(value) <= _MOST_NUMBER)


def _decimal(value: Any, several: bool) -> DSfloat | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not _plain(number):
        return None
    return DSfloat(_shortened("DS", number) if abs(number) >= _MOST_PLACING else number, auto_format=True)


def _whole(value: Any, several: bool) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < _MOST_PLACING else None


def _tag(value: Any, several: bool) -> int | None:
    return int(value) if isinstance(value, int) and dictionary_has_tag(value) else None


def registered(value: Any) -> bool:
    """Whether it is a UID of the standard itself, such as a class."""
    return UID(str(value)).name != str(value)


_PARSE: dict[str, Callable[[Any, bool], Any]] = {
    **{vr: _binary_integer(vr) for vr in _INTEGERS}, **{vr: _binary_float(vr) for vr in ("FD", "FL")},
    "DS": _decimal, "IS": _whole, "AT": _tag,
}  # fmt: skip
