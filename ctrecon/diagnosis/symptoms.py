"""What a cause looks like in the image, where it has a look of its own."""

from __future__ import annotations

from ctrecon.support.troubles import Symptom

SYMPTOMS: dict[str, Symptom] = {
    "axis": "doubled-edges",
    "half-fan": "doubled-edges",
    "angles-negated": "mirrored",
    "detector-reversed": "mirrored",
    "bad-columns": "rings",
    "zingers": "streaks",
    "lost-views": "streaks",
    "views-out-of-order": "streaks",
    "cells-out-of-order": "streaks",
    "air-level": "dim",
    "not-logged": "dim",
    "detector-in": "dim",
    "distances-in": "dim",
    "lengths-in": "dim",
    "image-too-small": "a-bright-rim",
    "truncated": "a-bright-rim",
}
"""By the name of a cause, or by all of it but the unit at its end."""


def symptom_of(cause: str) -> Symptom | None:
    """The symptom of a finding, by its cause's name.

    Args:
        cause: Such as ``axis``, ``lengths-in-cm``, or ``axis+angles-negated`` for two together.

    Returns:
        That of the first; None where there is none of its own.
    """
    first = cause.split("+")[0]
    return SYMPTOMS.get(first, SYMPTOMS.get(first.rpartition("-")[0]))
