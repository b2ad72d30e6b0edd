"""Volumes of which nobody knows how the patient lay: each format's own word for that, in place of a guess.

NIfTI-1 has the codes 0 of ``qform`` and ``sform`` ("arbitrary coordinates", nifti1.h, method 1), which leave spacings
alone; MetaImage ``AnatomicalOrientation = ???``, NRRD a ``space dimension`` in place of a named ``space``. The last two
keep directions and origin, in axes that are nobody's.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ctrecon.io.volume_names import volume_suffix
from ctrecon.measurement.terms import NOBODY, POSITIONS

_START = 1 << 12
_CODES, _AFTER_CODES = 252, 328
_PIXDIM = 76
# Of the same length, so that nothing after it moves.
_WORDS = {
    ".mha": ((b"AnatomicalOrientation = RAI\n", b"AnatomicalOrientation = ???\n"),),
    ".nrrd": ((b"space: left-posterior-superior\n", b"space dimension: 3\n# not known\n"),),
}
_SIGNS = {".mha": b"anatomicalorientation=???", ".nrrd": b"spacedimension:"}


def is_oriented(patient_position: str) -> bool:
    """Whether axes of an image are those of a patient: only where it is known how the patient lay."""
    return patient_position in POSITIONS


def unoriented_notes(name: str, patient_position: str) -> tuple[str, ...]:
    """What is said of a file without an orientation.

    Args:
        name: The file's.
        patient_position: As the scan says it.

    Returns:
        One sentence; none where it has an orientation, or is of a format that has none.
    """
    if is_oriented(patient_position) or volume_suffix(Path(name)) is None:
        return ()
    if patient_position == NOBODY:
        return (f"{name} states no orientation, since it is of no patient: letters such as L and R mean nothing",)
    return (
        f"{name} states no orientation, since nobody says how the patient lay; give --patient-position "
        f"({', '.join(POSITIONS)}) if you know it",
    )


def forget_orientation(path: Path, suffix: str) -> None:
    """Take the orientation out of a volume that ITK wrote with columns to the left, rows to the back, slices up.

    Args:
        path: Uncompressed, changed in place.
        suffix: Its format.

    Raises:
        ValueError: Its header is not as ITK writes such.
    """
    with path.open("r+b") as stream:
        start = bytearray(stream.read(_START))
        if suffix == ".nii":
            start[_CODES:_AFTER_CODES] = bytes(_AFTER_CODES - _CODES)
            struct.pack_into("<f", start, _PIXDIM, 1.0)
        for old, new in _WORDS.get(suffix, ()):
            if start.count(old) != 1:
                raise ValueError(f"a header of {suffix} without {old!r}")
            start = start.replace(old, new)
        stream.seek(0)
        stream.write(start)


def says_no_orientation(start: bytes, suffix: str) -> bool:
    """Whether a file says that its axes are nobody's.

    Args:
        start: Its first 4,096 bytes or more, decompressed.
        suffix: Its format.

    Returns:
        False also for what is no such file.
    """
    if suffix in (".nii", ".nii.gz"):
        return start[_CODES : _CODES + 4] == bytes(4) and len(start) >= _AFTER_CODES
    lines = [line.replace(b" ", b"").lower() for line in start.replace(b"\r", b"\n").split(b"\n")]
    return any(line.startswith(_SIGNS[suffix]) for line in lines)
