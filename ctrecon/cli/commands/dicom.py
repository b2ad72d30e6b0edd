"""Send, find, get, receive and de-identify DICOM objects."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class DicomCommands(LazyGroup):
    """One command per file."""

    folder: ClassVar[str] = "ctrecon.cli.dicom"
    first: ClassVar[tuple[str, ...]] = ("deidentify", "echo", "send", "find", "get", "listen", "queue")


@click.group("dicom", cls=DicomCommands)
def command() -> None:
    """DICOM objects and the nodes of a hospital's network."""
