"""The private attributes of DICOM-CT-PD, the open format for projections of CT scanners, and how to read their values.

B. Chen et al., Development and validation of an open data format for CT projection data, Med. Phys. 42, 6964, 2015;
T. R. Moen et al., Low-dose CT image and projection dataset, Med. Phys. 48, 902, 2021 (table IV). Under implicit VR a
reader without this table gets the values as bytes of unknown meaning (UN), and some files say UN under explicit VR.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ctrecon.errors import InputError


class VR(Enum):
    """Value representations that the format uses."""

    FL = "float32"
    US = "uint16"
    CS = "code"
    DS = "decimal text"

    @property
    def layout(self) -> str | None:
        """As ``struct`` writes it; None for text."""
        return {VR.FL: "f", VR.US: "H"}.get(self)


@dataclass(frozen=True)
class Tag:
    """One private attribute: ``number`` is group and element in one."""

    number: int
    name: str
    vr: VR

    def __str__(self) -> str:
        return f"({self.number >> 16:04X},{self.number & 0xFFFF:04X}) {self.name}"


COLUMN_PITCH = Tag(0x70291002, "DetectorElementTransverseSpacing", VR.FL)
ROW_PITCH = Tag(0x70291006, "DetectorElementAxialSpacing", VR.FL)
SHAPE = Tag(0x7029100B, "DetectorShape", VR.CS)
ROWS = Tag(0x70291010, "NumberofDetectorRows", VR.US)
COLUMNS = Tag(0x70291011, "NumberofDetectorColumns", VR.US)
ANGLE = Tag(0x70311001, "DetectorFocalCenterAngularPosition", VR.FL)
Z = Tag(0x70311002, "DetectorFocalCenterAxialPosition", VR.FL)
RADIUS = Tag(0x70311003, "DetectorFocalCenterRadialDistance", VR.FL)
DISTANCE = Tag(0x70311031, "ConstantRadialDistance", VR.FL)
CENTRE = Tag(0x70311033, "DetectorCentralElement", VR.FL)
ANGLE_SHIFT = Tag(0x7033100B, "SourceAngularPositionShift", VR.FL)
Z_SHIFT = Tag(0x7033100C, "SourceAxialPositionShift", VR.FL)
RADIUS_SHIFT = Tag(0x7033100D, "SourceRadialDistanceShift", VR.FL)
FLYING = Tag(0x7033100E, "FlyingFocalSpotMode", VR.CS)
PER_TURN = Tag(0x70331013, "NumberofSourceAngularSteps", VR.US)
SPECTRA = Tag(0x70331061, "NumberofSpectra", VR.US)
SPECTRUM = Tag(0x70331063, "SpectrumIndex", VR.US)
PHOTONS = Tag(0x70331065, "PhotonStatistics", VR.FL)
KIND = Tag(0x70371009, "TypeofProjectionData", VR.CS)
BEAM = Tag(0x7037100A, "TypeofProjectionGeometry", VR.CS)
BEAM_HARDENING = Tag(0x70391003, "BeamHardeningCorrectionFlag", VR.CS)
GAIN = Tag(0x70391004, "GainCorrectionFlag", VR.CS)
DARK_FIELD = Tag(0x70391005, "DarkFieldCorrectionFlag", VR.CS)
FLAT_FIELD = Tag(0x70391006, "FlatFieldCorrectionFlag", VR.CS)
BAD_PIXEL = Tag(0x70391007, "BadPixelCorrectionFlag", VR.CS)
SCATTER = Tag(0x70391008, "ScatterCorrectionFlag", VR.CS)
LOG = Tag(0x70391009, "LogFlag", VR.CS)
WATER = Tag(0x70411001, "WaterAttenuationCoefficient", VR.DS)
HU_FACTOR = Tag(0x00180061, "HUCalibrationFactor", VR.DS)
"""What the format's first dictionary had for ``WATER``: a retired number of the standard's, without a name there."""

CORRECTIONS = (BEAM_HARDENING, GAIN, DARK_FIELD, FLAT_FIELD, BAD_PIXEL, SCATTER)

MODULES = {
    0x7029: "DetectorSystemArrangementModule", 0x7031: "DetectorDynamicsModule", 0x7033: "SourceDynamicsModule",
    0x7037: "ProjectionDataDefinitions", 0x7039: "PreprocessingFlagsModule", 0x7041: "WaterAttenuationModule",
}
"""Who reserved the private block 10 of each group."""


def decode(tag: Tag, value: Any, *, little_endian: bool, source: object) -> tuple[float, ...] | str:
    """The numbers or the text of an element's value, whether it came with its own VR or as bytes.

    Raises InputError where it is neither.
    """
    if isinstance(value, bytes | bytearray):
        return _from_bytes(tag, bytes(value), little_endian=little_endian, source=source)
    if tag.vr is VR.CS:
        return str(value).strip(" \0").upper()
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return _numbers(tag, list(value) if several else [value], source)


def _from_bytes(tag: Tag, data: bytes, *, little_endian: bool, source: object) -> tuple[float, ...] | str:
    layout = tag.vr.layout
    if layout is None:
        text = data.decode("ascii", errors="replace").strip(" \0")
        return text.upper() if tag.vr is VR.CS else _numbers(tag, text.split("\\"), source)
    size = struct.calcsize(layout)
    if not data or len(data) % size:
        raise InputError(f"{source}: {tag} holds {len(data)} bytes, not numbers of {size} bytes; export the scan again")
    order = "<" if little_endian else ">"
    return _numbers(tag, list(struct.unpack(f"{order}{len(data) // size}{layout}", data)), source)


def _numbers(tag: Tag, values: list[Any], source: object) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(f"{source}: {tag} holds {str(values[0])[:40]!r}, not a number; export it again") from None
