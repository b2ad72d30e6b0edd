"""A series with its evidence in one folder, all of it or nothing.

``ct-0001.dcm`` ... are the images, ``report.dcm`` the structured report, ``report-pdf.dcm`` the same for people,
``residual.dcm`` what the images leave of the data, ``certificate-0001.dcm`` ... the certificates with their data, for
whoever has the study from a PACS; ``manifest.dcm`` lists them all.
``certificates/slice-0001.certificate.json`` ... with the files beside each are the same for anyone with numpy and scipy
alone. A volume measured in space has one certificate of all its slices, under the number of its first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.dicom.common.uids import digest, identify, uid_of
from ctrecon.dicom.series.ct_image import SeriesPart, describe_image
from ctrecon.dicom.series.item_by_item import Grown, Spools
from ctrecon.dicom.series.manifest import Listing, manifest_object
from ctrecon.dicom.series.parametric_map import misfit_map
from ctrecon.dicom.series.pdf import encapsulated_pdf
from ctrecon.dicom.series.raw_certificate import raw_certificate
from ctrecon.dicom.series.sr import structured_report
from ctrecon.dicom.series.study import NO_ISSUER, NO_PATIENT, Study
from ctrecon.errors import InputError
from ctrecon.support.beside import HISTORY
from ctrecon.support.folders import new_folder

if TYPE_CHECKING:
    from ctrecon.support.site_key import SiteKey

REPORT, PDF, MISFIT, CERTIFICATES = "report.dcm", "report-pdf.dcm", "residual.dcm", "certificates"
MANIFEST = "manifest.dcm"
MOST_SLICES = 9999


def image_name(index: int) -> str:
    return f"ct-{index:04d}.dcm"


def raw_name(index: int) -> str:
    return f"certificate-{index:04d}.dcm"


def history_name(index: int) -> str:
    """The file that says how the slice or volume came about that begins at image ``index``, from 1."""
    return certificate_name(index).replace(".npy", HISTORY)


def certificate_name(index: int) -> str:
    """The certificate's image ``S.npy`` of the slice or volume that begins at image ``index``, from 1."""
    return f"slice-{index:04d}.npy"


@dataclass(frozen=True)
class WrittenSeries:
    """Where everything stands; ``certificates`` is None where no slice is certified."""

    images: tuple[Path, ...]
    report: Path
    pdf: Path
    misfit: Path
    certificates: Path | None


def write_series(
    folder: Path,
    parts: Sequence[SeriesPart],
    *,
    scale: HounsfieldScale,
    study: Study,
    method: str,
    iterative: bool = True,
    notes: Sequence[str] = (),
    frame_of_reference: str | None = None,
    patient_position: str = "",
    overwrite: bool = False,
    key: SiteKey | None = None,
) -> WrittenSeries:
    """Write slices as one CT series with report, PDF and map of the residual; all of it or nothing.

    The same arguments give the same bytes.

    Args:
        folder: Where it goes; new, empty, or holding such a series where ``overwrite``.
        parts: Slices, or volumes of them, in any order; they are sorted by z.
        scale: From attenuation to stored Hounsfield units.
        study: Patient and study.
        method: Names how the images were made.
        iterative: False for filtered back projection.
        notes: What was assumed, a sentence each.
        frame_of_reference: UID of a frame that the slices are known to stand in; None for a new one.
        patient_position: A term of DICOM, empty where nobody knows how the patient lay.
        overwrite: Whether an older series may be replaced.
        key: Signs the manifest.

    Returns:
        Where everything stands.

    Raises:
        InputError: For slices that do not make a series.
        OutputError: Where ``folder`` cannot be written or holds other things.
    """
    parts = sorted(parts, key=lambda one: one.z_mm)
    _check(parts)
    seeds = [seed for one in parts for seed in (one.data_sha256, *map(repr, one.z_mm))]
    study = _known(study, seeds)
    study_uid = str(study.attributes.StudyInstanceUID)
    frame = frame_of_reference or uid_of("frame of reference", study_uid, *seeds)

    places = [(one, k) for one in parts for k in range(len(one.z_mm))]
    firsts = list(itertools.accumulate((len(one.z_mm) for one in parts[:-1]), initial=1))

    def image(k: int) -> Dataset:
        return describe_image(
            *places[k], k + 1, len(places), scale=scale, study=study, frame_of_reference=frame, method=method,
            iterative=iterative, patient_position=patient_position, notes=notes,
        )  # fmt: skip

    with new_folder(folder, ours=is_ours, overwrite=overwrite) as partial, Spools(partial) as spools:
        # Of what there is one for each slice, one at a time is in memory.
        listed = Listing(spools)
        for k, ds in enumerate(_identified(image, range(len(places)), study_uid)):
            ds.save_as(partial / image_name(k + 1), enforce_file_format=True)
            listed.add(Grown(ds))
        images = Headers([partial / image_name(k + 1) for k in range(len(places))])

        def finish(name: str, grown: Grown) -> None:
            series_uid, own = _uids_of(study_uid, [grown.digest(spools)])
            identify(grown.ds, series_uid, own[0])
            grown.save(partial / name)
            if name != MANIFEST:
                listed.add(grown)

        for name, made in ((REPORT, structured_report), (PDF, encapsulated_pdf)):
            finish(name, made(images, parts, study=study, method=method, notes=notes, spools=spools))
        finish(MISFIT, misfit_map(images, parts, study=study, spools=spools))
        certified = [k for k, one in enumerate(parts) if one.certificate is not None]

        def raw(k: int) -> Dataset:
            certificate, first = parts[k].certificate, firsts[k]
            assert certificate is not None
            shown = images[first - 1 : first - 1 + len(parts[k].z_mm)]
            return raw_certificate(shown, certificate, first, study=study)

        for k, ds in zip(certified, _identified(raw, certified, study_uid), strict=True):
            ds.save_as(partial / raw_name(firsts[k]), enforce_file_format=True)
            listed.add(Grown(ds))
            certificate = parts[k].certificate
            assert certificate is not None
            (partial / CERTIFICATES).mkdir(exist_ok=True)
            certificate.write(partial / CERTIFICATES / certificate_name(firsts[k]))
        for first, one in zip(firsts, parts, strict=True):
            if one.history is not None:
                (partial / CERTIFICATES).mkdir(exist_ok=True)
                (partial / CERTIFICATES / history_name(first)).write_bytes(raw_history := one.history())
                listed.add_history(first, raw_history)
        finish(MANIFEST, manifest_object(images, listed, study=study, spools=spools, key=key))
    return WrittenSeries(
        images=tuple(folder / image_name(k) for k in range(1, len(places) + 1)),
        report=folder / REPORT,
        pdf=folder / PDF,
        misfit=folder / MISFIT,
        certificates=folder / CERTIFICATES if any(one.certificate for one in parts) else None,
    )


def _check(parts: Sequence[SeriesPart]) -> None:
    z_mm = [z for one in parts for z in one.z_mm]
    if not 1 <= len(z_mm) <= MOST_SLICES:
        raise InputError(f"a series has 1 to {MOST_SLICES} slices, got {len(z_mm)}")
    if len({one.grid for one in parts}) > 1:
        raise InputError("the slices of a series must stand on one grid; write one series for each")
    for below, above in itertools.pairwise(z_mm):
        if above - below < 1e-3:
            raise InputError(f"two slices stand at z = {above:g} mm; leave one out")


def _known(study: Study, seeds: Sequence[str]) -> Study:
    """The study with a UID, and with a patient who is nobody where none was named: an empty ID would be everybody.

    Of a study that is there already its own patient stays, also where it has none, for an archive has it so.
    """
    attributes = Dataset()
    study.copy_to(attributes)
    if not study.is_somebodys:
        attributes.PatientName, attributes.IssuerOfPatientID = NO_PATIENT, NO_ISSUER
        attributes.PatientID = "RESEARCH-" + uid_of("patient", *seeds)[-12:]
    if not attributes.get("StudyInstanceUID"):
        attributes.StudyInstanceUID = uid_of("study", str(attributes.get("PatientID")), *seeds)
    if not attributes.get("StudyDescription"):
        attributes.StudyDescription = "RESEARCH ctrecon, not for diagnosis"
    return replace(study, attributes=attributes)


def _uids_of(study_uid: str, digests: Sequence[str]) -> tuple[UID, list[UID]]:
    """Of a series, which follows from all that its members say, and of these, from it and their number."""
    series_uid = uid_of("series", study_uid, *digests)
    return series_uid, [uid_of("instance", series_uid, str(k), own) for k, own in enumerate(digests, start=1)]


def _identified(make: Callable[[int], Dataset], which: Sequence[int], study_uid: str) -> Iterator[Dataset]:
    """The members of a series, each made twice: for what its UID follows from, and to be written."""
    series_uid, own = _uids_of(study_uid, [digest(make(k)) for k in which])
    for k, uid in zip(which, own, strict=True):
        ds = make(k)
        identify(ds, series_uid, uid)
        yield ds


class Headers(Sequence[Dataset]):
    """The headers of images, read from their files each time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, place: int) -> Dataset: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Dataset]: ...
    def __getitem__(self, place: int | slice) -> Dataset | Sequence[Dataset]:
        if isinstance(place, slice):
            return Headers(self._paths[place])
        return dcmread(self._paths[place], stop_before_pixels=True)


def is_ours(name: str) -> bool:
    """Whether a file or folder of this name is one that ``write_series`` puts down."""
    numbered = re.fullmatch(r"(ct|certificate)-\d{4}\.dcm", name)
    return numbered is not None or name in (REPORT, PDF, MISFIT, MANIFEST, CERTIFICATES)
