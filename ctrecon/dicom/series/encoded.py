"""What is no change of a series and yet is to be known: files that another program has written anew, or compressed."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ctrecon.dicom.common.pixels import NATIVE
from ctrecon.dicom.common.uids import IMPLEMENTATION, IMPLEMENTATION_NAME
from ctrecon.support.text import printable

_MOST_NAMED = 3


def written_anew(datasets: Sequence[Dataset]) -> str:
    """The end of the last line: how many files are encoded otherwise than ctrecon does, or by whom; or nothing.

    Args:
        datasets: Of the series, with the headers of their files.
    """
    count, compressed = 0, False
    how: set[str] = set()
    for ds in datasets:
        meta = getattr(ds, "file_meta", Dataset())
        syntax = UID(str(meta.get("TransferSyntaxUID", "")))
        others = {f"as {printable(syntax.name)}"} if syntax != ExplicitVRLittleEndian else set()
        others |= _by(meta)
        count, how = count + bool(others), how | others
        compressed |= syntax not in NATIVE
    if not count:
        return ""
    named = ", ".join(sorted(how)[:_MOST_NAMED]) + (f" and {len(how) - _MOST_NAMED} more" * (len(how) > _MOST_NAMED))
    beside = ": what stands beside the pixels in compressed data was not looked at" if compressed else ""
    return f"; {count} file{'s were' if count > 1 else ' was'} written anew, {named}{beside}"


def _by(meta: Dataset) -> set[str]:
    """Who wrote a file, where that was not ctrecon: its class, its name and the version of its header (PS3.10, 7.1)."""
    name, uid = str(meta.get("ImplementationVersionName", "")), str(meta.get("ImplementationClassUID", ""))
    found = {f"by {printable(name)!r}"} if name != IMPLEMENTATION_NAME else set()
    if not found and uid != IMPLEMENTATION:
        found = {f"by the implementation {printable(uid) or 'of no UID'}"}
    if meta.get("FileMetaInformationVersion") != b"\0\1":
        found |= {"with another version of the file's header"}
    return found
