"""Codes with the meaning that the dictionary gives them: CodeMeaning is free text, and a code can be anything.

Known are the codes that pydicom carries of the standard's context groups (PS3.16: DCM, SNOMED CT, UCUM and others) and
our own. Whatever else stands in a coded item becomes a code that says it was removed.
"""

from __future__ import annotations

from functools import cache

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

OWN_SCHEME = "99CTRECON"
_OWN = {
    "certified-image": "Certified image", "residual-mean": "Mean residual Au - f of the rays through a pixel",
}  # fmt: skip
_REMOVED = ("REMOVED", OWN_SCHEME, "REMOVED")


@cache
def known_codes() -> dict[tuple[str, str], str]:
    """Scheme and value to meaning."""
    found = {(OWN_SCHEME, value): meaning for value, meaning in _OWN.items()}
    for scheme in codes.schemes():
        group = getattr(codes, scheme)
        for name in group.dir():
            concept = getattr(group, name)
            for one in concept if isinstance(concept, list) else [concept]:
                found[one.scheme_designator, one.value] = one.meaning
    return found


def is_code(item: Dataset) -> bool:
    return any(keyword in item for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning"))


def known_code(item: Dataset) -> tuple[Dataset, bool]:
    """The item with nothing but value, scheme and the dictionary's meaning, and whether it was known."""
    value, scheme = (str(item.get(keyword, "") or "").strip() for keyword in ("CodeValue", "CodingSchemeDesignator"))
    meaning = known_codes().get((scheme, value))
    kept = Dataset()
    triple = _REMOVED if meaning is None else (value, scheme, meaning[:64])
    kept.CodeValue, kept.CodingSchemeDesignator, kept.CodeMeaning = triple
    return kept, meaning is not None
