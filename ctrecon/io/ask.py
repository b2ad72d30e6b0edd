"""What a person may ask of a file with more than one sinogram, and which detector row of several is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

_EXACT = 1.0


class Ahead:
    """Detector rows read some at a time: what one read of a file brings serves the rows beside it, too.

    A file keeps its views one after the other, so that one row of all views costs nearly as much as many.

    Args:
        rows: How many at a time.
    """

    def __init__(self, rows: int = 1) -> None:
        self.rows = rows
        self._kept: dict[object, tuple[int, Array]] = {}

    def row(self, what: object, row: int, count: int, read: Callable[[slice], Array]) -> Array:
        """One row, from memory where it is near the one before.

        Args:
            what: Names the array.
            row: Which, from 0.
            count: How many there are.
            read: Gives ``[views, rows, columns]`` of a range of rows.

        Returns:
            ``[views, columns]``.
        """
        first = row - row % self.rows
        if self._kept.get(what, (-1,))[0] != first:
            self._kept[what] = (first, read(slice(first, min(first + self.rows, count))))
        return self._kept[what][1][:, row - first]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """``row``: of the detector; ``image``: which of several sinograms. None: not asked for.

    ``all_rows``: the volume that all detector rows see together. ``bin``: so many cells are added up in each direction.
    ``ahead``: for the rows beside it.
    """

    row: int | None = None
    image: int | None = None
    all_rows: bool = False
    bin: int = 1
    ahead: Ahead = field(default_factory=Ahead)


def any_row(path: Path, rows: int, row: int | None) -> tuple[int, tuple[str, ...]]:
    """A row of a parallel beam, each of which is a plane of its own: the middle one (the lower of two) by default.

    Args:
        path: For messages.
        rows: How many there are.
        row: What was asked for.

    Returns:
        The row, and a note where it was chosen here.

    Raises:
        InputError: Where there is no such row.
    """
    if row is not None:
        if not 0 <= row < rows:
            raise InputError(f"{path}: has detector rows 0 to {rows - 1}, not {row}; choose one with --row")
        return row, ()
    middle = (rows - 1) // 2
    note = f"detector row {middle} of 0 to {rows - 1}, the middle one (--row chooses another)"
    return middle, (note,) if rows > 1 else ()


def central_row(path: Path, rows: int, row: int | None, centre: float) -> tuple[int, tuple[str, ...]]:
    """The row of a cone beam whose rays lie in the source's own plane: only that one is a fan.

    Args:
        path: For messages.
        rows: How many there are.
        row: What was asked for.
        centre: Where the central plane meets the detector, in rows.

    Returns:
        The row, and a note where it was chosen here.

    Raises:
        InputError: Where the plane misses the detector, or the row that was asked for is another.
    """
    nearest = min(max(round(centre), 0), rows - 1)
    if abs(nearest - centre) > _EXACT:
        raise InputError(f"{path}: the source's plane meets the detector at row {centre:.1f}, outside its {rows} rows; "
                         "no row of it is a fan beam")  # fmt: skip
    if row is not None:
        if not 0 <= row < rows:
            raise InputError(f"{path}: has detector rows 0 to {rows - 1}, not {row}; choose one with --row")
        if abs(row - centre) > _EXACT:
            raise InputError(
                f"{path}: row {row} of this cone beam is {abs(row - centre):.1f} rows off the source's plane (row "
                f"{centre:.1f}), so it is no fan beam; take row {nearest}, or reconstruct the volume"
            )
        return row, ()
    if rows == 1:
        return 0, ()
    return nearest, (f"detector row {nearest} of 0 to {rows - 1}, the one in the source's plane",)
