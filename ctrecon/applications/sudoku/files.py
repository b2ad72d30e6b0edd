"""Sudoku puzzles as text: 81 characters, nine lines, or files of many."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctrecon.errors import InputError
from ctrecon.support.plain_file import plain_size

Grids = NDArray[np.int8]  # [count, 9, 9], 0 is empty

EMPTY = "0.-_*"
MOST_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class PuzzleFile:
    """Puzzles ``[count, 9, 9]`` and, where the file has a column of them, their solutions."""

    puzzles: Grids
    solutions: Grids | None


def parse_puzzle(text: str) -> Grids:
    """``[9, 9]`` from 81 characters or nine lines: digits, and ``0 . - _ *`` or a space where a cell is empty.

    White space may also stand between the cells, and lines may be drawn with ``| + -``. Raises InputError.
    """
    lines = [line.rstrip("\r").replace("|", "") for line in text.split("\n")]
    lines = [line for line in lines if line.strip() and not ("+" in line and set(line) <= set("+- "))]
    if len(lines) == 9:
        return _parse_cells("".join(_parse_line(line, 9) for line in lines))
    if len(lines) == 1:
        return _parse_cells(_parse_line(lines[0], 81))
    return _parse_cells("".join("".join(lines).split()))


def _parse_line(line: str, cells: int) -> str:
    """Without white space between the cells; where it does not come to ``cells``, a space is an empty cell."""
    joined = "".join(line.split())
    if len(joined) != cells and len(joined) < len(line) <= cells:
        return line.ljust(cells).replace(" ", "0") if cells == 9 else line.replace(" ", "0")
    return joined.ljust(cells, "0") if cells == 9 and len(joined) < 9 else joined


def _parse_cells(cells: str) -> Grids:
    if len(cells) != 81:
        raise InputError(f"a puzzle has 81 cells, this one {len(cells)}; give digits, and 0 or . where a cell is empty")
    for place, character in enumerate(cells):
        if character not in "123456789" + EMPTY:
            row, column = divmod(place, 9)
            raise InputError(
                f"row {row + 1}, column {column + 1} holds {character!r}; give 1 to 9, and 0 or . where a cell is empty"
            )
    return np.array([0 if c in EMPTY else int(c) for c in cells], dtype=np.int8).reshape(9, 9)


def write_puzzle(grid: Grids) -> str:
    """81 characters, 0 for empty."""
    return "".join(str(int(digit)) for digit in grid.reshape(81))


def draw_grid(grid: Grids) -> str:
    """The grid for a person to read: ``.`` for empty, lines between the boxes."""
    rows = []
    for r, row in enumerate(grid.reshape(9, 9)):
        if r in (3, 6):
            rows.append("------+-------+------")
        cells = [str(int(digit)) if digit else "." for digit in row]
        rows.append(" | ".join(" ".join(cells[c : c + 3]) for c in (0, 3, 6)))
    return "\n".join(rows)


def read_puzzles(path: Path) -> PuzzleFile:
    """Puzzles of a file: ``.csv`` with a puzzle (and its solution) per line, else text with one per line or a grid.

    What follows ``#``, ``;`` or ``//`` is a comment. Raises InputError naming the line.
    """
    if plain_size(path) > MOST_BYTES:
        raise InputError(f"{path.name} has {path.stat().st_size} bytes; split it into files below {MOST_BYTES}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is no text; give a .csv or .txt file of puzzles") from None
    if path.suffix.lower() == ".csv":
        return _read_csv("\n".join(map(_without_comment, text.split("\n"))), path.name)
    lines = [line for line in map(_without_comment, text.split("\n")) if line.strip()]
    if not lines:
        raise InputError(f"{path.name} holds no puzzle; give 81 characters per puzzle")
    if all(len(line.strip()) >= 81 for line in lines):
        return PuzzleFile(puzzles=_each(lines, path.name), solutions=None)
    lines = [line for line in lines if not ("+" in line and set(line.strip()) <= set("+- "))]
    if len(lines) % 9:
        raise InputError(f"{path.name} has {len(lines)} lines; give 81 characters in each, or nine lines per puzzle")
    blocks = ["\n".join(lines[i : i + 9]) for i in range(0, len(lines), 9)]
    return PuzzleFile(puzzles=_each(blocks, path.name), solutions=None)


def _without_comment(line: str) -> str:
    """Without what follows ``#``, ``;`` or ``//``, as lists of puzzles have it; nor a heading in brackets."""
    if line.lstrip().startswith("["):
        return ""
    for mark in ("#", ";", "//"):
        line = line.split(mark, 1)[0]
    return line.rstrip("\r")


def _each(texts: Iterable[str], name: str) -> Grids:
    grids = []
    for number, text in enumerate(texts, start=1):
        try:
            grids.append(parse_puzzle(text))
        except InputError as why:
            raise InputError(f"{name}, puzzle {number}: {why}") from None
    return np.stack(grids)


def _read_csv(text: str, name: str) -> PuzzleFile:
    try:
        rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except csv.Error as why:
        raise InputError(f"{name} is no CSV file: {why}") from None
    if rows and not any(character.isdigit() for character in rows[0][0]):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{name} holds no puzzle; give a line per puzzle: 81 digits, comma, 81 digits of the solution")
    puzzles = _each((row[0] for row in rows), name)
    if not all(len(row) > 1 for row in rows):
        return PuzzleFile(puzzles=puzzles, solutions=None)
    return PuzzleFile(puzzles=puzzles, solutions=_each((row[1] for row in rows), name))
