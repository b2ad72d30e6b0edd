"""Every field of a scan survives every format that claims it, or is refused by its name."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import read_scan
from ctrecon.io.facts import ELSEWHERE, FACTS, facts_of, read_facts
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan

VIEWS, DETECTORS = 5, 7
GEOMETRY = FanBeam(
    angles_rad=tuple(np.linspace(0, 6, VIEWS)), detector_count=DETECTORS, detector_spacing_mm=0.3,
    detector_offset_mm=0.1, source_to_axis_mm=50.0, source_to_detector_mm=80.0,
)  # fmt: skip


def values(seed):
    return np.random.default_rng(seed).random((VIEWS, DETECTORS)) + 0.5


VALUES = {
    "sinogram": values(0),
    "geometry": GEOMETRY,
    "grid": Grid(rows=3, columns=4, pixel_mm=0.6),
    "variance": values(1),
    "mask": np.eye(VIEWS, DETECTORS) == 0,
    "counts": values(2).astype(np.float32),
    "white": values(3),
    "whitened_mean": 0.97,
    "whitened_spread": 1.3,
    "matrix": sparse.random(VIEWS * DETECTORS, 12, 0.3, format="csr", rng=np.random.default_rng(4)),
    "image_shape": (3, 4),
    "length_unit": "cell",
    "water_mu_per_mm": 0.0193,
    "patient_position": "FFS",
    "study": {"PatientID": "42", "PatientName": "Müller^Jörg", "StudyInstanceUID": "1.2.3"},
    "z_mm": -12.5,
    "slice_mm": 0.75,
    "kvp": 120.0,
    "source": "elsewhere",
    "notes": ("this was assumed", "and \u2028 that"),
}
TOGETHER = {"counts": ("white",), "white": ("counts",), "image_shape": ("matrix",), "matrix": ("image_shape",)}
# The file's own name, by design.
NOT_KEPT = ("source",)


def same(a, b):
    """What a mask lacks is filled, so the values that stand there are the same, too."""
    if sparse.issparse(a):
        return a.shape == b.shape and a.dtype == b.dtype and (a != b).nnz == 0
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


def test_no_field_is_forgotten_here_and_none_has_its_default():
    assert set(VALUES) == {field.name for field in fields(Scan)}
    for field in fields(Scan):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        assert default is MISSING or default is None or VALUES[field.name] != default, field.name


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("name", VALUES)
def test_every_field_survives_or_is_refused_by_name(tmp_path, suffix, name):
    given = {key: VALUES[key] for key in (name, *TOGETHER.get(name, ()))}
    scan = Scan(**({"sinogram": VALUES["sinogram"], "geometry": GEOMETRY} | given))
    path = tmp_path / f"s{suffix}"
    if suffix == ".npy" and name in ("variance", "mask", "counts", "white", "matrix", "image_shape"):
        with pytest.raises(InputError, match="matrix" if name == "image_shape" else name):
            write_scan(path, scan)
        assert not list(tmp_path.iterdir())
        return
    write_scan(path, scan)
    back = read_scan(path)
    for field in fields(Scan):
        if field.name not in (*NOT_KEPT, "grid", "image_shape") or field.name == name not in NOT_KEPT:
            assert same(getattr(scan, field.name), getattr(back, field.name)), field.name


@pytest.mark.parametrize("without", ["nothing", "geometry", "grid"])
def test_all_fields_at_once_also_where_a_matrix_stands_alone(tmp_path, without):
    given = {key: value for key, value in VALUES.items() if key != without}
    scan = Scan(**given)
    for _ in range(2):  # and once more from what was read
        write_scan(tmp_path / "s.npz", scan)
        back = read_scan(tmp_path / "s.npz")
        kept = [key for key in given if key not in NOT_KEPT]
        assert len(kept) >= len(VALUES) - 2
        assert all(same(getattr(scan, key), getattr(back, key)) for key in kept), without
        scan = back


def test_a_field_that_nothing_reads_would_be_noticed():
    """A new field of ``Scan`` lands among the facts of itself, and there must be a reader for it."""
    assert set(FACTS) | set(ELSEWHERE) == set(VALUES)
    stated = json.loads(json.dumps(facts_of(Scan(**VALUES))))
    assert set(read_facts("x", stated)) == set(FACTS)
    with pytest.raises(InputError, match="unknown entry 'colour'"):
        read_facts("x", stated | {"colour": "red"})


@pytest.mark.parametrize("name", FACTS)
def test_what_a_file_says_of_a_field_is_checked(name):
    for bad in (True, [[1]], {"a": 1}, 1e999, [1.5, 2]):
        with pytest.raises(InputError, match=f'x: "{name}" in "scan" must be'):
            read_facts("x", {name: bad})


def test_a_matrix_whose_parts_do_not_fit_is_refused(tmp_path):
    scan = Scan(**VALUES)
    write_scan(tmp_path / "s.npz", scan)
    with np.load(tmp_path / "s.npz") as stored:
        arrays = dict(stored)
    for name, change in {
        "matrix_indices": lambda a: a + 12, "matrix_indptr": lambda a: a[::-1], "matrix_data": lambda a: a[1:],
        "matrix_columns": lambda a: a * 0, 
    }.items():
        np.savez(tmp_path / "bad.npz", **(arrays | {name: change(arrays[name])}))
        with pytest.raises(InputError, match=r"bad\.npz: .*matrix.* write the scan again"):
            read_scan(tmp_path / "bad.npz")


def test_a_rebinned_scan_says_more_than_its_values(tmp_path):
    """What made a series say HFS of a patient scanned FFS."""
    write_scan(tmp_path / "s.npz", replace(Scan(**VALUES), matrix=None, image_shape=None, grid=None))
    assert read_scan(tmp_path / "s.npz").patient_position == "FFS"
