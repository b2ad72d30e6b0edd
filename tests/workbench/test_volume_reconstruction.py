"""A volume all the way: file, delta, methods, certificate, image file; what does not serve volumes says so first."""

import dataclasses
import json

import h5py
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
from ctrecon.outputs.stack.manifest import read_manifest
from ctrecon.outputs.stack.store import StackTarget, stored_slices

SCAN, NOISE = noisy()
TRUTH = OBJECT.image(GRID, 2)


def error(image):
    return float(np.sqrt(np.mean((image - TRUTH) ** 2)))


def run(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.mark.sampled(2)
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


def test_delta_of_a_volume_is_found_row_by_row():
    found = delta_for(SCAN, "auto", model_error="0")
    assert 0.9 * NOISE < found.value < 1.4 * NOISE
    assert "of 24 rows" in found.how
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


@pytest.fixture(scope="module")
def result():
    return ct.reconstruct(SCAN, delta=1.35 * NOISE, method="cgls")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["u.zarr", "u.tif", "u.h5", "u.nii.gz"])
def test_a_volume_stands_in_the_formats_of_stacks_and_is_what_is_certified(tmp_path, result, name):
    target = StackTarget(path=tmp_path / name)
    written = result.save_volume(target, preview=name == "u.zarr")
    found = ct.verify(tmp_path / name)
    assert found.valid, found.reason
    assert "one volume of 18 slices" in found.statement
    np.testing.assert_array_equal(np.load(written["image"]), result.image)
    manifest = read_manifest("m", written["manifest"].read_bytes())
    stored = np.stack(list(stored_slices(tmp_path / name, manifest)))
    expected = result.image if name != "u.nii.gz" else 1000 * (result.image / 0.02 - 1)
    np.testing.assert_allclose(stored, expected, rtol=1e-5, atol=1e-3 * (name == "u.nii.gz"))
    assert manifest.first_mm == pytest.approx((-39.8, -44.2, -40.7))
    assert manifest.step_mm == pytest.approx((4.8, 4.4, 4.6))
    assert (tmp_path / "u.png").exists() == (name == "u.zarr")
    assert not list(tmp_path.glob(".u*"))
    # A changed voxel, data that were exchanged, a file too many.
    evidence = target.evidence
    for part, change in (("volume.npy", 1e-6), ("volume.data.npy", 1e-3)):
        kept = (evidence / part).read_bytes()
        values = np.load(evidence / part)
        values[2, 3, 4] += change
        np.save(evidence / part, values)
        assert not ct.verify(tmp_path / name).valid
        (evidence / part).write_bytes(kept)
    (evidence / "more.npy").write_bytes(b"")
    assert "the evidence holds" in ct.verify(tmp_path / name).reason
    (evidence / "more.npy").unlink()
    assert ct.verify(tmp_path / name).valid
    # How it came about is bound, but for the clock.
    place = evidence / "volume.history.json"
    told = json.loads(place.read_bytes())
    place.write_text(json.dumps({**told, "seconds": 1e6}))
    assert ct.verify(tmp_path / name).valid
    for changed in (json.dumps({**told, "delta_from": "measured"}), "[]", "no history"):
        place.write_text(changed)
        assert "volume.history.json is no" in ct.verify(tmp_path / name).reason


def test_a_slice_of_the_store_that_is_not_the_certified_one_is_refused(tmp_path, result):
    result.save_volume(StackTarget(path=tmp_path / "u.h5"), preview=False)
    with h5py.File(tmp_path / "u.h5", "r+") as file:
        file["volume"][5, 3, 4] += 1e-4
    assert "slice 6 of u.h5 is not that of the certified volume" in ct.verify(tmp_path / "u.h5").reason
    code, said = run("report", tmp_path / "u.h5")
    assert code == 1
    assert "is not that of the certified volume" in said
    assert "Refused: the certificate does not hold" in (tmp_path / "u.report.html").read_text()
    with pytest.raises(CtreconError, match="is for volumes"):
        ct.reconstruct(ct.simulate("seeds", size=16, views=12, seed=1), delta="50%", method="fbp").save_volume(
            StackTarget(path=tmp_path / "v.zarr")
        )


def test_the_command_writes_a_cone_to_a_store_says_its_memory_and_compares_it_with_the_scan(tmp_path):
    write_scan(tmp_path / "scan.npz", dataclasses.replace(SCAN, variance=None))
    line = ["reconstruct", tmp_path / "scan.npz", "--method", "cgls", "--delta", 1.35 * NOISE]
    line += ["-o", tmp_path / "u.zarr"]
    code, said = run(*line, "--spacing", 2)
    assert code == 2
    assert "one volume whose grid says where slices stand" in said
    code, said = run(*line, "--report", tmp_path / "u.html", "--no-preview")
    assert code == 0, said
    assert "18 x 22 x 20 voxels from 30 x 24 x 30 values will take about 0." in said
    assert "Certified: this image explains" in (tmp_path / "u.html").read_text()
    code, said = run("verify", tmp_path / "u.zarr", "--scan", tmp_path / "scan.npz")
    assert code == 0, said
    assert "value by value" in said
    write_scan(tmp_path / "other.npz", dataclasses.replace(SCAN, sinogram=SCAN.sinogram + 1, variance=None))
    code, said = run("verify", tmp_path / "u.zarr", "--scan", tmp_path / "other.npz")
    assert code == 1, said
    code, said = run(*line)
    assert code == 2
    assert "is there already" in said


@pytest.mark.parametrize("name", ["u.tif", "u.h5"])
def test_the_command_writes_a_cone_in_every_format_of_stacks_and_no_single_slice(name, tmp_path):
    write_scan(tmp_path / "scan.npz", dataclasses.replace(SCAN, variance=None))
    code, said = run("reconstruct", tmp_path / "scan.npz", "--method", "fbp", "--delta", "90%", "-o", tmp_path / name)
    assert code == 0, said
    assert ct.verify(tmp_path / name).valid
    write_scan(tmp_path / "flat.npz", ct.simulate("seeds", size=16, views=12, seed=1).scan)
    code, said = run("reconstruct", tmp_path / "flat.npz", "--delta", "50%", "-o", tmp_path / f"v{name}")
    assert code == 2
    assert "has a single slice to reconstruct; give -o NAME.npy" in said


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

