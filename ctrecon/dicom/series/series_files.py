"""The DICOM files to check: those of a folder, or of a study as ``ctrecon dicom get`` lays it into folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from ctrecon.certificates.verify import FILES, require
from ctrecon.dicom.series.series import CERTIFICATES, MOST_SLICES, certificate_name
from ctrecon.support.beside import HISTORY

MOST_BYTES = 1 << 30
_MOST_NAMED = 4
_NAMES = ("SOPInstanceUID", "SeriesInstanceUID")
Datasets = list[tuple[Path, Dataset]]
Unread = list[tuple[Path, Exception]]


@dataclass(frozen=True)
class Read:
    """What was found. ``others``: files of series that ctrecon had no part in; ``about`` those among them that refer to
    its images, and ``strays`` what is no DICOM file, and what lies in folders beside: none of it was looked at.
    """

    datasets: Datasets
    unread: Unread
    others: int = 0
    about: tuple[Path, ...] = ()
    strays: tuple[Path, ...] = ()

    def beside(self) -> str:
        """The end of the last line: what was not looked at, and may show these images otherwise."""
        said = f"; {self.others} files of other series were not looked at" if self.others else ""
        if self.about:
            said += f"; of these, {_listed(self.about)} refer to the images and may show or describe them otherwise"
        return said + (f"; not looked at, as no part of the series: {_listed(self.strays)}" if self.strays else "")


def read_series(folder: Path) -> Read:
    """All DICOM files of ``folder`` with what they hold, pixels deferred; those that cannot be read, and why.

    What lies in its folders and says that it is of the same series, or an object of it, belongs to them.
    Where it has none, those of its folders to any depth, without the folders of which no file says that ctrecon made
    it. Links are not followed. Expects pydicom's warnings to be off.
    """
    datasets, unread, strays = _read(folder)
    below = sorted(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())
    strangers: Datasets = []
    if datasets or unread:
        evidence = _evidence(datasets)
        for other in below:
            if other == folder / CERTIFICATES:
                strays += [path for path in sorted(other.iterdir()) if path.is_file() and path.name not in evidence]
                continue
            found, not_read, no_dicom = _read(other)
            strangers += found
            strays += [*no_dicom, *(path for path, _ in not_read)]
        same = _of_one(datasets, strangers)
        among = {path for path, _ in same}
        strays += [path for path, _ in strangers if path not in among]
        return Read(datasets + same, unread, strays=tuple(sorted(strays)))
    for other in below:
        found, not_read, no_dicom = _read(other)
        unread += not_read
        strays += no_dicom
        if any(_is_ours(dataset) for _, dataset in found):
            datasets += found
        else:
            strangers += found
    same = _of_one(datasets, strangers)
    about = tuple(path for path, ds in strangers if _refers(ds, _uids(datasets)))
    return Read(datasets + same, unread, len(strangers) - len(same), about, tuple(strays))


def _uids(datasets: Datasets) -> set[str]:
    return {str(dataset.get(name)) for _, dataset in datasets for name in _NAMES}


def _of_one(datasets: Datasets, strangers: Datasets) -> Datasets:
    """Those of the strangers that say they are of the same series, or one of its objects."""
    ours = _uids(datasets)
    return [(path, ds) for path, ds in strangers if not ours.isdisjoint(str(ds.get(name)) for name in _NAMES)]


def _evidence(datasets: Datasets) -> set[str]:
    """The names of what belongs to the images beside them."""
    numbers = [str(ds.get("InstanceNumber")) for _, ds in datasets if ds.get("SOPClassUID") == CTImageStorage]
    stems = [certificate_name(int(k)).removesuffix(FILES["image"]) for k in numbers if k.isdecimal() and len(k) <= 4]
    return {stem + suffix for stem in stems for suffix in (*FILES.values(), HISTORY)}


def _refers(ds: Dataset, ours: set[str]) -> bool:
    """Whether a data set names an object or series of ``ours`` anywhere; one that cannot be read through may."""
    try:
        return any(element.VR == "UI" and str(element.value) in ours for element in ds.iterall())
    except Exception:  # a damaged file trips the reader over in many ways
        return True


def _listed(paths: Sequence[Path]) -> str:
    said = ", ".join(path.name for path in paths[:_MOST_NAMED])
    return said if len(paths) <= _MOST_NAMED else f"{said} and {len(paths) - _MOST_NAMED} more"


def _read(folder: Path) -> tuple[Datasets, Unread, list[Path]]:
    """The DICOM files, those that cannot be read, and what is none."""
    datasets: Datasets = []
    unread: Unread = []
    strays: list[Path] = []
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            followed = path.is_dir() and (not path.is_symlink() or path.name == CERTIFICATES)
            strays += [] if followed else [path]  # a pipe, a device, a link to nothing or to another folder
            continue
        try:
            with path.open("rb") as stream:
                start = stream.read(132)
            if start[128:] != b"DICM":
                require(path.suffix.lower() != ".dcm", "it is not a DICOM file")
                strays.append(path)
                continue
            require(path.stat().st_size <= MOST_BYTES, f"it has more than {MOST_BYTES} bytes")
            meta = read_file_meta_info(path)
            if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
                strays.append(path)  # the directory of a medium: names of files
                continue
            syntax = meta.get("TransferSyntaxUID")
            require(syntax != DeflatedExplicitVRLittleEndian, "it is deflated, which is not unpacked here")
            datasets.append((path, dcmread(path, defer_size=1 << 16)))
            require(len(datasets) <= MOST_SLICES + 100, f"the folder holds more than {MOST_SLICES} files")
        except Exception as why:  # a damaged file trips the reader over in many ways
            unread.append((path, why))
    return datasets, unread, strays


def _is_ours(dataset: Dataset) -> bool:
    """Whether ctrecon says that it made the object. A file robbed of this is missed by its series."""
    try:
        return any(str(item.get("Manufacturer", "")) == "ctrecon" for item in dataset.ContributingEquipmentSequence)
    except (AttributeError, TypeError, ValueError):
        return False
