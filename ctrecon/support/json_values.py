"""Values of JSON files of others, each of the kind that is expected, and none too large. All raise ValueError."""

from __future__ import annotations

import math
from typing import Any

LONGEST_TEXT, MOST_ITEMS, MOST_ENTRIES = 10_000, 100_000, 100


def a_text(value: object) -> str:
    """A text of at most 10,000 characters."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError("a text is missing or too long")
    return value


def a_number(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number is missing or not finite")
    return float(value)


def a_truth(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false is missing")
    return value


def a_list(value: object) -> list[Any]:
    """A list of at most 100,000 items."""
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError("a list is missing or too long")
    return value


def an_object(value: object) -> dict[str, Any]:
    """An object of at most 100 entries."""
    if not isinstance(value, dict) or len(value) > MOST_ENTRIES:
        raise ValueError("an object is missing or too large")
    return value
