"""``ctrecon dicom``: what concerns DICOM files and networks rather than reconstruction, one command per file."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class DicomCommands(LazyGroup):
    """One command per file."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "deidentify": ("dicom_deidentify", "Remove what identifies a patient, by the basic profile of PS3.15."),
    }


@click.group("dicom", cls=DicomCommands)
def command() -> None:
    """De-identify DICOM files."""
