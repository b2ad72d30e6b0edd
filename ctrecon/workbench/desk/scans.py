"""A scan for the page: what ``ctrecon info`` says first of it, and its sinogram as a small picture."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from PIL import Image as PillowImage

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_plane, read_scan
from ctrecon.io.ask import Ask
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.thumbnail import thumbnail

MOST_PIXELS = 512
"""A side of the picture of a sinogram."""
MOST_BYTES = 1 << 30
"""Of a scan's file, which is read whole."""

Found = tuple[tuple[tuple[str, str], ...], bytes]


class Scans:
    """The scan that was read last stays: its facts and its picture are asked for one after the other."""

    def __init__(self) -> None:
        self._last: tuple[object, Found] | None = None
        self._lock = threading.Lock()

    def read(self, path: Path, state: object) -> Found:
        """Facts as (name, text), and a PNG.

        Args:
            path: What ``read_scan`` takes.
            state: Changes when the file does.

        Returns:
            Both.

        Raises:
            InputError: As ``read_scan``; for a file that is too large for a look.
        """
        with self._lock:
            if self._last is not None and self._last[0] == (path, state):
                return self._last[1]
            files = [path] if path.is_file() else path.iterdir()
            if (size := sum(one.stat().st_size for one in files if one.is_file())) > MOST_BYTES:
                raise InputError(f"{path.name}: has {size} bytes, more than the {MOST_BYTES} that are read for a look; "
                                 "ctrecon info reads it")  # fmt: skip
            found = _found(*_scan(path))
            self._last = ((path, state), found)
            return found


def _scan(path: Path) -> tuple[Scan, str]:
    """The scan, and which of its rows it is; of a file that asks for a row the middle one."""
    try:
        return read_scan(path), ""
    except InputError as why:
        try:
            rows = read_plane(path, Ask(row=0), None).rows
            found = read_plane(path, Ask(row=rows // 2), None).scan
        except InputError:
            raise why from None  # what it lacks is no row
        return found, f"row {rows // 2} of {rows} of the detector, from 0"


def _found(scan: Scan, row: str) -> Found:
    values = scan.sinogram
    facts = [
        *([("Shown", row)] if row else []),
        ("Views", str(values.shape[0])), ("Detector cells", str(values.shape[-1])),
        *([("Detector rows", str(values.shape[1]))] if values.ndim == 3 else []),
        ("Values", f"{values.dtype}, from {values.min():.4g} to {values.max():.4g}"),
        ("Beam", "the file's own matrix" if scan.geometry is None else scan.geometry.title),
        ("Lengths in", scan.units.length or "no unit"),
        ("Noise", "known for every ray" if scan.variance is not None else "not stated by the file"),
        *((("Image", scan.with_grid().grid.said_in(scan.units.length)),) if scan.geometry is not None else ()),  # type: ignore[union-attr]
        *(("Assumed or noted", note) for note in scan.notes[:20]),
    ]  # fmt: skip
    stream = io.BytesIO()
    PillowImage.fromarray(thumbnail(scan, rows=MOST_PIXELS, columns=MOST_PIXELS)).save(stream, format="PNG")
    return tuple(facts), stream.getvalue()
