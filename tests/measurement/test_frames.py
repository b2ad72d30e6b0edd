"""White and dark frames tell bad cells and drift: images gain by it, and a clean scan stays as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.classical.cgls import cgls
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.frames import bad_cells, white_by_view
from ctrecon.operators.choose import choose_operator

SIZE, VIEWS, WHITE, DARK = 48, 60, 4000.0, 300.0
WHITES, DARKS = 10, 8
GAIN = 1 + 0.1 * np.sin(np.arange(SIZE + 16) / 5)  # cells differ, as they do


@cache
def made() -> ct.Simulated:
    plain = ct.simulate("chest", beam="parallel", size=SIZE, views=VIEWS, noise=0.0, seed=2)
    return ct.simulate("chest", geometry=replace(plain.scan.geometry, detector_count=SIZE + 16), grid=plain.scan.grid,
                       noise=0.0, seed=2)  # fmt: skip


def nxtomo(path: Path, *, drift: float = 0.0, fault: str = "") -> Path:
    """Five white frames before and after, dark ones at the end; the beam fades by ``drift`` on the way."""
    rng = np.random.default_rng(5)
    f = made().scan.sinogram.astype(float)
    when = np.concatenate([np.zeros(WHITES // 2), (np.arange(VIEWS) + 0.5) / VIEWS, np.ones(WHITES // 2)])
    open_beam = WHITE * GAIN * (1 - drift * when[:, None])
    let = np.ones_like(open_beam)
    let[WHITES // 2 : WHITES // 2 + VIEWS] = np.exp(-f)
    black = np.full(f.shape[1], DARK)
    sensitive = np.ones(f.shape[1])
    if fault == "hot":
        black[[30, 41]] += [0.8 * WHITE, 0.4 * WHITE]
    if fault == "dull":
        sensitive[[30, 41]] = [0.08, 0.1]
    frames = black + rng.poisson(sensitive * open_beam * let) + 3 * rng.standard_normal(open_beam.shape)
    if fault == "hot":  # a hot cell is no steady one
        frames[:, [30, 41]] += 0.1 * WHITE * rng.standard_normal((len(frames), 2))
    if fault == "dull":
        frames[:, [30, 41]] += 30 * rng.standard_normal((len(frames), 2))
    dark = black + 3 * rng.standard_normal((DARKS, f.shape[1]))
    keys = np.concatenate([np.ones(WHITES // 2), np.zeros(VIEWS), np.ones(WHITES // 2), np.full(DARKS, 2)])
    angles = np.concatenate([np.zeros(WHITES // 2), np.rad2deg(made().scan.geometry.angles_rad),
                             np.zeros(WHITES // 2 + DARKS)])  # fmt: skip
    with h5py.File(path, "w") as file:
        detector = "entry/instrument/detector"
        file[f"{detector}/data"] = np.rint(np.maximum(np.concatenate([frames, dark]), 0))[:, None]
        file[f"{detector}/image_key"] = keys.astype(int)
        file["entry/sample/rotation_angle"] = angles
    return path


def decibels(scan: ct.Scan) -> float:
    simulated, usable = made(), None if scan.mask is None else torch.from_numpy(scan.mask)[None, None].float()
    data = torch.from_numpy(scan.sinogram)[None, None].float()
    operator = choose_operator(simulated.scan.geometry, simulated.scan.grid)
    found = cgls(operator, data, weights=usable, most_iterations=12).image[0, 0].numpy().astype(float)
    return float(20 * np.log10(np.ptp(simulated.truth) / np.sqrt(np.mean((found - simulated.truth) ** 2))))


def read(path: Path) -> ct.Scan:
    return read_scan(path, center=(SIZE + 15) / 2)


def without_it(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from ctrecon.io import framed

    given = {"bad_cells": lambda *_: None, "white_by_view": lambda white, *_: (white.mean(axis=0), "")}[what]
    monkeypatch.setattr(framed, what, given)


@pytest.mark.parametrize(("fault", "what", "words"), [
    ("hot", "bad_cells", "2 hot"), ("dull", "bad_cells", "2 dull"), ("", "white_by_view", "drifts by up to"),
])  # fmt: skip
def test_images_gain(tmp_path, monkeypatch, fault, what, words):
    path = nxtomo(tmp_path / "a.nxs", fault=fault, drift=0.0 if fault else 0.12)
    scan = read(path)
    after = decibels(scan)
    assert any(words in note for note in scan.notes), scan.notes
    if fault:
        assert np.flatnonzero(~scan.mask.any(axis=0)).tolist() == [30, 41]
    without_it(monkeypatch, what)
    assert after > decibels(read(path)) + 0.5


def test_a_clean_scan_stays_as_it_is(tmp_path, monkeypatch):
    path = nxtomo(tmp_path / "a.nxs")
    scan = read(path)
    assert scan.mask is None
    assert any("2 groups of white frames agree: their mean is taken" in note for note in scan.notes)
    after = decibels(scan)
    for what in ("bad_cells", "white_by_view"):
        without_it(monkeypatch, what)
    assert abs(after - decibels(read(path))) <= 0.05


def test_many_strange_cells_are_how_the_camera_is():
    rng = np.random.default_rng(0)
    white, dark = 1000 + rng.standard_normal((6, 64)), rng.standard_normal((6, 64))
    white[:, ::4] = 50
    assert bad_cells(white, dark) is None
    assert bad_cells(white[:, :8], dark[:, :8]) is None
    white[:, ::4] = 1000 + rng.standard_normal((6, 16))
    assert bad_cells(white, dark) is None
    white[:, 7] = 4000
    white[:, 9] += 200 * rng.standard_normal(6)
    found = bad_cells(white, dark)
    assert found is not None
    assert found.counts == {"bright": 1, "noisy": 1}
    assert np.flatnonzero(~found.usable).tolist() == [7, 9]


def test_the_field_is_linear_between_groups_and_steady_beyond():
    white = np.repeat([[100.0], [80.0], [120.0]], 4, axis=0) * np.ones(5)
    field, note = white_by_view(white, np.repeat([10, 30, 50], 4), 60)
    assert "drifts by up to 20.00% between 3 groups" in note
    np.testing.assert_allclose(field[:10], 100)
    np.testing.assert_allclose(field[19:21].mean(axis=0), 90)
    np.testing.assert_allclose(field[30:50, 0], 80 + 2 * (np.arange(20) + 0.5))
    np.testing.assert_allclose(field[50:], 120)
    assert white_by_view(white, np.zeros(12), 60)[0].shape == (5,)
