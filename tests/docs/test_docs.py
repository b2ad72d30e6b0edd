"""The documentation's links lead somewhere, and the files that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ASIDE = ("CONTRIBUTING.md", "SECURITY.md")


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / name for name in ASIDE)], ids=lambda p: p.name)
def test_links_and_file_names_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:ctrecon|cli|phantoms|tests|docs|\.ci)/[\w./-]+)`", text):
        place = ROOT / name
        assert (place.parent if "NAME" in place.name else place).exists(), name
