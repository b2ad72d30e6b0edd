"""Small stacks of parallel beams: a leaning ellipse that differs from row to row, with noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ROWS, CELLS, VIEWS, SPACING_MM = 7, 24, 16, 2.0
QUICK = "--method fbp --delta 12% --no-preview"


def line_integrals(rows: int = ROWS, cells: int = CELLS, views: int = VIEWS, seed: int = 0) -> np.ndarray:
    """``[views, rows, cells]``, float32: a disc whose radius and place change with the row, and noise."""
    s = (np.arange(cells) - (cells - 1) / 2) * SPACING_MM
    angle = np.arange(views) * np.pi / views
    found = np.zeros((views, rows, cells))
    for row in range(rows):
        radius, away = cells * SPACING_MM * (0.2 + 0.1 * row / rows), 4.0 + row / rows
        square = radius**2 - (s[None] - away * np.cos(angle)[:, None]) ** 2
        found[:, row] = 0.02 * 2 * np.sqrt(np.maximum(square, 0))
    return (found + np.random.default_rng(seed).normal(0, 0.004, found.shape)).astype(np.float32)


def geometry(views: int = VIEWS) -> dict[str, object]:
    angles = (np.arange(views) * np.pi / views).tolist()
    return {"geometry": "parallel", "angles_rad": angles, "detector_spacing_mm": SPACING_MM}


def npy_stack(folder: Path, name: str = "scan", **shape: int) -> Path:
    """``scan.npy`` with its JSON file."""
    path = folder / f"{name}.npy"
    values = line_integrals(**shape)
    np.save(path, values)
    path.with_suffix(".json").write_text(json.dumps(geometry(len(values))))
    return path
