"""What a search may ask for, by the value representation of each key (PS3.5, 6.2; PS3.4, C.2.2.2).

A node answers a malformed key with nothing, or with all it has: both look like an answer.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping

from ctrecon.errors import SettingError

_DATE = re.compile(r"\d{8}")
_RANGE = re.compile(r"(\d{8})?-(\d{8})?")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_CODE = re.compile(r"[A-Z0-9 _*?]{1,16}")
_LONGEST = {"SH": 16, "LO": 64, "PN": 64}
_WRITINGS = 3
"""Of a person's name: alphabetic, ideographic, phonetic (PS3.5, 6.2.1), with = between them."""


def check_match(match: Mapping[str, str]) -> None:
    """Raises SettingError, with the remedy, for a key whose value its representation does not allow.

    Args:
        match: Keyword to value, with wildcards (``*``, ``?``) and ranges of dates.
    """
    from pydicom.datadict import dictionary_VR  # half a second of libraries, which the command line loads on use only

    for keyword, value in match.items():
        vr = dictionary_VR(str(keyword))
        fault = _FAULTS[vr](value) if vr in _FAULTS else ""
        if fault:
            raise SettingError(f"{keyword} {value[:80]!r} {fault}")


def _date(value: str) -> str:
    whole = _RANGE.fullmatch(value)
    days = [day for day in (whole.groups() if whole else (value,)) if day]
    good = bool(days) and all(_DATE.fullmatch(day) and _is_day(day) for day in days)
    if not good:
        bare = re.sub(r"\D", "", value)
        such = f", such as {bare}" if len(bare) == 8 and _is_day(bare) else ""
        return f"is no date; write YYYYMMDD, or YYYYMMDD-YYYYMMDD for first and last{such}"
    return "ends before it begins; exchange the two dates" if days != sorted(days) else ""


def _is_day(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _uid(value: str) -> str:
    good = all(len(one) <= 64 and _UID.fullmatch(one) for one in value.split("\\"))
    return "" if good else "is no UID; write its numbers and dots, at most 64 characters, without wildcards"


def _code(value: str) -> str:
    good = all(_CODE.fullmatch(one) for one in value.split("\\"))
    return "" if good else "is no code; write at most 16 capitals, digits, spaces and underscores, such as CT"


def _text(vr: str, value: str) -> str:
    if not value.isprintable() or "\\" in value:
        return "holds a backslash or a character that cannot be printed; leave it out"
    parts = value.split("=") if vr == "PN" else [value]
    if len(parts) > _WRITINGS:
        return f"writes the name in {len(parts)} ways; at most {_WRITINGS} can match"
    longest = max(map(len, parts))
    return "" if longest <= _LONGEST[vr] else f"has {longest} characters; at most {_LONGEST[vr]} can match"


_FAULTS: dict[str, Callable[[str], str]] = {
    "DA": _date, "UI": _uid, "CS": _code, "SH": lambda value: _text("SH", value),
    "LO": lambda value: _text("LO", value), "PN": lambda value: _text("PN", value),
}  # fmt: skip
