"""The file into which an object is written while it comes in (PS3.10): header first, then the data set as it is."""

from __future__ import annotations

import struct
import tempfile
from contextlib import suppress
from pathlib import Path

from ctrecon.dicom.network.associate import IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION

_HEAD_BYTES = 64 << 10


class ArrivingFile:
    """Takes every byte, and keeps them as long as the disk does: ``path`` is None once it did not, or an object is
    larger than ``most_bytes``, so that its sender can be told at the end of the message instead of being cut off.
    ``head`` is the beginning of the file all the same: it says whose object it was.
    """

    def __init__(self, folder: Path, sop_class: str, sop_instance: str, syntax: str, most_bytes: int) -> None:
        self.path: Path | None = None
        self._left = most_bytes
        self._stream = None
        self.head = bytearray(file_header(sop_class, sop_instance, syntax))
        try:
            # Closed at the end of the message, not of this function.
            self._stream = tempfile.NamedTemporaryFile(
                dir=folder, suffix=".dcm", delete=False, buffering=1 << 18
            )
            self.path = Path(self._stream.name)
            self._stream.write(self.head)
        except OSError:
            self.discard()

    def write(self, content: memoryview) -> None:
        """Take a piece of the data set."""
        if len(self.head) < _HEAD_BYTES:
            self.head += content
        if self._stream is None:
            return
        self._left -= len(content)
        try:
            self._stream.write(content)
        except OSError:
            self._left = -1
        if self._left < 0:
            self.discard()

    def finish(self) -> None:
        """The data set is whole."""
        if self._stream is None:
            return
        try:
            self._stream.close()
            self._stream = None
        except OSError:
            self.discard()

    def discard(self) -> None:
        """Leave nothing on the disk, unless its handler moved it."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            # Where closing fails, so does flushing what is left; the descriptor itself is closed all the same.
            self._stream = None
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.path = None


def file_header(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """Preamble, mark and group 0002 (PS3.10, 7.1), in Explicit VR Little Endian."""
    group = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    for element, vr, text in (
        (0x02, b"UI", sop_class), (0x03, b"UI", sop_instance), (0x10, b"UI", syntax),
        (0x12, b"UI", IMPLEMENTATION_CLASS), (0x13, b"SH", IMPLEMENTATION_VERSION),
    ):
        value = text.encode("ascii", "replace")
        value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
        group += struct.pack("<HH2sH", 2, element, vr, len(value)) + value
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group
