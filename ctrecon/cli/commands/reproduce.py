"""Compute the figures and tables of the paper anew."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class FiguresAndTables(LazyGroup):
    """One figure or table per file."""

    folder: ClassVar[str] = "ctrecon.cli.reproduce"
    first: ClassVar[tuple[str, ...]] = (
        "fig1", "fig2", "fig3", "fig4", "table1", "table2", "roughness", "lesions", "volumes", "lodopab", "helsinki",
        "coverage",
    )  # fmt: skip


@click.group("reproduce", cls=FiguresAndTables)
def command() -> None:
    """Compute the tables of "Controlling Neural Networks via Energy Dissipation" and of the documentation anew."""
