"""RTK: a geometry as XML (``RTKThreeDCircularGeometry``) beside a stack of projections, ``.mha``, or beside
the files of Varian or Elekta (``.hnd``, ``.xim``, ``.his``). ``rtk_geometry.py`` has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.ask import Ask
from ctrecon.io.itk_files import check_own_data, silent
from ctrecon.io.measured import Measured
from ctrecon.io.rtk_geometry import NAMES, Detector, rtk_geometry
from ctrecon.io.shots import shots_in
from ctrecon.io.xml_file import number_of, read_xml
from ctrecon.support.arrays import Array
from ctrecon.support.limits import check_claim, reason

NAME = "RTK geometry .xml"
PLACE = 40
VOLUMES = True

_STACK = ".mha"
_ROOT = b"RTKThreeDCircularGeometry"


def takes(path: Path) -> bool:
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return _ROOT in stream.read(1024)


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError where projections are missing or do not fit, or no row of the scan is a plane of its own."""
    said = read_projections(path)
    shots = shots_in(path.parent)
    if shots is not None:
        cut, geometry, notes = rtk_geometry(path, said, shots, shots.detector, ask)
        return shots.measured(path, cut, geometry=geometry, notes=notes, geometry_from=f"geometry from {path.name}")
    stack, detector = _stack(path)
    cut, geometry, notes = rtk_geometry(path, said, stack, detector, ask)
    note = "projections of RTK are taken for line integrals, as rtkprojections makes them"
    values = cut(stack) / cut.added
    return Measured(sinogram=np.ascontiguousarray(values), geometry=geometry, notes=(*notes, note),
                    geometry_from=f"geometry from {path.name}")  # fmt: skip


def read_projections(path: Path) -> list[dict[str, float]]:
    """The parameters of each projection; what stands outside them holds for all."""
    root = read_xml(path)

    def numbers(elements: Iterable[Any]) -> dict[str, float]:
        return {one.tag: number_of(path, one) for one in elements if one.tag in NAMES}

    common = numbers(root)
    said = [common | numbers(one) for one in root if one.tag == "Projection"]
    if not said:
        raise InputError(f"{path}: says no projections; write it again")
    return said


@dataclass(frozen=True, kw_only=True)
class _Mha:
    """A stack of projections in one file, read picture by picture."""

    path: Path
    rows: int
    columns: int
    views: int

    def __len__(self) -> int:
        return self.views

    def __iter__(self) -> Iterator[Array]:
        import SimpleITK as Itk

        SimpleITK: Any = Itk
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(self.path))
        for view in range(self.views):
            try:
                with silent():
                    reader.SetExtractIndex([0, 0, view])
                    reader.SetExtractSize([self.columns, self.rows, 0])
                    yield SimpleITK.GetArrayFromImage(reader.Execute())
            except RuntimeError as error:
                raise InputError(f"{self.path}: cannot be read ({reason(error)}); copy it again") from None


def _stack(path: Path) -> tuple[_Mha, Detector]:
    """The stack beside ``path``, and where its cells are."""
    import SimpleITK as Itk  # half a second of libraries

    SimpleITK: Any = Itk

    beside = [path.with_suffix(_STACK)] if path.with_suffix(_STACK).is_file() else []
    beside = beside or sorted(p for p in path.parent.iterdir() if p.suffix.lower() == _STACK)
    if len(beside) != 1:
        raise InputError(f"{path}: {len(beside)} stacks (.mha) are beside it; keep the one of the projections, "
                         "or name it as the geometry")  # fmt: skip
    check_own_data(beside[0])
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(beside[0]))
    try:
        with silent():
            reader.ReadImageInformation()
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            raise InputError(f"{beside[0]}: is no stack of grey pictures [views, rows, columns]")
        columns, rows, views = reader.GetSize()
        check_claim(beside[0], "the stack", columns * rows * views * 8, 8 * beside[0].stat().st_size)
    except RuntimeError as error:
        raise InputError(f"{beside[0]}: cannot be read ({reason(error)}); copy it again") from None
    detector = Detector(origin=reader.GetOrigin()[:2], spacing=reader.GetSpacing()[:2])
    return _Mha(path=beside[0], rows=rows, columns=columns, views=views), detector
