"""The shell completes commands, options and values; what docs/completion.md tells it to do is done here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
eval "$(_CTRECON_COMPLETE=bash_source ctrecon)"
"""
ONE = """
COMP_WORDS=({words}) COMP_CWORD={last}
_ctrecon_completion ctrecon
echo "${{COMPREPLY[@]}}"
COMPREPLY=()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a command ``ctrecon`` of this tree."""
    program = tmp_path / "ctrecon"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ctrecon.cli.main "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}{os.pathsep}{os.environ['PATH']}"


def completed(path: str, *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line, in one shell."""
    asked = [line.split(" ") for line in lines]
    script = ASK + "".join(
        ONE.format(words=" ".join(f"'{word}'" for word in words), last=len(words) - 1) for words in asked
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": root}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=True
    )  # fmt: skip
    return [line.split() for line in done.stdout.split("\n")[: len(lines)]]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_commands_options_and_values(path: str) -> None:
    command, option, value, nothing = completed(
        path, "ctrecon rec", "ctrecon reconstruct --meth", "ctrecon reconstruct --method hub", "ctrecon no-such"
    )
    assert command == ["reconstruct"]
    assert option == ["--method"]
    assert value == ["huber-tv"]
    assert nothing == []


def asked(path: str, shell: str, script: str, home: Path) -> list[str]:
    """The lines that another shell says to a script."""
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": root, "HOME": str(home), "ZDOTDIR": str(home)}
    done = subprocess.run(
        [shell, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=True
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.split("\n")


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish on this machine")
def test_fish_completes_commands_and_values(path: str, tmp_path: Path) -> None:
    script = "_CTRECON_COMPLETE=fish_source ctrecon | source; complete -C 'ctrecon rec'; "
    said = asked(path, "fish", script + "complete -C 'ctrecon reconstruct --method hub'", tmp_path)
    assert said[0].startswith("reconstruct")
    assert "huber-tv" in said


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on this machine")
def test_zsh_knows_whom_to_ask(path: str, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "completion.md").read_text()
    (line,) = (one for one in page.split("\n") if one.startswith("echo '") and one.endswith("' >> ~/.zshrc"))
    script = line.removeprefix("echo '").removesuffix("' >> ~/.zshrc").replace("compinit;", "compinit -u;")
    said = asked(path, "zsh", f"{script}; print $_comps[ctrecon]", tmp_path)
    assert said[0] == "_ctrecon_completion"
    words = "COMP_WORDS='ctrecon rec' COMP_CWORD=1 _CTRECON_COMPLETE=zsh_complete ctrecon"
    assert asked(path, "zsh", words, tmp_path)[1] == "reconstruct"
