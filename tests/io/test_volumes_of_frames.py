"""All rows of a parallel beam, from TIFF and NXtomo: a volume the right way round, and each row as it is by itself."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from balls import ball, noisy, shows_every_turn

from ctrecon.errors import InputError
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.io.arrays import read_scan

VIEWS, ROWS, COLUMNS, WHITE, DARK = 24, 16, 26, 40000.0, 500.0
DEGREES = np.arange(VIEWS) * 7.5
BEAM = ParallelRows(angles_rad=tuple(np.deg2rad(DEGREES)), detector_count=COLUMNS, detector_rows=ROWS)


def frames() -> dict[str, np.ndarray]:
    """Row 0 at the top, as cameras have it."""
    seen = np.rint(DARK + (WHITE - DARK) * np.exp(-noisy(ball(BEAM), 1e-4)))[:, ::-1]
    return {"p": seen, "white": np.full((3, ROWS, COLUMNS), WHITE), "dark": np.full((2, ROWS, COLUMNS), DARK)}


def tiffs(folder: Path) -> Path:
    folder.mkdir()
    for name, pictures in frames().items():
        for k, picture in enumerate(pictures):
            tifffile.imwrite(folder / f"{name}_{k:03}.tif", picture.astype(np.uint16))
    (folder / "angles.txt").write_text(" ".join(map(str, DEGREES)))
    return folder


def nexus(path: Path) -> Path:
    parts = frames()
    with h5py.File(path, "w") as file:
        detector = "entry/instrument/detector"
        file[f"{detector}/data"] = np.concatenate([parts["white"], parts["p"], parts["dark"]]).astype(np.uint16)
        file[f"{detector}/image_key"] = np.repeat([1, 0, 2], [3, VIEWS, 2])
        file["entry/sample/rotation_angle"] = np.concatenate([np.zeros(3), DEGREES, np.zeros(2)])
    return path


@pytest.mark.parametrize("kind", ["tiff", "nxtomo"])
def test_all_rows_are_a_volume(tmp_path, kind):
    path = tiffs(tmp_path / "a") if kind == "tiff" else nexus(tmp_path / "a.nxs")
    scan = read_scan(path, all_rows=True)
    assert scan.geometry == BEAM
    shows_every_turn(scan.geometry, scan.sinogram)
    assert scan.variance.shape == scan.counts.shape == scan.white.shape == BEAM.shape
    assert any("--center COLUMN moves it" in note for note in scan.notes)
    row = read_scan(path, row=5, center=(COLUMNS - 1) / 2)  # counted from the top
    np.testing.assert_allclose(row.sinogram, scan.sinogram[:, ROWS - 1 - 5], atol=1e-12)
    coarse = read_scan(path, all_rows=True, bin=2)
    assert coarse.sinogram.shape == (VIEWS, ROWS // 2, COLUMNS // 2)
    np.testing.assert_allclose(coarse.sinogram.sum() * 4, scan.sinogram.sum(), rtol=0.05)
    wide = read_scan(path, row=5, bin=2, center=(COLUMNS // 2 - 1) / 2)
    assert wide.sinogram.shape == (VIEWS, COLUMNS // 2)
    turned = read_scan(path, all_rows=True, geometry="parallel-180").geometry
    assert turned.shape == BEAM.shape


def test_what_is_no_stack_of_frames_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sinogram"] = np.ones((4, 5))
    tifffile.imwrite(tmp_path / "b.tif", np.ones((4, 5), np.float32))
    for name, words in (("a.h5", "are for NXtomo among HDF5 files"), ("b.tif", "is a single picture; drop --all-rows")):
        with pytest.raises(InputError, match=words):
            read_scan(tmp_path / name, all_rows=True, geometry="parallel-180")
