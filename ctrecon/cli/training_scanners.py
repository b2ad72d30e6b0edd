"""The options ``--phantoms`` and ``--scanner``: objects and scanners of a lab's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrecon.simulation.own_family import OwnFamily
    from ctrecon.simulation.scanners import Scanner

RANDOM, WALNUT = "random", "walnut"


def read_scanners(given: tuple[str, ...], size: int) -> list[Scanner]:
    """The scanners that ``--scanner`` names, with images of ``size`` pixels a side; none for random ones.

    Raises InputError, GeometryError for a file that is no scan in the plane and no geometry; SettingError for random
    ones beside others.
    """
    from ctrecon.errors import SettingError

    if RANDOM not in given:
        return [_scanner(name, size) for one in given for name in _files(one)]
    if len(given) > 1:
        raise SettingError(f"--scanner {RANDOM} draws all of them; drop it, or --scanner {given[given[0] == RANDOM]}")
    return []


def _files(given: str) -> list[str]:
    """The files of a folder, else what is given. Raises InputError for a folder without any."""
    from ctrecon.errors import InputError

    if not Path(given).is_dir():
        return [given]
    found = sorted(str(path) for path in Path(given).glob("*.json"))
    if not found:
        raise InputError(f"{given}: holds no geometries (.json) for --scanner; name the files, or another folder")
    return found


def _scanner(name: str, size: int) -> Scanner:
    from ctrecon.errors import InputError
    from ctrecon.geometry.grid import default_grid
    from ctrecon.io.arrays import read_scan
    from ctrecon.io.sidecar import read_geometry_file
    from ctrecon.simulation.scanners import Scanner, walnut_scanner

    if name == WALNUT:
        return walnut_scanner(size)
    path = Path(name)
    if path.suffix == ".json":
        geometry, grid = read_geometry_file(path)
        pixel_mm = None if grid is None else max(grid.size_mm) / size
        grid = default_grid(geometry, size=size, pixel_mm=pixel_mm)
    else:
        scan = read_scan(path, size=size)
        if scan.geometry is None or scan.grid is None:
            raise InputError(f"{path}: --scanner needs a geometry, and this scan has a matrix alone; give one as JSON")
        geometry, grid = scan.geometry, scan.grid
    if grid.slices is not None:
        raise InputError(f"{path}: --scanner is of one in the plane, this one measures volumes; see train-volumes")
    return Scanner(geometry, grid)


def read_families(files: tuple[Path, ...]) -> list[OwnFamily]:
    """What ``--phantoms`` names. Raises InputError for a file that draws no phantom, SettingError for equal names."""
    from ctrecon.errors import SettingError
    from ctrecon.simulation.own_family import read_family

    found = [read_family(path) for path in files]
    names = [family.name for family in found]
    if len(set(names)) < len(names):
        raise SettingError("two files of --phantoms have the same name; rename one")
    return found


def scan_in_words(scanner: Scanner) -> str:
    """Of the scans that networks are scored on, for a model card: ``120 fan-beam views``."""
    return f"{scanner.geometry.shape[0]} {scanner.geometry.kind}-beam views"
