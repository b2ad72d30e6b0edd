"""The picture's panels stand at fixed places: whatever they show, nothing is cut off and nothing overlaps."""

from __future__ import annotations

import io
import math
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

import ctrecon as ct
from ctrecon.outputs.canvas import BLUE_TO_RED, GRAYS, Canvas, decade_ticks, linear_ticks
from ctrecon.outputs.preview import draw_on_canvas, draw_preview
from ctrecon.reconstruction.conclude import Conclusion


def conclusion(scale: float, rows: int = 24, columns: int = 24) -> Conclusion:
    """A fit by two steps of CGLS, so that E and residual stay within a decade and get their widest labels."""
    fan = ct.FanBeam(
        angles_rad=tuple(np.arange(12) * 2 * math.pi / 12), detector_count=24, detector_spacing_mm=4.8,
        source_to_axis_mm=110.0, source_to_detector_mm=300.0,
    )  # fmt: skip
    data = np.random.default_rng(12).normal(0.0, scale, (12, 24)).astype(np.float32)
    scan = ct.Scan(sinogram=data, geometry=fan, grid=ct.Grid(rows=rows, columns=columns, pixel_mm=1.7))
    return ct.reconstruct(scan, delta="0.001%", method="cgls", iterations=2).conclusion


def cut_or_overlapping(canvas: Canvas) -> list[str]:
    """Words that leave the picture, or reach into others."""
    width, height = canvas.picture.size
    found = [
        f"cut: {words} {box}" for words, box in canvas.boxes
        if min(box[0], box[1], width - box[2], height - box[3]) < 0
    ]  # fmt: skip
    for (one, a), (other, b) in combinations(canvas.boxes, 2):
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
            found.append(f"overlap: {one} {a}, {other} {b}")
    return found


@pytest.mark.parametrize(
    ("scale", "shape"), [(1e-9, (24, 24)), (1e-3, (48, 12)), (7.0, (12, 48)), (3e4, (24, 24))]
)
def test_nothing_is_cut_off_and_nothing_overlaps(scale: float, shape: tuple[int, int]) -> None:
    canvas = draw_on_canvas(conclusion(scale, *shape))
    assert cut_or_overlapping(canvas) == []
    words = [said for said, _ in canvas.boxes]
    assert {"x in mm", "y in mm", "detector cell", "view", "iteration", "residual Au - f"} <= {
        said.split(" (")[0].split(":")[0] for said in words
    }


def test_it_would_be_noticed() -> None:
    canvas = Canvas(100, 100)
    canvas.text(10, 50, "one", "lm")
    assert cut_or_overlapping(canvas) == []
    canvas.text(15, 50, "two", "lm")
    canvas.text(95, 80, "cut off", "lm")
    assert [said.split(":")[0] for said in cut_or_overlapping(canvas)] == ["cut", "overlap"]


def test_png_names_what_made_it() -> None:
    with Image.open(io.BytesIO(draw_preview(conclusion(1.0)))) as picture:
        assert picture.size == (1650, 572)
        assert picture.info["Software"] == "ctrecon"
        assert np.asarray(picture.convert("L")).std() > 10


def test_colours_stand_where_the_values_do() -> None:
    canvas = Canvas(60, 60)
    canvas.image((10, 10, 50, 50), np.array([[0.0, 1.0], [2.0, 3.0]]), 0.0, 2.0, GRAYS)
    at = [canvas.picture.getpixel(place) for place in ((20, 20), (40, 20), (20, 40), (40, 40))]
    assert at == [(0, 0, 0), (128, 128, 128), (255, 255, 255), (255, 255, 255)]
    canvas.image((10, 10, 50, 50), np.array([[-1.0, 1.0]]), -1.0, 1.0, BLUE_TO_RED)
    assert [canvas.picture.getpixel(place) for place in ((20, 20), (40, 20))] == [BLUE_TO_RED[0], BLUE_TO_RED[-1]]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3e-7, 2e-7), (5.0, 5.0 + 1e-3), (-1e6, 3e6), (0.0, 0.0)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = linear_ticks(low, high)
    assert len(ticks.at) <= 7
    assert all(low - 1e-9 * (high - low) <= v <= high + 1e-9 * (high - low) for v in ticks.at)
    factor = float(ticks.factor or 1)
    assert [float(said) * factor for said in ticks.labels] == pytest.approx(list(ticks.at), rel=1e-4, abs=1e-300)
    assert len(set(ticks.labels)) == len(ticks.labels)


def test_decades_of_a_logarithmic_axis() -> None:
    assert decade_ticks(0.15, 7.0).at == (0.2, 0.5, 1.0, 2.0, 5.0)
    assert decade_ticks(1e-30, 1e5).at[0] >= 1e-30
    assert len(decade_ticks(1e-30, 1e5).at) <= 9
