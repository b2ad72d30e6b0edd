"""Checks a series folder: is every image, decoded, the certified one, and is nothing missing?

The certificates are checked by ``ctrecon/certificates/verify.py``, which trusts nothing that made them; this file adds
what ties DICOM files to them (``part_check.py``: each image to its certificate).
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
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ParametricMapStorage, RawDataStorage

from ctrecon.certificates import verify
from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.dicom.series.encoded import written_anew
from ctrecon.dicom.series.evidence_check import EVIDENCE, check_evidence
from ctrecon.dicom.series.file_check import check_file
from ctrecon.dicom.series.look import Look, OfPart
from ctrecon.dicom.series.manifest import holds_manifest
from ctrecon.dicom.series.misfit_check import check_misfit
from ctrecon.dicom.series.part_check import PartCheck, decoded, hashes_of, parts_of
from ctrecon.dicom.series.raw_certificate import unpack
from ctrecon.dicom.series.series import CERTIFICATES, MOST_SLICES, certificate_name, history_name
from ctrecon.dicom.series.series_files import read_series
from ctrecon.errors import CtreconError

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
    of_part: OfPart = lambda _: None,
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
        of_part: May demand more of each certificate.
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
        look = Look(certificates, of_part, None, pixels_only, trusted)
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
    numbers = hashes_of(images)
    for part in parts_of(images):
        one, valid = PartCheck(look, part, numbers), True
        for k, (path, ds) in enumerate(part):
            findings.append(_guarded(path, partial(one.check, k)))
            watch(findings[-1])
            valid = valid and findings[-1].valid
            ds.pop("PixelData", None)  # a series is larger than its headers
        claims += [one.claims] if valid else []
    for path, ds in datasets:
        if ds.get("SOPClassUID") != CTImageStorage:
            findings.append(_guarded(path, partial(_other, look, path, ds, images, claims)))
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
    said += beside + written_anew([ds for _, ds in datasets])
    data = tuple(certificate["data"] for certificate in claims)
    return SeriesVerdict(tuple(findings), verify.one_line(said), complete=not fault, data=data, coerced=coerced)


def _unpack_all(datasets: Sequence[tuple[Path, Dataset]], into: Path) -> None:
    """Put down the certificates that came as raw data, under the number of the first image that they refer to.

    What is damaged is left out, and missed when its image is checked.
    """
    images = {str(ds.SOPInstanceUID): ds for _, ds in datasets if ds.get("SOPClassUID") == CTImageStorage}
    for _, ds in datasets:
        if ds.get("SOPClassUID") != RawDataStorage or holds_manifest(ds):
            continue
        with suppress(Exception):
            named = [images.get(str(item.ReferencedSOPInstanceUID)) for item in ds.ReferencedInstanceSequence]
            here = [(place, image) for place, image in enumerate(named) if image is not None]
            first = int(here[0][1].InstanceNumber) - here[0][0]
            if 1 <= first <= MOST_SLICES:
                unpack(ds, decoded(image for _, image in here), into / certificate_name(first))


def _whole(images: Sequence[Any], datasets: Sequence[Any]) -> str:
    others = len(datasets) - len(images)
    return (
        f"{len(images)} image{'s' * (len(images) != 1)}, none missing, each decodes bit for bit to its certified "
        f"pixels; {others} other file{'s' * (others != 1)} on them"
    )


def _guarded(path: Path, look: Callable[[], str]) -> Finding:
    """What ``look`` finds true of the file, or why it is refused."""
    try:
        return Finding(path, True, look())
    except OSError as why:
        return Finding(path, False, verify.one_line(why), readable=False)
    except Exception as why:
        return Finding(path, False, verify.one_line(_said_of(why)))


def _said_of(why: Exception) -> str:
    if isinstance(why, Refused | CtreconError):
        return str(why)
    if isinstance(why, AttributeError) and tag_for_keyword(why.name or "") is not None:
        return f"its {why.name} is missing; have it sent again"
    return f"malformed content ({type(why).__name__}: {why})"


def _other(
    look: Look, path: Path, ds: Dataset, images: Sequence[tuple[Path, Dataset]], claims: Sequence[Json]
) -> str:
    if holds_manifest(ds):
        if look.manifest is None:
            return "manifest, not looked at"
        check_file(path, ds)
        look.check_private(ds)
        look.manifest.check_own(ds)
        count, sha256 = len(look.manifest.values["objects"]), hashlib.sha256(look.manifest.raw).hexdigest()
        return f"manifest of the {count} other objects, SHA-256 {sha256}"
    if ds.get("SOPClassUID") in EVIDENCE:
        look.check_private(ds)
    said = check_evidence(ds, [image for _, image in images], claims)
    check_file(path, ds)
    look.check(ds)
    if ds.SOPClassUID == ParametricMapStorage:
        check_misfit(ds, look.misfits)
    return said


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
