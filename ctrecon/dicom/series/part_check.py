"""Checks the images that share a certificate: one slice, or all slices of a volume.

Its certificate is checked once, whatever the number of images. Names of files decide nothing but where a certificate is
looked for, and that by the instance number alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from ctrecon.certificates import verify
from ctrecon.certificates.verify import Json, Refused, Verdict, require
from ctrecon.certificates.worth import worth
from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.dicom.common.private import read_tie
from ctrecon.dicom.series.evidence_check import UNTOUCHED, changes
from ctrecon.dicom.series.file_check import check_file
from ctrecon.dicom.series.look import CertifiedPart, Look
from ctrecon.dicom.series.misfit_check import misfit_again
from ctrecon.dicom.series.series import MOST_SLICES, certificate_name
from ctrecon.errors import SettingError
from ctrecon.geometry.as_json import grid_from_dict
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Array, Float64Array

Images = Sequence[tuple[Path, Dataset]]


def parts_of(images: Images) -> Iterator[list[tuple[Path, Dataset]]]:
    """The images that name one certificate, by their instance numbers; by itself each that names none, or whose number
    another has: it was added, and what is wrong with it is no fault of the others.
    """
    parts: dict[object, list[tuple[Path, Dataset]]] = {}
    seen: set[tuple[str, int]] = set()
    for path, ds in images:
        own = _hash_of(ds), _number_of(ds)
        parts.setdefault(path if own in seen or not own[0] else own[0], []).append((path, ds))
        seen.add(own)
    for part in parts.values():
        yield sorted(part, key=lambda one: _number_of(one[1]))


class PartCheck:
    """What is demanded of each image of a part.

    Args:
        look: With what it is compared.
        part: As ``parts_of`` has it.
        numbers: What certificate the image of a number names, of the whole series.
    """

    def __init__(self, look: Look, part: Images, numbers: Mapping[int, str]) -> None:
        self._look, self._part, self._numbers = look, part, numbers
        self._found: _Certificate | Exception | None = None

    def check(self, place: int) -> str:
        """What is proved of image ``place`` (from 0) of the part, in words; raises Refused where it is not."""
        (path, ds), look = self._part[place], self._look
        tie = read_tie(ds)
        if tie is None:
            raise Refused("its private block CTRECON, which ties it to a certificate, is missing or damaged")
        require("PixelData" in ds, "its PixelData is missing; have it sent again")
        check_file(path, ds)
        look.check_private(ds)
        require(tie.certificate_sha256 != "", "not certified, as it says itself: the residual is above delta")
        index = _number_of(ds)
        require(1 <= index <= MOST_SLICES, f"InstanceNumber {index} is no slice")
        found = self._certificate(tie.certificate_sha256)
        count = len(found.slices)
        _placed(ds, found.grid, tie.spacing_mm, found.z_mm[place])
        require(str(ds.get("RescaleType", "")) == "HU", "its values are not in HU")
        stored, certified = ds.pixel_array, found.slices[place]
        require(stored.shape == certified.shape, f"it has {stored.shape} pixels, certified are {certified.shape}")
        differing = int(np.count_nonzero(scale_of(ds, tie.water_mu).decode(stored) != certified))
        require(differing == 0, f"{differing} of its pixels do not decode to the certified ones")
        look.check(ds)
        if place == 0:
            look.of_part(found.as_part(int(ds.ImagesInAcquisition)))
        if found.misfits is not None:
            look.keep_misfit(found.misfits[place], float(ds.ImagePositionPatient[2]))
        which = f"slice {place + 1} of {count} of a volume: " if count > 1 else ""
        return which + found.said + changes(ds, UNTOUCHED)

    @property
    def claims(self) -> Json:
        """Of the certificate, once it was found valid."""
        assert isinstance(self._found, _Certificate)
        return self._found.verdict.claims

    def _certificate(self, sha256: str) -> _Certificate:
        """Checked once; what it was refused for holds for every image."""
        if self._found is None:
            try:
                self._found = _checked(self._look.certificates, self._first(sha256), sha256, len(self._part))
            except Exception as why:
                self._found = why
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def _first(self, sha256: str) -> int:
        """The number that the certificate is under: of the first of its images, which may be lost."""
        lowest = first = _number_of(self._part[0][1])
        while first > 1 and not _place(self._look.certificates, first).exists():
            if self._numbers.get(first - 1, sha256) != sha256:
                return lowest
            first -= 1
        return first


@dataclass
class _Certificate:
    """A valid certificate: ``slices`` are the certified pixels ``[slices, rows, columns]``, ``first`` their number."""

    verdict: Verdict
    grid: Grid
    z_mm: tuple[float | None, ...]
    slices: Array
    first: int

    @cached_property
    def said(self) -> str:
        said = worth(self.verdict).said
        return self.verdict.statement + (f" ({said})" if said else "")

    @cached_property
    def misfits(self) -> Sequence[Float64Array] | None:
        """Of each slice, what the map of the residual must show."""
        return misfit_again(self.verdict)

    def as_part(self, images: int) -> CertifiedPart:
        """As who compares it with a scan sees it, of a series of so many images."""
        count = len(self.slices)
        places = tuple(float(z) for z in self.z_mm if z is not None)
        return CertifiedPart(verdict=self.verdict, z_mm=places, first=self.first, count=images // count)


def _checked(certificates: Path, first: int, sha256: str, count: int) -> _Certificate:
    place, image = _place(certificates, first), certificates / certificate_name(first)
    if not place.exists():
        raise FileNotFoundError(f"its certificate {place.name} is missing, and none came as raw data")
    claims = verify.parse_certificate(verify.read(place, verify.MAX_BYTES, sha256))
    shape = claims["image"]["shape"]
    expected = 1 if len(shape) == 2 else shape[0]
    require(count == expected, f"its certificate is of {expected} slices, and {count} are here")
    verdict = verify.check(place)
    require(verdict.valid, verdict.reason)
    claimed = claims["operator"].get("grid")
    require(claimed is not None, "its certificate speaks of no pixel size")
    grid = grid_from_dict(claimed)
    z_mm = (claims["image"].get("z_mm"),) if grid.slices is None else tuple(grid.z_mm.tolist())
    certified = verify.load(claims["image"], image, "image")
    return _Certificate(verdict, grid, z_mm, certified.reshape(len(z_mm), *grid.plane), first)


def _place(certificates: Path, first: int) -> Path:
    image = certificate_name(first)
    return certificates / image.replace(verify.FILES["image"], verify.FILES[""])


def _hash_of(ds: Dataset) -> str:
    tie = read_tie(ds)
    return "" if tie is None else tie.certificate_sha256


def _number_of(ds: Dataset) -> int:
    try:
        return int(ds.InstanceNumber)
    except (AttributeError, TypeError, ValueError):
        return 0  # what is wrong with it is said when it is looked at


def hashes_of(images: Images) -> dict[int, str]:
    """Which certificate the image of each number names."""
    return {_number_of(ds): _hash_of(ds) for _, ds in images}


def scale_of(ds: Dataset, water_mu: float) -> HounsfieldScale:
    """How the stored values of an image are read. Raises Refused for what is no scale."""
    try:
        return HounsfieldScale(
            water_mu=water_mu, slope=float(ds.RescaleSlope), intercept=float(ds.RescaleIntercept)
        )
    except SettingError as why:
        raise Refused(str(why)) from None


def decoded(images: Iterable[Dataset]) -> Iterator[npt.NDArray[np.float64]]:
    """The attenuation that images show, one by one. Raises Refused for one without its tie."""
    for image in images:
        tie = read_tie(image)
        if tie is None:
            raise Refused("its private block CTRECON is missing or damaged")
        yield scale_of(image, tie.water_mu).decode(image.pixel_array)


def _placed(ds: Dataset, grid: Grid, tied: tuple[float, float], z_mm: float | None) -> None:
    """The pixels stand where the certificate's grid has them, and the slice where the certificate says."""
    require(grid.spacing_mm == tied, f"its pixels have {tied!r} mm, the certified ones {grid.spacing_mm!r}")
    spacing = [float(value) for value in ds.PixelSpacing]
    require(np.allclose(spacing, tied, rtol=1e-9, atol=0), f"PixelSpacing is {spacing}, not {tied!r} mm")
    orientation = [float(value) for value in ds.ImageOrientationPatient]
    require(orientation == [1, 0, 0, 0, 1, 0], f"ImageOrientationPatient is {orientation}: turned after it was made")
    corner = [float(value) for value in ds.ImagePositionPatient][:2]
    expected = [grid.x_mm[0], -grid.y_mm[0]]
    require(np.allclose(corner, expected, rtol=1e-9, atol=1e-9), f"ImagePositionPatient begins {corner}: it was moved")
    require(z_mm is not None, "its certificate does not say where the slice stands; have the series written again")
    assert z_mm is not None
    z = float(ds.ImagePositionPatient[2])
    near = bool(np.isclose(z, z_mm, rtol=1e-9, atol=1e-9))
    require(near, f"ImagePositionPatient is at z = {z:.12g} mm, its certificate at {z_mm:.12g} mm")
