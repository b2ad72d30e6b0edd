"""The Helsinki Tomography Challenge 2022: discs with holes from 90 to 30 degrees, scored as the challenge scores them.

A. Meaney, F. Silva de Moura, S. Siltanen, "Helsinki Tomography Challenge 2022" (doi:10.5281/zenodo.7418878). An image
of 512 x 512 pixels is segmented into acrylic and air and compared with the segmentation of the whole turn's filtered
back projection by B. W. Matthews' correlation coefficient (Biochim. Biophys. Acta 405, 442, 1975).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from scipy.ndimage import zoom
from skimage.filters import threshold_otsu

from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.scan import WATER_MU_PER_MM, Scan
from ctrecon.simulation.simulate import PhantomFamily, phantom_radius_mm, simulate
from ctrecon.support.arrays import BoolArray, Float32Array
from ctrecon.workbench.reconstruct import reconstruct

OPENINGS_DEG = (90, 80, 70, 60, 50, 40, 30)
"""Of the challenge's levels 1 to 7."""
SIDE, PIXEL_MM, STEP_DEG = 512, 0.1483, 0.5
PUBLISHED = {90: 0.9767, 80: 0.9750, 70: 0.9489, 60: 0.9744, 50: 0.9667, 40: 0.9559, 30: 0.9515}
"""Of the challenge's second place, a learned primal-dual network, by its authors on 2,500 simulated discs of their own
from random angles (README of github.com/alexdenker/htc2022_LPD; C. Arndt et al. 2023, doi:10.3934/ammc.2023007)."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scan of limited angle: of which disc, over how many degrees, and where acrylic is, ``[512, 512]``."""

    disc: str
    opening_deg: int
    start_deg: float
    scan: Scan
    acrylic: BoolArray


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One method on one case; ``misfit`` is ``||Au - f||`` over delta."""

    method: str
    disc: str
    opening_deg: int
    start_deg: float
    matthews: float
    misfit: float
    certified: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            All fields by name.
        """
        return dict(self.__dict__)


def matthews(found: BoolArray, truth: BoolArray) -> float:
    """Matthews' correlation coefficient.

    Args:
        found: Where a method sees the one of two materials.
        truth: Where it is, of the same shape.

    Returns:
        From -1 to 1; 0 where either of them is of one material alone.
    """
    hits, rests = float((found & truth).sum()), float((~found & ~truth).sum())
    false, missed = float((found & ~truth).sum()), float((~found & truth).sum())
    below = (hits + false) * (hits + missed) * (rests + false) * (rests + missed)
    return 0.0 if below == 0 else (hits * rests - false * missed) / math.sqrt(below)


def segmented(image: Float32Array) -> BoolArray:
    """Where acrylic is: the image on the challenge's pixels (linear between the centres of larger ones), cut by Otsu.

    Args:
        image: ``[n, n]``, 1/mm, over the challenge's square.

    Returns:
        ``[512, 512]``.
    """
    fine = zoom(image, SIDE / image.shape[0], order=1, grid_mode=True, mode="nearest")
    threshold: float = threshold_otsu(fine)  # type: ignore[no-untyped-call]
    return np.asarray(fine > threshold, dtype=np.bool_)


def measured_cases(folders: Sequence[Path], openings_deg: Sequence[int], *, size: int, seed: int = 0) -> Iterator[Case]:
    """Parts of whole turns that were measured, from angles drawn at random.

    Args:
        folders: With ``NAME_full.mat`` and, beside each, the challenge's segmentation ``NAME*seg*.png``.
        openings_deg: Of the parts.
        size: Pixels a side to reconstruct on.
        seed: Of the angles.

    Yields:
        A case for each scan and opening.

    Raises:
        InputError: A folder without such scans, or a scan without its segmentation.
    """
    for folder in folders:
        files = sorted(folder.glob("*_full.mat"))
        if not files:
            raise InputError(f"{folder}: holds no scans of the challenge (NAME_full.mat); ctrecon data fetch htc2022")
        for number, path in enumerate(files):
            name = path.stem.removesuffix("_full")
            pictures = sorted(folder.glob(f"{name}*seg*.png"))
            if not pictures:
                raise InputError(f"{path}: its segmentation {name}_recon_fbp_seg.png is missing beside it")
            with PillowImage.open(pictures[0]) as picture:
                acrylic = np.asarray(picture.convert("L")) > 0
            if acrylic.shape != (SIDE, SIDE):
                raise InputError(f"{pictures[0]}: must be of {SIDE} x {SIDE} pixels, is of {acrylic.shape}")
            whole = read_scan(path, size=size)
            for opening in openings_deg:
                start = _start(whole.sinogram.shape[0], opening, (seed, number, opening))
                yield Case(
                    disc=name, opening_deg=opening, start_deg=start * STEP_DEG,
                    scan=_part(whole, start, opening), acrylic=acrylic,
                )  # fmt: skip


def simulated_cases(
    family: PhantomFamily, count: int, openings_deg: Sequence[int], *, size: int, noise: float = 0.01, seed: int = 0
) -> Iterator[Case]:
    """Discs scanned as by the challenge's scanner, with exact line integrals and white noise.

    Args:
        family: Draws the discs.
        count: How many of them.
        openings_deg: Each is scanned over each of these.
        size: Pixels a side to reconstruct on; the detector has as many cells and a few more.
        noise: Relative to ``||f||``.
        seed: Of the first disc; each further one takes the next.

    Yields:
        A case for each disc and opening.
    """
    fine = Grid(rows=SIDE, columns=SIDE, pixel_mm=PIXEL_MM)
    grid = Grid(rows=size, columns=size, pixel_mm=PIXEL_MM * SIDE / size)
    for number in range(seed, seed + count):
        for opening in openings_deg:
            start = _start(721, opening, (number, opening))
            geometry = challenge_scanner(opening, start * STEP_DEG, size)
            made = simulate(family, geometry, grid, relative_noise=noise, seed=number)
            drawn = family.sample(np.random.default_rng(number))
            truth = np.asarray(drawn.scaled(phantom_radius_mm(geometry, grid), WATER_MU_PER_MM).image(fine))
            yield Case(
                disc=f"disc {number}", opening_deg=opening, start_deg=start * STEP_DEG, scan=made.scan,
                acrylic=np.asarray(truth > truth.max() / 2, dtype=np.bool_),
            )  # fmt: skip


def challenge_scanner(opening_deg: int, start_deg: float, size: int = SIDE) -> FanBeam:
    """The challenge's fan beam: 410.66 mm to the axis, 553.74 mm to a detector of 112 mm, a view each half degree.

    Args:
        opening_deg: From the first view to the last.
        start_deg: Of the first view.
        size: Pixels a side of the image; of 512, the detector has its 560 cells, else as many fewer.

    Returns:
        The geometry.

    Raises:
        SettingError: For an opening that is no whole number of degrees from 1 to 359.
    """
    if not 1 <= opening_deg < 360:
        raise SettingError(f"an opening must be from 1 to 359 degrees, got {opening_deg}")
    cells = round(560 * size / SIDE)
    angles = np.deg2rad(start_deg + np.arange(2 * opening_deg + 1) * STEP_DEG)
    return FanBeam(
        angles_rad=tuple(angles.tolist()), detector_count=cells, detector_spacing_mm=112.0 / cells,
        source_to_axis_mm=410.66, source_to_detector_mm=553.74,
    )  # fmt: skip


def score(case: Case, label: str, **settings: Any) -> Scored:
    """Reconstruct, segment and compare.

    Args:
        case: What was scanned.
        label: What the row is called.
        **settings: Of ``ctrecon.reconstruct``.

    Returns:
        The coefficient, and whether the image is certified.
    """
    found = reconstruct(case.scan, **settings)
    return Scored(
        method=label, disc=case.disc, opening_deg=case.opening_deg, start_deg=case.start_deg,
        matthews=matthews(segmented(found.image), case.acrylic), misfit=found.residual / found.delta.value,
        certified=found.certified,
    )  # fmt: skip


def _start(views: int, opening_deg: int, seed: tuple[int, ...]) -> int:
    return int(np.random.default_rng(seed).integers(0, views - round(opening_deg / STEP_DEG)))


def _part(whole: Scan, start: int, opening_deg: int) -> Scan:
    """The views from ``start`` on, over ``opening_deg``."""
    assert whole.geometry is not None
    kept = slice(start, start + round(opening_deg / STEP_DEG) + 1)
    sinogram = np.ascontiguousarray(whole.sinogram[kept])
    return replace(whole, sinogram=sinogram, geometry=whole.geometry.views(kept))
