"""The further images beside a reconstruction, as far as their files fit it: a picture of where they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.certificates import verify
from ctrecon.errors import InputError
from ctrecon.io.npy import read_npy
from ctrecon.outputs.members_file import Listed, MembersList, member_path, members_paths, read_members
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class FoundMembers:
    """What stands beside the image. ``refused`` is why it is left out, else empty; then the rest is there.

    ``range`` is ``[rows, columns]`` as its file has it; ``said`` is for each listed image, of its own certificate,
    what was found when the page was written.
    """

    name: str
    refused: str = ""
    listed: MembersList | None = None
    range: Array | None = None
    said: tuple[str, ...] = ()

    @property
    def counted(self) -> int:
        """How many of the listed images count, as the list has it."""
        return 0 if self.listed is None else sum(one.certified for one in self.listed.members)


def find_members(
    stem: Path, image: Array, claim: Mapping[str, Any] | None, check: Callable[[Path], verify.Verdict]
) -> FoundMembers | None:
    """``S.members.json`` with ``S.members.npy``; None where there is no list. ``claim``: the valid certificate's.

    Args:
        stem: ``S`` with its folder.
        image: What the page shows.
        claim: Of its certificate, where that holds.
        check: Checks a certificate.

    Returns:
        Both, bound to this image, data and delta by their hashes, or why they are left out.
    """
    path = stem.with_name(stem.name + verify.FILES["image"])
    paths = members_paths(path)
    name = paths["list"].name
    if not paths["list"].exists():
        return None
    try:
        listed = read_members(paths["list"])
        if fault := _fault(listed, claim):
            return FoundMembers(name=name, refused=fault)
        if _sha256(paths["range"]) != listed.range_sha256:
            return FoundMembers(name=name, refused=f"{paths['range'].name} is another one than it speaks of")
        values = read_npy(paths["range"])
    except (InputError, OSError) as why:
        return FoundMembers(name=name, refused=verify.one_line(why))
    if values.shape != image.shape or not bool((np.isfinite(values) & (values >= 0)).all()):
        return FoundMembers(name=name, refused=f"{paths['range'].name} holds no ranges of this image's pixels")
    said = tuple(_of_member(path, k, one, claim, check) for k, one in enumerate(listed.members, start=1))
    return FoundMembers(name=name, listed=listed, range=values, said=said)


def _fault(listed: MembersList, claim: Mapping[str, Any] | None) -> str:
    if claim is None or claim["kind"] != "feasible":
        return "it speaks of an image that is proved to meet delta, and of this one that is not proved"
    for what, ours in (("image", claim["image"]["sha256"]), ("data", claim["data"]["sha256"])):
        if getattr(listed, f"{what}_sha256") != ours:
            return f"it speaks of other {what} files than those that are stored here now"
    if (listed.delta, listed.norm) != (claim["delta"], claim["norm"]):
        return "it speaks of another delta or norm than this certificate"
    return ""


def _of_member(
    path: Path, number: int, one: Listed, claim: Mapping[str, Any] | None, check: Callable[[Path], verify.Verdict]
) -> str:
    own = member_path(path, number)
    certificate = own.with_name(own.name.removesuffix(".npy") + verify.FILES[""])
    if not one.certified:
        return "not counted: delta is missed, as the list has it"
    if not certificate.exists():
        return "not saved, so not checked here"
    verdict = check(certificate)
    if not verdict.valid:
        return f"refused: the checker says: {verify.one_line(verdict.reason)}"
    values, names = verdict.claims, ("data", "operator", "norm", "weights", "delta")
    if claim is None or verdict.kind != "feasible" or any(values[name] != claim[name] for name in names):
        return "its certificate holds, but speaks of other data, geometry or delta"
    if values["image"]["sha256"] != one.image_sha256:
        return "its certificate holds, but speaks of another image than the list"
    return "its own certificate was checked and holds"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
