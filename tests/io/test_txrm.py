"""Zeiss ``.txrm``: rows and volumes come out the right way round; what is no scan is refused."""

from __future__ import annotations

import numpy as np
import pytest
from balls import ball, noisy, shows_every_turn
from fuzz_readers import outcome
from zeiss_files import COLUMNS, ROWS, VIEWS, cone, level, txrm

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan


def test_a_cone_beam(tmp_path):
    path = txrm(tmp_path / "a.txrm", noisy(ball(cone()), 1e-4))
    scan = read_scan(path, all_rows=True)
    assert scan.geometry == cone()
    shows_every_turn(scan.geometry, scan.sinogram)
    assert scan.variance is not None
    plane = read_scan(path, row=8)
    np.testing.assert_allclose(plane.sinogram, scan.sinogram[:, 8], atol=1e-12)
    assert plane.geometry.source_to_detector_mm == 120
    coarse = read_scan(path, all_rows=True, bin=2)
    assert coarse.sinogram.shape == (VIEWS, ROWS // 2, COLUMNS // 2)
    assert np.abs(coarse.sinogram - ball(coarse.geometry)).max() < 0.15


def test_a_parallel_beam(tmp_path):
    scan = read_scan(txrm(tmp_path / "a.txrm", noisy(ball(level()), 1e-4), beam=2), all_rows=True)
    assert scan.geometry == level()
    shows_every_turn(scan.geometry, scan.sinogram)
    row = read_scan(tmp_path / "a.txrm", row=10, center=(COLUMNS - 1) / 2)
    np.testing.assert_allclose(row.sinogram, scan.sinogram[:, 10], atol=1e-12)


def test_the_samples_drift_is_undone(tmp_path):
    lines = noisy(ball(cone()), 1e-4)
    path = txrm(tmp_path / "a.txrm", np.roll(lines, -2, axis=2), shift=2)
    scan = read_scan(path, all_rows=True)
    assert np.abs(scan.sinogram - ball(cone()))[..., 2:].max() < 0.05  # the white field is of other cells
    assert not scan.mask[..., :2].any()
    assert any("drift of up to 2 cells is undone" in note for note in scan.notes)


@pytest.mark.parametrize(("change", "words"), [
    ({"ReferenceData__Image": None}, "holds no white frame"),
    ({"ImageInfo__Angles": None}, "has no ImageInfo/Angles"),
    ({"ImageInfo__DataType": np.int32(7).tobytes()}, "DataType is no known type"),
    ({"ImageInfo__AcquisitionMode": np.int32(2).tobytes()}, "holds no projections of a turn"),
    ({"ImageInfo__ImageWidth": np.int32(-4).tobytes()}, "claims 30 pictures of 16 x -4"),
    ({"ImageInfo__ImageWidth": np.int32(50000).tobytes()}, "where 3200000 are needed"),
    ({"ImageInfo__NoOfImages": np.int32(10**6).tobytes()}, "claims 1000000 pictures"),
    ({"ImageInfo__PixelSize": np.float32(np.nan).tobytes()}, "PixelSize must be a number"),
    ({"ImageInfo__StoRADistance": bytes(4 * VIEWS)}, "StoRADistance must not be 0"),
    ({"ImageData1__Image7": None}, "has no ImageData1/Image7"),
])  # fmt: skip
def test_what_is_no_scan_is_refused(tmp_path, change, words):
    path = txrm(tmp_path / "a.txrm", ball(cone()), **change)
    with pytest.raises(InputError, match=rf"a\.txrm: .*{words}"):
        read_scan(path, all_rows=True)


def test_damaged_files_are_refused_in_one_line(tmp_path):
    whole = txrm(tmp_path / "a.txrm", ball(cone())).read_bytes()
    rng = np.random.default_rng(0)
    read = 0
    for k in range(30):
        raw = bytearray(whole)
        for at in rng.integers(0, len(raw) if k % 2 else 512, 8):
            raw[at] = rng.integers(256)
        (tmp_path / "b.txrm").write_bytes(bytes(raw[: len(raw) // (1 + k % 3)]))
        read += outcome(lambda: read_scan(tmp_path / "b.txrm", all_rows=True)) == "read"
    assert read < 30
    (tmp_path / "b.txrm").write_bytes(b"")
    with pytest.raises(InputError):
        read_scan(tmp_path / "b.txrm")
