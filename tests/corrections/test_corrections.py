"""Every correction helps on its own fault, leaves a clean scan alone, says what it did, and refuses nonsense."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ctrecon as ct
from ctrecon import corrections
from ctrecon.classical.cgls import cgls
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.cli.main import cli
from ctrecon.corrections import all_corrections, corrected, load_correction, parameters_of, parse_corrections
from ctrecon.corrections._record import sinogram_hash
from ctrecon.corrections.bimodal import hardened, straightened
from ctrecon.errors import CtreconError, SettingError
from ctrecon.io.arrays import read_scan
from ctrecon.io.write import write_scan
from ctrecon.measurement.scan import Scan
from ctrecon.operators.choose import choose_operator

SIZE, VIEWS, CUT = 64, 80, 22
CLEAN_DB = 0.05
CUT_MM = (SIZE + 16 - 2 * CUT) / 2 * 0.6577  # radius of what a detector that is cut sees


@cache
def made(subject: str = "chest") -> ct.Simulated:
    made = ct.simulate(subject, beam="parallel", size=SIZE, views=VIEWS, noise=0.004, seed=2)
    # Air beside the object, as flicker needs it.
    geometry = replace(made.scan.geometry, detector_count=SIZE + 16)
    again = ct.simulate(subject, geometry=geometry, grid=made.scan.grid, noise=0.004, seed=2)
    return replace(again, scan=replace(again.scan, variance=np.full(again.scan.sinogram.shape, 1e-4)))


def decibels(scan: Scan, name: str = "") -> float:
    """Of twelve steps of conjugate gradients; of filtered back projection within the field of view for truncation."""
    truth, grid = made().truth, made().scan.grid
    data = torch.from_numpy(scan.sinogram)[None, None].float()
    inside = np.hypot(grid.x_mm[None], grid.y_mm[:, None]) < 0.9 * CUT_MM
    if name == "truncation":
        found = FilteredBackProjection(scan.geometry, grid, window="hann")(data)[0, 0].numpy()
    else:
        inside[:] = True
        weights = None if scan.mask is None else torch.from_numpy(scan.mask)[None, None].float()
        operator = choose_operator(scan.geometry, grid)
        found = cgls(operator, data, weights=weights, most_iterations=12).image[0, 0].numpy()
    return float(20 * np.log10(np.ptp(truth) / np.sqrt(np.mean((found.astype(float) - truth)[inside] ** 2))))


def through_metal() -> np.ndarray:
    scan = made().scan
    disc = np.zeros(scan.grid.shape, dtype=np.float32)
    disc[20:23, 24:27] = 1.0
    metal = ct.simulate(disc, geometry=scan.geometry, grid=scan.grid, noise=0.0).scan.sinogram
    return metal > 0.3 * metal.max()


def faulty(name: str) -> tuple[Scan, dict[str, float]]:
    """A scan with the fault that the correction is for, and the numbers that it needs."""
    scan, rng = made().scan, np.random.default_rng(4)
    f = scan.sinogram.astype(np.float64)
    top = float(f.max())
    numbers: dict[str, float] = {}
    if name == "saturation":
        f = np.minimum(np.where(through_metal(), f + 6, f), 1.02 * top)
    elif name == "dead":
        f[:, 30], f[:, 50] = 0.5 * top * rng.random(VIEWS), 1.5 * top * rng.random(VIEWS)
    elif name == "zingers":
        f[rng.random(f.shape) < 0.003] -= 0.7 * top
    elif name == "scatter":
        f, numbers = -np.log(np.exp(-f) + 0.05), {"share": 0.05}
    elif name == "flicker":
        f += 0.1 * rng.standard_normal((VIEWS, 1))
    elif name == "rings":
        at = rng.choice(f.shape[1], 8, replace=False)
        f[:, at] += 0.08 * top * rng.standard_normal(8)
    elif name == "hardening":
        f -= 0.15 / top * f**2
    elif name == "bimodal":
        f = hardened(f, 0.5, 0.3)
        numbers = {"ratio": 0.3}
    elif name in ("metal", "nmar"):
        f = np.where(through_metal(), f + 6 - 3 * rng.random(f.shape), f)
        numbers = {"above": top + 0.5}
    elif name == "truncation":
        geometry = replace(scan.geometry, detector_count=f.shape[1] - 2 * CUT)
        part = slice(CUT, f.shape[1] - CUT)
        return replace(scan, sinogram=scan.sinogram[:, part], variance=scan.variance[:, part], geometry=geometry), {}
    else:
        pytest.fail(f"give the correction {name} a fault here")
    return replace(scan, sinogram=f.astype(scan.sinogram.dtype)), numbers


def test_every_file_is_a_correction_that_says_what_it_does() -> None:
    files = {path.stem for path in Path(corrections.__file__).parent.glob("[!_]*.py")}
    assert files == set(all_corrections())
    for name, said in all_corrections().items():
        assert said.endswith("."), name
        assert callable(load_correction(name)), name


def test_the_order_is_that_of_the_places() -> None:
    """What was added to the signal last is taken off first."""
    before = "saturation dead zingers scatter flicker rings hardening bimodal metal nmar truncation".split()
    assert [name for name in all_corrections() if name in before] == before


@pytest.mark.parametrize("name", all_corrections())
def test_it_helps_on_its_own_fault(name: str) -> None:
    scan, numbers = faulty(name)
    after = corrected(scan, {name: numbers})
    assert decibels(after, name) > decibels(scan, name) + 0.5
    assert after.notes[-1].startswith(f"correction {name}")
    assert sinogram_hash(scan.sinogram) in after.notes[-1]
    assert sinogram_hash(after.sinogram) in after.notes[-1]


@pytest.mark.parametrize("name", all_corrections())
def test_a_clean_scan_stays_as_it_is(name: str) -> None:
    scan, numbers = made().scan, faulty(name)[1]
    numbers = {"share": 0.0} if name == "scatter" else numbers
    assert abs(decibels(corrected(scan, {name: numbers}), name) - decibels(scan, name)) <= CLEAN_DB


@pytest.mark.parametrize(("subject", "views", "noise"), [("seeds", 100, 0.02), ("textured", 60, 0.001)])
def test_small_things_that_move_fast_from_view_to_view_are_no_zingers(subject: str, views: int, noise: float) -> None:
    """In each of few views they stand elsewhere, and in every one alone: 0.5 dB of a clean scan of seeds."""
    scan = ct.simulate(subject, beam="parallel", size=96, views=views, noise=noise, seed=21).scan
    clean = corrected(scan, "zingers")
    assert scan.usable_count - clean.usable_count <= 0.0005 * scan.sinogram.size
    rng, bad = np.random.default_rng(3), scan.sinogram.copy()
    hit = rng.random(bad.shape) < 0.003
    bad[hit] -= 0.9 * bad.max()
    found = corrected(replace(scan, sinogram=bad), "zingers")
    assert found.mask is not None
    assert (~found.mask[hit]).mean() > 0.9


def test_zingers_are_no_small_things_since_another_strikes_the_view_beside() -> None:
    """Where 1% are hit and views are few, one stands within reach by chance: a sixth to a third of them stayed."""
    for views in (15, 60):
        scan = ct.simulate("chest", size=96, views=views, noise=0.01, seed=1).scan
        rng, values = np.random.default_rng(views), scan.sinogram
        hit = rng.random(values.shape) < 0.01
        stray = rng.choice([-1.0, 1.0], values.shape) * rng.uniform(0.3, 1, values.shape) * values.max()
        found = corrected(replace(scan, sinogram=np.where(hit, values + stray, values)), "zingers")
        assert found.mask is not None
        assert (~found.mask[hit]).mean() > 0.9, views


def test_variances_grow_with_what_is_taken_off() -> None:
    for name in ("scatter", "hardening", "bimodal", "flicker"):
        scan, numbers = faulty(name)
        numbers = {"hard": 0.4, "ratio": 0.3} if name == "bimodal" else numbers
        numbers = {"quadratic": 0.04} if name == "hardening" else numbers
        after = corrected(scan, {name: numbers})
        step = replace(scan, sinogram=scan.sinogram + 1e-4)
        slope = (corrected(step, {name: numbers}).sinogram.astype(float) - after.sinogram) / 1e-4
        if name == "flicker":
            assert (after.variance > scan.variance).all()
        else:
            np.testing.assert_allclose(after.variance / scan.variance, slope**2, rtol=0.05)


@pytest.mark.parametrize(("hard", "ratio"), [(0.0, 0.5), (0.3, 0.2), (0.9, 0.7), (0.5, 0.05), (0.01, 0.01)])
def test_two_energies_are_undone_exactly_for_thin_and_thick_objects(hard: float, ratio: float) -> None:
    f = np.concatenate([[-0.1, 0.0], np.geomspace(1e-6, 12, 60)])
    p = hardened(f, hard, ratio)
    back, slope = straightened(p, hard, ratio)
    np.testing.assert_allclose(back, f, rtol=1e-9, atol=1e-12)
    thin = f[2:20]
    np.testing.assert_allclose(p[2:20], thin, rtol=1e-2 if ratio < 0.1 else 1e-3)
    step = 1e-6 * f[2:]
    change = hardened(f[2:] + step, hard, ratio) - hardened(f[2:] - step, hard, ratio)
    np.testing.assert_allclose(slope[2:], 2 * step / change, rtol=1e-3)
    assert (np.diff(p) > 0).all()


def test_the_text_of_corrections_is_read_in_the_right_order_and_whole() -> None:
    assert list(parse_corrections("rings, zingers")) == ["zingers", "rings"]
    assert parse_corrections("scatter:share=0.02:width=5") == {"scatter": {"share": 0.02, "width": 5.0}}
    assert parse_corrections("") == {}
    for bad, words in (
        ("ring", "there is no correction 'ring'; use saturation"), ("rings,rings", "twice"),
        ("scatter:part=1", "takes share, width, not 'part=1'"), ("scatter:share=x", "must be a number"),
        ("zingers:a=1", "takes nothing"),
    ):
        with pytest.raises(SettingError, match=words):
            parse_corrections(bad)
    every = [(name, key) for name in all_corrections() for key in parameters_of(name)]
    for value, (name, key) in product((math.nan, math.inf, -math.inf), every):
        for given in (f"{name}:{key}={value}", {name: {key: value}}):
            with pytest.raises(SettingError, match=f"{name}:{key} must be a finite number, got {value}"):
                corrected(made().scan, given)
    with pytest.raises(SettingError, match="there is no correction"):
        ct.reconstruct(made().scan, correct="ring")


@pytest.mark.parametrize("name", [name for name in all_corrections() if parameters_of(name)])
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    scan = faulty(name)[0]
    with pytest.raises(CtreconError):
        load_correction(name)(scan, **{next(iter(parameters_of(name))): -1.0})


def test_the_command_writes_what_reconstruct_corrects_on_the_way(tmp_path) -> None:
    scan, _ = faulty("zingers")
    write_scan(tmp_path / "s.npz", scan)
    runner = CliRunner()
    paths = [str(tmp_path / "s.npz"), "-o", str(tmp_path / "c.npz")]
    line = ["correct", *paths, "--zingers", "--rings", "--set", "rings.times=6"]
    done = runner.invoke(cli, line)
    assert done.exit_code == 0, done.output
    assert "correction zingers" in done.output
    written = read_scan(tmp_path / "c.npz")
    on_the_way = ct.reconstruct(tmp_path / "s.npz", method="cgls", delta="5%", correct="rings:times=6,zingers")
    np.testing.assert_array_equal(on_the_way.scan.sinogram, written.sinogram)
    assert any("correction rings (size = 5, times = 6" in note for note in on_the_way.scan.notes)
    assert runner.invoke(cli, line).exit_code == 2, "it is there already"
    assert runner.invoke(cli, [*line[:4], "--overwrite"]).exit_code == 2, "nothing asked for"


def test_scatter_that_was_not_measured_is_not_taken_off() -> None:
    """A ray cannot hold less than its scatter: one is missing then, and where many are the share is wrong."""
    scan = ct.simulate("chest", size=48, views=40, noise=0.005, seed=1).scan
    f = scan.sinogram.copy()
    f[3, 24] = 9.0
    found = corrected(replace(scan, sinogram=f), "scatter:share=0.01")
    assert found.mask is not None
    assert np.argwhere(~found.mask).tolist() == [[3, 24]]
    behind_metal = np.zeros_like(f, dtype=bool)
    behind_metal[:, 22:25] = True
    found = corrected(replace(scan, sinogram=np.where(behind_metal, 9.0, scan.sinogram)), "scatter:share=0.01")
    assert found.mask is not None
    np.testing.assert_array_equal(found.mask, ~behind_metal)
    with pytest.raises(SettingError, match=r"share=0\.7 of the open beam is more than .*% of.*constant of 0\.\d+"):
        corrected(scan, "scatter:share=0.7")
