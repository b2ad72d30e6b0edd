"""All slices of a folder of CT projections, one after the other on one grid."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.rebin import radius_of_object_mm, rebin, slice_positions
from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.corrections import corrected
from ctrecon.measurement.extent import grid_of_object
from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.journal import Journal
from ctrecon.reconstruction.run import Once, run
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.progress import Report
from ctrecon.workbench.result import Reconstruction

_OF_ONE_FILE = ("geometry", "row", "image", "all_rows", "bin", "detectors_first", "center")


@dataclass(frozen=True, kw_only=True)
class Slices:
    """``results`` at ``z_mm``, in order. ``interrupted``: these are the slices that were done until then."""

    z_mm: tuple[float, ...]
    results: tuple[Reconstruction, ...]
    planned: int
    interrupted: bool = False


def reconstruct_slices(
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    spacing_mm: float | None = None,
    progress: Report | None = None,
    watch: Callable[[str, Reconstruction], None] | None = None,
    journal: Journal | None = None,
) -> Slices:
    """Reconstruct every slice of a folder of projections. Weights and ``||A||`` are made once for all of them.

    An interrupt (Ctrl-C) after the first slice loses none that is done: the series ends there, and says so.

    Args:
        folder: Of DICOM-CT-PD projections.
        settings: Of every slice; ``size`` and ``pixel_mm`` of the first one's grid, which all share.
        spacing_mm: Of the slices; None for a detector row at the axis.
        progress: Hears of every iteration; ``item`` says of which slice.
        watch: Hears of every slice once it is done: which one it is, in words, and the result.
        journal: Keeps each slice once it is done, and gives those back that a run before this one had done.

    Returns:
        The results in the order of z, in mm, and how many slices there are.

    Raises:
        InputError: What cannot be read.
        SettingError: Settings that do not go with projections or with many slices.
    """
    folder, settings = Path(folder), Settings() if settings is None else settings
    plain = Settings()
    if any(getattr(settings, name) != getattr(plain, name) for name in _OF_ONE_FILE):
        raise SettingError(f"{folder}: projections bring their own geometry; drop --geometry, --row, --image, "
                           "--all-rows, --bin, --detectors-first and --center")  # fmt: skip
    if settings.repeat is not None or settings.z_mm is not None:
        raise SettingError("--all-slices takes every slice of one scan; drop --z and --repeat")
    projections = read_projections(folder, patient_position=settings.patient_position)
    places = [float(z) for z in slice_positions(projections, spacing_mm=spacing_mm)]
    once, results, grid = Once(), list[Reconstruction](), None
    try:
        for k, z in enumerate(places, start=1):
            item, began = f"slice {k} of {len(places)}, z = {z:.3f} mm", time.monotonic()
            scan = rebin(projections, z)
            scan = (scan if settings.correct is None else corrected(scan, settings.correct)).every(settings.every)
            if grid is None:
                grid = _grid_of_all(projections, scan, settings)
            # Though a flying focal spot changes the field of view a little from slice to slice.
            scan = replace(scan, grid=grid, image_shape=None)
            # Each has its own angles, so a matrix would serve one slice alone.
            done = Reconstruction(
                run(
                    scan, settings, once=once, uses="few", item=item, progress=progress, began=began, journal=journal,
                )
            )
            results.append(done)
            if watch is not None:
                watch(item, done)
    except KeyboardInterrupt:
        if not results:
            raise
    return Slices(
        z_mm=tuple(places[: len(results)]), results=tuple(results), planned=len(places),
        interrupted=len(results) < len(places),
    )  # fmt: skip


def _grid_of_all(projections: ProjectionSet, first: Scan, settings: Settings) -> Grid | None:
    """The grid of every slice: where nothing is asked for, over the object where it is largest."""
    if settings.size is None and settings.pixel_mm is None and first.geometry is not None:
        return grid_of_object(first.geometry, radius_of_object_mm(projections))
    return first.with_grid(size=settings.size, pixel_mm=settings.pixel_mm).grid
