"""Pictures as whole numbers: 8 and 16 bit, grey or colour, and slices of DICOM and NIfTI; nothing is lost on the way.

Pillow reads what it keeps whole. Colours of 16 bit it would cut to 8, so those and NIfTI go through SimpleITK; DICOM
is decoded by ``ctrecon/dicom/images/images.py``, as everywhere.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from ctrecon.errors import InputError, OutputError
from ctrecon.io.itk_files import silent
from ctrecon.io.nifti import read_itk
from ctrecon.io.unoriented import forget_orientation
from ctrecon.support.arrays import Float64Array
from ctrecon.support.limits import MAX_BYTES, check_claim
from ctrecon.support.plain_file import plain_size

_DAMAGE = (
    UnidentifiedImageError, OSError, RuntimeError, ValueError, SyntaxError, TypeError, LookupError, OverflowError,
    AttributeError, MemoryError, struct.error, zlib.error, Warning,
)
"""What Pillow and SimpleITK raise for damaged files: they document no common class."""
MEDICAL = (".nii", ".nii.gz")
LOSSLESS = (".png", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """``levels [rows, columns]`` or ``[rows, columns, 3]``, float64, between ``lowest`` and ``highest``.

    ``whole``: the values are whole numbers, of ``bits`` 8 or 16. ``spacing_mm`` is (row, column) where the file says
    it. ``note`` tells what of the file was left out.
    """

    levels: Float64Array
    lowest: float
    highest: float
    bits: int
    whole: bool = True
    spacing_mm: tuple[float, float] | None = None
    note: str = ""


def kind_of(path: Path) -> str:
    """The suffix in lower case, ``.nii.gz`` as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def is_dicom_file(path: Path) -> bool:
    """Whether it says so at byte 128: scanners and archives write such files without a suffix."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_picture(path: Path) -> Picture:
    """Read a picture or one slice. Raises InputError for anything else."""
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    plain_size(path, MAX_BYTES)
    try:
        if kind_of(path) == ".dcm" or is_dicom_file(path):
            return _dicom(path)
        if kind_of(path) in MEDICAL:
            return _medical(path)
        return _picture(path)
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning):
        raise InputError(f"{path.name} claims to have too many pixels; enlarge parts of it") from None
    except _DAMAGE as why:
        reason = str(why).strip().splitlines()[-1] if str(why).strip() else type(why).__name__
        raise InputError(f"{path.name} cannot be read as a picture: {reason}") from None


def _picture(path: Path) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what Pillow remarks of a damaged file, it skips and goes on
        try:
            with PillowImage.open(path) as image:
                if not _is_deep_colour(image, path):
                    return _from_pillow(image)
        except UnidentifiedImageError:
            if kind_of(path) not in (".tif", ".tiff"):
                raise
    itk: Any = SimpleITK  # has no types
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    with silent():
        reader.ReadImageInformation()
        claimed = 8 * math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
        check_claim(path, "the picture", claimed, path.stat().st_size)
        return _from_itk(reader.Execute())


def _is_deep_colour(image: PillowImage.Image, path: Path) -> bool:
    """Whether there are colours of more than 8 bits, which Pillow would cut without a word."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    if image.format == "PNG":
        with path.open("rb") as stream:
            return stream.read(25)[24:] == b"\x10"  # every PNG says its bit depth there
    bits_per_sample = 258
    return image.format == "TIFF" and max(getattr(image, "tag_v2", {}).get(bits_per_sample, (8,))) > 8


def _from_pillow(image: PillowImage.Image) -> Picture:
    note = "transparency is left out" if "A" in image.getbands() or "transparency" in image.info else ""
    if getattr(image, "n_frames", 1) > 1:
        note = ", ".join(filter(None, (note, f"the first of {getattr(image, 'n_frames', 1)} pictures")))
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.asarray(image, dtype=np.float64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("its values need more than 16 bits")
        return Picture(levels=levels, lowest=0, highest=65535, bits=16, note=note)
    if image.mode == "F":
        raise ValueError("its values are no whole numbers; save it with 8 or 16 bits")
    grey = image.mode in ("1", "L", "LA")
    levels = np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float64)
    return Picture(levels=levels, lowest=0, highest=255, bits=8, note=note)


def _from_itk(image: Any) -> Picture:
    array = SimpleITK.GetArrayFromImage(image)
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its values are {array.dtype}; save it with 8 or 16 bits")
    note = ""
    if array.ndim == 3 and array.shape[2] in (2, 4):
        array, note = array[..., : array.shape[2] - 1], "transparency is left out"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and array.shape[2:] != (3,):
        raise ValueError(f"it has the shape {list(array.shape)}; grey or colour pictures can be read")
    bits = 8 * array.dtype.itemsize
    return Picture(levels=array.astype(np.float64), lowest=0, highest=2**bits - 1, bits=bits, note=note)


def _dicom(path: Path) -> Picture:
    # Loads half a second of libraries, which other pictures do not need.
    from ctrecon.dicom.images.images import read_grey_slice

    grey = read_grey_slice(path)
    return _measured(grey.values, grey.spacing_mm or (1.0, 1.0))


def _medical(path: Path) -> Picture:
    image = read_itk(path)
    array = SimpleITK.GetArrayFromImage(image)
    slices = [side for side in array.shape[:-2] if side != 1]
    if slices or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"it has the shape {list(array.shape)}; give a file of one grey slice")
    levels = array.reshape(array.shape[-2:]).astype(np.float64)
    if not bool(np.isfinite(levels).all()):
        raise ValueError("it holds values that are not finite")
    column_mm, row_mm = image.GetSpacing()[:2]
    return _measured(levels, (row_mm, column_mm))


def _measured(levels: Float64Array, spacing_mm: tuple[float, float]) -> Picture:
    """Values of a scanner, ``[rows, columns]``; ``spacing_mm`` is (row, column)."""
    whole = bool((levels == np.rint(levels)).all()) and abs(levels).max() < 2**15
    low, high = (-(2.0**15), 2.0**15 - 1) if whole else (float(levels.min()), float(levels.max()))
    return Picture(
        levels=levels, lowest=low, highest=high, bits=16, whole=whole, spacing_mm=spacing_mm,
        note="" if whole else "its values are no whole numbers of 16 bits, so none are rounded",
    )


def suffixes_for(like: Picture) -> tuple[str, ...]:
    """How the name of a file may end that keeps every value of such a picture."""
    return LOSSLESS if like.spacing_mm is None else (".nii",)


def put_picture(place: Path, levels: Float64Array, like: Picture, scale: int) -> None:
    """Write ``levels``, enlarged by ``scale``, as ``like`` was: PNG or TIFF of as many bits, or NIfTI.

    ``place`` is the temporary file that will become the picture, with its suffix. Raises OutputError.
    """
    image: Any
    if like.spacing_mm is not None:
        image = SimpleITK.GetImageFromArray(levels.astype(np.int16 if like.whole else np.float32))
        image.SetSpacing((like.spacing_mm[1] / scale, like.spacing_mm[0] / scale))
    else:
        array = levels.astype(np.uint8 if like.bits == 8 else np.uint16)
        image = SimpleITK.GetImageFromArray(array, isVector=array.ndim == 3)
    try:
        SimpleITK.WriteImage(image, str(place))
        # ITK says nothing of a disk that is full.
        written = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(place)))
        if not np.array_equal(written, SimpleITK.GetArrayFromImage(image)):
            raise RuntimeError("it was cut short")
        if like.spacing_mm is not None:
            # Where the slice stood and which way it lay is not kept, so the file must not say so.
            forget_orientation(place, ".nii")
    except RuntimeError:
        raise OutputError(f"{place.parent}: the picture cannot be written there; is the disk full?") from None
