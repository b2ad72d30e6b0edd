"""De-identification of a DICOM dataset by the basic profile of PS3.15, alike for all files of one run.

Nothing is taken out of a dataset: a new one is built, and what comes into it is named by a list. An attribute of Table
E.1-1 is treated as the table says (``profile.py``), another stays if it is known to be harmless and so is its value
(``harmless.py``), of coded items the code with the dictionary's meaning (``codes.py``), of pixel data the pixels
(``rewritten.py``), of private data what can be nothing but known numbers (``safe_private.py``). The rest is gone,
whatever it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from ctrecon.dicom.common.files import DAMAGE, refusing, text_of
from ctrecon.dicom.deidentify.burned import check_no_text
from ctrecon.dicom.deidentify.changes import EMPTIED, MOVED, NEW_UID, REMOVED, REPLACED, Changes
from ctrecon.dicom.deidentify.codes import is_code, known_code
from ctrecon.dicom.deidentify.descriptors import KEYWORDS, clean
from ctrecon.dicom.deidentify.faces import check_no_face, may_show_a_face
from ctrecon.dicom.deidentify.harmless import PLACING, action_for, harmless_value, registered
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.known import Known, known_of, values_of
from ctrecon.dicom.deidentify.options import MEANINGS, Options
from ctrecon.dicom.deidentify.profile import Action, table
from ctrecon.dicom.deidentify.rewritten import rewritten
from ctrecon.dicom.deidentify.safe_private import no_certificates, safe_elements
from ctrecon.errors import InputError

_PATIENT = 0x0010
_TIMES = frozenset(("DA", "DT", "TM"))
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_DUMMIES: dict[str, Any] = {
    "AE": "REMOVED", "AS": "000Y", "CS": "REMOVED", "DA": "19000101", "DS": "0", "DT": "19000101000000", "FD": 0.0,
    "FL": 0.0, "IS": "0", "LO": "REMOVED", "LT": "REMOVED", "PN": "REMOVED", "SH": "REMOVED", "SL": 0, "SS": 0,
    "ST": "REMOVED", "SV": 0, "TM": "000000", "UC": "REMOVED", "UL": 0, "UR": "urn:removed", "US": 0, "UT": "REMOVED",
    "UV": 0, "OB": b"\0\0", "OW": b"\0\0", "OF": bytes(4), "OD": bytes(8), "OL": bytes(4), "OV": bytes(8),
    "UN": b"\0\0",
}  # fmt: skip


def deidentify(
    ds: FileDataset, identity: Identity, name: str, options: Options | None = None, changes: Changes | None = None,
    certificates: Callable[[], Collection[str]] = no_certificates,
) -> FileDataset:
    """The dataset without what identifies, uncompressed.

    Args:
        ds: An image, or raw data of ours; it is not changed.
        identity: What makes the new names.
        name: The file's name, for messages.
        options: Those of PS3.15, E.3; by default harmless private numbers stay.
        changes: Where what is done is counted.
        certificates: Asked for the hashes of those that stay beside it, to one of which an image of ours may be tied.

    Returns:
        A new dataset in explicit little endian, with file meta, to be written.

    Raises:
        InputError: For damaged files, for documents (reports, PDF), of which the profile would leave nothing, and with
            ``clean_pixels`` for images into which text may be drawn (TextFoundError), with ``clean_faces`` for those
            that may show a face (FaceError).
    """
    options = options or Options()
    with refusing(f"{name}: cannot be de-identified"):
        if is_document(ds):
            raise InputError(f"{name}: is a document, all of which may identify; only images are de-identified")
        if options.clean_faces and "PixelData" in ds:
            check_no_face(ds, name)
        patient = text_of(ds, "PatientID", name)
        known = known_of(ds, words=options.clean_descriptors)
        work = _Work(identity, options, changes or Changes(), patient, known)
        clean_ds = FileDataset("", {}, file_meta=_new_meta(), preamble=bytes(128))
        work.fill(clean_ds, ds, safe_elements(ds, certificates) if options.safe_private else _NO_TAGS)
        _add_pixels(clean_ds, ds, name, check=options.clean_pixels)
        _mark(clean_ds, options.codes(move_dates=identity.move_dates), moved=identity.move_dates)
        if may_show_a_face(ds, name):
            clean_ds.RecognizableVisualFeatures = "YES"
        clean_ds.PatientID = clean_ds.PatientName = identity.patient(patient)
        clean_ds.file_meta.MediaStorageSOPClassUID = clean_ds.get("SOPClassUID") or UID("")
        clean_ds.file_meta.MediaStorageSOPInstanceUID = clean_ds.get("SOPInstanceUID") or UID("")
    return clean_ds


_NO_TAGS: frozenset[int] = frozenset()


def is_document(ds: Dataset) -> bool:
    """Whether it is a report or an encapsulated file: the profile replaces all that there is in it."""
    return "ContentSequence" in ds or "EncapsulatedDocument" in ds


def has_pixels(ds: Dataset) -> bool:
    """Whether it is an image, or a map: anything else that is no document has little left once it is de-identified."""
    return any(keyword in ds for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


@dataclass(frozen=True)
class _Work:
    identity: Identity
    options: Options
    changes: Changes
    patient: str
    known: Known

    def fill(self, clean_ds: Dataset, ds: Dataset, private: frozenset[int] = _NO_TAGS) -> None:
        """Put into ``clean_ds`` what of ``ds`` may stay; of private attributes, ``private``."""
        for tag in sorted(ds.keys()):
            if tag.is_private:
                if tag in private:
                    clean_ds.add(ds[tag])
                else:
                    self.changes.note(tag, REMOVED)
            elif tag not in _PIXELS:
                try:
                    element = ds[tag]
                except DAMAGE:  # text where a number belongs, and the like
                    self.changes.note(tag, REMOVED)
                else:
                    self._one(clean_ds, element)

    def _one(self, clean_ds: Dataset, element: DataElement) -> None:
        tag, action, vr = int(element.tag), action_for(int(element.tag)), _vr_of(element)
        if vr in _TIMES and self.identity.move_dates and element.tag.group != _PATIENT and tag in table():
            moved = _each(element.value, lambda value: self.identity.moved(vr, str(value or ""), self.patient))
            self._put(clean_ds, tag, vr, moved, MOVED)
        elif self.options.clean_descriptors and element.keyword in KEYWORDS:
            text = clean(str(element.value or ""), self.known)
            if text or action is not Action.REMOVE:
                self._put(clean_ds, tag, vr, text or (_DUMMIES[vr] if action is Action.DUMMY else None), REPLACED)
            else:
                self.changes.note(tag, REMOVED)
        elif action is Action.REMOVE:
            self.changes.note(tag, REMOVED)
        elif vr == "SQ":
            self._sequence(clean_ds, element, action)
        elif action is Action.EMPTY:
            self._put(clean_ds, tag, vr, None, EMPTIED)
        elif action is Action.DUMMY:
            value = self.identity.uid(str(element.value)) if vr == "UI" else _DUMMIES.get(vr)
            self._put(clean_ds, tag, vr, value, REPLACED)
        elif vr == "UI":
            new = _each(element.value, self._uid)
            self._put(clean_ds, tag, vr, new, "" if new == element.value else NEW_UID)
        elif action is Action.UID or (kept := harmless_value(tag, element.value)) is None:
            self.changes.note(tag, REMOVED)
        elif element.keyword not in PLACING and any(map(self.known.is_number, values_of(element.value))):
            self._put(clean_ds, tag, kept[0], None, EMPTIED)
        else:
            self._put(clean_ds, tag, *kept, "" if _same(element.value, kept[1]) else REPLACED)

    def _sequence(self, clean_ds: Dataset, element: DataElement, action: Action) -> None:
        if action is Action.EMPTY:
            self._put(clean_ds, element.tag, "SQ", Sequence(), EMPTIED)
            return
        kept = []
        for item in element.value if element.VR == "SQ" and element.value else []:
            inner, known = known_code(item) if is_code(item) else (Dataset(), True)
            if not known:
                self.changes.note(element.tag, REPLACED)
            if not is_code(item):
                self.fill(inner, item)
            kept.append(inner)
        clean_ds.add_new(element.tag, "SQ", Sequence(kept))

    def _uid(self, value: Any) -> Any:
        text = str(value or "").strip("\0 ")
        well_formed = re.fullmatch(r"[0-9]+(\.[0-9]+)*", text) is not None and len(text) <= 64
        if not text or registered(text) or (self.options.retain_uids and well_formed):
            return UID(text)
        return self.identity.uid(text)

    def _put(self, clean_ds: Dataset, tag: int, vr: str, value: Any, action: str) -> None:
        clean_ds.add_new(tag, vr, value)
        if action:
            self.changes.note(tag, action)


def _vr_of(element: DataElement) -> str:
    """As the dictionary says, never the file; the first of several."""
    try:
        return dictionary_VR(element.tag).split(" ")[0]
    except KeyError:
        return "UN"


def _same(before: Any, after: Any) -> bool:
    many = isinstance(before, MultiValue | list)
    return (list(before) == after) if many else (before == after or (before in (None, "") and after is None))


def _each(value: Any, change: Any) -> Any:
    return [change(one) for one in value] if isinstance(value, MultiValue | list | tuple) else change(value)


def _add_pixels(clean_ds: FileDataset, ds: FileDataset, name: str, *, check: bool) -> None:
    found = rewritten(ds, name)
    if found is None:
        return
    if check:
        check_no_text(ds, found.frames, name)
    for keyword, value in found.attributes.items():
        setattr(clean_ds, keyword, value)
    setattr(clean_ds, found.keyword, found.data)
    if found.keyword == "PixelData":
        clean_ds["PixelData"].VR = "OB" if found.attributes["BitsAllocated"] <= 8 else "OW"


def _mark(ds: Dataset, codes: list[str], *, moved: bool) -> None:
    ds.PatientIdentityRemoved = "YES"
    ds.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"
    items = []
    for code in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", MEANINGS[code]
        items.append(item)
    ds.DeidentificationMethodCodeSequence = Sequence(items)


def _new_meta() -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
