"""``--scanner`` and ``--phantoms``: scanners and objects of a lab's own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.cli.training_scanners import read_families, read_scanners, scan_in_words
from ctrecon.errors import CtreconError, InputError, SettingError
from ctrecon.geometry.as_json import geometry_to_json
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.support.statistics import estimate
from ctrecon.training.card import NOISE_LEVELS, score_lines
from ctrecon.training.starts import scanned
from ctrecon.training.whole import Feed, TrainingData

ARC = FanBeam(
    angles_rad=tuple(np.deg2rad(np.arange(20.0, 51.0)).tolist()), detector_count=40, detector_spacing_mm=2.8,
    source_to_axis_mm=410.66, source_to_detector_mm=553.74,
)  # fmt: skip
PHANTOM = (
    "from ctrecon.phantoms import Ellipse, Phantom\n\n\ndef sample(rng):\n"
    "    return Phantom((Ellipse(center=(0, 0), semi_axes=(rng.uniform(0.5, 0.9), 0.9), value=1.0),))\n"
)


@pytest.fixture
def arc(tmp_path: Path) -> Path:
    path = tmp_path / "arc.json"
    path.write_text(geometry_to_json(ARC, Grid(rows=64, columns=64, pixel_mm=1.2)))
    return path


def test_names_files_and_folders_are_scanners(arc: Path, tmp_path: Path) -> None:
    assert read_scanners(("random",), 32) == []
    (walnut,) = read_scanners(("walnut",), 32)
    assert walnut.geometry == walnut_scanner(32).geometry
    (found,) = read_scanners((str(arc),), 32)
    assert found.geometry == ARC
    # The field of view stays, whatever the number of pixels.
    assert found.grid == Grid(rows=32, columns=32, pixel_mm=2.4)
    assert scan_in_words(found) == "31 fan-beam views"
    bare = tmp_path / "folder" / "bare.json"
    bare.parent.mkdir()
    bare.write_text(geometry_to_json(ARC))
    (bare.parent / "arc.json").write_text(arc.read_text())
    both = read_scanners((str(bare.parent), "walnut"), 32)
    assert [one.geometry for one in both] == [ARC, ARC, walnut.geometry]
    assert both[1].grid.rows == 32
    result = CliRunner().invoke(cli, ["simulate", "--size", "24", "--views", "12", "-o", str(tmp_path / "scan.npz")])
    assert result.exit_code == 0
    (measured,) = read_scanners((str(tmp_path / "scan.npz"),), 32)
    assert measured.geometry.shape == (12, 24)
    assert measured.grid.shape == (32, 32)


def test_what_is_no_scanner_is_refused_in_one_line(arc: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    cone = tmp_path / "cone.json"
    cone.write_text(json.dumps({
        "geometry": "cone", "angles_rad": [0.0, 1.0], "detector_count": 8, "detector_spacing_mm": 1.0,
        "detector_rows": 8, "detector_row_spacing_mm": 1.0, "source_to_axis_mm": 100.0, "source_to_detector_mm": 200.0,
    }))  # fmt: skip
    torn = tmp_path / "torn.json"
    torn.write_text('{"geometry": "fan"')
    for given, told in (
        (str(tmp_path / "none.json"), "there is no such file"), (str(empty), "holds no geometries"),
        (str(cone), "train-volumes"), (str(torn), "is not JSON"), (str(tmp_path / "none.npz"), "none.npz"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=told) as found:
            read_scanners((given,), 32)
        assert "\n" not in str(found.value)
    for given_twice in (("random", str(arc)), (str(arc), "random")):
        with pytest.raises(SettingError, match=r"drop it, or --scanner .*arc.json"):
            read_scanners(given_twice, 32)


def test_phantoms_of_the_same_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for path in files:
        path.parent.mkdir()
        path.write_text(PHANTOM)
    assert [one.name for one in read_families((files[0],))] == ["mine"]
    with pytest.raises(CtreconError, match="the same name"):
        read_families(tuple(files))


def test_several_scanners_serve_in_turn() -> None:
    scanners = [walnut_scanner(16, views) for views in (8, 10, 12)]
    data = TrainingData(samplers=[FAMILIES[0].sample])
    feed = Feed(data, 2, torch.device("cpu"), scanned, only=scanners, starts=2)
    try:
        rng = np.random.default_rng(0)
        views = [feed.cohorts.make(rng).data.shape[2] for _ in range(6)]
    finally:
        feed.close()
    assert views == [8, 10, 12, 8, 10, 12]


def test_a_training_on_ones_own_objects_and_scanner_says_so(arc: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PHANTOM)
    output = tmp_path / "mine.safetensors"
    line = [
        "train-phantoms", "--phantoms", str(tmp_path / "mine.py"), "--scanner", str(arc), "--size", "24", "--batch",
        "1", "--steps", "1", "--validation", "0", "-o", str(output),
    ]  # fmt: skip
    result = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = output.with_suffix(".md").read_text()
    assert "- phantoms (mine)" in card
    held = load_ct_network(output)[1]
    assert held["scan"] == "31 fan-beam views"
    said = estimate([31.0, 33.0], ["a", "b"]).to_dict()
    scored = held | {"scores": {"mine": {f"{level:.1%}": said for level in NOISE_LEVELS}}}
    assert "24 x 24 pixels, 31 fan-beam views" in "\n".join(score_lines(scored))
