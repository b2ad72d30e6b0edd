"""What a volume's file does: take slices one by one, and give them back to be compared. One file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ctrecon.dicom.common.hounsfield import hounsfield
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.support.arrays import Array

ATTENUATION, HU = "attenuation", "HU"


class VolumeFile(Protocol):
    """A format. ``values``: ``ATTENUATION`` as it is certified, or ``HU``; ``folder``: whether it is a folder."""

    suffix: str
    values: str
    folder: bool

    def write(self, path: Path, manifest: Manifest, slices: Iterator[Array]) -> None:
        """Write float32 slices ``[rows, columns]`` in order. The same input gives the same bytes."""
        ...

    def read(self, path: Path, manifest: Manifest) -> Iterator[Array]:
        """The slices again, in order, sizes checked before they are read.

        Raises:
            InputError: It is not of the manifest's shape, or says another place, or is damaged.
        """
        ...

    def opened(self, path: Path, manifest: Manifest) -> AbstractContextManager[Callable[[int], Array]]:
        """Open it to look at single slices, by their numbers from 0, sizes checked before any is read.

        Only what is asked for is read and compared with the manifest.

        Raises:
            InputError: As ``read``.
        """
        ...


def shown(manifest: Manifest, image: Array, values: str) -> Array:
    """A certified image as the file holds it."""
    if values == ATTENUATION:
        return image.astype("<f4", copy=False)
    assert manifest.water_mu_per_mm is not None
    return hounsfield(image, manifest.water_mu_per_mm).astype("<f4")
