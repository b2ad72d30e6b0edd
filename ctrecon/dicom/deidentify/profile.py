"""The Basic Application Level Confidentiality Profile of DICOM PS3.15, Annex E: what happens to which attribute.

``basic_profile.csv`` beside this file is Table E.1-1 (attribute and action of the basic profile), edition 2026c, as
compiled in dicom-anonymizer 2.1.0 (BSD-3-Clause) and spot-checked against the table of an older edition. Where the
standard leaves a choice that depends on the object (X/Z, X/Z/D, Z/D ...), the value is replaced rather than removed,
so that what was valid stays valid.

The table names attributes that the standard knows to identify. Free text elsewhere can, too, so what is not in the
table is judged by its value representation, and stricter than the standard asks.
"""

from __future__ import annotations

import csv
from enum import Enum
from functools import cache
from importlib.resources import files

from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag
from pydicom.uid import UID

EDITION = "PS3.15 2026c, Table E.1-1"


class Action(Enum):
    """What happens to an attribute."""

    KEEP = "keep, and look into sequences"
    REMOVE = "remove"
    EMPTY = "no value"
    DUMMY = "a value that says nothing"
    UID = "another UID, the same for the same"


# The choices of the standard, each decided for the more informative that says nothing.
_CHOSEN = {
    "X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID, "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY, "Z/D": Action.DUMMY, "X/Z/D": Action.DUMMY, "X/Z/U*": Action.KEEP,
}  # fmt: skip

# Not in the table: names, times, addresses in a network, prose, and what nobody can read.
_REMOVED_VRS = frozenset(("PN", "DA", "DT", "TM", "AE", "LT", "ST", "UT", "UC", "UR", "UN"))
# Patient, requests and visits.
_PERSONAL_GROUPS = frozenset((0x0010, 0x0032, 0x0038))
_TIMES = frozenset(("DA", "DT", "TM"))
_CURVES, _OVERLAYS = 0x5000, 0x6000


@cache
def table() -> dict[int, Action]:
    """Tag to action, without the repeating groups."""
    text = files("ctrecon.dicom.deidentify").joinpath("basic_profile.csv").read_text(encoding="ascii")
    rows = csv.DictReader(text.splitlines())
    return {int(row["tag"], 16): _CHOSEN[row["action"]] for row in rows if "x" not in row["tag"]}


def action_for(element: DataElement) -> Action:
    """What the profile does to a public attribute."""
    tag: BaseTag = element.tag
    # Group lengths, what belongs to a network or the file meta, curves, and overlays: their bits may draw a name.
    if tag.element == 0 or tag.group in (0, 2) or tag.group & 0xFF00 in (_CURVES, _OVERLAYS):
        return Action.REMOVE
    listed = table().get(int(tag))
    if listed is not None:
        return listed
    if element.VR in _REMOVED_VRS or not element.keyword or tag.group in _PERSONAL_GROUPS:
        return Action.REMOVE
    if element.VR == "UI":
        values = element.value if isinstance(element.value, list | tuple) or element.VM > 1 else [element.value]
        registered = all(not value or UID(str(value)).name != str(value) for value in values)
        return Action.KEEP if registered else Action.UID
    return Action.KEEP


def is_time(element: DataElement) -> bool:
    return element.VR in _TIMES
