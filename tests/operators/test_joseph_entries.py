"""The runs of crossings that make the matrix are those that each ray has, to the last bit, on the worst of rays."""

from __future__ import annotations

import numpy as np
import pytest

from ctrecon.geometry.grid import Grid
from ctrecon.operators.footprint import Footprint
from ctrecon.operators.joseph_entries import joseph_entries

# Along a line of the image, next to along it, and ends of rays on the edge of a pixel and a bit beside it.
SLOPES = (0.0, 1.0, -1.0, 0.5, -0.25, 1e-17, -1e-17, 1e-300, -1e-9)
STARTS = (-1.0, 0.0, 5.0, -1 - 2e-16, -2.0, 1e9, -1e9, 7.3, 8.0, 12.0)
BESIDE = (0.0, 1e-12, -1e-12, 1e-15, -1e-15)


def rays(rng: np.random.Generator, count: int) -> Footprint:
    slope = np.where(rng.random(count) < 0.6, rng.choice(SLOPES, count), rng.uniform(-1, 1, count))
    start = np.where(rng.random(count) < 0.7, rng.choice(STARTS, count), rng.uniform(-30, 30, count))
    return Footprint(rng.random(count) < 0.5, start + rng.choice(BESIDE, count), slope, rng.uniform(0.5, 2, count))


def one_by_one(table: Footprint, grid: Grid) -> list[list[tuple[int, float]]]:
    """Line by line, as the formula has it."""
    rows, columns = grid.shape
    found = []
    for by_row, start, slope, length in zip(
        *(getattr(table, name) for name in table.__dataclass_fields__), strict=True
    ):
        lines, width = (rows, columns) if by_row else (columns, rows)
        row: list[tuple[int, float]] = []
        for line in range(lines):
            crossing = start + slope * line + 1.0
            if not 0 <= crossing < width + 1:
                continue
            k = int(crossing)
            b = crossing - k
            for pixel, weight in ((k - 1, 1.0 - b), (k, b)):
                if 0 <= pixel < width and weight != 0:
                    row.append((line * columns + pixel if by_row else pixel * columns + line, weight * length))
        found.append(row)
    return found


@pytest.mark.parametrize("shape", [(12, 8), (8, 12), (1, 12), (12, 1)])
def test_entries_are_those_of_the_formula(shape: tuple[int, int]) -> None:
    grid = Grid(rows=shape[0], columns=shape[1], pixel_mm=1.0)
    table = rays(np.random.default_rng(sum(shape) * 31 + shape[0]), 1500)
    entries = joseph_entries(table, grid, np.float64)
    expected = one_by_one(table, grid)
    assert entries.counts.tolist() == [len(row) for row in expected]
    assert entries.columns.tolist() == [pixel for row in expected for pixel, _ in row]
    assert entries.values.tolist() == [weight for row in expected for _, weight in row]
