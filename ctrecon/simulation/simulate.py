"""Scans of known objects: the truth, its data, and how far apart they really are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from ctrecon.errors import SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.counts import add_gaussian_noise, add_poisson_noise
from ctrecon.measurement.scan import WATER_MU_PER_MM, Scan
from ctrecon.measurement.terms import NOBODY
from ctrecon.operators.choose import choose_operator
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.simulation.scanners_in_space import cone_scanner
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arrays import Array


class PhantomFamily(Protocol):
    """Draws phantoms in the unit disc, or bodies in the unit ball."""

    def sample(self, rng: np.random.Generator) -> AnalyticPhantom:
        """Draw a phantom.

        Args:
            rng: Decides everything: the same state gives the same phantom.

        Returns:
            In the unit disc or ball, water about 1.
        """
        ...


BEAMS = ("fan", "parallel", "cone")
"""What ``standard_scanner`` knows."""


def standard_scanner(beam: str, size: int, views: int) -> tuple[Geometry, Grid]:
    """The paper's fan beam (source to axis 110 mm, to detector 300 mm), parallel rays over the same field, or a cone.

    Args:
        beam: ``"fan"``, ``"parallel"`` or ``"cone"`` (a flat panel about a cube of voxels, ``cone_scanner``).
        size: Detector cells, and pixels of the image a side; of a cone voxels of the cube a side.
        views: Over a whole turn of the fan or the cone, half a turn of parallel rays.

    Returns:
        Geometry and grid.

    Raises:
        SettingError: For any other beam.
    """
    if beam not in BEAMS:
        raise SettingError(f"there is no beam {beam!r}; use {', '.join(BEAMS)}, or give a geometry")
    if beam == "cone":
        cone = cone_scanner(size, views)
        return cone.geometry, cone.grid
    paper = walnut_scanner(size, views)
    if beam == "fan":
        return paper.geometry, paper.grid
    angles = tuple(np.arange(views) * (math.pi / views))
    cells = ParallelBeam(angles_rad=angles, detector_count=size, detector_spacing_mm=paper.grid.square_mm)
    return cells, paper.grid


def simulate(
    subject: PhantomFamily | Array,
    geometry: Geometry,
    grid: Grid,
    *,
    relative_noise: float = 0.01,
    photons: float | None = None,
    electronic_sigma: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Scan an object and add noise.

    Args:
        subject: A family of phantoms, or for a scanner in space of bodies, of which one is drawn (exact line
            integrals), or an image ``[rows, columns]`` or ``[slices, rows, columns]`` in 1/mm (Joseph's projector).
        geometry: Of the scanner.
        grid: Of the image.
        relative_noise: Gaussian noise, relative to ``||f||``.
        photons: Poisson noise with so many photons per ray instead.
        electronic_sigma: With ``photons``: electronic noise in counts.
        seed: Of phantom and noise.

    Returns:
        The scan, the truth in 1/mm and its true residual, the delta that just admits it.

    Raises:
        SettingError: For impossible noise, or a scanner in which no phantom can be placed.
    """
    if seed < 0:
        raise SettingError(f"seed must be >= 0, got {seed}")
    operator = choose_operator(geometry, grid, uses="few")
    if isinstance(subject, np.ndarray):
        truth = subject.astype(np.float32)
        clean = operator(torch.from_numpy(truth)[None, None])[0, 0].numpy().astype(np.float64)
    else:
        truth, clean = _drawn(subject.sample(np.random.default_rng(seed)), geometry, grid)
    scan = Scan(
        sinogram=clean, geometry=geometry, grid=grid, patient_position=NOBODY, source="a simulated scan"
    )
    if photons is None:
        if electronic_sigma:
            raise SettingError(f"electronic noise of {electronic_sigma:g} counts needs photons per ray to be counted")
        scan = replace(scan, sinogram=add_gaussian_noise(clean, relative_noise, seed))
    else:
        measured = add_poisson_noise(clean, photons, seed, electronic_sigma=electronic_sigma)
        scan = replace(
            scan, sinogram=measured.values, variance=measured.variance, mask=measured.mask,
            whitened_mean=measured.whitened_mean, whitened_spread=measured.whitened_spread, counts=measured.counts,
            white=measured.white, notes=measured.notes,
        )  # fmt: skip
    data, variance = scan.sinogram, scan.variance
    residual = operator(torch.from_numpy(truth)[None, None])[0, 0].numpy() - data
    if scan.mask is not None:
        residual = np.where(scan.mask, residual, 0)
    return Simulated(
        scan=scan,
        truth=truth,
        delta=float(np.linalg.norm(residual)),
        whitened_delta=None if variance is None else float(np.linalg.norm(residual / np.sqrt(variance))),
    )


def phantom_radius_mm(geometry: Geometry, grid: Grid) -> float:
    """What 1 of a phantom becomes: nearly the radius of the disc that the scanner measures whole and the image holds.

    Of a half fan over a whole turn that is the disc of the detector's longer side (``covered_mm``).

    Args:
        geometry: Of the scanner.
        grid: Of the image; of a volume the ball must fit into the height of its slices, too.

    Returns:
        In mm; at most 0 where they do not both see the rotation axis.
    """
    reach = min(covered_mm(geometry) / 2, grid.reach_mm())
    if grid.slices is not None and grid.slice_mm is not None:
        # Rays that climb must not meet what lies above or below the image.
        reach = min(reach, grid.slices * grid.slice_mm / 2)
    return 0.95 * reach


def _drawn(unit: AnalyticPhantom, geometry: Geometry, grid: Grid) -> tuple[Array, Array]:
    """A phantom as large as scanner and image can hold: its truth and its exact line integrals."""
    radius_mm = phantom_radius_mm(geometry, grid)
    if radius_mm <= 0:
        raise SettingError("geometry and image do not both see the rotation axis; a phantom cannot be placed in it")
    phantom = unit.scaled(radius_mm, WATER_MU_PER_MM)
    return phantom.image(grid), phantom.sinogram(geometry).astype(np.float64)
