"""Projections frame by frame, and which part of each frame is read: one detector row, or all of them as a volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.ask import Ask, any_row, central_row
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.limits import MAX_BYTES


class Stack(Protocol):
    """Pictures of one size, in order, of which one at a time is in memory."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Array]: ...


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """An array ``[frames, rows, columns]`` as a stack."""

    values: Array

    @property
    def rows(self) -> int:
        return int(self.values.shape[1])

    @property
    def columns(self) -> int:
        return int(self.values.shape[2])

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Array]:
        return iter(self.values)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What is taken of every frame: ``row`` as the file counts rows, or all rows where it is None.

    ``cells``: of so many cells in a row (and of a volume so many rows) the values are added. ``top_first``: the file's
    row 0 is the highest. ``mirrored``: its columns run against the geometry's. The result has row 0 lowest.
    """

    path: Path
    row: int | None
    cells: int = 1
    top_first: bool = True
    mirrored: bool = False

    @property
    def added(self) -> int:
        """How many cells one value is the sum of."""
        return self.cells if self.row is not None else self.cells**2

    def __call__(self, stack: Stack) -> Float64Array:
        """``[frames, columns]``, or ``[frames, rows, columns]``. Raises InputError where that is too large."""
        shape = self.shape(stack)
        if int(np.prod(shape, dtype=object)) * 8 > MAX_BYTES:
            raise InputError(f"{self.path}: its {' x '.join(map(str, shape))} values need more than {MAX_BYTES} bytes; "
                             f"add cells up by --bin {2 * self.cells}")  # fmt: skip
        found = np.empty(shape)
        for k, frame in enumerate(stack):
            found[k] = self._of(frame)
        return found

    def shape(self, stack: Stack) -> tuple[int, ...]:
        """Of what it gives. Raises InputError where the sizes cannot be divided so."""
        sides = (stack.columns,) if self.row is not None else (stack.rows, stack.columns)
        if any(side % self.cells for side in sides):
            raise InputError(f"{self.path}: its {stack.rows} x {stack.columns} cells cannot be added up in "
                             f"{self.cells}s; give --bin a number that divides them")  # fmt: skip
        return (len(stack), *(side // self.cells for side in sides))

    def _of(self, frame: Array) -> Float64Array:
        n = self.cells
        if self.row is not None:
            line: Float64Array = np.asarray(frame[self.row], dtype=np.float64).reshape(-1, n).sum(axis=1)
            return line[::-1] if self.mirrored else line
        whole: Float64Array = np.asarray(frame, dtype=np.float64)
        whole = whole.reshape(whole.shape[0] // n, n, whole.shape[1] // n, n).sum(axis=(1, 3))
        whole = whole[::-1] if self.top_first else whole
        return whole[:, ::-1] if self.mirrored else whole


def cut_of_parallel(path: Path, stack: Stack, ask: Ask, **how: bool) -> tuple[Cut, tuple[str, ...]]:
    """Any row, the middle one by default, or all; and a note on the choice."""
    if ask.all_rows:
        return Cut(path=path, row=None, cells=ask.bin, **how), ()
    row, notes = any_row(path, stack.rows, ask.row)
    return Cut(path=path, row=row, cells=ask.bin, **how), notes


def cut_of_cone(path: Path, stack: Stack, ask: Ask, centre: float, **how: bool) -> tuple[Cut, tuple[str, ...]]:
    """The row in the source's plane, or all; and a note on the choice.

    Args:
        path: For messages.
        stack: The projections.
        ask: What was asked for.
        centre: Where the source's plane meets the detector, in rows as the file counts them.
        **how: ``top_first`` and ``mirrored`` of the cut.
    """
    if ask.all_rows:
        return Cut(path=path, row=None, cells=ask.bin, **how), ()
    row, notes = central_row(path, stack.rows, ask.row, centre)
    if notes:
        notes = (f"{notes[0]} (--all-rows reads the volume)",)
    return Cut(path=path, row=row, cells=ask.bin, **how), notes
