"""Every table of quality says images, patients and a 95% interval, and which differences are not significant."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image as PillowImage

from ctrecon.applications.sudoku.card import model_card as sudoku_card
from ctrecon.applications.sudoku.solve import is_solved
from ctrecon.cli.commands import benchmark, safety
from ctrecon.cli.main import cli
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.studies.benchmarks import BenchmarkRow
from ctrecon.studies.paper import evaluations, table1, table2
from ctrecon.studies.safety.lesions import Lesion
from ctrecon.studies.safety.readings import Reading, rows_of
from ctrecon.training.card import model_card

SOLVED = np.array([[(3 * (r % 3) + r // 3 + c) % 9 + 1 for c in range(9)] for r in range(9)])


def row(gain, patients):
    huber = np.linspace(30, 34, len(gain))
    psnr = {"energy": (huber + gain).tolist(), "huber_tv": huber.tolist()}
    psnr |= {name: huber.tolist() for name in ("one_shot", "cgls", "fbp")}
    return BenchmarkRow(
        name="CT", noise="1.0%", data_sha256="x", psnr=psnr, iterations=[3] * len(gain), certified=[True] * len(gain),
        patients=tuple(patients),
    )  # fmt: skip


def test_benchmark():
    clear = row(np.array([1.0, 1.2, 0.9, 1.1]), "aabb")
    assert "| 4 (2) |" in benchmark._line(clear)
    assert "+1.05 (" in benchmark._line(clear)
    mixed = row(np.array([1.0, -1.2, 0.9, -1.1, 0.3, -0.2]), "abcdef")
    assert "n.s.)" in benchmark._line(mixed)
    assert "n.s." not in benchmark._line(clear) or clear.estimate(clear.gains("huber_tv")).low <= 0
    facts = json.loads(json.dumps(mixed.to_dict(), allow_nan=False))
    assert facts["gain_over_huber_tv_db"]["significant"] is False
    assert facts["psnr_interval_db"]["energy"]["patients"] == 6
    alone = row(np.array([1.0, 1.2]), "aa")
    assert "no interval" in benchmark._line(alone)
    json.dumps(alone.to_dict(), allow_nan=False)
    # Images of one patient are no patients: their interval is wider than one over images would be.
    rng = np.random.default_rng(0)
    level = np.repeat(rng.normal(size=6), 8)
    wide, narrow = row(level, np.repeat(list("abcdef"), 8)), row(level, ())
    spread = [one.estimate(one.gains("huber_tv")) for one in (wide, narrow)]
    assert spread[0].high - spread[0].low > 1.8 * (spread[1].high - spread[1].low)


def test_safety():
    def reading(method, number, share):
        return Reading(
            method=method, noise=0.01, lesion=Lesion(50.0, 2.0), slice=number, inner=True,
            recovered=np.full(3, share), auc=0.9, spurious_hu=np.array([3.0, 4.0]),
        )

    shares = {
        "energy dissipation": (0.8, 0.85, 0.82, 0.81), "FBP": (0.5, 0.9, 0.6, 0.7), "Huber-TV": (0.6, 0.7, 0.65, 0.6)
    }  # fmt: skip
    rows = rows_of([reading(m, k, s) for m, each in shares.items() for k, s in enumerate(each)], list("abcd"))
    found = {one.method: one for one in rows if one.places == "all"}
    assert found["energy dissipation"].over_huber_tv.significant
    assert not found["FBP"].over_huber_tv.significant
    assert found["Huber-TV"].over_huber_tv is None
    text = safety._table(rows)
    assert "| 4 (4) |" in text
    assert text.count("n.s.") == 1
    json.dumps([one.to_dict() for one in rows], allow_nan=False)


def test_table_1(tmp_path: Path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "set"
    folder.mkdir()
    for k in range(3):
        PillowImage.fromarray(rng.integers(0, 255, size=(24, 24, 3), dtype=np.uint8)).save(folder / f"{k}.png")

    def flat(data, scale):
        return torch.full((1, 1, 4 * data.shape[2], 4 * data.shape[3]), 0.5)

    methods = {"flat": flat, "enlarged": lambda f, scale: torch.nn.functional.interpolate(f, scale_factor=scale)}
    first, second = table1.table([folder], methods, 4)
    assert (first.interval.images, first.interval.groups, first.gain.mean) == (3, 3, 0)
    assert second.gain.mean == pytest.approx(second.psnr - first.psnr)
    assert second.interval.low <= second.psnr <= second.interval.high
    json.dumps(second.to_dict(), allow_nan=False)


def test_ways_of_evaluation(tmp_path: Path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "Set5"
    folder.mkdir()
    grey = rng.integers(0, 255, size=(25, 26), dtype=np.uint8)
    PillowImage.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "a.png")
    found = {(way.channels, way.border): way.psnr.mean for way in evaluations.ways(folder, 4)}
    x = grey[:24, :24] / 255
    squares = x.reshape(6, 4, 6, 4)
    error = np.mean((squares - squares.mean(axis=(1, 3), keepdims=True)) ** 2)
    assert found["red, green, blue", 0] == pytest.approx(10 * np.log10(1 / error))
    # Of a grey picture the full luminance is its grey; that of 16 to 235 has 219 of 255 levels.
    assert found["luminance 0 to 255", 0] == pytest.approx(found["red, green, blue", 0])
    shorter = 20 * np.log10(255 / 219)
    assert found["luminance 16 to 235", 0] == pytest.approx(found["luminance 0 to 255", 0] + shorter)
    inner = (squares - squares.mean(axis=(1, 3), keepdims=True)).reshape(24, 24)[4:-4, 4:-4]
    assert found["red, green, blue", 4] == pytest.approx(10 * np.log10(1 / np.mean(inner**2)))
    # The baseline of table 1 is one of the ways.
    nearest = {"nearest": lambda f, scale: torch.nn.functional.interpolate(f, scale_factor=scale)}
    (first,) = table1.table([folder], nearest, 4)
    assert first.psnr == pytest.approx(found["luminance 16 to 235", 0], abs=1e-4)
    line = ["reproduce", "table1", "--data", str(folder), "--ways", "-o", str(tmp_path / "ways.json")]
    result = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert len(json.loads((tmp_path / "ways.json").read_text())) == len(found) == 8


def test_table_2():
    puzzles = np.stack([SOLVED] * 6)
    puzzles[:, 0, :4] = 0
    methods = {"nothing": lambda p: p, "half": lambda p: np.where(np.arange(6)[:, None, None] < 3, SOLVED, p)}
    assert is_solved(np.stack([SOLVED]), puzzles[:1]).all()
    nothing, half = table2.table(puzzles, np.stack([SOLVED] * 6), methods)
    assert (half.share.hits, half.share.count) == (3, 6)
    assert half.gain.mean == pytest.approx(half.accuracy - nothing.accuracy)
    assert half.interval.low < half.accuracy < half.interval.high
    json.dumps(half.to_dict(), allow_nan=False)


def test_model_cards():
    known = {"mean": 36.5, "low": 35.9, "high": 37.1, "images": 8, "patients": 4}
    alone = {"mean": 30.0, "low": None, "high": None, "images": 2, "patients": 1}
    common = {"data": [], "seed": 0, "steps": 1, "batch": 1, "hours": 1, "date": "", "command": "", "loss": 0}
    card = {**common, "size": 164, "scan": "fan", "scores": {"CT": {"0.5%": known, "1.0%": known, "3.0%": alone}}}
    text = model_card("n", UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1))), card)
    assert "| CT | 8 (4) | 36.50 (35.90 to 37.10) |" in text
    assert "30.00 (no interval)" in text
    scores = {"easy.csv": {"puzzles": 100, "first": 91, "solved": 100}}
    text = sudoku_card("s", torch.nn.Linear(1, 1), {**common, "one_pass": False, "scores": scores})
    assert "| easy.csv | 100 | 91 of 100 (84 to 95%) | 100 of 100 (96 to 100%) |" in text
