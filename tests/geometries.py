"""Examples of every geometry, small enough for laws and large enough to see discs, and ways to break them."""

import dataclasses
import math

import numpy as np

from ctrecon.geometry.arc_cone import ArcCone
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.cone import ConeBeam, HelicalCone
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse

VIEWS, CELLS = 90, 84
TURN = 0.4 + np.arange(VIEWS) * 2 * math.pi / VIEWS
ROW = {"angles_rad": tuple(TURN), "detector_count": CELLS, "detector_spacing_mm": 0.6, "detector_offset_mm": 0.15}
FAN = {**ROW, "detector_spacing_mm": 1.1, "source_to_axis_mm": 70.0, "source_to_detector_mm": 120.0}
ODD = np.arange(VIEWS) % 2
WOBBLE = 0.9 * np.stack([np.cos(3 * TURN), np.sin(2 * TURN)], axis=1)


def wobbling(geometry):
    """An axis that wobbles by almost a millimetre and a detector that slides by up to half of one."""
    free = VectorGeometry.of(geometry).with_axis_shift(WOBBLE)
    return free.with_detector_shift(0.5 * np.sin(5 * TURN))


def breathing():
    """A source that does not keep its distance, before a detector that leans to and fro."""
    free = VectorGeometry.of(FanBeam(**FAN)).with_source_distance(70 + 3 * np.sin(TURN))
    return free.with_detector_turn(0.03 * np.cos(TURN))


def wobbling_short():
    """Half a turn and the fan, with a wobbling axis."""
    turn = 0.4 + np.arange(VIEWS) * (math.pi + 0.9) / VIEWS
    free = VectorGeometry.of(FanBeam(**{**FAN, "angles_rad": tuple(turn)}))
    return free.with_axis_shift(WOBBLE)


def leaning():
    """A cone whose detector rolls, leans and swivels."""
    return ConeBeam(
        **FAN, detector_rows=5, detector_row_spacing_mm=0.8, detector_row_offset_mm=0.7, roll_rad=0.05, tilt_rad=-0.08,
        swivel_rad=0.06,
    )


def mirrored(geometry):
    """The same cells counted from the other end."""
    turned = -np.array(geometry.detector_axis)
    return dataclasses.replace(geometry, detector_axis=turned)


EXAMPLES = {
    ParallelBeam: {"parallel": lambda: ParallelBeam(**ROW)},
    FanBeam: {"fan": lambda: FanBeam(**FAN)},
    ArcFanBeam: {
        "arc": lambda: ArcFanBeam(**FAN),
        "flying": lambda: ArcFanBeam(
            **FAN, source_angle_shift_rad=0.004 * (2 * ODD - 1), source_radius_shift_mm=0.6 * ODD
        ),
    },
    VectorGeometry: {
        "wobbling parallel": lambda: wobbling(ParallelBeam(**ROW)),
        "wobbling fan": lambda: wobbling(FanBeam(**FAN)),
        "wobbling arc": lambda: wobbling(ArcFanBeam(**FAN)),
        "breathing": breathing,
        "wobbling short": wobbling_short,
        "backwards fan": lambda: mirrored(VectorGeometry.of(FanBeam(**FAN))),
        "backwards arc": lambda: mirrored(VectorGeometry.of(ArcFanBeam(**FAN))),
        "no orbit": lambda: dataclasses.replace(wobbling(FanBeam(**FAN)), angles_rad=None),
    },
    ConeBeam: {
        "cone": lambda: ConeBeam(**FAN, detector_rows=5, detector_row_spacing_mm=0.8),
        "leaning cone": leaning,
    },
    HelicalCone: {
        "helix": lambda: HelicalCone(
            **FAN, detector_rows=4, detector_row_offset_mm=0.4, pitch_mm=3.0, start_mm=-2.0
        )
    },
    ArcCone: {
        "arc cone": lambda: ArcCone(**FAN, detector_rows=5, detector_row_spacing_mm=0.8),
        "flying helix": lambda: ArcCone(
            **FAN, detector_rows=4, detector_row_offset_mm=0.4, source_z_mm=3.0 * TURN / 6 - 2,
            source_angle_shift_rad=0.004 * (2 * ODD - 1), source_radius_shift_mm=0.6 * ODD,
            source_z_shift_mm=0.3 * (1 - ODD),
        ),
    },
    ParallelRows: {"parallel rows": lambda: ParallelRows(**ROW, detector_rows=5, detector_row_spacing_mm=0.8)},
    VectorsInSpace: {
        "free cone": lambda: VectorsInSpace.of(leaning()),
        "free arc": lambda: VectorsInSpace.of(EXAMPLES[ArcCone]["flying helix"]()),
        "free rows": lambda: VectorsInSpace.of(EXAMPLES[ParallelRows]["parallel rows"]()),
    },
}

DISCS = Phantom((
    Ellipse(center=(1.0, -0.5), semi_axes=(17.0, 17.0), value=0.02),
    Ellipse(center=(6.0, 4.0), semi_axes=(5.0, 5.0), value=0.01),
    Ellipse(center=(-7.0, -5.0), semi_axes=(4.0, 6.0), value=-0.008, angle_rad=0.4),
))
INSERTS = (((-1.0, 9.0), 3.0, 0.02), ((6.0, 4.0), 3.0, 0.03), ((-7.0, -5.0), 2.5, 0.012))


def short(geometry, views=12):
    """About so many of the views, spread over all."""
    return geometry.views(slice(None, None, math.ceil(geometry.shape[0] / views)))


def half_a_cell_off(geometry):
    """Its vectors with each detector half a cell further along."""
    vectors = geometry.to_vectors()
    return dataclasses.replace(vectors, detector=vectors.detector + 0.5 * vectors.column_mm * vectors.u)


def counted_from_the_other_end(geometry):
    vectors = geometry.to_vectors()
    return dataclasses.replace(vectors, u=-vectors.u)


BREAKS = {"half a cell": half_a_cell_off, "mirrored": counted_from_the_other_end}
