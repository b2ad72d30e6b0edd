"""The picture beside a reconstruction: the image, what of the data it leaves unexplained, and how it got there."""

from __future__ import annotations

import io
import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctrecon.reconstruction.conclude import Conclusion


def draw_preview(result: Conclusion) -> bytes:
    """A PNG with image (1/mm), residual sinogram, and E and residual over the iterations with delta drawn."""
    stream = io.BytesIO()
    draw_into(Figure(), result).savefig(stream, format="png", dpi=110, metadata={"Software": "ctrecon"})
    return stream.getvalue()


def draw_into(figure: Figure, result: Conclusion, *, title: str = "") -> Figure:
    """The same in an empty figure, with a line above where there is a ``title``; gives the figure."""
    figure.set_size_inches(15, 5.2)
    figure.set_layout_engine("constrained")
    figure.set_facecolor("white")
    image_axis, residual_axis, history_axis = figure.subplots(1, 3)
    _draw_image(figure, image_axis, result)
    _draw_residual(figure, residual_axis, result)
    _draw_history(history_axis, result)
    if title:
        figure.suptitle("\n".join(textwrap.wrap(title, 150)), parse_math=False)
    return figure


def _draw_image(figure: Figure, axis: Axes, result: Conclusion) -> None:
    image, grid = result.image, result.problem.grid
    low, high = (float(q) for q in np.percentile(image, [0.5, 99.8]))
    extent = None
    if grid is not None:
        (height, width), (x, y) = grid.size_mm, grid.centre_mm[:2]
        extent = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    drawn = axis.imshow(
        image, cmap="gray", vmin=min(0.0, low), vmax=max(high, low + 1e-12), extent=extent, interpolation="nearest"
    )
    axis.set_title("certified image" if result.certified else "image, NOT certified")
    mm = result.problem.scan.in_mm
    axis.set_xlabel(("x in mm" if mm else "x in detector cells") if extent else "column")
    axis.set_ylabel(("y in mm" if mm else "y in detector cells") if extent else "row")
    unit = " in 1/mm" if mm else " per detector cell" if extent else ""
    figure.colorbar(drawn, ax=axis, shrink=0.8, label=f"attenuation{unit}")


def _draw_residual(figure: Figure, axis: Axes, result: Conclusion) -> None:
    energy = result.problem.energy
    u = torch.from_numpy(result.image)[None, None].to(result.problem.device)
    residual = (energy.operator(u) - energy.data)[0, 0]
    label = "line integral"
    if energy.weights is not None:
        residual, label = residual * energy.weights[0, 0].sqrt(), "in standard deviations"
    values = residual.cpu().numpy()
    limit = float(np.percentile(np.abs(values), 99.5)) or 1.0
    drawn = axis.imshow(
        values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axis.set_title("residual Au - f")
    axis.set_xlabel("detector cell")
    axis.set_ylabel("view")
    figure.colorbar(drawn, ax=axis, shrink=0.8, label=label)


def _draw_history(axis: Axes, result: Conclusion) -> None:
    history = result.outcome.history
    k = [progress.iteration for progress in history]
    axis.semilogy(k, [max(p.residual, 1e-30) for p in history], "o-", color="C0", label="residual")
    axis.semilogy(k, [max(p.energy, 1e-30) for p in history], "s--", color="C1", label="energy E")
    axis.axhline(result.problem.delta.value, color="C3", label="delta")
    axis.set_xlabel("iteration")
    axis.set_title(
        f"residual {result.residual:.4g} {'<=' if result.certified else '>'} delta {result.problem.delta.value:.4g}"
    )
    axis.grid(alpha=0.3)
    axis.legend()
