"""What a compressed frame says of its own size, so that no decoder allocates for more than the header declares."""

from __future__ import annotations

import struct

from ctrecon.errors import InputError

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
# Start-of-frame markers: T.81 (C4, C8 and CC are others) and JPEG-LS.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def frame_size(frame: bytes) -> tuple[int, int, int] | None:
    """``(rows, columns, components)`` of a JPEG, JPEG-LS or JPEG 2000 codestream; None where it does not say."""
    try:
        if frame[:4] == _JPEG_2000:
            width, height, left, top = struct.unpack_from(">4L", frame, 8)
            return height - top, width - left, struct.unpack_from(">H", frame, 40)[0]
        if frame[:2] == _JPEG:
            at = 2
            while frame[at] == 0xFF:
                marker = frame[at + 1]
                if marker == 0xFF:
                    at += 1
                    continue
                if marker in _FRAME_MARKERS:
                    rows, columns, components = struct.unpack_from(">HHB", frame, at + 5)
                    return rows, columns, components
                at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    except (struct.error, IndexError):
        pass
    return None


def check_frame(name: str, frame: bytes, rows: int, columns: int) -> None:
    """Raises InputError unless the codestream is one grey picture of the declared size."""
    size = frame_size(frame)
    if size is None:
        raise InputError(f"{name}: its compressed pixel data are no JPEG or JPEG 2000 stream; the file is damaged")
    if size != (rows, columns, 1):
        raise InputError(
            f"{name}: its compressed pixel data hold {size[0]} x {size[1]} pixels of {size[2]} components where the "
            f"header says {rows} x {columns} of 1; the file is damaged"
        )
