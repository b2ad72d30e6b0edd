"""What shapes with elliptic contours share: a middle, two axes turned by any angle, and a value."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from ctrecon.phantoms.base import Lines, Primitive, Raster, turned
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class Elliptic(Primitive):
    """``angle_rad`` is the counter-clockwise turn of the shape's own axes from the x and y axes.

    A shape names the field of its two ``lengths``, says how many of them it reaches, and brings its kernels.
    """

    center: tuple[float, float]
    value: float
    angle_rad: float = 0.0

    lengths_field: ClassVar[str]
    reaches: ClassVar[float]
    draw_kernel: ClassVar[Callable[..., None]]
    project_kernel: ClassVar[Callable[..., None]]

    @property
    def lengths(self) -> tuple[float, float]:
        found: tuple[float, float] = getattr(self, self.lengths_field)
        return found

    @abstractmethod
    def profile(self, squared: Float64Array) -> Float64Array:
        """The attenuation at ``u^2 / a^2 + v^2 / b^2 = squared``."""

    def value_at(self, x: Float64Array, y: Float64Array) -> Float64Array:
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u, v = x - self.center[0], y - self.center[1]
        a, b = self.lengths
        return self.profile(((cos * u + sin * v) / a) ** 2 + ((cos * v - sin * u) / b) ** 2)

    def draw(self, raster: Raster, out: Float64Array) -> None:
        self.draw_kernel(*self._numbers(), *raster.places, out)

    def project(self, lines: Lines, out: Float64Array) -> None:
        self.project_kernel(*self._numbers(), lines.normal_x, lines.normal_y, lines.distance, out)

    def _numbers(self) -> tuple[float, ...]:
        return (*self.center, *self.lengths, math.cos(self.angle_rad), math.sin(self.angle_rad), self.value)

    @property
    def reach(self) -> float:
        return math.hypot(*self.center) + self.reaches * max(self.lengths)

    def moved(self, *, scale: float, turn_rad: float, shift: tuple[float, float], gain: float) -> Self:
        x, y = turned(self.center, turn_rad)
        longer: dict[str, Any] = {self.lengths_field: (scale * self.lengths[0], scale * self.lengths[1])}
        return replace(
            self, center=(scale * x + shift[0], scale * y + shift[1]), value=gain * self.value,
            angle_rad=self.angle_rad + turn_rad, **longer,
        )
