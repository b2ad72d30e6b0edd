"""The walnuts of H. Der Sarkissian et al., Scientific Data 6, 215, 2019: the folder of an orbit.

In ``tubeV1`` to ``tubeV3`` the files ``scan_000000.tif`` to ``scan_001200.tif`` are read backwards without the first,
since the last view is the first again and the camera ran the other way; every picture is turned, ``flipud`` and
transposed, to 972 rows of 768. The white field is the mean of ``io000000.tif`` and ``io000001.tif``, the dark one
``di000000.tif``; ``scan_geom_corrected.geom`` has ASTRA's twelve numbers of ``cone_vec`` for every view, in mm. All
this is as in the authors' scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.vectors import Vectors
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.io.ask import Ask
from ctrecon.io.measured import Measured, from_counts
from ctrecon.io.stack import Cut
from ctrecon.io.tiff import Frames, frames_of, in_order
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.plain_file import whole_file

NAME = "walnuts"
PLACE = 80
VOLUMES = True

GEOMETRY = "scan_geom_corrected.geom"
_WHITE, _DARK = ("io000000.tif", "io000001.tif"), ("di000000.tif",)
_LARGEST = 64 * 2**20
_VECTOR = 12
_FARTHEST_MM = 1e9


def takes(path: Path) -> bool:
    return path.is_dir() and (path / GEOMETRY).is_file() and (path / "di000000.tif").is_file()


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """Frames as the authors turn them; a ``Stack``."""

    frames: Frames

    @property
    def rows(self) -> int:
        return self.frames.columns

    @property
    def columns(self) -> int:
        return self.frames.rows

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Array]:
        return (np.flipud(frame).T for frame in self.frames)


def read(path: Path, ask: Ask) -> Measured:
    """The volume; no row of it is a plane of its own. Raises InputError where files are missing or do not fit."""
    if not ask.all_rows:
        raise InputError(f"{path}: its views are given one by one in space, and no detector row is a plane of its own; "
                         "read the volume by --all-rows (with --bin 4 or so)")  # fmt: skip
    vectors = _vectors(path / GEOMETRY)
    files = in_order(path.glob("scan_[0-9]*.tif"))
    if len(files) != len(vectors):
        raise InputError(f"{path}: holds {len(files)} files scan_000000.tif and on for {len(vectors)} views of "
                         f"{GEOMETRY}; copy all of them")  # fmt: skip
    if len(files) < 2:
        raise InputError(f"{path}: holds {len(files)} views, of which the last is the first again; copy all of them")
    views = _Turned(frames=frames_of(files[:0:-1]))
    fields = [_Turned(frames=frames_of(_all(path, names))) for names in (_WHITE, _DARK)]
    for field in fields:
        if (field.rows, field.columns) != (views.rows, views.columns):
            raise InputError(f"{path}: its white or dark field is {field.columns} x {field.rows}, the views "
                             f"{views.columns} x {views.rows}; they must agree")  # fmt: skip
    # ASTRA's rows go along v, whichever way that points: nothing is turned over.
    cut = Cut(path=path, row=None, cells=ask.bin, top_first=False, mirrored=False)
    counts, white, dark = cut(views), cut(fields[0]).mean(axis=0), cut(fields[1]).mean(axis=0)
    geometry = _geometry(path, vectors[:-1], cut.shape(views), cut.cells)
    note = "the first view is left out, being the last again, as by the authors"
    return from_counts(path, counts, white, dark, geometry=geometry, geometry_from=f"geometry from {GEOMETRY}",
                       notes=(note,))  # fmt: skip


def _all(path: Path, names: tuple[str, ...]) -> list[Path]:
    files = [path / name for name in names]
    for file in files:
        if not file.is_file():
            raise InputError(f"{path}: {file.name} is missing; copy all files of the orbit")
    return files


def _vectors(path: Path) -> Float64Array:
    """``[views, 12]``."""
    try:
        lines = [line.split() for line in whole_file(path, _LARGEST).decode("ascii").splitlines()]
        values = np.array([[float(word) for word in words] for words in lines if words], dtype=np.float64)
    except ValueError:
        raise InputError(f"{path}: is no table of numbers; copy it again") from None
    if values.ndim != 2 or values.shape[1] != _VECTOR or not bool((np.abs(values) <= _FARTHEST_MM).all()):
        raise InputError(f"{path}: must hold {_VECTOR} finite numbers in each line, ASTRA's cone_vec; copy it again")
    return values


def _geometry(path: Path, vectors: Float64Array, shape: tuple[int, ...], cells: int) -> VectorsInSpace:
    source, middle, u, v = (vectors[:, k : k + 3] for k in (0, 3, 6, 9))
    wide, tall = (np.linalg.norm(axis, axis=1) for axis in (u, v))
    if np.ptp(wide) > 1e-6 * wide.mean() or np.ptp(tall) > 1e-6 * tall.mean() or not min(wide.min(), tall.min()) > 0:
        raise InputError(f"{path}: its cells differ in size from view to view; copy {GEOMETRY} again")
    try:
        return VectorsInSpace.from_vectors(Vectors(
            parallel=False, source=source, detector=middle, u=u / wide[:, None], v=v / tall[:, None], rows=shape[1],
            columns=shape[2], row_mm=float(tall.mean()) * cells, column_mm=float(wide.mean()) * cells,
        ))  # fmt: skip
    except CtreconError as error:
        raise InputError(f"{path}: {error}") from None
