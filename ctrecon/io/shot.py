"""One picture of a treatment machine's imager: its size, the numbers of its header, and its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Shot:
    """``numbers``: what the header says by the format's own names. ``pixels``: reads ``[rows, columns]``."""

    path: Path
    rows: int
    columns: int
    column_mm: float
    row_mm: float
    numbers: Mapping[str, float]
    pixels: Callable[[], Array]
