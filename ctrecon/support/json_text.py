"""JSON text of others, parsed: no deeper than any file may be nested."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 64
"""Sequences in DICOM, groups in HDF5, structs in MATLAB files and objects in JSON: nothing real is deeper."""
TOO_DEEP = f"nested more than {MAX_DEPTH} deep, which nothing real is"


def parse_json(text: str | bytes) -> Any:
    """The value of ``text``. Raises ValueError, with the reason, for what is no JSON, or is nested too deep."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    level = [found]
    for _ in range(MAX_DEPTH):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [value for one in inner for value in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return found
    if any(isinstance(one, dict | list) for one in level):
        raise ValueError(TOO_DEEP)
    return found
