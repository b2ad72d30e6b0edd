"""Numbers of NumPy and what stands beside them: every way to say what a sinogram is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from reader_scans import DETECTORS, SIDECAR, VIEWS, fan, sinogram, write_json

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.io.write import write_scan
from ctrecon.measurement.counts import line_integrals
from ctrecon.measurement.scan import Scan


@pytest.mark.parametrize("dtype", ["float64", "float32", ">f8", "float16", "int32", "uint16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_every_number_type(tmp_path, dtype, order):
    f = np.asarray(sinogram() * 100, dtype=dtype, order=order)
    np.save(tmp_path / "s.npy", f)
    scan = read_scan(tmp_path / "s.npy", geometry="parallel-180")
    np.testing.assert_array_equal(scan.sinogram, f.astype(np.float64))
    assert scan.sinogram.dtype == (np.float32 if dtype in ("float32", "float16") else np.float64)
    assert scan.sinogram.flags.c_contiguous


def test_without_a_sidecar_parallel_beams_must_be_asked_for(tmp_path):
    np.save(tmp_path / "s.npy", sinogram())
    scan = read_scan(tmp_path / "s.npy", geometry="parallel-180")
    assert scan.geometry == ParallelBeam(
        angles_rad=tuple((np.arange(VIEWS) * math.pi / VIEWS).tolist()), detector_count=DETECTORS
    )
    assert scan.grid == Grid(rows=DETECTORS, columns=DETECTORS)
    assert scan.length_unit == "cell"
    assert any("as asked: parallel beams, angles evenly over 180 degrees, unit pixels" in note for note in scan.notes)
    whole = read_scan(tmp_path / "s.npy", geometry="parallel-360").geometry
    np.testing.assert_allclose(whole.angles_rad, 2 * np.asarray(scan.geometry.angles_rad))


def test_a_sidecar_beside_the_data_and_a_geometry_file_before_it(tmp_path):
    np.save(tmp_path / "s.npy", sinogram())
    write_json(tmp_path / "s.json", SIDECAR)
    scan = read_scan(tmp_path / "s.npy")
    assert scan.geometry == fan()
    assert scan.grid == Grid(rows=32, columns=32, pixel_mm=0.1)
    assert scan.notes == ("geometry from s.json",)
    other = write_json(tmp_path / "other.json", SIDECAR | {"detector_offset_mm": 0.3})
    assert read_scan(tmp_path / "s.npy", geometry=other).geometry == fan(detector_offset_mm=0.3)


def test_every_size_pixel_and_center(tmp_path):
    np.save(tmp_path / "s.npy", sinogram())
    write_json(tmp_path / "s.json", SIDECAR)
    scan = read_scan(tmp_path / "s.npy", every=5, size=64, center=7)
    np.testing.assert_array_equal(scan.sinogram, sinogram()[::5])
    assert scan.grid == Grid(rows=64, columns=64, pixel_mm=0.05)
    assert scan.geometry.detector_offset_mm == pytest.approx((8 - 7) * 0.2)
    assert read_scan(tmp_path / "s.npy", center="7").geometry.detector_offset_mm == pytest.approx(0.2)
    assert read_scan(tmp_path / "s.npy", pixel_mm=0.2).grid.rows == 16
    with pytest.raises(InputError, match="a column or auto"):
        read_scan(tmp_path / "s.npy", center="left")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("with_grid", [True, False])
def test_what_is_written_is_read_back_bit_for_bit(tmp_path, suffix, with_grid):
    grid = Grid(rows=20, columns=20, pixel_mm=0.3)
    geometry = fan(detector_offset_mm=0.123456789)
    variance = sinogram(1) + 0.1 if suffix == ".npz" else None
    scan = Scan(sinogram=sinogram(), geometry=geometry, grid=grid if with_grid else None, variance=variance)
    write_scan(tmp_path / f"s{suffix}", scan)
    back = read_scan(tmp_path / f"s{suffix}")
    np.testing.assert_array_equal(back.sinogram, scan.sinogram)
    assert back.geometry == geometry
    if with_grid:
        assert back.grid == grid
    if variance is not None:
        np.testing.assert_array_equal(back.variance, variance)
    first = (tmp_path / f"s{suffix}").read_bytes()
    write_scan(tmp_path / f"s{suffix}", replace(scan))
    if suffix == ".npy":
        assert (tmp_path / f"s{suffix}").read_bytes() == first


def test_npz_with_angles_or_counts(tmp_path):
    np.savez_compressed(
        tmp_path / "a.npz",
        sinogram=sinogram(),
        angles_deg=np.asarray(SIDECAR["angles_deg"]),
        detector_spacing_mm=0.2,
        source_to_axis_mm=410.66,
        source_to_detector_mm=553.74,
    )
    assert read_scan(tmp_path / "a.npz").geometry == fan()
    assert read_scan(tmp_path / "a.npz").notes == ("geometry from the file",)
    np.savez(tmp_path / "b.npz", sinogram=sinogram(), angles_deg=np.asarray(SIDECAR["angles_deg"]))
    bare = read_scan(tmp_path / "b.npz")
    assert bare.geometry.detector_spacing_mm == 1
    assert "no detector_spacing_mm, so lengths are in detector cells" in bare.notes[0]
    assert (bare.length_unit, bare.in_mm) == ("cell", False)
    np.savez(tmp_path / "f.npz", sinogram=sinogram(), angles_deg=np.arange(VIEWS), source_to_axis_mm=410.66)
    with pytest.raises(InputError, match="source_to_axis_mm but no detector_spacing_mm"):
        read_scan(tmp_path / "f.npz")
    counts = np.random.default_rng(0).poisson(500.0, (VIEWS, DETECTORS))
    np.savez(tmp_path / "c.npz", counts=counts, white=np.full(DETECTORS, 1000.0), dark=np.full((4, DETECTORS), 10.0))
    scan = read_scan(tmp_path / "c.npz", geometry="parallel-180")
    expected = line_integrals(counts, 1000.0, 10.0)
    np.testing.assert_allclose(scan.sinogram, expected.values)
    np.testing.assert_allclose(scan.variance, expected.variance)
    np.testing.assert_allclose(scan.counts, counts - 10)


def test_an_old_geometry_file_beside_the_data_is_pointed_out(tmp_path):
    write_scan(tmp_path / "s.npz", Scan(sinogram=sinogram(), geometry=fan(), grid=None))
    write_json(tmp_path / "s.json", {key: value for key, value in SIDECAR.items() if key != "image"})
    assert read_scan(tmp_path / "s.npz").notes == ("geometry from s.json",), "the same one: nothing to say"
    write_json(tmp_path / "s.json", SIDECAR | {"detector_offset_mm": 0.3})
    scan = read_scan(tmp_path / "s.npz")
    assert scan.geometry == fan(detector_offset_mm=0.3)
    assert "own differs and was not used" in scan.notes[0]


def test_arrays_of_any_name_and_in_files_beside(tmp_path):
    counts = np.random.default_rng(0).poisson(500.0, (VIEWS, DETECTORS)).astype(float)
    scipy.io.savemat(tmp_path / "x.mat", {"raw": counts.T, "other": np.ones((3, 3))})
    scipy.io.savemat(tmp_path / "flat.mat", {"f": np.full((DETECTORS, VIEWS), 900.0)})
    np.save(tmp_path / "d.npy", np.full(DETECTORS, 5.0))
    arrays = {"counts": "raw", "white": "flat.mat:f", "dark": "d.npy", "detectors_first": True, "electronic_sigma": 2}
    write_json(tmp_path / "x.json", SIDECAR | {"arrays": arrays})
    scan = read_scan(tmp_path / "x.mat")
    expected = line_integrals(counts, 900.0, 5.0, electronic_sigma=2)
    np.testing.assert_allclose(scan.sinogram, expected.values)
    np.testing.assert_allclose(scan.variance, expected.variance)
    assert scan.geometry == fan()
    for wrong in ("../flat.mat:f", "/etc/passwd:f", "..:f", "a/b.npy", "a\\b.npy"):
        write_json(tmp_path / "x.json", SIDECAR | {"arrays": arrays | {"white": wrong}})
        with pytest.raises(InputError, match=r"same folder|there is no such file"):
            read_scan(tmp_path / "x.mat")


def test_a_row_of_a_stack(tmp_path):
    stack = np.random.default_rng(0).uniform(0.05, 1, (VIEWS, 3, DETECTORS))  # as counts, none that is nearly none
    np.save(tmp_path / "s.npy", stack)
    np.testing.assert_array_equal(read_scan(tmp_path / "s.npy", row=1, geometry="parallel-180").sinogram, stack[:, 1])
    np.save(tmp_path / "flat.npy", stack[:, 1])
    scipy.io.savemat(tmp_path / "A.mat", {"A": scipy.sparse.eye(4, format="csc"), "m": np.ones((2, 2))})
    for name in ("flat.npy", "A.mat"):
        with pytest.raises(InputError, match="drop --row"):
            read_scan(tmp_path / name, row=1, geometry="parallel-180")
    # White frames of one row beside counts of several are frames still.
    np.savez(tmp_path / "c.npz", counts=100 * stack, white=np.full((4, DETECTORS), 200.0))
    scan = read_scan(tmp_path / "c.npz", row=2, geometry="parallel-180")
    np.testing.assert_array_equal(scan.counts, 100 * stack[:, 2])
