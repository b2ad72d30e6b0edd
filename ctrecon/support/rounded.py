"""Numbers for people that claim no more than was proved: rounded to the side on which the sentence stays true."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context


def round_up(value: float, digits: int) -> float:
    """To so many significant digits, towards plus infinity, from the shortest decimals that mean this float."""
    value = float(value)
    if not math.isfinite(value):
        return value
    return float(Context(prec=digits, rounding=ROUND_CEILING).create_decimal(repr(value)))


def round_down(value: float, digits: int) -> float:
    """The same, towards minus infinity."""
    return -round_up(-value, digits)


def at_most(value: float, digits: int = 4) -> str:
    """In words, never above ``value``: for lower ends, and for what was assumed to be no larger."""
    return f"{round_down(value, digits) + 0.0:.{digits}g}"


def at_least(value: float, digits: int = 4) -> str:
    """In words, never below ``value``: for upper ends."""
    return f"{round_up(value, digits) + 0.0:.{digits}g}"


def within(lo: float, hi: float, digits: int = 4) -> tuple[str, str]:
    """Both ends of limits in words, no wider than they are: what holds of all within them holds of these."""
    if round_up(lo, digits) <= round_down(hi, digits):
        return at_least(lo, digits), at_most(hi, digits)
    return repr(float(lo)), repr(float(hi))
