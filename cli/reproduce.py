"""``ctrecon reproduce``: the tables of the paper and of the documentation, one command per file."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class Tables(LazyGroup):
    """One table per file."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "table1": ("reproduce_table1", "Super-resolution: PSNR, SSIM, and what is left of the residual."),
        "table2": ("reproduce_table2", "Sudoku: cell accuracy and solved puzzles."),
        "coverage": ("reproduce_coverage", "Delta: how often the true image lies within it."),
    }


@click.group("reproduce", cls=Tables)
def command() -> None:
    """Compute the tables of "Controlling Neural Networks via Energy Dissipation" and of the documentation anew."""
