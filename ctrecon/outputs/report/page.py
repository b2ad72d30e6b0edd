"""The page: one HTML file that needs nothing outside itself, and is forbidden to ask for it.

Text goes through Jinja2 with autoescape; the only markup put in unescaped is this package's own style, scripts and
drawing of the geometry, and Plotly's script (``filling.py``). The content security policy allows exactly those scripts,
by their hashes, and no request at all.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ctrecon.errors import OutputError
from ctrecon.measurement.units import Units
from ctrecon.outputs.report import figures, words
from ctrecon.outputs.report.audits import Audit
from ctrecon.outputs.report.content import Content
from ctrecon.outputs.report.facts import quoted
from ctrecon.outputs.report.filling import fill, still
from ctrecon.outputs.report.members_figure import members_figure
from ctrecon.outputs.report.scale import Scale, choose_scale
from ctrecon.outputs.report.stack_content import StackContent
from ctrecon.outputs.report.volume_page import render_stack, render_volume
from ctrecon.support.atomic import atomic_write
from ctrecon.support.places import check_places


def render(content: Content, *, water_mu_per_mm: float | None = None, written: datetime | None = None) -> str:
    """The whole page about an image or a volume: one HTML text that asks nothing of any network.

    Args:
        content: Of the report.
        water_mu_per_mm: Attenuation of water, for Hounsfield units; None for what the content says.
        written: The time it names; None for now.

    Returns:
        HTML.
    """
    if content.image.ndim == 3:
        return render_volume(content, water_mu_per_mm=water_mu_per_mm, written=written)
    scale = choose_scale(content.image, content.grid, water_mu_per_mm, units=content.units)
    audits = [audit for audit in content.audits if not audit.refused] + [a for a in content.audits if a.refused]
    drawn: dict[str, Any] = {}
    drawn["image"], reduced = figures.image_figure(
        content.image, content.grid, scale, audits, units=content.units, axes=content.axes,
        undecided_beyond_mm=None if content.residual is None else content.residual.undecided_beyond_mm,
    )  # fmt: skip
    residual_reduced = 1
    if content.residual is not None:
        drawn["residual"], residual_reduced = figures.residual_figure(content.residual)
        if content.residual.axis is not None and content.residual.axis.columns:
            drawn["axis"] = figures.axis_figure(content.residual.axis)
    if content.history is not None and content.history.progress:
        drawn["descent"], drawn["energy"] = figures.convergence_figures(content.history)
    if any(not audit.refused for audit in audits):
        drawn["ranges"] = figures.ranges_figure(audits, scale)
    members = content.members
    if members is not None and members.listed is not None and members.range is not None:
        drawn["members"] = members_figure(members.range, members.listed, content.grid, scale, units=content.units)
    shown = scale.shown(content.image)
    return fill(
        "image.html", content, ["image.js"], written=written,
        said=words.say(content),
        audits=[_told(k, audit, scale, content.units) for k, audit in enumerate(audits, 1)],
        outlined=sum(not audit.refused for audit in audits),
        members=members,
        quoted_image=quoted(f"{content.stem}.npy"),
        scale=scale,
        windows=scale.windows(shown),
        low=float(shown.min()),
        high=float(shown.max()),
        reduced=reduced,
        residual_reduced=residual_reduced,
        figures=drawn,
        still=still(shown),
    )  # fmt: skip


def write_page(path: Path, content: Content, *, water_mu_per_mm: float | None = None) -> None:
    """Write the page, whole or not at all.

    Args:
        path: Of the file.
        content: Of the report, on an image or a volume.
        water_mu_per_mm: As of ``render``.

    Raises:
        OutputError: Where the place cannot be written.
    """
    _write(path, render(content, water_mu_per_mm=water_mu_per_mm))


def write_stack_page(path: Path, stack: StackContent, *, water_mu_per_mm: float | None = None) -> None:
    """The same about a stack.

    Args:
        path: Of the file.
        stack: What was found of it.
        water_mu_per_mm: Attenuation of water; None for what the stack says.

    Raises:
        OutputError: Where the place cannot be written.
    """
    _write(path, render_stack(stack, water_mu_per_mm=water_mu_per_mm))


def check_place(path: Path, *inputs: Path, overwrite: bool = False) -> None:
    """Before any work: refuse a page that is no .html, cannot be written, is there already, or is one of ``inputs``.

    Raises:
        OutputError: With the remedy.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"the report is a page, so {path.name} must end in .html")
    check_places([path], overwrite=overwrite, inputs=inputs)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _told(k: int, audit: Audit, scale: Scale, units: Units) -> tuple[int, Audit, str, str, str, str]:
    own = words.number(scale.difference(audit.value), 3)
    return k, audit, words.verdict_of(audit), words.say_audit(audit, scale), words.limits_of(audit, units), own
