"""Cone beams of treatment machines: a folder of ``.hnd``, ``.xim`` or ``.his``, and the machine's XML file.

Varian OBI (``.hnd``): ``ProjectionInfo.xml``, ``CTProjectionAngle`` of each header. TrueBeam and ProBeam (``.xim``):
``Scan.xml`` up to two folders above, ``180 - KVSourceRtn`` degrees of each file, its detector at ``KVDetectorLat`` and
``KVDetectorLng`` (cm). Elekta XVI (``.his``): ``_Frames.xml``; 1,000 mm to the axis, 1,536 mm to the detector. All are
brought to RTK's geometry, as its readers do (``rtk_geometry.py``); the geometry that RTK writes is read, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctrecon.errors import InputError
from ctrecon.io.ask import Ask
from ctrecon.io.measured import Measured
from ctrecon.io.rtk_geometry import Projection, rtk_geometry
from ctrecon.io.shots import SUFFIXES, Shots, shots_in
from ctrecon.io.xml_file import number_of, read_xml

NAME = "Varian .hnd and .xim, Elekta .his"
PLACE = 60
VOLUMES = True

_ABOVE = 2
_ELEKTA = {"SourceToIsocenterDistance": 1000.0, "SourceToDetectorDistance": 1536.0}
_MM = 10.0


def takes(path: Path) -> bool:
    """A folder of such pictures, or one of them."""
    if path.is_dir():
        return any(p.suffix.lower() in SUFFIXES for p in path.iterdir())
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where pictures or the machine's XML file are missing or damaged."""
    folder = path if path.is_dir() else path.parent
    shots = shots_in(folder)
    if shots is None:
        raise InputError(f"{path}: there are no pictures ({', '.join(SUFFIXES)}) in {folder.name}")
    name, geometry_of = _MACHINES[shots.suffix]
    file = next((f for place in (folder, *folder.resolve().parents[:_ABOVE]) for f in _named(place, name)), None)
    if file is None:
        raise InputError(f"{path}: needs {name} of the machine in the folder or above it, or a geometry of RTK: give "
                         "that XML file in place of the folder")  # fmt: skip
    projections = geometry_of(file, read_xml(file), shots)
    cut, geometry, notes = rtk_geometry(file, projections, shots, shots.detector, ask)
    return shots.measured(path, cut, geometry=geometry, notes=notes, geometry_from=f"geometry from {file.name}")


def _named(folder: Path, name: str) -> list[Path]:
    return sorted(p for p in folder.glob("*.xml") if p.name.lower().endswith(name.lower()))


def _first(file: Path, root: Any, name: str, default: float | None = None) -> float:
    found = next(root.iter(name), None)
    if found is None and default is None:
        raise InputError(f"{file}: says no {name}; is it the file of this scan?")
    return default if found is None else number_of(file, found)  # type: ignore[return-value]


def _obi(file: Path, root: Any, shots: Shots) -> list[Projection]:
    fan = next((str(one.text).strip().lower() for one in root.iter("FanType")), "")
    beside = _first(file, root, "CalibratedDetectorOffsetX")
    common = {
        "SourceToIsocenterDistance": _first(file, root, "CalibratedSAD"),
        "SourceToDetectorDistance": _first(file, root, "CalibratedSID"),
        "ProjectionOffsetX": beside + (_first(file, root, "DetectorPosLat") if fan == "halffan" else 0.0),
        "ProjectionOffsetY": _first(file, root, "CalibratedDetectorOffsetY"),
    }
    return [common | {"GantryAngle": shot.numbers["CTProjectionAngle"]} for shot in shots.shots]


def _true_beam(file: Path, root: Any, shots: Shots) -> list[Projection]:
    common = {"SourceToIsocenterDistance": _first(file, root, "SAD"),
              "SourceToDetectorDistance": _first(file, root, "SID")}  # fmt: skip
    found: list[Projection] = []
    for shot in shots.shots:
        if "KVSourceRtn" not in shot.numbers:
            raise InputError(f"{shot.path}: has no property KVSourceRtn, which says its angle; copy it again")
        found.append(common | {
            "GantryAngle": 180.0 - shot.numbers["KVSourceRtn"],
            "ProjectionOffsetX": _MM * shot.numbers.get("KVDetectorLat", 0.0),
            "ProjectionOffsetY": _MM * shot.numbers.get("KVDetectorLng", 0.0),
        })  # fmt: skip
    return found


def _xvi(file: Path, root: Any, shots: Shots) -> list[Projection]:
    del shots
    found: list[Projection] = []
    for frame in root.iter("Frame"):
        said = {one.tag: one for one in frame}
        angle = next((said[tag] for tag in ("GantryAngle", "Angle") if tag in said), None)
        if angle is None:
            raise InputError(f"{file}: has a Frame without GantryAngle; copy it again")
        centre = {tag: number_of(file, said[tag]) if tag in said else 0.0 for tag in ("UCentre", "VCentre")}
        found.append(_ELEKTA | {
            "GantryAngle": number_of(file, angle), "ProjectionOffsetX": -centre["UCentre"],
            "ProjectionOffsetY": -centre["VCentre"],
        })  # fmt: skip
    if not found:
        raise InputError(f"{file}: says no Frame; is it the file of this scan?")
    return found


_MACHINES: dict[str, tuple[str, Callable[[Path, Any, Shots], list[Projection]]]] = {
    ".hnd": ("ProjectionInfo.xml", _obi), ".xim": ("Scan.xml", _true_beam), ".his": ("_Frames.xml", _xvi),
}  # fmt: skip
