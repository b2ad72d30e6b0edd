"""Two images of one scan, their difference, and the discs in which the data were asked to decide, drawn."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ctrecon.auditing.versus import Versus
from ctrecon.support.arrays import Array

# By what is wrong: colour, line, and words of the legend. The letters are said beside each disc, too.
_LOOKS = {
    (): ("0.3", ":", "not decided between A and B"),
    ("A",): ("#b2182b", "-", "the data decide: A is wrong"),
    ("B",): ("#2166ac", "-", "the data decide: B is wrong"),
    ("A", "B"): ("#762a83", "--", "the data decide: both are wrong"),
}


def draw_versus(found: Versus, images: tuple[Array, Array], names: tuple[str, str]) -> bytes:
    """A PNG with A, B and A - B ``[rows, columns]``; each disc is numbered as in the list, with a legend below."""
    figure = Figure(figsize=(15.5, 6.4), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 3)
    unit = found.audit.evidence.units.attenuation
    low, high = (float(q) for q in np.percentile(np.stack(images), [0.5, 99.8]))
    high = max(high, low + 1e-12)
    for axis, image, name, letter in zip(axes, images, names, "AB", strict=False):
        drawn = axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(f"{letter}: {name}", fontsize="medium", parse_math=False)
        figure.colorbar(drawn, ax=axis, shrink=0.7, label=f"value in {unit}" if unit else "value")
    difference = images[0].astype(np.float64) - images[1]
    most = float(np.percentile(np.abs(difference), 99.8)) or 1e-12
    drawn = axes[2].imshow(difference, cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest")
    axes[2].set_title("A - B")
    figure.colorbar(drawn, ax=axes[2], shrink=0.7, label=f"difference in {unit}" if unit else "difference")
    for k, one in enumerate(found.disputed, start=1):
        colour, line, _ = _LOOKS[one.wrong if one.decided else ()]
        for axis in axes:
            axis.add_patch(
                Circle((one.column, one.row), found.radius, facecolor="none", edgecolor=colour, linestyle=line,
                       linewidth=2 if one.decided else 1.2)
            )  # fmt: skip
        plate = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        where = (one.column, one.row)
        axes[2].annotate(str(k), where, ha="center", va="center", color=colour, fontsize="small", bbox=plate)
    for axis in axes:
        axis.set_xlabel("column")
        axis.set_ylabel("row")
    handles = [
        Circle((0, 0), 1, facecolor="none", edgecolor=colour, linestyle=line, label=words)
        for colour, line, words in _LOOKS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"The {len(found.disputed)} discs of the largest difference; {found.audit.condition}", fontsize="medium",
        parse_math=False,
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": "ctrecon"})
    return stream.getvalue()
