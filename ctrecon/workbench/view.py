"""A volume in napari, where a person has installed it."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from ctrecon.errors import SettingError
from ctrecon.outputs.stack.manifest import NAME, read_manifest
from ctrecon.outputs.stack.store import stored_slices


def view_in_napari(volume: Path, evidence: Path) -> None:
    """Open a window with the volume, in mm, its grey values over its range; returns when the window is closed.

    Args:
        volume: The store or file; it is read whole.
        evidence: The folder of its manifest.

    Raises:
        SettingError: Where napari is not installed.
        InputError: Where the volume is not what its manifest says.
    """
    try:
        napari = importlib.import_module("napari")
    except ImportError:
        raise SettingError(
            "napari is not installed: pip install 'napari[all]' into the same environment, or look at the page that "
            f"ctrecon report {volume.name} writes"
        ) from None
    manifest = read_manifest(str(evidence / NAME), (evidence / NAME).read_bytes())
    values = np.stack(list(stored_slices(volume, manifest)))
    viewer = napari.Viewer(title=volume.name)
    # Slices upwards, rows to the back: as DICOM counts, and as the store says it.
    viewer.add_image(
        values, name=f"{volume.name}, {manifest.values}", scale=manifest.step_mm, translate=manifest.first_mm,
        contrast_limits=(float(values.min()), max(float(values.max()), float(values.min()) + 1e-12)),
    )  # fmt: skip
    napari.run()
