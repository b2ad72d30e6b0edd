"""Whom a dataset is of: the words and numbers that go wherever they stand, because they are this patient's own.

A list of harmless words and numbers is not enough for somebody called Arm or filed by 4096. Names are compared without
case and accents, also written together; numbers without what separates their digits, wherever a decimal point stands
in them, and without zeros before them; of a date of birth all usual orders of day, month and year.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ctrecon.dicom.common.files import DAMAGE

LEAST_DIGITS = 4
"""A number of fewer is no mark of anybody outside of descriptions: rows, kV and slices have as many."""

_PATIENT = 0x0010
# Patient, accession, study, subject of a trial, and what was ordered, admitted, scheduled and performed.
_GROUPS = frozenset((_PATIENT, 0x0032, 0x0038, 0x0040))
_TAGS = frozenset((0x00080050, 0x00200010, 0x00120040, 0x00120042))
_BIRTH_DATE = 0x00100030
_NUMBERED = frozenset(("SH", "LO", "LT", "ST", "UT", "UC", "PN", "IS"))
_SEPARATORS = re.compile(r"[\^=\s,;\\/:_+()\[\]-]+")
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"})
_MOST_PARTS = 12


@dataclass(frozen=True, kw_only=True)
class Known:
    """``words``: plain ones (``plain``); ``numbers``: digits without zeros before them."""

    words: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()

    def is_word(self, text: str) -> bool:
        """Whether it is, or is written like, a word of the patient's."""
        return plain(text) in self.words

    def is_number(self, value: Any) -> bool:
        """Whether a number of ``LEAST_DIGITS`` digits or more has those of one that the patient is filed by."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return False
        digits = str(abs(int(number))) if number.is_integer() else ""
        if len(digits) >= LEAST_DIGITS and digits in self.numbers:
            return True
        shown = _shown(number)
        return len(shown) >= LEAST_DIGITS and shown in self._shown

    @cached_property
    def _shown(self) -> frozenset[str]:
        return frozenset(_shown(float(one)) for one in self.numbers)

    def in_digits(self, digits: str, parts: list[str]) -> bool:
        """Whether the digits of a text hold one of the patient's numbers: read together, or one of its ``parts``."""
        together = any(len(one) >= LEAST_DIGITS - 1 and one in digits for one in self.numbers)
        return together or any(part.lstrip("0") in self.numbers for part in parts)


def _shown(number: float) -> str:
    """The digits that stay of a number (``harmless.py``), without a point and without zeros at their ends."""
    return f"{abs(number):.6e}".partition("e")[0].replace(".", "").rstrip("0")


def plain(text: str) -> str:
    """Without case and accents."""
    spread = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(c for c in spread if not unicodedata.combining(c))


def known_of(ds: Dataset, *, words: bool) -> Known:
    """What a dataset says of its patient.

    Args:
        ds: Not changed; what cannot be decoded is passed over.
        words: Whether names are looked for, too, in all of it.

    Returns:
        Words of names, places and numbers, however short, and digits.
    """
    found, numbers = set[str](), set[str]()
    for tag, vr, text in _texts(ds):
        if tag == _BIRTH_DATE:
            numbers |= set(_orders(text))
        elif vr in _NUMBERED:
            digits = re.findall(r"\d+", text)
            numbers |= {one.lstrip("0") for one in (*digits, "".join(digits))}
        if words:
            found |= set(_written(text))
    if words:
        for element in ds.iterall():
            if element.VR in ("PN", "AE"):
                for value in values_of(element.value):
                    found |= set(_written(value))
    return Known(words=frozenset(found) - {""}, numbers=frozenset(numbers) - {""})


def _texts(ds: Dataset, *, inside: bool = False) -> Iterator[tuple[int, str, str]]:
    """Of the patient and the orders, wherever they stand, and all that stands in their sequences."""
    for tag in sorted(ds.keys()):
        own = inside or tag.group in _GROUPS or int(tag) in _TAGS
        try:
            if not own and ds.get_item(tag).VR not in ("SQ", None):
                continue
            element = ds[tag]
            if element.VR == "SQ":
                for item in element.value or ():
                    yield from _texts(item, inside=own)
            elif own and element.VR not in ("OB", "OW", "UN"):
                for value in values_of(element.value):
                    yield int(tag), element.VR, value
        except DAMAGE:
            continue


def values_of(value: Any) -> Iterator[str]:
    """One or several values as text."""
    for one in value if isinstance(value, MultiValue | list | tuple) else [value]:
        yield str(one if one is not None else "")


def _written(text: str) -> Iterator[str]:
    """Its words, and each run of neighbours as one word, in either order."""
    parts = [part for part in _SEPARATORS.split(plain(text)) if part][:_MOST_PARTS]
    for first in range(len(parts)):
        for after in range(first + 1, len(parts) + 1):
            yield "".join(parts[first:after])
            yield "".join(reversed(parts[first:after]))


def _orders(date: str) -> Iterator[str]:
    """A date as people write it, in digits."""
    found = re.fullmatch(r"(\d{2})(\d{2})(\d{2})(\d{2})", re.sub(r"\D", "", date))
    if found is None:
        return
    century, year, month, day = found.groups()
    for full in (century + year, year):
        for one in (full + month + day, full + day + month, day + month + full, month + day + full):
            yield one.lstrip("0")
    yield (day.lstrip("0") + month.lstrip("0") + century + year).lstrip("0")
