"""The certificates of a series as Comprehensive SR (PS3.3 A.35.3): what is proved of each image, and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ctrecon.certificates import verify
from ctrecon.dicom.common.uids import IMPLEMENTATION, uid_of
from ctrecon.dicom.series.ct_image import (
    NOT_FOR_DIAGNOSIS,
    SERIES_NUMBERS,
    SeriesPart,
    certificate_hash,
    clean,
    contributing_equipment,
    derivation,
    nameless,
    program_version,
)
from ctrecon.dicom.series.item_by_item import Grown, Items, Spools
from ctrecon.dicom.series.study import Study

SCHEME = "99CTRECON"
CERTIFICATE = Code("certificate", SCHEME, "Certificate of a CT reconstruction")
SLICE = Code("slice", SCHEME, "Reconstructed slice")
VOLUME = Code("volume", SCHEME, "Reconstructed volume")
STATEMENT = Code("statement", SCHEME, "What is proved")
WORTH = Code("worth", SCHEME, "What the statement is worth")
SHORTFALL = Code("shortfall", SCHEME, "Why nothing is proved")
LIMITS = Code("limits", SCHEME, "What is not proved")
METHOD = Code("method", SCHEME, "Method of reconstruction")
ASSUMED = Code("assumed", SCHEME, "What was assumed of the data")
CERTIFIED = Code("certified", SCHEME, "Image is certified to explain the data")
BOUND = Code("proved-bound", SCHEME, "Proved upper bound on the residual")
RESIDUAL = Code("residual", SCHEME, "Residual")
DELTA = Code("delta", SCHEME, "Bound on the residual that was asked for")
FILE = Code("file-sha256", SCHEME, "SHA-256 of the certificate file")
DATA = Code("data-sha256", SCHEME, "SHA-256 of the data")
# Of SNOMED CT, as CID 230 has them.
YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")


def structured_report(
    images: Sequence[Dataset], parts: Sequence[SeriesPart], *, study: Study, method: str, notes: Sequence[str],
    spools: Spools,
) -> Grown:
    """The report on ``images`` (finished CT datasets, in the order of ``parts``), without its own UIDs."""
    date, time = study.moment
    placeholder = uid_of("placeholder")
    report: Dataset = hd.sr.ComprehensiveSR(
        evidence=[nameless(images[0])],
        content=_tree(images[0], parts[0], method, notes),
        series_instance_uid=placeholder,
        series_number=SERIES_NUMBERS["report"],
        sop_instance_uid=placeholder,
        instance_number=1,
        manufacturer="ctrecon",
        is_complete=True,
        is_final=False,
    )
    study.copy_to(report)
    report.SeriesDescription = "RESEARCH certificates, not for diagnosis"
    report.ManufacturerModelName, report.SoftwareVersions = "ctrecon", program_version()
    report.ContributingEquipmentSequence = DicomSequence([contributing_equipment()])
    report.ContentDate, report.ContentTime = date, time
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in report:
            delattr(report, keyword)
    long = {
        "ContentSequence": _content(report, images, parts, method, spools),
        "CurrentRequestedProcedureEvidenceSequence": _evidence(report, images, spools),
    }
    for keyword in long:
        delattr(report, keyword)
    return Grown(report, long)


def _content(
    report: Dataset, images: Sequence[Dataset], parts: Sequence[SeriesPart], method: str, spools: Spools
) -> Items:
    """What the report of the first image says, with what is said of every part where that stands for it."""
    found = Items(spools)
    *before, _, last = report.ContentSequence
    for item in before:
        found.add(item)
    shown = iter(images)
    for one in parts:
        found.add(_part(list(itertools.islice(shown, len(one.z_mm))), one, method))
    found.add(last)
    return found


def _evidence(report: Dataset, images: Sequence[Dataset], spools: Spools) -> Items:
    """Of the study, of the series, of each image."""
    study, objects, series, found = report.CurrentRequestedProcedureEvidenceSequence[0], *(Items(spools) for _ in "123")
    inner = study.ReferencedSeriesSequence[0]
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        objects.add(item)
    del inner.ReferencedSOPSequence, study.ReferencedSeriesSequence
    series.add(inner, {"ReferencedSOPSequence": objects})
    found.add(study, {"ReferencedSeriesSequence": series})
    return found


def _tree(image: Dataset, part: SeriesPart, method: str, notes: Sequence[str]) -> hd.sr.ContainerContentItem:
    contains, observed = hd.sr.RelationshipTypeValues.CONTAINS, hd.sr.RelationshipTypeValues.HAS_OBS_CONTEXT
    root = hd.sr.ContainerContentItem(name=CERTIFICATE)
    items: list[Any] = [
        hd.sr.CodeContentItem(
            name=codes.DCM.LanguageOfContentItemAndDescendants,
            value=Code("en-US", "RFC5646", "English (United States)"),
            relationship_type=hd.sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        ),
        hd.sr.CodeContentItem(name=codes.DCM.ObserverType, value=codes.DCM.Device, relationship_type=observed),
        hd.sr.UIDRefContentItem(name=codes.DCM.DeviceObserverUID, value=IMPLEMENTATION, relationship_type=observed),
        hd.sr.TextContentItem(
            name=codes.DCM.DeviceObserverName, value=f"ctrecon {program_version()}", relationship_type=observed
        ),
        hd.sr.TextContentItem(name=codes.DCM.Comment, value=NOT_FOR_DIAGNOSIS, relationship_type=contains),
        hd.sr.TextContentItem(name=METHOD, value=method, relationship_type=contains),
        *(hd.sr.TextContentItem(name=ASSUMED, value=clean(note), relationship_type=contains) for note in notes),
        _part([image], part, method),
        hd.sr.TextContentItem(name=LIMITS, value=verify.LIMITS["feasible"], relationship_type=contains),
    ]
    root.ContentSequence = hd.sr.ContentSequence(items)
    return root


def _part(images: Sequence[Dataset], one: SeriesPart, method: str) -> hd.sr.ContainerContentItem:
    contains = hd.sr.RelationshipTypeValues.CONTAINS
    bound = one.residual if one.certificate is None else one.certificate.residual_upper_bound

    def quantity(name: Code, value: float) -> hd.sr.NumContentItem:
        item = hd.sr.NumContentItem(name=name, value=value, unit=codes.UCUM.NoUnits, relationship_type=contains)
        return item

    def text(name: Code, value: str) -> hd.sr.TextContentItem:
        return hd.sr.TextContentItem(name=name, value=value, relationship_type=contains)

    part = hd.sr.ContainerContentItem(name=SLICE if len(images) == 1 else VOLUME, relationship_type=contains)
    items: list[Any] = [
        *(
            hd.sr.ImageContentItem(
                name=codes.DCM.SourceOfMeasurement,
                referenced_sop_class_uid=image.SOPClassUID,
                referenced_sop_instance_uid=image.SOPInstanceUID,
                relationship_type=contains,
            )
            for image in images
        ),
        hd.sr.CodeContentItem(
            name=CERTIFIED, value=YES if one.certificate is not None and not one.says_nothing else NO,
            relationship_type=contains,
        ),
        text(SHORTFALL, derivation(one, method)) if one.certificate is None else text(
            STATEMENT, one.certificate.statement
        ),
        quantity(BOUND if one.certificate is not None else RESIDUAL, bound),
        quantity(DELTA, one.delta),
        text(DATA, one.data_sha256),
    ]
    if one.certificate is not None:
        items.append(text(FILE, certificate_hash(one.certificate)))
    if one.worth is not None and one.worth.said:
        items.append(text(WORTH, one.worth.said))
    part.ContentSequence = hd.sr.ContentSequence(items)
    return part
