"""De-identification of a DICOM dataset by the basic profile (``profile.py``), alike for all files of one run.

UIDs and patient numbers become keyed hashes (HMAC-SHA-256): the same for the same secret, so references still lead
where they led, and without the secret nobody can test a guess. Dates are removed, or moved by a number of days that
belongs to the patient. Pixels are not looked at: a name that is burned into them stays, and is warned of.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from ctrecon.dicom.common.files import refusing, text_of
from ctrecon.dicom.deidentify.profile import Action, action_for, is_time
from ctrecon.dicom.deidentify.safe_private import safe_elements
from ctrecon.errors import InputError

BASIC, SAFE_PRIVATE, MODIFIED_DATES = "113100", "113111", "113107"
_MEANINGS = {
    BASIC: "Basic Application Confidentiality Profile",
    SAFE_PRIVATE: "Retain Safe Private Option",
    MODIFIED_DATES: "Retain Longitudinal Temporal Information Modified Dates Option",
}
_PATIENT = 0x0010
_MOST_DAYS = 3650
_SHORTEST_NAME = 3
_DIRECT = ("PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "AccessionNumber",
           "PatientMotherBirthName", "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers")  # fmt: skip
_TEXT_VRS = frozenset(("AE", "CS", "LO", "SH", "LT", "ST", "UT", "UC", "PN", "UR"))
_DUMMIES: dict[str, Any] = {
    "AE": "REMOVED", "AS": "000Y", "CS": "REMOVED", "DA": "19000101", "DS": "0", "DT": "19000101000000", "FD": 0.0,
    "FL": 0.0, "IS": "0", "LO": "REMOVED", "LT": "REMOVED", "PN": "REMOVED", "SH": "REMOVED", "SL": 0, "SS": 0,
    "ST": "REMOVED", "SV": 0, "TM": "000000", "UC": "REMOVED", "UL": 0, "UR": "urn:removed", "US": 0, "UT": "REMOVED",
    "UV": 0, "OB": b"\0\0", "OW": b"\0\0", "OF": bytes(4), "OD": bytes(8), "OL": bytes(4), "OV": bytes(8),
    "UN": b"\0\0",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes the new names: ``secret`` (16 bytes or more), and whether dates are moved instead of removed."""

    secret: bytes
    move_dates: bool = False

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise InputError(f"the secret must have at least 16 bytes, got {len(self.secret)}; make a longer one")

    def _hash(self, kind: str, value: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\0{value}".encode(), hashlib.sha256)

    def uid(self, value: str) -> UID:
        """``2.25.`` and 122 bits of the hash, laid out as a UUID of version 8 (PS3.5, B.2)."""
        number = int.from_bytes(self._hash("uid", value.strip("\0 "))[:16], "big")
        number = number & ~(0xF << 76) | (8 << 76)
        return UID(f"2.25.{number & ~(3 << 62) | (2 << 62)}")

    def patient(self, value: str) -> str:
        return "ANON-" + self._hash("patient", value.strip()).hex()[:16].upper()

    def days(self, patient: str) -> int:
        """How far this patient's dates move into the past, from 1 to 3,650 days."""
        return 1 + int.from_bytes(self._hash("days", patient.strip())[:8], "big") % _MOST_DAYS


def deidentify(ds: FileDataset, identity: Identity, name: str) -> FileDataset:
    """Change the dataset, file meta and all, in place; gives it back. ``name`` is for messages.

    Raises InputError for damaged files and for documents (reports, PDF), of which the profile would leave nothing.
    """
    with refusing(f"{name}: cannot be de-identified"):
        if is_document(ds):
            raise InputError(f"{name}: is a document, all of which may identify; only images are de-identified")
        patient = text_of(ds, "PatientID", name)
        direct = sorted(set(_direct_identifiers(ds)), key=len, reverse=True)
        work = _Work(identity, patient, direct)
        work.walk(ds)
        for element in work.kept_text(ds):
            element.value = _DUMMIES[element.VR]
        # The options of the run, alike in all files of a patient, whether or not a file has such attributes.
        codes = [BASIC, *([MODIFIED_DATES] if identity.move_dates else []), SAFE_PRIVATE]
        _mark(ds, codes, moved=identity.move_dates)
        ds.PatientID = ds.PatientName = identity.patient(patient)
        _renew_meta(ds)
    return ds


def is_document(ds: Dataset) -> bool:
    """Whether it is a report or an encapsulated file: the profile replaces all that there is in it."""
    return "ContentSequence" in ds or "EncapsulatedDocument" in ds


def _direct_identifiers(ds: Dataset) -> Iterator[str]:
    """Words that name the patient or the visit, wherever in the dataset they are declared as such."""
    for element in ds.iterall():
        if element.keyword in _DIRECT:
            values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
            for value in values:
                parts = re.split(r"[\^=\s,;]+", str(value or ""))
                yield from (part for part in parts if len(part) >= _SHORTEST_NAME)


@dataclass(frozen=True)
class _Work:
    identity: Identity
    patient: str
    direct: list[str]

    def walk(self, ds: Dataset) -> None:
        """Apply the actions to every attribute, sequences included."""
        ours = safe_elements(ds)
        for tag in list(ds.keys()):
            if not tag.is_private:
                self._act(ds, ds[tag])
            elif tag not in ours:
                del ds[tag]

    def _act(self, ds: Dataset, element: DataElement) -> None:
        action = action_for(element)
        movable = is_time(element) and action is not Action.KEEP and element.tag.group != _PATIENT
        if self.identity.move_dates and movable:
            element.value = self._moved(element)
        elif action is Action.REMOVE:
            del ds[element.tag]
        elif element.VR == "SQ":
            if action is Action.KEEP or (action is Action.DUMMY and element.value):
                for item in element.value:
                    self.walk(item)
            else:
                element.value = Sequence()
        elif action is Action.EMPTY:
            element.value = None
        elif action is Action.UID:
            element.value = _each(element.value, lambda value: self.identity.uid(str(value)) if value else value)
        elif action is Action.DUMMY:
            element.value = _DUMMIES.get(element.VR) if element.VR != "UI" else self.identity.uid(str(element.value))

    def _moved(self, element: DataElement) -> Any:
        """Dates earlier by the patient's own number of days, times as they are, zones and what is neither removed."""
        shift = datetime.timedelta(days=self.identity.days(self.patient))

        def move(value: Any) -> str:
            text = str(value or "")
            if element.VR == "TM":
                return text if re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", text) else ""
            found = re.fullmatch(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?", text)
            if found is None or (element.VR == "DA" and found[0] != found[1]):
                return ""
            try:
                day = datetime.datetime.strptime(found[1], "%Y%m%d") - shift
            except (ValueError, OverflowError):
                return ""
            return f"{day:%Y%m%d}" + (found[2] or "")

        return _each(element.value, move)

    def kept_text(self, ds: Dataset) -> Iterator[DataElement]:
        """Text that was kept and holds a word that names the patient."""
        words = [word.casefold() for word in self.direct]
        for element in ds.iterall():
            if element.VR in _TEXT_VRS and element.keyword != "SpecificCharacterSet" and not element.tag.is_private:
                text = str(element.value or "").casefold()
                if any(word in text for word in words):
                    yield element


def _each(value: Any, change: Any) -> Any:
    return [change(one) for one in value] if isinstance(value, MultiValue | list | tuple) else change(value)


def _mark(ds: Dataset, codes: list[str], *, moved: bool) -> None:
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"
    items = []
    for code in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", _MEANINGS[code]
        items.append(item)
    ds.DeidentificationMethodCodeSequence = Sequence(items)
    if "DeidentificationMethod" in ds:
        # What others did before, in their words; the codes say what was done now.
        del ds.DeidentificationMethod


def _renew_meta(ds: FileDataset) -> None:
    """A preamble of zeros, and of the old file meta nothing but the transfer syntax and the class."""
    meta = ds.file_meta
    for tag in list(meta.keys()):
        if meta[tag].keyword not in ("TransferSyntaxUID", "MediaStorageSOPClassUID"):
            del meta[tag]
    if "SOPClassUID" in ds:
        meta.MediaStorageSOPClassUID = ds.SOPClassUID
    if "SOPInstanceUID" in ds:
        meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.preamble = bytes(128)
