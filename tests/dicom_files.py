"""Small CT files for tests, valid to dciodvfy, to be spoiled one way at a time."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROWS, COLUMNS = 12, 16
UIDS = "1.2.826.0.1.3680043.8.498.5"
ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def stored(k: int = 0, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Unlike in every direction, so that nothing can be exchanged unnoticed."""
    r, c = np.mgrid[:rows, :columns]
    return (100 * k + 10 * r + c + 900).astype(np.int16)


def ct(k: int = 0, pixels: np.ndarray | None = None, **changes) -> FileDataset:
    """One CT slice, 2.5 mm above the one before it; ``changes`` are attributes, None deletes one."""
    pixels = stored(k) if pixels is None else pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{UIDS}.3.{k + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    values = {
        "SpecificCharacterSet": "ISO_IR 192", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": f"{UIDS}.3.{k + 1}", "StudyDate": "20240131",
        "ContentDate": "20240131", "StudyTime": "101112", "ContentTime": "101113", "AccessionNumber": "ACC4711",
        "Modality": "CT", "Manufacturer": "Maker", "ReferringPhysicianName": "Doe^Jane", "PatientName": "Muster^Erika",
        "PatientID": "PID-0815", "PatientBirthDate": "19640812", "PatientSex": "F", "BodyPartExamined": "CHEST",
        "SliceThickness": "2.5", "KVP": "120", "PatientPosition": "HFS", "StudyInstanceUID": f"{UIDS}.1",
        "SeriesInstanceUID": f"{UIDS}.2", "StudyID": "7", "SeriesNumber": "3", "AcquisitionNumber": "1",
        "InstanceNumber": str(k + 1), "ImagePositionPatient": [-10.0, -20.0, 30.0 + 2.5 * k],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "FrameOfReferenceUID": f"{UIDS}.4",
        "PositionReferenceIndicator": "", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[-2], "Columns": pixels.shape[-1], "PixelSpacing": [0.8, 0.8], "BitsAllocated": 16,
        "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleIntercept": "-1024", "RescaleSlope": "1",
        "BurnedInAnnotation": "NO",
    }  # fmt: skip
    for name, value in values.items():
        setattr(ds, name, value)
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    change(ds, **changes)
    return ds


def change(ds: Dataset, **changes) -> Dataset:
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        for name, value in changes.items():
            if value is None:
                ds.pop(name, None)
            else:
                setattr(ds, name, value)
    return ds


def to_bytes(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def save(path: Path, *datasets: Dataset) -> Path:
    """A folder of files, or one file where the path has a suffix."""
    if path.suffix:
        path.write_bytes(to_bytes(datasets[0]))
        return path
    path.mkdir(exist_ok=True)
    for k, ds in enumerate(datasets):
        (path / f"{k:03d}.dcm").write_bytes(to_bytes(ds))
    return path


def enhanced(frames: int = 3, order: tuple[int, ...] | None = None) -> FileDataset:
    """An Enhanced CT with its frames in the given order, spacing and orientation shared, position per frame."""
    order = order or tuple(range(frames))
    ds = ct(0, np.stack([stored(k) for k in order]), SOPClassUID=ENHANCED, NumberOfFrames=len(order))
    ds.file_meta.MediaStorageSOPClassUID = ENHANCED
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(ds, name)
    shared = Dataset()
    shared.PlaneOrientationSequence = [change(Dataset(), ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    shared.PixelMeasuresSequence = [change(Dataset(), PixelSpacing=[0.8, 0.8], SliceThickness="2.5")]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = [change(Dataset(), ImagePositionPatient=[-10.0, -20.0, 30.0 + 2.5 * k])]
        frame.PixelValueTransformationSequence = [
            change(Dataset(), RescaleSlope=str(k + 1), RescaleIntercept="-1024", RescaleType="HU")
        ]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    return ds


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An explicit little endian element, with any length written."""
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    head = struct.pack("<HH2s", group, number, vr)
    size = len(value) if length is None else length
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def raw_file(body: bytes, syntax: bytes = b"1.2.840.10008.1.2.1") -> bytes:
    syntax += b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + element(2, 0x10, b"UI", syntax) + body
