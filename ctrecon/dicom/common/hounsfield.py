"""Attenuation as 16-bit Hounsfield units and back, in one stated formula.

    HU = stored * slope + intercept,    mu = water_mu * (1 + HU / 1000),

in float64 and in this order. The slope is a power of two and the intercept whole, so the first line is exact; the
second rounds three times, everywhere alike. What is certified is ``mu`` from the stored values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrecon.errors import InputError, SettingError
from ctrecon.support.arrays import Array

FINEST_HU = 1 / 64
LARGEST_STORED = 65535
# What a later correction of a pixel may need beyond the image's own range.
ROOM_HU = 4
AIR_HU = -1024
# A scan in which not even the densest 0.2% come near water was made in another unit, or at another energy.
DENSEST_PERCENT, LEAST_TISSUE_HU = 99.8, -200.0
# Enamel, the densest tissue, has about 3000; what is beyond this is no body.
MOST_TISSUE_HU = 4000.0


@dataclass(frozen=True, kw_only=True)
class HounsfieldScale:
    """How stored values 0 to 65535 are read. ``water_mu``: the attenuation of water in 1/mm."""

    water_mu: float
    slope: float
    intercept: float

    def __post_init__(self) -> None:
        for name in ("water_mu", "slope"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value < 1e12):
                raise SettingError(f"{name} must be a finite number > 0, got {value!r}")

    def store(self, image: Array) -> npt.NDArray[np.uint16]:
        """Round attenuation to stored values.

        Args:
            image: In 1/mm, of any shape.

        Returns:
            The nearest stored values, of the same shape.

        Raises:
            InputError: Where one is beyond 0 to 65535: nothing is clipped.
        """
        if image.ndim > 2:  # slice by slice, since float64 takes four times the room
            return np.stack([self.store(plane) for plane in image])
        levels = np.rint((hounsfield(image, self.water_mu) - self.intercept) / self.slope)
        if not bool(((levels >= 0) & (levels <= LARGEST_STORED)).all()):
            raise InputError(f"the image leaves the range of 16 bits at {self.slope} HU; give another --water-mu")
        return levels.astype(np.uint16)

    def decode(self, stored: Array) -> npt.NDArray[np.float64]:
        """Stored values as attenuation.

        Args:
            stored: Of any shape.

        Returns:
            In 1/mm, float64, of the same shape.
        """
        if stored.ndim > 2:
            found = np.empty(stored.shape)
            for plane, part in zip(found, stored, strict=True):
                plane[...] = self.decode(part)
            return found
        hu = stored.astype(np.float64) * self.slope + self.intercept
        return self.water_mu * (1 + hu / 1000)


def hounsfield(image: Array, water_mu: float) -> npt.NDArray[np.float64]:
    """Attenuation in 1/mm as HU, float64."""
    return (image.astype(np.float64) / water_mu - 1) * 1000


def no_tissue(image: Array, water_mu: float) -> str:
    """Why the densest of an image cannot be tissue if water attenuates so, in words; "" where it can.

    Args:
        image: Attenuation in 1/mm, any shape.
        water_mu: Assumed attenuation of water in 1/mm.

    Returns:
        Words that go before "water would".
    """
    densest = float(hounsfield(np.percentile(image, DENSEST_PERCENT, keepdims=True), water_mu).item())
    if densest < LEAST_TISSUE_HU:
        return "hardly anything here attenuates as"
    return "much here attenuates far more than" if densest > MOST_TISSUE_HU else ""


def finest_scale(images: Iterable[Array], water_mu: float) -> HounsfieldScale:
    """The finest scale that holds images in 16 bits without clipping: a whole series is read alike.

    Args:
        images: In 1/mm, of any shape.
        water_mu: Attenuation of water, 1/mm.

    Returns:
        Slope and intercept, in HU.

    Raises:
        SettingError: For an impossible ``water_mu``.
        InputError: Where values are beyond any sensible scale.
    """
    HounsfieldScale(water_mu=water_mu, slope=1, intercept=0)
    low, high = math.inf, -math.inf
    for image in images:
        ends = hounsfield(np.array([image.min(), image.max()]), water_mu)
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    if not (math.isfinite(low) and math.isfinite(high) and max(-low, high) < 1e8):
        raise InputError(f"the image spans {low:.4g} to {high:.4g} HU with --water-mu {water_mu:g}; give another one")
    least, most = math.floor(low) - ROOM_HU, math.ceil(high) + ROOM_HU
    slope = FINEST_HU
    while (most - least) / slope > LARGEST_STORED:
        slope *= 2
    if least >= AIR_HU and (most - AIR_HU) / slope <= LARGEST_STORED:
        least = AIR_HU  # what readers expect
    return HounsfieldScale(water_mu=water_mu, slope=slope, intercept=float(least))


_MEANS_HU = re.compile(
    r"h\.?u\.?|\[hnsf'u\]|h(?:ou|o|u|au)n+d?s?fi?e?i?ld'?s?(?:[ _-]?units?)?(?: ?\(hu\))?", re.IGNORECASE
)


def rescale_type(text: str) -> str:
    """RescaleType as it was meant: ``HU`` for how it is spelt ("hu", "Houndsfield Unit"), others as they are."""
    bare = " ".join(text.strip("\0 ").split())
    return "HU" if _MEANS_HU.fullmatch(bare) else bare
