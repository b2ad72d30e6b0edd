"""What a command refuses: one line, exit code 2, nothing written; ``--debug`` shows where it came from."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from all_commands import COMMANDS
from cli_scans import files, run, simulated


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("scan") / "scan.npy")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--delta", "-1"), "-1"),
        (("--delta", "0"), "0"),
        (("--delta", "nan"), "nan"),
        (("--delta", "soon"), "soon"),
        (("--delta", "0%"), "0%"),
        (("--every", "0"), "every"),
        (("--size", "-3"), "-3"),
        (("--pixel-mm", "0"), "pixel_mm"),
        (("--center", "left"), "left"),
        (("--center", "1e9"), "1000000000"),
        (("--prior", "no-such"), "no-such"),
        (("--geometry", "nowhere.json"), "nowhere.json"),
        (("--operator", "astra"), "GPU"),
        (("--quantile", "1.5"), "1.5"),
        (("--device", "toaster"), "toaster"),
        (("--no-such-option",), "--no-such-option"),
        (("--method", "fbp", "--iterations", "3"), "--iterations"),
        (("--window", "hann"), "--window"),
        (("--quantile", "2", "--delta", "1%"), "2"),
        (("--quantile", "0.9", "--delta", "1%"), "--quantile"),
        (("--row", "0"), "--row"),
        (("-o", "u.tiff"), "has a single slice"),
        (("-o", "no/such/folder/u.npy"), "no/such/folder"),
    ],
)
def test_bad_settings_are_one_line_code_2_and_no_file(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = () if "-o" in args else ("-o", "u.npy")
    result = run("reconstruct", scan, *output, *args)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("ctrecon: ")
    assert words in lines[0]
    assert "Traceback" not in result.output
    assert files(tmp_path) == set()


def test_no_output_replaces_an_input(scan: Path, tmp_path: Path) -> None:
    own = tmp_path / "y.data.npy"
    own.write_bytes(scan.read_bytes())
    own.with_suffix(".json").write_text(scan.with_suffix(".json").read_text())
    before = own.read_bytes()
    for output in (own, tmp_path / "y.npy"):
        result = run("reconstruct", own, "--method", "fbp", "-o", output)
        assert result.exit_code == 2
        assert "would replace" in result.stderr
        assert own.read_bytes() == before
    assert run("simulate", "--image", own, "-o", own).exit_code == 2
    (tmp_path / "z.data.npy").mkdir()
    assert run("reconstruct", own, "--method", "fbp", "-o", tmp_path / "z.npy").exit_code == 2
    assert files(tmp_path) == {"y.data.npy", "y.data.json", "z.data.npy"}


def test_errors_are_one_json_object_where_json_was_asked_for(scan: Path) -> None:
    for args in (("reconstruct", scan, "--delta", "-1"), ("reconstruct", "missing.npy"), ("info", "missing.npy")):
        result = run(*args, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["status"] == "bad input"
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("noise", ["nan%", "-1%", "much", "1%%"])
def test_percentages_are_read_in_one_way(tmp_path: Path, noise: str) -> None:
    for command in (("simulate", "-o", tmp_path / "a.npz"), ("benchmark",)):
        result = run(*command, "--noise", noise)
        assert result.exit_code == 2
        assert f"must be a percentage like 1%, got '{noise}'" in result.stderr


def test_bad_files_are_one_line_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.npy").touch()
    Path("text.npy").write_text("hello")
    np.save("words.npy", np.array([["a", "b"]]))
    np.save("nan.npy", np.full((8, 8), np.nan))
    Path("\x1b[31mred\n.npy").write_text("hello")
    before = files(tmp_path)
    for name in (*before, "missing.npy", "."):
        result = run("reconstruct", name, "-o", "u.npy")
        assert result.exit_code == 2, name
        assert "Traceback" not in result.output
        assert "\x1b" not in result.stderr
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ["info", "missing.npy"], ["reconstruct", "broken.npy"], ["report", "broken.npy", "-o", "x.html"],
        ["superres", "broken.npy"], ["sudoku", "12"], ["rebin", ".", "-o", "x.npz"],
        ["audit", "broken.npy", "--roi", "1,1,1"], ["dicom", "deidentify", "broken.npy", "out"],
        ["dicom", "get", "1.2", "--from", "A@b:x", "-o", "out"],
        ["data", "fetch", "nothing"],
    ],
)
def test_debug_shows_where_it_came_from(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    plain = run(*words)
    assert plain.exit_code == 2
    assert "Traceback" not in plain.output
    for line in (["--debug", *words], [*words, "--debug"], [words[0], "--debug", *words[1:]]):
        shown = run(*line)
        assert shown.exit_code == 2
        assert "Traceback (most recent call last)" in shown.stderr
        assert 'ctrecon/' in shown.stderr
        # The line for a person stays, and stays the last one.
        assert shown.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
        assert shown.stdout == plain.stdout


def test_debug_shows_what_a_message_replaced(tmp_path: Path) -> None:
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    shown = run("info", tmp_path / "broken.npy", "--debug")
    assert shown.stderr.count("Traceback (most recent call last)") > 1
    assert "During handling of the above exception" in shown.stderr


def test_after_two_dashes_debug_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--debug" in run("info", "--", "--debug").stderr


def test_a_read_only_folder_is_refused_before_any_work(scan: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/u.npy")
    else:
        target = tmp_path / "locked" / "u.npy"
        target.parent.mkdir(mode=0o500)
    result = run("reconstruct", scan, "--delta", "10%", "-o", target)
    assert result.exit_code == 2
    assert str(target.with_suffix("")) in result.stderr


def test_a_disk_that_is_full_below_standard_output_is_one_line(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say = click.echo

    def full(*words: Any, **how: Any) -> None:
        if not how.get("err"):
            raise OSError(errno.ENOSPC, "No space left on device")
        say(*words, **how)

    monkeypatch.setattr(click, "echo", full)
    for more in ((), ("--json",)):
        result = run("info", scan, "--geometry", "parallel-180", *more)
        assert result.exit_code == 2
        assert result.stderr.startswith("ctrecon: [Errno 28] No space left on device")
        assert result.stderr.count("\n") == 1


ENDLESS = [
    (name, option.name)
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option.type, click.FloatRange) and option.type.max is None
]


@pytest.mark.parametrize(("command", "option"), ENDLESS)
def test_no_range_takes_what_no_clock_counts(command: str, option: str | None) -> None:
    found = COMMANDS[command]
    for value in (math.nan, math.inf, 1e300):
        context = click.Context(found)
        context.params = {one.name: value if one.name == option else None for one in found.params}
        with pytest.raises(click.BadParameter, match="no number up to"):
            found.invoke(context)
