"""Checks a series folder: is every image, decoded, the certified one, and is nothing missing?

The certificates are checked by ``ctrecon/certificates/verify.py``, which trusts nothing that made them; this file adds
what ties DICOM files to them. Names of files decide nothing but where a certificate is looked for, and that by the
instance number alone.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ParametricMapStorage, RawDataStorage

from ctrecon.certificates import verify
from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.certificates.worth import worth
from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.dicom.common.private import read_tie
from ctrecon.dicom.series.evidence_check import EVIDENCE, UNTOUCHED, changes, check_evidence
from ctrecon.dicom.series.file_check import check_file
from ctrecon.dicom.series.look import CertifiedSlice, Look, OfSlice
from ctrecon.dicom.series.manifest import holds_manifest
from ctrecon.dicom.series.misfit_check import check_misfit
from ctrecon.dicom.series.raw_certificate import unpack
from ctrecon.dicom.series.series import CERTIFICATES, MOST_SLICES, certificate_name, history_name
from ctrecon.dicom.series.series_files import read_series
from ctrecon.errors import CtreconError, SettingError
from ctrecon.geometry.as_json import grid_from_dict

if TYPE_CHECKING:
    from ctrecon.support.site_key import PublicKey

_SAME = ("StudyInstanceUID", "PatientID", "PatientName")


@dataclass(frozen=True)
class Finding:
    """What is true of one file. ``said``: the statement proved, or the reason; one line."""

    path: Path
    valid: bool
    said: str
    readable: bool = True


_Found: TypeAlias = tuple[Finding, Json | None]


@dataclass(frozen=True)
class SeriesVerdict:
    """All findings, and in ``said`` the whole in one line. ``data`` are the claims of the valid certificates on
    their data: ``sha256``, ``shape`` and ``dtype`` of the ``.npy`` file. ``coerced``: keywords of what was changed
    since it was written, as an archive may.
    """

    findings: tuple[Finding, ...]
    said: str
    complete: bool
    data: tuple[Json, ...] = ()
    coerced: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return self.complete and all(finding.valid for finding in self.findings)

    @property
    def readable(self) -> bool:
        return bool(self.findings) and all(finding.readable for finding in self.findings)


def check_series(
    folder: Path,
    certificates: Path | None = None,
    *,
    watch: Callable[[Finding], object] = lambda _: None,
    of_slice: OfSlice = lambda _: None,
    strict: bool = False,
    pixels_only: bool = False,
    trusted: PublicKey | None = None,
) -> SeriesVerdict:
    """Check all DICOM files of a folder, with their certificates. Never raises for what a file holds.

    Certificates are those of ``certificates``; by default those in ``folder/certificates``, or where a PACS has kept
    the DICOM files only, those that travel with them as raw data. In a folder of series, as ``ctrecon dicom get`` lays
    a study, series that ctrecon had no part in are left out, and counted.

    Args:
        folder: With the series, or with a folder for each.
        certificates: Another folder with them.
        watch: Gets each finding as soon as it is there: a large image takes seconds.
        of_slice: May demand more of each certificate.
        strict: Refuses what an archive may change, too.
        pixels_only: Does without the manifest, and so without headers, presentation and reports.
        trusted: Must have signed the manifest.

    Returns:
        All findings, and the whole in one line.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="ctrecon-") as unpacked:
        warnings.simplefilter("ignore")  # pydicom's remarks on damaged files; what is wrong is found here
        read = read_series(folder)
        datasets, unread = read.datasets, read.unread
        findings = [
            Finding(path, False, verify.one_line(f"cannot be read: {why}"), readable=False) for path, why in unread
        ]
        if certificates is None:
            certificates = folder / CERTIFICATES
            if not certificates.exists():
                certificates = Path(unpacked)
                _unpack_all(datasets, certificates)
        for finding in findings:
            watch(finding)
        look = Look(certificates, of_slice, None, pixels_only, trusted)
        verdict = _check(datasets, findings, look, watch, beside=read.beside())
        return _refuse_coerced(verdict) if strict else verdict


def _coerced(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"; changed since it was written, as an archive may: {', '.join(names)}"


def _refuse_coerced(verdict: SeriesVerdict) -> SeriesVerdict:
    if not verdict.coerced or not verdict.complete:
        return verdict
    said = f"attributes were changed since it was written: {', '.join(verdict.coerced)} (--strict)"
    return replace(verdict, said=verify.one_line(said), complete=False)


def _check(
    datasets: Sequence[tuple[Path, Dataset]],
    findings: list[Finding],
    look: Look,
    watch: Callable[[Finding], object],
    *,
    beside: str,
) -> SeriesVerdict:
    images = [(path, ds) for path, ds in datasets if ds.get("SOPClassUID") == CTImageStorage]
    claims: list[Json] = []
    damaged = look.find_manifest(datasets)
    for path, ds in images:
        found, certificate = _guarded(path, partial(_image, look, path, ds))
        findings.append(found)
        watch(found)
        claims += [] if certificate is None else [certificate]
        ds.pop("PixelData", None)  # a series is larger than its headers
    for path, ds in datasets:
        if ds.get("SOPClassUID") != CTImageStorage:
            findings.append(_guarded(path, partial(_other, look, path, ds, images, claims))[0])
            watch(findings[-1])
    histories = {k: look.certificates / history_name(k) for k in range(1, min(len(images), MOST_SLICES) + 1)}
    for path, why in look.changed_histories(histories):
        findings.append(Finding(path, False, verify.one_line(why)))
        watch(findings[-1])
    fault = _fault_of_series([ds for _, ds in images], datasets) or damaged or look.fault([ds for _, ds in datasets])
    bad = sum(not finding.valid for finding in findings)
    said = fault or (f"{bad} of {len(findings)} files are refused" if bad else _whole(images, datasets))
    coerced = () if look.manifest is None else tuple(sorted(look.manifest.coerced))
    said += look.remark() + _coerced(coerced)
    said += beside
    data = tuple(certificate["data"] for certificate in claims)
    return SeriesVerdict(tuple(findings), verify.one_line(said), complete=not fault, data=data, coerced=coerced)


def _unpack_all(datasets: Sequence[tuple[Path, Dataset]], into: Path) -> None:
    """Put down the certificates that came as raw data, under the numbers of the images that they refer to.

    What is damaged is left out, and missed when its image is checked.
    """
    images = {str(ds.SOPInstanceUID): ds for _, ds in datasets if ds.get("SOPClassUID") == CTImageStorage}
    for _, ds in datasets:
        if ds.get("SOPClassUID") != RawDataStorage or holds_manifest(ds):
            continue
        with suppress(Exception):
            image = images[str(ds.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID)]
            index, tie = int(image.InstanceNumber), read_tie(image)
            if tie is not None and 1 <= index <= MOST_SLICES:
                unpack(ds, _scale(image, tie.water_mu).decode(image.pixel_array), into / certificate_name(index))


def _whole(images: Sequence[Any], datasets: Sequence[Any]) -> str:
    others = len(datasets) - len(images)
    return (
        f"{len(images)} image{'s' * (len(images) != 1)}, none missing, each decodes bit for bit to its certified "
        f"pixels; {others} other file{'s' * (others != 1)} on them"
    )


def _guarded(path: Path, look: Callable[[], _Found]) -> _Found:
    try:
        return look()
    except OSError as why:
        return Finding(path, False, verify.one_line(why), readable=False), None
    except Exception as why:
        text = why if isinstance(why, Refused | CtreconError) else f"malformed content ({type(why).__name__}: {why})"
        return Finding(path, False, verify.one_line(text)), None


def _image(look: Look, path: Path, ds: Dataset) -> _Found:
    tie = read_tie(ds)
    if tie is None:
        raise Refused("its private block CTRECON, which ties it to a certificate, is missing or damaged")
    check_file(path, ds)
    look.check_private(ds)
    require(tie.certificate_sha256 != "", "not certified, as it says itself: the residual is above delta")
    index = int(ds.InstanceNumber)
    require(1 <= index <= MOST_SLICES, f"InstanceNumber {index} is no slice")
    image = look.certificates / certificate_name(index)
    place = image.with_name(image.name.replace(verify.FILES["image"], verify.FILES[""]))
    if not place.exists():
        raise FileNotFoundError(f"its certificate {place.name} is missing, and none came as raw data")
    raw = verify.read(place, verify.MAX_BYTES, tie.certificate_sha256)
    verdict = verify.check(place)
    require(verdict.valid, verdict.reason)
    claims = verify.parse_certificate(raw)
    grid = claims["operator"].get("grid")
    require(grid is not None, "its certificate speaks of no pixel size")
    certified = verify.load(claims["image"], image, "image")
    _placed(ds, grid, tie.spacing_mm, claims["image"].get("z_mm"))
    require(str(ds.get("RescaleType", "")) == "HU", "its values are not in HU")
    scale = _scale(ds, tie.water_mu)
    stored = ds.pixel_array
    require(stored.shape == certified.shape, f"it has {stored.shape} pixels, certified are {certified.shape}")
    differing = int(np.count_nonzero(scale.decode(stored) != certified))
    require(differing == 0, f"{differing} of its pixels do not decode to the certified ones")
    look.check(ds)
    # By its digits views are chosen: the certificate has all of them, the image as many as a decimal string holds.
    z_mm, count = claims["image"]["z_mm"], int(ds.ImagesInAcquisition)
    look.of_slice(CertifiedSlice(verdict=verdict, z_mm=z_mm, index=index, count=count))
    look.keep_misfit(verdict, float(ds.ImagePositionPatient[2]))
    said = worth(verdict).said
    return Finding(path, True, verdict.statement + (f" ({said})" if said else "") + changes(ds, UNTOUCHED)), claims


def _scale(ds: Dataset, water_mu: float) -> HounsfieldScale:
    try:
        return HounsfieldScale(
            water_mu=water_mu, slope=float(ds.RescaleSlope), intercept=float(ds.RescaleIntercept)
        )
    except SettingError as why:
        raise Refused(str(why)) from None


def _placed(ds: Dataset, claimed: Json, tied: tuple[float, float], z_mm: float | None) -> None:
    """The pixels stand where the certificate's grid has them, and the slice where the certificate says."""
    grid = grid_from_dict(claimed)
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


def _other(
    look: Look, path: Path, ds: Dataset, images: Sequence[tuple[Path, Dataset]], claims: Sequence[Json]
) -> _Found:
    if holds_manifest(ds):
        if look.manifest is None:
            return Finding(path, True, "manifest, not looked at"), None
        check_file(path, ds)
        look.check_private(ds)
        look.manifest.check_own(ds)
        count, sha256 = len(look.manifest.values["objects"]), hashlib.sha256(look.manifest.raw).hexdigest()
        return Finding(path, True, f"manifest of the {count} other objects, SHA-256 {sha256}"), None
    if ds.get("SOPClassUID") in EVIDENCE:
        look.check_private(ds)
    said = check_evidence(ds, [image for _, image in images], claims)
    check_file(path, ds)
    look.check(ds)
    if ds.SOPClassUID == ParametricMapStorage:
        check_misfit(ds, look.misfits)
    return Finding(path, True, said), None


def _fault_of_series(images: Sequence[Dataset], datasets: Sequence[tuple[Path, Dataset]]) -> str:
    """Why the images are no complete series of one patient, or ``""``."""
    try:
        _require_whole(images, [ds for _, ds in datasets])
    except Refused as why:
        return str(why)
    except Exception as why:
        return f"malformed content ({type(why).__name__}: {why})"
    return ""


def _require_whole(images: Sequence[Dataset], everything: Sequence[Dataset]) -> None:
    require(len(images) > 0, "the folder holds no CT image of ctrecon")
    for keyword in _SAME:
        different = {str(ds.get(keyword)) for ds in everything}
        require(len(different) == 1, f"the files have {len(different)} different values of {keyword}")
    for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID", "ImagesInAcquisition"):
        different = {str(ds.get(keyword)) for ds in images}
        require(len(different) == 1, f"the images have {len(different)} different values of {keyword}")
    instances = [str(ds.SOPInstanceUID) for ds in everything]
    require(len(set(instances)) == len(instances), "two files have one SOPInstanceUID")
    count = int(images[0].ImagesInAcquisition)
    require(1 <= count <= MOST_SLICES, f"ImagesInAcquisition is {count}")
    numbers = sorted(int(ds.InstanceNumber) for ds in images)
    missing = sorted(set(range(1, count + 1)) - set(numbers))
    require(not missing, f"slice {missing[0] if missing else 0} of {count} is missing ({len(missing)} in all)")
    require(numbers == list(range(1, count + 1)), "two images have one InstanceNumber, or there are too many")
    z = [float(ds.ImagePositionPatient[2]) for ds in sorted(images, key=lambda ds: int(ds.InstanceNumber))]
    require(bool((np.diff(z) > 0).all()), "the slices are not in the order of their positions")
