"""The walnuts' folders are read as their authors' scripts do: pictures turned, views backwards, the first left out."""

from __future__ import annotations

import numpy as np
import pytest
from balls import ball, shows_every_turn
from walnut_files import COLUMNS, ROWS, VIEWS, orbit, tube

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan


def test_a_walnut(tmp_path):
    scan = read_scan(tube(tmp_path / "tubeV2"), all_rows=True)
    np.testing.assert_allclose(scan.geometry.to_vectors().cells(), orbit().to_vectors().cells(), atol=1e-6)
    shows_every_turn(scan.geometry, scan.sinogram)
    coarse = read_scan(tmp_path / "tubeV2", all_rows=True, bin=2)
    assert coarse.sinogram.shape == (VIEWS, ROWS // 2, COLUMNS // 2)
    assert np.abs(coarse.sinogram - ball(coarse.geometry)).max() < 0.15
    with pytest.raises(InputError, match="no detector row is a plane of its own; read the volume by --all-rows"):
        read_scan(tmp_path / "tubeV2")


def test_what_is_missing_is_said(tmp_path):
    folder = tube(tmp_path / "tubeV1")
    table = (folder / "scan_geom_corrected.geom").read_text()
    for bad, words in ((table.replace("e", "x"), "no table of numbers"), ("1 2 3\n4 5 6", "12 finite numbers"),
                       ("\n".join(table.splitlines()[:-2]), "holds 25 files .* for 23 views")):  # fmt: skip
        (folder / "scan_geom_corrected.geom").write_text(bad)
        with pytest.raises(InputError, match=words):
            read_scan(folder, all_rows=True)
    (folder / "scan_geom_corrected.geom").write_text(table)
    (folder / "io000001.tif").unlink()
    with pytest.raises(InputError, match=r"io000001\.tif is missing"):
        read_scan(folder, all_rows=True)
