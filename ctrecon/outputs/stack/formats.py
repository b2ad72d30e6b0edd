"""The formats of a stack by how their names end: one line here and one file make a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrecon.outputs.stack.volume_file import VolumeFile

SUFFIXES = (".zarr", ".nii.gz", ".nii", ".tif", ".tiff", ".h5", ".hdf5")
ONLY_STACKS = (".zarr", ".tif", ".tiff", ".h5", ".hdf5")
"""What no single slice is written as."""


def stack_suffix(path: Path) -> str | None:
    """Which of ``SUFFIXES`` the name ends in, or None."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)


def load_format(suffix: str) -> VolumeFile:
    """The format; only the file of the one that is asked for is imported."""
    if suffix == ".zarr":
        from ctrecon.outputs.stack.ome_zarr import OmeZarr

        return OmeZarr()
    if suffix in (".tif", ".tiff"):
        from ctrecon.outputs.stack.tiff import TiffStack

        return TiffStack()
    if suffix in (".h5", ".hdf5"):
        from ctrecon.outputs.stack.hdf5 import Hdf5Volume

        return Hdf5Volume()
    from ctrecon.outputs.stack.nifti import Nifti

    return Nifti(suffix)
