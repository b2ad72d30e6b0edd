"""Pictures and bare numbers: folders of TIFF, pages of one, raw files, arrays the other way round."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch
from format_files import (
    CELLS,
    DARK,
    DISC_MM,
    MU,
    VIEWS,
    WHITE,
    close,
    constant,
    fan,
    line_integrals,
    parallel,
    put_tiffs,
    stack,
)

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import read_scan
from ctrecon.operators.choose import choose_operator


def test_a_folder_of_tiffs_with_white_dark_and_angles(tmp_path):
    expected = line_integrals(parallel())
    put_tiffs(tmp_path / "a", stack(expected, 1), "proj_")  # proj_2 before proj_10
    put_tiffs(tmp_path / "a", constant(WHITE), "white_")
    put_tiffs(tmp_path / "a" / "dark", constant(DARK), "")
    (tmp_path / "a" / "angles.txt").write_text("\n".join(str(5.0 * k) for k in range(VIEWS)))
    scan = read_scan(tmp_path / "a", center=(CELLS - 1) / 2)
    assert close(scan, expected)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("angles.txt" in note for note in scan.notes)
    assert not close(read_scan(tmp_path / "a", center=11.5, row=2), expected)  # another row is another plane
    with pytest.raises(InputError, match="rows 0 to 3, not 4"):
        read_scan(tmp_path / "a", row=4)
    tifffile.imwrite(tmp_path / "a" / "proj_7.tif", np.zeros((3, 3), np.uint16))
    with pytest.raises(InputError, match=r"proj_7\.tif: holds a picture of \(3, 3\)"):
        read_scan(tmp_path / "a")


def test_one_tiff_of_many_pages_and_a_sinogram(tmp_path):
    expected = line_integrals(parallel())
    tifffile.imwrite(tmp_path / "scan.tif", stack(expected, 1), photometric="minisblack")
    with pytest.raises(InputError, match="no white frames"):
        read_scan(tmp_path / "scan.tif")
    tifffile.imwrite(tmp_path / "flat.tif", constant(WHITE), photometric="minisblack")
    tifffile.imwrite(tmp_path / "dark.tif", constant(DARK), photometric="minisblack")
    with pytest.raises(InputError, match="nothing says how"):
        read_scan(tmp_path / "scan.tif")
    assert close(read_scan(tmp_path / "scan.tif", geometry="parallel-180"), expected)
    tifffile.imwrite(tmp_path / "b.tif", expected.astype(np.float32))
    assert close(read_scan(tmp_path / "b.tif", geometry="parallel-180"), expected, 1e-6)
    (tmp_path / "c.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:200])
    with pytest.raises(InputError, match=r"c\.tif"):
        read_scan(tmp_path / "c.tif", geometry="parallel-180")


def test_angles_of_another_number_or_in_radians(tmp_path):
    put_tiffs(tmp_path / "a", stack(line_integrals(parallel()), 1), "p")
    put_tiffs(tmp_path / "a", constant(WHITE), "white")
    (tmp_path / "a" / "theta.txt").write_text("0 1 2")
    with pytest.raises(InputError, match="3 angles for 36 views"):
        read_scan(tmp_path / "a")
    (tmp_path / "a" / "theta.txt").write_text(" ".join(str(a) for a in parallel().angles_rad))
    scan = read_scan(tmp_path / "a", center=11.5)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("radians" in note for note in scan.notes)


def test_raw_with_a_sidecar(tmp_path):
    expected = line_integrals(fan())
    says = {"geometry": "fan", "angles_rad": list(fan().angles_rad), "detector_spacing_mm": 1.0,
            "source_to_axis_mm": 60, "source_to_detector_mm": 90}  # fmt: skip
    raw = {"type": "uint16", "order": "big", "shape": [VIEWS, CELLS], "offset": 16, "white": 60000}
    values = np.rint(60000 * np.exp(-expected)).astype(">u2")
    (tmp_path / "a.raw").write_bytes(bytes(16) + values.tobytes())
    (tmp_path / "a.json").write_text(json.dumps({**says, "raw": raw}))
    scan = read_scan(tmp_path / "a.raw")
    assert close(scan, expected, 1e-4)
    assert scan.geometry == fan()
    (tmp_path / "a.json").write_text(json.dumps({**says, "raw": {**raw, "shape": [VIEWS, CELLS + 1]}}))
    with pytest.raises(InputError, match="correct the entry raw"):
        read_scan(tmp_path / "a.raw")
    (tmp_path / "a.json").write_text(json.dumps(says))
    with pytest.raises(InputError, match='needs the entry "raw"'):
        read_scan(tmp_path / "a.raw")


def test_detectors_before_views(tmp_path):
    """As scikit-image's radon has it: turned where the geometry says so."""
    geometry = parallel()
    expected = line_integrals(geometry)
    says = {"geometry": "parallel", "angles_rad": list(geometry.angles_rad), "detector_spacing_mm": 1.0}
    (tmp_path / "a.json").write_text(json.dumps(says))
    np.save(tmp_path / "a.npy", expected.T)
    scan = read_scan(tmp_path / "a.npy")
    assert close(scan, expected, 1e-6)
    assert any("[detectors, views], and turned" in note for note in scan.notes)
    np.save(tmp_path / "a.npy", expected)
    plain = read_scan(tmp_path / "a.npy")
    np.testing.assert_array_equal(plain.sinogram, scan.sinogram)
    assert not any("turned" in note for note in plain.notes)
    np.save(tmp_path / "a.npy", expected[:, :-1].T[:, :-1])
    with pytest.raises(InputError):
        read_scan(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", expected.T)
    assert close(read_scan(tmp_path / "b.npy", geometry=geometry), expected, 1e-6)


def test_the_disc_of_these_tests_is_where_the_operator_sees_it():
    """The line integrals above and the library's own projector agree, so a wrong convention here would be seen."""
    grid = Grid(rows=120, columns=120, pixel_mm=0.2)
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    image = MU * ((x - 4) ** 2 + (y - 1.5) ** 2 < DISC_MM**2)
    for geometry in (fan(detector_offset_mm=0.7), parallel()):
        operator = choose_operator(geometry, grid)
        seen = operator(torch.from_numpy(image[None, None].astype(np.float32)))[0, 0].numpy()
        assert np.abs(seen - line_integrals(geometry)).max() < 0.06
        assert np.abs(seen[:, ::-1] - line_integrals(geometry)).max() > 0.15
