"""Small, valid DICOM-CT-PD scans of solids, for trying the whole way from raw data to images, and for the tests.

Rays are computed in the format's own frame (``projections.py`` states it), not by the geometry that later reads them,
put to the patient's axes by where left, front and head then point, and line integrals are exact
(``ctrecon.phantoms.solids``).
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.errors import SettingError
from ctrecon.phantoms.solids import Body, Cylinder, Ellipsoid
from ctrecon.support.arrays import Float64Array
from ctrecon.support.folders import make_parents, new_folder

FlyingMode = Literal["FFSNONE", "FFSZ", "FFSXY", "FFSXYZ"]

SLOPE, INTERCEPT = 2e-4, -0.5
"""Line integrals from -0.5 to 12.6 in 16 bits."""

WATER_MU_PER_MM = 0.0192

# Where the patient's front points, as seen from the table before the gantry: x to the right, y up, z out of the gantry.
# Lying on the right side is DR, so that the front of who went in head first points to the left.
_FRONT = {
    "HFS": (0, 1, 0), "HFP": (0, -1, 0), "HFDR": (-1, 0, 0), "HFDL": (1, 0, 0),
    "FFS": (0, 1, 0), "FFP": (0, -1, 0), "FFDR": (1, 0, 0), "FFDL": (-1, 0, 0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A scanner and how it scans. Lengths in mm at the detector, angles in rad; ``feed_mm`` 0 is an axial scan.

    ``central_column`` is off the middle by a quarter of a column by default, as scanners are built, so that the two
    measurements of a line interleave. With ``feed_mm`` 0, ``turns`` circles are taken ``circle_spacing_mm`` apart.
    """

    rows: int = 64
    columns: int = 184
    column_pitch_mm: float = 5.14
    row_pitch_mm: float = 1.0947
    source_to_axis_mm: float = 595.0
    source_to_detector_mm: float = 1085.6
    per_turn: int = 288
    turns: float = 3.0
    feed_mm: float = 23.0
    circle_spacing_mm: float = 30.0
    first_z_mm: float = -34.5
    first_angle_rad: float = 0.4
    flying: FlyingMode = "FFSNONE"
    central_column: float | None = None
    central_row: float | None = None
    photons: float | None = None
    patient_position: str = "FFS"

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "per_turn"):
            value = getattr(self, name)
            if not 1 <= value <= 65535:
                raise SettingError(f"{name} must be from 1 to 65535, got {value}")
        if self.photons is not None and not 0 < self.photons < 1e15:
            raise SettingError(f"photons must be a number > 0 and below 1e15, got {self.photons}")
        if self.patient_position not in _FRONT:
            raise SettingError(f"patient_position must be one of {', '.join(_FRONT)}, got {self.patient_position!r}")
        if not 0 < self.turns * self.per_turn < 1e6:
            raise SettingError(f"{self.turns:g} turns of {self.per_turn} projections are none or too many")

    @property
    def count(self) -> int:
        return round(self.turns * self.per_turn)

    @property
    def centre(self) -> tuple[float, float]:
        """Central column and row, counted from 1."""
        column = (self.columns + 1) / 2 + 0.25 if self.central_column is None else self.central_column
        return column, (self.rows + 1) / 2 if self.central_row is None else self.central_row

    def position(self, k: int) -> tuple[float, float]:
        """Where the focal centre stands.

        Args:
            k: Number of the projection, from 0.

        Returns:
            Its angle in rad and its height in mm.
        """
        angle = self.first_angle_rad + 2 * math.pi * k / self.per_turn
        if self.feed_mm:
            return angle, self.first_z_mm + self.feed_mm * k / self.per_turn
        return angle, self.first_z_mm + self.circle_spacing_mm * (k // self.per_turn)

    def shifts(self, k: int) -> tuple[float, float, float]:
        """How far the focal spot stands from the focal centre.

        In z the anode's slope moves it outwards, too, as in scanners; in the plane by half a column at the axis.

        Args:
            k: Number of the projection, from 0.

        Returns:
            Angle in rad, height and radius in mm.
        """
        half_column = self.column_pitch_mm / self.source_to_detector_mm / 4
        angle = {"FFSXY": (k % 2) * 2 - 1, "FFSXYZ": (k // 2 % 2) * 2 - 1}.get(self.flying, 0)
        height, radius = (-0.66, 5.45) if self.flying in ("FFSZ", "FFSXYZ") and k % 2 else (0.0, 0.0)
        return angle * half_column, height, radius

    def rays(self, k: int) -> tuple[Float64Array, Float64Array]:
        """The lines that a projection measures, in the patient's axes.

        These are x to the left, y to the front and z to the head, as in the images made of it.

        Args:
            k: Number of the projection, from 0.

        Returns:
            Focal spot ``[1, 1, 3]`` and directions to the cells ``[columns, rows, 3]``, in mm.
        """
        (phi, z), (dphi, dz, drho) = self.position(k), self.shifts(k)
        rho, d0, (cx, cy) = self.source_to_axis_mm, self.source_to_detector_mm, self.centre
        g = (np.arange(1, self.columns + 1) - cx) * self.column_pitch_mm / d0
        height = z - (np.arange(1, self.rows + 1) - cy) * self.row_pitch_mm
        cells = np.empty((self.columns, self.rows, 3))
        cells[..., 0] = (-rho * math.sin(phi) + d0 * np.sin(phi + g))[:, None]
        cells[..., 1] = (rho * math.cos(phi) - d0 * np.cos(phi + g))[:, None]
        cells[..., 2] = height
        far = rho + drho
        spot = np.array([-far * math.sin(phi + dphi), far * math.cos(phi + dphi), z + dz])[None, None]
        to_patient = self.left_front_head.T
        return spot @ to_patient, (cells - spot) @ to_patient

    @property
    def left_front_head(self) -> Float64Array:
        """The patient's left, front and head as rows, in the format's frame."""
        front = np.array(_FRONT[self.patient_position], dtype=np.float64)
        head = np.array([0.0, 0.0, -1.0 if self.patient_position.startswith("HF") else 1.0])
        return np.stack([np.cross(head, front), front, head])


def water_phantom(inserts_hu: tuple[float, ...] = (100.0, -150.0, 300.0, 50.0), ball_hu: float | None = None) -> Body:
    """A water cylinder of 200 mm with upright cylinders of 40 mm about its middle, and maybe a ball at the centre.

    Args:
        inserts_hu: How much each cylinder is above water, in HU; they stand evenly on a circle of 55 mm.
        ball_hu: The same of a ball of 30 mm; None for none.

    Returns:
        The body, lengths in mm, attenuation in 1/mm.
    """
    solids: list[Cylinder | Ellipsoid] = [
        Cylinder(center=(0.0, 0.0), semi_axes=(100.0, 100.0), value=WATER_MU_PER_MM)
    ]
    for k, hu in enumerate(inserts_hu):
        turn = 2 * math.pi * (k + 0.15) / len(inserts_hu)
        center = (55 * math.cos(turn), 55 * math.sin(turn))
        solids.append(Cylinder(center=center, semi_axes=(20.0, 20.0), value=hu / 1000 * WATER_MU_PER_MM))
    if ball_hu is not None:
        solids.append(Ellipsoid(center=(0.0, 0.0, 0.0), semi_axes=(15.0,) * 3, value=ball_hu / 1000 * WATER_MU_PER_MM))
    return Body(tuple(solids))


def axes_phantom(right_hu: float = 900.0, front_hu: float = 600.0, head_hu: float = 300.0) -> Body:
    """A water cylinder of 200 mm with a ball of 30 mm at the patient's right, one in front, one towards the head.

    Of three densities, so that no exchange of axes and no mirror image looks the same. The one towards the head stands
    at the axis, 20 mm up; the others at z = 0, 60 mm away from it.

    Args:
        right_hu: How much the ball at the right is above water, in HU.
        front_hu: The same of the one in front.
        head_hu: The same of the one towards the head.

    Returns:
        The body, lengths in mm, attenuation in 1/mm.
    """
    balls = (((-60.0, 0.0, 0.0), right_hu), ((0.0, 60.0, 0.0), front_hu), ((0.0, 0.0, 20.0), head_hu))
    return Body((
        Cylinder(center=(0.0, 0.0), semi_axes=(100.0, 100.0), value=WATER_MU_PER_MM),
        *(Ellipsoid(center=c, semi_axes=(15.0,) * 3, value=hu / 1000 * WATER_MU_PER_MM) for c, hu in balls),
    ))  # fmt: skip


def synthesise(
    folder: Path, body: Body, protocol: Protocol, *, seed: int = 0, implicit: bool = True, start: int = 1,
    overwrite: bool = False,
) -> int:
    """Write a DICOM-CT-PD scan of a body, one file per projection; all of them or none.

    Args:
        folder: Where they go.
        body: What is scanned, mm and 1/mm.
        protocol: How.
        seed: Of the noise.
        implicit: Leaves the private values' representation out, as the published scans do: readers see bytes.
        start: Number of the first file.
        overwrite: Whether such files in ``folder`` may be replaced.

    Returns:
        How many files.

    Raises:
        OutputError: Where the folder holds files already or cannot be written.
    """
    make_parents(folder)
    with new_folder(folder, ours=_is_ours, overwrite=overwrite) as part:
        _write(part, body, protocol, seed, implicit, start)
    return protocol.count


def _is_ours(name: str) -> bool:
    return re.fullmatch(r"projection_\d{6,}\.dcm", name) is not None


def _write(folder: Path, body: Body, protocol: Protocol, seed: int, implicit: bool, start: int) -> None:
    rng = np.random.default_rng(seed)
    uid = _uid(repr((protocol, body, seed)))
    for k in range(protocol.count):
        values = body.line_integral(*protocol.rays(k))
        if protocol.photons is not None:
            counts = rng.poisson(protocol.photons * np.exp(-values))
            values = np.log(protocol.photons / np.maximum(counts, 0.5))
        stored = np.clip(np.rint((values - INTERCEPT) / SLOPE), 0, 65535).astype("<u2")
        dataset = _dataset(protocol, k, stored, uid, implicit=implicit)
        dataset.save_as(folder / f"projection_{start + k:06d}.dcm", enforce_file_format=True)


def _uid(text: str) -> UID:
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}")


def _dataset(protocol: Protocol, k: int, stored: npt.NDArray[np.uint16], uid: str, *, implicit: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(f"{uid}.{k}")
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(uid + " study"), _uid(uid + " series")
    ds.ImageType, ds.Modality, ds.Manufacturer = ["ORIGINAL", "PRIMARY"], "CT", "ctrecon"
    ds.PatientName, ds.PatientID, ds.PatientPosition = "Phantom^Synthetic", "SYNTHETIC", protocol.patient_position
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ds.StudyID = ""
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.SeriesDescription = "RESEARCH: synthetic projections"
    ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = protocol.columns, protocol.rows
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.RescaleIntercept, ds.RescaleSlope = str(INTERCEPT), str(SLOPE)
    _add_private(ds, protocol, k, implicit=implicit)
    ds.PixelData = stored.tobytes()
    return ds


def _add_private(ds: Dataset, protocol: Protocol, k: int, *, implicit: bool) -> None:
    (angle, z), (dphi, dz, drho) = protocol.position(k), protocol.shifts(k)
    values: dict[tags.Tag, Any] = {
        tags.COLUMN_PITCH: protocol.column_pitch_mm, tags.ROW_PITCH: protocol.row_pitch_mm, tags.SHAPE: "CYLINDRICAL",
        tags.ROWS: protocol.rows, tags.COLUMNS: protocol.columns,
        tags.ANGLE: math.remainder(angle, 2 * math.pi), tags.Z: z, tags.RADIUS: protocol.source_to_axis_mm,
        tags.DISTANCE: protocol.source_to_detector_mm, tags.CENTRE: protocol.centre,
        tags.ANGLE_SHIFT: dphi, tags.Z_SHIFT: dz, tags.RADIUS_SHIFT: drho, tags.FLYING: protocol.flying,
        tags.PER_TURN: protocol.per_turn, tags.SPECTRA: 1, tags.SPECTRUM: 1,
        tags.KIND: "HELICAL" if protocol.feed_mm else "AXIAL", tags.BEAM: "FANBEAM",
        tags.LOG: "YES", tags.WATER: f"{WATER_MU_PER_MM:.6f}",
    }
    values |= {tag: "YES" for tag in tags.CORRECTIONS}
    if protocol.photons is not None:
        values[tags.PHOTONS] = (float(protocol.photons),) * protocol.columns
    for group, creator in tags.MODULES.items():
        ds.add_new((group, 0x0010), "LO", creator)
    for tag, value in values.items():
        if implicit:
            ds.add_new(tag.number, "UN", _bytes(tag, value))
        else:
            ds.add_new(tag.number, tag.vr.name, list(value) if isinstance(value, tuple) else value)


def _bytes(tag: tags.Tag, value: Any) -> bytes:
    if tag.vr.layout is None:
        raw = str(value).encode("ascii")
        return raw + b" " * (len(raw) % 2)
    numbers = value if isinstance(value, tuple) else (value,)
    return struct.pack(f"<{len(numbers)}{tag.vr.layout}", *numbers)

