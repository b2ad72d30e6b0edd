"""What a series of slices, or of a volume of them, needs to know of all before any is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ctrecon.errors import InputError
from ctrecon.outputs.millimetres import grid_places, need_pixels, need_tissue, place_mm
from ctrecon.outputs.nameless import nameless_notes
from ctrecon.reconstruction.conclude import Conclusion
from ctrecon.support.arrays import Float64Array


@dataclass
class SeenSlices:
    """Lists with an entry for each slice or volume; ``waters``, ``positions``, ``studies`` hold each one once."""

    source: str = ""
    of_program: bool = False
    z_mm: list[tuple[float, ...]] = field(default_factory=list)
    placed: list[bool] = field(default_factory=list)
    waters: list[tuple[float, str]] = field(default_factory=list)
    positions: set[str] = field(default_factory=set)
    studies: list[Mapping[str, str]] = field(default_factory=list)
    notes: list[tuple[str, ...]] = field(default_factory=list)
    ranges: list[Float64Array] = field(default_factory=list)


def look_at(
    results: Iterable[Conclusion], what: str, water_mu: float | None, *, given: Sequence[float | None] = ()
) -> SeenSlices:
    """Ask for every result once.

    Args:
        results: What was reconstructed, a slice or a volume each.
        what: Is made of them, for messages.
        water_mu: Attenuation of water in 1/mm, None for what the scans say.
        given: Places and thicknesses of slices that the caller was given.

    Returns:
        What they say of themselves.

    Raises:
        InputError: Where a slice has no pixel size, or none can be tissue, or a place is given of a volume.
    """
    seen, beyond = SeenSlices(), None
    tissue = False
    for result in results:
        scan = result.problem.scan
        need_pixels(scan, what)
        grid_places(scan, *given)
        seen.source = seen.source or scan.source
        seen.of_program = scan.of_program
        grid = result.problem.grid
        in_plane = grid is None or grid.slices is None
        seen.z_mm.append((place_mm(scan, None),) if grid is None or in_plane else tuple(grid.z_mm.tolist()))
        seen.placed.append(scan.z_mm is not None or not in_plane)
        if (water := scan.water(water_mu)) not in seen.waters:
            seen.waters.append(water)
        seen.positions.add(scan.patient_position)
        if (study := dict(scan.study)) not in seen.studies:
            seen.studies.append(study)
        seen.notes.append(nameless_notes(scan, result.settings))
        seen.ranges.append(np.array([result.image.min(), result.image.max()], dtype=np.float64))
        if not tissue:
            try:
                need_tissue(scan, [result.image], what, water_mu)
                tissue = True
            except InputError as why:
                beyond = beyond or why
    if not tissue and beyond is not None:
        raise beyond
    return seen
