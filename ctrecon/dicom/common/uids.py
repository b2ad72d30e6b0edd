"""Unique identifiers that follow from the content: the same content has the same UID, on every machine.

``2.25.`` and the decimal value of a UUID (PS3.5 B.2), here a UUID of version 8 (RFC 9562) from a SHA-256.
"""

from __future__ import annotations

import hashlib
import uuid

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

OWN = ("SOPInstanceUID", "SeriesInstanceUID")


def uid_of(*parts: str) -> UID:
    """The UID of ``parts``. Each part counts by itself: ``("ab", "c")`` and ``("a", "bc")`` differ."""
    lengths_and_parts = b"".join(b"%d:%s" % (len(raw), raw) for raw in (part.encode() for part in parts))
    raw = bytearray(hashlib.sha256(b"ctrecon " + lengths_and_parts).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UID(f"2.25.{uuid.UUID(bytes=bytes(raw)).int}")


IMPLEMENTATION, IMPLEMENTATION_NAME = uid_of("implementation"), "CTRECON"


def digest(dataset: Dataset) -> str:
    """SHA-256 of all that a dataset says, its own instance and series UID left out."""
    bare = Dataset()
    for element in dataset:
        if element.keyword not in OWN:
            bare.add(element)
    stream = DicomBytesIO()
    # As little-endian explicit VR, whatever the file is written as.
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, bare)
    return hashlib.sha256(stream.getvalue()).hexdigest()


def identify(dataset: Dataset, series_uid: UID, instance_uid: UID) -> None:
    """Give a dataset its UIDs and the file header that goes with them."""
    dataset.SeriesInstanceUID = series_uid
    dataset.SOPInstanceUID = instance_uid
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    dataset.file_meta = meta
