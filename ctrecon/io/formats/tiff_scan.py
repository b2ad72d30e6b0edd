"""Projections as TIFF: a folder of pictures, or one file of many, with white and dark frames and a file of angles.

White and dark frames lie in folders or files of their own, named after what they are (``white``, ``flat``, ``ff``,
``open``, ``I0``; ``dark``, ``df``, ``offset``). White ones whose names say ``before`` and ``after`` (``pre``, ``post``,
``start``, ``end``) may drift between these. A file of one floating-point picture is a sinogram ``[views,
detectors]``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.angle_file import NAMES, angles_beside
from ctrecon.io.ask import Ask
from ctrecon.io.framed import from_frames
from ctrecon.io.measured import Measured
from ctrecon.io.stack import cut_of_parallel
from ctrecon.io.tiff import SUFFIXES, Frames, frames_of, in_order
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.limits import as_rays

NAME = "TIFF"
PLACE = 100
VOLUMES = True

_WHITE = re.compile(r"(white|flat|blank|bright|open|ff|i0|io)(field|s|beam|frame|fields|frames)?")
_BEFORE, _AFTER = {"before", "pre", "start", "begin"}, {"after", "post", "end"}
_DARK = re.compile(r"(dark|df|di|offset|background)(field|s|current|frame|fields|frames)?")


def takes(path: Path) -> bool:
    """A TIFF file, or a folder in which some are."""
    return path.suffix.lower() in SUFFIXES if path.is_file() else path.is_dir() and bool(_tiffs(path))


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where white frames are missing, or files do not belong together."""
    if path.is_file():
        whole = frames_of([path])
        if len(whole) == 1 and (ask.all_rows or ask.bin > 1):
            raise InputError(f"{path}: is a single picture; drop --all-rows and --bin")
        if len(whole) == 1 and whole.dtype.kind == "f":
            return Measured(sinogram=as_rays(path, "its picture", whole.whole(), ask.row), bare=True)
        if len(whole) == 1:
            raise InputError(f"{path}: is a single picture of {whole.dtype}; give the folder of projections, or a "
                             "sinogram of line integrals in floating point")  # fmt: skip
    found = _sorted(path)
    views = found["views"]
    cut, notes = cut_of_parallel(path, views, ask, top_first=True, mirrored=False)
    if "white" not in found:
        raise InputError(f"{path}: holds no white frames; put them beside the projections as white*.tif (or in a "
                         "folder white), or give line integrals as a sinogram")  # fmt: skip
    for name, frames in found.items():
        if (frames.rows, frames.columns) != (views.rows, views.columns):
            raise InputError(f"{path}: its {name} frames are {frames.rows} x {frames.columns}, the projections "
                             f"{views.rows} x {views.columns}; they must agree")  # fmt: skip
    def part(of: Frames) -> Array:
        """One row by itself may have been read for its neighbours' sake."""
        return cut(of) if cut.row is None or cut.cells > 1 else of.row(cut.row, ask.ahead)

    counts, white = part(views), part(found["white"])
    dark = part(found["dark"]) if "dark" in found else None
    angles = angles_beside(path if path.is_dir() else path.parent, len(views))
    return from_frames(
        path, counts, white, dark, white_at=_when(found["white"], len(views)),
        notes=(*notes, *((angles[1],) if angles else (f"no angles: none of {', '.join(NAMES[:3])} is beside it",))),
        angles_deg=angles[0] if angles else None, center="auto", rows=views.rows,
    )  # fmt: skip


def _when(white: Frames, views: int) -> Float64Array | None:
    """How many views were taken before each white frame, where all their names, or their folders', say it."""
    found = []
    for path, _ in white.places:
        words = set(re.findall(r"[a-z]+", f"{path.parent.name}_{path.stem}".lower()))
        before, after = bool(words & _BEFORE), bool(words & _AFTER)
        if before == after:
            return None
        found.append(float(views) if after else 0.0)
    return np.array(found)


def _tiffs(folder: Path) -> list[Path]:
    return in_order(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def _kind(name: str) -> str:
    """``white``, ``dark`` or ``views``, by the words of a name; digits count and separate."""
    words = re.findall(r"(?<![a-z])i0(?![a-z1-9])|[a-z]+", name.lower())
    if any(_WHITE.fullmatch(word) for word in words):
        return "white"
    return "dark" if any(_DARK.fullmatch(word) for word in words) else "views"


def _sorted(path: Path) -> dict[str, Frames]:
    """The frames by what they are."""
    files: dict[str, list[Path]] = {"views": [], "white": [], "dark": []}
    folder = path if path.is_dir() else path.parent
    beside = [one for one in _tiffs(folder) if path.is_dir() or one != path]
    for one in beside:
        kind = _kind(one.stem)
        if path.is_dir() or kind != "views":
            files[kind].append(one)
    for inner in in_order(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()):
        if _kind(inner.name) != "views":
            files[_kind(inner.name)] += _tiffs(inner)
        elif not files["views"] and path.is_dir() and re.fullmatch(r"(proj|tomo|sample|data|scan|views?).*",
                                                                   inner.name.lower()):  # fmt: skip
            files["views"] += _tiffs(inner)
    if path.is_file():
        files["views"] = [path]
    if not files["views"]:
        raise InputError(f"{path}: holds TIFF files, but no projections among them; name white and dark frames only so")
    return {kind: frames_of(found) for kind, found in files.items() if found}
