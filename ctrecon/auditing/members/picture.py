"""The certified image, and where the images of its set that were found differ, drawn."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.gather import Gathered


def draw_members(evidence: Evidence, found: Gathered) -> bytes:
    """A PNG with image, range and standard deviation ``[rows, columns]``; the listed discs are numbered on the range.

    Args:
        evidence: Of the image.
        found: What was gathered.

    Returns:
        Its bytes.
    """
    figure = Figure(figsize=(15.5, 5.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 3)
    unit = evidence.units.attenuation
    low, high = (float(q) for q in np.percentile(evidence.image, [0.5, 99.8]))
    images = len(found.counted) + 1
    drawn = axes[0].imshow(
        evidence.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest"
    )
    figure.colorbar(drawn, ax=axes[0], shrink=0.8, label=f"value in {unit}" if unit else "value")
    axes[0].set_title(evidence.image_path.name, fontsize="medium", parse_math=False)
    for axis, values, name in ((axes[1], found.range, "range"), (axes[2], found.deviation, "standard deviation")):
        most = float(np.percentile(values, 99.8)) or 1e-12
        drawn = axis.imshow(values, cmap="viridis", vmin=0, vmax=most, interpolation="nearest")
        figure.colorbar(drawn, ax=axis, shrink=0.8, label=f"{name} in {unit}" if unit else name)
        axis.set_title(f"{name}, {images} images within delta", fontsize="medium")
    for k, spot in enumerate(found.spots, start=1):
        axes[1].add_patch(Circle((spot.column, spot.row), found.radius, facecolor="none", edgecolor="white"))
        axes[1].annotate(str(k), (spot.column, spot.row), ha="center", va="center", color="white", fontsize="small")
    for axis in axes:
        axis.set_xlabel("column")
        axis.set_ylabel("row")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=90, metadata={"Software": "ctrecon"})
    return stream.getvalue()
