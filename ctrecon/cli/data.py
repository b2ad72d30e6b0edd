"""``ctrecon data``: public data sets, one command per file."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class Data(LazyGroup):
    """One command per file."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "list": ("data_list", "Say which data sets there are, how large, and under which licence."),
        "fetch": ("data_fetch", "Download one, checked, resumable."),
    }


@click.group("data", cls=Data)
def command() -> None:
    """Public data sets for training and trying out (docs/datasets.md)."""
