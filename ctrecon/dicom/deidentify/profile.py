"""The Basic Application Level Confidentiality Profile of DICOM PS3.15, Annex E: what happens to which attribute.

``basic_profile.csv`` beside this file is Table E.1-1 (attribute and action of the basic profile), edition 2026c, as
compiled in dicom-anonymizer 2.1.0 (BSD-3-Clause) and spot-checked against the table of an older edition. Where the
standard leaves a choice that depends on the object (X/Z, X/Z/D, Z/D ...), the value is replaced rather than removed,
so that what was valid stays valid.

The table names attributes that the standard knows to identify. Whatever else there is stays only where ``harmless.py``
knows it.
"""

from __future__ import annotations

import csv
from enum import Enum
from functools import cache
from importlib.resources import files

EDITION = "PS3.15 2026c, Table E.1-1"


class Action(Enum):
    """What happens to an attribute."""

    KEEP = "keep what is harmless in it, and look into sequences"
    REMOVE = "remove"
    EMPTY = "no value"
    DUMMY = "a value that says nothing"
    UID = "another UID, the same for the same"


# The choices of the standard, each decided for the more informative that says nothing.
_CHOSEN = {
    "X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID, "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY, "Z/D": Action.DUMMY, "X/Z/D": Action.DUMMY, "X/Z/U*": Action.KEEP,
}  # fmt: skip


@cache
def table() -> dict[int, Action]:
    """Tag to action, without the repeating groups."""
    text = files("ctrecon.dicom.deidentify").joinpath("basic_profile.csv").read_text(encoding="ascii")
    rows = csv.DictReader(text.splitlines())
    return {int(row["tag"], 16): _CHOSEN[row["action"]] for row in rows if "x" not in row["tag"]}
