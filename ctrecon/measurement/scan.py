"""What was measured: values together with where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.consistency import check_geometry, check_matrix, check_positive, image_shape
from ctrecon.measurement.cut_off import cells_cut_off, cut_off, undecided_beyond_mm
from ctrecon.measurement.filling import Filling, filling
from ctrecon.measurement.given import LARGEST_VALUE
from ctrecon.measurement.mask import Mask, as_mask, missing_note, together
from ctrecon.measurement.plain_arrays import plain_arrays
from ctrecon.measurement.study_words import check_study
from ctrecon.measurement.terms import PatientPosition, check_terms
from ctrecon.measurement.units import LengthUnit, Units, units_of
from ctrecon.measurement.which_grid import chosen_grid
from ctrecon.support.arguments import check_fields, checked, checked_with, shown
from ctrecon.support.arrays import Array

_ARRAYS = ("sinogram", "variance", "counts", "white")

WATER_MU_PER_MM = 0.02
"""Attenuation of water at about 70 keV."""

_NO_FILE = "the scan"

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
        patient_position: How the patient lay, a term of DICOM such as FFS, or ``none`` for what is no patient; empty
            where nobody says it.
        study: Patient and study as keywords of DICOM with their texts, those of ``measurement/study_words.py``, where
            the file says them.
        z_mm: Where the slice stands along the axis, where the file says it.
        slice_mm: How thick the slice is, where the file says it or it follows from the detector's rows.
        kvp: Peak voltage of the tube in kV, where the file says it.
        source: The file's name, for messages.
        notes: Everything that was assumed, one sentence each.

    Raises:
        InputError: Where these do not fit together, hold values that are not finite, or ``study`` has other words.
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
    patient_position: PatientPosition = ""
    study: Mapping[str, str] = field(default_factory=dict)
    z_mm: float | None = None
    slice_mm: float | None = None
    kvp: float | None = None
    source: str = _NO_FILE
    notes: tuple[str, ...] = ()

    @property
    def of_program(self) -> bool:
        """Whether it was put together in a program, and read from no file."""
        return self.source == _NO_FILE

    def __repr__(self) -> str:
        where = "a matrix" if self.geometry is None else repr(self.geometry)
        known = [name for name in ("variance", "mask", "counts", "white") if getattr(self, name) is not None]
        shape = " x ".join(map(str, self.sinogram.shape))
        return f"Scan({shape} of {self.source!r}, {where}" + "".join(f", {name}" for name in known) + ")"

    def __post_init__(self) -> None:
        check_fields(self, apart=(*_ARRAYS, "mask", "matrix", "study"), of=f"{self.source}: ", error=InputError)
        object.__setattr__(self, "notes", tuple(self.notes))
        self._check_arrays()
        shape = self.sinogram.shape
        check_geometry(self.source, self.geometry, shape, has_matrix=self.matrix is not None)
        check_terms(self.source, self)
        object.__setattr__(self, "study", check_study(self.source, self.study))
        for name in ("whitened_mean", "whitened_spread", "water_mu_per_mm", "slice_mm", "kvp"):
            check_positive(self.source, name, getattr(self, name))
        if self.z_mm is not None and not abs(self.z_mm) < LARGEST_VALUE:
            raise InputError(f"{self.source}: z_mm must be a finite number, got {self.z_mm}")
        shape_of_image = image_shape(self.source, self.grid, self.image_shape, self.matrix, in_space=self.in_space)
        object.__setattr__(self, "image_shape", shape_of_image)
        if self.matrix is not None:
            assert shape_of_image is not None
            check_matrix(self.source, self.matrix, shape, shape_of_image)

    def _check_arrays(self) -> None:
        given = {name: values for name in _ARRAYS if (values := getattr(self, name)) is not None or name == "sinogram"}
        found = plain_arrays(self.source, given, self.mask, self.geometry, in_space=self.in_space)
        object.__setattr__(self, "notes", (*self.notes, *found.notes))
        object.__setattr__(self, "mask", found.mask)
        for name, values in found.arrays.items():
            object.__setattr__(self, name, values)
        if self.variance is not None and not bool((self.variance > 0).all()):
            raise InputError(f"{self.source}: the variance must be > 0 everywhere, got {self.variance.min()}")
        if (self.counts is None) != (self.white is None):
            raise InputError(f"{self.source}: counts and white field must be given together")

    @checked
    def filling(self, *, positive: bool = False) -> Filling:
        """How missing rays follow from usable ones.

        Args:
            positive: For what must not fall below zero.

        Returns:
            What fills them; of a scan with a mask.

        Raises:
            InputError: Where no ray is missing.
        """
        if self.mask is None:
            raise InputError(f"{self.source}: no ray is missing, so there is nothing to fill")
        return filling(self.mask, self.geometry, positive=positive)

    @property
    def usable_count(self) -> int:
        """How many rays are usable."""
        return self.sinogram.size if self.mask is None else int(np.count_nonzero(self.mask))

    @checked
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

    @checked
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

    def every(self, step: int) -> Scan:
        """The scan with some of its views.

        Args:
            step: Views 0, step, 2 step, ... are kept.

        Returns:
            Another scan, or this one where step is 1.

        Raises:
            InputError: ``step`` is no whole number from 1 to the number of views.
        """
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 1 <= step <= self.sinogram.shape[0]:
            raise InputError(
                f"{self.source}: every must be a whole number from 1 to its {self.sinogram.shape[0]} views, "
                f"got {shown(step)}"
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

    @checked_with(GeometryError)
    def with_grid(self, *, size: int | None = None, pixel_mm: float | None = None) -> Scan:
        """The scan with a grid: what is given, the rest such that the same square stays covered (``which_grid.py``).

        Slices of a volume stay what they are; without a grid they are as many and as far apart as the detector's rows
        seem at the axis, over all that any view sees.

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
        if size is None and pixel_mm is None and self.grid is not None:
            return self
        wide = self.matrix is None and self.grid is None and pixel_mm is None and self.is_cut_off
        seen = self.sinogram if self.mask is None else np.where(self.mask, self.sinogram, 0)
        grid, widened = chosen_grid(seen, self.geometry, self.grid, size=size, pixel_mm=pixel_mm, wide=wide)
        chosen = replace(self, grid=grid, image_shape=None)
        if not widened:
            return chosen
        beyond = chosen.undecided_beyond_mm
        assert beyond is not None
        note = (
            f"the object reaches beyond the detector: the image is wider than the field of view, and "
            f"further than {beyond:.4g} {self.units.length} from the rotation axis the data leave it open"
        )
        return replace(chosen, notes=(*self.notes, note))
