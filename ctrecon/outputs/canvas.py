"""Panels with axes on a picture, drawn by Pillow: matplotlib takes longer to load than a small image to reconstruct."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ctrecon.support.arrays import Array, Float64Array

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
MARK: Colour = (255, 213, 74)
FAINT: Colour = (225, 225, 225)
TEXT_PX, TITLE_PX = 14, 17
TICK_PX = 5
_FINE = 3  # curves are drawn so many times larger and reduced, which smooths their edges

GRAYS = ((0, 0, 0), (255, 255, 255))
# ColorBrewer's RdBu (C. A. Brewer, colorbrewer2.org, Apache 2.0), turned round: blue, white, red.
BLUE_TO_RED = (
    (5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (247, 247, 247),
    (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31),
)  # fmt: skip


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


@dataclass(frozen=True)
class Ticks:
    """Where an axis is marked, with what, and the factor of all marks, as ``"1e-9"`` or empty."""

    at: tuple[float, ...]
    labels: tuple[str, ...]
    factor: str = ""


def linear_ticks(low: float, high: float, *, most: int = 6, whole: bool = False) -> Ticks:
    """Round numbers between ``low`` and ``high``, at most ``most`` of them; ``whole``: integers alone."""
    span = max(high - low, 1e-300)
    step = next(
        step for power in range(math.floor(math.log10(span / most)), 400) for digit in (1, 2, 5)
        if (step := digit * 10.0**power) * most >= span and (not whole or step >= 1)
    )  # fmt: skip
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    at = [k * step for k in range(first, last + 1)]
    largest = max(map(abs, at), default=0.0)
    exponent = math.floor(math.log10(largest) + 1e-9) if largest else 0
    exponent = exponent if not -3 <= exponent <= 4 else 0
    return Ticks(tuple(at), tuple(f"{v / 10.0**exponent + 0.0:.6g}" for v in at), f"1e{exponent}" if exponent else "")


def decade_ticks(low: float, high: float) -> Ticks:
    """For a logarithmic axis: powers of ten, with 2 and 5 times these where the axis spans less than two."""
    digits = (1, 2, 5) if high < 100 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    thin = max(1, math.ceil(len(powers) / 8))
    at = [digit * 10.0**k for k in powers if k % thin == 0 for digit in digits]
    at = [v for v in at if low <= v <= high]
    return Ticks(tuple(at), tuple(f"{v:g}" for v in at))


class Canvas:
    """A white picture of ``width`` times ``height`` pixels. ``boxes``: where words stand, to test the layout."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("RGB", (width, height), "white")
        self.boxes: list[tuple[str, Box]] = []
        self._draw = ImageDraw.Draw(self.picture)

    def png(self, software: str) -> bytes:
        """The picture as a file that names what made it."""
        stream, info = io.BytesIO(), PngInfo()
        info.add_text("Software", software)
        self.picture.save(stream, "PNG", pnginfo=info)
        return stream.getvalue()

    def text(self, x: float, y: float, words: str, anchor: str, *, size: int = TEXT_PX) -> None:
        """``anchor``: left, middle or right (l, m, r) and ascender, middle or descender (a, m, d), as in Pillow."""
        if words:
            self.boxes.append((words, self._draw.textbbox((x, y), words, font=_font(size), anchor=anchor)))
            self._draw.text((x, y), words, fill=BLACK, font=_font(size), anchor=anchor)

    def mark(self, x: float, y: float, letter: str, anchor: str) -> None:
        """A letter on a picture, light on a dark seam, so that it shows on air and on bone."""
        self._draw.text(
            (x, y), letter, fill=MARK, font=_font(TITLE_PX), anchor=anchor, stroke_width=2, stroke_fill=BLACK
        )

    def upward(self, x: float, y: float, words: str) -> None:
        """Words that run upwards, their middle at ``x``, ``y``."""
        left, top, right, bottom = (math.floor(v) for v in self._draw.textbbox((0, 0), words, font=_font(TEXT_PX)))
        lying = Image.new("L", (right - left + 2, bottom - top + 2))
        ImageDraw.Draw(lying).text((-left, -top), words, fill=255, font=_font(TEXT_PX))
        standing = lying.transpose(Image.Transpose.ROTATE_90)
        corner = round(x - standing.width / 2), round(y - standing.height / 2)
        self.picture.paste(BLACK, corner, standing)
        self.boxes.append((words, (*corner, corner[0] + standing.width, corner[1] + standing.height)))

    def image(self, box: Box, values: Array, low: float, high: float, colours: Sequence[Colour]) -> None:
        """Values as colours from ``low`` to ``high``, each pixel as a rectangle, with a frame."""
        share = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0, 1)
        anchors = np.linspace(0, 1, len(colours))
        rgb = np.stack([np.interp(share, anchors, [c[k] for c in colours]) for k in range(3)], axis=-1)
        left, top, right, bottom = (round(v) for v in box)
        drawn = Image.fromarray(np.rint(rgb).astype(np.uint8))
        self.picture.paste(drawn.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
        self.frame(box)

    def circle(self, box: Box, middle: tuple[float, float], radius: tuple[float, float], colour: Colour) -> None:
        """A broken circle within a panel; ``middle`` and ``radius`` across and down as shares of the panel."""
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        for at in range(0, 360, 6):
            ends = [math.radians(at), math.radians(at + 3)]
            across = [left + (middle[0] + radius[0] * math.cos(a)) * width for a in ends]
            down = [top + (middle[1] + radius[1] * math.sin(a)) * height for a in ends]
            line = list(zip(across, down, strict=True))
            if all(left <= x <= right and top <= y <= bottom for x, y in line):
                self._draw.line(line, fill=colour, width=2)

    def frame(self, box: Box) -> None:
        self._draw.rectangle([round(v) for v in box], outline=BLACK)

    def title(self, box: Box, words: str) -> None:
        self.text((box[0] + box[2]) / 2, box[1] - 8, words, "md", size=TITLE_PX)

    def below(self, box: Box, ticks: Ticks, low: float, high: float, label: str) -> None:
        """The axis under a panel that goes from ``low`` to ``high``."""
        left, _, right, bottom = box
        for value, words in zip(ticks.at, ticks.labels, strict=True):
            x = left + (value - low) / (high - low) * (right - left)
            self._draw.line([(x, bottom), (x, bottom + TICK_PX)], fill=BLACK)
            self.text(x, bottom + TICK_PX + 3, words, "ma")
        self.text((left + right) / 2, bottom + 26, label + (f" ({ticks.factor})" if ticks.factor else ""), "ma")

    def beside(self, box: Box, ticks: Ticks, places: Sequence[float], label: str, *, right: bool = False) -> None:
        """The axis to the left or right of a panel, its ticks at ``places`` from 0, below, to 1."""
        edge, sign, anchor = (box[2], 1, "lm") if right else (box[0], -1, "rm")
        widest = 0.0
        for part, words in zip(places, ticks.labels, strict=True):
            y = box[3] - part * (box[3] - box[1])
            self._draw.line([(edge, y), (edge + sign * TICK_PX, y)], fill=BLACK)
            self.text(edge + sign * (TICK_PX + 3), y, words, anchor)
            widest = max(widest, self._draw.textlength(words, font=_font(TEXT_PX)))
        if ticks.factor:
            self.text(edge, box[1] - 6, ticks.factor, "ld" if right else "rd")
        if label:
            self.upward(edge + sign * (TICK_PX + 14 + widest), (box[1] + box[3]) / 2, label)

    def bar(self, box: Box, low: float, high: float, colours: Sequence[Colour], label: str) -> None:
        """What the colours of an image mean."""
        self.image(box, np.linspace(1, 0, 256)[:, None], 0, 1, colours)
        ticks = linear_ticks(low, high)
        self.beside(box, ticks, [(v - low) / (high - low) for v in ticks.at], label, right=True)

    def curves(
        self, box: Box, lines: Sequence[tuple[str, Colour, Float64Array, str]], across: Sequence[float]
    ) -> None:
        """Curves with a legend in a panel: name, colour, points ``[n, 2]`` in shares of the panel from its lower left,
        and the mark of each point: ``o``, ``s`` or none. Faint lines stand at the shares ``across``.
        """
        left, top, right, bottom = (round(v) for v in box)
        width, height = right - left, bottom - top
        large = Image.new("RGB", (width * _FINE, height * _FINE), "white")
        draw = ImageDraw.Draw(large)
        for part in across:
            y = (1 - part) * large.height
            draw.line([(0, y), (large.width, y)], fill=FAINT, width=_FINE)
        for _, colour, points, mark in lines:
            at = [(x * large.width, (1 - y) * large.height) for x, y in points]
            draw.line(at, fill=colour, width=2 * _FINE)
            for x, y in at if mark else ():
                shape = draw.ellipse if mark == "o" else draw.rectangle
                shape([x - 3 * _FINE, y - 3 * _FINE, x + 3 * _FINE, y + 3 * _FINE], fill=colour)
        self.picture.paste(large.reduce(_FINE), (left, top))
        self.frame(box)
        widest = max(self._draw.textlength(name, font=_font(TEXT_PX)) for name, *_ in lines)
        x, y = right - widest - 12, top + 6.0
        self._draw.rectangle([x - 34, y, right - 6, y + 20 * len(lines) + 4], fill="white", outline=FAINT)
        for k, (name, colour, _, _) in enumerate(lines):
            middle = y + 12 + 20 * k
            self._draw.line([(x - 28, middle), (x - 6, middle)], fill=colour, width=2)
            self.text(x, middle, name, "lm")
