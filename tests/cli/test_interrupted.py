"""Ctrl-C says whether anything was written; what is there is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from cli_scans import files
from click.testing import CliRunner

from ctrecon.cli.ended import end_in_good_order
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


@pytest.mark.skipif(os.name == "nt", reason="a process is not asked to end there, it is ended")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_being_asked_to_end_is_an_interrupt(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(signal, name)

    def asked(*_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(Head, "sample", asked)
    before = {one: signal.getsignal(getattr(signal, one)) for one in ("SIGTERM", "SIGHUP")}
    try:
        for one in before:
            signal.signal(getattr(signal, one), signal.SIG_DFL)
        end_in_good_order()
        done = CliRunner().invoke(cli, ["simulate", "--phantom", "head", "--size", "16", "-o", str(tmp_path / "s.npz")])
        assert signal.getsignal(number) is signal.SIG_DFL, "a second one ends it at once"
    finally:
        for one, how in before.items():
            signal.signal(getattr(signal, one), how)
    assert done.exit_code == 130
    assert done.stderr == "ctrecon: interrupted; no result was written\n"
    assert files(tmp_path) == set()


@pytest.mark.skipif(os.name == "nt", reason="there is no nohup")
def test_the_command_takes_them_so_but_for_what_is_ignored() -> None:
    begin = "import os, signal; import ctrecon.cli.main as main; "
    ask = "main.cli = lambda **_: [os.kill(os.getpid(), one) for one in (signal.SIGHUP, signal.SIGTERM)]; main.main()"
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    for code, last in ((begin + ask, "SIGHUP"), (begin + ignore + ask, "SIGTERM")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "KeyboardInterrupt" in done.stderr, last
