"""The picture's panels stand at fixed places: whatever they show, nothing is cut off and nothing overlaps."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import ctrecon as ct
from ctrecon.outputs.preview import draw_into, draw_preview
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


def cut_or_overlapping(figure: Figure) -> list[str]:
    """What leaves the figure, or reaches into what is next to it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = sorted((axis.get_tightbbox(canvas.get_renderer()) for axis in figure.axes), key=lambda box: float(box.x0))
    width, height = canvas.get_width_height()
    found = [f"cut: {box}" for box in boxes if min(box.x0, box.y0, width - box.x1, height - box.y1) < 0]
    found += [f"overlap: {one} {other}" for one, other in pairwise(boxes) if one.x1 > other.x0]
    titles = [text.get_window_extent() for text in figure.texts]
    return found + [f"title: {box}" for box in boxes for title in titles if box.y1 > title.y0]


@pytest.mark.parametrize(
    ("scale", "shape"), [(1e-9, (24, 24)), (1e-3, (48, 12)), (7.0, (12, 48)), (3e4, (24, 24))]
)
def test_nothing_is_cut_off_and_nothing_overlaps(scale: float, shape: tuple[int, int]) -> None:
    result = conclusion(scale, *shape)
    assert cut_or_overlapping(draw_into(Figure(dpi=110), result)) == []
    assert cut_or_overlapping(draw_into(Figure(), result, title="What was proved, at some length. " * 12)) == []


def test_it_would_be_noticed() -> None:
    figure = draw_into(Figure(), conclusion(1.0))
    left, right = figure.axes[0], figure.axes[1]
    right.set_position(left.get_position())
    assert cut_or_overlapping(figure)


def test_png_names_what_made_it() -> None:
    with Image.open(io.BytesIO(draw_preview(conclusion(1.0)))) as picture:
        assert picture.size == (1650, 572)
        assert picture.info["Software"] == "ctrecon"
        assert np.asarray(picture.convert("L")).std() > 10
