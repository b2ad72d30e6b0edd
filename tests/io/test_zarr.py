"""Zarr stores of both formats are read like ``.npz`` files; nothing is unpickled, followed or unpacked unchecked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from balls import ball, noisy

from ctrecon.errors import InputError
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.io.arrays import read_scan

FAN = FanBeam(angles_rad=tuple(np.arange(12) * 0.5), detector_count=17, detector_spacing_mm=0.5, source_to_axis_mm=60.0,
              source_to_detector_mm=90.0)  # fmt: skip
LINES = np.random.default_rng(0).random((12, 17))
BOTH = pytest.mark.parametrize("version", [2, 3])


def array(path: Path, values: np.ndarray, version: int = 3, **more: object) -> zarr.Array:
    made = zarr.create_array(str(path), shape=values.shape, dtype=values.dtype, zarr_format=version,
                             chunks=tuple(max(1, -(-n // 2)) for n in values.shape), **more)  # fmt: skip
    made[...] = values
    return made


@BOTH
def test_an_array_with_its_geometry_among_its_attributes(tmp_path, version):
    made = array(tmp_path / "a.zarr", LINES.astype(np.float32), version)
    made.attrs["geometry"] = FAN.to_dict()
    scan = read_scan(tmp_path / "a.zarr")
    assert scan.geometry == FAN
    np.testing.assert_array_equal(scan.sinogram, LINES.astype(np.float32))
    assert scan.notes == ("geometry from the file",)


@BOTH
def test_a_group_of_counts_with_angles_or_a_sidecar(tmp_path, version):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    counts = np.rint(1000 * np.exp(-LINES)).astype(np.uint16)
    for name, values in (("counts", counts), ("white", np.full(17, 1000.0)), ("other", np.ones(3))):
        array(tmp_path / "a.zarr" / name, values, version)
    group.attrs.update({"angles_deg": list(range(12)), "detector_spacing_mm": 0.5})
    scan = read_scan(tmp_path / "a.zarr")
    np.testing.assert_allclose(scan.sinogram, np.log(1000 / counts))
    assert scan.variance is not None
    assert scan.geometry.detector_spacing_mm == 0.5
    says = FAN.to_dict() | {"arrays": {"counts": "counts", "white": "white"}}
    (tmp_path / "a.json").write_text(json.dumps(says))
    assert read_scan(tmp_path / "a.zarr").geometry == FAN


def test_a_volume(tmp_path):
    cone = ConeBeam(angles_rad=tuple(np.arange(12) * 0.5), detector_count=17, detector_rows=9, detector_spacing_mm=2.0,
                    detector_row_spacing_mm=2.0, source_to_axis_mm=60.0, source_to_detector_mm=90.0)  # fmt: skip
    made = array(tmp_path / "a.zarr", noisy(ball(cone)))
    made.attrs["geometry"] = cone.to_dict()
    scan = read_scan(tmp_path / "a.zarr")
    assert scan.geometry == cone
    assert np.abs(scan.sinogram - ball(cone)).max() < 1e-4


def broken(folder: Path, version: int, change) -> Path:
    array(folder, LINES, version)
    place = folder / (".zarray" if version == 2 else "zarr.json")
    said = json.loads(place.read_text())
    change(said)
    place.write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize(("version", "change", "words"), [
    (2, lambda m: m.update(filters=[{"id": "pickle", "protocol": 5}]), "packed by 'pickle'"),
    (2, lambda m: m.update(dtype="|O"), "pickled Python objects"),
    (2, lambda m: m.update(compressor={"id": "x" * 99}), "packed by 'x+'"),
    (3, lambda m: m["codecs"].append({"name": "numcodecs.pickle"}), r"packed by 'numcodecs\.pickle'"),
    (3, lambda m: m.update(data_type="string"), "metadata are not those|holds text"),
    (2, lambda m: m.update(shape=[2**31, 2**31]), "claims .* bytes"),
    (3, lambda m: m.update(shape=[2**31, 2**31]), "claims .* bytes"),
    (2, lambda m: m.update(chunks=[2**20, 2**20]), "one chunk claims"),
    (2, lambda m: m.update(shape=[-1, 17]), "which cannot be"),
    (2, lambda m: m.pop("chunks"), "metadata are not those"),
])  # fmt: skip
def test_what_is_not_let_through(tmp_path, version, change, words):
    with pytest.raises(InputError, match=words):
        read_scan(broken(tmp_path / "a.zarr", version, change), geometry="parallel-180")


def test_damaged_stores_are_refused_in_one_line(tmp_path):
    folder = tmp_path / "a.zarr"
    array(folder, LINES)
    chunk = next(p for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_scan(folder, geometry="parallel-180")
    chunk.unlink()
    chunk.symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="is a link, which is not followed"):
        read_scan(folder, geometry="parallel-180")
    shutil.rmtree(folder / "c")
    with pytest.raises(InputError, match="stores no values"):
        read_scan(folder, geometry="parallel-180")
    (folder / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="no JSON text"):
        read_scan(folder, geometry="parallel-180")
