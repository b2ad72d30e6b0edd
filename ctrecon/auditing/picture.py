"""The map of what is decided, drawn over the reconstruction."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ctrecon.auditing.audit import Audit
from ctrecon.auditing.tiles import Map

_BRIGHTER, _DARKER = "#b2182b", "#2166ac"  # the strong colours of the map


def draw_map(audit: Audit, found: Map) -> bytes:
    """Draw the reconstruction, and beside it each tile, coloured by its certified contrast.

    Args:
        audit: Whose reconstruction it is.
        found: The tiles.

    Returns:
        A PNG.
    """
    image, unit = audit.evidence.image, audit.evidence.units.attenuation
    figure = Figure(figsize=(13, 6.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    low, high = (float(q) for q in np.percentile(image, [0.5, 99.8]))
    high = max(high, low + 1e-12)
    drawn = left.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    figure.colorbar(drawn, ax=left, shrink=0.85, label=f"value in {unit}" if unit else "value")
    left.set_title("reconstruction")
    right.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest", alpha=0.55)
    most = max([tile.bound for tile in found.tiles if tile.decided], default=0.0) or 1e-12
    colours = ScalarMappable(Normalize(-most, most), "RdBu_r")
    for tile in found.tiles:
        centre = (tile.column, tile.row)
        if tile.decided:
            # The face says how much and lets the image through; the edge says which sign, also where it is little.
            face = (*colours.to_rgba(np.array(tile.sign * tile.bound))[:3], 0.5)
            edge = _BRIGHTER if tile.sign > 0 else _DARKER
            right.add_patch(Circle(centre, found.radius, facecolor=face, edgecolor=edge, linewidth=2))
        else:
            right.add_patch(
                Circle(centre, found.radius, facecolor="none", edgecolor="0.35", linewidth=0.6, linestyle=":")
            )
    decided = sum(tile.decided for tile in found.tiles)
    right.set_title(
        f"in the data: {decided} of {len(found.tiles)} discs, red: brighter, blue: darker\n"
        f"{audit.condition}\ndotted: not decided",
        fontsize="medium",
    )
    label = "certified contrast to the surroundings, at least" + (f", in {unit}" if unit else "")
    figure.colorbar(colours, ax=right, shrink=0.85, label=label)
    for axis in (left, right):
        axis.set_xlabel("column")
        axis.set_ylabel("row")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": "ctrecon"})
    return stream.getvalue()
