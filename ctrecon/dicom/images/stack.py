"""Slices put in order by where they lie, and every reason why they are not one volume, each in one line.

What must agree, agrees, or the series is refused: a wrong volume looks like a right one. A gantry tilt is the one
exception, because nothing has to be made up for it: the slices stay what and where they are, and the affine says that
each is shifted against the last (as a NIfTI sform can; dcm2niix keeps such a file beside a resampled one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.dicom.images.frames import Slice
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float64Array

_ANGLE_TOLERANCE = 2e-3
_SPACING_TOLERANCE = 1e-3
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Slices in order; ``affine`` (4 x 4) takes (column, row, slice) to LPS in mm; ``tilt_deg`` is the shear."""

    slices: tuple[Slice, ...]
    affine: Float64Array
    slice_spacing_mm: float
    tilt_deg: float
    notes: tuple[str, ...]


def stack(slices: Sequence[Slice], what: str) -> Stack:
    """Sort and check. Raises InputError, naming what and where, for slices that are not one regular volume."""
    _check_shared(slices)
    first = slices[0]
    heights = np.array([s.position @ first.normal for s in slices])
    order = np.argsort(heights, kind="stable")
    ordered, heights = [slices[i] for i in order], heights[order]
    notes: tuple[str, ...] = ()
    if len(ordered) == 1:
        spacing = first.thickness_mm or 1.0
        if first.thickness_mm is None:
            notes = ("a single slice without SliceThickness is taken to be 1 mm thick",)
        step = first.normal * spacing
    else:
        step = _step(ordered, heights, what)
        spacing = float(step @ first.normal)
    sideways = float(np.linalg.norm(step - spacing * first.normal))
    tilt = float(np.degrees(np.arctan2(sideways, spacing)))
    if tilt < 0.1:
        tilt = 0.0
    else:
        notes = (f"the gantry was tilted by {tilt:.1f} degrees: the slices stay as they are, the affine is sheared",)
    affine = np.eye(4)
    affine[:3, 0] = ordered[0].along_row * first.spacing_mm[1]
    affine[:3, 1] = ordered[0].along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = ordered[0].position
    return Stack(slices=tuple(ordered), affine=affine, slice_spacing_mm=spacing, tilt_deg=tilt, notes=notes)


def _check_shared(slices: Sequence[Slice]) -> None:
    def close(tolerance: float) -> Callable[[Any, Any], bool]:
        return lambda a, b: bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))

    def equal(a: Any, b: Any) -> bool:
        return bool(a == b)

    # The patient's identity is compared, never shown.
    rules: tuple[tuple[str, Callable[[Slice], Any], Callable[[Any, Any], bool], bool], ...] = (
        ("patients (PatientID)", lambda s: s.patient, equal, False),
        ("frames of reference (FrameOfReferenceUID)", lambda s: s.frame_of_reference, equal, False),
        ("sizes", lambda s: (s.form.rows, s.form.columns), equal, True),
        ("pixel spacings", lambda s: s.spacing_mm, close(_SPACING_TOLERANCE), True),
        (
            "orientations (ImageOrientationPatient)",
            lambda s: [round(float(v), 6) for v in (*s.along_row, *s.along_column)],
            close(_ANGLE_TOLERANCE),
            True,
        ),
    )
    first = slices[0]
    for what, of, same, shown in rules:
        for other in slices[1:]:
            if not same(of(first), of(other)):
                values = f": {of(first)} and {of(other)}" if shown else ""
                raise InputError(
                    f"{first.name} and {other.name} are of different {what}{values}; give the slices of one series"
                )


def _step(ordered: Sequence[Slice], heights: Float64Array, what: str) -> Float64Array:
    """The vector from each slice to the next. Raises InputError where there is not one such vector."""
    gaps = np.diff(heights)
    k = int(np.argmin(gaps))
    if gaps[k] < _SAME_PLACE_MM:
        raise InputError(
            f"{what}: two slices lie at the same position, {heights[k]:.2f} mm ({ordered[k].name} and "
            f"{ordered[k + 1].name}); remove one of them"
        )
    usual = float(np.median(gaps))
    tolerance = max(0.02, 0.02 * usual)
    for k in np.flatnonzero(np.abs(gaps - usual) > tolerance).tolist():
        missing = round(gaps[k] / usual) - 1
        if missing >= 1 and abs(gaps[k] - (missing + 1) * usual) <= tolerance * (missing + 1):
            raise InputError(
                f"{what}: {missing} slice{'s are' if missing > 1 else ' is'} missing between {heights[k]:.2f} and "
                f"{heights[k + 1]:.2f} mm, where slices are {usual:.3g} mm apart; copy the whole series"
            )
        raise InputError(
            f"{what}: the slices are {usual:.4g} mm apart, but those at {heights[k]:.2f} and {heights[k + 1]:.2f} mm "
            f"are {gaps[k]:.4g} mm; only regular spacing makes a volume, give a part of them"
        )
    positions = np.array([s.position for s in ordered])
    step: Float64Array = (positions[-1] - positions[0]) / (len(ordered) - 1)
    off = np.linalg.norm(positions - positions[0] - np.arange(len(ordered))[:, None] * step, axis=1)
    k = int(np.argmax(off))
    if off[k] > max(0.05, tolerance) + 0.01 * usual:
        raise InputError(
            f"{what}: the slice at {heights[k]:.2f} mm ({ordered[k].name}) is shifted sideways by {off[k]:.3g} mm "
            "against the others; give slices of one regular series"
        )
    return step
