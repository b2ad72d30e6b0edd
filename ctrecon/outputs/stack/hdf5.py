"""The volume in HDF5, float32, as certified: ``volume [slices, rows, columns]`` with where it stands as attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.volume_file import ATTENUATION
from ctrecon.support.arrays import Array

_NAME = "volume"


class Hdf5Volume:
    """``NAME.h5``."""

    suffix, values, folder = ".h5", ATTENUATION, False

    def write(self, path: Path, manifest: Manifest, slices: Iterator[Array]) -> None:
        """See ``VolumeFile``."""
        with h5py.File(path, "w", libver="latest") as file:
            volume = file.create_dataset(_NAME, manifest.shape, "<f4", chunks=(1, *manifest.shape[1:]))
            for k, values in enumerate(slices):
                volume[k] = values
            volume.attrs["first_mm"], volume.attrs["step_mm"] = manifest.first_mm, manifest.step_mm
            volume.attrs["axes"], volume.attrs["length_unit"] = "zyx", manifest.length_unit
            volume.attrs["values"] = manifest.values

    def read(self, path: Path, manifest: Manifest) -> Iterator[Array]:
        """See ``VolumeFile``."""
        with self.opened(path, manifest) as slice_of:
            for k in range(manifest.shape[0]):
                yield slice_of(k)

    @contextmanager
    def opened(self, path: Path, manifest: Manifest) -> Iterator[Callable[[int], Array]]:
        """See ``VolumeFile``."""
        with Hdf5File(path) as file:
            found = file.dataset(_NAME)
            if (found.shape, found.dtype) != (manifest.shape, np.dtype("<f4")):
                raise InputError(f"{path}: its volume is {found.shape} of {found.dtype}, not the manifest's")
            for name in ("first_mm", "step_mm"):
                if tuple(np.asarray(found.attrs.get(name, ())).tolist()) != tuple(getattr(manifest, name)):
                    raise InputError(f"{path}: its {name} is not the manifest's")
            yield lambda k: file.read_row(_NAME, 0, k)
