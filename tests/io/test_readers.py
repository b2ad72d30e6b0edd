"""Every format gives the scan that was written into it, and real scans come out the right way round."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from scipy import sparse

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.errors import InputError
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.io.write import write_scan
from ctrecon.measurement.counts import line_integrals
from ctrecon.measurement.scan import Scan

VIEWS, DETECTORS = 12, 17


def sinogram(seed=0, views=VIEWS, detectors=DETECTORS):
    return np.random.default_rng(seed).random((views, detectors))


def fan(views=VIEWS, detectors=DETECTORS, **more):
    angles = tuple(np.deg2rad(np.arange(views) * 7.5).tolist())
    common = {"detector_spacing_mm": 0.2, "source_to_axis_mm": 410.66, "source_to_detector_mm": 553.74}
    return FanBeam(angles_rad=angles, detector_count=detectors, **(common | more))


SIDECAR = {
    "geometry": "fan",
    "angles_deg": [7.5 * k for k in range(VIEWS)],
    "detector_spacing_mm": 0.2,
    "detector_offset_mm": 0,
    "source_to_axis_mm": 410.66,
    "source_to_detector_mm": 553.74,
    "image": {"size": 32, "pixel_mm": 0.1},
}


def write_json(path, values):
    path.write_text(json.dumps(values))
    return path


# npy and npz, sidecars


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


# MATLAB


def helsinki(angles=SIDECAR["angles_deg"], **more):
    parameters = {
        "distanceSourceOrigin": 410.66,
        "distanceSourceDetector": 553.74,
        "distanceUnit": "mm",
        "angles": np.asarray(angles, dtype=float)[None],
        "pixelSize": 0.05,
        "pixelSizePost": 0.2,
        "geometryType": "Cone",
    }
    return {"type": "2d", "sinogram": sinogram(), "parameters": parameters | more}


def save73(path, variables):
    """MATLAB 7.3 as MATLAB writes it: a 512-byte block before the HDF5, every array transposed."""

    def put(group, name, value):
        if isinstance(value, dict):
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, item in value.items():
                put(inner, key, item)
        elif isinstance(value, str):
            data = group.create_dataset(name, data=np.array([[ord(c)] for c in value], dtype=np.uint16))
            data.attrs["MATLAB_class"] = np.bytes_("char")
        elif sparse.issparse(value):
            value = value.tocsc()
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_("double")
            inner.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
            for key, item in (("data", value.data), ("ir", value.indices), ("jc", value.indptr)):
                inner.create_dataset(key, data=item if key == "data" else item.astype(np.uint64))
        else:
            data = group.create_dataset(name, data=np.atleast_2d(np.asarray(value, dtype=float)).T)
            data.attrs["MATLAB_class"] = np.bytes_("double")

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            put(file, name, value)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def save5(path, variables):
    scipy.io.savemat(path, variables, do_compression=True)


BOTH = pytest.mark.parametrize("save", [save5, save73])


@BOTH
@pytest.mark.parametrize("name", ["CtDataFull", "CtDataLimited"])
def test_helsinki(tmp_path, save, name):
    save(tmp_path / "h.mat", {name: helsinki()})
    scan = read_scan(tmp_path / "h.mat")
    np.testing.assert_array_equal(scan.sinogram, sinogram())
    assert scan.geometry == fan()


@BOTH
def test_helsinki_units_and_binning(tmp_path, save):
    data = helsinki(distanceSourceOrigin=41.066, distanceSourceDetector=55.374, pixelSizePost=0.02, distanceUnit="cm")
    save(tmp_path / "h.mat", {"CtDataFull": data})
    geometry = read_scan(tmp_path / "h.mat").geometry
    assert geometry.source_to_axis_mm == pytest.approx(410.66)
    assert geometry.detector_spacing_mm == pytest.approx(0.2)
    data = helsinki()
    del data["parameters"]["pixelSizePost"]
    save(tmp_path / "h.mat", {"CtDataFull": data})
    assert read_scan(tmp_path / "h.mat").geometry.detector_spacing_mm == 0.05


@BOTH
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"angles": [0.0, 1.0]}, "angles that do not match: .* has 2, the sinogram 12 views"),
        ({"distanceUnit": "inch"}, "distanceUnit 'inch' is unknown"),
        ({"distanceSourceOrigin": -1.0}, "source_to_axis_mm must be"),
        ({"distanceSourceOrigin": [1.0, 2.0]}, "must be one number"),
        ({"angles": [math.nan] * VIEWS}, "12 values that are not finite"),
    ],
)
def test_helsinki_with_wrong_parameters(tmp_path, save, change, words):
    save(tmp_path / "h.mat", {"CtDataFull": helsinki(**change)})
    with pytest.raises(InputError, match=rf"h\.mat: .*{words}"):
        read_scan(tmp_path / "h.mat")


@BOTH
def test_matrix_and_sinogram(tmp_path, save):
    """A maps the image stacked by columns to m = [detectors, views] stacked by columns, as MATLAB does."""
    side = 5
    A = sparse.random(VIEWS * DETECTORS, side * side, 0.2, format="csc", rng=np.random.default_rng(0))
    image = np.random.default_rng(1).random((side, side))
    m = (A @ image.ravel(order="F")).reshape((DETECTORS, VIEWS), order="F")
    save(tmp_path / "w.mat", {"A": A, "m": m})
    scan = read_scan(tmp_path / "w.mat")
    assert scan.geometry is None
    assert scan.image_shape == (side, side)
    np.testing.assert_allclose(scan.sinogram, m.T)
    np.testing.assert_allclose((scan.matrix @ image.ravel()).reshape(VIEWS, DETECTORS), scan.sinogram, rtol=1e-12)
    assert not np.allclose((scan.matrix @ image.T.ravel()).reshape(VIEWS, DETECTORS), scan.sinogram)
    kept = read_scan(tmp_path / "w.mat", every=3)
    np.testing.assert_allclose((kept.matrix @ image.ravel()).reshape(4, DETECTORS), m.T[::3], rtol=1e-12)
    with pytest.raises(InputError, match="--size"):
        read_scan(tmp_path / "w.mat", size=9)
    with pytest.raises(InputError, match="only a matrix"):
        read_scan(tmp_path / "w.mat", center="auto")


@BOTH
def test_matrix_that_does_not_fit(tmp_path, save):
    A = sparse.random(VIEWS * DETECTORS, 25, 0.2, format="csc", rng=np.random.default_rng(0))
    save(tmp_path / "w.mat", {"A": A, "m": np.zeros((DETECTORS, VIEWS + 1))})
    with pytest.raises(InputError, match=r"w\.mat: A has 204 rows, the sinogram m 221 values"):
        read_scan(tmp_path / "w.mat")
    save(tmp_path / "w.mat", {"A": A[:, :24], "m": np.zeros((DETECTORS, VIEWS))})
    with pytest.raises(InputError, match="24 columns, not the square"):
        read_scan(tmp_path / "w.mat")


@BOTH
def test_transmission_pair(tmp_path, save):
    rng = np.random.default_rng(0)
    blank = rng.uniform(50, 90, (DETECTORS, VIEWS))
    counts = rng.poisson(blank * 0.4)
    save(tmp_path / "a_trans.mat", {"test": counts.astype(float)})
    with pytest.raises(InputError, match=r"blank scan a_blank\.mat is not beside it"):
        read_scan(tmp_path / "a_trans.mat")
    save(tmp_path / "a_blank.mat", {"test": blank})
    with pytest.raises(InputError, match="nothing says how its"):
        read_scan(tmp_path / "a_trans.mat")
    scan = read_scan(tmp_path / "a_trans.mat", geometry="parallel-180")
    np.testing.assert_allclose(scan.sinogram, line_integrals(counts.T, blank.T).values)
    np.testing.assert_allclose(scan.white, blank.T)
    assert "as asked" in scan.notes[-1]
    save(tmp_path / "a_blank.mat", {"test": blank.T})
    with pytest.raises(InputError, match="its blank scan"):
        read_scan(tmp_path / "a_trans.mat")


# Data Exchange


def exchange(path, *, rows=3, white=True, dark=True, theta="deg", views=VIEWS, **more):
    rng = np.random.default_rng(0)
    beam, black = rng.uniform(8e3, 9e3, (rows, DETECTORS)), 50.0
    f = np.random.default_rng(1).random((views, rows, DETECTORS))
    with h5py.File(path, "w") as file:
        group = file.create_group("exchange")
        group.create_dataset("data", data=np.round(beam * np.exp(-f) + black), dtype="u2", compression="gzip", **more)
        if white:
            group["data_white"] = np.round(beam + black).astype("u2")[None].repeat(2, 0)
        if dark:
            group["data_dark"] = np.full((2, rows, DETECTORS), black)
        if theta:
            angles = np.linspace(0, 150, views)
            group["theta"] = angles if theta == "deg" else np.deg2rad(angles)
            group["theta"].attrs["units"] = "degrees" if theta == "deg" else "radians"
    return f


@pytest.mark.parametrize("theta", ["deg", "rad"])
@pytest.mark.parametrize("row", [None, 0, 2])
def test_data_exchange(tmp_path, theta, row):
    f = exchange(tmp_path / "d.h5", theta=theta)
    scan = read_scan(tmp_path / "d.h5", row=row, center=8)
    np.testing.assert_allclose(scan.sinogram, f[:, 1 if row is None else row], atol=1e-3)
    np.testing.assert_allclose(scan.geometry.angles_rad, np.deg2rad(np.linspace(0, 150, VIEWS)))
    assert (scan.variance > 0).all()
    assert any("no geometry file" in note for note in scan.notes)


def test_data_exchange_says_what_it_assumes(tmp_path):
    exchange(tmp_path / "d.h5", dark=False, theta="")
    with pytest.raises(InputError, match="nothing says how its"):
        read_scan(tmp_path / "d.h5", center=8)
    notes = " ".join(read_scan(tmp_path / "d.h5", center=8, geometry="parallel-180").notes)
    assert "detector row 1 of 0 to 2" in notes
    assert "no dark field" in notes
    assert "evenly over 180 degrees" in notes


def test_data_exchange_that_is_not_whole(tmp_path):
    exchange(tmp_path / "d.h5", white=False)
    with pytest.raises(InputError, match="no exchange/data_white"):
        read_scan(tmp_path / "d.h5", center=8)
    exchange(tmp_path / "d.h5")
    for row in (-1, 3):
        with pytest.raises(InputError, match=rf"detector rows 0 to 2, not {row}"):
            read_scan(tmp_path / "d.h5", row=row, center=8)
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        del file["exchange/theta"]
        file["exchange/theta"] = np.zeros(VIEWS + 1)
    with pytest.raises(InputError, match="angles that do not match: exchange/theta has 13 angles, exchange/data 12"):
        read_scan(tmp_path / "d.h5", center=8)


def test_plain_hdf5_with_a_sinogram(tmp_path):
    with h5py.File(tmp_path / "p.hdf5", "w") as file:
        file["sinogram"] = sinogram()
        file["link"] = h5py.SoftLink("/sinogram")
    write_json(tmp_path / "p.json", SIDECAR)
    np.testing.assert_array_equal(read_scan(tmp_path / "p.hdf5").sinogram, sinogram())
    write_json(tmp_path / "p.json", SIDECAR | {"arrays": {"sinogram": "link"}})
    np.testing.assert_array_equal(read_scan(tmp_path / "p.hdf5").sinogram, sinogram())


# One phantom through every format: nothing turns or mirrors on the way


def asymmetric(geometry):
    """A large disc, and small ones above left and to the right, so that every flip and turn shows."""
    points, directions = geometry.rays()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    total = np.zeros(geometry.shape)
    for x, y, r, mu in ((0, 0, 20, 0.02), (-9, 11, 4, 0.05), (13, 2, 3, 0.08)):
        away = (points[..., 0] - x) * unit[..., 1] - (points[..., 1] - y) * unit[..., 0]
        total += 2 * mu * np.sqrt(np.maximum(r**2 - away**2, 0))
    return total


def save_npy(path, f, geometry, grid):
    np.save(path.with_suffix(".npy"), f)
    return path.with_suffix(".npy")


def save_npz(path, f, geometry, grid):
    np.savez(path.with_suffix(".npz"), sinogram=f)
    return path.with_suffix(".npz")


def save_plain_mat(path, f, geometry, grid):
    scipy.io.savemat(path.with_suffix(".mat"), {"sinogram": f})
    return path.with_suffix(".mat")


def save_counts_h5(path, f, geometry, grid):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["exchange/data"] = (1e7 * np.exp(-f))[:, None]
        file["exchange/data_white"] = np.full((1, 1, f.shape[1]), 1e7)
        file["exchange/theta"] = np.rad2deg(geometry.angles_rad)
    return path.with_suffix(".h5")


@pytest.mark.parametrize("save", [save_npy, save_npz, save_plain_mat, save_counts_h5])
def test_an_asymmetric_phantom_stands_upright_in_every_format(tmp_path, save):
    grid = Grid(rows=48, columns=48)
    geometry = ParallelBeam(angles_rad=tuple(np.arange(90) * math.pi / 90), detector_count=64, detector_offset_mm=0.5)
    path = save(tmp_path / "p", asymmetric(geometry), geometry, grid)
    path.with_suffix(".json").write_text(geometry_to_json(geometry, grid))
    scan = read_scan(path)
    assert scan.geometry == geometry
    image = FilteredBackProjection(scan.geometry, scan.grid)(torch.from_numpy(scan.sinogram)[None, None])[0, 0].numpy()
    x, y = grid.x_mm[None, :], grid.y_mm[:, None]
    truth = 0.02 * (x**2 + y**2 < 400) + 0.05 * ((x + 9) ** 2 + (y - 11) ** 2 < 16)
    truth += 0.08 * ((x - 13) ** 2 + (y - 2) ** 2 < 9)
    upright = np.corrcoef(image.ravel(), truth.ravel())[0, 1]
    turned = [np.rot90(side, k) for side in (truth, truth[:, ::-1]) for k in range(4)][1:]
    assert upright > 0.95
    assert max(np.corrcoef(image.ravel(), other.ravel())[0, 1] for other in turned) < 0.8


# Real scans


DATA = Path(os.environ.get("CTRECON_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "sinograms"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here: set CTRECON_DATA to their folder")


def matthews(a, b):
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    return float(np.corrcoef(a, b)[0, 1])


def fbp(scan):
    data = torch.from_numpy(scan.sinogram)[None, None]
    return FilteredBackProjection(scan.geometry, scan.grid, window="hann")(data)[0, 0].numpy()


@real
@pytest.mark.parametrize("name", ["ta", "tb"])
def test_helsinki_discs_lie_on_the_challenges_truth(name):
    from skimage.filters import threshold_otsu
    from skimage.io import imread

    scan = read_scan(DATA / "htc2022" / f"htc2022_{name}_full.mat")
    assert scan.grid == Grid(rows=512, columns=512, pixel_mm=0.1483)
    assert scan.geometry.shape == (721, 560)
    image = fbp(scan)
    truth = imread(DATA / "htc2022" / f"htc2022_{name}_segmentation.png") > 0
    found = image > threshold_otsu(image)
    assert matthews(found, truth) >= 0.95
    for wrong in (found[:, ::-1], found[::-1], np.rot90(found)):
        assert matthews(wrong, truth) < 0.8


@real
def test_the_tooth_and_its_axis():
    scan = read_scan(DATA / "tooth" / "tooth.h5")
    column = (scan.geometry.detector_count - 1) / 2 - scan.geometry.detector_offset_mm
    assert column == pytest.approx(296, abs=1)
    assert any("rotation axis estimated" in note for note in scan.notes)
    named = read_scan(DATA / "tooth" / "tooth.h5", center=296, row=1)
    assert (319.5 - named.geometry.detector_offset_mm) == pytest.approx(296)
    assert 0.5 < float(np.median(np.exp(named.sinogram))) < 1.5


@real
def test_the_thorax_has_water_in_it_and_stands_on_the_table():
    scan = read_scan(DATA / "thorax_transmission" / "phan_trans.mat")
    assert scan.grid == Grid(rows=128, columns=128, pixel_mm=4.21875)
    assert scan.counts is not None
    image = fbp(scan)
    assert np.median(image[80:95, 45:85]) == pytest.approx(0.0096, rel=0.15)
    # The spine, of something denser than water, lies in the lower half: the table is below.
    assert image[45:90, 55:80].mean(axis=1).argmax() + 45 > 70
