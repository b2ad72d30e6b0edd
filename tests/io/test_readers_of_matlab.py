"""Files of MATLAB, old and 7.3: the Helsinki data, a matrix with its sinogram, a scan with its blank."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
import scipy.io
from reader_scans import DETECTORS, SIDECAR, VIEWS, fan, sinogram
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.counts import line_integrals


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
