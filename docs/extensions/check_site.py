"""Looks at a site as a reader without a network does: every link leads somewhere, nothing comes from elsewhere.

    python docs/extensions/check_site.py site

Links to other sites are allowed in `<a href>` alone. Scripts, styles, fonts and pictures must lie in the folder, also
those that a style sheet names.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REMOTE = ("http:", "https:", "//", "ws:", "wss:")
# Relations of <link> that fetch nothing by themselves.
IDLE = {"canonical", "search", "index", "genindex", "next", "prev", "author", "license", "help", "alternate"}
URL = re.compile(r"""url\(\s*['"]?([^'")]+)['"]?\s*\)|@import\s+['"]([^'"]+)['"]""")


class Page(HTMLParser):
    """The anchors of a page, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self._in_style = tag == "style"
        if tag in ("a", "area"):
            self.links += [given["href"]] if "href" in given else []
        elif tag == "link":
            idle = set(given.get("rel", "").split()) & IDLE
            (self.links if idle else self.loaded).append(given.get("href", ""))
        else:
            self.loaded += [given[name] for name in ("src", "data", "poster") if tag != "meta" and given.get(name)]
            self.loaded += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        self.loaded += [a or b for a, b in URL.findall(given.get("style", ""))]

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.loaded += [a or b for a, b in URL.findall(data)]


def html_of(site: Path) -> list[Path]:
    """The pages; `_static` holds templates of the theme, too."""
    return [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


def faults(site: Path) -> list[str]:
    """A line for each link that leads nowhere and for each thing that is not in the folder."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in html_of(site)}
    found = [] if pages else [f"{site}: holds no page"]
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: loads {one}" for one in page.loaded if not _inside(path, one)]
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target, anchor = _target(path, link)
            if not target.exists():
                found.append(f"{name}: {link} leads nowhere")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{name}: {link} has no such place")
    for style in sorted(site.rglob("*.css")):
        for a, b in URL.findall(style.read_text(encoding="utf-8")):
            if not _inside(style.resolve(), a or b):
                found.append(f"{style.relative_to(site)}: loads {a or b}")
    return found


def _target(path: Path, link: str) -> tuple[Path, str]:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    return target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def _inside(path: Path, link: str) -> bool:
    """Whether what is loaded is a file of the site, or stands in the page itself."""
    if link.startswith(("data:", "#")) or not link:
        return True
    return not link.lower().startswith(REMOTE) and _target(path, link)[0].exists()


def main() -> int:
    site = Path(sys.argv[1])
    found = faults(site)
    said = f"{len(html_of(site))} pages: links lead somewhere, nothing is loaded from elsewhere"
    print("\n".join(found) or said)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
