"""The geometry of RTK, projection by projection (``rtk::ThreeDCircularProjectionGeometry``), as one of ours.

With ``R = Rz(-InPlane) Rx(-OutOfPlane) Ry(-Gantry)`` from the room to the projection's frame, the source stands there
at ``(SourceOffsetX, SourceOffsetY, SID)`` and the cell whose place in the image is ``(u, v)`` at ``(u +
ProjectionOffsetX, v + ProjectionOffsetY, SID - SDD)`` (S. Rit et al., J. Phys. Conf. Ser. 489, 012079, 2014, and RTK's
page on geometry). The axis of RTK is y, ours z: its place ``(x, y, z)`` is ``(x, z, -y)`` here, a turn, no mirror. So
columns and rows run the other way, and of a plain circle ``theta = 180 - Gantry`` degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.geometry.vectors import Vectors
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.io.ask import Ask
from ctrecon.io.circle import Circle
from ctrecon.io.stack import Cut, Stack, cut_of_parallel
from ctrecon.support.arrays import Float64Array

Projection = Mapping[str, float]
"""Of one projection, by RTK's names (``NAMES``); what is missing is 0."""

_PLACES = ("SourceToIsocenterDistance", "SourceToDetectorDistance", "ProjectionOffsetX", "ProjectionOffsetY")
_BENDS = ("OutOfPlaneAngle", "InPlaneAngle", "SourceOffsetX", "SourceOffsetY", "RadiusCylindricalDetector")
NAMES = ("GantryAngle", *_PLACES, *_BENDS)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Place of the first cell and spacing of the projections, as their images state it: (x, y) in mm."""

    origin: tuple[float, float]
    spacing: tuple[float, float]


def rtk_geometry(
    path: Path, projections: Sequence[Projection], stack: Stack, detector: Detector, ask: Ask
) -> tuple[Cut, Geometry, tuple[str, ...]]:
    """What is read of each projection, the geometry of that, and a note on the choice of a row.

    Raises:
        InputError: Where the projections are no circle and one row of them was asked for, or for what no scanner has.
    """
    if len(stack) != len(projections):
        raise InputError(f"{path}: says {len(projections)} projections, the stack holds {len(stack)}; they do not "
                         "belong together")  # fmt: skip
    if not all(side > 0 for side in detector.spacing):
        raise InputError(f"{path}: its cells are {detector.spacing} mm apart; write the projections again")
    if any(one.get("RadiusCylindricalDetector", 0.0) for one in projections):
        raise InputError(f"{path}: RadiusCylindricalDetector is not 0; only flat detectors can be read")
    bent = next((name for name in _BENDS if any(one.get(name, 0.0) for one in projections)), None)
    uneven = next((name for name in _PLACES if len({one.get(name, 0.0) for one in projections}) > 1), None)
    if bent is None and uneven is None:
        return _circle(path, projections, stack, detector, ask)
    if not ask.all_rows:
        why = f"{bent} is not 0, so that no detector row is a plane of its own" if bent else (
            f"{uneven} differs between projections, which one fan beam cannot say"
        )  # fmt: skip
        raise InputError(f"{path}: {why}; read the volume by --all-rows")
    cut = Cut(path=path, row=None, cells=ask.bin, top_first=True, mirrored=True)
    return cut, _free(path, projections, stack, detector, cut), ()


def _middle(stack: Stack, detector: Detector, one: Projection) -> tuple[float, float]:
    """The detector's middle in the projection's frame, (x, y)."""
    (x, y), (dx, dy) = detector.origin, detector.spacing
    return (
        x + (stack.columns - 1) / 2 * dx + one.get("ProjectionOffsetX", 0.0),
        y + (stack.rows - 1) / 2 * dy + one.get("ProjectionOffsetY", 0.0),
    )


def _circle(
    path: Path, projections: Sequence[Projection], stack: Stack, detector: Detector, ask: Ask
) -> tuple[Cut, Geometry, tuple[str, ...]]:
    first = projections[0]
    angles = np.deg2rad(180 - np.array([one.get("GantryAngle", 0.0) for one in projections]))
    right, down = _middle(stack, detector, first)
    distance = first.get("SourceToDetectorDistance", 0.0)
    if distance:
        circle = Circle(
            angles_rad=angles, column_mm=detector.spacing[0], row_mm=detector.spacing[1], offset_mm=-right,
            height_mm=-down, source_to_axis_mm=first.get("SourceToIsocenterDistance", 0.0),
            source_to_detector_mm=distance,
        )  # fmt: skip
        cut, notes = circle.cut(path, stack, ask, top_first=True, mirrored=True)
        return cut, circle.geometry(path, cut, stack), notes
    cut, notes = cut_of_parallel(path, stack, ask, top_first=True, mirrored=True)
    _, *rows, columns = cut.shape(stack)
    try:
        beam: dict[str, Any] = {
            "angles_rad": tuple(angles.tolist()), "detector_count": columns, "detector_offset_mm": -right,
            "detector_spacing_mm": detector.spacing[0] * cut.cells,
        }  # fmt: skip
        if not rows:
            return cut, ParallelBeam(**beam), notes
        return cut, ParallelRows(**beam, detector_rows=rows[0], detector_row_offset_mm=-down,
                                 detector_row_spacing_mm=detector.spacing[1] * cut.cells), notes  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None


def _free(
    path: Path, projections: Sequence[Projection], stack: Stack, detector: Detector, cut: Cut
) -> Geometry:
    parallel = projections[0].get("SourceToDetectorDistance", 0.0) == 0
    count = len(projections)
    source, middle, u, v = (np.empty((count, 3)) for _ in range(4))
    for k, one in enumerate(projections):
        turn = _to_room(one)
        far, near = one.get("SourceToIsocenterDistance", 0.0), one.get("SourceToDetectorDistance", 0.0)
        if (near == 0) != parallel:
            raise InputError(f"{path}: mixes parallel and divergent projections; write them apart")
        focus = np.array([one.get("SourceOffsetX", 0.0), one.get("SourceOffsetY", 0.0), far])
        source[k] = turn @ ([0.0, 0.0, -1.0] if parallel else focus)
        right, down = _middle(stack, detector, one)
        middle[k] = turn @ [right, down, 0.0 if parallel else far - near]
        u[k], v[k] = -turn[:, 0], -turn[:, 1]
    _, rows, columns = cut.shape(stack)
    try:
        return VectorsInSpace.from_vectors(Vectors(
            parallel=parallel, source=source, detector=middle, u=u, v=v, rows=rows, columns=columns,
            row_mm=detector.spacing[1] * cut.cells, column_mm=detector.spacing[0] * cut.cells,
        ))  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None


def _to_room(one: Projection) -> Float64Array:
    """From the projection's frame to our room: the transpose of ``R``, then y to -z and z to y."""
    names = ("GantryAngle", "OutOfPlaneAngle", "InPlaneAngle")
    gantry, out, within = (np.deg2rad(one.get(name, 0.0)) for name in names)
    c, s = np.cos, np.sin
    y = np.array([[c(-gantry), 0, s(-gantry)], [0, 1, 0], [-s(-gantry), 0, c(-gantry)]])
    x = np.array([[1, 0, 0], [0, c(-out), -s(-out)], [0, s(-out), c(-out)]])
    z = np.array([[c(-within), -s(-within), 0], [s(-within), c(-within), 0], [0, 0, 1]])
    turn: Float64Array = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ (z @ x @ y).T
    return turn
