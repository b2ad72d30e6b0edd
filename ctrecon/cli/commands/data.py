"""List and download public data sets."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class Data(LazyGroup):
    """One command per file."""

    folder: ClassVar[str] = "ctrecon.cli.data"
    first: ClassVar[tuple[str, ...]] = ("list", "fetch")


@click.group("data", cls=Data)
def command() -> None:
    """Public data sets for training and trying out (docs/datasets.md)."""
