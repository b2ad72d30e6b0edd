"""A disk that fills up at any file of any output: one line, exit code 2, and the folder is as it was.

The system itself refuses: ``RLIMIT_FSIZE`` ends every file at a given size, whoever writes it (Python, HDF5,
SimpleITK). Each command runs once freely, which shows what it writes, then once for each size at which another file
fails.
"""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from command_lines import FULL_DISK, FULL_DISK_ELSEWHERE, SCAN
from full_disk import files_end_at
from PIL import Image

from ctrecon.cli.main import Commands, cli


def run(line: str) -> Result:
    return CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run("simulate --phantom head --size 16 --views 12 --noise 2% -o scan.npz").exit_code == 0
        raw = "--rows 4 --columns 32 --per-turn 32 --turns 1.1 --feed 2 --photons 1e3 --seed 3"
        assert run(f"synthesise-projections -o raw {raw}").exit_code == 0
        Image.linear_gradient("L").resize((12, 12)).save("photo.png")
        scan = dict(np.load("scan.npz"))
        np.savez("negative.npz", **{**scan, "sinogram": -scan["sinogram"]})
        for method, delta in (("fbp", "40%"), ("cgls", "5%")):
            line = f"reconstruct scan.npz --delta {delta} --method {method} --no-preview -o {method}.npy"
            assert run(line).exit_code == 0
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """All that is there, hidden files included, but for a journal, which is there to stay, and what has times in it."""
    apart = (".journal", ".history.json", ".html")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder)
        if not any(word in path.as_posix() for word in apart)
    }  # fmt: skip


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refused(result: Result) -> None:
    assert result.exit_code == 2, result.output
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ctrecon: "), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.sampled(4)
@pytest.mark.parametrize("line", FULL_DISK)
def test_a_file_that_does_not_fit_leaves_all_as_it_was(line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in files(place)}
    done = run(line)
    assert done.exit_code == 0, done.output
    after = content(place)
    sizes = sorted({path.stat().st_size for path in files(place) if before.get(path) != path.stat().st_mtime_ns})
    assert sizes
    for size in sorted({1, sizes[len(sizes) // 2] * 3 // 5, sizes[-1] * 3 // 5}):
        with files_end_at(size):
            result = run(line)
        refused(result)
        assert content(place) == after, f"{size} bytes"
        assert not [path.name for path in place.rglob(".*") if not path.name.endswith(".journal")]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("line", [f"reconstruct {SCAN} --no-preview -o {name}" for name in ("u.npy", "series/")])
def test_a_disk_that_is_full_at_any_step_of_the_swap(line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert run(line).exit_code == 0
    failed = 0
    for name in ("replace", "fsync", "rename"):
        for k in (0, 2, 9) if line.endswith("/") else (0, 1, 2, 4, 9, 20):
            calls, real, before = list[int](), getattr(os, name), content(place)

            def full(*args: Any, k: int = k, real: Any = real, calls: list[int] = calls, **options: Any) -> Any:
                calls.append(0)
                if len(calls) == k + 1:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real(*args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, full)
                result = run(line)
            if len(calls) <= k:
                break
            if result.exit_code != 0:  # what follows the swap may fail without harm
                refused(result)
                assert "the disk is full" in result.stderr
                assert content(place) == before
                failed += 1
    assert failed >= 2


def test_every_command_with_an_output_is_here() -> None:
    """Those that are asked where to write, and those that write beside what they read."""
    context = click.Context(cli)
    with_output = {
        name for name in Commands.names()
        if isinstance(command := cli.get_command(context, name), click.Group)
        or any({"-o", "--overwrite"} & set(one.opts) for one in command.params)  # type: ignore[union-attr]
    }  # fmt: skip
    assert with_output - {line.split()[0] for line in FULL_DISK} <= FULL_DISK_ELSEWHERE


def test_a_half_written_file_would_be_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    before = content(place)
    with files_end_at(100), pytest.raises(OSError, match="File too large"):
        np.save("careless.npy", np.zeros(1000))
    assert content(place) != before
    Path("careless.npy").unlink()
