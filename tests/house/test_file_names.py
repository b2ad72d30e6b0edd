"""Names that every file system can hold, and links that nothing depends on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESERVED = {"con", "prn", "aux", "nul", *(f"{kind}{k}" for kind in ("com", "lpt") for k in range(1, 10))}
# Windows takes 260 characters for a whole path; this leaves room for the folder of the clone.
LONGEST = 160


def trouble(name: str) -> str | None:
    """Why Windows cannot hold a path, or None."""
    for part in name.split("/"):
        if any(c in '<>:"\\|?*' or ord(c) < 32 for c in part):
            return "a character that Windows refuses"
        if part.endswith((".", " ")):
            return "a dot or space at the end"
        if part.split(".")[0].strip().lower() in RESERVED:
            return "a name that Windows keeps for a device"
    return "too long" if len(name) > LONGEST else None


def collisions(names: list[str]) -> list[str]:
    """Names that differ in case alone, folders included."""
    parts = {"/".join(name.split("/")[:k]) for name in names for k in range(1, name.count("/") + 2)}
    twice = {low for low, count in Counter(part.lower() for part in parts).items() if count > 1}
    return sorted(part for part in parts if part.lower() in twice)


def listed() -> list[str]:
    """What git tracks, or would; without git, such as in an unpacked sdist, all that is there."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        places = [ROOT / name for name in ("ctrecon", "tests", "docs")]
        return [path.relative_to(ROOT).as_posix() for place in places for path in place.rglob("*")]
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def test_every_name_in_the_tree_can_be_held_everywhere() -> None:
    names = listed()
    assert len(names) > 300
    assert not {name: why for name in names if (why := trouble(name))}
    assert not collisions(names)


@pytest.mark.parametrize(
    "name",
    [
        "ords = (x", "a:b.py", "docs/what?.md", "aux.py", "tests/Con", "x/nul.tar.gz", "lpt1", "dot.", "space ", "a\nb",
        'quote"', "back\\slash", "star*", "<", ">", "pipe|", "x" * 161,
    ],
)
def test_what_windows_refuses_is_found(name: str) -> None:
    assert (trouble(name) is not None) == (name != "ords = (x")
    assert trouble("ctrecon/console.py") is None


def test_collisions_of_case_are_found() -> None:
    assert collisions(["a/B.py", "a/b.py", "c.py"]) == ["a/B.py", "a/b.py"]
    assert collisions(["Docs/a", "docs/b"]) == ["Docs", "docs"]


def test_the_links_at_the_top_are_all_and_lead_to_real_folders() -> None:
    links = {name: (ROOT / name).readlink().as_posix() for name in listed() if (ROOT / name).is_symlink()}
    # In a clone without links they are text files; there is nothing to test then.
    assert links in ({"cli": "ctrecon/cli", "phantoms": "ctrecon/phantoms"}, {})
    for real in (ROOT / "ctrecon" / "cli", ROOT / "ctrecon" / "phantoms"):
        assert real.is_dir()
        assert not real.is_symlink()


def test_no_tool_walks_a_link() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--show-files", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    shown = [Path(line).relative_to(ROOT).as_posix() for line in done.stdout.splitlines()]
    assert any(name.startswith("ctrecon/cli/") for name in shown)
    assert not [name for name in shown if name.startswith(("cli/", "phantoms/"))]
