"""A table of image quality says how many images and patients it is of, and its interval, or that it has none."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUALITY = re.compile(r"PSNR|\bdB\b|Huber-TV \||AUC|SSIM", re.IGNORECASE)
NEAR = 25


def tables(text):
    """The number of the line at which each table begins, and its header."""
    lines = text.splitlines()
    for k, line in enumerate(lines[:-1]):
        if line.startswith("|") and re.fullmatch(r"\|[ :|-]+\|", lines[k + 1]):
            yield k, line


def led_in(lines, k):
    """The paragraph before the table that begins at line ``k``: it may name the unit in the place of the header."""
    end = k
    while end > 0 and not lines[end - 1].strip():
        end -= 1
    start = end
    while start > 0 and lines[start - 1].strip() and not lines[start - 1].startswith(("|", "#", "`")):
        start -= 1
    return " ".join(lines[start:end])


def missing(text):
    """The headers of tables of quality near which neither images and patients nor an interval are spoken of."""
    lines, found = text.splitlines(), []
    for k, header in tables(text):
        near = " ".join(lines[max(0, k - NEAR) : k + 60])
        if (QUALITY.search(header) or re.search(r"PSNR|\bdB\b", led_in(lines, k))) and not (
            re.search(r"patients|objects?\b|pictures", near) and re.search(r"interval", near)
            and re.search(r"95%|ha(ve|s) no(ne| interval)|is no interval|are no intervals", near)
        ):  # fmt: skip
            found.append(header)
    return found


WEIGHTS = ROOT / "ctrecon" / "networks" / "weights"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(WEIGHTS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tables_of_quality_say_what_they_are_means_of(page):
    assert missing(page.read_text()) == []


def test_a_bare_table_is_found():
    assert missing("Better.\n\n| set | PSNR in dB |\n|---|---|\n| chest | 40.1 |\n")
    assert missing("Mean PSNR of sets:\n\n| set | ours |\n|---|---|\n| chest | 40.1 |\n")
