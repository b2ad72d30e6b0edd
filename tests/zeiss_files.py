"""Scans as Zeiss's ``.txrm``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ole_files import write_ole

from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.parallel_rows import ParallelRows

VIEWS, ROWS, COLUMNS, WHITE = 30, 16, 22, 50000.0
ANGLES = np.arange(VIEWS) * 12.0 - 170


def cone() -> ConeBeam:
    return ConeBeam(angles_rad=tuple(np.deg2rad(-ANGLES)), detector_count=COLUMNS, detector_rows=ROWS,
                    detector_spacing_mm=2.0, detector_row_spacing_mm=2.0, source_to_axis_mm=60.0,
                    source_to_detector_mm=120.0)  # fmt: skip


def level() -> ParallelRows:
    return ParallelRows(angles_rad=tuple(np.deg2rad(-ANGLES)), detector_count=COLUMNS, detector_rows=ROWS)


def txrm(path: Path, lines: np.ndarray, *, beam: int = 1, shift: int = 0, **changes: bytes | None) -> Path:
    white = WHITE * np.linspace(1, 1.2, COLUMNS) * np.ones((ROWS, 1))
    frames = white * np.exp(-lines)
    streams: dict[str, bytes | None] = {
        "ImageInfo/ImageHeight": np.int32(ROWS).tobytes(), "ImageInfo/ImageWidth": np.int32(COLUMNS).tobytes(),
        "ImageInfo/NoOfImages": np.int32(VIEWS).tobytes(), "ImageInfo/DataType": np.int32(5).tobytes(),
        "ImageInfo/AcquisitionMode": np.int32(0).tobytes(), "ImageInfo/XrayGeometry": np.int32(beam).tobytes(),
        "ImageInfo/PixelSize": np.float32(1000.0).tobytes(), "ImageInfo/Angles": ANGLES.astype("<f4").tobytes(),
        "ImageInfo/StoRADistance": np.full(VIEWS, -60, "<f4").tobytes(),
        "ImageInfo/DtoRADistance": np.full(VIEWS, 60, "<f4").tobytes(),
        "ReferenceData/Image": white.astype("<f4").tobytes(), "ReferenceData/DataType": np.int32(10).tobytes(),
        "Alignment/X-Shifts": np.full(VIEWS, shift, "<f4").tobytes(),
        "Alignment/Y-Shifts": np.zeros(VIEWS, "<f4").tobytes(),
    }  # fmt: skip
    for k, frame in enumerate(frames):
        streams[f"ImageData{k // 100 + 1}/Image{k + 1}"] = np.rint(frame).astype("<u2").tobytes()
    streams |= {name.replace("__", "/"): value for name, value in changes.items()}
    return write_ole(path, {name: value for name, value in streams.items() if value is not None})
