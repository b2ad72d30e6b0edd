"""What was gathered of further images, in files: ``S.members.json`` and ``S.members.npy`` beside ``S.npy``.

Information, and no part of any proof: each member's own certificate is one, where the member was saved
(``S.member-K.npy``). ``ctrecon report`` reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.gather import MOST, Gathered
from ctrecon.auditing.members.picture import draw_members
from ctrecon.certificates import verify
from ctrecon.errors import InputError
from ctrecon.io.write import put_array
from ctrecon.support.atomic import atomic_files
from ctrecon.support.json_text import parse_json
from ctrecon.support.json_values import a_list, a_number, a_text, a_truth, an_object

FORMAT = "ctrecon-members/1"
MAX_BYTES, MOST_DISCS = 1 << 20, 200
ENDS = {"picture": ".members.png", "range": ".members.npy", "list": ".members.json"}


def members_paths(image: Path) -> dict[str, Path]:
    """Beside ``S.npy``: ``S.members.png``, ``S.members.npy``, ``S.members.json``."""
    stem = image.name.removesuffix(".npy")
    return {what: image.with_name(stem + end) for what, end in ENDS.items()}


def member_path(image: Path, number: int) -> Path:
    """Where the image of a member is saved: ``S.member-K.npy``, K from 1 in the order of the list."""
    return image.with_name(f"{image.name.removesuffix('.npy')}.member-{number}.npy")


def saved_paths(image: Path, count: int) -> list[Path]:
    """All that ``count`` saved members may need."""
    stems = [member_path(image, k).name.removesuffix(".npy") for k in range(1, count + 1)]
    ends = [verify.FILES[name] for name in ("", "image", "data", "weights", "matrix")]
    return [image.with_name(stem + end) for stem in stems for end in ends]


def write_members(
    evidence: Evidence, found: Gathered, image: Path, facts: Mapping[str, Any], *, save_members: bool
) -> dict[str, Path]:
    """Write map, list and picture beside ``image``, with ``save_members`` the certified members too; all or nothing.

    Args:
        evidence: Of the image.
        found: What was gathered.
        image: ``S.npy``.
        facts: What the list says beside hashes.
        save_members: Whether the members are written with their certificates.

    Returns:
        The paths by what they are.

    Raises:
        OutputError: Where they cannot be written.
    """
    paths = members_paths(image)
    with atomic_files() as place:
        if save_members:
            for k, member in enumerate(found.tried, start=1):
                if member.certificate is not None:
                    own = member_path(image, k)
                    paths[f"member {k}"] = member.certificate.put(place, own)[""]
        put_array(place(paths["range"]), found.range, paths["range"])
        digest = hashlib.sha256(place(paths["range"]).read_bytes()).hexdigest()
        hashes = {
            "image_sha256": evidence.values["image"]["sha256"], "range_sha256": digest,
            "data_sha256": evidence.values["data"]["sha256"],
        }  # fmt: skip
        listed = {"format": FORMAT, **hashes, **facts}
        place(paths["picture"]).write_bytes(draw_members(evidence, found))
        place(paths["list"]).write_text(json.dumps(listed, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return paths


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One image of the list; ``image_sha256`` is of its file where it was counted."""

    name: str
    how: str
    residual: float
    certified: bool
    image_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class ListedDisc:
    """One disc of the list: contrasts of this image and of the extreme ones, in its unit, and which these are."""

    column: float
    row: float
    own: float
    lowest: float
    lowest_in: str
    highest: float
    highest_in: str


@dataclass(frozen=True, kw_only=True)
class MembersList:
    """``S.members.json`` as its writer has it: nothing of it is proved."""

    image_sha256: str
    range_sha256: str
    data_sha256: str
    delta: float
    norm: str
    radius: float
    members: tuple[Listed, ...]
    discs: tuple[ListedDisc, ...]


def read_members(path: Path) -> MembersList:
    """Read a list of members.

    Args:
        path: ``S.members.json``.

    Returns:
        What it says, of the kinds that belong there.

    Raises:
        InputError: For what ``write_members`` would not write.
        OSError: Where there is no such file.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"{path.name}: has {size} bytes, at most {MAX_BYTES} belong there; run ctrecon members again")
    try:
        values = an_object(parse_json(path.read_bytes()))
        if values.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if not 1 <= len(a_list(values["members"])) <= MOST or len(a_list(values["discs"])) > MOST_DISCS:
            raise ValueError("it lists too many")
        return MembersList(
            **{name: a_text(values[name]) for name in ("image_sha256", "range_sha256", "data_sha256", "norm")},
            delta=a_number(values["delta"]), radius=a_number(values["radius"]),
            members=tuple(_listed(an_object(one)) for one in values["members"]),
            discs=tuple(_disc(an_object(one)) for one in values["discs"]),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, OverflowError) as why:
        text = "".join(c if c.isprintable() else "?" for c in str(why))[:120]
        raise InputError(f"{path.name}: is no list as ctrecon members writes it ({text}); run it again") from None


def _listed(values: Mapping[str, Any]) -> Listed:
    digest = values["image_sha256"]
    return Listed(
        name=a_text(values["name"]), how=a_text(values["how"]), residual=a_number(values["residual"]),
        certified=a_truth(values["certified"]), image_sha256=None if digest is None else a_text(digest),
    )  # fmt: skip


def _disc(values: Mapping[str, Any]) -> ListedDisc:
    numbers = {name: a_number(values[name]) for name in ("column", "row", "own", "lowest", "highest")}
    return ListedDisc(**numbers, lowest_in=a_text(values["lowest_in"]), highest_in=a_text(values["highest_in"]))
