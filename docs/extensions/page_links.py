"""Names of pages become links: `docs/units.md` in a page, a docstring or the help of a command.

In a terminal such a name is what a person can open; on the site it leads there. The pages that lie beside this folder
(CHANGELOG.md, CONTRIBUTING.md) are shown on the site by the pages that include them.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

NAME = re.compile(r"docs/(\w+)\.md(?:#([\w-]+))?")
INCLUDED = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}


def linked(app: Sphinx, tree: nodes.document) -> None:
    """Put a reference about each literal that is a page's name."""
    for literal in list(tree.findall(nodes.literal)):
        found = NAME.fullmatch(literal.astext())
        if found is None or isinstance(literal.parent, (nodes.reference, pending_xref)):
            continue
        page, anchor = found.groups()
        if page not in app.env.found_docs:
            continue
        target = f"/{page}" if anchor is None else f"/{page}.md#{anchor}"
        link = pending_xref(
            "", refdomain="std" if anchor is None else "doc", reftype="doc" if anchor is None else "myst",
            reftarget=target if anchor is None else page, reftargetid=anchor, refdoc=app.env.docname,
            refexplicit=True, refwarn=True,
        )  # fmt: skip
        literal.replace_self(link)
        link += literal


def on_the_site(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links to the pages beside the folder, and from those into it, as links between pages of the site."""
    for beside, page in INCLUDED.items():
        source[0] = source[0].replace(f"](../{beside}", f"]({page}")


def from_beside(app: Sphinx, path: Path, docname: str, source: list[str]) -> None:
    """What a page includes from beside the folder links into it from there."""
    if Path(path).name in INCLUDED:
        source[0] = source[0].replace("](docs/", "](")
        for beside, page in INCLUDED.items():
            source[0] = source[0].replace(f"]({beside}", f"]({page}")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", linked)
    app.connect("source-read", on_the_site)
    app.connect("include-read", from_beside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
