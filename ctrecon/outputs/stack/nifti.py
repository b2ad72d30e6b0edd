"""NIfTI-1, float32, in HU, slice by slice: the library that writes volumes elsewhere needs all of one in memory.

The header is that of the NIfTI-1 standard (R. W. Cox et al., 2004): RAS axes in mm, stated by ``sform``,
where they are known.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np

from ctrecon.errors import InputError, OutputError
from ctrecon.io.unoriented import is_oriented
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.volume_file import HU
from ctrecon.support.arrays import Array
from ctrecon.support.limits import reason

_HEADER, _OFFSET, _LONGEST = 348, 352, 32767


class Nifti:
    """``NAME.nii.gz``, or ``NAME.nii``."""

    values, folder = HU, False

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def write(self, path: Path, manifest: Manifest, slices: Iterator[Array]) -> None:
        """See ``VolumeFile``. Raises OutputError where a side is longer than the format can say."""
        if max(manifest.shape) > _LONGEST:
            raise OutputError(f"{path.name}: NIfTI holds sides up to {_LONGEST}, not {manifest.shape}; write .zarr")
        with ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(path.open("wb"))
            if self.suffix.endswith(".gz"):  # without the time and the name, so that the same volume is the same bytes
                stream = stack.enter_context(gzip.GzipFile("", "wb", 3, stream, mtime=0))  # type: ignore[arg-type]
            stream.write(header(manifest) + bytes(_OFFSET - _HEADER))
            for values in slices:
                stream.write(np.ascontiguousarray(values, dtype="<f4").tobytes())

    def read(self, path: Path, manifest: Manifest) -> Iterator[Array]:
        """See ``VolumeFile``."""
        with self._stream(path, manifest) as stream:
            for _ in range(manifest.shape[0]):
                yield _next(path, manifest, stream)
            if stream.read(1):
                raise InputError(f"{path}: holds more than the manifest's slices")

    @contextmanager
    def opened(self, path: Path, manifest: Manifest) -> Iterator[Callable[[int], Array]]:
        """See ``VolumeFile``; of a compressed one forwards is quick, backwards begins anew."""
        size = 4 * manifest.shape[1] * manifest.shape[2]
        with self._stream(path, manifest) as stream:

            def slice_of(k: int) -> Array:
                stream.seek(_OFFSET + k * size)
                return _next(path, manifest, stream)

            yield slice_of

    @contextmanager
    def _stream(self, path: Path, manifest: Manifest) -> Iterator[IO[bytes]]:
        """At the first slice, after a header that was compared."""
        try:
            with cast(IO[bytes], (gzip.open if self.suffix.endswith(".gz") else open)(path, "rb")) as stream:
                if stream.read(_OFFSET) != header(manifest) + bytes(_OFFSET - _HEADER):
                    raise InputError(f"{path}: its header does not say what the manifest says")
                yield stream
        except (OSError, EOFError) as why:
            raise InputError(f"{path}: is damaged ({reason(why)}); copy it again") from None


def _next(path: Path, manifest: Manifest, stream: IO[bytes]) -> Array:
    raw = stream.read(4 * manifest.shape[1] * manifest.shape[2])
    if len(raw) != 4 * manifest.shape[1] * manifest.shape[2]:
        raise InputError(f"{path}: is cut off; copy it again")
    return np.frombuffer(raw, "<f4").reshape(manifest.shape[1:])


def header(manifest: Manifest) -> bytes:
    """348 bytes that say shape and place; LPS becomes RAS by turning x and y.

    Where nobody says how the patient lay, both codes are 0, the format's word for axes that are not known.
    """
    (slices, rows, columns), (dz, dy, dx), (z, y, x) = manifest.shape, manifest.step_mm, manifest.first_mm
    raw = bytearray(_HEADER)
    struct.pack_into("<i", raw, 0, _HEADER)
    struct.pack_into("<8h", raw, 40, 3, columns, rows, slices, 1, 1, 1, 1)
    struct.pack_into("<2h", raw, 70, 16, 32)  # float32
    struct.pack_into("<8f", raw, 76, 1.0, dx, dy, dz, 1, 1, 1, 1)
    struct.pack_into("<3f", raw, 108, float(_OFFSET), 1.0, 0.0)
    raw[123] = 2  # mm
    raw[148:155] = b"ctrecon"
    if is_oriented(manifest.patient_position):
        struct.pack_into("<2h", raw, 252, 1, 1)
        # The turn by 180 degrees about z: quaternion (0, 0, 1) with what is left 0.
        struct.pack_into("<6f", raw, 256, 0.0, 0.0, 1.0, -x, -y, z)
        struct.pack_into("<12f", raw, 280, -dx, 0, 0, -x, 0, -dy, 0, -y, 0, 0, dz, z)
    raw[344:348] = b"n+1\0"
    return bytes(raw)
