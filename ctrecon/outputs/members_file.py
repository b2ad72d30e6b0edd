"""What was gathered of further images, in files: ``S.members.json`` and ``S.members.npy`` beside ``S.npy``.

Information, and no part of any proof: each member's own certificate is one, where the member was saved
(``S.member-K.npy``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.gather import Gathered
from ctrecon.auditing.members.picture import draw_members
from ctrecon.certificates import verify
from ctrecon.io.write import put_array
from ctrecon.support.atomic import atomic_files

FORMAT = "ctrecon-members/1"
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
