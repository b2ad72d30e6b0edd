"""HDF5: Data Exchange, whole and not whole, and a plain sinogram."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from reader_scans import DETECTORS, SIDECAR, VIEWS, sinogram, write_json

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan


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


def test_what_lies_deeper_is_found_and_what_lies_elsewhere_is_named(tmp_path):
    """Programs of beamlines write groups, and a file that only links to the detector's own."""
    write_json(tmp_path / "deep.json", SIDECAR)
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file["entry/detector/detector"] = sinogram()
        file["entry/detector/time"] = np.zeros(VIEWS)
    np.testing.assert_array_equal(read_scan(tmp_path / "deep.h5").sinogram, sinogram())
    with h5py.File(tmp_path / "deep.h5", "a") as file:
        file["entry/other/data"] = sinogram()
    with pytest.raises(InputError, match=r"its arrays \(entry/detector/detector, entry/other/data\)"):
        read_scan(tmp_path / "deep.h5")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["entry/imaging/data"] = h5py.ExternalLink("deep.h5", "/entry/detector/detector")
    with pytest.raises(InputError, match=r"data is a link into another file .*`h5copy -f ext -i links\.h5"):
        read_scan(tmp_path / "links.h5")
