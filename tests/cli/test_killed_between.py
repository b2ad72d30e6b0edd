"""``kill -9`` at any change of a name: what stands there is all of the earlier result, or all of the new, never both.

A killed process leaves the disk as it is at that moment, so the moments of one run are looked at, between any two
renames. What a later process makes of them, ``tests/support/test_leftovers.py`` shows.
"""

from __future__ import annotations

import inspect
import os
import shlex
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from all_commands import COMMANDS
from click.testing import CliRunner
from command_lines import ADD, ARRIVE, FULL_DISK, ON_CPU, PUZZLE, WRITES
from PIL import Image

from ctrecon.cli.main import cli

# What has its outputs written by other parts, too: a report of what was changed, weights and their card, studies.
MORE = (
    "dicom deidentify raw clean --report clean.json --overwrite",
    *(f"{line} --fresh --overwrite" for line in ON_CPU),
    "reproduce fig3 --overwrite --out figures",
    "reproduce coverage --no-faults --scans 1 --overwrite -o rows.json",
    "sudoku puzzles.csv --overwrite -o solved.csv",
    # Each range is a result of its own, written as soon as it is there; and so is the map.
    "audit cgls.npy --roi 8,8,3 --ring 2 --gap 1 --iterations 2 --overwrite",
    "audit cgls.npy --ring 2 --gap 1 --scan --radius 2 --iterations 2 --overwrite",
)
RAW = "--rows 4 --columns 32 --per-turn 32 --turns 1.1 --feed 2 --photons 1e3 --seed 3"


def run(line: str) -> None:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut-off")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("simulate --phantom head --size 16 --views 12 --noise 2% -o scan.npz")
        run(f"synthesise-projections -o raw {RAW}")
        Image.linear_gradient("L").resize((12, 12)).save("photo.png")
        Path("photos").mkdir()
        Image.linear_gradient("L").resize((48, 48)).save("photos/one.png")
        Path("puzzles.csv").write_text(f"{PUZZLE}\n")
        scan = dict(np.load("scan.npz"))
        np.savez("negative.npz", **{**scan, "sinogram": -scan["sinogram"]})
        for method, delta in (("fbp", "40%"), ("cgls", "5%")):
            run(f"reconstruct scan.npz --delta {delta} --method {method} --no-preview -o {method}.npy")
    return folder


def shown(folder: Path) -> dict[str, bytes]:
    """What a reader sees: all but hidden files and what is in hidden folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }  # fmt: skip


def moments(line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], list[dict[str, bytes]]]:
    """The files that a command replaces, of which each said that it is old, and what is seen between its renames."""
    before = shown(place)
    run(line)
    # What a training goes on from, and its log, are no results: they are written while it goes on.
    apart = (".training.safetensors", ".log.jsonl")
    ours = {name for name, raw in shown(place).items() if before.get(name) != raw and not name.endswith(apart)}
    for name in ours:
        (place / name).write_bytes(b"old " + name.encode())
    seen = [shown(place)]
    with monkeypatch.context() as patch:
        for name in ("replace", "rename", "unlink", "mkdir"):
            real = getattr(os, name)

            def watched(*words: Any, real: Any = real, **more: Any) -> Any:
                done = real(*words, **more)
                seen.append(shown(place))
                return done

            patch.setattr(os, name, watched)
        run(line)
    return ours, [*seen, shown(place)]


@pytest.mark.long
@pytest.mark.parametrize("line", [*FULL_DISK, *MORE])
def test_no_old_file_stands_beside_a_new_one(line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    ours, seen = moments(line, place, monkeypatch)
    assert len(ours) >= 1
    for moment in seen:
        old = {name for name in ours if moment.get(name) == b"old " + name.encode()}
        new = ours & set(moment) - old
        assert not (old and new), f"old: {sorted(old)}, new: {sorted(new)}"
        for name in new:
            assert moment[name] == seen[-1][name], f"{name} is half written"
    assert not [name for name in ours if seen[-1].get(name, b"old").startswith(b"old")]
    assert not [path.name for path in place.rglob(".*") if not path.name.endswith(".journal")]


# The same parts write them as others that are here, and they take minutes or data of their own.
ELSEWHERE = {
    "benchmark", "safety", "train-volumes", "reproduce fig1", "reproduce fig2", "reproduce fig4", "reproduce table1",
    "reproduce table2", "reproduce helsinki", "reproduce lodopab",
}  # fmt: skip


def test_every_command_that_writes_is_here() -> None:
    here = {name for name in WRITES for line in (*FULL_DISK, *MORE) if f"{line} ".startswith(f"{name} ")}
    assert here.isdisjoint(ELSEWHERE)
    assert here | ELSEWHERE == set(WRITES), here ^ (set(WRITES) - ELSEWHERE)
    # What is added to: ``ARRIVE`` in test_killed_while_arriving.py, the node in tests/dicom/network, and studies that
    # write line by line (``test_a_study_goes_on_where_it_stopped``).
    studies = {name for name in ADD if "resumed" in inspect.getsource(cast("Any", COMMANDS[name].callback))}
    assert set(ADD) - set(ARRIVE) - studies == {"dicom listen"}


def test_files_written_one_by_one_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.run", lambda line: [one_by_one(tmp_path / name) for name in ("a", "b")])
    _, seen = moments("", tmp_path, monkeypatch)
    assert any(moment["a"] == b"new" and moment["b"] == b"old b" for moment in seen)


def one_by_one(path: Path) -> None:
    path.with_name("." + path.name).write_bytes(b"new")
    os.replace(path.with_name("." + path.name), path)  # noqa: PTH105
