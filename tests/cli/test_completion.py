"""The shell completes commands, options and values; what docs/completion.md tells bash to do is done here."""

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
