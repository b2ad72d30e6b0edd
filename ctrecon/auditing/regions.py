"""Regions of an image and the question asked of them: the mean over the region less the mean over its surroundings."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Float64Array

Mask = npt.NDArray[np.bool_]

GAP = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """``inside`` and ``around`` are masks ``[rows, columns]`` without a common pixel, none of them empty.

    ``label`` goes into file names (letters, digits, dash), ``name`` is for people.
    """

    label: str
    name: str
    inside: Mask
    around: Mask

    def __post_init__(self) -> None:
        for what, mask in (("region", self.inside), ("ring around the region", self.around)):
            if not mask.any():
                raise SettingError(f"{self.name}: the {what} holds no pixel of the image; move it or change its size")

    @property
    def functional(self) -> Float64Array:
        """``c [rows, columns]``, float64: ``<c, u>`` is the mean over the region less that over its surroundings."""
        return self.inside / np.count_nonzero(self.inside) - self.around / np.count_nonzero(self.around)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """The surroundings: pixels whose distance from the region is above ``gap`` and at most ``gap + width`` pixels.

    ``width`` None is 0.6 of the radius of a disc of the region's area, at least 4. Raises SettingError.
    """

    gap: float = GAP
    width: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gap) and self.gap >= 0):
            raise SettingError(f"--gap must be a finite number of pixels >= 0, got {self.gap}")
        if self.width is not None and not (math.isfinite(self.width) and self.width >= 1):
            raise SettingError(f"--ring must be a finite number of pixels >= 1, got {self.width}")

    def reach(self, radius: float) -> float:
        """How far from a region its surroundings go.

        Args:
            radius: Of the region, or of a disc of its area, in pixels.

        Returns:
            Gap and width together, in pixels.
        """
        return self.gap + (max(4.0, 0.6 * radius) if self.width is None else self.width)


def disc(column: float, row: float, radius: float, shape: tuple[int, int], ring: Ring) -> Region:
    """The pixels whose centres lie in a disc.

    Args:
        column: Of the middle, from 0, fractions allowed.
        row: Of the middle, from 0 at the top.
        radius: In pixels.
        shape: Rows and columns of the image.
        ring: The surroundings that it is compared with.

    Returns:
        The disc and its surroundings.

    Raises:
        SettingError: For numbers that are not finite, no radius, or a disc that does not lie in the image.
    """
    if not all(map(math.isfinite, (column, row, radius))) or radius <= 0:
        raise SettingError(f"a disc is column, row and a radius > 0 in pixels, got {column:g},{row:g},{radius:g}")
    if not (radius - 0.5 <= column <= shape[1] - 0.5 - radius and radius - 0.5 <= row <= shape[0] - 0.5 - radius):
        raise SettingError(
            f"the disc at column {column:g}, row {row:g} with radius {radius:g} pixels does not lie in the image "
            f"of {shape[0]} rows and {shape[1]} columns; --roi is COLUMN,ROW,RADIUS in pixels, --roi-mm X,Y,R in mm"
        )
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(columns - column, rows - row)
    reach = ring.reach(radius)
    return Region(
        # 81p5 for 81.5: other numbers are another file.
        label=safe(f"disc-{column:.6g}-{row:.6g}-{radius:.6g}".replace(".", "p")),
        name=f"disc of radius {radius:.6g} pixels at column {column:.6g}, row {row:.6g}; surroundings {ring.gap:.6g} "
        f"to {reach:.6g} pixels away",
        inside=distance <= radius,
        around=(distance > radius + ring.gap) & (distance <= radius + reach),
    )


def disc_mm(x: float, y: float, radius: float, grid: Grid, ring: Ring) -> Region:
    """``disc`` in mm.

    Args:
        x: Of the middle, from the rotation axis to the right, in mm.
        y: Of the middle, from the rotation axis upwards, in mm.
        radius: In mm.
        grid: Of the image.
        ring: The surroundings that it is compared with, in pixels.

    Returns:
        The disc and its surroundings.

    Raises:
        GeometryError: For pixels that are not square.
        SettingError: As ``disc``.
    """
    side, (middle_x, middle_y) = grid.square_mm, grid.centre_mm[:2]
    column, row = (x - middle_x) / side + (grid.columns - 1) / 2, (grid.rows - 1) / 2 - (y - middle_y) / side
    return disc(column, row, radius / side, grid.plane, ring)


def masked(inside: Mask, name: str, ring: Ring) -> Region:
    """A region of any form.

    Args:
        inside: Its pixels, ``[rows, columns]``.
        name: Of the mask, for messages and file names.
        ring: The surroundings that it is compared with.

    Returns:
        The region and its surroundings.

    Raises:
        SettingError: Where it is empty, or nothing is left around it.
    """
    distance = ndimage.distance_transform_edt(~inside) if inside.any() else np.full(inside.shape, np.inf)
    reach = ring.reach(math.sqrt(np.count_nonzero(inside) / math.pi))
    count = int(np.count_nonzero(inside))
    return Region(
        label=safe(f"mask-{Path(name).name.split('.')[0]}"),
        name=f"{count} pixel{'s' * (count != 1)} of the mask {name}; surroundings {ring.gap:.6g} to {reach:.6g} pixels "
        "away",
        inside=inside,
        around=(distance > ring.gap) & (distance <= reach),
    )


def safe(text: str) -> str:
    """Letters, digits and dashes, for the name of a file."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:70] or "roi"


def read_mask(path: Path, shape: tuple[int, int], spacing_mm: tuple[float, float] | None = None) -> Mask:
    """Read a mask from a file: what is not zero lies in the region.

    Args:
        path: ``.npy`` ``[rows, columns]``, or a NIfTI file of one slice.
        shape: Rows and columns of the image.
        spacing_mm: Of its pixels, row and column, where that is known: a NIfTI file must agree.

    Returns:
        Truth values ``[rows, columns]``.

    Raises:
        InputError: For another shape, what is no number, or a NIfTI file whose axes do not run as those of the image or
            whose pixels are not of ``spacing_mm``.
    """
    from ctrecon.io.npy import read_npy

    if not path.is_file():
        raise InputError(f"{path}: there is no such mask; --roi takes COLUMN,ROW,RADIUS in pixels or a mask file")
    name = path.name.lower()
    if name.endswith(".npy"):
        values: npt.NDArray[Any] = np.load(path, allow_pickle=False) if _is_boolean(path) else read_npy(path)
    elif name.endswith((".nii", ".nii.gz")):
        values = _read_nifti(path, shape, spacing_mm)
    else:
        raise InputError(f"{path}: a mask is a .npy, .nii or .nii.gz file")
    if values.shape != shape:
        raise InputError(f"{path}: the mask has shape {values.shape}, the image {shape}; they must agree")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: the mask holds NaN or infinity; write 1 in the region and 0 elsewhere")
    found: Mask = values != 0
    return found


def _is_boolean(path: Path) -> bool:
    with path.open("rb") as stream:
        return b"'descr': '|b1'" in stream.read(128)


def _read_nifti(path: Path, shape: tuple[int, int], spacing_mm: tuple[float, float] | None) -> npt.NDArray[Any]:
    import SimpleITK

    itk: Any = SimpleITK  # has no types
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        # From the header alone, so that no more is read than the image has.
        if size[:2] != (shape[1], shape[0]) or any(side != 1 for side in size[2:]):
            raise InputError(
                f"{path}: the mask has {' x '.join(map(str, size))} voxels, "
                f"the image {shape[1]} x {shape[0]}; resample it onto the image first"
            )
        axes = np.asarray(reader.GetDirection()).reshape(len(size), len(size))[:2, :2]
        if np.abs(axes - np.eye(2)).max() > 1e-3:
            raise InputError(
                f"{path}: the axes of the mask are turned or mirrored against the image's (columns to the "
                "patient's left, rows to the back); resample it onto the image first"
            )
        spacing = reader.GetSpacing()[:2]
        own = spacing if spacing_mm is None else spacing_mm[::-1]
        if any(abs(side - wanted) > 0.01 * wanted for side, wanted in zip(spacing, own, strict=True)):
            raise InputError(
                f"{path}: the mask has pixels of {spacing[0]:.6g} x {spacing[1]:.6g} mm, the image of {own[0]:.6g} x "
                f"{own[1]:.6g} mm; resample it onto the image first, or give it as .npy"
            )
        return np.asarray(itk.GetArrayFromImage(reader.Execute())).reshape(shape)
    except RuntimeError as why:
        raise InputError(f"{path}: cannot be read as NIfTI: {str(why).strip().splitlines()[-1]}") from None
