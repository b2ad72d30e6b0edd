"""A picture of a geometry: the source's way, the detector and the grid, from above and from the side.

What a wrong sign turns over can be seen: which way it turns, where column 0 and row 0 are, to which side the detector
is displaced, whether a helix climbs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.units import MM, Units
from ctrecon.outputs.drawing import INK, Dot, Drawing, Part, Stroke, Words
from ctrecon.outputs.geometry_places import PER_DETECTOR, Places
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.atomic import atomic_write

SIDE, EDGE = 420, 46
_LINE = 17
FIRST, LATER, WAY = "#2f80ed", "#d9730d", "#808b98"
# Views that jump by more are drawn as dots, not as a way.
_JUMP_RAD = 0.35


def draw_geometry(geometry: Geometry, grid: Grid, *, units: Units = MM) -> Drawing:
    """The picture of a scanner about a grid.

    Args:
        geometry: Of the scan.
        grid: Of the image or volume.
        units: What lengths are called.

    Returns:
        From above (x to the right, y up), and in space also from the side of the first view (z up).
    """
    place = Places(geometry, grid, units)
    sides = [_panel(_Panel(0, place.reach_above(), [0, 1], 1.0), place, units)]
    if place.in_space:
        reach, taller = place.reach_beside()
        sides.append(_panel(_Panel(SIDE, reach, [2, 3], taller), place, units))
    drawing = Drawing(SIDE * len(sides), SIDE + _LINE * (len(place.said) + 1), "; ".join(place.said))
    for panel in sides:
        drawing.parts += panel.parts
    for k, line in enumerate(place.said):
        drawing.parts.append(Words((EDGE / 3, SIDE + _LINE * (k + 0.5)), line, across=1, down=1))
    return drawing


def write_geometry(path: Path, scan: Scan) -> None:
    """Draw the geometry of a scan to a PNG, whole or not at all.

    Args:
        path: ``NAME.png``.
        scan: With a geometry.

    Raises:
        InputError: For a scan that brings its own matrix.
        OutputError: Where it cannot be written.
    """
    ready = scan.with_grid()
    if ready.geometry is None or ready.grid is None:
        raise InputError(f"{scan.source} brings its own matrix and no geometry that could be drawn; drop --picture")
    drawing = draw_geometry(ready.geometry, ready.grid, units=scan.units)
    with atomic_write(path) as place:
        place.write_bytes(drawing.png())


@dataclass
class _Panel:
    """One view of it. ``taller``: upright lengths are drawn so many times as long."""

    left: float
    reach: float
    axes: list[int]
    taller: float
    parts: list[Part] = field(default_factory=list)

    def at(self, places: Array) -> Float64Array:
        scale = (SIDE - 2 * EDGE) / 2 / self.reach * np.array([1, self.taller])
        flat = np.asarray(places, dtype=np.float64)[..., self.axes] * scale
        return np.stack([self.left + SIDE / 2 + flat[..., 0], SIDE / 2 - flat[..., 1]], axis=-1)

    def stroke(self, places: Array, colour: str, **more: object) -> None:
        """A line, as far as it is within the panel."""
        for piece in _within(self.at(places), self.left, more.get("fill") is not None):
            self.parts.append(Stroke(piece, colour, **more))  # type: ignore[arg-type]

    def holds(self, places: Array) -> bool:
        return bool((np.abs(self.at(places) - [self.left + SIDE / 2, SIDE / 2]) <= SIDE / 2 - 4).all())

    def words(self, place: Array, text: str, colour: str = INK) -> None:
        """On the far side of ``place``, seen from the middle; above or below it where the panel ends there."""
        x, y = (float(part) for part in self.at(place))
        across, down = _sign(x - self.left - SIDE / 2), _sign(y - SIDE / 2)
        wide = Words((0, 0), text).box[2] * 2
        fits = self.left < x + across * (wide + 9) < self.left + SIDE
        if abs(y - SIDE / 2) > abs(x - self.left - SIDE / 2) or not fits:
            x = min(max(x, self.left + wide / 2 + 3), self.left + SIDE - wide / 2 - 3)
            self.parts.append(Words((x, y + 9 * (down or 1)), text, colour, 0, down or 1))
        else:
            self.parts.append(Words((x + 9 * across, y), text, colour, across, 0))


def _sign(value: float) -> int:
    return (value > 1) - (value < -1)


def _panel(panel: _Panel, place: Places, units: Units) -> _Panel:
    beside, left = panel.axes == [2, 3], panel.left
    _grid(panel, place, beside)
    _way(panel, place)
    for view, lines, colour in zip(place.views, place.detectors, (FIRST, LATER), strict=False):
        if not (beside and view):
            _view(panel, place, view, lines, colour, beside)
    scale = _round(panel.reach / 2)
    ends = np.zeros((2, 4))
    ends[1, panel.axes[0]] = scale
    bar = panel.at(ends) + np.array([EDGE / 3 + left - panel.at(ends)[0, 0], SIDE - EDGE / 3 - panel.at(ends)[0, 1]])
    panel.parts.append(Stroke(bar, INK, 3))
    panel.parts.append(Words((float(bar[1, 0]) + 6, float(bar[1, 1])), f"{scale:g} {units.short}", across=1))
    title = "from above: x to the right, y up, z to you"
    if beside:
        title = "from the side of view 0: z up" + (f", {panel.taller:g} times as high" if panel.taller > 1 else "")
    panel.parts.append(Words((left + EDGE / 3, 8), title, across=1, down=1))
    return panel


def _grid(panel: _Panel, place: Places, beside: bool) -> None:
    (x0, y0), (x1, y1), (z0, z1) = place.low, place.high, place.z
    corners = np.array([(x, y, 0.0) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))])
    box = place.seen(corners)
    if beside:
        a, b = float(box[:, 2].min()), float(box[:, 2].max())
        box = np.array([(0, 0, s, z) for s, z in ((a, z0), (b, z0), (b, z1), (a, z1))])
    panel.stroke(np.vstack([box, box[:1]]), INK, fill=WAY)
    high = panel.reach / panel.taller
    axis = [(0, 0, 0, -high), (0, 0, 0, high)] if beside else [(0, 0, 0, 0)]
    if beside:
        panel.stroke(np.array(axis), WAY, width=1, dash=True)
        if place.grid.slices is not None:
            panel.stroke(box[:2], INK, width=4)
            panel.words((box[0] + box[1]) / 2, "slice 0")
        return
    panel.parts.append(Dot(tuple(panel.at(np.array(axis[0]))), INK, 3.5))
    panel.stroke(box[[3, 2]], INK, width=4)  # row 0
    x, y = (float(part) for part in panel.at(box[3]))
    panel.parts.append(Words((x + 2, y - 3), "row 0", across=1, down=-1))
    for k, name in enumerate("xy"):
        tip = np.zeros((2, 4))
        tip[1, k] = 0.55 * min(abs(x1 - x0), abs(y1 - y0))
        panel.stroke(tip, INK, width=1, arrow=True)
        x, y = (float(part) for part in panel.at(tip[1]))
        panel.parts.append(Words((x + 7, y + 4), name, across=1, down=0))


def _way(panel: _Panel, place: Places) -> None:
    way, steps = place.way, np.abs(np.diff(place.turn))
    if len(steps) and float(steps.max()) > _JUMP_RAD:
        for one in way[:: max(1, len(way) // 180)]:
            if panel.holds(one):
                panel.parts.append(Dot(tuple(panel.at(one)), WAY, 2))
    else:
        panel.stroke(way, WAY, width=1.5)
    # Between the views that are drawn, so that no dot lies on the arrow.
    later = place.views[-1]
    level = panel.axes == [2, 3] and float(np.ptp(way[:, 3])) < 1e-9 * panel.reach
    for k in () if level else {later // 2, min(len(way) - 1, later + (len(way) - later) // 2)} - {0}:
        if panel.holds(way[k]) and panel.holds(way[k - 1]):
            panel.parts.append(Stroke(_long_enough(panel.at(way[k - 1 : k + 1])), WAY, 2.5, arrow=True))


def _view(panel: _Panel, place: Places, view: int, lines: Float64Array, colour: str, beside: bool) -> None:
    source, detector = place.way[view], lines[1 if beside else 0]
    ends = detector[[0, -1]]
    for end in ends:
        start = source if not place.parallel else source + end - detector[PER_DETECTOR // 2]
        panel.stroke(np.array([start, end]), colour, width=1)
    panel.stroke(np.array([source, detector[PER_DETECTOR // 2]]), colour, width=1, dash=True)
    panel.stroke(detector, colour, width=5)
    what = "rays" if place.parallel else "source"
    if panel.holds(source):
        panel.parts.append(Dot(tuple(panel.at(source)), colour, 5))
        panel.words(source, f"{what}, view {view}", colour)
    else:
        far = float(np.hypot(*source[panel.axes]))
        panel.words(source * (0.9 * panel.reach / far), f"{what}, view {view}, {far:.4g} away", colour)
    name = "row 0" if beside else "column 0"
    if panel.holds(ends[0]):
        panel.parts.append(Dot(tuple(panel.at(ends[0])), colour, 6))
        panel.words(ends[0], name, colour)


def _within(points: Float64Array, left: float, whole: bool) -> list[Float64Array]:
    """The parts of a line within the panel; an area is cut off at its edges."""
    low, high = np.array([left + 2, 2.0]), np.array([left + SIDE - 2, SIDE - 2.0])
    if whole:
        return [np.clip(points, low, high)]
    pieces: list[list[Float64Array]] = [[]]
    for a, b in pairwise(points):
        d = b - a
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.sort(np.stack([(low - a) / d, (high - a) / d]), axis=0)
        inside = (a >= low) & (a <= high)
        t0 = max(0.0, *(t[0, k] if d[k] else (-math.inf if inside[k] else math.inf) for k in range(2)))
        t1 = min(1.0, *(t[1, k] if d[k] else math.inf for k in range(2)))
        if t0 >= t1:
            pieces.append([])
            continue
        if t0 > 0:
            pieces.append([])
        if not pieces[-1]:
            pieces[-1].append(a + t0 * d)
        pieces[-1].append(a + t1 * d)
    return [np.array(piece) for piece in pieces if len(piece) > 1]


def _long_enough(line: Float64Array) -> Float64Array:
    """A short line with an arrow, of 12 pixels."""
    along = line[1] - line[0]
    return np.array([line[1] - 12 * along / max(float(np.hypot(*along)), 1e-9), line[1]])


def _round(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(digit for digit in (1, 2, 5) if digit * power <= value) * power
