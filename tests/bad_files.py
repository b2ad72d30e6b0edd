"""What tests of bad files share: a sinogram, headers of their own, and how a refusal has to look."""

from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ctrecon.errors import CtreconError
from ctrecon.io import arrays

VIEWS, DETECTORS = 12, 17
SIDECAR = {"geometry": "parallel", "angles_deg": list(range(VIEWS)), "detector_spacing_mm": 1.0}


def sinogram(dtype=float):
    return (np.random.default_rng(0).random((VIEWS, DETECTORS)) * 100).astype(dtype)


def npy_header(shape, descr="'<f8'", extra=b"", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + extra


def read_scan(path, **options):
    """As the library's; asks for parallel beams where no JSON file stands beside, so that only what is tested fails."""
    if not Path(path).with_suffix(".json").exists():
        options = {"geometry": "parallel-180"} | options
    return arrays.read_scan(path, **options)


def refuse(path, words, **options):
    """The file is refused within 64 MB, and without a hang, with one line of the words; gives the message."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(CtreconError, match=words) as caught:
            read_scan(path, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert Path(path).name in message or Path(path).stem in message
    assert len(message) < 600
    assert time.process_time() - begin < 30, "a hang; imports alone take seconds on a busy machine"
    assert peak < 64e6
    return message
