"""The right kind of scan over the wrong arc: half for whole, or an end that was counted twice or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 40

FEWEST_ANGLES = 3


def angle_range(scan: Scan) -> Iterator[Suggestion]:
    """The angles stretched about the first one."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or len(angles) < FEWEST_ANGLES:
        return
    for cause in _STRETCHES:
        yield from stretched(scan, cause)


_STRETCHES: dict[str, tuple[Callable[[int], float], str]] = {
    "angles-half": (lambda count: 0.5, "the views cover half the arc that is stated"),
    "angles-double": (lambda count: 2.0, "the views cover twice the arc that is stated"),
    "angles-end-included": (
        lambda count: (count - 1) / count, "the last view does not stand where the first one would again"
    ),
    "angles-end-left-out": (
        lambda count: count / (count - 1), "the last view stands at the end of the arc, not one step before"
    ),
}  # fmt: skip


def stretched(scan: Scan, cause: str) -> Iterator[Suggestion]:
    """The angles of one of the causes here."""
    angles = scan.geometry.angles_rad  # type: ignore[union-attr]
    factor, words = _STRETCHES[cause]
    times = factor(len(angles))
    stretched = tuple(angles[0] + times * (angle - angles[0]) for angle in angles)
    yield Suggestion(cause=cause, words=words, scan=with_geometry(scan, changed(scan.geometry, angles_rad=stretched)))
