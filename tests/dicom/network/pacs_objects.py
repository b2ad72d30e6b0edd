"""Small studies for the tests, and a processing that needs no reconstruction."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless

NAME, PATIENT = "Quantenschaum^Aurelia", "PAT-4711-SECRET"


def uid(*parts: object) -> str:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def ct(
    path: Path, study: object = 1, series: object = 1, number: int = 1, *, size: int = 16,
    sop_class: str = CTImageStorage, syntax: str = ExplicitVRLittleEndian, seed: int = 0,
) -> Path:
    """A small CT image of a study, series and number that tests name as they like."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = uid("instance", study, series, number)
    data.StudyDate, data.StudyTime, data.Modality = "20240131", "120000", "CT"
    data.AccessionNumber, data.ReferringPhysicianName = "", ""
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = NAME, PATIENT, "", ""
    data.StudyDescription = "test"
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study", study), uid("series", study, series)
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", "1", str(number)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = size
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleIntercept, data.RescaleSlope = "-1024", "1"
    rng = np.random.default_rng([seed, number])
    data.PixelData = rng.integers(0, 2000, (size, size), dtype="<u2").tobytes()
    if syntax in (JPEG2000, JPEG2000Lossless):
        data.PixelData = encapsulate([b"\xff\x4f not really"])
        data["PixelData"].VR = "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def study(folder: Path, number: object = 1, count: int = 3, **changes: object) -> Path:
    for k in range(1, count + 1):
        ct(folder / f"{k}.dcm", number, number=k, **changes)  # type: ignore[arg-type]
    return folder


# A result with UIDs that are random each time: were it made or sent twice, there would be two.
PROCESSING = f"""
import pathlib, secrets, sys, time
import pydicom
source, target, pause, marks = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
(pathlib.Path(marks) / ("began" + secrets.token_hex(8))).touch()
files = sorted(source.iterdir())
first = pydicom.dcmread(files[0])
print("working on", first.PatientName, file=sys.stderr)
if first.StudyInstanceUID == {uid("study", "bad")!r}:
    sys.exit("no projections of " + str(first.PatientName))
for k in range(3):
    time.sleep(pause)
    first.SeriesInstanceUID = "2.25.77"
    first.SOPInstanceUID = first.file_meta.MediaStorageSOPInstanceUID = f"2.25.{{secrets.randbits(100)}}"
    first.ImageComments = f"from {{len(files)}} objects"
    first.save_as(target / f"{{k}}.dcm")
(pathlib.Path(marks) / ("ended" + secrets.token_hex(8))).touch()
"""


def processing(folder: Path, pause: float = 0.0) -> str:
    """A ``--command`` that turns a series into three objects and leaves a mark in ``folder`` for each start and end."""
    script = folder / "process.py"
    script.write_text(PROCESSING)
    return f"{sys.executable} {script} {{input}} {{output}} {pause} {folder}"
