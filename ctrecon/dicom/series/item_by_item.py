"""An object that says something of every slice, written item by item: its long sequences wait in files.

So a series of a thousand slices takes no more memory than one of ten. What comes out is, byte for byte, what pydicom
writes of the same dataset in memory (explicit VR, little-endian, sequences and items with their lengths; PS3.5, 7.5),
and the manifest's JSON of it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import ItemTag, Tag

from ctrecon.dicom.common.private import read_tie
from ctrecon.dicom.common.uids import OWN
from ctrecon.dicom.series.plain_values import coercible_values, hashed, plain

_CHARSET = "ISO_IR 192"
_CHUNK = 1 << 16


class Spools:
    """Files without names in a folder, gone when the block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()

    def __enter__(self) -> Spools:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def open(self) -> BinaryIO:
        """A new one, empty."""
        return self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))


class Items:
    """The items of a sequence: as they are encoded, and what the manifest says of them."""

    def __init__(self, spools: Spools) -> None:
        self.encoded, self.said = spools.open(), spools.open()
        self.coercible: dict[str, str] = {}
        self._count = 0

    def add(self, item: Dataset, long: Mapping[str, Items] | None = None) -> None:
        """Put an item at the end; ``long`` are sequences of it that are in files themselves, by keyword."""
        out, long = _as_dicom(self.encoded), long or {}
        start = self.encoded.seek(0, 2)
        out.write_tag(ItemTag)
        out.write_UL(0)
        _encode(out, item, long)
        end = self.encoded.tell()
        self.encoded.seek(start + 4)
        out.write_UL(end - start - 8)
        own = _read_back(item)
        self.said.seek(0, 2)
        self.said.write(b"," * bool(self._count))
        for piece in _says(plain(own), long):
            self.said.write(piece)
        self._count += 1
        found = _coercible(own, long)
        self.coercible |= {f"[{self._count}].{name}": value for name, value in found.items()}


@dataclass
class Grown:
    """A dataset, and those of its sequences that are in files, by keyword.

    ``pixels_sha256``: of its pixels, where the manifest lists that.
    """

    ds: Dataset
    long: Mapping[str, Items] = field(default_factory=dict)
    pixels_sha256: str | None = None

    def digest(self, spools: Spools) -> str:
        """See ``uids.digest``."""
        bare = Dataset()
        for element in self.ds:
            if element.keyword not in OWN:
                bare.add(element)
        stream = spools.open()
        _encode(_as_dicom(stream), bare, self.long)
        found = hashlib.sha256()
        for chunk in chunks(stream):
            found.update(chunk)
        stream.close()
        return found.hexdigest()

    def save(self, path: Path) -> None:
        """As a file of PS3.10."""
        with path.open("wb") as stream:
            stream.write(b"\0" * 128 + b"DICM")
            out = _as_dicom(stream)
            write_file_meta_info(out, self.ds.file_meta)
            _encode(out, self.ds, self.long)

    def entry(self, *, without: tuple[str, ...] = ()) -> Iterator[bytes]:
        """What the manifest says of it, as canonical JSON in pieces; ``without`` these attributes."""
        own = _read_back(self.ds)
        says = {name: value for name, value in plain(own).items() if name not in without}
        yield b"{"
        if self.pixels_sha256 is not None:
            yield b'"pixels_sha256":' + canonical(self.pixels_sha256) + b","
        yield b'"says":'
        yield from _says(says, self.long)
        if (tie := read_tie(own)) is not None:
            yield b',"tie":' + canonical([repr(tie.water_mu), *map(repr, tie.spacing_mm), tie.certificate_sha256])
        for name, value in hashed(_coercible(own, self.long)).items():
            yield b"," + canonical(name) + b":" + canonical(value)
        yield b"}"


def canonical(values: Any) -> bytes:
    """The only form of JSON that a manifest may have."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """All of a file from its beginning, piece by piece."""
    stream.seek(0)
    while piece := stream.read(_CHUNK):
        yield piece


def _says(found: Mapping[str, Any], long: Mapping[str, Items]) -> Iterator[bytes]:
    separator = b"{"
    for name in sorted({*found, *long}):
        yield separator + canonical(name) + b":"
        separator = b","
        if name in long:
            yield b"["
            yield from chunks(long[name].said)
            yield b"]"
        else:
            yield canonical(found[name])
    yield b"}" if separator == b"," else b"{}"


def _coercible(own: Dataset, long: Mapping[str, Items]) -> dict[str, str]:
    within = {keyword + way: value for keyword, one in long.items() for way, value in one.coercible.items()}
    return coercible_values(own) | within


def _as_dicom(stream: BinaryIO) -> DicomFileLike:
    out = DicomFileLike(stream)
    out.is_little_endian, out.is_implicit_VR = True, False
    return out


def _encode(out: DicomFileLike, ds: Dataset, long: Mapping[str, Items]) -> None:
    """Write a dataset, element by element in the order of tags, and the long sequences at their places."""
    places, piece = {Tag(keyword): one for keyword, one in long.items()}, Dataset()
    for tag in sorted({*ds.keys(), *places}):
        if tag not in places:
            piece.add(ds[tag])
            continue
        write_dataset(out, piece, _CHARSET)
        piece, stream = Dataset(), places[tag].encoded
        out.write_tag(tag)
        out.write(b"SQ\0\0")
        out.write_UL(stream.seek(0, 2))
        for chunk in chunks(stream):
            out.write(chunk)
    write_dataset(out, piece, _CHARSET)


def _read_back(ds: Dataset) -> Dataset:
    """A dataset as whoever reads its file sees it, without what is in files, and without pixels."""
    bare = Dataset()
    for element in ds:
        if not element.is_buffered:
            bare.add(element)
    stream = BytesIO()
    write_dataset(_as_dicom(stream), bare, _CHARSET)
    stream.seek(0)
    return read_dataset(stream, False, True, parent_encoding=convert_encodings(_CHARSET))
