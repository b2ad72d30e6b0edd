"""Templates filled with text: escaped, with a policy that allows the page's own scripts alone, and no request."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image as Picture
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from ctrecon.outputs.geometry_picture import draw_geometry
from ctrecon.outputs.report.content import Content
from ctrecon.outputs.report.facts import details, geometry_rows, lists, steps, verify_commands
from ctrecon.outputs.report.words import number
from ctrecon.support.arrays import Array
from ctrecon.support.versions import versions

_HERE = files("ctrecon.outputs.report")
_MARKS = {"certified": "✓", "refused": "✕", "infeasible": "∅"}


def fill(template: str, content: Content, scripts: Sequence[str], *, written: datetime | None, **values: Any) -> str:
    """A page about ``content``.

    Args:
        template: A file of this package.
        content: What every page says something of.
        scripts: Files of this package, after Plotly and what all pages share.
        written: The time it names; None for now.
        **values: What the template has beyond that; they take precedence.

    Returns:
        HTML that needs nothing outside itself.
    """
    code = [get_plotlyjs(), *(_own(name) for name in ("plots.js", *scripts))]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        loader=jinja2.FunctionLoader(_own),
    )
    environment.filters |= {"number": number, "json": htmlsafe_json_dumps}
    doubtful = content.empty or bool(content.doubts)
    common = {
        "content": content,
        "mood": "not-certified" if doubtful else content.status.replace(" ", "-"),
        "mark": "!" if doubtful else _MARKS.get(content.status, "!"),
        "steps": steps(content.history),
        "geometry": geometry_rows(content),
        "geometry_picture": _geometry(content),
        "details": details(content),
        "lists": lists(content),
        "commands": verify_commands(content),
        "made_with": dict((content.claim or {}).get("made_with") or {}),
        "page_with": {**versions(), "plotly.js": get_plotlyjs_version()},
        "written": (written or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        "style": Markup(_own("style.css")),
        "scripts": [Markup(text) for text in code],
        "policy": _policy(code),
    }
    return environment.get_template(template).render(common | values)


def still(shown: Array) -> str:
    """A picture over its full range as a data URL, for where no script runs: mail previews, strict viewers."""
    low, high = float(shown.min()), float(shown.max())
    grey = np.clip(255 * (shown - low) / max(high - low, 1e-12), 0, 255).astype(np.uint8)
    picture = Picture.fromarray(grey)
    picture.thumbnail((512, 512))
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _geometry(content: Content) -> Markup | None:
    if content.geometry is None or content.grid is None:
        return None
    return Markup(draw_geometry(content.geometry, content.grid, units=content.units).svg())


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Plotly writes style attributes; styles cannot ask for anything outside where no source is allowed.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
