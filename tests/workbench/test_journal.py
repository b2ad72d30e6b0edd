"""A job of many slices that is killed loses the slice in hand alone, and ends as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import OutputError
from ctrecon.reconstruction.journal import Journal, beside, key_of
from ctrecon.reconstruction.problem import IterationRecord, Outcome
from ctrecon.reconstruction.settings import Settings

RAW = "--rows 4 --columns 48 --per-turn 48 --turns 1.3 --feed 2 --photons 1e3 --seed 3"
ASKED = "--spacing 0.2 --size 32 --pixel-mm 15 --method cgls --no-preview"
KILLED = """
import os, signal, sys
from ctrecon.cli.main import cli
from ctrecon.reconstruction import run
begun, real = [], run.prepare

def prepare(*args, **options):
    begun.append(0)
    if len(begun) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)

run.prepare = prepare
cli(sys.argv[1:])
"""


def run(words: str) -> Result:
    return CliRunner().invoke(cli, words.split(), catch_exceptions=False)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal") / "raw"
    assert run(f"synthesise-projections -o {folder} {RAW}").exit_code == 0
    return folder


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_9_loses_the_slice_in_hand_alone(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "killed").mkdir()
    line = f"reconstruct {raw} {ASKED} -o {tmp_path}/killed/s/"
    child = subprocess.run([sys.executable, "-c", KILLED, *line.split()], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [".s.journal"], "nothing half-written"
    assert len(list((tmp_path / "killed" / ".s.journal").iterdir())) == 4

    kept, real = [], Journal.keep
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "keep", lambda self, key, outcome: (kept.append(key), real(self, key, outcome))[1])
        done = run(line)
    assert done.exit_code == 0, done.output
    assert "2 slices were taken over" in done.output
    whole = run(f"reconstruct {raw} {ASKED} -o {tmp_path}/whole/")
    assert "taken over" not in whole.output
    names = sorted(path.name for path in (tmp_path / "whole").glob("ct-*.dcm"))
    assert len(kept) == len(names) - 2 > 0
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["s"], "the journal is gone"
    for name in names:
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("killed/s", "whole"))
        assert pixels(one) == pixels(other)
    claims = [sorted(tmp_path.glob(f"{folder}/**/*.certificate.json")) for folder in ("killed/s", "whole")]
    assert len(claims[0]) == len(claims[1]) == len(names)
    for one, other in zip(*claims, strict=True):
        assert one.read_bytes() == other.read_bytes()


def pixels(file: bytes) -> bytes:
    """All that is stored, up from the pixels' group: UIDs differ from series to series."""
    return file[file.index(b"\xe0\x7f\x10\x00") :]


@pytest.fixture(scope="module")
def problem():
    beam = ct.ParallelBeam(angles_rad=tuple(np.arange(6) / 2), detector_count=12)
    scan = ct.Scan(sinogram=np.random.default_rng(3).random((6, 12)), geometry=beam)
    return ct.reconstruct(scan, delta=1.0, method="cgls", iterations=1).conclusion.problem


def test_a_piece_is_found_by_all_that_it_follows_from(problem) -> None:
    settings, net = Settings(method="cgls"), torch.nn.Linear(2, 2)
    scan = problem.scan
    other = scan.sinogram.copy()
    other[0, 0] += 1e-6
    keys = [
        key_of(problem, settings, None),
        key_of(replace(problem, scan=replace(scan, sinogram=other)), settings, None),
        key_of(replace(problem, scan=replace(scan, geometry=scan.geometry.with_center(5.0))), settings, None),
        key_of(replace(problem, scan=replace(scan, grid=replace(scan.grid, pixel_mm=1.1))), settings, None),
        key_of(replace(problem, delta=replace(problem.delta, value=0.9)), settings, None),
        key_of(problem, Settings(method="cgls", iterations=3), None),
        key_of(problem, settings, net),
    ]
    with torch.no_grad():
        net.weight[0, 0] += 1
    keys.append(key_of(problem, settings, net))
    assert len(set(keys)) == len(keys)
    assert key_of(problem, settings, None) == keys[0]


def test_what_was_kept_comes_back_and_what_was_changed_does_not(tmp_path: Path) -> None:
    journal, key = Journal(beside(tmp_path / "s")), "a" * 64
    outcome = Outcome(
        image=np.random.default_rng(0).random((3, 4)).astype(np.float32), reason="discrepancy met",
        history=(IterationRecord(0, 2.5, 1.5), IterationRecord(1, 1e-30, float("inf"))),
    )  # fmt: skip
    assert journal.recall(key, (3, 4)) is None
    journal.keep(key, outcome)
    back = journal.recall(key, (3, 4))
    assert back is not None
    assert np.array_equal(back.image, outcome.image)
    assert (back.reason, back.history) == (outcome.reason, outcome.history)
    assert journal.recall(key, (4, 3)) is None
    for name in (f"{key}.npy", f"{key}.json"):
        path = journal.folder / name
        sound = path.read_bytes()
        for broken in (sound[:-3], b"", sound[:-1] + bytes([sound[-1] ^ 1]), b"[1, 2]", b"\xff" * 40):
            path.write_bytes(broken)
            assert journal.recall(key, (3, 4)) is None
        path.write_bytes(sound)
    (journal.folder / "mine.txt").write_text("not ours")
    journal.remove()
    assert [path.name for path in journal.folder.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "j")
    with pytest.raises(OutputError, match="cannot be written"):
        journal.keep("a" * 64, Outcome(image=np.zeros((1, 1), np.float32), reason="", history=()))
