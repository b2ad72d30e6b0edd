"""A line drawing that is the same as SVG, for pages, and as PNG. Places are in pixels from the top left."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ctrecon.support.arrays import Array

INK = "#16202c"
"""In SVG it is the colour of the page's text, so that it can be seen on a dark page, too."""
_FINE, _FONT_PX, _CHARACTER = 2, 13, 0.55
_AREA = 0.18


class Part(Protocol):
    """What can be drawn both ways."""

    def svg(self) -> str:
        """As an SVG element.

        Returns:
            The text of the element.
        """
        ...

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """On a picture that is twice as fine.

        Args:
            pen: Of the picture.
        """
        ...


@dataclass(frozen=True)
class Stroke:
    """A line through ``points`` ``[n, 2]``; ``dash``: broken; ``arrow``: with a head at its end; ``fill``: an area."""

    points: Array
    colour: str
    width: float = 1.5
    dash: bool = False
    arrow: bool = False
    fill: str | None = None

    def svg(self) -> str:
        """See ``Part``."""
        dash = ' stroke-dasharray="6 5"' if self.dash else ""
        line = f'stroke="{_ink(self.colour)}" stroke-width="{self.width:g}" stroke-linejoin="round"{dash}'
        if self.fill is not None:
            return f'<polygon points="{_at(self.points)}" fill="{_ink(self.fill)}" fill-opacity="{_AREA}" {line}/>'
        head = f'<polygon points="{_at(self._head())}" fill="{_ink(self.colour)}"/>' if self.arrow else ""
        return f'<polyline points="{_at(self.points)}" fill="none" {line}/>{head}'

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """See ``Part``."""
        line = [(float(x), float(y)) for x, y in self.points * _FINE]
        if self.fill is not None:
            mixed = [round(255 + _AREA * (int(self.fill[k : k + 2], 16) - 255)) for k in (1, 3, 5)]
            pen.polygon(line, fill=(mixed[0], mixed[1], mixed[2]))
            line.append(line[0])
        for piece in self._pieces(np.array(line)) if self.dash else [line]:
            pen.line(piece, fill=self.colour, width=max(1, round(self.width * _FINE)), joint="curve")
        if self.arrow:
            pen.polygon([(float(x), float(y)) for x, y in self._head() * _FINE], fill=self.colour)

    def _head(self) -> Array:
        tip, before = self.points[-1], self.points[-2]
        along = (tip - before) / max(float(np.hypot(*(tip - before))), 1e-9)
        aside, size = np.array([-along[1], along[0]]), 5 + 2.5 * self.width
        corners = (0.3 * along, -along + 0.6 * aside, -along - 0.6 * aside)
        return np.array([tip + size * corner for corner in corners])

    @staticmethod
    def _pieces(line: Array) -> list[list[tuple[float, float]]]:
        found = []
        for a, b in pairwise(line):
            length = max(float(np.hypot(*(b - a))), 1e-9)
            for start in np.arange(0, length, 11 * _FINE):
                ends = [a + (b - a) * min(share, length) / length for share in (start, start + 6 * _FINE)]
                found.append([(float(x), float(y)) for x, y in ends])
        return found


@dataclass(frozen=True)
class Dot:
    at: tuple[float, float]
    colour: str
    radius: float

    def svg(self) -> str:
        """See ``Part``."""
        return f'<circle cx="{self.at[0]:.1f}" cy="{self.at[1]:.1f}" r="{self.radius:g}" fill="{_ink(self.colour)}"/>'

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """See ``Part``."""
        (x, y), r = self.at, self.radius
        pen.ellipse([(x - r) * _FINE, (y - r) * _FINE, (x + r) * _FINE, (y + r) * _FINE], fill=self.colour)


@dataclass(frozen=True)
class Words:
    """``across`` and ``down``: -1, 0 or 1, on which side of ``at`` the words stand."""

    at: tuple[float, float]
    text: str
    colour: str = INK
    across: int = 0
    down: int = 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, about."""
        wide, (x, y) = _CHARACTER * _FONT_PX * len(self.text), self.at
        left, top = x + wide * (self.across - 1) / 2, y + _FONT_PX * 1.2 * (self.down - 1) / 2
        return left, top, left + wide, top + _FONT_PX * 1.2

    def svg(self) -> str:
        """See ``Part``."""
        anchor = ("end", "middle", "start")[self.across + 1]
        y = self.at[1] + (-0.2, 0.35, 0.95)[self.down + 1] * _FONT_PX
        return (
            f'<text x="{self.at[0]:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_ink(self.colour)}">'
            f"{html.escape(self.text)}</text>"
        )

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """See ``Part``."""
        pen.text(
            (self.at[0] * _FINE, self.at[1] * _FINE), self.text, fill=self.colour,
            anchor="rml"[self.across + 1] + "dma"[self.down + 1], font=ImageFont.load_default(_FONT_PX * _FINE),
        )


@dataclass
class Drawing:
    """``width`` times ``height`` pixels; ``said`` tells in words what is drawn."""

    width: int
    height: int
    said: str
    parts: list[Part] = field(default_factory=list)

    def svg(self) -> str:
        """An element that scales with the page it stands on. Words are escaped.

        Returns:
            The text of the element.
        """
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" role="img" '
            f'aria-label="{html.escape(self.said)}" font-size="{_FONT_PX}">'
            f'{"".join(part.svg() for part in self.parts)}</svg>'
        )

    def png(self) -> bytes:
        """The same on white, twice as fine.

        Returns:
            The bytes of a PNG file.
        """
        picture = Image.new("RGB", (self.width * _FINE, self.height * _FINE), "white")
        pen = ImageDraw.Draw(picture)
        for part in self.parts:
            part.draw(pen)
        stream, info = io.BytesIO(), PngInfo()
        info.add_text("Software", "ctrecon")
        picture.save(stream, "PNG", pnginfo=info)
        return stream.getvalue()


def _ink(colour: str) -> str:
    return "currentColor" if colour == INK else colour


def _at(points: Array) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
