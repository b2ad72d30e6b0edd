"""A geometry written here alone and registered by one line goes the whole way, from its file to the report."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from geometries import DISCS

import ctrecon as ct
from ctrecon.certificates import verify
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError, GeometryError
from ctrecon.geometry import registry
from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import each_view
from ctrecon.geometry.vectors import planar_vectors
from ctrecon.operators.cache import cached_sparse_operator


@dataclass(frozen=True, kw_only=True)
class Tripod(Geometry):
    """A source carried about the object by hand, the detector on a tripod opposite, moved every so often."""

    kind: ClassVar[str] = "tripod"
    title: ClassVar[str] = "hand-held source, detector on a tripod"

    source_mm: tuple[tuple[float, float], ...]
    tripod_mm: tuple[tuple[float, float], ...]
    detector_count: int
    detector_spacing_mm: float

    def __post_init__(self):
        object.__setattr__(self, "source_mm", each_view("source_mm", self.source_mm, width=2))
        object.__setattr__(self, "tripod_mm", each_view("tripod_mm", self.tripod_mm, len(self.source_mm), width=2))

    def to_vectors(self):
        source, tripod = np.array(self.source_mm), np.array(self.tripod_mm)
        ahead = tripod / np.linalg.norm(tripod, axis=1)[:, None]
        axis = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
        return planar_vectors(
            source, tripod, axis, columns=self.detector_count, column_mm=self.detector_spacing_mm, parallel=False
        )


def tripod(views=80):
    turn = np.arange(views) * 2 * np.pi / views
    rng = np.random.default_rng(3)
    source = (70 + rng.uniform(-5, 5, views))[:, None] * np.stack([np.sin(turn), -np.cos(turn)], axis=1)
    legs = np.round(turn / 0.2) * 0.2
    stand = 50 * np.stack([-np.sin(legs), np.cos(legs)], axis=1)
    return Tripod(source_mm=source, tripod_mm=stand, detector_count=96, detector_spacing_mm=1.1)


@pytest.fixture
def registered():
    registry.register(Tripod)
    yield
    del registry.geometries()[Tripod.kind]


@pytest.fixture
def scan(tmp_path, registered):
    geometry = tripod()
    f = DISCS.sinogram(geometry).astype(np.float64)
    f += 0.01 * np.linalg.norm(f) / np.sqrt(f.size) * np.random.default_rng(0).standard_normal(f.shape)
    np.save(tmp_path / "scan.npy", f)
    image = {"rows": 60, "columns": 52, "pixel_mm": [0.66, 0.78], "centre_mm": [0.8, -0.4]}
    (tmp_path / "scan.json").write_text(json.dumps({**geometry.to_dict(), "image": image}))
    return tmp_path / "scan.npy"


def run(*arguments, code=0):
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.output


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", ["energy", "cgls", "huber-tv"])
def test_from_its_file_to_the_report(scan, method, tmp_path):
    image = tmp_path / f"{method}.npy"
    run("reconstruct", scan, "--delta", "auto", "--method", method, "-o", image)
    certificate = image.with_name(f"{method}.certificate.json")
    assert "valid" in run("verify", certificate).lower()
    # The checker alone, in a process that knows nothing of the class: the certificate brings its vectors.
    alone = shutil.copy(Path(verify.__file__), tmp_path / "checker.py")
    done = subprocess.run(
        [sys.executable, "-I", alone, certificate], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Joseph's projector of the geometry stated here view by view" in done.stdout
    truth = DISCS.image(ct.read_scan(scan).grid)
    found = np.load(image)
    assert np.linalg.norm(found - truth) < 0.2 * np.linalg.norm(truth)
    run("report", image, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "80" in page
    assert "free vectors, given view by view" in page
    assert "0.66 × 0.78 mm" in page  # noqa: RUF001
    assert "x 0.8 mm, y −0.4 mm from the axis" in page  # noqa: RUF001
    run("info", scan)


def test_what_it_does_not_state_is_refused_by_name_before_the_work(scan, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert "Tripod.orbit" in run("reconstruct", scan, "--method", "fbp", "-o", tmp_path / "u.npy", code=2)
    assert "Tripod.with_center" in run("reconstruct", scan, "--center", "40", "-o", tmp_path / "u.npy", code=2)
    assert "Tripod.with_center" in run("reconstruct", scan, "--center", "auto", "-o", tmp_path / "u.npy", code=2)
    assert sorted(tmp_path.iterdir()) == before


def test_the_same_from_python(scan):
    read = ct.read_scan(scan)
    assert read.geometry == tripod()
    result = ct.reconstruct(read, delta="auto", method="cgls")
    assert result.certified


def test_a_mirrored_detector_meets_no_delta(scan):
    read = ct.read_scan(scan)
    mirrored = ct.Scan(sinogram=read.sinogram[:, ::-1], geometry=read.geometry, grid=read.grid)
    assert not ct.reconstruct(mirrored, delta="2%", method="huber-tv").certified


def test_registration_wants_a_frozen_class_and_a_name_of_its_own(registered):
    registry.register(Tripod)  # twice is once

    @dataclass(frozen=True, kw_only=True)
    class Other(Tripod):
        pass

    with pytest.raises(GeometryError, match="'tripod' is Tripod already"):
        registry.register(Other)

    class Nameless:
        pass

    with pytest.raises(GeometryError, match="Nameless must be a frozen dataclass with a kind and a title"):
        registry.register(Nameless)
    with pytest.raises(CtreconError, match='"source_mm" is missing in a tripod geometry'):
        geometry_from_dict({"geometry": "tripod", "detector_count": 4, "detector_spacing_mm": 1})


def test_a_class_that_forgets_to_cut_its_views_is_told():
    @dataclass(frozen=True, kw_only=True)
    class Forgetful(Tripod):
        kind: ClassVar[str] = "forgetful"

        def __post_init__(self):
            object.__setattr__(self, "source_mm", tuple(map(tuple, self.source_mm)))

    whole = tripod()
    forgetful = Forgetful(
        source_mm=whole.source_mm, tripod_mm=tuple(whole.tripod_mm), detector_count=96, detector_spacing_mm=1.1
    )
    with pytest.raises(GeometryError, match=r"Forgetful has 80 views after some were chosen: .* checks.each_view"):
        forgetful.views(slice(0, 5))


def test_a_stored_matrix_is_not_taken_for_that_of_code_that_changed(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Moved(Tripod):
        def to_vectors(self):
            vectors = super().to_vectors()
            return replace(vectors, detector=1.1 * vectors.detector)

    whole = tripod(8)
    moved = Moved(**{field.name: getattr(whole, field.name) for field in fields(whole)})
    assert moved.to_dict() == whole.to_dict()
    grid, x = ct.Grid(rows=20, columns=20, pixel_mm=2.0), torch.ones(1, 1, 20, 20)
    found = [
        cached_sparse_operator(one, grid, directory=tmp_path, least_bytes=0)(x) for one in (whole, moved, whole)
    ]
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1], atol=1e-3)
