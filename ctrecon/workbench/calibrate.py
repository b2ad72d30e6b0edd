"""``ctrecon.calibrate``: how each view stood, found from the data themselves."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.classical.self_calibration import Refined, refine
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.scan import Scan
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arguments import checked
from ctrecon.support.progress import Progress, Report


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """A scan with its geometry view by view, and what was found.

    Attributes:
        scan: With a ``VectorGeometry``, and a note.
        refined: Shifts, distances, turn and misfits.
    """

    scan: Scan
    refined: Refined

    @property
    def shift_rms(self) -> float:
        """Of the shifts along the detector, in cells."""
        return math.sqrt(float((self.refined.shifts**2).mean()))

    @property
    def distance_spread(self) -> float:
        """Relative standard deviation of the sources' distances; 0 where they are as stated or there are none."""
        found = self.refined.distances_mm
        return 0.0 if found is None else float(np.std(found) / np.mean(found))

    def __repr__(self) -> str:
        count = len(self.refined.shifts)
        return f"<Calibrated {self.scan.source!r}, {count} views, shifts of {self.shift_rms:.3g} cells rms>"

    def __str__(self) -> str:
        before, after = self.refined.misfits[0], self.refined.misfits[-1]
        parts = [f"views shifted by {self.shift_rms:.3g} cells rms"]
        if self.distance_spread > 0:
            parts.append(f"sources' distances spread by {self.distance_spread:.2%}")
        if self.refined.turn_rad:
            parts.append(f"the detector turned by {math.degrees(self.refined.turn_rad):.3g} degrees")
        falls = f"the misfit of an image falls from {before:.5g} to {after:.5g}"
        return f"geometry calibrated by the data: {', '.join(parts)}; {falls}"

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            Shifts in cells, the turn in rad, the sources' distances in mm (None in parallel beams) and the misfits
            before and after each round; plain values for JSON.
        """
        found = self.refined
        return {
            "shifts_cells": found.shifts.tolist(), "shift_rms_cells": self.shift_rms, "turn_rad": found.turn_rad,
            "source_to_axis_mm": None if found.distances_mm is None else found.distances_mm.tolist(),
            "misfits": list(found.misfits),
        }  # fmt: skip


@checked
def calibrate(
    scan: Scan | Simulated | str | os.PathLike[str], what: Sequence[str] = ("shifts",), *, rounds: int = 8,
    progress: Report | None = None,
) -> Calibrated:
    """Refine where source and detector stood in each view, by the misfit of the data themselves.

    Image and geometry are found together by Gauss-Newton steps (``ctrecon/classical/self_calibration.py``). What no
    data tell is left as it is: shifts that would only move the object, and the mean distance of the source.

    Args:
        scan: What was measured or simulated, or the file or folder it is in (``read_scan``).
        what: Some of ``"shifts"`` (of the detector along itself, each view), ``"distances"`` (of the source from the
            axis, each view) and ``"turn"`` (of the detector about its middle, one for all).
        rounds: The most steps, >= 1.
        progress: Any callable that takes a ``Progress``, such as ``print``.

    Returns:
        The scan with a ``VectorGeometry``, to be reconstructed or written, and the numbers.

    Raises:
        InputError: A file or scan that cannot be used, a matrix alone, a volume, distances of parallel rays.
        SettingError: For what cannot be calibrated, or no rounds.
    """
    if isinstance(scan, Simulated):
        scan = scan.scan
    given = scan if isinstance(scan, Scan) else read_scan(scan)

    def watch(number: int, misfit: float) -> None:
        if progress is not None:
            values = {"misfit": misfit}
            progress(Progress(stage="calibration", unit="round", done=number, total=rounds, values=values))

    refined = refine(given, tuple(what), rounds=rounds, watch=watch)
    moved = dataclasses.replace(given, geometry=refined.geometry)
    found = Calibrated(scan=moved, refined=refined)
    return dataclasses.replace(found, scan=dataclasses.replace(moved, notes=(*moved.notes, str(found))))
