"""Whether the pixels of a view can be what a detector saw: one that is dead is a gap, one that is off is refused.

The mean of a fan's line integrals is nearly the same from one view to the next, since the same object is looked at from
nearly the same side: a view with another scale, or with its sign turned, stands out. And a body's shadow has few edges:
pixels of which every other one differs much from its neighbour are in another order than they were measured in, of
other cells or other bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ctrecon.dicom.raw.ct_pd_bounds import LINE_INTEGRALS
from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

# By how much the means of neighbours may differ, as a factor; below this mean, or range, there is only air.
_MOST_CHANGE, _AIR, _PAST, _SHADOW = 1.3, 0.1, 0.2, 0.5
# Of so many columns at least: which share of neighbours may differ by more than a quarter of the range of 90% of them.
# Photons make that of one in a thousand where hardly any come through; edges, of a few; any other order, of half.
_FEWEST_COLUMNS, _MOST_EDGES, _EDGE, _MOST_ROWS = 32, 1 / 3, 1 / 4, 8
# By how much the photons of two neighbours may differ: the tube current follows the patient's outline, but slowly.
_MOST_MODULATION = 3.0


@dataclass
class Views:
    """The views of one slice, as they are read; ``dead`` are the names of those that hold nothing."""

    source: object
    _before: tuple[str, float] | None = None
    _photons: tuple[str, float] | None = None
    _counted: tuple[str, bool] | None = None
    _lowest: float = np.inf
    _dead: list[str] = field(default_factory=list)

    def accept(self, name: str, values: Array, photons: Array | None) -> bool:
        """Whether the view ``name`` can be used; a dead one is noted. Raises InputError where it cannot be true."""
        low, high = float(values.min()), float(values.max())
        if low == high and values.size > 1:
            self._dead.append(name)
            return False
        if not (LINE_INTEGRALS.hold(low) and LINE_INTEGRALS.hold(high)):
            raise InputError(
                f"{self.source}: {name} holds line integrals from {low:.4g} to {high:.4g}, which no body has "
                f"({LINE_INTEGRALS}); check RescaleSlope and RescaleIntercept"
            )
        self._lowest = min(self._lowest, low)
        self._check_mean(name, float(values.mean()))
        self._check_order(name, values)
        self._check_photons(name, photons)
        return True

    def _check_mean(self, name: str, mean: float) -> None:
        if mean < -_AIR:
            raise InputError(
                f"{self.source}: {name} holds line integrals of {mean:.4g} in the mean, less than none; check "
                "RescaleSlope and RescaleIntercept"
            )
        if self._before is not None:
            whose, before = self._before
            low, high = sorted((max(mean, _AIR), max(before, _AIR)))
            if high > _MOST_CHANGE * low:
                raise InputError(
                    f"{self.source}: the line integrals of {name} are {mean:.4g} in the mean, those of {whose} "
                    f"{before:.4g}: two views of one body do not differ so; check RescaleSlope and RescaleIntercept"
                )
        self._before = name, mean

    def _check_order(self, name: str, values: Array) -> None:
        rows = np.atleast_2d(values)
        rows = rows[:: -(-len(rows) // _MOST_ROWS)]
        if rows.shape[1] < _FEWEST_COLUMNS:
            return
        low, high = np.quantile(rows, (0.05, 0.95))
        edges = float((np.abs(np.diff(rows, axis=1)) > _EDGE * (high - low)).mean())
        if high - low > _SHADOW and edges > _MOST_EDGES:
            raise InputError(
                f"{self.source}: {name} holds no shadow of a body: {edges:.0%} of its neighbouring columns differ by "
                "more than a quarter of all that it holds, as where bytes or columns are in another order; export the "
                "scan again"
            )

    def _check_photons(self, name: str, photons: Array | None) -> None:
        if self._counted is not None and self._counted[1] != (photons is not None):
            raise InputError(
                f"{self.source}: (7033,1065) PhotonStatistics stands in only one of {self._counted[0]} and {name}; "
                "export the scan again"
            )
        self._counted = name, photons is not None
        if photons is None:
            return
        sent = float(np.mean(photons))
        if self._photons is not None:
            whose, before = self._photons
            if not 1 / _MOST_MODULATION <= sent / before <= _MOST_MODULATION:
                raise InputError(
                    f"{self.source}: (7033,1065) PhotonStatistics of {name} is {sent:.4g} in the mean, of {whose} "
                    f"{before:.4g}; no tube changes so fast; export the scan again"
                )
        self._photons = name, sent

    def notes(self) -> tuple[str, ...]:
        """On views that hold nothing, and on rays past the body, whose line integrals are 0 wherever they are seen."""
        past = (
            f"no ray has a line integral below {self._lowest:.3g}: the body is wider than the fan, or RescaleIntercept "
            "is wrong",
        ) if _PAST < self._lowest < np.inf else ()
        return (*past, *self._left_out())

    def _left_out(self) -> tuple[str, ...]:
        if not self._dead:
            return ()
        said = ", ".join(self._dead[:3]) + (f" and {len(self._dead) - 3} more" if len(self._dead) > 3 else "")
        return (
            f"{len(self._dead)} views hold one value everywhere and are not used ({said}): their rays are a gap, "
            "about which nothing is known",
        )

