"""What a reader of one format hands on: values and what the file itself says of their geometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import CtreconError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.counts import line_integrals
from ctrecon.measurement.units import LengthUnit
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Arrays ``[views, detectors]``, of a volume ``[views, rows, detectors]``; ``None`` for what the file does not say.

    ``angles_deg`` without a geometry: the views are known, the scanner is not.
    ``center``: the column of the rotation axis, "auto" where it is known not to be the middle.
    ``length_unit``: what the lengths of ``geometry`` count, None where they are in mm or ``facts`` says it.
    ``mask``: True or 1 where a ray is usable.
    ``bare``: an array that says nothing of what its axes count.
    ``facts``: other fields of the scan as ``facts.read_facts`` gives them.
    ``rows``: how many detector rows the file has of which each is a plane of its own and may be asked for.
    ``geometry_from``: a note on where the geometry comes from, for those whom no JSON file tells another one.
    """

    sinogram: Array
    variance: Array | None = None
    mask: Array | None = None
    counts: Array | None = None
    white: Array | None = None
    whitened_mean: float = 1.0
    whitened_spread: float = 1.0
    geometry: Geometry | None = None
    grid: Grid | None = None
    angles_deg: Array | None = None
    center: float | str | None = None
    matrix: Any = None
    water_mu_per_mm: float | None = None
    rows: int = 1
    geometry_from: str = ""
    length_unit: LengthUnit | None = None
    bare: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def from_counts(
    path: Path,
    counts: Array,
    white: Array,
    dark: Array | float,
    *,
    electronic_sigma: float = 0.0,
    gain: float = 1.0,
    mask: Array | None = None,
    notes: tuple[str, ...] = (),
    **more: Any,
) -> Measured:
    """Counts as line integrals with variances; those of a volume ``[views, rows, detectors]``.

    Fields are as for ``line_integrals``, of a volume ``[rows, detectors]`` or frames of these. Raises the errors of
    ``line_integrals`` with the file's name.
    """
    shape = counts.shape

    def flat(values: Any) -> Any:
        """Rows side by side are what a single long row would be."""
        if values is None or np.ndim(values) < 2 or counts.ndim != 3 or np.shape(values)[-2:] != shape[1:]:
            return values
        return values.reshape(*values.shape[:-2], -1)

    try:
        result = line_integrals(
            flat(counts), flat(white), flat(dark), electronic_sigma=electronic_sigma, gain=gain, mask=flat(mask)
        )
    except CtreconError as error:
        raise type(error)(f"{path}: {error}") from None
    return Measured(
        sinogram=result.values.reshape(shape),
        variance=result.variance.reshape(shape),
        mask=None if result.mask is None else result.mask.reshape(shape),
        counts=result.counts.reshape(shape),
        white=result.white.reshape(shape),
        whitened_mean=result.whitened_mean,
        whitened_spread=result.whitened_spread,
        notes=(*notes, *result.notes),
        **more,
    )
