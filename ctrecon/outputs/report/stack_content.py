"""What a report says of a stack: every slice's certificate checked anew, and the volume compared with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ctrecon.certificates.verify import FILES, Verdict
from ctrecon.errors import InputError
from ctrecon.io.npy import read_npy
from ctrecon.outputs.report.content import Content, Status, StoredFile, gather
from ctrecon.outputs.report.facts import Rows, quoted
from ctrecon.outputs.report.reduced import Reduced, reduce_volume
from ctrecon.outputs.report.words import EMPTY, Said
from ctrecon.outputs.stack.check import StackVerdict, check_stack, same_data
from ctrecon.outputs.stack.lookup import stack_of
from ctrecon.outputs.stack.manifest import NAME, WHOLE, Manifest, read_manifest
from ctrecon.reconstruction.pieces import slice_name
from ctrecon.support.arrays import Array

SliceStatus = Literal["certified", "not certified", "refused"]


@dataclass(frozen=True, kw_only=True)
class SliceContent:
    """One slice: its ``number`` from 1, where it stands, what was found of it; residual and delta by its manifest.

    ``repeats``: the number of the first slice whose data are the same.
    """

    number: int
    z_mm: float
    status: SliceStatus
    said: str
    residual: float
    delta: float
    repeats: int | None = None


@dataclass(frozen=True, kw_only=True)
class StackContent:
    """A stack on a page. ``content`` is that of the certified slice nearest the middle, under the stack's own name.

    ``verdict`` is of the whole; ``looked_at`` the number of that slice, whose residual is shown.
    """

    content: Content
    manifest: Manifest
    verdict: StackVerdict
    slices: tuple[SliceContent, ...]
    reduced: Reduced
    looked_at: int

    @property
    def certified(self) -> int:
        """How many slices are certified, as was found anew."""
        return sum(one.status == "certified" for one in self.slices)

    @property
    def empty(self) -> int:
        """Of how many slices the certificate says nothing, as the check compares it with the manifest."""
        return sum(bool(one.get("says_nothing")) for one in self.manifest.slices)

    @property
    def commands(self) -> tuple[tuple[str, str], ...]:
        """What to type to repeat the check."""
        name = quoted(self.manifest.volume)
        return (("With ctrecon, in the folder of the volume", f"ctrecon verify {name}"),)

    @property
    def details(self) -> Rows:
        """How it was made, as the manifest says it."""
        said = self.manifest
        rows = [("Scan file, as the manifest has it; not compared here", said.source), ("Values", said.values)]
        rows += [(name.replace("_", " ").capitalize(), str(said.settings[name])) for name in ("method", "delta")
                 if name in said.settings]  # fmt: skip
        return (*rows, *((f"Version of {name}", version) for name, version in sorted(said.made_with.items())))


def gather_whole(path: Path) -> Content | None:
    """The content of the report on a volume with one certificate.

    Args:
        path: The store, the file, or its folder of evidence.

    Returns:
        What ``gather`` finds of the certified volume, refused where the store does not hold it; None for a stack whose
        slices have certificates of their own, and for anything else.

    Raises:
        InputError: A manifest that cannot be read.
    """
    found = stack_of(path)
    if found is None:
        return None
    manifest = read_manifest(str(found[1] / NAME), _manifest_bytes(found[1]))
    if manifest.whole is None:
        return None
    certified = manifest.whole.get("status") == "certified"
    content = replace(gather(found[1] / (WHOLE + FILES["" if certified else "image"])), stem=manifest.volume)
    verdict = check_stack(*found)
    if verdict.valid or not certified:
        return content
    return replace(
        content, status="refused", verdict=Verdict(False, None, reason=verdict.said), claim=None, worth=None,
        residual=None,
        missing={**content.missing, "residual": "What is refused does not say which data belong to this volume."},
    )  # fmt: skip


def _manifest_bytes(evidence: Path) -> bytes:
    try:
        return (evidence / NAME).read_bytes()
    except OSError as why:
        raise InputError(f"{evidence / NAME}: cannot be read ({why.strerror})") from None


def gather_stack(path: Path) -> StackContent:
    """The content of the report on a stack.

    Args:
        path: The store, the file, or its folder of evidence.

    Returns:
        Every slice with what the checker found, and the volume reduced to what a page can hold.

    Raises:
        InputError: Where there is no stack, or one without any readable slice.
    """
    found = stack_of(path)
    if found is None:
        raise InputError(f"{path}: is no stack with its evidence; reconstruct one with -o NAME.zarr")
    volume, evidence = found
    raw = _manifest_bytes(evidence)
    manifest = read_manifest(str(evidence / NAME), raw)
    heard: list[str] = []
    verdict = check_stack(volume, evidence, watch=lambda path, valid, said: heard.append("" if valid else said))
    # What the check did not come to is refused with the whole.
    heard += [verdict.said] * (manifest.shape[0] - len(heard))
    repeated = dict(verdict.repeated)
    slices = tuple(_slice(manifest, k, fault, repeated.get(k)) for k, fault in enumerate(heard))
    good = [k for k, one in enumerate(slices) if one.status == "certified"]
    middle = manifest.shape[0] // 2
    shown = min(good or [middle], key=lambda k: abs(k - middle))
    content = _content(evidence, manifest, shown, certified=bool(good))
    whole = verdict.valid or verdict.slices_alone
    refused = not whole or any(one.status == "refused" for one in slices)
    status: Status = "refused" if refused else "certified" if verdict.valid else "not certified"
    files = (StoredFile(name=NAME, role="manifest", size=len(raw), sha256=hashlib.sha256(raw).hexdigest()),)
    return StackContent(
        content=replace(
            content, stem=manifest.volume, status=status, verdict=None, claim=None, worth=None, history=None,
            files=files, audits=(),
        ),
        manifest=manifest, verdict=verdict, slices=slices, looked_at=shown + 1,
        reduced=reduce_volume(_images(evidence, manifest), manifest.shape),
    )  # fmt: skip


def say_stack(stack: StackContent) -> Said:
    """The headline and what is proved, and what is not."""
    count, good = len(stack.slices), stack.certified
    status = stack.content.status
    headline = {
        "certified": f"Certified: each of the {count} slices explains its stored data to within its delta",
        "refused": "Refused: the stack is not what its certificates prove",
    }.get(status, f"Not certified: {count - good} of {count} slices")
    missing = [one for one in stack.slices if one.status != "certified"]
    names = ", ".join(str(one.number) for one in missing[:12]) + (" and more" if len(missing) > 12 else "")
    lead = {
        "certified": "Every slice was projected again by calculation, and every voxel of the volume compared with the "
        "certified images.",
        "refused": f"The checker says: {stack.verdict.said}.",
    }.get(status, f"Of these nothing is proved, and what they show must not be read as a result: {names}. The other "
          f"{good} are certified.")
    empty = stack.empty
    if empty and status == "certified":
        headline = EMPTY if empty == count else f"Of {empty} of {count} slices the certificate says nothing"
    elif stack.verdict.repeated and status == "certified":
        headline += ", but some are of the same data"
    if empty:
        lead += f" Of {empty} slices the certificate is true and says nothing: an empty slice would meet it as well."
    if stack.verdict.repeated:
        clause = same_data(stack.verdict.repeated)
        lead += f" {clause[0].upper()}{clause[1:]}: they are one measurement, whatever their places say."
    proved = [
        f"{good} of {count} slices, pixel by pixel as they are stored, miss their stored data by at most their delta."
        if good else "Nothing is proved about any slice.",
        "This was checked anew when this page was written, from the stored files alone.",
    ]
    return Said(
        headline=headline, lead=lead, proved=tuple(proved),
        not_proved=(
            "Where the slices stand: z is what the manifest says, which a signature can bind; no certificate can.",
            "Whether a structure in the image is real. Where the data leave a choice the method chose, and other "
            "images meet delta as well. Only an audited region says more.",
            "Whether the geometry, the noise and delta were right; and whether the stored data are those of a scan: "
            "ctrecon verify --scan FILE compares them.",
        ),
    )  # fmt: skip


def _slice(manifest: Manifest, k: int, fault: str, repeats: int | None) -> SliceContent:
    one = manifest.slices[k]
    status: SliceStatus = "refused" if fault else "certified"
    said = fault or "as certified"
    if one.get("status") != "certified":
        status, said = "not certified", str(one.get("reason", "delta is missed"))
    return SliceContent(
        number=k + 1, z_mm=float(one["z_mm"]), status=status, said=said, residual=_number(one.get("residual")),
        delta=_number(one.get("delta")), repeats=None if repeats is None else repeats + 1,
    )  # fmt: skip


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else 0.0


def _content(evidence: Path, manifest: Manifest, k: int, *, certified: bool) -> Content:
    stem = slice_name(k + 1)
    if certified:
        return gather(evidence / (stem + FILES[""]))
    image = read_npy(evidence / (stem + FILES["image"]))
    why = "No slice is certified, so no data are shown."
    return Content(
        stem=stem, status="not certified", image=image, grid=None, geometry=None, verdict=None, claim=None, worth=None,
        delta=None, norm=None, residual=None, history=None, audits=(), files=(),
        missing={"residual": why, "geometry": "No certificate states a geometry.", "history": why},
    )  # fmt: skip


def _images(evidence: Path, manifest: Manifest) -> Iterator[Array]:
    for k in range(manifest.shape[0]):
        image = read_npy(evidence / (slice_name(k + 1) + FILES["image"]))
        if image.shape != manifest.shape[1:]:
            raise InputError(f"{evidence}: slice {k + 1} has shape {image.shape}, not the manifest's")
        yield image
