"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

class Percent(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click alone
    """``1%`` or ``1`` as 0.01: a finite number >= 0."""

    name = "percent"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            number = float(str(value).strip().removesuffix("%")) / 100
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            self.fail(f"must be a percentage like 1%, got {value!r}", param, ctx)
        return number


FilePath = click.Path(path_type=Path, dir_okay=False)
FolderPath = click.Path(path_type=Path, file_okay=False, exists=True)


def scan_options(function: F) -> F:
    """How to read a scan file."""
    for option in reversed(
        (
            click.option("--geometry", "geometry_file", type=FilePath, help="Geometry as JSON (docs/units.md)."),
            click.option("--center", metavar="COLUMN|auto", help="Where the rotation axis projects, 0-based."),
            click.option("--row", type=int, help="Detector row of a file with several. Default: the middle one."),
            click.option("--every", type=int, default=1, show_default=True, help="Use every N-th view."),
            click.option("--size", type=int, help="Image size in pixels. Default: from the file or the detector."),
            click.option("--pixel-mm", type=float, help="Pixel size. Default: from the file or the field of view."),
        )
    ):
        function = option(function)
    return function
