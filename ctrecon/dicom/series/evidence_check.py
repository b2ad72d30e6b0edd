"""Checks what accompanies the images of a series: does it speak of them, and say no more than is proved?"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, EncapsulatedPDFStorage, ParametricMapStorage, RawDataStorage

from ctrecon.certificates.verify import Json, Refused, require
from ctrecon.dicom.common.private import CREATOR, GROUP, read_tie
from ctrecon.dicom.common.uids import digest, uid_of
from ctrecon.dicom.series.raw_certificate import hash_of
from ctrecon.dicom.series.sr import SCHEME, STATEMENT

EVIDENCE = {
    ComprehensiveSRStorage: "structured report",
    EncapsulatedPDFStorage: "report as PDF",
    ParametricMapStorage: "map of the residual",
    RawDataStorage: "certificate with its data",
}

REFERENCED = 0x00081155  # ReferencedSOPInstanceUID

UNTOUCHED = "what is certified was not"


def changes(ds: Dataset, checked: str) -> str:
    """A remark where a file is no longer what its instance UID was made from, as a PACS may do; ``checked`` is true."""
    own = uid_of("instance", str(ds.SeriesInstanceUID), str(int(ds.InstanceNumber)), digest(ds))
    return "" if own == ds.SOPInstanceUID else f" (The file was changed since it was written; {checked}.)"


def check_evidence(ds: Dataset, images: Sequence[Dataset], claims: Sequence[Json]) -> str:
    """What a report on ``images`` is, in words; raises Refused where it is not one, or says more than ``claims``.

    ``claims`` are the certificates of the images that were found valid.
    """
    what = EVIDENCE.get(ds.get("SOPClassUID"))
    named = {str(e.value) for e in ds.iterall() if int(e.tag) == REFERENCED}
    if what is None or not named:
        raise Refused("it is neither an image of the series nor a report on it; move it elsewhere")
    if ds.SOPClassUID == RawDataStorage:
        ties = {str(image.SOPInstanceUID): read_tie(image) for image in images}
        certified = [str(item.ReferencedSOPInstanceUID) for item in ds.ReferencedInstanceSequence]
        lost = any(ties.get(uid) is None for uid in certified)
        require(not lost, f"the {what} refers to an image that is not here")
        require(CREATOR in ds.private_creators(GROUP), f"the {what} holds none: its private block CTRECON was removed")
        own = hash_of(ds)
        theirs = {uid for uid, tie in ties.items() if tie is not None and tie.certificate_sha256 == own}
        require(theirs >= set(certified), f"the {what} is not the one of the image it refers to")
        require(theirs == set(certified), f"the {what} does not refer to {len(theirs) - len(certified)} of its images")
        said = f"{what}, as its image names it{changes(ds, UNTOUCHED)}"
        ds.remove_private_tags()
        return said
    instances = {str(image.SOPInstanceUID) for image in images}
    strangers, forgotten = named - instances, instances - named
    require(not strangers, f"the {what} refers to {len(strangers)} images that are not here")
    require(not forgotten, f"the {what} does not refer to {len(forgotten)} of the images")
    if ds.SOPClassUID == ComprehensiveSRStorage:
        stated = [str(item.TextValue) for item in _items(ds) if _concept(item) == STATEMENT.value]
        proved = [certificate["statement"] for certificate in claims]
        require(sorted(stated) == sorted(proved), f"the {what} does not say what is proved of the images")
    remark = UNTOUCHED if ds.SOPClassUID == ComprehensiveSRStorage else "only its references were checked"
    return f"{what} on {len(named)} image{'s' * (len(named) != 1)}{changes(ds, remark)}"


def _items(ds: Dataset) -> list[Dataset]:
    """All content items below ``ds``."""
    found, waiting = [], list(ds.get("ContentSequence") or ())
    while waiting:
        item = waiting.pop()
        found.append(item)
        waiting += list(item.get("ContentSequence") or ())
    return found


def _concept(item: Dataset) -> str:
    name = item.get("ConceptNameCodeSequence")
    return str(name[0].get("CodeValue")) if name and name[0].get("CodingSchemeDesignator") == SCHEME else ""
