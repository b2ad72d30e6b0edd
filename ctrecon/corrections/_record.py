"""What a correction did, as a note of the scan: its name, its numbers, and the data's hashes before and after.

The hash is that of the ``.npy`` file of the sinogram, as certificates state it for their data: the last "after" of a
scan is the hash in its certificate, which so tells what the certified data went through.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array


def sinogram_hash(sinogram: Array) -> str:
    """SHA-256 of the sinogram as a ``.npy`` file: little-endian, rows first."""
    stream = io.BytesIO()
    plain = np.ascontiguousarray(sinogram, dtype=sinogram.dtype.newbyteorder("<"))
    np.lib.format.write_array(stream, plain, version=(1, 0), allow_pickle=False)
    return hashlib.sha256(stream.getvalue()).hexdigest()


def recorded(name: str, before: Scan, after: Scan, numbers: Mapping[str, float | None]) -> Scan:
    """``after`` with the note that ``name`` made it of ``before``."""
    said = ", ".join(f"{key} = {value:g}" for key, value in numbers.items() if value is not None)
    what = f"correction {name}{f' ({said})' if said else ''}"
    if after is before:
        return replace(after, notes=(*after.notes, f"{what}: nothing was changed"))
    hashes = f"data {sinogram_hash(before.sinogram)} before, {sinogram_hash(after.sinogram)} after"
    return replace(after, notes=(*after.notes, f"{what}: {_change(before, after)}; {hashes}"))


def _change(before: Scan, after: Scan) -> str:
    if before.sinogram.shape != after.sinogram.shape:
        here, there = (" x ".join(map(str, scan.sinogram.shape)) for scan in (before, after))
        return f"from {here} to {there} rays"
    seen = np.ones(after.sinogram.shape, dtype=np.bool_) if after.mask is None else after.mask
    by = float(np.linalg.norm((after.sinogram - before.sinogram)[seen]))
    lost = before.usable_count - after.usable_count
    return f"{lost} rays made missing, the others changed by {by:.6g} in the 2-norm"
