"""Bare numbers, ``NAME.raw`` or ``NAME.bin``: what they are stands in the entry ``raw`` of ``NAME.json``.

    "raw": {"type": "uint16", "order": "little", "shape": [720, 4, 512], "offset": 0, "white": 65535}

``shape``: ``[views, detectors]`` or ``[views, rows, detectors]``. With ``white`` (what no object leaves) the values
are the intensities that came through, without it line integrals.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.ask import Ask, any_row
from ctrecon.io.measured import Measured
from ctrecon.io.transmitted import line_integrals_of
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import as_rays, check_claim
from ctrecon.support.plain_file import plain_size, whole_file

NAME = "raw numbers with a sidecar"
PLACE = 50

_TYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_ORDERS = {"little": "<", "big": ">"}
_LARGEST = 64 * 2**20
_KEYS = {"type", "order", "shape", "offset", "white"}


def takes(path: Path) -> bool:
    return path.suffix.lower() in (".raw", ".bin")


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where the entry is missing or the file has another length than it says."""
    said = _said(path)
    shape, dtype = said["shape"], np.dtype(_ORDERS[said["order"]] + np.dtype(said["type"]).str[1:])
    needed = said["offset"] + math.prod(shape) * dtype.itemsize
    has = plain_size(path)
    if has != needed:
        raise InputError(f"{path}: has {has} bytes where {shape} numbers of {said['type']} after {said['offset']} need "
                         f"{needed}; correct the entry raw")  # fmt: skip
    check_claim(path, "one detector row", shape[0] * shape[-1] * 8, has)
    stored = np.memmap(path, dtype=dtype, mode="r", offset=said["offset"], shape=tuple(shape))
    notes: tuple[str, ...] = ()
    if len(shape) == 3:
        row, notes = any_row(path, shape[1], ask.row)
        if shape[1] > 1:
            notes += ("rows are taken for planes of their own, as in a parallel beam",)
        values = np.array(stored[:, row], dtype=np.float64)
    elif ask.row is not None:
        raise InputError(f"{path}: has the shape {shape}, without detector rows to choose from; drop --row")
    else:
        values = np.array(stored, dtype=np.float64)
    if said["white"] is not None:
        values = line_integrals_of(path, values, said["white"])
    return Measured(sinogram=as_rays(path, "its array", values), notes=notes, bare=len(shape) == 2,
                    rows=shape[1] if len(shape) == 3 else 1)  # fmt: skip


def _said(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise InputError(f'{path}: needs {beside.name} with the entry "raw", which says what its numbers are')
    try:
        whole = parse_json(whole_file(beside, _LARGEST).decode("utf-8"))
    except ValueError:
        raise InputError(f"{beside}: is not JSON text; docs/units.md shows the format") from None
    raw = whole.get("raw") if isinstance(whole, dict) else None
    if not isinstance(raw, dict) or set(raw) - _KEYS or not {"type", "shape"} <= set(raw):
        raise InputError(f'{beside}: needs the entry "raw" with "type", "shape", may say "order", "offset", "white"')
    said: dict[str, Any] = {"order": "little", "offset": 0, "white": None} | raw
    shape, white = said["shape"], said["white"]
    good = isinstance(shape, list) and len(shape) in (2, 3) and all(type(n) is int and 0 < n < 2**31 for n in shape)
    good &= said["type"] in _TYPES and said["order"] in _ORDERS and type(said["offset"]) is int and said["offset"] >= 0
    good &= white is None or (type(white) in (int, float) and math.isfinite(white) and white > 0)
    if not good:
        raise InputError(
            f'{beside}: "raw" must have a "type" of {", ".join(_TYPES)}, a "shape" of 2 or 3 counts, "order" little or '
            'big, "offset" a count of bytes, "white" a number > 0'
        )
    return said
