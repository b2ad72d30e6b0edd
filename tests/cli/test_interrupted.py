"""Ctrl-C says whether anything was written; what is there is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from cli_scans import files
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.phantoms.families.head import Head


@pytest.mark.parametrize("written", [False, True])
def test_an_interrupt_says_whether_anything_was_written(
    written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, say = tmp_path / "scan.npz", click.echo

    def interrupted(*words: object, **how: Any) -> None:
        if not how.get("err"):
            raise KeyboardInterrupt
        say(*words, **how)

    # The command tells of its files when they are there; before that, it asks for a phantom.
    monkeypatch.setattr(*((click, "echo", interrupted) if written else (Head, "sample", interrupted)))
    line = ["simulate", "--phantom", "head", "--size", "16", "--views", "12", "-o", str(output)]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 130
    said = "what was written is whole, scan.truth.npy last" if written else "no result was written"
    assert done.stderr == f"ctrecon: interrupted; {said}\n"
    assert files(tmp_path) == ({"scan.npz", "scan.truth.npy"} if written else set())
