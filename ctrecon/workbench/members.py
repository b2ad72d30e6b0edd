"""``ctrecon.members``: further images that explain the same data to the same delta, and where they differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.gather import COUNT, DISCS, Gathered, Member, gather_members
from ctrecon.auditing.members.spread import Spot
from ctrecon.auditing.regions import GAP, Ring
from ctrecon.certificates.worth import worth
from ctrecon.errors import SettingError
from ctrecon.outputs.members_file import members_paths, saved_paths, write_members
from ctrecon.support.arguments import checked
from ctrecon.support.places import check_places
from ctrecon.support.progress import Progress, Report
from ctrecon.support.text import printable
from ctrecon.workbench.audit import evidence_of
from ctrecon.workbench.result import Reconstruction

NOT_MORE = (
    "these are a few images of many: what the data leave open is at least this, and may be far more; it is no "
    "probability, a pushed image differs most where it was pushed, and where the images agree nothing is shown"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Members:
    """What was gathered. As text, what ``ctrecon members`` prints; ``to_dict()`` are the same for machines.

    ``found`` has the images that were tried, range and standard deviation per pixel, and the discs of the largest
    range. ``written``: the paths of picture, range, list and members.
    """

    evidence: Evidence
    found: Gathered
    written: dict[str, Path]

    def __repr__(self) -> str:
        return f"<Members: {len(self.found.counted)} of {len(self.found.tried)} tried meet delta>"

    def __str__(self) -> str:
        evidence, found, unit = self.evidence, self.found, self.evidence.units.after
        said = worth(evidence.verdict)
        lines = [f"{printable(evidence.image_path.name)}: {evidence.values['statement'].split(' for ')[0]}"]
        lines += [f"note: this says nothing: {why}" for why in said.nothing]
        lines += [f"note: this says little: {why}" for why in said.little]
        lines += [_member_line(k, member, evidence.delta) for k, member in enumerate(found.tried, start=1)]
        row, column = np.unravel_index(int(np.argmax(found.range)), found.range.shape)
        lines.append(
            f"{len(found.counted)} of {len(found.tried)} meet delta = {evidence.delta:.6g}; with this one they differ "
            f"by up to {float(found.range.max()):.4g}{unit} (column {column}, row {row}), in half of the pixels by up "
            f"to {float(np.median(found.range)):.4g}"
        )
        lines += [_spot_line(k, spot, found, unit) for k, spot in enumerate(found.spots, start=1)]
        lines.append(f"note: {NOT_MORE}; for proved ranges: ctrecon audit --roi COLUMN,ROW,RADIUS")
        return "\n".join([*lines, *(f"{what:>12}: {printable(str(path))}" for what, path in self.written.items())])

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            What was asked, one entry of ``members`` for each image tried, the largest and the median range, the
            ``discs`` of the largest range, and the paths that were written; plain values for JSON.
        """
        return _facts(self.evidence, self.found) | {
            "reconstruction": str(self.evidence.image_path), "seconds": round(self.found.seconds, 3),
            "written": {what: str(path) for what, path in self.written.items()},
        }  # fmt: skip


@checked
def members(
    subject: Reconstruction | str | os.PathLike[str],
    *,
    count: int = COUNT,
    seed: int = 0,
    radius: float | None = None,
    gap: float = GAP,
    ring: float | None = None,
    discs: int = DISCS,
    device: str | None = None,
    save: bool | str | os.PathLike[str] = False,
    save_members: bool = False,
    overwrite: bool = False,
    progress: Report | None = None,
) -> Members:
    """Further images that explain the same data to the same delta, made by different ways, and where they differ.

    Huber-TV with two weights, the shipped networks about one mirror image alone, conjugate gradients, and images
    pushed away from the certified one, from random starts and towards brighter and darker where those before differ
    most, as far as delta allows. Each counts only if it is proved to meet delta. A few images show at least how much
    the data leave open, never how much at most; proved ranges are those of ``audit``.

    Args:
        subject: A certified reconstruction, or its file ``S.npy`` or ``S.certificate.json``.
        count: So many images are tried, 1 to 40.
        seed: Of the random starts.
        radius: Of the discs in pixels; None for a sixteenth of the image.
        gap: Pixels between disc and surroundings.
        ring: Width of the surroundings in pixels; None for 0.6 of the radius, at least 4.
        discs: So many of the largest range are listed.
        device: ``"cpu"``, ``"cuda"``; None for a GPU where there is one.
        save: Whether to write picture, range and list beside the files of ``subject``, or beside which ``S.npy``.
        save_members: With ``save``, whether to write each member, too, with its certificate: ``S.member-K.npy``.
        overwrite: Whether earlier ones of these names may be replaced.
        progress: Hears how far it is.

    Returns:
        The images, per pixel their range and standard deviation, and the discs of the largest range.

    Raises:
        InputError: What is not certified, is a volume, or cannot be read.
        SettingError: Numbers out of range, or discs that do not fit.
        OutputError: Where files cannot be written.
    """
    beside = None if isinstance(save, bool) else Path(save)
    if save_members and save is False:
        raise SettingError("save_members writes beside the image; add save=True, or save='S.npy'")
    with evidence_of(subject, beside) as evidence:
        if isinstance(subject, Reconstruction) and save is True:
            raise SettingError("the reconstruction is in memory; say beside which image to save: save='S.npy'")
        image = (beside or evidence.image_path) if save else None
        if image is not None:
            more = saved_paths(image, count) if save_members else []
            check_places([*members_paths(image).values(), *more], overwrite=overwrite)

        def heard(done: int, name: str) -> None:
            if progress is not None:
                progress(Progress(stage="members", unit="image", done=done, total=count, item=name))

        found = gather_members(
            evidence, count=count, seed=seed, radius=radius, ring=Ring(gap=gap, width=ring), discs=discs,
            device=device, watch=heard,
        )  # fmt: skip
        made = Members(evidence=evidence, found=found, written={})
        if image is None:
            return made
        written = write_members(evidence, found, image, _facts(evidence, found), save_members=save_members)
        return replace(made, written=written)


def _facts(evidence: Evidence, found: Gathered) -> dict[str, Any]:
    names = ["this image", *(member.name for member in found.counted)]
    return {
        "delta": evidence.delta, "norm": evidence.values["norm"], "unit": evidence.units.attenuation or None,
        "seed": found.seed, "radius": found.radius, "places": found.places, "meaning": NOT_MORE,
        "members": [
            {"name": one.name, "how": one.how, "residual": one.residual, "certified": one.certified,
             "image_sha256": None if one.certificate is None else one.certificate.values["image"]["sha256"]}
            for one in found.tried
        ],
        "largest_range": float(found.range.max()), "median_range": float(np.median(found.range)),
        "discs": [
            {"region": spot.region.name, "column": spot.column, "row": spot.row, "own": spot.contrasts[0],
             "lowest": min(spot.contrasts), "lowest_in": names[int(np.argmin(spot.contrasts))],
             "highest": max(spot.contrasts), "highest_in": names[int(np.argmax(spot.contrasts))]}
            for spot in found.spots
        ],
    }  # fmt: skip


def _member_line(k: int, member: Member, delta: float) -> str:
    met = "meets delta, proved" if member.certified else f"misses delta = {delta:.6g}: not counted"
    return f"image {k}, {member.name}: residual {member.residual:.6g}, {met}; {member.how}"


def _spot_line(k: int, spot: Spot, found: Gathered, unit: str) -> str:
    names = ["this image", *(member.name for member in found.counted)]
    low, high = int(np.argmin(spot.contrasts)), int(np.argmax(spot.contrasts))
    return (
        f"disc {k} at column {spot.column:.4g}, row {spot.row:.4g}, radius {found.radius:.3g}: contrast "
        f"{spot.contrasts[0]:.4g} in this image, from {spot.contrasts[low]:.4g} ({names[low]}) to "
        f"{spot.contrasts[high]:.4g}{unit} ({names[high]})"
    )
