"""Volumes in NIfTI, MetaImage and NRRD, in and out, through SimpleITK: what stands where is kept.

Affines take (column, row, slice) indices to LPS in mm, as DICOM and ITK have it. NIfTI on disk is RAS; SimpleITK turns
the first two axes, and so do we never.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from ctrecon.errors import InputError, OutputError
from ctrecon.geometry.grid import Grid
from ctrecon.io.itk_files import check_own_data, silent
from ctrecon.io.unoriented import forget_orientation, says_no_orientation
from ctrecon.io.volume_names import VOLUME_SUFFIXES, volume_suffix
from ctrecon.support.arrays import Float32Array, Float64Array
from ctrecon.support.atomic import atomic_write
from ctrecon.support.limits import MAX_BYTES, check_claim

_NIFTI_HEADER = 348
_NIFTI_START = 4096
_MOST_BEHIND = 1 << 20
"""Bytes behind the voxels, or what packing may add to them."""
_NIFTI_FIELDS = (("i", 0), ("h", 72), ("f", 108))  # the header's size, bits per voxel, where the voxels begin
# ITK reads single-precision directions from NIfTI headers.
_ORTHONORMAL = 1e-4
_LONGEST_HEADER = 1 << 16  # of what ITK writes


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredVolume:
    """``values [slices, rows, columns]``, float32, finite; ``affine`` to LPS; ``spacing_mm`` (slice, row, column).

    ``oriented``: whether the file says which way is left, front and head; else ``affine`` is in axes that are nobody's.
    """

    values: Float32Array
    affine: Float64Array
    spacing_mm: tuple[float, float, float]
    oriented: bool = True


def read_stored_volume(path: Path) -> StoredVolume:
    """Read a volume of two or three dimensions.

    Args:
        path: NIfTI, MetaImage or NRRD.

    Returns:
        Values ``[slices, rows, columns]``, float32, where they stand (LPS, mm), and their spacing in mm.

    Raises:
        InputError: For anything else, values that are not finite, and for bombs before decoding.
    """
    if volume_suffix(path) is None:
        raise InputError(f"{path}: a volume is read from {', '.join(VOLUME_SUFFIXES)}")
    image = read_itk(path)
    values = SimpleITK.GetArrayFromImage(image)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{path}: holds {values.dtype}; plain numbers are needed")
    array = np.ascontiguousarray(values.reshape((-1, *values.shape[-2:])), dtype=np.float32)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(f"{path}: holds {bad} values that are not finite; replace them")
    spacing = np.array([*image.GetSpacing(), 1.0])[:3]
    direction = np.eye(3)
    dimension = image.GetDimension()
    inner = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    direction[: inner.shape[0], : inner.shape[1]] = inner
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = np.array([*image.GetOrigin(), 0.0])[:3]
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        raise InputError(f"{path}: its spacing or position is not made of finite numbers > 0; correct the header")
    return StoredVolume(
        values=array, affine=affine, spacing_mm=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        oriented=not says_no_orientation(_start_of(path), str(volume_suffix(path))),
    )  # fmt: skip


def read_itk(path: Path) -> Any:
    """SimpleITK's image of one channel and up to three dimensions, none of it allocated before its header was checked.

    Raises InputError.
    """
    check_own_data(path)
    itk: Any = SimpleITK  # has no types
    header = itk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        with silent():
            header.ReadImageInformation()
        size, components = header.GetSize(), header.GetNumberOfComponents()
        if components != 1 or not 2 <= len([n for n in size if n != 1] or [1, 1]) <= 3 or len(size) > 4:
            raise InputError(f"{path}: has the shape {size} with {components} components; give one volume of numbers")
        check_claim(path, "the volume", 8 * int(np.prod(size, dtype=object)), path.stat().st_size)
        _check_whole(path, int(np.prod(size, dtype=object)))
        with silent():
            return header.Execute()
    except RuntimeError:
        # ITK's text is several lines with the paths of its own sources.
        raise InputError(f"{path}: is no volume that can be read, or it is cut off; write it again") from None


def _start_of(path: Path) -> bytes:
    with gzip.open(path) if volume_suffix(path) == ".nii.gz" else path.open("rb") as stream:
        return stream.read(_NIFTI_START)


def _check_whole(path: Path, voxels: int) -> None:
    """Raises InputError where a NIfTI file ends early, which its library fills in silence, or its packed bytes do not
    add up to what was packed.
    """
    if volume_suffix(path) not in (".nii", ".nii.gz"):
        return
    packed = volume_suffix(path) == ".nii.gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(_NIFTI_HEADER)
            order = "<" if head[:4] == struct.pack("<i", _NIFTI_HEADER) else ">"
            size, (bits,), (offset,) = (struct.unpack_from(order + kind, head, at) for kind, at in _NIFTI_FIELDS)
            missing = int(offset) + voxels * bits // 8 - _NIFTI_HEADER
            if packed and path.stat().st_size > 1.01 * (missing + _NIFTI_HEADER) + _MOST_BEHIND:
                raise InputError(f"{path}: has more bytes than its voxels can fill; write it again")
            while size == (_NIFTI_HEADER,) and missing > 0 and (block := stream.read(min(missing, 1 << 20))):
                missing -= len(block)
            # The sum is compared at the end.
            if packed and missing <= 0 and len(stream.read(_MOST_BEHIND)) == _MOST_BEHIND:
                raise InputError(f"{path}: unpacks to more than its voxels; write it again")
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError):
        missing = 1
    if missing > 0:
        raise InputError(f"{path}: is no whole NIfTI-1 file, it is cut off or damaged; write it again")


def write_stored_volume(path: Path, values: Float32Array, affine: Float64Array, *, oriented: bool = True) -> None:
    """Write a volume as float32, whole or not at all.

    Args:
        path: NIfTI, MetaImage or NRRD, by its suffix.
        values: ``[slices, rows, columns]``.
        affine: 4 x 4, takes (column, row, slice) to (x, y, z) in LPS, mm.
        oriented: False where nobody knows how the patient lay: the file then says so (``unoriented.py``), of which
            NIfTI can keep nothing but spacings. ``affine`` must be diagonal.

    Raises:
        OutputError: As ``put_volume``.
    """
    with atomic_write(path) as partial:
        put_volume(partial, path, values, affine, oriented=oriented)


def put_volume(place: Path, path: Path, values: Float32Array, affine: Float64Array, *, oriented: bool) -> None:
    """The same into the temporary file ``place`` that will become ``path``.

    Raises OutputError for another suffix, or an affine that is sheared (a tilted gantry), which ITK cannot hold.
    """
    suffix = volume_suffix(path)
    if suffix is None:
        raise OutputError(f"{path.name}: a volume is written as {', '.join(VOLUME_SUFFIXES)}; give another name")
    if values.nbytes > MAX_BYTES:
        raise OutputError(f"{path.name}: {values.shape} voxels are more than {MAX_BYTES} bytes; write a part")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > _ORTHONORMAL:
        raise OutputError(f"{path.name}: the volume is sheared (tilted gantry), which ITK cannot hold; resample it")
    if not oriented and bool((direction != np.eye(3)).any()):
        raise OutputError(f"{path.name}: a volume without an orientation has axes of its own; give a diagonal affine")
    image: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(values, dtype=np.float32))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    # ITK chooses the format by the name, and a temporary file keeps only the last suffix. It is compressed below.
    plain = suffix.removesuffix(".gz")
    named = place.with_name(place.name.removesuffix(place.suffix) + ".whole" + plain)
    try:
        SimpleITK.WriteImage(image, str(named), False)
        _check_written(named, plain, values.size * 4)
        if not oriented:
            forget_orientation(named, plain)
        if plain == suffix:
            named.replace(place)
        else:
            _compress(named, place)
    except (RuntimeError, OSError):
        raise OutputError(f"{path}: cannot be written; is the disk full?") from None
    finally:
        named.unlink(missing_ok=True)


def _check_written(path: Path, suffix: str, count: int) -> None:
    """Raises OSError unless all values, ``count`` bytes, are at the end of a file: ITK says nothing of a full disk."""
    with path.open("rb") as stream:
        head = stream.read(_LONGEST_HEADER)
    if suffix == ".nii":
        begin = 352 if len(head) >= 352 else -1
    else:
        mark = b"ElementDataFile = LOCAL\n" if suffix == ".mha" else b"\n\n"
        begin = head.find(mark) + len(mark) if mark in head else -1
    if begin < 0 or path.stat().st_size != begin + count:
        raise OSError("it was cut short")


def _compress(source: Path, place: Path) -> None:
    """Without time and name, so that the same volume is the same bytes."""
    with source.open("rb") as raw, place.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        shutil.copyfileobj(raw, packed)


def grid_affine(grid: Grid, *, z_mm: float = 0.0, slice_mm: float | None = None) -> Float64Array:
    """One slice of a grid at ``z_mm``: columns to the patient's left, rows to the back, as on a monitor.

    So stands a DICOM series of the same scan. ``slice_mm``: its thickness, by default as thick as a pixel is wide.
    """
    dy, dx = grid.spacing_mm
    affine = np.diag([dx, dy, dx if slice_mm is None else slice_mm, 1.0])
    # Our y points up in the image, a patient's back is below.
    affine[:3, 3] = [grid.x_mm[0], -grid.y_mm[0], z_mm]
    return affine
