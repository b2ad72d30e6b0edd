"""``ctrecon dicom``: what concerns DICOM files and networks rather than reconstruction, one command per file."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class DicomCommands(LazyGroup):
    """One command per file."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "deidentify": ("dicom_deidentify", "Remove what identifies a patient, by the basic profile of PS3.15."),
        "echo": ("dicom_echo", "Ask a node whether it is there (C-ECHO)."),
        "send": ("dicom_send", "Send objects to a node or a DICOMweb service (C-STORE, STOW-RS)."),
        "find": ("dicom_find", "Search for studies or series (C-FIND, QIDO-RS)."),
        "get": ("dicom_get", "Retrieve a study or a series (C-GET, C-MOVE, WADO-RS)."),
        "listen": ("dicom_listen", "Receive studies, reconstruct them, and send the results on."),
        "queue": ("dicom_queue", "Show the queue of `listen`, and try failed studies again."),
    }


@click.group("dicom", cls=DicomCommands)
def command() -> None:
    """DICOM objects and the nodes of a hospital's network."""
