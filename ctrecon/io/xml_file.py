"""XML files of scanners, read without entities and without following anything out of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Xml

from ctrecon.errors import InputError
from ctrecon.support.limits import reason
from ctrecon.support.plain_file import plain_size

_LARGEST = 64 * 2**20
_FARTHEST = 1e12
"""No scanner states a larger number."""


def read_xml(path: Path) -> Any:
    """The root element, tags without namespaces. Raises InputError for what is too large or no XML."""
    plain_size(path, _LARGEST)
    try:
        root = Xml.parse(path).getroot()
    except (Xml.ParseError, DefusedXmlException, ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path}: is no XML that is read ({reason(error)}); write it again") from None
    for one in root.iter():
        one.tag = str(one.tag).rpartition("}")[2]
    return root


def number_of(path: Path, element: Any) -> float:
    """The number that an element holds. Raises InputError for another text."""
    try:
        value = float(element.text or "")
    except ValueError:
        value = math.nan
    if not abs(value) <= _FARTHEST:
        raise InputError(f"{path}: {element.tag} must be a number that can be measured, got {str(element.text)[:40]!r}")
    return value
