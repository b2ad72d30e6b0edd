"""Honest feasible certificates hold, say the residual, and are written whole or not at all."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from certificate_cases import CASES, GEOMETRIES, problem, projected, written

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import NotCertified, certify
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix


@pytest.mark.parametrize("case", CASES)
def test_honest_certificates_hold(case, tmp_path):
    paths = written(case, tmp_path)
    verdict = verify.check(paths[""])
    assert verdict.valid, verdict.reason
    assert verdict.kind == "feasible"
    assert verdict.proved["residual_upper_bound"] <= verdict.proved["delta"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths.values())


@pytest.mark.parametrize("case", CASES)
def test_the_residual_agrees_with_ctrecons_own_operators(case):
    image, data, kept, residual = problem(case)
    # Their kernels may step along a ray in fixed point, a billionth of a pixel off; the digits are held further below.
    certificate = certify(image, data, delta=2 * residual, **kept)
    assert certificate.residual == pytest.approx(residual, rel=1e-6)
    assert certificate.residual < certificate.residual_upper_bound <= certificate.residual * (1 + 1e-8)
    # and a certificate below the residual is not given
    refused = certify(image, data, delta=residual * (1 - 1e-5), **kept)
    assert isinstance(refused, NotCertified)
    assert refused.residual == pytest.approx(residual, rel=1e-6)
    # nor one that rounding leaves open
    assert isinstance(certify(image, data, delta=certificate.residual, **kept), NotCertified)


@pytest.mark.parametrize("case", GEOMETRIES)
def test_the_operator_agrees_with_joseph_ray_by_ray(case):
    geometry, grid = GEOMETRIES[case]
    image = np.random.default_rng(3).normal(size=grid.shape)
    ours = projected(geometry, grid, image)[0].reshape(geometry.shape)
    theirs = JosephOperator(geometry, grid)(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)
    assert np.abs(ours - np.roll(theirs, 1, axis=1)).max() > 0.1


def test_views_in_blocks_change_nothing():
    geometry = ParallelBeam(angles_rad=tuple(np.linspace(0, 3, 40).tolist()), detector_count=500)
    grid = Grid(rows=6, columns=5, pixel_mm=60.0)
    image = np.random.default_rng(4).normal(size=grid.shape)
    ours = projected(geometry, grid, image)[0]
    theirs = joseph_matrix(geometry, grid, np.float64) @ image.ravel()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_an_image_that_misses_delta_gets_its_true_residual():
    image, data, kept, residual = problem("fan")
    found = certify(image * np.float32(1.001), data, delta=residual, **kept)
    assert isinstance(found, NotCertified)
    assert found.residual > residual
    assert "above delta" in found.reason


def test_bad_arguments_are_named():
    image, data, kept, _ = problem("fan")
    for delta in (0.0, -1.0, math.nan, math.inf, "1", None, True):
        with pytest.raises(SettingError, match="delta"):
            certify(image, data, delta=delta, **kept)
    with pytest.raises(InputError, match="float32 or float64"):
        certify(image.astype(np.int16), data, delta=1.0, **kept)
    with pytest.raises(InputError, match="not finite"):
        certify(image * np.float32(np.nan), data, delta=1.0, **kept)
    with pytest.raises(InputError, match="the geometry measures"):
        certify(image, data[:, :-1], delta=1.0, **kept)
    with pytest.raises(InputError, match="weights"):
        certify(image, data, delta=1.0, weights=-np.ones_like(data), **kept)
    with pytest.raises(SettingError, match="needs a geometry"):
        certify(image, data, None, None, 1.0)
    with pytest.raises(InputError, match="cannot read"):
        certify(image, data, delta=1e3, source="nowhere.mat", **kept)


def test_writing_leaves_no_partial_files(tmp_path):
    image, data, kept, _ = problem("fan")
    source = tmp_path / "measured.npy"
    source.write_bytes(b"raw")
    certificate = certify(image, data, delta=1e3, source=source, **kept)
    assert certificate.values["source"] == {"name": "measured.npy", "sha256": verify.hashlib.sha256(b"raw").hexdigest()}
    with pytest.raises(OutputError, match="cannot be written"):
        certificate.write(tmp_path / "missing" / "scan.npy")
    with pytest.raises(OutputError, match=r"S\.npy"):
        certificate.write(tmp_path / "scan.png")
    (tmp_path / "scan.data.npy").mkdir()
    with pytest.raises(OutputError):
        certificate.write(tmp_path / "scan.npy")
    assert {p.name for p in tmp_path.iterdir()} == {"measured.npy", "scan.data.npy"}, "all or nothing"
    (tmp_path / "scan.data.npy").rmdir()
    paths = certificate.write(tmp_path / "scan.npy")
    assert verify.check(paths[""]).valid
    np.testing.assert_array_equal(np.load(paths["image"], allow_pickle=False), image)
    again = certify(image, data, delta=1e3, source=Path(source), **kept)
    assert again.files == certificate.files
