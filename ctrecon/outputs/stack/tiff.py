"""A stack of TIFF pages, float32, as certified; BigTIFF where it is long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from ctrecon.errors import InputError
from ctrecon.io.tiff import opened
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.volume_file import ATTENUATION
from ctrecon.support.arrays import Array

_CLASSIC = 3 << 30


class TiffStack:
    """``NAME.tif``: one page a slice; the first says where they stand."""

    suffix, values, folder = ".tif", ATTENUATION, False

    def write(self, path: Path, manifest: Manifest, slices: Iterator[Array]) -> None:
        """See ``VolumeFile``."""
        places = {"first_mm": manifest.first_mm, "step_mm": manifest.step_mm, "axes": "zyx",
                  "length_unit": manifest.length_unit, "values": manifest.values}  # fmt: skip
        big = 4 * int(np.prod(manifest.shape, dtype=object)) > _CLASSIC
        with tifffile.TiffWriter(path, bigtiff=big) as writer:
            for k, values in enumerate(slices):
                said = json.dumps(places, sort_keys=True) if k == 0 else None
                writer.write(
                    np.ascontiguousarray(values, dtype="<f4"), photometric="minisblack", description=said,
                    metadata=None, software="ctrecon",
                )  # fmt: skip

    def read(self, path: Path, manifest: Manifest) -> Iterator[Array]:
        """See ``VolumeFile``."""
        with self.opened(path, manifest) as slice_of:
            for k in range(manifest.shape[0]):
                yield slice_of(k)

    @contextmanager
    def opened(self, path: Path, manifest: Manifest) -> Iterator[Callable[[int], Array]]:
        """See ``VolumeFile``."""
        with opened(path) as file:
            if len(file.pages) != manifest.shape[0]:
                raise InputError(f"{path}: has {len(file.pages)} pages, the manifest {manifest.shape[0]} slices")

            def slice_of(k: int) -> Array:
                page = file.pages[k]
                if (tuple(page.shape), np.dtype(page.dtype)) != (manifest.shape[1:], np.dtype("f4")):
                    raise InputError(f"{path}: a page has shape {page.shape} and {page.dtype}, not the manifest's")
                return np.asarray(page.asarray())

            yield slice_of
