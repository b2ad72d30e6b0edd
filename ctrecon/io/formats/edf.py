"""EDF of the ESRF: ``PREFIX.info`` beside ``PREFIX0000.edf`` and on, ``refHST0000.edf`` (or ``ref0000.edf``) and
``dark.edf``.

The number in the name of a reference frame is that of the view after which it was taken.
A frame is a header in braces, ``key = value ;`` lines filled up to a multiple of 512 bytes, and numbers. Parallel
beams over ``ScanRange`` degrees; ``PixelSize`` is in micrometres.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.ask import Ask, any_row
from ctrecon.io.framed import from_frames
from ctrecon.io.key_values import read_key_values
from ctrecon.io.measured import Measured
from ctrecon.io.tiff import in_order
from ctrecon.support.arrays import Float64Array
from ctrecon.support.limits import check_claim
from ctrecon.support.plain_file import plain_size

NAME = "EDF with .info"
PLACE = 30

_BLOCK, _LONGEST_HEADER = 512, 64 * 1024
_TYPES = {
    "unsignedbyte": "u1", "signedbyte": "i1", "unsignedshort": "u2", "signedshort": "i2", "unsignedinteger": "u4",
    "unsignedlong": "u4", "signedinteger": "i4", "signedlong": "i4", "floatvalue": "f4", "float": "f4",
    "doublevalue": "f8",
}  # fmt: skip
_ORDERS = {"lowbytefirst": "<", "highbytefirst": ">"}


def takes(path: Path) -> bool:
    return path.suffix.lower() == ".info"


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where frames are missing, damaged or of different sizes."""
    said = read_key_values(path)
    stem = said.text("Prefix") or path.stem
    if "/" in stem or "\\" in stem:
        raise InputError(f"{path}: Prefix {stem[:40]!r} must be a name in the same folder, without a path")
    views = said.count("TOMO_N")
    everything = [p for p in path.parent.iterdir() if p.suffix.lower() == ".edf"]
    files = in_order(p for p in everything if p.stem.startswith(stem) and re.fullmatch(r"_?\d+", p.stem[len(stem) :]))
    white = in_order(p for p in everything if re.fullmatch(r"ref(hst)?_?\d+", p.stem.lower()))
    dark = in_order(p for p in everything if re.fullmatch(r"dark(end)?_?\d*", p.stem.lower()))
    if len(files) < views or not white:
        raise InputError(f"{path}: says {views} views; {len(files)} frames {stem}0000.edf and on and {len(white)} "
                         "white ones refHST0000.edf are beside it; copy all of them")  # fmt: skip
    rows, columns = _header(files[0])[:2]
    row, notes = any_row(path, rows, ask.row)
    if len(files) > views:
        notes += (f"{len(files) - views} frames after the {views} views check the sample's drift and are left out",)
    counts, flat = (_rows(chosen, row, (rows, columns)) for chosen in (files[:views], white))
    black = _rows(dark, row, (rows, columns)) if dark else None
    before = np.array([int(found[-1]) for found in (re.findall(r"\d+", one.stem) for one in white)])
    step = said.number("ScanRange", 180.0) / views
    pixel = said.number("PixelSize", 0.0)
    measured = from_frames(
        path, counts, flat, black, white_at=before, notes=notes, angles_deg=np.arange(views) * step, center="auto",
        rows=rows,
    )  # fmt: skip
    if pixel <= 0:
        return measured
    try:
        beam = ParallelBeam(
            angles_rad=tuple(np.deg2rad(np.arange(views) * step).tolist()), detector_count=columns,
            detector_spacing_mm=pixel / 1000,
        )  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None
    return replace(measured, geometry=beam, geometry_from=f"geometry from {path.name}")


def _rows(files: list[Path], row: int, shape: tuple[int, int]) -> Float64Array:
    found = np.empty((len(files), shape[1]))
    for k, path in enumerate(files):
        rows, columns, dtype, start = _header(path)
        if (rows, columns) != shape:
            raise InputError(f"{path}: is {rows} x {columns} where the first frame is {shape[0]} x {shape[1]}")
        with path.open("rb") as stream:
            stream.seek(start + row * columns * dtype.itemsize)
            found[k] = np.frombuffer(stream.read(columns * dtype.itemsize), dtype)
    return found


def _header(path: Path) -> tuple[int, int, np.dtype[np.generic], int]:
    """Rows, columns, type and where the numbers begin."""
    size = plain_size(path)
    with path.open("rb") as stream:
        raw = stream.read(_LONGEST_HEADER)
    end = raw.find(b"}")
    if not raw.lstrip().startswith(b"{") or end < 0:
        raise InputError(f"{path}: is no EDF file (its header is in braces); copy it again")
    words = dict(
        (key.strip().lower(), value.strip().lower())
        for key, _, value in (part.partition("=") for part in raw[:end].decode("latin-1").lstrip(" \n\r{").split(";"))
    )
    sizes = [words.get(name, "") for name in ("dim_2", "dim_1")]
    kind, order = _TYPES.get(words.get("datatype", "")), _ORDERS.get(words.get("byteorder", "lowbytefirst"))
    sound = all(re.fullmatch("[0-9]{1,7}", side) and 0 < int(side) < 2**20 for side in sizes)
    if kind is None or order is None or not sound:
        raise InputError(f"{path}: its header says no DataType, ByteOrder, Dim_1 and Dim_2 that are known")
    rows, columns, dtype = int(sizes[0]), int(sizes[1]), np.dtype(order + kind)
    start = -(-(end + 1) // _BLOCK) * _BLOCK
    check_claim(path, "the frame", rows * columns * dtype.itemsize, size)
    packed = words.get("compression", "none") not in ("", "none")
    if packed or size < start + rows * columns * dtype.itemsize:
        raise InputError(f"{path}: holds less than its {rows} x {columns} numbers, or packed ones; save it plainly")
    return rows, columns, dtype, start
