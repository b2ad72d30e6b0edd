"""Terms that a scan may use, and no others: checked when a scan is made, not when something is written of it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from ctrecon.errors import InputError

PatientPosition = Literal["HFS", "FFS", "HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL", "none", ""]
"""How the patient lay on the table: terms of DICOM (PS3.3 C.7.3.1.1.2) for people.

Head or feet first into the gantry (H, F), and supine, prone, or in decubitus on the right or left side (S, P, DR, DL).
Or ``none``, our word for what is no patient, a phantom or a specimen: then DICOM's attribute stays empty, as the
standard has it for what is not known, and the axes are the scanner's. Empty where nobody says it.
"""
NOBODY: Final = "none"
POSITIONS: tuple[PatientPosition, ...] = tuple(term for term in get_args(PatientPosition) if term not in (NOBODY, ""))


def check_terms(source: object, one: Any) -> None:
    """Whether each field of a dataclass whose type lists its values has one of them.

    Args:
        source: Whose fields these are, for the message.
        one: An instance.

    Raises:
        InputError: With the field, its value and the terms.
    """
    kind: Any = type(one)
    for name, terms in enumerated(kind).items():
        value = getattr(one, name)
        if not isinstance(value, str) or value not in terms:
            *words, last = (term or "empty where nobody says it" for term in terms)
            known = f"{', '.join(words)} or {last}"
            raise InputError(f"{source}: {name} must be {known}, got {str(value)[:40]!r}; correct it")


@cache
def enumerated(kind: Any) -> dict[str, tuple[str, ...]]:
    """The fields of the dataclass ``kind`` whose type is a ``Literal``, with its terms."""
    hints = get_type_hints(kind)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
