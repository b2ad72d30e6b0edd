"""A volume all the way: file, delta, methods, certificate, image file; what does not serve volumes says so first."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from volumes import GRID, OBJECT, cone, noisy

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError
from ctrecon.io.write import write_scan
from ctrecon.measurement.delta import delta_for

SCAN, NOISE = noisy()
TRUTH = OBJECT.volume(GRID)


def error(image):
    return float(np.sqrt(np.mean((image - TRUTH) ** 2)))


def run(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.mark.parametrize("method", ["cgls", "huber-tv", "energy", "gradient"])
def test_every_method_meets_delta_and_is_certified(method):
    result = ct.reconstruct(SCAN, delta=1.35 * NOISE, method=method)
    assert result.certified, str(result)
    assert result.image.shape == GRID.shape
    assert error(result.image) < 0.003
    assert f"{GRID.slices} x {GRID.rows} x {GRID.columns}" in repr(result)


def test_the_network_sees_each_slice_as_it_would_see_it_alone():
    from ctrecon.networks import slices

    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x):
            seen.append(tuple(x.shape))
            return x[:, :1] + 2 * x[:, 1:2]

    x = torch.rand(2, 5, 7, 6, 8)
    found = slices.SliceBySlice(Spy())(x)
    assert torch.equal(found, x[:, :1] + 2 * x[:, 1:2])
    assert seen == [(14, 5, 6, 8)]
    result = ct.reconstruct(SCAN, delta=1.35 * NOISE, prior=Spy(), iterations=3)
    assert seen[-1] == (GRID.slices, 5, GRID.rows, GRID.columns) or seen[-1][2:] == (GRID.columns, GRID.rows)
    assert result.image.shape == GRID.shape


def test_delta_of_a_volume_is_found_row_by_row_and_says_what_is_left_out():
    found = delta_for(SCAN, "auto")
    assert 0.9 * NOISE < found.value < 1.4 * NOISE
    assert "of 24 rows" in found.how
    assert "nothing for the discretisation error, since its estimate is for a geometry in the plane" in found.how
    climbing = ct.HelicalCone(**{**_fields(cone()), "pitch_mm": 30.0})
    assert "local cubics" in delta_for(noisy(climbing)[0], "auto").how
    known = dataclasses.replace(SCAN, variance=np.full(SCAN.sinogram.shape, NOISE**2 / SCAN.sinogram.size))
    assert delta_for(known, "auto").norm == "whitened"


def _fields(geometry):
    return {field.name: getattr(geometry, field.name) for field in dataclasses.fields(geometry)}


@pytest.mark.parametrize("name", ["scan.npz", "scan.npy"])
def test_a_volume_from_file_to_file(tmp_path, name):
    scan = dataclasses.replace(SCAN, variance=None)
    write_scan(tmp_path / name, scan)
    again = ct.read_scan(tmp_path / name)
    assert again.geometry == scan.geometry
    assert again.grid == GRID
    assert np.array_equal(again.sinogram, scan.sinogram)
    out = tmp_path / "u.nii.gz"
    code, said = run("reconstruct", tmp_path / name, "--method", "cgls", "--delta", 1.35 * NOISE, "-o", out)
    assert code == 0, said
    image = np.load(tmp_path / "u.npy")
    assert image.shape == GRID.shape
    assert error(image) < 0.003
    assert run("verify", tmp_path / "u.certificate.json")[0] == 0
    import SimpleITK

    volume = SimpleITK.ReadImage(str(out))
    assert volume.GetSize() == (GRID.columns, GRID.rows, GRID.slices)
    assert volume.GetSpacing() == pytest.approx((4.6, 4.4, 4.8))
    code, said = run("audit", tmp_path / "u.npy", "--roi", "10,10,3")
    assert code == 2
    assert "certifies a volume" in said


def test_counts_of_a_volume_become_line_integrals(tmp_path):
    exact = OBJECT.sinogram(cone(), 2)
    white = np.full(exact.shape[1:], 5000.0)
    counts = np.random.default_rng(0).poisson(white * np.exp(-exact)).astype(np.float64)
    np.savez(tmp_path / "counts.npz", counts=counts, white=white, dark=np.zeros((3, *exact.shape[1:])))
    (tmp_path / "counts.json").write_text(json.dumps({**cone().to_dict(), "image": GRID.to_dict()}))
    scan = ct.read_scan(tmp_path / "counts.npz")
    assert scan.sinogram.shape == scan.variance.shape == scan.counts.shape == exact.shape
    whitened = (scan.sinogram - exact) / np.sqrt(scan.variance)
    assert 0.9 < float(np.mean(whitened**2)) < 1.1


def test_what_does_not_serve_volumes_says_so_before_the_work(tmp_path):
    write_scan(tmp_path / "scan.npz", SCAN)
    out = tmp_path / "u.npy"
    for words, why in (
        (("--center", "auto"), "sought in one plane, not in a volume"),
        (("--row", 3), "drop --row"),
        (("--dicom", tmp_path / "series"), ""),
        (("--operator", "sparse"), "projected by joseph on the CPU, not by sparse"),
    ):
        where = () if "--dicom" in words else ("-o", out)
        code, said = run("reconstruct", tmp_path / "scan.npz", "--delta", 1.0, "--method", "cgls", *words, *where)
        assert code == 2, said
        assert why in said
        assert not out.exists()
    climbing = ct.HelicalCone(**{**_fields(cone()), "pitch_mm": 30.0})
    with pytest.raises(CtreconError, match="HelicalCone climbs"):
        ct.reconstruct(noisy(climbing)[0], delta=1.0, method="fbp")
    with pytest.raises(CtreconError, match="joseph on the CPU"):
        ct.operator(SCAN, name="astra")


def test_fbp_of_a_volume_is_fdk_as_a_method_and_as_a_layers():
    operator = ct.operator(SCAN)
    found = operator.fbp(torch.from_numpy(SCAN.sinogram)[None, None], window="hann", cutoff=0.7)
    assert error(found[0, 0].numpy()) < 0.0035
    assert ct.reconstruct(SCAN, delta=3 * NOISE, method="fbp").certified

