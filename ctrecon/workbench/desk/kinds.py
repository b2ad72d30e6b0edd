"""What a file or folder seems to be, by its name and the names beside it: nothing of it is read for that, but a head.

One rule a kind, in order: the first that takes a place names it. What none takes is listed, and not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ctrecon.certificates.verify import FILES
from ctrecon.dicom.common.files import read_dataset
from ctrecon.dicom.raw.ct_pd_tags import ROWS
from ctrecon.errors import InputError
from ctrecon.io.formats import format_of
from ctrecon.io.open_file import SUFFIXES
from ctrecon.io.pictures import is_dicom_file
from ctrecon.io.volume_names import volume_suffix
from ctrecon.io.zarr_metadata import is_zarr
from ctrecon.outputs.history import SUFFIX as HISTORY
from ctrecon.outputs.stack.formats import stack_suffix
from ctrecon.outputs.stack.lookup import stack_of
from ctrecon.outputs.stack.manifest import NAME as MANIFEST
from ctrecon.support.signatures import SIGNATURE

_LARGEST_FILE = 1 << 26
_OURS = (*FILES.values(), HISTORY, ".npz", ".html", ".evidence", ".zarr")
_PICTURES = (".png", ".tif", ".tiff", ".nii")
_LOOKED_AT = 50
"""So many files of a folder are asked whether they are DICOM, at most."""


@dataclass(frozen=True)
class Place:
    """A file or folder, with the names in its folder; ``inside`` the names within it, where it is a folder."""

    path: Path
    beside: frozenset[str]
    inside: frozenset[str] | None = None

    def stem(self, suffix: str) -> str:
        """The name without an ending that it has."""
        return self.path.name[: -len(suffix)]

    def ends(self, suffix: str) -> bool:
        """Whether the name ends so, with something before it."""
        return self.path.name.endswith(suffix) and self.path.name != suffix


@dataclass(frozen=True)
class Rule:
    """``kind`` of a place that ``takes`` says yes to."""

    kind: str
    takes: Callable[[Place], bool]


def kind_of(place: Place) -> str:
    """Which kind a place is of.

    Args:
        place: A file or folder, no link.

    Returns:
        One of ``image``, ``picture``, ``volume``, ``series``, ``scan``, ``report``; ``evidence`` for what belongs to
        another file; ``folder`` for one that is none of these; ``unknown``.
    """
    return next((rule.kind for rule in _RULES if rule.takes(place)), "unknown" if place.inside is None else "folder")


def made_by_us(names: frozenset[str]) -> bool:
    """Whether any of these names is one that ctrecon writes: then their folder is no scan, whatever else it holds."""
    return any(name.endswith(_OURS) for name in names)


def _is_evidence(place: Place) -> bool:
    """Of a certificate, or the picture, volume, history or sidecar that belong to another file."""
    name, beside = place.path.name, place.beside
    if place.inside is not None:
        return name.endswith(".evidence") and MANIFEST in place.inside
    if place.ends(FILES[""]) or place.ends(HISTORY) or place.ends(SIGNATURE):
        return True
    parts = [suffix for key, suffix in FILES.items() if key not in ("", "image") and place.ends(suffix)]
    if any(place.stem(suffix) + FILES[""] in beside for suffix in parts):
        return True
    volume = volume_suffix(place.path) or (".png" if place.ends(".png") else None)
    if volume is not None and {place.stem(volume) + end for end in (".npy", HISTORY)} <= beside:
        return True
    if place.ends(".json"):
        return any(place.stem(".json") + suffix in beside for suffix in (*SUFFIXES, ".raw", ".bin", ".tif", ".tiff"))
    return False


def _is_picture(place: Place) -> bool:
    """Of super-resolution: its values with a certificate, its picture beside them; or any picture of ours."""
    if place.inside is not None:
        return False
    if place.ends(".npy"):
        stem = place.stem(".npy")
        shown = any(stem + end in place.beside for end in _PICTURES)
        return shown and stem + FILES[""] in place.beside and stem + HISTORY not in place.beside
    return place.ends(".png") and place.stem(".png") + ".npy" not in place.beside


def _is_shown_by_values(place: Place) -> bool:
    """The picture of super-resolution whose values stand beside it: shown once."""
    if place.inside is not None:
        return False
    if place.ends(".png"):
        return place.stem(".png") + ".npy" in place.beside
    return any(
        place.ends(end) and {place.stem(end) + ".npy", place.stem(end) + FILES[""]} <= place.beside for end in _PICTURES
    )


def _is_image(place: Place) -> bool:
    """What was reconstructed, or an array without a file that says how it was measured."""
    if place.inside is not None or not place.ends(".npy"):
        return False
    stem = place.stem(".npy")
    return bool({stem + HISTORY, stem + FILES[""]} & place.beside) or stem + ".json" not in place.beside


def _is_volume(place: Place) -> bool:
    return stack_suffix(place.path) is not None and stack_of(place.path) is not None


def _is_projections(place: Place) -> bool:
    """A folder of DICOM files whose first one says what a detector measured (DICOM-CT-PD)."""
    first = _first_dicom(place)
    try:
        if first is None or first.stat().st_size > _LARGEST_FILE:
            return False
        return ROWS.number in read_dataset(first.name, first.read_bytes())
    except (InputError, OSError):
        return False


def _is_series(place: Place) -> bool:
    """A folder with other DICOM files."""
    return _first_dicom(place) is not None


def _first_dicom(place: Place) -> Path | None:
    if place.inside is None or made_by_us(place.inside):
        return None
    likely = sorted(place.inside, key=lambda name: (not name.lower().endswith(".dcm"), name))
    return next((place.path / name for name in islice(likely, _LOOKED_AT) if _is_dicom(place.path / name)), None)


def _is_dicom(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and is_dicom_file(path)
    except OSError:
        return False


def _is_scan(place: Place) -> bool:
    if place.inside is not None and made_by_us(place.inside):
        return False
    try:
        return is_zarr(place.path) or format_of(place.path) is not None or place.path.suffix.lower() in SUFFIXES
    except OSError:
        return False


def _is_report(place: Place) -> bool:
    return place.inside is None and place.path.suffix.lower() in (".html", ".htm")


_RULES = (
    Rule("evidence", _is_evidence),
    Rule("report", _is_report),
    Rule("evidence", _is_shown_by_values),
    Rule("volume", _is_volume),
    Rule("picture", _is_picture),
    Rule("image", _is_image),
    Rule("scan", _is_projections),
    Rule("series", _is_series),
    Rule("scan", _is_scan),
)
