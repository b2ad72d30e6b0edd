"""The documentation's code runs, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p.read_text(), "python")], ids=lambda p: p.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "tutorial"}
    for code in blocks(page.read_text(), "python"):
        exec(compile(code, page.name, "exec", dont_inherit=True), space)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_file_names_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:ctrecon|cli|phantoms|tests|docs)/[\w/]+\.(?:py|md))`", text):
        assert (ROOT / name).exists(), name


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = blocks((ROOT / "README.md").read_text(), "sh")[0]
    ran = 0
    for line in first.splitlines():
        words = shlex.split(line, comments=True)
        # Training takes an hour; tests/cli/test_cli.py trains for seconds and uses what comes out.
        if not words or words[0] != "ctrecon" or "train-phantoms" in words or "mine.safetensors" in words:
            continue
        result = CliRunner().invoke(cli, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{line}: {result.output}"
        ran += 1
    assert ran >= 5
