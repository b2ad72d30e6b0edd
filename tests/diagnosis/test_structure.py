"""The residual's test: it knows what it is for, keeps quiet about honest scans, and is heard."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.diagnosis.structure import FEWEST_VIEWS, Structure, structure_of
from ctrecon.io.write import write_scan
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.phantoms import FAMILIES, Ellipse, Phantom
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.methods import load_method
from ctrecon.reconstruction.problem import prepare

VIEWS, CELLS = 90, 100


def disc() -> np.ndarray:
    """The sinogram of a disc off the axis, and of a small one within."""
    theta = np.linspace(0, 2 * math.pi, VIEWS, endpoint=False)[:, None]
    s = np.arange(CELLS)[None] - (CELLS - 1) / 2

    def one(radius: float, x: float) -> np.ndarray:
        return 0.04 * np.sqrt(np.maximum(radius**2 - (s - x * np.cos(theta)) ** 2, 0))

    return one(30, 8) + one(6, 20)


def noisy(seed: int, sigma: float = 0.01) -> np.ndarray:
    return disc() + sigma * np.random.default_rng(seed).standard_normal((VIEWS, CELLS))


def turns_rad() -> np.ndarray:
    return 0.03 * np.random.default_rng(5).standard_normal((VIEWS, 1))


def worst(found: Structure | None) -> str:
    assert found is not None
    return min(found.traits, key=lambda trait: trait.p_value).name


def test_noise_alone_has_no_structure() -> None:
    p = disc()
    found = [structure_of(noisy(seed), p) for seed in range(40)]
    assert all(one is not None and not one.structured for one in found)
    weights = np.full(p.shape, 4.0)
    weights[:, 7] = 0
    broken = noisy(3)
    broken[:, 7] = 50  # missing: whatever stands there
    one = structure_of(broken, p, weights)
    assert one is not None
    assert not one.structured


PLANTED: dict[str, tuple[str, int | None, Callable[[np.ndarray], np.ndarray]]] = {
    "a ring": ("cells", 40, lambda f: f + 0.01 * (np.arange(CELLS) == 40)),
    "rings": ("cells", None, lambda f: f + 0.003 * np.random.default_rng(5).standard_normal((1, CELLS))),
    "a bright view": ("views", 33, lambda f: f * (1 + 0.02 * (np.arange(VIEWS) == 33)[:, None])),
    "flicker": ("views", None, lambda f: f * (1 + 0.006 * np.random.default_rng(5).standard_normal((VIEWS, 1)))),
    "a moved view": ("edges", 21, lambda f: np.where((np.arange(VIEWS) == 21)[:, None], np.roll(f, 1, axis=1), f)),
    "all moved": ("edges", None, lambda f: f + 0.3 * np.gradient(f, axis=1)),
    "a turned view": ("turns", 30, lambda f: np.where((np.arange(VIEWS) == 30)[:, None], np.roll(f, -1, axis=0), f)),
    "uneven steps": ("turns", None, lambda f: f + turns_rad() * np.gradient(f, 2 * math.pi / VIEWS, axis=0)),
    "a lost view": ("streaks", 50, lambda f: np.where((np.arange(VIEWS) == 50)[:, None], np.roll(f, 45, axis=0), f)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named_with_its_place(name: str) -> None:
    trait, where, plant = PLANTED[name]
    found = structure_of(plant(noisy(4)), disc())
    assert found is not None
    assert found.structured
    hit = {one.name: one for one in found.traits}[trait]
    assert hit.p_value < 0.01, found
    if where is not None:
        assert any(one.where == where for one in found.traits if one.p_value < 0.01)
        assert str(where) in found.said
    assert json.loads(json.dumps(found.to_dict()))["structured"] is True


def test_too_little_is_not_tested() -> None:
    p = disc()
    assert structure_of(noisy(1)[: FEWEST_VIEWS - 1], p[: FEWEST_VIEWS - 1]) is None
    assert structure_of(p, p) is None
    rows = np.repeat(noisy(1)[:, None], 3, axis=1)
    middle = structure_of(rows, np.repeat(p[:, None], 3, axis=1))
    assert middle is not None
    assert dataclasses.replace(middle, row=None) == structure_of(noisy(1), p)
    assert "the residual of detector row 1" in middle.said


def test_the_words_claim_no_more_than_the_test() -> None:
    """Edges that pixels leave can be seen and are allowed for, so the residual is not said to have no structure."""
    p = disc()
    found = structure_of(noisy(3), p)
    assert found is not None
    usual = tuple(dataclasses.replace(one, p_value=1.0) for one in found.traits)
    for one in (found, Structure(traits=usual)):
        assert one.said.startswith("no structure beyond a grid's own was found in the residual")
        assert "p = 1" not in one.said  # up to the deviation that nine tenths stay below, p says nothing
    assert "p = 0.2" in Structure(traits=(dataclasses.replace(usual[0], p_value=0.05), *usual[1:])).said


@pytest.mark.long
def test_a_certified_image_with_a_structured_residual_says_so_in_the_same_line(tmp_path: Path) -> None:
    scan = ct.simulate("chest", size=64, views=64, noise=0.005, seed=2).scan
    gain = 1 + 0.012 * np.random.default_rng(1).standard_normal((64, 1))
    path, image = tmp_path / "s.npz", tmp_path / "r.npy"
    write_scan(path, dataclasses.replace(scan, sinogram=(scan.sinogram * gain).astype(np.float32)))
    words = ("reconstruct", str(path), "-o", str(image), "--method", "cgls")
    result = CliRunner().invoke(cli, words)
    line = next(one for one in result.output.splitlines() if one.startswith("certified"))
    assert "but the residual is structured: views are brighter or darker than the next" in line
    history = json.loads((tmp_path / "r.history.json").read_text())
    assert any(note.startswith("doubt: the residual is structured") for note in history["notes"])
    page = tmp_path / "r.html"
    assert CliRunner().invoke(cli, ["report", str(image), "-o", str(page)]).exit_code == 0
    assert "the residual is structured: views are brighter" in page.read_text()
    assert '<section class="verdict certified"' not in page.read_text()
    assert 'id="plot-axis"' in page.read_text()
    assert "with 95% confidence) by conjugate rays" in page.read_text()
    info = json.loads(CliRunner().invoke(cli, ["info", str(path), "--json"]).output)
    assert info["axis_by_the_data"].startswith("column 31.")
    assert len(info["axis_curve"]["columns"]) == len(info["axis_curve"]["misfits"]) > 50
    found = json.loads(CliRunner().invoke(cli, [*words, "--overwrite", "--json"]).output)
    assert found["structure"]["structured"] is True
    assert {one["name"] for one in found["structure"]["traits"]} == {"cells", "views", "edges", "turns", "streaks"}


def of_honest(family: str, beam: str, noise: float, method: str, seed: int) -> Structure | None:
    made = ct.simulate(family, beam=beam, size=80, views=64, noise=noise, seed=seed)
    delta = Delta(value=made.delta, norm="2-norm", how="the true one")
    problem = prepare(made.scan, delta, device="cpu")
    return conclude(problem, load_method(method)(problem)).structure


def test_an_honest_scan_is_left_alone() -> None:
    found = of_honest("head", "fan", 0.01, "huber-tv", 3)
    assert found is not None
    assert not found.structured


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_less_than_one_honest_scan_in_twenty_is_called_structured() -> None:
    methods = ("huber-tv", "cgls", "sirt", "energy")
    cases = list(product(range(len(FAMILIES)), ("fan", "parallel"), (0.0005, 0.002, 0.005, 0.01, 0.03)))
    found = [
        of_honest(FAMILIES[family].name, beam, noise, methods[k % len(methods)], 100 + k)
        for k, (family, beam, noise) in enumerate(cases)
    ]
    assert len(found) >= 60
    wrong = [(case, one.said) for case, one in zip(cases, found, strict=True) if one is not None and one.structured]
    assert len(wrong) < 0.05 * len(cases), wrong


def test_scans_that_are_too_small_still_reconstruct() -> None:
    angles = tuple(float(a) for a in np.linspace(0, math.pi, 8, endpoint=False))
    scan = Scan(np.ones((8, 12), np.float32), ct.ParallelBeam(angles_rad=angles, detector_count=12))
    assert ct.reconstruct(scan, method="cgls", delta="50%").conclusion.structure is None


def cylinder(beam: str, shift: float) -> Scan:
    """Water on the axis, a quarter of a cell off the detector's middle: all views are the same, edges and all."""
    water = Phantom((Ellipse(center=(0.0, 0.0), semi_axes=(28.0, 28.0), value=0.02),))
    angles = tuple(float(a) for a in np.arange(72) * 2 * math.pi / 72)
    cells: dict[str, Any] = {"angles_rad": angles, "detector_count": 64, "detector_offset_mm": 0.25}
    far = {"source_to_axis_mm": 200.0, "source_to_detector_mm": 200.0}
    geometry = ct.ParallelBeam(**cells) if beam == "parallel" else ct.FanBeam(**cells, **far)
    noise = np.random.default_rng(3).standard_normal(geometry.shape)
    seen = dataclasses.replace(geometry, detector_offset_mm=0.25 + shift)
    return Scan(water.sinogram(seen) + 0.003 * noise, geometry, grid=ct.Grid(rows=64, columns=64, pixel_mm=1.0))


@pytest.mark.long
@pytest.mark.sampled(1)
@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_a_cylinder_on_the_axis_is_left_alone_and_one_off_it_is_not(beam: str) -> None:
    honest = ct.reconstruct(cylinder(beam, 0.0), method="huber-tv", delta="auto").structure
    assert honest is not None
    assert not honest.structured, honest.said
    # Of the fan, conjugate gradients end before the rest stands out.
    method = "cgls" if beam == "parallel" else "huber-tv"
    off = ct.reconstruct(cylinder(beam, 1.0), method=method, delta="auto").structure
    assert off is not None
    assert off.structured
