"""The plots of a report, with Plotly. Text from files never goes into a plot: Plotly reads markup in labels.

Colours of lines are of middling lightness, 3:1 or more against the light and the dark page; text, grid and background
are coloured by the page's style sheet.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from skimage.measure import find_contours

from ctrecon.geometry.grid import Grid
from ctrecon.measurement.center import Center
from ctrecon.measurement.units import MM, Units
from ctrecon.outputs.history import History
from ctrecon.outputs.report.audits import Audit
from ctrecon.outputs.report.content import Residual
from ctrecon.outputs.report.scale import Scale
from ctrecon.outputs.report.stack_content import SliceContent
from ctrecon.support.arrays import Array

Json = dict[str, Any]

MOST_PIXELS = 1024
"""Per side of a picture in the page; larger ones are reduced, and the page says so."""

BLUE, ORANGE, RED, GREEN, AMBER = "#2f80ed", "#d9730d", "#e5484d", "#1a9e5c", "#b87c00"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def image_figure(
    image: Array, grid: Grid | None, scale: Scale, audits: Sequence[Audit], *, units: Units = MM,
    undecided_beyond_mm: float | None = None, axes: dict[str, tuple[str, str]] | None = None,
) -> tuple[Json, int]:
    """The image in gray with the outlines of audited regions; and how many pixels a side became one.

    ``axes``: the patient's directions, which are marked at the sides of the picture.
    Beyond the circle ``undecided_beyond_mm`` about the axis, which is drawn, the data decide nothing.
    """
    factor = factor_of(image.shape)
    values = scale.shown(blocks(image, factor).mean(axis=(1, 3)))
    frame = frame_of(image.shape, grid)
    figure = heat(values, frame, factor, scale.unit, units=units)
    for number, audit in enumerate(audits, start=1):
        if audit.functional is not None:
            _outline(figure, number, audit, (frame.left, frame.top), (frame.across, frame.down))
    if undecided_beyond_mm is not None:
        r = undecided_beyond_mm
        figure.add_shape(type="circle", x0=-r, x1=r, y0=-r, y1=r, line={"color": AMBER, "width": 2, "dash": "dash"})
    if axes is not None and grid is not None:
        _mark_sides(figure, axes)
    return as_json(figure, 620, meta={"x": list(frame.x_range), "y": list(frame.y_range)}), factor


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a picture stands: left and top of its first pixel's corner, and the way to the next column and row."""

    left: float
    top: float
    across: float
    down: float
    placed: bool
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def frame_of(shape: tuple[int, ...], grid: Grid | None) -> Frame:
    """Lengths run over pixel edges: row 0 is at the top, x grows to the right."""
    rows, columns = shape
    left, top, across, down = -0.5, -0.5, 1.0, 1.0
    if grid is not None:
        (height, width), (x, y) = grid.size_mm, grid.centre_mm[:2]
        left, top, across, down = x - width / 2, y + height / 2, grid.spacing_mm[1], -grid.spacing_mm[0]
    low, high = sorted([top, top + rows * down], reverse=grid is None)
    return Frame(
        left=left, top=top, across=across, down=down, placed=grid is not None,
        x_range=(left, left + columns * across), y_range=(low, high),
    )  # fmt: skip


def heat(
    values: Array, frame: Frame, factor: int, unit: str, *, units: Units = MM,
    limits: tuple[float, float] | None = None, colours: str = "Greys_r",
) -> go.Figure:
    """``values`` in colours, each of ``factor`` pixels a side, with axes in the unit of length."""
    step, fall = frame.across * factor, frame.down * factor
    low, high = (float(values.min()), float(values.max())) if limits is None else limits
    places = "column %{x:.0f}, row %{y:.0f}"
    if frame.placed:
        places = f"x %{{x:.1f}} {units.short}, y %{{y:.1f}} {units.short}"
    figure = go.Figure(
        go.Heatmap(
            z=values, x0=frame.left + step / 2, dx=step, y0=frame.top + fall / 2, dy=fall,
            zmin=low, zmax=max(high, low + 1e-12), colorscale=colours, zsmooth=False,
            colorbar={"title": {"text": unit}, "thickness": 12, "outlinecolor": "#808080", "len": 0.9},
            hovertemplate=places + f"<br>%{{z:.4~g}} {unit}<extra></extra>",
        )
    )  # fmt: skip
    axis = {"showgrid": False, "zeroline": False, "ticks": "outside", "constrain": "domain"}
    figure.update_layout(
        xaxis={
            **axis, "range": list(frame.x_range),
            "title": {"text": f"x in {units.short}" if frame.placed else "column"},
        },
        yaxis={
            **axis, "range": list(frame.y_range), "scaleanchor": "x",
            "title": {"text": f"y in {units.short}" if frame.placed else "row"},
        },
        showlegend=False,
        dragmode="zoom",
    )
    return figure


def _mark_sides(figure: go.Figure, axes: dict[str, tuple[str, str]]) -> None:
    """Letters that stay at the sides of the picture when it is zoomed."""
    (left, right), (below, above) = axes["x"], axes["y"]
    for text, x, y, anchors in (
        (left, 0.01, 0.5, ("left", "middle")), (right, 0.99, 0.5, ("right", "middle")),
        (above, 0.5, 0.99, ("center", "top")), (below, 0.5, 0.01, ("center", "bottom")),
    ):  # fmt: skip
        figure.add_annotation(
            name="side", text=f"<b>{text}</b>", x=x, y=y, xref="x domain", yref="y domain", xanchor=anchors[0],
            yanchor=anchors[1], showarrow=False, font={"color": "#000", "size": 13}, bgcolor="rgba(255,213,74,0.8)",
            borderpad=2,
        )  # fmt: skip


def _outline(
    figure: go.Figure, number: int, audit: Audit, corner: tuple[float, float], pixel: tuple[float, float]
) -> None:
    """``corner``: left and top of the picture; ``pixel``: from column to column, and from row to row, down or up."""
    assert audit.functional is not None
    for sign, dash in ((1, "solid"), (-1, "dot")):
        mask = np.pad(sign * audit.functional > 0, 1)
        if not mask.any():
            continue
        x: list[float | None] = []
        y: list[float | None] = []
        for contour in find_contours(mask.astype(np.float64), 0.5):  # type: ignore[no-untyped-call]
            # Padded by one pixel; index 0 is a pixel's centre.
            x += [*(corner[0] + pixel[0] * (contour[:, 1] - 0.5)).tolist(), None]
            y += [*(corner[1] + pixel[1] * (contour[:, 0] - 0.5)).tolist(), None]
        colour = GREEN if audit.decided else AMBER
        if sign > 0:
            # A dark seam, so that the line shows on white bone and on black air.
            figure.add_scatter(x=x, y=y, mode="lines", line={"color": "#000", "width": 4.5}, hoverinfo="skip")
        line = {"color": _bright(colour), "width": 2.2 if sign > 0 else 1.2, "dash": dash}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip")
        if sign > 0:
            figure.add_annotation(
                x=max(v for v in x if v is not None), y=max(v for v in y if v is not None), text=f"<b>{number}</b>",
                showarrow=False, xanchor="left", yanchor="bottom", bgcolor=_bright(colour), borderpad=3,
                font={"color": "#000", "size": 12},
            )  # fmt: skip


def _bright(colour: str) -> str:
    return {GREEN: "#4ade80", AMBER: "#fbbf24"}[colour]


def residual_figure(residual: Residual) -> tuple[Json, int]:
    """``A u - f`` over views and detector cells, blue to red around zero; and how many values a side became one.

    Of the rows of a volume's detector the largest is shown.
    """
    measured = residual.values
    if measured.ndim == 3:
        measured = np.take_along_axis(measured, np.abs(measured).argmax(axis=1)[:, None], axis=1)[:, 0]
    factor = factor_of(measured.shape)
    grouped = blocks(measured, factor).transpose(0, 2, 1, 3)
    flat = grouped.reshape(*grouped.shape[:2], -1)
    # Of values that share a pixel the largest is shown, so that no outlier is averaged away.
    values = np.take_along_axis(flat, abs(flat).argmax(axis=-1)[..., None], axis=-1)[..., 0].astype(np.float32)
    limit = float(np.percentile(np.abs(values), 99.5)) or 1.0
    label = "std. dev." if residual.whitened else "Au − f"  # noqa: RUF001 - typeset
    figure = go.Figure(
        go.Heatmap(
            z=values, x0=(factor - 1) / 2, dx=factor, y0=(factor - 1) / 2, dy=factor, zmin=-limit, zmax=limit,
            colorscale="RdBu_r", zsmooth=False,
            colorbar={"title": {"text": label}, "thickness": 12, "outlinewidth": 0},
            hovertemplate="view %{y:.0f}, cell %{x:.0f}<br>%{z:.4~g}<extra></extra>",
        )
    )  # fmt: skip
    axis = {"showgrid": False, "zeroline": False, "ticks": "outside"}
    figure.update_layout(
        xaxis={**axis, "title": {"text": "detector cell"}},
        yaxis={**axis, "title": {"text": "view"}, "autorange": "reversed"},
        dragmode=False,
    )
    return as_json(figure, 380), factor


def detector_figure(residual: Residual) -> Json:
    """The root mean square of ``A u - f`` over all views, ``[rows, columns]``, row 0 at the bottom."""
    values = np.sqrt(np.mean(residual.values**2, axis=0))
    factor = factor_of(values.shape)
    values = np.sqrt((blocks(values, factor) ** 2).mean(axis=(1, 3))).astype(np.float32)
    label = "std. dev." if residual.whitened else "Au − f"  # noqa: RUF001 - typeset
    figure = go.Figure(
        go.Heatmap(
            z=values, x0=(factor - 1) / 2, dx=factor, y0=(factor - 1) / 2, dy=factor, zmin=0,
            zmax=float(np.percentile(values, 99.5)) or 1.0, colorscale="Viridis", zsmooth=False,
            colorbar={"title": {"text": label}, "thickness": 12, "outlinewidth": 0},
            hovertemplate="row %{y:.0f}, column %{x:.0f}<br>%{z:.4~g}<extra></extra>",
        )
    )  # fmt: skip
    axis = {"showgrid": False, "zeroline": False, "ticks": "outside"}
    figure.update_layout(
        xaxis={**axis, "title": {"text": "detector column"}}, yaxis={**axis, "title": {"text": "row"}}, dragmode=False,
    )  # fmt: skip
    return as_json(figure, 300)


def slices_figure(slices: Sequence[SliceContent], units: Units = MM) -> Json:
    """The residual of each slice as a share of its delta, over z; red where it is not certified."""
    figure = go.Figure()
    for good, colour, symbol in ((True, GREEN, "circle"), (False, RED, "x")):
        some = [one for one in slices if (one.status == "certified") is good]
        figure.add_scatter(
            x=[one.z_mm for one in some], y=[one.residual / one.delta if one.delta > 0 else None for one in some],
            mode="markers", marker={"color": colour, "size": 8, "symbol": symbol},
            customdata=[one.number for one in some],
            hovertemplate="slice %{customdata}<br>%{y:.5~g} of delta<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=1.0, line={"color": RED, "width": 2, "dash": "dash"})
    figure.update_layout(
        xaxis={"title": {"text": f"z in {units.short}"}}, yaxis={"title": {"text": "residual / delta"}, "nticks": 6},
        showlegend=False, dragmode=False,
    )  # fmt: skip
    return as_json(figure, 260)


def convergence_figures(history: History) -> tuple[Json, Json]:
    """Residual with delta over the iterations, on logarithmic axes; and E, with what delta stands for where E is half
    the residual's square.
    """
    residual, energy = ([getattr(step, name) for step in history.progress] for name in ("residual", "energy"))
    half = history.delta**2 / 2 if history.half_of_square else None
    return (
        _path(history, "residual", residual, history.delta, "delta", BLUE),
        _path(history, "energy E", energy, half, "delta² / 2", ORANGE),
    )


def _path(history: History, name: str, values: list[float], bound: float | None, bound_name: str, colour: str) -> Json:
    k = [step.iteration for step in history.progress]
    few = len(k) <= 60
    drawn = [value if value > 0 else None for value in values]  # NaN too: the axis is logarithmic
    figure = go.Figure(
        go.Scatter(
            x=k, y=drawn, mode="lines+markers" if few else "lines", line={"color": colour, "width": 2.5},
            marker={"size": 8}, hovertemplate="iteration %{x}<br>" + name + " %{y:.5~g}<extra></extra>",
        )
    )  # fmt: skip
    if bound is not None:
        figure.add_hline(y=bound, line={"color": RED, "width": 2, "dash": "dash"})
        figure.add_annotation(
            x=1, xref="x domain", xanchor="right", yanchor="bottom", text=bound_name, y=math.log10(max(bound, 1e-300)),
            yref="y", showarrow=False,
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": "iteration"}, "rangemode": "tozero", "dtick": 1 if k and max(k) <= 12 else None},
        yaxis={"type": "log", "exponentformat": "power", "title": {"text": name}, "nticks": 6},
        showlegend=False,
        dragmode=False,
    )
    return as_json(figure, 300)


def axis_figure(axis: Center) -> Json:
    """How badly the data contradict themselves for each place of the rotation axis, and where they do so least."""
    figure = go.Figure(
        go.Scatter(
            x=axis.columns, y=axis.misfits, mode="lines", line={"color": BLUE, "width": 2.5},
            hovertemplate="column %{x:.1f}<br>misfit %{y:.4~g}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=axis.column, line={"color": RED, "width": 2, "dash": "dash"})
    figure.update_layout(
        xaxis={"title": {"text": "column of the rotation axis"}}, yaxis={"title": {"text": "misfit"}, "nticks": 6},
        showlegend=False, dragmode=False,
    )  # fmt: skip
    return as_json(figure, 240)


def ranges_figure(audits: Sequence[Audit], scale: Scale) -> Json:
    """Per audited region the proved range of its contrast, numbered as on the image, and zero."""
    figure = go.Figure()
    for number, audit in enumerate(audits, start=1):
        if audit.functional is None:
            continue
        low, high, own = (scale.difference(value) for value in (audit.lower, audit.upper, audit.value))
        colour = GREEN if audit.decided else AMBER
        figure.add_scatter(
            x=[low, high], y=[str(number)] * 2, mode="lines+markers", line={"color": colour, "width": 5},
            marker={"symbol": "line-ns", "size": 16, "line": {"width": 3, "color": colour}},
            hovertemplate="%{x:.4~g} " + scale.unit + "<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[own], y=[str(number)], mode="markers", marker={"color": BLUE, "size": 11, "symbol": "diamond"},
            hovertemplate="this image: %{x:.4~g} " + scale.unit + "<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": RED, "width": 2, "dash": "dash"})
    figure.update_layout(
        xaxis={"title": {"text": f"contrast to the surroundings in {scale.unit}"}},
        yaxis={"type": "category", "autorange": "reversed", "title": {"text": "region"}},
        showlegend=False,
        dragmode=False,
    )
    return as_json(figure, 130 + 44 * len(audits))


def factor_of(shape: tuple[int, ...]) -> int:
    """How many pixels a side become one."""
    return -(-max(shape) // MOST_PIXELS)


def blocks(values: Array, factor: int) -> Array:
    """``[rows, factor, columns, factor]``: repeated at the edges where the sides are no multiples."""
    padding = [(0, -side % factor) for side in values.shape]
    padded = np.pad(values, padding, mode="edge")
    rows, columns = padded.shape
    return padded.reshape(rows // factor, factor, columns // factor, factor)


def as_json(figure: go.Figure, height: int, meta: Json | None = None) -> Json:
    """A figure as the page holds it."""
    figure.update_layout(
        template="none", height=height, autosize=True, font={"family": FONT, "size": 13}, meta=meta,
        margin={"l": 66, "r": 20, "t": 22, "b": 54}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"family": FONT}},
    )  # fmt: skip
    figure.update_xaxes(title_standoff=6)
    values: Json = json.loads(figure.to_json())
    return values
