"""DICOM files and folders of them, read so that a damaged or hostile one costs one line and no memory."""

from __future__ import annotations

import logging
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.config import IGNORE
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from ctrecon.dicom.common.structure import Encoding, check_structure, read_header
from ctrecon.errors import InputError
from ctrecon.support.limits import MAX_BYTES, check_claim

# pydicom's warnings quote values, names of patients among them: none of that may reach a log.
logging.getLogger("pydicom").propagate = False

MAX_FILES = 50_000
_META_AT = 132
_TRANSFER_SYNTAX = 0x00020010

DAMAGE = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError, MemoryError,
    NotImplementedError, RecursionError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)
"""What pydicom and the decoders raise for damaged files: they document no common class."""


@dataclass(frozen=True)
class Source:
    """A file, on disk or in an archive: a name for messages, and its bytes when asked for."""

    name: str
    read: Callable[[], bytes]


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever damaged bytes raise within pydicom and the decoders into one line that begins with ``what``.

    The library's own text is left out: it may quote the file, and a name in it must not reach a log.
    """
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except DAMAGE as error:
        raise InputError(f"{what}; the file is damaged ({type(error).__name__})") from None


def sources(path: Path) -> list[Source]:
    """The files of a folder (and the folders in it) or of a ``.zip``, in the order of their names, or the one file.

    Raises InputError where there is none, or too many.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        found = [Source(str(p), lambda p=p: _read_file(p)) for p in files]  # type: ignore[misc]
    elif not path.is_file():
        raise InputError(f"there is no file or folder {path}")
    elif path.suffix.lower() == ".zip":
        found = _archived(path)
    else:
        found = [Source(str(path), lambda: _read_file(path))]
    if not found:
        raise InputError(f"{path}: holds no files (links to folders are not followed); give a folder, a .zip or a file")
    if len(found) > MAX_FILES:
        raise InputError(f"{path}: holds {len(found)} files, more than {MAX_FILES}; give the folder of one series")
    return found


def _read_file(path: Path) -> bytes:
    check_claim(path, "the file", path.stat().st_size, path.stat().st_size)
    return path.read_bytes()


def _archived(path: Path) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    except (zipfile.BadZipFile, *DAMAGE) as error:
        raise InputError(f"{path}: is no zip archive that can be read ({type(error).__name__})") from None

    def read(member: zipfile.ZipInfo) -> bytes:
        check_claim(path, "a file in it", member.file_size, member.compress_size)
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                # Never more than was claimed, and checked, whatever the compressed data would give.
                return stream.read(member.file_size)
        except (zipfile.BadZipFile, OSError, *DAMAGE) as error:
            raise InputError(f"{path}: a file in it cannot be read ({type(error).__name__})") from None

    return [Source(f"{path}:{m.filename}", lambda m=m: read(m)) for m in members]  # type: ignore[misc]


def is_dicom(data: bytes) -> bool:
    return data[128:_META_AT] == b"DICM"


def read_dataset(name: str, data: bytes) -> FileDataset:
    """The dataset of a file's bytes, checked to its last byte, its values not yet looked at.

    Raises InputError for anything that is not a whole DICOM file of a known transfer syntax.
    """
    if not is_dicom(data):
        raise InputError(f"{name}: {_what_it_is(data)}; a DICOM file has DICM at byte 128")
    at, syntax = _META_AT, ""
    meta = Encoding(explicit=True, little=True)
    while data[at : at + 2] == b"\x02\x00":
        header = read_header(name, data, at, meta)
        at = header.value_at + header.length
        if at > len(data):
            raise InputError(f"{name}: ends inside its file meta information; the file is cut off, copy it again")
        if header.tag == _TRANSFER_SYNTAX:
            syntax = data[header.value_at : at].decode("ascii", "replace").strip("\0 ")
    if not syntax:
        raise InputError(f"{name}: says no transfer syntax, so its values cannot be told; convert it with dcmconv")
    if UID(syntax, validation_mode=IGNORE).type != "Transfer Syntax":
        raise InputError(f"{name}: transfer syntax {short(syntax)} is not known; convert it with dcmconv")
    head = data[:at]
    if syntax == DeflatedExplicitVRLittleEndian:
        body = _inflate(name, data[at:])
        # As if it had been stored plainly: pydicom would inflate without a limit.
        head = _plain_meta()
        data, at = head + body, len(head)
    encoding = Encoding(explicit=syntax != ImplicitVRLittleEndian, little=syntax != ExplicitVRBigEndian)
    if encoding.explicit and not _looks_explicit(data, at):
        encoding = Encoding(explicit=False, little=encoding.little)
    check_structure(name, data, at, encoding)
    with refusing(f"{name}: cannot be read"):
        return pydicom.dcmread(BytesIO(data))


def check_not_deflated(path: Path) -> None:
    """Before a file is handed to pydicom, which would inflate it without a limit.

    Args:
        path: A file.

    Raises:
        InputError: It is deflated, or its file meta information is damaged.
    """
    with path.open("rb") as stream:
        if not is_dicom(stream.read(_META_AT)):
            return  # pydicom refuses it, which here is nowhere asked to read by force
    if _meta_of(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise InputError(
            f"{path}: is deflated, and nothing says how large it would become; store it uncompressed (dcmconv +te)"
        )


def class_named(path: Path) -> str:
    """What a file says it holds, in the standard's words: nothing of its own text.

    Args:
        path: Any file.

    Returns:
        ``Secondary Capture Image Storage`` and the like; ``another object`` for classes that the standard does not
        know; empty where it is no DICOM file.
    """
    try:
        with path.open("rb") as stream:
            if not is_dicom(stream.read(_META_AT)):
                return ""
        uid = UID(str(_meta_of(path).get("MediaStorageSOPClassUID", "")), validation_mode=IGNORE)
    except (OSError, InputError):
        return ""
    return uid.name if uid.type == "SOP Class" else "another object"


def _meta_of(path: Path) -> Dataset:
    with refusing(f"{path}: its file meta information cannot be read"):
        return pydicom.filereader.read_file_meta_info(path)


def _looks_explicit(data: bytes, at: int) -> bool:
    """Whether the first element names its value representation; pydicom decides by the same."""
    vr = data[at + 4 : at + 6]
    return len(vr) < 2 or (vr.isalpha() and vr.isupper())


def _plain_meta() -> bytes:
    syntax = b"1.2.840.10008.1.2.1\0"
    return bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax


def _inflate(name: str, packed: bytes) -> bytes:
    limit = min(MAX_BYTES, max(64 * 2**20, 100 * len(packed)), 256 * 2**20)
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        body = inflater.decompress(packed, limit)
    except zlib.error as error:
        raise InputError(f"{name}: its deflated data are damaged ({type(error).__name__}); copy it again") from None
    if inflater.unconsumed_tail:
        raise InputError(
            f"{name}: would grow from {len(packed)} to more than {limit} bytes, which looks like a decompression bomb; "
            "store it uncompressed if it is real"
        )
    if not inflater.eof:
        raise InputError(f"{name}: its deflated data end early; the file is cut off, copy it again")
    return body


def _what_it_is(data: bytes) -> str:
    if not data:
        return "is empty"
    if data[:4] == b"PK\x03\x04":
        return "is a zip archive that is not named .zip"
    if data[:1024].isascii() and b"\0" not in data[:1024]:
        return "is a text file"
    if len(data) < _META_AT:
        return f"has only {len(data)} bytes"
    return "is no DICOM file, or one without its preamble"


def short(text: str, most: int = 64) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def value_of(ds: Dataset, keyword: str, name: str, default: Any = None) -> Any:
    """An attribute's value, ``default`` where it is missing or empty. Raises InputError where it cannot be read."""
    with refusing(f"{name}: its {keyword} cannot be read"):
        value = ds.get(keyword)
    return default if value is None or value == "" else value


def text_of(ds: Dataset, keyword: str, name: str) -> str:
    """An attribute's text, several values joined by backslashes; empty if it is missing.

    At most 1,024 characters, and ``?`` in the place of those that are not printable: it may end in a message.
    """
    value = value_of(ds, keyword, name, "")
    with refusing(f"{name}: its {keyword} is no text"):
        values = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
        text = "\\".join(str(v) for v in values)[:1024]
    return "".join(c if c.isprintable() else "?" for c in text)


def numbers_of(ds: Dataset, keyword: str, name: str, count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers, or None where the attribute is missing. Raises InputError for anything else."""
    value = value_of(ds, keyword, name)
    if value is None:
        return None
    with refusing(f"{name}: its {keyword} is not made of numbers"):
        values = tuple(float(v) for v in ([value] if isinstance(value, int | float | str) else value))
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise InputError(f"{name}: {keyword} must be {count} finite numbers, got {short(repr(list(values)))}")
    return values


def number_of(ds: Dataset, keyword: str, name: str) -> float | None:
    found = numbers_of(ds, keyword, name, 1)
    return None if found is None else found[0]


def count_of(ds: Dataset, keyword: str, name: str, default: int | None = None) -> int:
    """A whole number >= 0. Raises InputError where it is missing without a default, or no such number."""
    number = number_of(ds, keyword, name)
    if number is None:
        if default is None:
            raise InputError(f"{name}: has no {keyword}, so its pixels cannot be read")
        return default
    if number != int(number) or number < 0:
        raise InputError(f"{name}: {keyword} must be a whole number >= 0, got {number:g}")
    return int(number)
