"""A certificate is bound to its scan: with --scan every value is compared, without it the data are taken on trust."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify
from ctrecon.certificates.infeasible import exclude
from ctrecon.certificates.interval import Dual, certify_interval
from ctrecon.certificates.parts import operator_claim
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan

GRID = Grid(rows=12, columns=12, pixel_mm=1.0)
FAN = FanBeam(
    angles_rad=tuple((2 * np.pi * np.arange(10) / 10).tolist()), detector_count=16, detector_spacing_mm=1.6,
    detector_offset_mm=0.4, source_to_axis_mm=40.0, source_to_detector_mm=60.0,
)  # fmt: skip
PARALLEL = ct.ParallelBeam(angles_rad=FAN.angles_rad, detector_count=16)


def measured(seed=0):
    values = np.random.default_rng(seed).random(FAN.shape).astype(np.float32)
    return Scan(values, FAN, grid=GRID, variance=(0.5 + 0 * values), source="scan.npz")


def put_feasible(folder, scan, weights):
    image = np.full(GRID.shape, 0.01, dtype=np.float32)
    made = certify(image, scan.sinogram, scan.geometry, scan.grid, 1e3, weights=weights)
    return made.write(folder / "s.npy", overwrite=True)[""]


def put_infeasible(folder, scan, weights):
    dual = scan.sinogram.astype(np.float64)
    made = exclude(
        dual, scan.sinogram, scan.geometry, scan.grid, 1e-3, lo=0.0, hi=0.0, shape=GRID.shape, weights=weights
    )
    return made.write(folder / "s.npy", overwrite=True)[""]


def put_interval(folder, scan, weights):
    operator, _ = operator_claim(scan.geometry, scan.grid, None)
    c = np.zeros(scan.grid.shape)
    c[3, 4], c[7, 7] = 1.0, -1.0
    nothing = Dual(y=np.zeros(scan.sinogram.shape), p=np.zeros((2, *scan.grid.shape)))
    stated = verify.Problem(operator, None, (scan.sinogram, weights), 0.0, 1.0)
    norm = "2-norm" if weights is None else "whitened"
    made = certify_interval(stated, norm, 1e3, 1e3, c, nothing, nothing, region="x")
    return made.write_labelled(folder / "s.npy", "disc-4-3-1", overwrite=True)[""]


PUT = {"feasible": put_feasible, "infeasible": put_infeasible, "interval": put_interval}


def turned(scan, **changes):
    return dataclasses.replace(scan, geometry=dataclasses.replace(FAN, **changes))


def one_ray(scan):
    values = scan.sinogram.copy()
    values[7, 11] += 1e-3 * np.abs(values).max()
    return dataclasses.replace(scan, sinogram=values)


OTHERS = {
    "another scan": (lambda scan: measured(1), "data differ from the scan's"),
    "cells flipped": (lambda scan: dataclasses.replace(scan, sinogram=scan.sinogram[:, ::-1].copy()), "data differ"),
    "views flipped": (lambda scan: dataclasses.replace(scan, sinogram=scan.sinogram[::-1].copy()), "data differ"),
    "one ray off by 1e-3": (one_ray, "1 of its 160 data differ from the scan's, most in view 7, cell 11"),
    "scaled": (lambda scan: dataclasses.replace(scan, sinogram=scan.sinogram * np.float32(1.00002)), "data differ"),
    "another centre": (lambda scan: turned(scan, detector_offset_mm=0.401), "detector_offset_mm: 0.401 and 0.4"),
    "a source further away": (lambda scan: turned(scan, source_to_axis_mm=41.0), "source_to_axis_mm: 41 and 40"),
    "an angle turned": (
        lambda scan: turned(scan, angles_rad=(0.001, *FAN.angles_rad[1:])), "angles_rad: 0.001 and 0 in view 0"
    ),
    "angles the other way round": (lambda scan: turned(scan, angles_rad=tuple(-t for t in FAN.angles_rad)), "angles"),
    "another kind of geometry": (
        lambda scan: dataclasses.replace(scan, geometry=PARALLEL), "geometry is parallel"
    ),
    "fewer views": (lambda scan: scan.every(2), "data are 5 x 16 (views x cells), those of the scan 10 x 16"),
    "other weights": (
        lambda scan: dataclasses.replace(scan, variance=2 * scan.variance), "weights differ from the scan's"
    ),
}  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", PUT)
def test_what_is_of_another_scan_is_refused_and_said(kind, tmp_path):
    scan, file = measured(), tmp_path / "scan.npz"
    write_scan(file, scan)
    for weights in (None, 1 / scan.variance):
        honest = PUT[kind](tmp_path, scan, weights)
        found = ct.verify(honest, scan=file)
        assert found.valid, found.reason
        assert "those of scan.npz, value by value" in str(found)
        assert found.to_dict()["on_trust"] is False
        assert ct.verify(honest, scan=scan).valid
        trusted = ct.verify(honest)
        assert "taken on trust: data and geometry" in str(trusted)
        assert trusted.to_dict()["on_trust"] is True
    for name, (change, words) in OTHERS.items():
        other = change(scan)
        forged = PUT[kind](tmp_path, other, 1 / other.variance)
        assert verify.check(forged).valid, name
        for given in (file, scan):
            found = ct.verify(forged, scan=given)
            assert not found.valid, name
            assert words in found.reason, (name, found.reason)
            assert found.words == ()


def test_another_machines_rounding_is_no_other_scan(tmp_path):
    scan = measured()
    values = np.nextafter(scan.sinogram, np.float32(2))
    assert (values != scan.sinogram).any()
    assert ct.verify(put_feasible(tmp_path, dataclasses.replace(scan, sinogram=values), None), scan=scan).valid


def test_a_scan_that_weighs_no_rays_is_not_that_of_a_weighted_norm(tmp_path):
    scan = measured()
    made = put_feasible(tmp_path, scan, 1 / scan.variance)
    found = ct.verify(made, scan=dataclasses.replace(scan, variance=None))
    assert not found
    assert "no variances to weigh them by" in found.reason


# --- read again as it was reconstructed ----------------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def simulated(name, seed):
    write_scan(Path(name), ct.simulate("head", size=16, views=12, noise=0.03, seed=seed).scan)


@pytest.fixture
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulated("scan.npz", 3)
    return Path("scan.npz")


QUICK = {"method": "gradient", "iterations": 20, "delta": "30%"}
READINGS = {
    "as it is": {}, "centre": {"center": 8.0}, "found centre": {"center": "auto"}, "some views": {"every": 3},
    "both": {"center": 7.0, "every": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
def test_the_scan_is_read_again_as_its_history_says(name, scan):
    made = ct.reconstruct(scan, **QUICK, **READINGS[name])
    assert made.certified
    made.save("s.npy", preview=False)
    found = run("verify", "s.npy", "--scan", scan)
    assert found.exit_code == 0, found.output
    for option, value in READINGS[name].items():
        assert f"{option} = {value}" in found.output
    # A correction or choice left out of the certificate, or put into it, is another scan.
    others = {**READINGS[name], "center": 7.25} if name != "some views" else {"every": 2}
    ct.reconstruct(scan, **QUICK, **others).save("other.npy", preview=False)
    history = Path("s.history.json").read_bytes()
    Path("other.history.json").write_bytes(history)
    assert run("verify", "other.npy", "--scan", scan).exit_code == 1
    if READINGS[name]:
        Path("s.history.json").unlink()
        bare = run("verify", "s.npy", "--scan", scan)
        assert bare.exit_code == 1
        assert "no history says how it was read" in bare.output
        options = [word for key, value in READINGS[name].items() for word in (f"--{key}", value)]
        assert run("verify", "s.npy", "--scan", scan, *options).exit_code == 0


def test_a_name_of_a_file_is_not_taken_from_a_history(scan):
    loaded = ct.read_scan(scan)
    np.save("bare.npy", loaded.sinogram)
    Path("where.json").write_text(geometry_to_json(loaded.geometry, loaded.grid))
    ct.reconstruct("bare.npy", geometry="where.json", **QUICK).save("s.npy", preview=False)
    found = run("verify", "s.npy", "--scan", "bare.npy")
    assert found.exit_code == 2
    assert "name the one to trust with --geometry" in found.output
    assert run("verify", "s.npy", "--scan", "bare.npy", "--geometry", "where.json").exit_code == 0
    simulated("again.npz", 4)
    ct.reconstruct(scan, repeat="again.npz", method="gradient", iterations=200).save("mean.npy", preview=False)
    assert "--repeat" in run("verify", "mean.npy", "--scan", scan).output
    found = run("verify", "mean.npy", "--scan", scan, "--repeat", "again.npz")
    assert found.exit_code == 0, found.output
    simulated("third.npz", 5)
    assert run("verify", "mean.npy", "--scan", scan, "--repeat", "third.npz").exit_code == 1


def test_the_file_that_a_certificate_names_is_checked_and_else_not_said(scan):
    made = ct.reconstruct(scan, **QUICK)
    made.save("s.npy", preview=False)
    certificate = Path("s.certificate.json")
    claims = json.loads(certificate.read_bytes())
    claims["source"] = {"name": "patient-zero.npz", "sha256": "0" * 64}
    certificate.write_bytes(verify.encode(claims))
    alone, beside = run("verify", certificate), run("verify", certificate, "--scan", scan)
    assert alone.exit_code == 0
    assert "patient-zero" not in alone.output
    assert beside.exit_code == 1
    assert "names a file of another hash" in beside.output
    made.report("s.html", image="s.npy")
    assert "patient-zero" not in Path("s.html").read_text()


def test_a_region_is_of_the_scan_of_its_reconstruction(scan):
    ct.reconstruct(scan, **QUICK, every=2).save("s.npy", preview=False)
    path = put_interval(Path(), ct.read_scan(scan, every=2), None)
    found = run("verify", path, "--scan", scan)
    assert found.exit_code == 0, found.output
    assert "every = 2" in found.output
    simulated("other.npz", 9)
    assert run("verify", path, "--scan", "other.npz").exit_code == 1


def test_what_cannot_be_compared_is_one_line(scan):
    ct.reconstruct(scan, **QUICK).save("s.npy", preview=False)
    with pytest.raises(SettingError, match="center say how a scan is read; give the scan"):
        ct.verify("s.npy", center=3.0)
    with pytest.raises(InputError, match=r"absent.npz"):
        ct.verify("s.npy", scan="absent.npz")
    Path("s.history.json").write_text("{}")
    said = run("verify", "s.npy", "--scan", scan)
    assert said.exit_code == 2
    assert "not a history" in said.output
