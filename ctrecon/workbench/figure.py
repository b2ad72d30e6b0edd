"""The figure that ``Reconstruction.show`` gives: image, residual and history as one picture, the verdict above.

Matplotlib takes a second to load, so this file is imported where something is drawn, and not before.
"""

from __future__ import annotations

import io
import textwrap

import matplotlib
from matplotlib.figure import Figure
from matplotlib.image import imread

from ctrecon.outputs.preview import draw_preview
from ctrecon.reconstruction.conclude import Conclusion

# As drawn, and what the title takes.
_DOTS_PER_INCH, _LINE_INCHES, _LINE_CHARACTERS = 110, 0.24, 150
_WINDOWS = ("gtk3agg", "gtk3cairo", "gtk4agg", "gtk4cairo", "macosx", "qtagg", "qtcairo", "tkagg", "tkcairo", "wxagg")


class ShownFigure(Figure):
    """A figure that a notebook draws by itself: matplotlib's own are text there until pyplot is imported."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()


def figure_of(conclusion: Conclusion, said: str) -> Figure:
    """Draw a conclusion with the sentence ``said`` above, in a window where matplotlib has some."""
    picture = imread(io.BytesIO(draw_preview(conclusion)))
    lines = textwrap.wrap(said, _LINE_CHARACTERS)
    height, width = picture.shape[0] / _DOTS_PER_INCH, picture.shape[1] / _DOTS_PER_INCH
    above = _LINE_INCHES * (len(lines) + 1)
    figure = _blank()
    figure.set_dpi(_DOTS_PER_INCH)
    figure.set_size_inches(width, height + above)
    axis = figure.add_axes((0, 0, 1, height / (height + above)))
    axis.set_axis_off()
    axis.imshow(picture, aspect="auto", interpolation="nearest")
    figure.suptitle("\n".join(lines), parse_math=False)
    return figure


def _blank() -> Figure:
    """In a window where matplotlib has some; else a figure that needs no display."""
    if matplotlib.get_backend().lower() in _WINDOWS:
        import matplotlib.pyplot as plt

        return plt.figure(FigureClass=ShownFigure)
    return ShownFigure()
