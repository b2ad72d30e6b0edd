"""How the patient lay, from what a scan states and what somebody says beside it (``terms.PatientPosition``)."""

from __future__ import annotations

from dataclasses import replace

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.terms import NOBODY, POSITIONS, PatientPosition

AXES = {"x": ("R", "L"), "y": ("P", "A"), "z": ("F", "H")}
"""Of a patient: right and left, back (posterior) and front (anterior), feet and head, where an axis of the image
begins and where it ends (PS3.3 C.7.6.1.1.1). Raw data are turned so that this holds for every position."""


def position_of(source: object, stated: str, given: str | None = None) -> PatientPosition:
    """The patient position of a scan.

    Args:
        source: The scan, for messages.
        stated: What it says itself; empty where it does not.
        given: By whom asks; may only fill what the scan leaves open. Where nobody lay, anything may be said to lie.

    Returns:
        One of ``POSITIONS``, or ``NOBODY``.

    Raises:
        InputError: Where neither says a known position.
        SettingError: Where ``given`` is none, or the scan says another one.
    """
    known: dict[str, PatientPosition] = {term: term for term in (*POSITIONS, NOBODY)}
    stated = stated if stated == NOBODY else stated.strip().upper()
    if given is not None and given not in known:
        raise SettingError(f"patient_position must be one of {', '.join(known)}, got {given!r}")
    if given is not None and stated in POSITIONS and given != stated:
        raise SettingError(
            f"{source}: PatientPosition is {stated}, --patient-position {given}; drop the option, or correct the files"
        )
    found = given or stated
    if found in known:
        return known[found]
    said = f"PatientPosition is {stated[:40]!r}, which is not known" if stated else "PatientPosition is missing"
    raise InputError(
        f"{source}: {said}, so left and right would be a guess; give --patient-position "
        f"({', '.join(POSITIONS)}) if you know how the patient lay, or {NOBODY} for a phantom or a specimen"
    )


def lying(scan: Scan, given: str | None) -> Scan:
    """The scan with its patient position filled in.

    The axes of the image are those of the scan and stay: x to the patient's left, y to the front.

    Args:
        scan: Of a patient.
        given: How the patient lay, where the scan does not state it; None for no word.

    Returns:
        The scan.

    Raises:
        InputError: As ``position_of``.
        SettingError: As ``position_of``.
    """
    if given is None:
        return scan
    return replace(scan, patient_position=position_of(scan.source, scan.patient_position, given))


def axes_of(position: str) -> dict[str, tuple[str, str]] | None:
    """What stands where each axis of an image begins and ends; None where nobody lay, or nobody said how.

    Args:
        position: ``Scan.patient_position``.

    Returns:
        ``AXES`` or None.
    """
    return AXES if position in POSITIONS else None
