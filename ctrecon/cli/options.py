"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ctrecon.support.swap import finish_swaps

F = TypeVar("F", bound=Callable[..., Any])


def percent(text: str | float) -> float:
    """``1%`` or ``1`` as 0.01: a finite number >= 0. An option's ``type``."""
    if isinstance(text, float):
        return text
    try:
        number = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise click.BadParameter(f"must be a percentage like 1%, got {text!r}")
    return number


class _Path(click.Path):
    """What a killed command was about to put there stands there, before another looks."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        finish_swaps(Path(value).absolute().parent)
        return super().convert(value, param, ctx)


FilePath = _Path(path_type=Path, dir_okay=False)
ScanPath = _Path(path_type=Path)
"""A file, or a folder of DICOM files."""
FolderPath = _Path(path_type=Path, file_okay=False, exists=True)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there already.")
"""Of every command that writes; without it, what is there is refused before any work."""


position_option = click.option(
    "--patient-position", metavar="HFS|FFS|...|none",
    help="How the patient lay, where the scan does not say it: head or feet first (HF, FF), then S, P, DR or DL; none: "
    "a phantom or a specimen.",
)
"""Of every command that needs left, front and head of a scan."""


def scan_options(function: F) -> F:
    """How to read a scan file."""
    for option in reversed(
        (
            click.option("--geometry", type=FilePath, metavar="FILE|parallel-180|parallel-360",
                         help="As JSON (docs/units.md), or parallel beams over half a turn or a whole one."),
            click.option("--center", metavar="COLUMN|auto", help="Where the rotation axis projects, 0-based."),
            click.option("--row", type=int, help="Detector row of a file with several. Default: the middle one."),
            click.option("--image", type=int, help="Which of several sinograms of a file, from 0. Default: the first."),
            click.option("--all-rows", is_flag=True, help="All detector rows of a cone beam's file: a volume."),
            click.option("--bin", type=int, default=1, show_default=True, help="Add up N x N detector cells."),
            click.option("--detectors-first/--views-first", default=None,
                         help="What the first axis of an array counts. Default: views, unless the geometry says else."),
            click.option("--every", type=int, default=1, show_default=True, help="Use every N-th view."),
            click.option("--size", type=int, help="Image size in pixels. Default: from the file or the detector."),
            click.option("--pixel-mm", type=float, help="Pixel size. Default: from the file or the field of view."),
            click.option("--z", "z_mm", type=float, help="Slice of a folder of projections, mm. Default: the middle."),
            position_option,
        )
    ):
        function = option(function)
    return function


def reading_options(function: F) -> F:
    """How a scan was read, where no history beside a certificate says it."""
    for option in reversed(
        (
            click.option("--geometry", type=FilePath, metavar="FILE|parallel-180|parallel-360",
                         help="With --scan: as it was reconstructed with, where that was a file."),
            click.option("--repeat", type=FilePath, help="With --scan: the second scan, where there was one."),
            click.option("--center", metavar="COLUMN|auto", help="With --scan, where no history says it."),
            click.option("--row", type=int, help="Likewise."),
            click.option("--every", type=int, help="Likewise."),
            click.option("--correct", metavar="NAMES", help="Likewise."),
            click.option("--z", "z_mm", type=float, help="Likewise."),
            click.option("--patient-position", metavar="HFS|FFS|...|none", help="Likewise."),
        )
    ):
        function = option(function)
    return function
