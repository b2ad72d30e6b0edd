"""The picture beside a reconstruction: the image, what of the data it leaves unexplained, and how it got there."""

from __future__ import annotations

import numpy as np
import torch

from ctrecon.measurement.patient_position import axes_of
from ctrecon.outputs.canvas import BLUE_TO_RED, GRAYS, Box, Canvas, decade_ticks, linear_ticks
from ctrecon.reconstruction.conclude import Conclusion
from ctrecon.support.arrays import Array, Float64Array

WIDTH, HEIGHT = 1650, 572
# Where the three panels stand and their colour bars, from left to right, in pixels; between them is room for the widest
# tick labels.
_IMAGE, _IMAGE_BAR, _RESIDUAL, _RESIDUAL_BAR, _HISTORY = (
    (74, 470), (490, 510), (685, 1072), (1092, 1112), (1290, 1636),
)  # fmt: skip
_BELOW, _ABOVE = 60, 40
_RESIDUAL_COLOUR, _ENERGY_COLOUR, _DELTA_COLOUR = (31, 119, 180), (255, 127, 14), (214, 39, 40)
_UNDECIDED_COLOUR = (255, 170, 0)
_SMALLEST = 1e-30
_ROOM = 1.25


def draw_preview(result: Conclusion) -> bytes:
    """A PNG with image (1/mm), residual sinogram, and E and residual over the iterations with delta drawn.

    Args:
        result: What is drawn.

    Returns:
        The file, 1650 x 572 pixels.
    """
    return draw_on_canvas(result).png("ctrecon")


def draw_on_canvas(result: Conclusion) -> Canvas:
    """The same, not yet a file."""
    canvas = Canvas(WIDTH, HEIGHT)

    def place(panel: tuple[int, int], part: float = 1.0) -> Box:
        height = HEIGHT - _ABOVE - _BELOW
        return panel[0], _ABOVE + (1 - part) / 2 * height, panel[1], _ABOVE + (1 + part) / 2 * height

    _draw_image(canvas, place(_IMAGE), place(_IMAGE_BAR, 0.8), result)
    _draw_residual(canvas, place(_RESIDUAL), place(_RESIDUAL_BAR, 0.8), result)
    _draw_history(canvas, place(_HISTORY), result)
    return canvas


def middle(image: Array) -> Array:
    """An image itself; of a volume its middle slice."""
    return image if image.ndim == 2 else image[len(image) // 2]


def _draw_sides(canvas: Canvas, box: Box, result: Conclusion) -> None:
    """The patient's right and left, front and back, where it is known how the patient lay."""
    axes = axes_of(result.problem.scan.patient_position)
    if axes is None or result.problem.grid is None:
        return
    left, top, right, bottom = box
    across, up = (left + right) / 2, (top + bottom) / 2
    canvas.mark(left + 6, up, axes["x"][0], "lm")
    canvas.mark(right - 6, up, axes["x"][1], "rm")
    canvas.mark(across, bottom - 4, axes["y"][0], "md")
    canvas.mark(across, top + 4, axes["y"][1], "ma")


def _draw_image(canvas: Canvas, panel: Box, bar: Box, result: Conclusion) -> None:
    image, grid = middle(result.image), result.problem.grid
    rows, columns = image.shape
    low, high = (float(q) for q in np.percentile(image, [0.5, 99.8]))
    low, high = min(0.0, low), max(high, low + 1e-12)
    x, y, width, height = columns / 2 - 0.5, rows / 2 - 0.5, float(columns), float(rows)
    down = True  # rows count downwards, y in mm upwards
    if grid is not None:
        (height, width), (x, y), down = grid.size_mm, grid.centre_mm[:2], False
    box = _shaped(panel, width / height)
    canvas.image(box, image, low, high, GRAYS)
    _draw_sides(canvas, box, result)
    beyond = result.problem.scan.undecided_beyond_mm
    if beyond is not None and grid is not None:
        axis = (0.5 - x / width, 0.5 + y / height)
        canvas.circle(box, axis, (beyond / width, beyond / height), _UNDECIDED_COLOUR)
    units, place = result.problem.scan.units, grid is not None
    across = linear_ticks(x - width / 2, x + width / 2, most=6)
    canvas.below(box, across, x - width / 2, x + width / 2, f"x in {units.length}" if place else "column")
    along = linear_ticks(y - height / 2, y + height / 2, most=6)
    places = [(v - y + height / 2) / height for v in along.at]
    canvas.beside(box, along, [1 - p for p in places] if down else places, f"y in {units.length}" if place else "row")
    canvas.title(panel, image_title(result))
    canvas.bar(bar, low, high, GRAYS, f"attenuation{units.per}")


def image_title(result: Conclusion) -> str:
    """What stands above the image: certified, not certified, or certified to no avail."""
    if not result.certified:
        return "image, NOT certified"
    if result.worth is not None and result.worth.nothing:
        return "image; its certificate says nothing"
    if result.problem.scan.undecided_beyond_mm is not None:
        return "certified image; beyond the circle the data leave it open"
    return "certified image"


def residual_title(result: Conclusion) -> str:
    """What stands above the residual: by which p-value it has structure, or that none was found but a grid's own."""
    if result.structure is not None and result.structure.structured:
        return f"residual Au - f: STRUCTURED (p = {result.structure.p_value:.1g})"
    if not result.certified:
        return "residual Au - f: more than delta"  # the test knows few kinds of structure, and something is left over
    if result.structure is None:
        return "residual Au - f"
    return "residual Au - f: no structure beyond a grid's own found"


def _shaped(panel: Box, aspect: float) -> Box:
    """The largest box in a panel so many times as wide as high, in its middle."""
    left, top, right, bottom = panel
    width, height = right - left, bottom - top
    wide, high = min(width, height * aspect), min(height, width / aspect)
    wide, high = max(wide, 2.0), max(high, 2.0)
    x, y = (left + right) / 2, (top + bottom) / 2
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _draw_residual(canvas: Canvas, panel: Box, bar: Box, result: Conclusion) -> None:
    energy = result.problem.energy
    u = torch.from_numpy(result.image)[None, None].to(result.problem.device)
    residual = (energy.operator(u) - energy.data)[0, 0]
    label = "line integral"
    if energy.weights is not None:
        residual = residual * energy.weights[0, 0].sqrt()
        if result.problem.delta.norm == "whitened":  # else the weights leave out what is missing
            label = "in standard deviations"
    values = residual.cpu().numpy()
    values = values if values.ndim == 2 else values[:, values.shape[1] // 2]  # of the middle row
    limit = float(np.percentile(np.abs(values), 99.5)) or 1.0
    views, cells = values.shape
    canvas.image(panel, values, -limit, limit, BLUE_TO_RED)
    canvas.below(panel, linear_ticks(-0.5, cells - 0.5, whole=True), -0.5, cells - 0.5, "detector cell")
    ticks = linear_ticks(-0.5, views - 0.5, whole=True)
    canvas.beside(panel, ticks, [1 - (v + 0.5) / views for v in ticks.at], "view")
    canvas.title(panel, residual_title(result))
    canvas.bar(bar, -limit, limit, BLUE_TO_RED, label)


def _draw_history(canvas: Canvas, panel: Box, result: Conclusion) -> None:
    history, delta = result.outcome.history, result.problem.delta.value
    iteration = np.array([progress.iteration for progress in history], dtype=np.float64)
    residual, energy = (
        np.maximum([getattr(p, name) for p in history], _SMALLEST) for name in ("residual", "energy")
    )
    first, last = float(iteration.min()), max(float(iteration.max()), float(iteration.min()) + 1)
    first, last = first - 0.04 * (last - first), last + 0.04 * (last - first)
    every = np.concatenate([residual, energy, [delta] if delta > 0 else []])
    low, high = float(every.min()) / 1.3, float(every.max())
    high = low * (high / low) ** _ROOM  # for the legend above the curves

    def height(values: Float64Array) -> Float64Array:
        return np.asarray(np.log(values / low) / np.log(high / low))

    def line(k: Float64Array, values: Float64Array) -> Float64Array:
        return np.stack([(k - first) / (last - first), height(values)], axis=1)

    lines = [
        ("residual", _RESIDUAL_COLOUR, line(iteration, residual), "o"),
        ("energy E", _ENERGY_COLOUR, line(iteration, energy), "s"),
    ]
    if delta > 0:
        lines.append(("delta", _DELTA_COLOUR, line(np.array([first, last]), np.full(2, delta)), ""))
    ticks = decade_ticks(low, high)
    places = height(np.array(ticks.at)).tolist()
    canvas.curves(panel, lines, places)
    canvas.beside(panel, ticks, places, "")
    canvas.below(panel, linear_ticks(first, last, whole=True), first, last, "iteration")
    canvas.title(panel, f"residual {result.residual:.4g} {'<=' if result.certified else '>'} delta {delta:.4g}")
