"""A checker of volumes in long double, written from ``docs/guarantees.md`` alone, finds the residual that is stated."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.geometry.base import Geometry
from ctrecon.operators.choose import choose_operator

Long = np.longdouble
VIEWS, CELLS, ROWS = 9, 12, 8
GRID = ct.Grid(rows=9, columns=10, pixel_mm=(2.6, 2.3), centre_mm=(0.4, -0.6, 0.9), slices=7, slice_mm=2.9)
PANEL: dict[str, Any] = {
    "detector_count": CELLS, "detector_rows": ROWS, "detector_spacing_mm": 3.2, "detector_row_spacing_mm": 3.6,
}  # fmt: skip
OFFSETS: dict[str, Any] = {"detector_offset_mm": 1.3, "detector_row_offset_mm": -0.7}
FAR: dict[str, Any] = {"source_to_axis_mm": 60.0, "source_to_detector_mm": 95.0}


def angles(turns: float) -> tuple[float, ...]:
    return tuple(float(a) for a in 0.1 + np.arange(VIEWS) * turns * 2 * math.pi / VIEWS)


def anywhere(radius_mm: float) -> ct.VectorsInSpace:
    """Sources all over a sphere, detectors behind the middle, turned about their normals at random."""
    rng = np.random.default_rng(0)

    def unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.linalg.norm(vectors, axis=1)[:, None]

    source = 60 * unit(rng.standard_normal((VIEWS, 3)))
    axis = unit(np.cross(source, rng.standard_normal((VIEWS, 3))))
    up = unit(np.cross(axis, source))
    tuples = [tuple(tuple(float(x) for x in row) for row in rows) for rows in (source, -source / 2, axis, up)]
    return ct.VectorsInSpace(
        source=tuples[0], detector_mm=tuples[1], detector_axis=tuples[2], detector_column_axis=tuples[3],
        detector_radius_mm=radius_mm, **PANEL,
    )  # fmt: skip


GEOMETRIES: dict[str, Geometry] = {
    "cone": ct.ConeBeam(
        angles_rad=angles(1), roll_rad=0.05, tilt_rad=0.03, swivel_rad=-0.04, **PANEL, **OFFSETS, **FAR,
    ),
    "arc": ct.ArcCone(
        angles_rad=angles(1), source_z_mm=tuple(np.linspace(-5.0, 5.0, VIEWS).tolist()),
        source_angle_shift_rad=tuple(0.01 * (-1) ** k for k in range(VIEWS)),
        source_radius_shift_mm=tuple(float(k % 2) for k in range(VIEWS)),
        source_z_shift_mm=tuple(0.5 * (-1) ** k for k in range(VIEWS)), **PANEL, **OFFSETS, **FAR,
    ),
    "helix": ct.HelicalCone(angles_rad=angles(2), pitch_mm=12.0, start_mm=-12.0, **PANEL, **OFFSETS, **FAR),
    "parallel": ct.ParallelRows(angles_rad=angles(0.5), **PANEL, **OFFSETS),
    "anywhere, flat": anywhere(0.0),
    "anywhere, arc": anywhere(90.0),
}  # fmt: skip


def reconstructed(geometry: Geometry, folder: Path, *, masked: bool) -> Path:
    volume = torch.rand((1, 1, *GRID.shape), generator=torch.Generator().manual_seed(3)) * 0.02
    data = choose_operator(geometry, GRID)(volume)[0, 0].numpy().astype(np.float64)
    rng = np.random.default_rng(4)
    data += 0.02 * np.sqrt((data**2).mean()) * rng.standard_normal(data.shape)
    mask = rng.random(data.shape) > 0.05 if masked else None
    scan = ct.Scan(data, geometry, grid=GRID, mask=mask)
    result = ct.reconstruct(scan, method="cgls", delta=0.03 * float(np.linalg.norm(data)))
    assert result.certified
    result.save(folder / "v.npy", preview=False)
    return folder / "v.certificate.json"


@pytest.mark.sampled(6)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_residual_is_the_one_stated(name: str, masked: bool, tmp_path: Path) -> None:
    certificate = reconstructed(GEOMETRIES[name], tmp_path, masked=masked)
    stated = json.loads(certificate.read_bytes())
    found = residual(certificate)
    assert found == pytest.approx(stated["residual"], rel=1e-12)
    assert found <= stated["residual_upper_bound"] <= stated["delta"]


def test_one_wrong_sign_is_seen(tmp_path: Path) -> None:
    certificate = reconstructed(GEOMETRIES["cone"], tmp_path, masked=False)
    assert residual(certificate, up=-1) > 1.01 * json.loads(certificate.read_bytes())["delta"]


def residual(certificate: Path, up: int = 1) -> float:
    """Of a feasible certificate in space; ``up`` = -1 takes the detector's rows the wrong way round."""
    raw = certificate.read_bytes()
    claim = json.loads(raw)
    own = claim["certificate_sha256"].encode()
    assert hashlib.sha256(raw.replace(own, b"0" * 64, 1)).hexdigest() == own.decode()

    def array(name: str, entry: dict[str, Any]) -> np.ndarray:
        file = certificate.with_name(certificate.name.replace(".certificate.json", f"{name}.npy"))
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
        values: np.ndarray = np.load(file)
        assert [list(values.shape), values.dtype.str] == [entry["shape"], entry["dtype"]]
        return values.astype(Long)

    image, data = array("", claim["image"]), array(".data", claim["data"])
    weights = array(".weights", claim["weights"]) if claim["weights"] else np.ones_like(data)
    operator = claim["operator"]
    total = Long(0)
    for view in range(len(data)):
        p, d = rays(operator["geometry"], view, up)
        total += (
            weights[view].ravel() * (line_integrals(image, operator["grid"], p, d) - data[view].ravel()) ** 2
        ).sum()
    return float(np.sqrt(total))


def rays(g: dict[str, Any], view: int, up: int) -> tuple[np.ndarray, np.ndarray]:
    q, c, a, b = (
        np.array(g[k][view], Long) for k in ("source", "detector_mm", "detector_axis", "detector_column_axis")
    )
    count, rows, radius = g["detector_count"], g["detector_rows"], Long(g["detector_radius_mm"])
    s = ((np.arange(count, dtype=Long) - Long(count - 1) / 2) * Long(g["detector_spacing_mm"]))[None, :, None]
    t = up * ((np.arange(rows, dtype=Long) - Long(rows - 1) / 2) * Long(g["detector_row_spacing_mm"]))[:, None, None]
    cell = c + s * a + t * b
    if radius > 0:
        normal = np.cross(a, b)
        if normal @ (q - c) < 0:
            normal = -normal
        cell = c + radius * (np.sin(s / radius) * a + (1 - np.cos(s / radius)) * normal) + t * b
    cell = cell.reshape(-1, 3)
    return (cell, np.broadcast_to(q, cell.shape)) if g["parallel"] else (np.broadcast_to(q, cell.shape), cell - q)


def line_integrals(image: np.ndarray, grid: dict[str, Any], p: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Joseph's, ray by ray of one view: along y where it may, else along x where it may, else along z."""
    side = np.array([grid["pixel_mm"][1], grid["pixel_mm"][0], grid["slice_mm"]], Long)
    p = p - np.array(grid["centre_mm"], Long)
    volume = np.transpose(image, (2, 1, 0))[:, ::-1]  # [x, y, z], each rising
    steep, nearly = np.abs(d) / side, 1 - Long(1e-9)
    along_y = (steep[:, 1] >= nearly * steep[:, 0]) & (steep[:, 1] >= nearly * steep[:, 2])
    march = np.where(along_y, 1, np.where(steep[:, 0] >= nearly * steep[:, 2], 0, 2))
    values = np.zeros(len(p), Long)
    for axis in range(3):
        one = march == axis
        first, second = (k for k in range(3) if k != axis)
        slopes = [d[one, k] / d[one, axis] for k in (first, second)]
        layers = np.pad(np.moveaxis(volume, axis, 0), ((0, 0), (1, 1), (1, 1)))
        total = np.zeros(int(one.sum()), Long)
        for layer, plane in enumerate(layers):
            step = (layer - Long(len(layers) - 1) / 2) * side[axis] - p[one, axis]
            corner, share = [], []
            for slope, k in zip(slopes, (first, second), strict=True):
                size = volume.shape[k]
                at = np.clip((p[one, k] + step * slope) / side[k] + Long(size - 1) / 2, -1, size)
                below = np.minimum(np.floor(at), size - 1)
                corner.append(below.astype(int) + 1)
                share.append(at - below)
            (i, j), (x, y) = corner, share
            total += (1 - x) * ((1 - y) * plane[i, j] + y * plane[i, j + 1])
            total += x * ((1 - y) * plane[i + 1, j] + y * plane[i + 1, j + 1])
        values[one] = side[axis] * np.sqrt(1 + sum(slope**2 for slope in slopes)) * total
    return values
