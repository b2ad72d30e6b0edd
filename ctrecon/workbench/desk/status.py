"""What a file's own evidence says of it, before anything is checked: never "certified", which only a check may say.

A certificate that is not of this image is found here all the same: the image's SHA-256 is compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctrecon.certificates import verify
from ctrecon.diagnosis.doubts import DOUBT
from ctrecon.dicom.series.series import CERTIFICATES
from ctrecon.errors import InputError
from ctrecon.outputs.history import SUFFIX as HISTORY
from ctrecon.outputs.history import History, read_history
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.support.limits import reason

Mood = Literal["plain", "open", "bad", "good"]
MOST_HASHED = 1 << 28
"""Bytes of an image that is compared with its certificate before it is chosen for a check."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """``tag``: two or three words, ``mood`` their colour, ``said`` sentences. ``checkable``: whether a check can run.

    ``doubts`` and ``nothing``: why scan or statement are worth little, as the history or manifest says it.
    """

    tag: str
    mood: Mood
    said: tuple[str, ...] = ()
    checkable: bool = False
    doubts: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside an image. ``history`` is None where there is none that speaks of it; ``claim`` likewise."""

    status: Status
    history: History | None = None
    claim: dict[str, Any] = field(default_factory=dict)


_RAW_DATA = b"1.2.840.10008.5.1.4.1.1.66\2\0"  # and the next element: other classes begin with the same digits

UNSAID = Status(tag="", mood="plain")
UNPROVED = "Nothing was checked yet: this is what its files say."


def of_image(path: Path) -> Beside:
    """Of an image or picture ``S.npy``.

    Args:
        path: Of the image.

    Returns:
        What certificate and history say, where they speak of this image.
    """
    digest = _sha256(path)
    history, notes = _history(path, digest)
    doubts = tuple(note.removeprefix(DOUBT) for note in (history.notes if history else ()) if note.startswith(DOUBT))
    nothing = history.says_nothing if history else ()
    file = path.with_name(path.name.removesuffix(".npy") + verify.FILES[""])
    if not file.is_file():
        tag, mood = ("not certified", "open") if history is not None else ("no certificate", "plain")
        return Beside(status=Status(tag=tag, mood=_mood(mood), said=notes, doubts=doubts), history=history)
    try:
        claim = verify.parse_certificate(verify.read(file, verify.MAX_BYTES))
        kind = str(claim["kind"])
        tag, mood, said = _CLAIMED[kind]
        certified = claim["image"]["sha256"] if "image" in claim else None
    except (verify.Refused, OSError, ValueError, LookupError, TypeError, RecursionError) as why:
        said = f"{file.name} is no certificate as it was written ({reason(why)})."
        return Beside(
            status=Status(tag="certificate unusable", mood="bad", said=(said, *notes), checkable=True), history=history
        )
    if certified is not None and digest is not None and certified != digest:
        changed = f"{file.name} speaks of another image than the one that is stored here now."
        status = Status(tag="not its certificate", mood="bad", said=(changed, *notes), checkable=True)
        return Beside(status=status, history=history)
    if digest is None and certified is not None:
        said += f" The image is larger than {MOST_HASHED} bytes, so it was not compared."
    status = Status(
        tag=tag, mood=mood, said=(said, UNPROVED, *notes), checkable=True, doubts=doubts, nothing=tuple(nothing)
    )
    return Beside(status=status, history=history, claim=claim)


_CLAIMED: dict[str, tuple[str, Mood, str]] = {
    "feasible": ("certificate, not checked", "open", "It has a certificate that speaks of this very file."),
    "infeasible": ("nothing fits, it says", "open", "Its certificate says that no image within limits meets delta."),
    "interval": ("of a region", "open", "Its certificate is about one region."),
}


def of_volume(manifest: Manifest) -> Status:
    """Of a stack or a volume, as its manifest says."""
    doubts = tuple(note.removeprefix(DOUBT) for note in manifest.notes if note.startswith(DOUBT))
    parts = manifest.slices if manifest.whole is None else (manifest.whole,)
    nothing = tuple(dict.fromkeys(why for one in parts for why in one["says_nothing"]))
    good, every = manifest.certified, manifest.shape[0]
    if manifest.whole is not None:
        said = "It has one certificate." if good else "It is not certified, its manifest says."
    else:
        said = f"{good} of {every} slices have certificates, its manifest says."
    tag = "certificates, not checked" if good == every else f"{good} of {every} with certificates" if good else (
        "not certified")  # fmt: skip
    return Status(tag=tag, mood="open", said=(said, UNPROVED), checkable=True, doubts=doubts, nothing=nothing)


def of_series(folder: Path) -> Status:
    """Of a folder of DICOM files: how many of its slices have a certificate, or of its volume."""
    kept = folder / CERTIFICATES
    if not kept.is_dir():
        if not any(map(_is_raw_data, folder.glob("*"))):
            return Status(tag="no certificate", mood="plain")
        said = "What certificates it has are in its DICOM files (raw data)."
        return Status(tag="not checked", mood="open", said=(said, UNPROVED), checkable=True)
    found = [_kind_of(path) for path in kept.glob(f"*{verify.FILES['']}")]
    good, every = found.count("feasible"), max(len(found), len(list(kept.glob(f"*{HISTORY}"))))
    tag = "certificates, not checked" if 0 < good == every else f"{good} of {every} with certificates" if good else (
        "not certified")  # fmt: skip
    said = f"{good} of {every} have a certificate, of each slice or of a volume as a whole."
    return Status(tag=tag, mood="open", said=(said, UNPROVED), checkable=True)


def _kind_of(certificate: Path) -> str:
    try:
        return str(verify.parse_certificate(verify.read(certificate, verify.MAX_BYTES))["kind"])
    except (verify.Refused, OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _is_raw_data(path: Path) -> bool:
    """Whether a file's header (PS3.10, 7.1) names the class that certificates and manifests are kept in."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError:
        return False
    return head[128:132] == b"DICM" and _RAW_DATA in head


def _history(path: Path, digest: str | None) -> tuple[History | None, tuple[str, ...]]:
    file = path.with_name(path.name.removesuffix(".npy") + HISTORY)
    if not file.is_file():
        return None, ()
    try:
        found = read_history(file)
    except (InputError, OSError) as why:
        return None, (reason(why).replace(str(file), file.name),)
    if digest is None or found.image_sha256 == digest:
        return found, ()
    return None, (f"{file.name} speaks of another image than the one that is stored here now.",)


def _sha256(path: Path) -> str | None:
    """None where the file is too large for a look."""
    if path.stat().st_size > MOST_HASHED:
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mood(name: str) -> Mood:
    return "open" if name == "open" else "plain"
