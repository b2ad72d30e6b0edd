"""The picture beside a reconstruction: the image, what of the data it leaves unexplained, and how it got there."""

from __future__ import annotations

import io
import textwrap

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ctrecon.reconstruction.conclude import Conclusion

# Where the three panels stand and their colour bars, from left to right, in parts of the figure's width; between them
# is room for the widest tick labels. Places that are known need no layout, which would draw everything once more.
_IMAGE, _IMAGE_BAR, _RESIDUAL, _RESIDUAL_BAR, _HISTORY = (
    (0.045, 0.240), (0.297, 0.012), (0.415, 0.235), (0.662, 0.012), (0.782, 0.210),
)  # fmt: skip
_SIZE_INCHES = (15.0, 5.2)
# Of the figure's height: below the panels, above them, and a line of the title.
_BELOW, _ABOVE, _LINE = 0.105, 0.07, 0.045


def draw_preview(result: Conclusion) -> bytes:
    """A PNG with image (1/mm), residual sinogram, and E and residual over the iterations with delta drawn."""
    stream = io.BytesIO()
    figure = draw_into(Figure(dpi=110), result)
    # Not ``savefig``, which draws twice: first to learn sizes that are known here.
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": "ctrecon"})  # type: ignore[no-untyped-call]
    return stream.getvalue()


def draw_into(figure: Figure, result: Conclusion, *, title: str = "") -> Figure:
    """The same in an empty figure, with a line above where there is a ``title``; gives the figure."""
    lines = textwrap.wrap(title, 150)
    figure.set_size_inches(*_SIZE_INCHES)
    figure.set_facecolor("white")
    height = 1 - _BELOW - _ABOVE - _LINE * len(lines)

    def place(panel: tuple[float, float], part: float = 1.0) -> Axes:
        left, width = panel
        axis: Axes = figure.add_axes((left, _BELOW + (1 - part) / 2 * height, width, part * height))
        return axis

    _draw_image(place(_IMAGE), place(_IMAGE_BAR, 0.8), result)
    _draw_residual(place(_RESIDUAL), place(_RESIDUAL_BAR, 0.8), result)
    _draw_history(place(_HISTORY), result)
    if lines:
        figure.suptitle("\n".join(lines), parse_math=False)
    return figure


def _draw_image(axis: Axes, bar: Axes, result: Conclusion) -> None:
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
    _colour_bar(bar, drawn, label=f"attenuation{unit}")


def _draw_residual(axis: Axes, bar: Axes, result: Conclusion) -> None:
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
    _colour_bar(bar, drawn, label=label)


def _colour_bar(axis: Axes, drawn: AxesImage, *, label: str) -> None:
    axis.figure.colorbar(drawn, cax=axis, label=label)
    # A factor of all labels ("1e-9") stands above them, not to the left, over the panel.
    axis.yaxis.set_offset_position("right")
    axis.yaxis.get_offset_text().set_horizontalalignment("left")


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
