"""How much the way of evaluation moves a PSNR of super-resolution, on an image that no method has a part in.

That is nearest up-sampling of the pooled image: the pseudo-inverse, and what gradient descent from zero ends at. It
depends on the pictures and the evaluation alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from ctrecon.errors import InputError
from ctrecon.studies.paper.table1 import PICTURES
from ctrecon.support.arrays import Float64Array
from ctrecon.support.statistics import Estimate, estimate

_BT601 = np.array([65.481, 128.553, 24.966])


def _luminance(rgb: Float64Array) -> Float64Array:
    return np.asarray((16 + rgb @ _BT601)[..., None] / 255)


def _full_luminance(rgb: Float64Array) -> Float64Array:
    return np.asarray((rgb @ _BT601)[..., None] / _BT601.sum())


def _rounded(of: Callable[[Float64Array], Float64Array]) -> Callable[[Float64Array], Float64Array]:
    return lambda rgb: np.asarray(np.round(255 * of(rgb)) / 255)


CHANNELS: dict[str, Callable[[Float64Array], Float64Array]] = {
    "luminance 16 to 235": _luminance,
    "luminance 16 to 235, rounded to grey levels": _rounded(_luminance),
    "luminance 0 to 255": _full_luminance,
    "red, green, blue": lambda rgb: rgb,
}
"""From ``[rows, columns, 3]`` of 0 to 1 to ``[rows, columns, channels]``, over 255."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """The mean PSNR in dB of nearest up-sampling over a set, by one way: channels, and pixels of border left out."""

    images: str
    channels: str
    border: int
    psnr: Estimate

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"psnr": self.psnr.to_dict()}


def ways(folder: Path, scale: int) -> Iterator[Way]:
    """Every way on one folder of pictures.

    Args:
        folder: Of pictures, cropped to multiples of ``scale`` here.
        scale: The factor.

    Yields:
        One mean with its interval by each way.

    Raises:
        InputError: For a folder without pictures.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not paths:
        raise InputError(f"{folder} holds no images ({', '.join(PICTURES)})")
    for name, channels in CHANNELS.items():
        pairs = [_pair(path, channels, scale) for path in paths]
        for border in (0, scale):
            found = [psnr_within(image, truth, border) for image, truth in pairs]
            yield Way(images=folder.name, channels=name, border=border, psnr=estimate(found, range(len(found))))


def _pair(
    path: Path, channels: Callable[[Float64Array], Float64Array], scale: int
) -> tuple[Float64Array, Float64Array]:
    with PillowImage.open(path) as picture:
        truth = channels(np.asarray(picture.convert("RGB"), dtype=np.float64) / 255)
    rows, columns = (side - side % scale for side in truth.shape[:2])
    truth = truth[:rows, :columns]
    pooled = truth.reshape(rows // scale, scale, columns // scale, scale, -1).mean(axis=(1, 3))
    return np.repeat(np.repeat(pooled, scale, axis=0), scale, axis=1), truth


def psnr_within(image: Float64Array, truth: Float64Array, border: int) -> float:
    """PSNR in dB for a peak of 1, without ``border`` pixels on each side."""
    inner = (slice(border, image.shape[0] - border), slice(border, image.shape[1] - border))
    return 10 * float(np.log10(1 / max(float(np.mean(np.square(image[inner] - truth[inner]))), 1e-20)))
