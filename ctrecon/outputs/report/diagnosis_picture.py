"""The picture of a diagnosis: what no image explains, view by view, and the image that explains most."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.diagnosis.diagnose import Diagnosis
from ctrecon.support.atomic import Files


def put_diagnosis(place: Files, path: Path, diagnosis: Diagnosis) -> None:
    """A PNG: the coarse residual with the columns and views that stand out marked, and the coarse image.

    Args:
        place: What is written together with it.
        path: Of the picture.
        diagnosis: What is drawn.

    Raises:
        OutputError: Where it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fit = diagnosis.fit
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    top = float(np.quantile(np.abs(fit.residual), 0.995)) or 1.0
    drawn = left.imshow(
        fit.residual, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto", interpolation="nearest",
        extent=(0, fit.residual.shape[1] * fit.block, fit.residual.shape[0] * (fit.views.step or 1), 0),
    )  # fmt: skip
    for column in fit.columns_that_stand_out():
        left.axvline((column + 0.5) * fit.block, color="black", linewidth=0.8, linestyle=":")
    for view in fit.views_that_stand_out():
        left.axhline((view + 0.5) * (fit.views.step or 1), color="black", linewidth=0.8, linestyle=":")
    left.set(xlabel="detector cell", ylabel="view", title=f"not explained: {fit.share:.1%} of the norm of the data")
    figure.colorbar(drawn, ax=left, label="A u - f, coarse cells")
    (y0, y1), (x0, x1) = ((-size / 2 + at, size / 2 + at) for size, at in zip(
        fit.grid.size_mm, (fit.grid.centre_mm[1], fit.grid.centre_mm[0]), strict=True
    ))  # fmt: skip
    shown = right.imshow(fit.image, cmap="gray", extent=(x0, x1, y0, y1), interpolation="nearest")
    length = diagnosis.units.length
    right.set(xlabel=f"x [{length}]", ylabel=f"y [{length}]", title="the coarse image that fits best")
    figure.colorbar(shown, ax=right, label=f"attenuation [{diagnosis.units.attenuation}]")
    FigureCanvasAgg(figure)
    figure.savefig(place(path), format="png", dpi=110)
