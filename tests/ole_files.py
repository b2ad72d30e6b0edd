"""OLE compound files for tests: storages of streams, all of them in whole sectors (the format's regular ones)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

_SECTOR, _FREE, _END, _FAT, _NONE = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_LEAST = 4096
"""Shorter streams would lie in a file of small sectors within the file: all are filled up to this."""


def write_ole(path: Path, streams: Mapping[str, bytes]) -> Path:
    """Streams by ``STORAGE/NAME``."""
    storages = list(dict.fromkeys(name.partition("/")[0] for name in streams))
    entries: list[list] = [["Root Entry", 5, _NONE, _END, 0]]  # name, kind, child, first sector, size
    body, fat = b"", []

    def put(data: bytes) -> int:
        nonlocal body
        first, count = len(fat), -(-len(data) // _SECTOR)
        fat.extend([*range(first + 1, first + count), _END])
        body += data.ljust(count * _SECTOR, b"\0")
        return first

    sibling: dict[int, int] = {}

    def chain(numbers: list[int]) -> int:
        sibling.update(zip(numbers, [*numbers[1:], _NONE], strict=True))
        return numbers[0] if numbers else _NONE

    places = []
    for storage in storages:
        places.append(len(entries))
        entries.append([storage, 1, _NONE, 0, 0])
    for place, storage in zip(places, storages, strict=True):
        inner = []
        for name, data in streams.items():
            if name.partition("/")[0] == storage:
                inner.append(len(entries))
                padded = data.ljust(_LEAST, b"\0")
                entries.append([name.partition("/")[2], 2, _NONE, put(padded), len(padded)])
        entries[place][2] = chain(inner)
    entries[0][2] = chain(places)
    directory = b""
    for number, (name, kind, child, first, size) in enumerate(entries):
        text = (name + "\0").encode("utf-16-le")
        links = _NONE, sibling.get(number, _NONE), child
        directory += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, *links)
        directory += bytes(36) + struct.pack("<IQ", first, size)
    start = put(directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0"))
    tables = 1
    while tables * 128 < len(fat) + tables:
        tables += 1
    assert tables <= 109, "more would need a table of tables"
    own = list(range(len(fat), len(fat) + tables))
    fat += [_FAT] * tables
    fat += [_FREE] * (tables * 128 - len(fat))
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, tables, start, 0, _LEAST, _END, 0, _END, 0)
    head += struct.pack("<109I", *own, *[_FREE] * (109 - tables))
    path.write_bytes(head + body + struct.pack(f"<{len(fat)}I", *fat))
    return path
