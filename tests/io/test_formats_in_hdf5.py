"""What others keep in HDF5: NXtomo, CIL, LoDoPaB."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from format_files import cil, close, fan, line_integrals, nxtomo, parallel

from ctrecon.errors import InputError
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan


def test_nxtomo(tmp_path):
    expected = line_integrals(parallel())
    scan = read_scan(nxtomo(tmp_path / "a.nxs", expected), center=11.5)
    assert close(scan, expected)
    np.testing.assert_allclose(scan.geometry.angles_rad, parallel().angles_rad)
    assert any("1 frames that are called invalid" in note for note in scan.notes)
    for keys, said in (([0] * 41, "0 flat frames"), ([0] * 3, "3 keys")):
        with pytest.raises(InputError, match=said):
            read_scan(nxtomo(tmp_path / "b.nxs", expected, keys=keys))


@pytest.mark.parametrize("geometry", [fan(detector_offset_mm=0.7), parallel(detector_offset_mm=-0.4)])
def test_cil(tmp_path, geometry):
    expected = line_integrals(geometry)
    scan = read_scan(cil(tmp_path / "a.nxs", expected, geometry, shift=2.5))
    assert close(scan, expected, 1e-5)
    np.testing.assert_allclose(line_integrals(scan.geometry), expected, atol=1e-4)
    turned = read_scan(cil(tmp_path / "b.nxs", expected[:, ::-1], geometry, origin="bottom-right"))
    assert close(turned, expected, 1e-5)
    whole = np.stack([expected] * 3, axis=1)
    assert close(read_scan(cil(tmp_path / "c.nxs", whole, geometry)), expected, 1e-5)


def test_lodopab(tmp_path):
    values = np.zeros((3, 1000, 513), np.float32)
    half = np.hypot(260, 260) / 2
    geometry = ParallelBeam(angles_rad=tuple((np.arange(1000) + 0.5) * np.pi / 1000), detector_count=513,
                            detector_spacing_mm=2 * half / 513)  # fmt: skip
    values[1] = line_integrals(geometry) / 81.35858
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file.create_dataset("data", data=values, chunks=(1, 1000, 513))
    scan = read_scan(tmp_path / "observation_test_000.hdf5", image=1)
    assert close(scan, line_integrals(geometry), 1e-5)
    assert scan.grid.shape == (362, 362)
    assert scan.grid.size_mm == pytest.approx((260, 260))
    np.testing.assert_allclose(line_integrals(scan.geometry), line_integrals(geometry), atol=1e-9)
    assert any("--image" in note for note in read_scan(tmp_path / "observation_test_000.hdf5").notes)
    for ask, said in (({"image": 3}, "images 0 to 2, not 3"), ({"row": 1}, "--image")):
        with pytest.raises(InputError, match=said):
            read_scan(tmp_path / "observation_test_000.hdf5", **ask)
