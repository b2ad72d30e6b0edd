"""The DICOM files to check: those of a folder, or of a study as ``ctrecon dicom get`` lays it into folders."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ctrecon.certificates.verify import require
from ctrecon.dicom.series.series import MOST_SLICES

MOST_BYTES = 1 << 30
Datasets = list[tuple[Path, Dataset]]
Unread = list[tuple[Path, Exception]]


def read_series(folder: Path) -> tuple[Datasets, Unread, int]:
    """All DICOM files of ``folder`` with what they hold, pixels deferred; those that cannot be read, and why.

    Where it has none, those of its folders to any depth, without the folders of which no file says that ctrecon made
    it; the last is how many files those hold. Links are not followed. Expects pydicom's warnings to be off.
    """
    datasets, unread = _read(folder)
    if datasets or unread:
        return datasets, unread, 0
    others = 0
    for below in sorted(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()):
        found, not_read = _read(below)
        unread += not_read
        if any(_is_ours(dataset) for _, dataset in found):
            datasets += found
        else:
            others += len(found)
    return datasets, unread, others


def _read(folder: Path) -> tuple[Datasets, Unread]:
    datasets: Datasets = []
    unread: Unread = []
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            with path.open("rb") as stream:
                start = stream.read(132)
            if start[128:] != b"DICM":
                require(path.suffix.lower() != ".dcm", "it is not a DICOM file")
                continue
            require(path.stat().st_size <= MOST_BYTES, f"it has more than {MOST_BYTES} bytes")
            syntax = read_file_meta_info(path).get("TransferSyntaxUID")
            require(syntax != DeflatedExplicitVRLittleEndian, "it is deflated, which is not unpacked here")
            datasets.append((path, dcmread(path, defer_size=1 << 16)))
            require(len(datasets) <= MOST_SLICES + 100, f"the folder holds more than {MOST_SLICES} files")
        except Exception as why:  # a damaged file trips the reader over in many ways
            unread.append((path, why))
    return datasets, unread


def _is_ours(dataset: Dataset) -> bool:
    """Whether ctrecon says that it made the object. A file robbed of this is missed by its series."""
    try:
        return any(str(item.get("Manufacturer", "")) == "ctrecon" for item in dataset.ContributingEquipmentSequence)
    except (AttributeError, TypeError, ValueError):
        return False
