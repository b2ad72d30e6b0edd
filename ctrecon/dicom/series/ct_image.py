"""A slice, of a stack or of a volume, as CT Image Storage (PS3.3 A.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from ctrecon.certificates.feasible import FeasibleCertificate
from ctrecon.certificates.worth import Worth, worth_of
from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.dicom.common.private import Tie, write_tie
from ctrecon.dicom.series.study import Study
from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Array
from ctrecon.support.rounded import at_least, at_most

NOT_FOR_DIAGNOSIS = "RESEARCH ONLY, not for diagnostic use."
_MOST_COMMENT = 10_000
WINDOWS = (("soft tissue", 40, 400), ("lung", -600, 1500), ("bone", 500, 2000))


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesPart:
    """What one certificate speaks of, and its evidence: a slice, or the slices of a volume measured in space.

    ``stored``: uint16 ``[slices, rows, columns]``, what ``HounsfieldScale.store`` gave; row 0 is at the top. It and
    ``misfit`` may be what is read from disk each time (``outputs/spilled.py``).
    ``z_mm``: where each slice stands along the axis, growing towards the head. ``thickness_mm`` of a slice, ``kvp``:
    None where not known.
    ``certificate``: of the decoded pixels, or None where they miss ``delta``; ``residual`` is then the true one.
    ``norm``: "2-norm" or "whitened". ``data_sha256``: of the data that it explains.
    ``misfit``: the residual back-projected, ``[slices, rows, columns]``, without unit.
    ``history``: gives how it came about, as a file beside its certificate; None: no such file.
    ``picture``: draws a PNG of image (of a volume its middle slice), residual and convergence, asked of a few only;
    None: no picture.
    """

    stored: npt.NDArray[np.uint16]
    grid: Grid
    z_mm: tuple[float, ...]
    certificate: FeasibleCertificate | None
    residual: float
    delta: float
    norm: str
    data_sha256: str
    misfit: Array
    thickness_mm: float | None = None
    kvp: float | None = None
    history: Callable[[], bytes] | None = field(default=None, repr=False)
    picture: Callable[[], bytes] | None = field(default=None, repr=False)

    @cached_property
    def worth(self) -> Worth | None:
        """What its certificate is worth; None where it has none."""
        return None if self.certificate is None else worth_of(self.certificate)

    @property
    def says_nothing(self) -> bool:
        """Whether it is certified, and the certificate is empty."""
        return self.worth is not None and bool(self.worth.nothing)

    def __post_init__(self) -> None:
        for name in ("stored", "misfit"):
            shape, expected = getattr(self, name).shape, (len(self.z_mm), *self.grid.plane)
            if shape != expected:
                raise InputError(f"the slices at z = {self.span} mm: {name} has shape {shape}, not {expected}")
        if self.stored.dtype != np.uint16:
            raise InputError(f"the slices at z = {self.span} mm hold {self.stored.dtype}, not uint16")

    @property
    def span(self) -> str:
        """From where to where it stands, in mm."""
        return " to ".join(f"{end:g}" for end in dict.fromkeys((self.z_mm[0], self.z_mm[-1])))


def program_version() -> str:
    try:
        return version("ctrecon-edn")
    except PackageNotFoundError:
        return "unknown"


def number(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, the nearest there is."""
    return DSfloat(float(value), auto_format=True)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def contributing_equipment() -> Dataset:
    """What made the files, for ContributingEquipmentSequence."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = DicomSequence([code("109102", "DCM", "Processing Equipment")])
    item.Manufacturer = "ctrecon"
    item.ManufacturerModelName = "ctrecon"
    item.SoftwareVersions = program_version()
    item.ContributionDescription = "certified reconstruction from the raw data"
    return item


def comments(notes: Sequence[str]) -> str:
    """What is not certain of an image, where whoever opens it alone can read it: at most 10240 characters (LT)."""
    said = [f"{NOT_FOR_DIAGNOSIS} See the structured report of this study."]
    for k, note in enumerate(notes):
        line = f"Assumed: {clean(note)}"
        if sum(map(len, said)) + 2 * len(said) + len(line) > _MOST_COMMENT:
            said.append(f"{len(notes) - k} more assumptions stand in the report.")
            break
        said.append(line)
    return "\r\n".join(said)


def clean(text: str) -> str:
    """Text from elsewhere on one line, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split())) or "?"


def _worth_said(part: SeriesPart) -> str:
    said = "" if part.worth is None else part.worth.said
    return f" {said[0].upper()}{said[1:]}." if said else ""


def derivation(part: SeriesPart, method: str) -> str:
    """How the image came about and what is proved, at most 1024 characters."""
    count = len(part.z_mm)
    of_all = f" of all {count} slices together" if count > 1 else ""
    holds = "does not hold" if part.residual > part.delta else "is not proved"
    proved = (
        f"Certified for the stored pixels{of_all}: ||Au - f|| <= {at_least(part.delta, 9)} ({part.norm})."
        f"{_worth_said(part)}"
        if part.certificate is not None
        else f"NOT certified: the residual{of_all} is {part.residual:.9g}, ||Au - f|| <= {at_most(part.delta, 9)} "
        f"({part.norm}) {holds}."
    )
    return f"{NOT_FOR_DIAGNOSIS} Reconstructed by ctrecon {program_version()}, method {method}. {proved}"


def describe_image(
    part: SeriesPart, place: int, index: int, count: int, *, scale: HounsfieldScale, study: Study,
    frame_of_reference: str, method: str, iterative: bool, patient_position: str = "", notes: Sequence[str] = (),
) -> Dataset:
    """The dataset of slice ``place`` (from 0) of a part, without its series and instance UIDs.

    In the series it is the image ``index`` (from 1) of ``count``.
    Columns run to the patient's left, rows to the back, z to the head, and the rotation axis is x = y = 0: the axes
    of a scan whatever ``patient_position`` says, which is only passed on. ``notes``: assumed, and in ImageComments.
    """
    grid, z_mm = part.grid, part.z_mm[place]
    ds = Dataset()
    study.copy_to(ds)
    ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.Manufacturer = ds.ManufacturerModelName = "ctrecon"
    ds.SoftwareVersions = program_version()
    certified = "certified" if part.certificate is not None else "NOT certified"
    certified = "certificate says nothing:" if part.says_nothing else certified
    ds.SeriesDescription = f"RESEARCH {certified} {method}, not for diagnosis"[:64]
    ds.SeriesNumber = SERIES_NUMBERS["images"]
    ds.ImageComments = comments(notes)
    ds.DerivationDescription = derivation(part, method)
    ds.DerivationCodeSequence = DicomSequence([ITERATIVE if iterative else FILTERED])
    ds.ContributingEquipmentSequence = DicomSequence([contributing_equipment()])
    study.side_to(ds)
    ds.PatientPosition = patient_position
    ds.KVP = None if part.kvp is None else number(part.kvp)
    ds.SliceThickness = None if part.thickness_mm is None else number(part.thickness_mm)
    if part.grid.slice_mm is not None:
        ds.SpacingBetweenSlices = number(part.grid.slice_mm)
    ds.ReconstructionDiameter = number(max(grid.size_mm))
    ds.ConvolutionKernel = method.upper()[:16]
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = index
    ds.ImagesInAcquisition = count
    ds.FrameOfReferenceUID = frame_of_reference
    ds.PositionReferenceIndicator = ""
    # Our y points up in the image, DICOM's to the patient's back, down in the image.
    ds.ImagePositionPatient = [number(grid.x_mm[0]), number(-grid.y_mm[0]), number(z_mm)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceLocation = number(z_mm)
    ds.PixelSpacing = [number(side) for side in grid.spacing_mm]
    _add_pixels(ds, part.stored[place], scale)
    sha256 = "" if part.certificate is None else certificate_hash(part.certificate)
    write_tie(ds, Tie(water_mu=scale.water_mu, spacing_mm=grid.spacing_mm, certificate_sha256=sha256))
    return ds


# Of CID 10033.
ITERATIVE = code("113963", "DCM", "Iterative Reconstruction")
FILTERED = code("113962", "DCM", "Filtered Back Projection")
SERIES_NUMBERS = {"images": 9001, "report": 9002, "pdf": 9003, "misfit": 9004, "raw": 9005, "manifest": 9006}


def certificate_hash(certificate: FeasibleCertificate) -> str:
    """SHA-256 of the certificate's file."""
    return hashlib.sha256(certificate.files[""]).hexdigest()


def nameless(image: Dataset) -> Dataset:
    """The image for what refers to it: without its pixels, and without the name, which highdicom has opinions on."""
    bare = Dataset()
    for element in image:
        if element.keyword not in ("PixelData", "PatientName", "ReferringPhysicianName"):
            bare.add(element)
    bare.PatientName = bare.ReferringPhysicianName = None
    return bare


def _add_pixels(ds: Dataset, stored: npt.NDArray[np.uint16], scale: HounsfieldScale) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.RescaleIntercept, ds.RescaleSlope = number(scale.intercept), number(scale.slope)
    ds.RescaleType = "HU"
    low, high = (int(level) * scale.slope + scale.intercept for level in (stored.min(), stored.max()))
    windows = (*WINDOWS, ("whole range", (low + high) / 2, max(high - low, 1)))
    ds.WindowCenterWidthExplanation = [name for name, _, _ in windows]
    ds.WindowCenter = [number(center) for _, center, _ in windows]
    ds.WindowWidth = [number(width) for _, _, width in windows]
    raw = stored.astype("<u2").tobytes()
    ds.add_new("PixelData", "OW", raw)
