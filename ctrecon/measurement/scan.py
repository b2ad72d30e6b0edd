"""What was measured, and what is reconstructed: values together with where they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy import sparse

from ctrecon.errors import GeometryError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid, default_grid, field_of_view_mm
from ctrecon.measurement.cut_off import cells_cut_off, cut_off, undecided_beyond_mm, wide_grid
from ctrecon.measurement.extent import grid_of_object, object_radius_mm
from ctrecon.measurement.filling import Filling, filling
from ctrecon.measurement.given import LARGEST_VALUE, check_values, plain_floats
from ctrecon.measurement.mask import MOST_MISSING, Mask, as_mask, missing_note, together, unmasked
from ctrecon.measurement.units import LengthUnit, Units, units_of
from ctrecon.support.arrays import Array

Unit = Literal["1/mm", "HU"]

_ARRAYS = ("sinogram", "variance", "counts", "white")

WATER_MU_PER_MM = 0.02
"""Attenuation of water at about 70 keV."""

@dataclass(frozen=True, eq=False, repr=False)
class Scan:
    """A sinogram of line integrals and all that is known of how it was measured.

    Args:
        sinogram: ``[views, detectors]``, where the geometry measures in space ``[views, rows, columns]``, float32 or
            float64, without unit (1/mm times mm). Whatever holds such numbers is taken (``given.plain_floats``), here
            and below.
        geometry: None only where ``matrix`` is given.
        grid: The image grid the file asks for, or None; ``default_grid`` then covers the field of view.
        variance: Of each line integral, same shape, > 0; from counts (``measurement.counts``).
        mask: ``[views, detectors]``, True where a ray is *usable*, or None where all are. A ray that is not is missing:
            it has weight zero in energies, delta and certificates, and its values here are those that its neighbours
            suggest (``filling.py``), whatever was handed over. Values that are NaN, infinite or masked (``numpy.ma``)
            are missing as well.
        counts: What the detector counted, dark field taken off.
        white: What it would have counted without an object, dark field taken off.
        whitened_mean: The expected square of noise over its variance, a little off 1 at low counts (``counts.py``).
        whitened_spread: The standard deviation of the sum of these squares over that of a chi-square variable of their
            mean, above 1 where there are rays of few counts.
        matrix: scipy CSR ``[views * detectors, rows * columns]``, rows and columns of it in C order.
        image_shape: Needed where only a matrix is given and the image is not square.
        length_unit: What the lengths of geometry and grid count: mm, or cells of a detector whose size nobody stated.
            Then attenuation is per cell, and there are neither HU nor mm.
        water_mu_per_mm: What the scanner was calibrated to, where the file says it.
        patient_position: How the patient lay, a term of DICOM such as FFS, where the file says it.
        study: Patient and study as keywords of DICOM with their texts, where the file says them.
        z_mm: Where the slice stands along the axis, where the file says it.
        slice_mm: How thick the slice is, where the file says it or it follows from the detector's rows.
        kvp: Peak voltage of the tube in kV, where the file says it.
        source: The file's name, for messages.
        notes: Everything that was assumed, one sentence each.

    Raises:
        InputError: Where these do not fit together or hold values that are not finite.
    """

    sinogram: Array
    geometry: Geometry | None = None
    _: KW_ONLY
    grid: Grid | None = None
    variance: Array | None = None
    mask: Mask | None = None
    counts: Array | None = None
    white: Array | None = None
    whitened_mean: float = 1.0
    whitened_spread: float = 1.0
    matrix: Any = None
    image_shape: tuple[int, ...] | None = None
    length_unit: LengthUnit = "mm"
    water_mu_per_mm: float | None = None
    patient_position: str = ""
    study: Mapping[str, str] = field(default_factory=dict)
    z_mm: float | None = None
    slice_mm: float | None = None
    kvp: float | None = None
    source: str = "the scan"
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = "a matrix" if self.geometry is None else repr(self.geometry)
        known = [name for name in ("variance", "mask", "counts", "white") if getattr(self, name) is not None]
        shape = " x ".join(map(str, self.sinogram.shape))
        return f"Scan({shape} of {self.source!r}, {where}" + "".join(f", {name}" for name in known) + ")"

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))
        self._check_arrays()
        shape = self.sinogram.shape
        for name in ("whitened_mean", "whitened_spread"):
            if not 0 < getattr(self, name) < LARGEST_VALUE:
                raise InputError(f"{self.source}: {name} must be a finite number > 0, got {getattr(self, name)}")
        if self.geometry is None and self.matrix is None:
            raise InputError(f"{self.source}: neither a geometry nor a matrix says what was measured; give --geometry")
        if self.geometry is not None and self.geometry.shape != shape:
            names = ("angles", "detectors") if len(shape) == 2 else ("angles", "rows", "detectors")
            known = " and ".join(f"{n} {name}" for n, name in zip(self.geometry.shape, names, strict=True))
            raise InputError(
                f"{self.source}: angles that do not match: the sinogram has {shape[0]} views of "
                f"{' x '.join(map(str, shape[1:]))} detectors, the geometry {known}; correct the geometry or transpose "
                "the data"
            )
        if self.length_unit not in get_args(LengthUnit):
            units = " or ".join(get_args(LengthUnit))
            raise InputError(f"{self.source}: length_unit must be {units}, got {self.length_unit!r}")
        if self.water_mu_per_mm is not None and not 0 < self.water_mu_per_mm < LARGEST_VALUE:
            raise InputError(f"{self.source}: the attenuation of water must be > 0 1/mm, got {self.water_mu_per_mm}")
        for name in ("slice_mm", "kvp"):
            value = getattr(self, name)
            if value is not None and not 0 < value < LARGEST_VALUE:
                raise InputError(f"{self.source}: {name} must be a finite number > 0, got {value}")
        if self.z_mm is not None and not abs(self.z_mm) < LARGEST_VALUE:
            raise InputError(f"{self.source}: z_mm must be a finite number, got {self.z_mm}")
        object.__setattr__(self, "image_shape", self._image_shape())
        if self.matrix is not None:
            self._check_matrix()

    def _check_arrays(self) -> None:
        axes: tuple[str, ...] = ("view", "row", "detector") if self.in_space else ("view", "detector")
        shape: tuple[int, ...] | None = None
        found: Mask | None = None
        given: dict[str, Array] = {}
        for name in _ARRAYS:
            if getattr(self, name) is None and name != "sinogram":
                continue
            values, there = unmasked(getattr(self, name))
            given[name] = values = plain_floats(self.source, name, values)
            there = np.isfinite(values) if there is None else there & np.isfinite(values)
            check_values(self.source, name, np.where(there, 1.0, 0.0), shape, axes)  # its shape
            shape = values.shape
            found = together(found, there)
        size = given["sinogram"].shape
        mask = None if self.mask is None else as_mask(self.source, self.mask, size)
        assert found is not None
        news = found if mask is None else found | ~mask  # lacks what the mask does not say already
        if not bool(news.all()):
            if news.mean() < 1 - MOST_MISSING:
                for name, values in given.items():
                    check_values(self.source, name, values, shape, axes)
            mask = as_mask(self.source, news if mask is None else mask & news, news.shape)
            note = f"values that are NaN, infinite or masked: {missing_note(news)}"
            object.__setattr__(self, "notes", (*self.notes, note))
        object.__setattr__(self, "mask", None if mask is None or bool(mask.all()) else mask)
        for name, values in given.items():
            filled = values if self.mask is None else self.filling(positive=name != "sinogram")(values)
            check_values(self.source, name, filled, shape, axes)
            object.__setattr__(self, name, filled)
        if self.variance is not None and not bool((self.variance > 0).all()):
            raise InputError(f"{self.source}: the variance must be > 0 everywhere, got {self.variance.min()}")
        if (self.counts is None) != (self.white is None):
            raise InputError(f"{self.source}: counts and white field must be given together")

    def filling(self, *, positive: bool = False) -> Filling:
        """How missing rays follow from usable ones.

        Args:
            positive: For what must not fall below zero.

        Returns:
            What fills them; of a scan with a mask.
        """
        assert self.mask is not None
        return filling(self.mask, self.geometry, positive=positive)

    @property
    def usable_count(self) -> int:
        """How many rays are usable."""
        return self.sinogram.size if self.mask is None else int(np.count_nonzero(self.mask))

    def weights(self, *, whitened: bool) -> Array | None:
        """What each ray counts in ``||W^(1/2) (A u - f)||^2``, ``[views, detectors]``; None where all count 1.

        Args:
            whitened: 1 / variance where the scan has variances, else 1; missing rays have 0 in either case.

        Returns:
            In the sinogram's dtype.
        """
        if whitened and self.variance is not None:
            weights: Array = 1 / self.variance
            return weights if self.mask is None else np.where(self.mask, weights, 0).astype(weights.dtype)
        return None if self.mask is None else self.mask.astype(self.sinogram.dtype)

    def without(self, mask: Mask, why: str) -> Scan:
        """The scan with more rays missing, besides those that are already.

        Args:
            mask: ``[views, detectors]``, True for usable rays.
            why: Begins a note.

        Returns:
            Another scan, or this one where it lacks them already.

        Raises:
            InputError: No ray is left.
        """
        both = together(self.mask, as_mask(self.source, mask, self.sinogram.shape))
        assert both is not None
        if bool((both == (True if self.mask is None else self.mask)).all()):
            return self
        return replace(self, mask=both, notes=(*self.notes, f"{why}: {missing_note(mask)}"))

    @property
    def in_space(self) -> bool:
        """Whether it is of a volume, measured by several rows of a detector at once."""
        return self.geometry is not None and len(self.geometry.shape) == 3

    @property
    def units(self) -> Units:
        """What its lengths and attenuation are called."""
        return units_of(self.length_unit, placed=self.geometry is not None)

    @property
    def in_mm(self) -> bool:
        """Whether lengths are known: only then attenuation is in 1/mm, and there can be HU."""
        return self.geometry is not None and self.length_unit == "mm"

    def water(self, given: float | None = None) -> tuple[float, str]:
        """The attenuation of water for HU.

        Args:
            given: Goes before what the scan says, and that before the usual one at 70 keV.

        Returns:
            In 1/mm, and where it is from, in words.
        """
        if given is not None:
            return given, "given"
        if self.water_mu_per_mm is not None:
            return self.water_mu_per_mm, "from the scan"
        return WATER_MU_PER_MM, "assumed, about 70 keV"

    def _image_shape(self) -> tuple[int, ...] | None:
        if self.grid is not None:
            if self.image_shape is not None and self.image_shape != self.grid.shape:
                raise InputError(f"{self.source}: image_shape {self.image_shape} is not the grid's {self.grid.shape}")
            if self.in_space != (self.grid.slices is not None):
                found = "one plane" if self.in_space else f"{self.grid.slices} slices"
                remedy = "give slices and slice_mm" if self.in_space else "drop slices and slice_mm"
                raise InputError(
                    f"{self.source}: was measured in {'space' if self.in_space else 'one plane'}, and its grid has "
                    f"{found}; {remedy}"
                )
            return self.grid.shape
        if self.image_shape is not None or self.matrix is None:
            return self.image_shape
        side = math.isqrt(self.matrix.shape[1])
        if side * side != self.matrix.shape[1]:
            raise InputError(
                f"{self.source}: the matrix has {self.matrix.shape[1]} columns, not the square of a whole number; "
                "state image_shape"
            )
        return side, side

    def _check_matrix(self) -> None:
        if not sparse.issparse(self.matrix) or self.matrix.format != "csr":
            raise InputError(f"{self.source}: the matrix must be a scipy CSR matrix, got {type(self.matrix).__name__}")
        assert self.image_shape is not None
        expected = (self.sinogram.size, math.prod(self.image_shape))
        if self.matrix.shape != expected:
            raise InputError(
                f"{self.source}: the matrix has shape {self.matrix.shape}, but {self.sinogram.shape} rays and "
                f"{self.image_shape} pixels need {expected}"
            )
        if self.matrix.dtype.kind not in "fiu":
            raise InputError(f"{self.source}: the matrix must hold real numbers, got {self.matrix.dtype}; convert it")
        bad = int(np.count_nonzero(~np.isfinite(self.matrix.data)))
        if bad:
            raise InputError(f"{self.source}: the matrix holds {bad} values that are not finite; rebuild it")

    def every(self, step: int) -> Scan:
        """The scan with some of its views.

        Args:
            step: Views 0, step, 2 step, ... are kept.

        Returns:
            Another scan, or this one where step is 1.

        Raises:
            InputError: ``step`` is no whole number from 1 to the number of views.
        """
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= self.sinogram.shape[0]:
            raise InputError(
                f"{self.source}: every must be a whole number from 1 to its {self.sinogram.shape[0]} views, got {step}"
            )
        if step == 1:
            return self
        kept = slice(None, None, step)
        matrix = self.matrix
        if matrix is not None:
            matrix = matrix[np.arange(self.sinogram.size).reshape(self.sinogram.shape)[kept].ravel()]

        def cut(values: Any) -> Any:
            return None if values is None else np.ascontiguousarray(values[kept])

        return replace(
            self,
            sinogram=np.ascontiguousarray(self.sinogram[kept]),
            geometry=None if self.geometry is None else self.geometry.views(kept),
            variance=cut(self.variance),
            mask=cut(self.mask),
            counts=cut(self.counts),
            white=cut(self.white),
            matrix=matrix,
            notes=(*self.notes, f"one view in {step} was kept: {len(range(0, self.sinogram.shape[0], step))} views"),
        )

    def with_center(self, column: float) -> Scan:
        """The scan with another rotation axis.

        Args:
            column: Where the axis projects to, counted from 0; a whole number is a cell's centre.

        Returns:
            Another scan.

        Raises:
            InputError: The scan has a matrix alone, or its geometry no such axis.
        """
        if self.geometry is None:
            raise InputError(f"{self.source}: the rotation axis cannot be moved where only a matrix is given")
        try:
            return replace(self, geometry=self.geometry.with_center(column))
        except GeometryError as error:
            raise InputError(f"{self.source}: {error}") from None

    def _grid_of_object(self) -> Grid:
        assert self.geometry is not None
        if self.in_space:
            return default_grid(self.geometry)
        seen = self.sinogram if self.mask is None else np.where(self.mask, self.sinogram, 0)
        return grid_of_object(self.geometry, object_radius_mm(seen, self.geometry))

    @property
    def is_cut_off(self) -> bool:
        """Whether the object reaches beyond the detector (``cut_off.py``)."""
        return self.geometry is not None and not self.in_space and cut_off(self.sinogram, self.geometry, self.mask)

    @property
    def cells_cut_off(self) -> int:
        """By about how many cells the object reaches beyond either end of the detector, 0 where it does not."""
        if self.geometry is None or self.in_space:
            return 0
        return cells_cut_off(self.sinogram, self.geometry, self.mask)

    @property
    def undecided_beyond_mm(self) -> float | None:
        """The radius about the axis beyond which the data decide nothing, where the object is cut off; else None."""
        return undecided_beyond_mm(self.sinogram, self.geometry, self.grid, self.mask)

    def _wide(self, size: int | None) -> Scan:
        assert self.geometry is not None
        wide = replace(self, grid=wide_grid(self.geometry, size=size), image_shape=None)
        beyond = wide.undecided_beyond_mm
        assert beyond is not None
        note = (
            f"the object reaches beyond the detector: the image is half as wide again as the field of view, and "
            f"further than {beyond:.4g} {self.units.length} from the rotation axis nothing in it is decided by the data"
        )
        return replace(wide, notes=(*self.notes, note))

    def with_grid(self, *, size: int | None = None, pixel_mm: float | None = None) -> Scan:
        """The scan with a grid: what is given, the rest such that the same square stays covered.

        That square is the file's own grid, else what the object needs of the field of view where neither is given
        (``extent.py``), else the field of view, half as wide again where the object is cut off
        (``cut_off.py``). Slices of a volume stay what they are; without a grid they are as many
        and as far apart as the detector's rows seem at the axis, over all that any view sees.

        Args:
            size: Pixels a side.
            pixel_mm: Side of a pixel, in the scan's unit of length.

        Returns:
            Another scan, or this one where nothing is left to choose.

        Raises:
            InputError: Its matrix fixes the image.
            GeometryError: No such grid, or a field of view of nothing.
        """
        if self.matrix is not None:
            if (size is not None and (size, size) != self.image_shape) or (self.geometry is None and pixel_mm):
                raise InputError(
                    f"{self.source}: its matrix fixes the image to {self.image_shape} pixels; drop --size, --pixel-mm"
                )
            if self.geometry is None or self.image_shape is None or self.image_shape[0] != self.image_shape[1]:
                return self
            size = self.image_shape[0]
        assert self.geometry is not None
        if size is None and pixel_mm is None:
            if self.grid is not None:
                return self
            if self.is_cut_off:
                return self._wide(None)
            return replace(self, grid=self._grid_of_object(), image_shape=None)
        if size is not None and pixel_mm is None and self.grid is None and self.matrix is None and self.is_cut_off:
            return self._wide(size)
        width = None if self.grid is None else max(self.grid.size_mm)
        if size is None and pixel_mm is not None and pixel_mm > 0:
            size = max(1, math.ceil((width or field_of_view_mm(self.geometry)) / pixel_mm - 1e-6))
        elif size is not None and size > 0 and pixel_mm is None and width is not None:
            pixel_mm = width / size
        square = default_grid(self.geometry, size=size, pixel_mm=pixel_mm)
        if self.grid is not None:
            square = replace(
                square, centre_mm=self.grid.centre_mm, slices=self.grid.slices, slice_mm=self.grid.slice_mm
            )
        return replace(self, grid=square, image_shape=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """Pixels ``[rows, columns]``, float32, on a grid, in 1/mm or HU. Raises InputError where these do not fit."""

    values: Array
    grid: Grid
    unit: Unit = "1/mm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", plain_floats("the image", "image", self.values))
        check_values("the image", "image", self.values, None, ("row", "column"))
        if self.values.dtype != np.float32:
            raise InputError(f"the image must be float32, got {self.values.dtype}")
        if self.values.shape != self.grid.shape:
            raise InputError(f"the image has shape {self.values.shape}, its grid {self.grid.shape}; they must agree")
        if self.unit not in get_args(Unit):
            raise InputError(f"the image's unit must be one of {', '.join(get_args(Unit))}, got {self.unit!r}")
