"""Where further images of the same data differ, drawn in the place of the image."""

from __future__ import annotations

import numpy as np

from ctrecon.geometry.grid import Grid
from ctrecon.measurement.units import MM, Units
from ctrecon.outputs.members_file import MembersList
from ctrecon.outputs.report.figures import Json, as_json, blocks, factor_of, frame_of, heat
from ctrecon.outputs.report.scale import Scale
from ctrecon.support.arrays import Array


def members_figure(
    spread: Array, listed: MembersList, grid: Grid | None, scale: Scale, *, units: Units = MM
) -> Json:
    """The range ``[rows, columns]`` with its own colours, and the listed discs with their numbers.

    Of pixels that share a place the largest range is shown.
    """
    factor = factor_of(spread.shape)
    values = (scale.difference(1.0) * blocks(spread, factor).max(axis=(1, 3))).astype(np.float32)
    frame = frame_of(spread.shape, grid)
    most = float(np.percentile(values, 99.8)) or float(values.max())
    figure = heat(values, frame, factor, scale.unit, units=units, limits=(0.0, max(most, 1e-12)), colours="Viridis")
    for number, disc in enumerate(listed.discs, start=1):
        x, y = frame.left + (disc.column + 0.5) * frame.across, frame.top + (disc.row + 0.5) * frame.down
        rx, ry = listed.radius * abs(frame.across), listed.radius * abs(frame.down)
        figure.add_shape(type="circle", x0=x - rx, x1=x + rx, y0=y - ry, y1=y + ry, line={"color": "#fff", "width": 2})
        figure.add_annotation(
            x=x, y=y, text=f"<b>{number}</b>", showarrow=False, bgcolor="rgba(255,213,74,0.85)", borderpad=2,
            font={"color": "#000", "size": 12},
        )  # fmt: skip
    return as_json(figure, 560)
