"""A file of any known format, by its suffix, as named arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import ArrayFile
from ctrecon.io.ask import Ahead
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.matlab import HDF5_SIGNATURE, open_mat
from ctrecon.io.npy import NpyFile, NpzFile
from ctrecon.io.zarr_metadata import is_zarr
from ctrecon.io.zarr_store import ZarrStore

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
SUFFIXES = (".npy", ".npz", ".mat", *HDF5_SUFFIXES)


def check_file(path: Path) -> None:
    """Raises InputError unless this is a file, not empty, of a known suffix, and not plainly something else."""
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "there is no such file"
            raise InputError(f"{path}: {what}; give a sinogram ({', '.join(SUFFIXES)})")
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not head:
        raise InputError(f"{path}: is empty; copy or write it again")
    suffix = path.suffix.lower()
    if head[128:132] == b"DICM":
        # Loads pydicom, which no other file needs.
        from ctrecon.dicom.common.files import class_named

        held = class_named(path)
        raise InputError(
            f"{path}: is DICOM, {held}; a scan is read from the folder of its projections, and CT images by `ctrecon "
            "simulate --from-dicom`"
        )
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: files ending in {suffix or 'nothing'} are not known; known are {known}")
    expected = {".npy": b"\x93NUMPY", ".npz": b"PK"}.get(suffix)
    if suffix in HDF5_SUFFIXES:
        expected = HDF5_SIGNATURE
    if expected is None or head.startswith(expected):
        if suffix != ".mat" or not head.startswith(b"PK"):
            return
    raise InputError(f"{path}: does not hold what its suffix {suffix} says: it {_looks_like(head)}; check the file")


def _looks_like(head: bytes) -> str:
    if head.startswith(b"PK"):
        return "is a zip file"
    if head.startswith(HDF5_SIGNATURE):
        return "is an HDF5 file"
    if head.startswith(b"MATLAB"):
        return "is a MATLAB file"
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a Python pickle, which is never loaded"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return "is text"
    return f"begins with {head[:8]!r}"


@contextmanager
def open_file(path: Path, ahead: Ahead | None = None) -> Iterator[ArrayFile]:
    """A file of any known format, by its suffix, as named arrays. ``ahead``: rows of HDF5 for those beside them."""
    if is_zarr(path):
        yield ZarrStore(path)
        return
    check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        yield NpyFile(path)
    elif suffix == ".npz":
        yield NpzFile(path)
    elif suffix == ".mat":
        with open_mat(path) as mat:
            yield mat
    else:
        with Hdf5File(path, ahead) as file:
            yield file
