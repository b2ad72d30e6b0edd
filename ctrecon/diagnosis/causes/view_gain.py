"""Views whose line integrals are all too large or too small by one factor: tube voltage, or a normalisation that jumps.

By how much follows from the image that explains all views best: each view's factor is the one that brings it nearest
to that image's projection. Where the views' own masses say it exactly, ``view_mass.py`` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from ctrecon.diagnosis.bent_scale import bend_of, straightened
from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.cut_off import cut_off
from ctrecon.measurement.scan import Scan
from ctrecon.operators.choose import choose_operator
from ctrecon.support.arrays import Array, Float64Array

PLACE = 230

_FEWEST, _ROUNDS = 12, 3
# Views that scatter by less than this are as even as those of any tube; beyond the other it is no matter of scale.
LEAST_SCATTER, _MOST = 0.004, 0.5


def view_gain(scan: Scan) -> Iterator[Suggestion]:
    """The scan with each view's values times one factor, by the image that explains all of them best."""
    if not enough_views(scan) or is_weighed(scan):
        return
    factors = _by_fit(scan)
    if factors is not None:
        f = scan.sinogram.astype(np.float64) * (1.0 if scan.mask is None else scan.mask)
        yield from suggested(scan, factors, f**3, f**2, certain=False)


def enough_views(scan: Scan) -> bool:
    """Whether views can be told from each other by their scale."""
    return scan.geometry is not None and scan.sinogram.ndim == 2 and scan.sinogram.shape[0] >= _FEWEST


def is_weighed(scan: Scan) -> bool:
    """Whether the sum of each view is the mass of one and the same object."""
    assert scan.geometry is not None
    orbit = scan.geometry.orbit
    return orbit is not None and orbit.parallel and scan.mask is None and not cut_off(scan.sinogram, scan.geometry)


def suggested(
    scan: Scan, factors: Float64Array, bent: Float64Array, straight: Float64Array, *, certain: bool
) -> Iterator[Suggestion]:
    """A bend of the scale where it explains the factors, which would follow the object's dense parts; else gains."""
    scatter = float(np.std(factors))
    if not LEAST_SCATTER < scatter < _MOST or (factors <= 0).any():
        return
    # Times the factors, for a gain makes a view seem as much denser as it is brighter.
    bend = bend_of(factors, factors * bent.sum(axis=1) / straight.sum(axis=1))
    even = _scaled(scan, factors, certain=certain)
    yield (None if bend is None else straightened(scan, bend, instead_of=even)) or even


def _scaled(scan: Scan, factors: Float64Array, *, certain: bool) -> Suggestion:
    scatter = float(np.std(factors))
    mended = dataclasses.replace(
        scan, sinogram=_times(scan, factors), counts=None, white=None,
        variance=None if scan.variance is None else scan.variance * (factors[:, None] ** 2).astype(scan.variance.dtype),
    )  # fmt: skip
    jump = np.abs(np.diff(factors))
    evidence = f"the largest change is by {float(jump.max()):.1%}, at view {int(jump.argmax()) + 1}"
    return Suggestion(
        cause="view-gain", words=f"the views differ in scale, by {scatter:.1%} rms", scan=mended, evidence=evidence,
        certain=certain,
    )  # fmt: skip


def _by_fit(scan: Scan) -> Float64Array | None:
    assert scan.geometry is not None
    factors = np.ones(scan.sinogram.shape[0])
    for _ in range(_ROUNDS):
        found = fit(dataclasses.replace(scan, sinogram=_times(scan, factors)))
        operator = choose_operator(scan.geometry, found.grid, uses="few")
        # The image is of some of the views, and says what all of them would be.
        p = operator(torch.from_numpy(found.image)[None, None])[0, 0].numpy().astype(np.float64)
        f = scan.sinogram.astype(np.float64)
        if scan.mask is not None:
            f = f * scan.mask
        square = (f**2).sum(axis=1)
        if (square <= 0).any():
            return None
        factors = (p * f).sum(axis=1) / square
        middle = float(np.median(factors))
        if middle <= 0:
            return None
        factors = factors / middle
    return factors


def _times(scan: Scan, factors: Float64Array) -> Array:
    return (scan.sinogram * factors[:, None]).astype(scan.sinogram.dtype)
