"""A scale that is bent, seen in what an image leaves over: it looks like what no image explains of the squares.

Line integrals ``p`` that read ``p + c p^2`` leave the part of ``c p^2`` that no image explains, of any object but one
that is round about the axis. ``c`` follows by regression of the residual of every second view on that part, with
``p`` from an image of the others, so that no noise is on both sides. Pixels make it seem a little above zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch

from ctrecon.diagnosis.bent_scale import Bend, bend_of, straightened
from ctrecon.diagnosis.fit import Fit, fit
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.cut_off import cut_off
from ctrecon.measurement.scan import Scan
from ctrecon.operators.choose import choose_operator
from ctrecon.support.arrays import Float64Array

PLACE = 235
SPEAKS = True

_VIEWS, _FEWEST = 90, 24
# In standard errors, and of the densest parts: too little, and too much, which pixels make it seem, too: so that must
# make this share of what is left over (0.09 at most in honest ones). Of 24 honest scans none came to -2 of the one.
_TOO_LITTLE, _TOO_MUCH, _LEAST, _LEAST_MORE = -9.0, 25.0, 0.04, 0.08
_SHARE = 0.14
# Of one half: within these the other half, which says the same but for noise, cannot bring both beyond the limits.
_NOT_SO_LITTLE, _NOT_SO_MUCH = -3.0, 12.0
# What no image explains is 1.2% or more of the squares of objects that are not round, 0.2 to 0.5% of a cylinder's.
_TELLS = 0.008
# Views that scatter by so much in scale, and so many times what the misfit makes them, are gains, which bend it, too.
_UNEVEN, _UNEVEN_TIMES = 0.004, 2.0


def bent_scale(scan: Scan) -> Iterator[Suggestion]:
    """The scan with its scale straightened by a square."""
    if scan.geometry is None or scan.sinogram.ndim != 2 or scan.sinogram.shape[0] < _FEWEST:
        return
    top = float(np.quantile(scan.sinogram, 0.99))
    if top <= 0 or cut_off(scan.sinogram, scan.geometry):
        return
    try:
        sums = _regressed(scan)
    except CtreconError:
        return
    if sums is None:
        return
    at, errors = sums.bend * top, sums.errors
    too_little = errors < _TOO_LITTLE and at < -_LEAST
    if too_little or (errors > _TOO_MUCH and at > _LEAST_MORE and sums.share > _SHARE):
        seen = f"what no image explains of the squares of the data is left over, {abs(errors):.0f} standard errors"
        found = straightened(scan, Bend(per_value=-sums.bend, evidence=seen))
        if found is not None:
            yield found
        if found is not None and not found.certain:
            # Also where a coarse image of few views hardly fits better: then it is said after what else is found.
            yield dataclasses.replace(found, certain=True, last=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sums:
    """``r . q``, ``q . q`` and ``r . r`` of ``count`` values: residual ``r``, and ``q``, of squares ``s``, likewise."""

    rq: float
    qq: float
    rr: float
    ss: float
    count: int

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self)})

    @property
    def tells(self) -> bool:
        """Whether there is enough that no image explains of the squares."""
        return self.qq > _TELLS**2 * self.ss

    @property
    def bend(self) -> float:
        return self.rq / self.qq if self.qq > 0 else 0.0

    @property
    def share(self) -> float:
        """Of the residual's power that the bend explains."""
        return self.rq**2 / (self.qq * self.rr) if self.qq * self.rr > 0 else 0.0

    @property
    def errors(self) -> float:
        spread = math.sqrt(self.qq * self.rr / self.count)
        return self.rq / spread if spread > 0 else 0.0


def _regressed(scan: Scan) -> _Sums | None:
    """Of both halves, or of the first where that is enough; None where the views differ in scale, and not by how
    dense they are.
    """
    step = max(1, scan.sinogram.shape[0] // _VIEWS)
    halves = [_views(scan, slice(first, None, 2 * step)) for first in (0, step)]
    fits = [fit(half, most_views=half.sinogram.shape[0], uses="some") for half in halves]
    if any(_gains(found) for found in fits):
        return None
    first = _of(halves[0], fits[0], fits[1])
    if not first.tells:
        return None
    if _NOT_SO_LITTLE < first.errors < _NOT_SO_MUCH:
        return first
    return first + _of(halves[1], fits[1], fits[0])


def _of(half: Scan, found: Fit, other: Fit) -> _Sums:
    p = _explained(found, other)
    squares = dataclasses.replace(half, sinogram=(p**2).astype(np.float32))
    explained = fit(squares, most_views=half.sinogram.shape[0], uses="some", like=found)
    q, r, f = -explained.residual, -found.residual, explained.data
    return _Sums(
        rq=float((r * q).sum()), qq=float((q * q).sum()), rr=float((r * r).sum()), ss=float((f * f).sum()), count=r.size
    )


def _explained(found: Fit, other: Fit) -> Float64Array:
    """What the image of ``other`` projects to in the views of ``found``."""
    operator = found.operator
    if found.grid != other.grid:
        operator = choose_operator(found.geometry, other.grid, uses="some")
    p: Float64Array = operator(torch.from_numpy(other.image)[None, None])[0, 0].numpy().astype(np.float64)
    return p


def _gains(found: Fit) -> bool:
    factors, f = found.factors(), np.maximum(found.data, 0)
    scatter = float(np.std(factors))
    if scatter <= max(_UNEVEN, _UNEVEN_TIMES * found.share / math.sqrt(f.shape[1])):
        return False
    return bend_of(factors, factors * (f**3).sum(axis=1) / np.maximum((f**2).sum(axis=1), 1e-300)) is None


def _views(scan: Scan, views: slice) -> Scan:
    assert scan.geometry is not None
    return dataclasses.replace(
        scan, sinogram=np.ascontiguousarray(scan.sinogram[views]), geometry=scan.geometry.views(views), counts=None,
        white=None, variance=None, mask=None if scan.mask is None else np.ascontiguousarray(scan.mask[views]),
    )  # fmt: skip
