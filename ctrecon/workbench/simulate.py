"""``ctrecon.simulate``: a scan of a known object, with its truth."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.dicom.images.images import ANY, Choice
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.io.images import read_image_array
from ctrecon.io.sidecar import read_geometry_file
from ctrecon.io.write import put_array, put_scan
from ctrecon.measurement.given import check_values, plain_floats
from ctrecon.phantoms import FAMILIES
from ctrecon.phantoms.bodies import BODIES
from ctrecon.simulation import simulate as engine
from ctrecon.simulation.clinical import VIEWS, clinical_slices
from ctrecon.simulation.own_family import read_family
from ctrecon.simulation.simulate import standard_scanner
from ctrecon.simulation.simulated import Simulated
from ctrecon.support.arguments import checked
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_files

PHANTOM, BODY, BEAM, CLINICAL_VIEWS, PHANTOM_VIEWS = "chest", "trunk", "fan", VIEWS, 120
SIZE, CUBE = 164, 64
"""Pixels and voxels a side, where nothing is said."""


@checked
def simulate(
    subject: str | os.PathLike[str] | Array | None = None,
    *,
    geometry: Geometry | str | os.PathLike[str] | None = None,
    grid: Grid | None = None,
    beam: str | None = None,
    size: int | None = None,
    views: int | None = None,
    noise: float = 0.01,
    photons: float | None = None,
    electronic_sigma: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Scan a phantom or an image, with noise.

    A phantom fills what scanner and image see: of a half fan over a whole turn what the detector's longer side sees.
    Phantoms have exact line integrals, so nothing is reconstructed with the operator it was simulated with.

    Args:
        subject: A phantom by name (``chest``, the default, ``ellipses``, ``head``, ``polygons``, ``seeds``,
            ``textured``; in space ``trunk``, the default, ``head``, ``ellipsoids``), an image ``[rows, columns]`` or
            volume ``[slices, rows, columns]`` in 1/mm, a file ``.npy`` that holds one, or a Python file ``.py`` that
            draws phantoms of one's own (``ctrecon.simulation.own_family.read_family``; it is run).
        geometry: The scanner, or a JSON file that describes it; then ``beam``, ``size`` and ``views`` say nothing.
        grid: The pixels of the truth; None for those of the file or of the field of view.
        beam: ``"fan"`` (the default), ``"parallel"``, or ``"cone"`` of a scan in space.
        size: Side of the image in pixels and number of detector cells, None for 164; of a cone voxels a side, None for
            64.
        views: None for 120.
        noise: Gaussian, relative to ``||f||``.
        photons: Poisson noise with so many photons per ray instead.
        electronic_sigma: With ``photons``: electronic noise in counts.
        seed: Of phantom and noise.

    Returns:
        ``scan``, ``truth`` and the true ``delta``, noise and discretisation together.

    Raises:
        SettingError: Impossible noise, an unknown phantom or beam, a scanner said twice.
        InputError: An image that does not fit the grid.

    """
    scanner, pixels = _scanner(geometry, grid, beam, size, views)
    return engine.simulate(
        _subject(subject, pixels), scanner, pixels, relative_noise=noise, photons=photons,
        electronic_sigma=electronic_sigma, seed=seed,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SimulatedSlices:
    """Scans of slices of a CT series, made as they are asked for. ``numbers`` count from 1; ``notes`` of the series."""

    numbers: tuple[int, ...]
    notes: tuple[str, ...]
    scans: Iterable[Simulated]


@checked
def simulate_slices(
    path: str | os.PathLike[str],
    *,
    which: str | None = None,
    choice: Choice = ANY,
    geometry: Geometry | str | os.PathLike[str] | None = None,
    beam: str | None = None,
    views: int | None = None,
    noise: float = 0.01,
    photons: float | None = None,
    electronic_sigma: float = 0.0,
    seed: int = 0,
) -> SimulatedSlices:
    """Scan slices of a clinical CT series (folder, ``.zip``, file; or NIfTI in HU).

    Args:
        path: The series.
        which: ``"all"``, or a number from 1; None for the middle one.
        choice: Which series, where there are several.
        geometry: As of ``simulate``; None for the series' own scanner.
        beam: ``"fan"`` (the default) or ``"parallel"``.
        views: None for 720.
        noise: Gaussian, relative to ``||f||``.
        photons: Poisson noise with so many photons per ray instead.
        electronic_sigma: With ``photons``: electronic noise in counts.
        seed: Of the first slice; each further one takes the next.

    Returns:
        Scans that are made as they are asked for, the slices' numbers from 1, and notes.

    Raises:
        InputError: What cannot be read, or slices that do not exist.
    """
    slices, notes = clinical_slices(
        Path(path), which=which, choice=choice, beam=beam or BEAM, views=views or CLINICAL_VIEWS
    )
    scanner = None if geometry is None else _scanner(geometry, None, beam, None, views)[0]

    def each() -> Iterator[Simulated]:
        for k, one in enumerate(slices):
            yield engine.simulate(
                one.mu, scanner or one.geometry, one.grid, relative_noise=noise, photons=photons,
                electronic_sigma=electronic_sigma, seed=seed + k,
            )  # fmt: skip

    return SimulatedSlices(numbers=tuple(one.number for one in slices), notes=notes, scans=each())


def scan_paths(path: Path) -> dict[str, Path]:
    """The files of one simulated scan by what they are: ``scan``, ``truth``, ``geometry`` (of ``.npy``)."""
    return {"scan": path, "truth": path.with_name(path.stem + ".truth.npy"), "geometry": path.with_suffix(".json")}


def check_scan_path(path: Path, *, photons: float | None) -> None:
    """Before any work: whether such a scan can be written there. Raises InputError."""
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"a scan is written as .npz or .npy, got {path.name}")
    if photons is not None and path.suffix != ".npz":
        raise InputError(f"{path.name} cannot hold the variances that counts have; give -o NAME.npz")


def write_simulated(path: Path, made: Simulated) -> dict[str, Path]:
    """Write ``NAME.npz`` (or ``.npy`` with ``.json``) and ``NAME.truth.npy``. Raises InputError, OutputError."""
    paths = scan_paths(path)
    with atomic_files() as place:
        put_scan(place, paths["scan"], made.scan)
        put_array(place(paths["truth"]), made.truth, paths["truth"])
    return paths


def _subject(subject: str | os.PathLike[str] | Array | None, grid: Grid) -> Any:
    """A family of phantoms or bodies, or an image on ``grid``."""
    source = "the image"
    if subject is None:
        subject = PHANTOM if grid.slices is None else BODY
    if isinstance(subject, str | os.PathLike) and Path(subject).suffix == ".py":
        return read_family(Path(subject))
    if isinstance(subject, str) and not subject.endswith(".npy"):
        found: dict[str, Any] = {family.name: family for family in (FAMILIES if grid.slices is None else BODIES)}
        if subject not in found:
            names = ", ".join(sorted(found))
            raise SettingError(f"there is no phantom {subject!r}; use {names}, an image .npy, or a .py of your own")
        return found[subject]
    if isinstance(subject, str | os.PathLike):
        source, image = str(subject), read_image_array(Path(subject))
    else:
        image = plain_floats(source, "values", subject)
        check_values(source, "values", image, None, ("slice", "row", "column")[-len(grid.shape) :])
    if image.shape != grid.shape:
        raise InputError(f"{source} has shape {image.shape}, the grid {grid.shape}; use --size or --geometry")
    return image


def _scanner(
    geometry: Geometry | str | os.PathLike[str] | None, grid: Grid | None, beam: str | None, size: int | None,
    views: int | None,
) -> tuple[Geometry, Grid]:
    if geometry is None:
        side = size or (CUBE if beam == "cone" else SIZE)
        scanner, pixels = standard_scanner(beam or BEAM, side, views or PHANTOM_VIEWS)
        return scanner, grid or pixels
    for name, value in (("--beam", beam), ("--size", size), ("--views", views)):
        if value is not None:
            raise SettingError(f"--geometry says what {name} {value} would; drop one of them")
    if not isinstance(geometry, str | os.PathLike):
        return geometry, grid or default_grid(geometry)
    read, maybe = read_geometry_file(Path(geometry))
    return read, grid or maybe or default_grid(read)
