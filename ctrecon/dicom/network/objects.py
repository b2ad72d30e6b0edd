"""Objects in files: whose they are, what they are called on disk, and how one that arrives is kept."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ctrecon.errors import InputError

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_TAGS: tuple[Any, ...] = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the network needs to know of an object; ``study`` and ``series`` are empty where they were not read."""

    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    study: str = ""
    series: str = ""


def name_for(uid: str) -> str:
    """The name on disk of whatever ``uid`` identifies: 32 hexadecimal digits, whatever the text is.

    No path is ever built from a UID: it is text from outside, and ``../..`` is text.
    """
    return hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_header(path: Path) -> Header:
    """Of a DICOM file, without its pixels and in bounded memory. Raises InputError.

    Of a deflated data set only the file's own header is read: its size unpacked is not known before.
    """
    try:
        with path.open("rb") as stream:
            return header_in(stream, path)
    except OSError as why:
        raise InputError(f"{path}: cannot be read: {why.strerror}") from None


def header_in(stream: BinaryIO, path: Path) -> Header:
    """The same of the beginning of a file; ``path`` is what it is called. Raises InputError."""
    from pydicom.filereader import read_dataset, read_partial

    def past_meta(tag: Any, vr: str | None, length: int) -> bool:
        return int(tag) >> 16 != 2 or length > 1 << 16

    def far_enough(tag: Any, vr: str | None, length: int) -> bool:
        # A UID has 64 characters; what announces more is not read, whatever the rest of the file is.
        return int(tag) > _SERIES or (int(tag) in _TAGS and length > 1024)

    try:
        with warnings.catch_warnings():
            # A warning may quote the value that it complains about.
            warnings.simplefilter("ignore")
            if stream.read(132)[128:] != b"DICM":
                raise InputError(f"{path}: not a DICOM file: no DICM after 128 bytes")
            meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=past_meta)
            values = [str(meta.get(k, "")) for k in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")]
            syntax = str(meta.get("TransferSyntaxUID", ""))
            if not (all(values) and syntax):
                raise InputError(f"{path}: its file header lacks SOP class, SOP instance or transfer syntax")
            header = Header(path=path, sop_class=values[0], sop_instance=values[1], transfer_syntax=syntax)
            if syntax == DEFLATED:
                return header
            stream.seek(0)
            data = read_partial(stream, stop_when=far_enough, specific_tags=list(_TAGS))
    except InputError:
        raise
    except Exception as why:  # pydicom raises what it meets: EOFError, struct.error, RecursionError, KeyError, ...
        raise InputError(f"{path}: not a DICOM file that can be read: {type(why).__name__}") from None
    inside = (str(data.get(_SOP_CLASS, _Absent).value), str(data.get(_SOP_INSTANCE, _Absent).value))
    if inside != (header.sop_class, header.sop_instance):
        raise InputError(f"{path}: the file header and the data set name different objects; the file was tampered with")
    return Header(
        path=path, sop_class=inside[0], sop_instance=inside[1], transfer_syntax=syntax,
        study=str(data.get(_STUDY, _Absent).value or ""), series=str(data.get(_SERIES, _Absent).value or ""),
    )


class _Absent:
    """Stands in for an element that a file does not have."""

    value = ""


def headers_of(paths: Iterable[Path]) -> list[Header]:
    """Of every file given and of every file in the folders given, in the order of their names, each object once.

    In folders what is no DICOM file is passed over; given by name it is an error. Raises InputError.
    """
    found: dict[str, Header] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink() and is_dicom(p))
            if not inside:
                raise InputError(f"{path}: there is no DICOM file in this folder")
            files = inside
        elif path.is_file():
            files = [path]
        else:
            raise InputError(f"{path}: no such file or folder")
        for file in files:
            header = read_header(file)
            first = found.setdefault(header.sop_instance, header)
            if first is not header and content_digest(first.path) != content_digest(file):
                raise InputError(f"{first.path} and {file} hold different versions of one object; give one of them")
    return list(found.values())


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def sync_file(path: Path) -> None:
    """Bring a file's content to the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk itself, where a folder can be opened (not on Windows)."""
    if os.name != "nt":
        sync_file(path)


def content_digest(path: Path) -> str:
    """32 hexadecimal digits of the SHA-256 of the data set, without the file header, which each node writes anew."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(data_offset(path))
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


def data_offset(path: Path) -> int:
    """Where the data set begins: behind preamble, mark and the group 0002 that gives its own length first."""
    with path.open("rb") as stream:
        head = stream.read(144)
        if head[132:140] == b"\x02\x00\x00\x00UL\x04\x00":
            return 144 + int.from_bytes(head[140:144], "little")
    from pynetdicom.dsutils import split_dataset

    return int(split_dataset(path)[1])


def data_set_bytes(path: Path) -> bytes:
    """The encoded data set of a file, as it is."""
    with path.open("rb") as stream:
        stream.seek(data_offset(path))
        return stream.read()
