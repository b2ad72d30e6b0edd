"""A flat detector taken for one on an arc about the source, or the other way round."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, with_geometry
from ctrecon.errors import CtreconError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import PerView
from ctrecon.geometry.fan import FanBeam
from ctrecon.measurement.scan import Scan

PLACE = 70

_OTHER: dict[str, tuple[type[FanBeam] | type[ArcFanBeam], str]] = {
    FanBeam.kind: (ArcFanBeam, "the detector stands on an arc about the source, and is not flat"),
    ArcFanBeam.kind: (FanBeam, "the detector is flat, and does not stand on an arc about the source"),
}


def detector_shape(scan: Scan) -> Iterator[Suggestion]:
    """The same numbers, of the other shape."""
    geometry = scan.geometry
    if geometry is None or geometry.kind not in _OTHER:
        return
    shape, words = _OTHER[geometry.kind]
    yield Suggestion(cause="detector-shape", words=words, scan=with_geometry(scan, _as(geometry, shape)))


def _as(geometry: Geometry, shape: type[FanBeam] | type[ArcFanBeam]) -> Geometry | None:
    """``geometry`` with the fields that both have; None where a shift of single views would be lost."""
    known = {field.name for field in dataclasses.fields(shape)}
    taken = {}
    for field in dataclasses.fields(geometry):  # type: ignore[arg-type]
        value = getattr(geometry, field.name)
        if field.name in known:
            taken[field.name] = value
        elif isinstance(value, PerView) and any(value):
            return None
    try:
        return shape(**taken)
    except CtreconError:
        return None
