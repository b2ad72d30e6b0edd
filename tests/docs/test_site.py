"""The site has every page in its contents, examples that can be read, and a check that notices what is broken."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "extensions"))

from check_site import faults  # noqa: E402

EXAMPLES = sorted((DOCS / "gallery").glob("plot_*.py"))
HEADING = re.compile(r"^#+ (.+)$", re.M)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def entries(page: Path) -> set[str]:
    """What the contents of a page list."""
    return set(re.findall(r"^   ([\w/]+)$", page.read_text(encoding="utf-8"), re.M))


def anchors(text: str) -> set[str]:
    """The places of a page as forges name them: lower case, no punctuation, hyphens for spaces."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings}


def broken_anchors(page: Path) -> list[str]:
    found = []
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        other = page if not target else (page.parent / target).resolve()
        if other.suffix == ".md" and anchor not in anchors(other.read_text(encoding="utf-8")):
            found.append(f"{target}#{anchor}")
    return found


def test_every_page_stands_in_the_contents() -> None:
    listed = set().union(*(entries(page) for page in DOCS.glob("*.rst")))
    assert {page.stem for page in DOCS.glob("*.md")} - listed == set(), "add them to a section's .rst"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_to_places_lead_there_on_a_forge(page: Path) -> None:
    assert broken_anchors(page) == []


def test_a_link_to_no_place_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# A `b`: c\n```\n# no\n```\n[x](#a-b-c) [y](#no) [z](a.md#z)\n")
    assert broken_anchors(page) == ["#no", "a.md#z"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_shows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    said = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert len(said) >= 4
    assert said[1] == "=" * len(said[0])
    assert len(code) < 75
    assert "plt" in text
    assert "# %%" in text


def test_the_check_of_the_site_notices(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "own.css").write_text("a { background: url(own.svg) }")
    (tmp_path / "_static" / "own.svg").write_text("<svg/>")
    page = tmp_path / "index.html"
    page.write_text(
        '<link rel="stylesheet" href="_static/own.css"><h1 id="here">x</h1><a href="#here">x</a>'
        '<a href="https://example.org">elsewhere</a><img src="data:image/png;base64,AA==">'
    )
    assert faults(tmp_path) == []
    whole = page.read_text()
    for bad in (
        '<a href="#nowhere">x</a>', '<a href="gone.html">x</a>', '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">', '<img src="gone.png">',
        '<img srcset="http://e.org/a.png 2x">',
        "<style>@import 'https://fonts.example/f.css'</style>", '<p style="background: url(https://e.org/a.png)">x</p>',
        '<iframe src="https://e.org"></iframe>',
    ):  # fmt: skip
        page.write_text(whole + bad)
        assert len(faults(tmp_path)) == 1, bad
    page.write_text(whole)
    (tmp_path / "_static" / "own.css").write_text("@font-face { src: url('https://fonts.example/f.woff2') }")
    assert len(faults(tmp_path)) == 1
    assert faults(tmp_path / "_static") != []
