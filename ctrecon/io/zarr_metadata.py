"""What a zarr array says of itself, checked before any chunk is unpacked: size, chunks, packing.

Both formats, ``.zarray`` (2) and ``zarr.json`` (3). Only codecs of numbers are let through: among those that zarr
knows by name are some that unpickle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import check_claim, check_number_type, claimed_bytes
from ctrecon.support.plain_file import whole_file

_LARGEST = 4 * 2**20
_PACKERS = {"blosc", "zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "shuffle", "delta"}
_CODECS = {"bytes", "transpose", "gzip", "zstd", "blosc", "crc32c", "sharding_indexed"}


@dataclass(frozen=True)
class Described:
    """One array: its folder, ``shape``, ``dtype`` and its attributes."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]


def is_zarr(path: Path) -> bool:
    """A folder that holds a zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in (".zarray", ".zgroup", "zarr.json"))


def attributes_of(folder: Path) -> Mapping[str, Any]:
    """Of an array or a group; empty where there are none."""
    if (folder / "zarr.json").is_file():
        found = _json(folder / "zarr.json").get("attributes", {})
    else:
        found = _json(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    if not isinstance(found, Mapping):
        raise InputError(f"{folder}: its attributes are no JSON object; write it again")
    return found


def is_array(folder: Path) -> bool:
    if (folder / ".zarray").is_file():
        return True
    return (folder / "zarr.json").is_file() and _json(folder / "zarr.json").get("node_type") == "array"


def described(folder: Path) -> Described:
    """Raises InputError for an array that is not of numbers, too large, or packed in a way that is not let through."""
    old = (folder / ".zarray").is_file()
    said = _json(folder / (".zarray" if old else "zarr.json"))
    try:
        shape = tuple(int(n) for n in said["shape"])
        if old:
            dtype, chunks = np.dtype(said["dtype"]), tuple(int(n) for n in said["chunks"])
            packers = [said.get("compressor"), *(said.get("filters") or [])]
            unknown = [one["id"] for one in packers if one is not None and one["id"] not in _PACKERS]
        else:
            dtype = np.dtype(said["data_type"])
            chunks = tuple(int(n) for n in said["chunk_grid"]["configuration"]["chunk_shape"])
            unknown = _unknown(said["codecs"]) + [str(one) for one in said.get("storage_transformers") or []]
    except (KeyError, TypeError, ValueError, OverflowError, SyntaxError):
        raise InputError(f"{folder}: its metadata are not those of an array of numbers; write it again") from None
    if unknown:
        raise InputError(f"{folder}: is packed by {str(unknown[0])[:40]!r}, which is not read; store it with "
                         "zstd, blosc or gzip")  # fmt: skip
    check_number_type(folder, "the array", dtype)
    if len(chunks) != len(shape) or any(n < 1 for n in chunks) or any(n < 0 for n in shape):
        raise InputError(f"{folder}: has the shape {shape} in chunks of {chunks}, which cannot be; write it again")
    stored = _stored(folder)
    check_claim(folder, "the array", claimed_bytes(folder, "the array", shape, dtype), sum(stored))
    most = math.prod(min(c, max(s, 1)) for c, s in zip(chunks, shape, strict=True)) * dtype.itemsize
    check_claim(folder, "one chunk", max(most, math.prod(chunks) * dtype.itemsize), max(stored, default=0))
    if math.prod(shape) and not stored:
        raise InputError(f"{folder}: claims shape {shape} but stores no values; copy it again")
    return Described(folder, shape, dtype, attributes_of(folder))


def _unknown(codecs: Any) -> list[str]:
    """Names that are not let through, those within shards, too."""
    found: list[str] = []
    for one in codecs:
        if one["name"] not in _CODECS:
            found.append(str(one["name"]))
        inner = one.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            found += _unknown(inner.get(key) or [])
    return found


def _stored(folder: Path) -> list[int]:
    """Bytes of each chunk's file. Raises InputError for a link: nothing is followed out of the store."""
    sizes = []
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise InputError(f"{path}: is a link, which is not followed; copy the store without links")
        if path.is_file() and not path.name.startswith(".z") and path.name != "zarr.json":
            sizes.append(path.stat().st_size)
    return sizes


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink():
            raise InputError(f"{path}: is a link, which is not followed; copy the store without links")
        values = parse_json(whole_file(path, _LARGEST).decode("utf-8"))
    except ValueError:
        raise InputError(f"{path}: is no JSON text that can be read; write the store again") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: must hold a JSON object; write the store again")
    return values
