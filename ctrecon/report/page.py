"""The page: one HTML file that needs nothing outside itself, and is forbidden to ask for it.

Text goes through Jinja2 with autoescape; the only markup put in unescaped is this package's own style, script and
drawing of the geometry, and Plotly's script. The content security policy allows exactly those two scripts, by their
hashes, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image as Picture
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from ctrecon.errors import OutputError
from ctrecon.measurement.units import Units
from ctrecon.outputs.geometry_picture import draw_geometry
from ctrecon.report import figures, words
from ctrecon.report.audits import Audit
from ctrecon.report.content import Content
from ctrecon.report.facts import details, geometry_rows, lists, steps, verify_commands
from ctrecon.report.scale import Scale, choose_scale
from ctrecon.support.atomic import atomic_write
from ctrecon.support.places import check_places
from ctrecon.support.versions import versions

_HERE = files("ctrecon.report")


def render(content: Content, *, water_mu_per_mm: float | None = None, written: datetime | None = None) -> str:
    """The whole page: one HTML text that asks nothing of any network.

    Args:
        content: Of the report.
        water_mu_per_mm: Attenuation of water, for Hounsfield units; None for what the content says.
        written: The time it names; None for now.

    Returns:
        HTML.
    """
    scale = choose_scale(content.image, content.grid, water_mu_per_mm, units=content.units)
    audits = [audit for audit in content.audits if not audit.refused] + [a for a in content.audits if a.refused]
    drawn: dict[str, Any] = {}
    drawn["image"], reduced = figures.image_figure(
        content.image, content.grid, scale, audits, units=content.units,
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
    shown = scale.shown(content.image)
    scripts = {"plotly": get_plotlyjs(), "page": _own("page.js")}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    environment.filters |= {"number": words.number, "json": htmlsafe_json_dumps}
    return environment.from_string(_own("template.html")).render(
        content=content,
        said=words.say(content),
        audits=[_told(k, audit, scale, content.units) for k, audit in enumerate(audits, 1)],
        outlined=sum(not audit.refused for audit in audits),
        scale=scale,
        windows=scale.windows(shown),
        low=float(shown.min()),
        high=float(shown.max()),
        reduced=reduced,
        residual_reduced=residual_reduced,
        figures=drawn,
        still=_still(shown),
        steps=steps(content.history),
        geometry=geometry_rows(content),
        geometry_picture=_geometry(content),
        details=details(content),
        lists=lists(content),
        commands=verify_commands(content),
        made_with=dict((content.claim or {}).get("made_with") or {}) if content.claim else {},
        page_with={**versions(), "plotly.js": get_plotlyjs_version()},
        written=(written or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        style=Markup(_own("style.css")),
        scripts={name: Markup(text) for name, text in scripts.items()},
        policy=_policy(scripts),
    )


def write_page(path: Path, content: Content, *, water_mu_per_mm: float | None = None) -> None:
    """Write the page, whole or not at all.

    Args:
        path: Of the file.
        content: Of the report.
        water_mu_per_mm: As of ``render``.

    Raises:
        OutputError: Where the place cannot be written.
    """
    text = render(content, water_mu_per_mm=water_mu_per_mm)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def check_place(path: Path, *inputs: Path, overwrite: bool = False) -> None:
    """Before any work: refuse a page that is no .html, cannot be written, is there already, or is one of ``inputs``.

    Raises:
        OutputError: With the remedy.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"the report is a page, so {path.name} must end in .html")
    check_places([path], overwrite=overwrite, inputs=inputs)


def _told(k: int, audit: Audit, scale: Scale, units: Units) -> tuple[int, Audit, str, str, str, str]:
    own = words.number(scale.difference(audit.value), 3)
    return k, audit, words.verdict_of(audit), words.say_audit(audit, scale), words.limits_of(audit, units), own


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(scripts: dict[str, str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts.values()]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Plotly writes style attributes; styles cannot ask for anything outside where no source is allowed.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _geometry(content: Content) -> Markup | None:
    if content.geometry is None or content.grid is None:
        return None
    return Markup(draw_geometry(content.geometry, content.grid, units=content.units).svg())


def _still(shown: np.ndarray[Any, Any]) -> str:
    """The image over its full range as a data URL, for where no script runs: mail previews, strict viewers."""
    low, high = float(shown.min()), float(shown.max())
    grey = np.clip(255 * (shown - low) / max(high - low, 1e-12), 0, 255).astype(np.uint8)
    picture = Picture.fromarray(grey)
    picture.thumbnail((512, 512))
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
