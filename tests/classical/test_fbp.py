"""Filtered back projection: right scale, right centre, right way up, for every kind of scan and filter."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from laws import random_like
from torch import Tensor

from ctrecon.classical.fbp import WINDOWS, FilteredBackProjection, Window, ramp_length, ramp_response
from ctrecon.errors import GeometryError, OperatorError, SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.support.metrics import psnr

# Smooth blobs (x, y, width in mm; height in 1/mm), nothing symmetric about them: their line integrals are exact, and
# filtered back projection has no edge to ring at, so what is left is scale, centre and orientation.
BLOBS = ((6.0, 4.0, 2.2, 0.05), (-7.0, 5.5, 1.8, 0.03), (-2.0, -8.0, 2.6, 0.04), (1.0, 0.5, 4.0, 0.02))
PARALLEL = ParallelBeam(
    angles_rad=tuple(np.linspace(0, math.pi, 181, endpoint=False)), detector_count=64, detector_spacing_mm=0.6
)
FAN = FanBeam(
    angles_rad=tuple(np.linspace(0, 2 * math.pi, 240, endpoint=False)),
    detector_count=90,
    detector_spacing_mm=1.0,
    source_to_axis_mm=70.0,
    source_to_detector_mm=140.0,
)


def truth(grid: Grid) -> Tensor:
    x, y = grid.x_mm[None, :], grid.y_mm[:, None]
    image = sum(h * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * w**2)) for a, b, w, h in BLOBS)
    return torch.from_numpy(np.asarray(image))[None, None].float()


def sinogram(geometry: Geometry) -> Tensor:
    """The exact line integrals along the geometry's own rays."""
    points, directions = geometry.rays()
    unit = directions / np.hypot(directions[..., 0], directions[..., 1])[..., None]
    total: npt.NDArray[np.float64] = np.zeros(geometry.shape)
    for a, b, w, h in BLOBS:
        across = (a - points[..., 0]) * unit[..., 1] - (b - points[..., 1]) * unit[..., 0]
        total += h * w * math.sqrt(2 * math.pi) * np.exp(-(across**2) / (2 * w**2))
    return torch.from_numpy(total)[None, None].float()


def grid(rows: int, columns: int | None = None, width_mm: float = 30.0) -> Grid:
    return Grid(rows=rows, columns=columns or rows, pixel_mm=width_mm / rows)


def resized(geometry: ParallelBeam | FanBeam, cells: int, offset_mm: float = 0.0) -> ParallelBeam | FanBeam:
    values = dict(vars(geometry), detector_count=cells, detector_offset_mm=offset_mm)
    values["detector_spacing_mm"] = geometry.detector_spacing_mm * geometry.detector_count / cells
    return type(geometry)(**values)


def quality(geometry: Geometry, where: Grid, window: Window = "ram-lak") -> float:
    return float(psnr(FilteredBackProjection(geometry, where, window=window)(sinogram(geometry)), truth(where)))


@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
@pytest.mark.parametrize("cells", [64, 65, 90, 91])
@pytest.mark.parametrize("size", [60, 61])
def test_even_and_odd_sizes_are_equally_good(geometry: ParallelBeam | FanBeam, cells: int, size: int):
    assert quality(resized(geometry, cells), grid(size)) > 50


@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_half_a_cell_off_centre_is_seen(geometry: ParallelBeam | FanBeam):
    where, f = grid(60), sinogram(geometry)
    right = FilteredBackProjection(geometry, where)(f)
    shift = 0.5 * geometry.detector_spacing_mm
    off = FilteredBackProjection(resized(geometry, geometry.detector_count, shift), where)(f)
    assert float(psnr(right, truth(where)) - psnr(off, truth(where))) > 8


@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
@pytest.mark.parametrize("offset_mm", [-1.3, 0.25, 1.7])
def test_the_detector_offset_is_undone(geometry: ParallelBeam | FanBeam, offset_mm: float):
    moved, where = resized(geometry, geometry.detector_count, offset_mm), grid(60)
    assert quality(moved, where) > 47
    forgotten = FilteredBackProjection(geometry, where)(sinogram(moved))
    assert float(psnr(forgotten, truth(where))) < quality(moved, where) - 3


@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_the_scale_is_in_one_over_mm(geometry: ParallelBeam | FanBeam):
    where = grid(61)
    image = FilteredBackProjection(geometry, where)(sinogram(geometry))
    mass = float(image.sum()) / float(truth(where).sum())
    assert mass == pytest.approx(1, abs=2e-3)
    # Interpolation along the detector lowers peaks by a percent; a wrong factor would do much more.
    assert float(image.max()) == pytest.approx(float(truth(where).max()), rel=0.015)
    # The size of the pixels does not enter.
    finer = FilteredBackProjection(geometry, grid(183))(sinogram(geometry))
    torch.testing.assert_close(finer[..., 1::3, 1::3], image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_the_image_is_the_right_way_up(geometry: ParallelBeam | FanBeam):
    where = grid(60, 50)
    image = FilteredBackProjection(geometry, where)(sinogram(geometry))
    right = float(psnr(image, truth(where)))
    assert right > 50
    for wrong in (image.flip(2), image.flip(3), image.flip(2, 3)):
        assert float(psnr(wrong, truth(where))) < 25
    square = grid(60)
    image = FilteredBackProjection(geometry, square)(sinogram(geometry))
    for turns in (1, 2, 3):
        assert float(psnr(image.rot90(turns, (2, 3)), truth(square))) < 25


def test_short_fan_scans():
    fan_angle = math.atan(FAN.detector_mm[-1] / FAN.source_to_detector_mm)
    for extent, start in ((math.pi + 2 * fan_angle, 0.0), (math.pi + 2.6 * fan_angle, 1.0), (1.6 * math.pi, -2.0)):
        views = int(240 * extent / (2 * math.pi))
        angles = start + np.arange(views) * extent / views
        for order in (angles, angles[::-1]):
            short = FanBeam(**{**vars(FAN), "angles_rad": tuple(order)})
            assert quality(short, grid(60)) > 38
    # Much less than half a turn cannot be that good.
    quarter = FanBeam(**{**vars(FAN), "angles_rad": FAN.angles_rad[:80]})
    assert quality(quarter, grid(60)) < 30


def test_views_count_by_the_angle_they_stand_for():
    # Half the turn sampled twice as densely; the first view measured again at the end, as scanners do.
    uneven = np.concatenate([np.arange(0, math.pi / 2, math.pi / 240), np.arange(math.pi / 2, math.pi, math.pi / 120)])
    where = grid(60)
    assert quality(ParallelBeam(**{**vars(PARALLEL), "angles_rad": tuple(uneven)}), where) > 50
    closed = (*FAN.angles_rad, FAN.angles_rad[0] + 2 * math.pi)
    assert quality(FanBeam(**{**vars(FAN), "angles_rad": closed}), where) > 50
    full_turn = tuple(np.linspace(0, 2 * math.pi, 241, endpoint=False))
    assert quality(ParallelBeam(**{**vars(PARALLEL), "angles_rad": full_turn}), where) > 50
    # Were each view counted alike, the denser half would weigh double.
    g = ParallelBeam(**{**vars(PARALLEL), "angles_rad": tuple(uneven)})
    even = FilteredBackProjection(g, where)
    even._weights = torch.full_like(even._weights, math.pi / len(uneven))
    assert float(psnr(even(sinogram(g)), truth(where))) < 30


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_keep_the_mean_and_smooth(window: Window):
    where = grid(60)
    for geometry in (PARALLEL, FAN):
        back = FilteredBackProjection(geometry, where, window=window)
        image = back(sinogram(geometry))
        assert float(psnr(image, truth(where))) > 30
        assert float(image.sum()) == pytest.approx(float(truth(where).sum()), rel=5e-3)
    noise = random_like((1, 1, *PARALLEL.shape), 0, torch.float32)
    plain = FilteredBackProjection(PARALLEL, where)(noise).std()
    windowed = FilteredBackProjection(PARALLEL, where, window=window)(noise).std()
    assert float(windowed) <= float(plain) * (1 + 1e-6)
    assert (float(windowed) < 0.97 * float(plain)) == (window != "ram-lak")


def test_the_cutoff_removes_what_lies_above_it():
    half = ramp_response(64, 0.5, "ram-lak", 0.5)
    full = ramp_response(64, 0.5)
    nyquist = ramp_length(64) // 2
    assert np.all(half[nyquist // 2 + 1 :] == 0)
    np.testing.assert_allclose(half[: nyquist // 2], full[: nyquist // 2])
    # The ramp is |frequency| in cycles per mm, and its value at zero is small but not zero: the mean comes out right.
    frequency = np.arange(full.size) / (ramp_length(64) * 0.5)
    np.testing.assert_allclose(full[8:], frequency[8:], rtol=0.01)
    assert 0 < full[0] < frequency[1]


def test_it_is_linear_and_treats_a_batch_one_by_one():
    back = FilteredBackProjection(FAN, grid(31))
    f = random_like((3, 1, *FAN.shape), 0, torch.float32)
    images = back(f)
    torch.testing.assert_close(back(f[1:2]), images[1:2])
    torch.testing.assert_close(back(2 * f[:1] - f[1:2]), 2 * images[:1] - images[1:2], rtol=1e-4, atol=1e-5)
    assert back(f.double()).dtype == torch.float64


def test_torch_and_numba_agree():
    # The path for other devices, run here on the CPU.
    for geometry in (PARALLEL, FAN):
        back = FilteredBackProjection(geometry, grid(41, 37))
        f = sinogram(geometry)
        by_torch, by_numba = back.on_device(back._filter(f)), back(f)
        assert float((by_torch - by_numba).abs().max()) < 2e-5 * float(by_numba.abs().max())


def test_bad_settings_are_refused():
    with pytest.raises(SettingError, match="filter"):
        FilteredBackProjection(PARALLEL, grid(8), window="boxcar")  # type: ignore[arg-type]
    for cutoff in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match="cutoff"):
            FilteredBackProjection(PARALLEL, grid(8), cutoff=cutoff)
    with pytest.raises(GeometryError, match="str"):
        FilteredBackProjection("parallel", grid(8))  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="sinogram"):
        FilteredBackProjection(PARALLEL, grid(8))(torch.zeros(1, 1, 3, 4))
