"""How the names of volumes end; apart from their reader, which loads SimpleITK."""

from __future__ import annotations

from pathlib import Path

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".mha", ".nrrd")


def volume_suffix(path: Path) -> str | None:
    """Which of ``VOLUME_SUFFIXES`` the name ends in, or None."""
    return next((suffix for suffix in VOLUME_SUFFIXES if path.name.lower().endswith(suffix)), None)
