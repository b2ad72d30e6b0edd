"""Comments within compressed pixel data, which may name a patient as well as any attribute, taken out."""

from __future__ import annotations

import struct

from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames

from ctrecon.dicom.common.files import count_of, refusing
from ctrecon.dicom.common.pixels import NATIVE

# JPEG: comments and all application segments but those that say the colours (APP0, APP14) and JPEG-LS's (APP8).
_JPEG_DROPPED = frozenset((0xFE, *range(0xE1, 0xF0))) - {0xE8, 0xEE}
_JPEG_2000_COMMENT = 0x64
_JPEG_2000_TILE = 0x90


def strip_comments(ds: FileDataset, name: str) -> None:
    """Rewrite the frames of compressed pixel data without comment segments. Raises InputError for damaged ones."""
    syntax = uid.UID(str(ds.file_meta.TransferSyntaxUID))
    if syntax in NATIVE or "PixelData" not in ds or syntax == uid.RLELossless:
        return
    frames = count_of(ds, "NumberOfFrames", name, 1)
    with refusing(f"{name}: its compressed frames cannot be read"):
        found = list(generate_frames(ds.PixelData, number_of_frames=frames))
        clean = [without_comments(frame) for frame in found]
        if clean != found:
            ds.PixelData = encapsulate(clean)
            # They told where the old frames were.
            for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
                if keyword in ds:
                    delattr(ds, keyword)


def without_comments(frame: bytes) -> bytes:
    """The codestream without the comment segments of its main header."""
    if frame[:2] not in (b"\xff\xd8", b"\xff\x4f"):
        return frame
    wide = frame[:2] == b"\xff\x4f"
    kept, at = [frame[:2]], 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        # Start of scan, or of the first tile: from here on there is picture.
        if marker == (_JPEG_2000_TILE if wide else 0xDA):
            break
        if not wide and marker == 0xFF:
            at += 1
            continue
        end = at + 2 + struct.unpack_from(">H", frame, at + 2)[0]
        if not (marker == _JPEG_2000_COMMENT if wide else marker in _JPEG_DROPPED):
            kept.append(frame[at:end])
        at = end
    return b"".join(kept) + frame[at:]
