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
from ctrecon.reconstruction.pieces import Piece, Pieces, batch_key, beside, files_of, job_key
from ctrecon.reconstruction.settings import Settings

RAW = "--rows 4 --columns 48 --per-turn 48 --turns 1.3 --feed 2 --photons 1e3 --seed 3"
ASKED = "--spacing 0.5 --size 32 --pixel-mm 15 --method cgls --no-preview"
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


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_9_loses_the_slice_in_hand_alone(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "killed").mkdir()
    line = f"reconstruct {raw} {ASKED} -o {tmp_path}/killed/s/"
    child = subprocess.run([sys.executable, "-c", KILLED, *line.split()], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [".s.journal"], "nothing half-written"
    assert len(list((tmp_path / "killed" / ".s.journal").glob("batch-*.json"))) == 2

    kept, real = [], Pieces.keep
    with monkeypatch.context() as patch:
        patch.setattr(Pieces, "keep", lambda self, number, *more: (kept.append(number), real(self, number, *more))[1])
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
def result():
    beam = ct.ParallelBeam(angles_rad=tuple(np.arange(6) / 2), detector_count=12)
    scan = ct.Scan(sinogram=np.random.default_rng(3).random((6, 12)), geometry=beam, grid=ct.Grid(rows=12, columns=12))
    return ct.reconstruct(scan, delta=1.0, method="cgls", iterations=1).conclusion


def test_a_batch_is_found_by_all_that_it_follows_from(result) -> None:
    settings, net = Settings(method="cgls"), torch.nn.Linear(2, 2)
    scan, job = result.problem.scan, job_key(settings, None, device="cpu")
    other = scan.sinogram.copy()
    other[0, 0] += 1e-6
    keys = [
        batch_key(job, [scan]),
        batch_key(job, [scan, scan]),
        batch_key(job, [scan], more=(1,)),
        batch_key(job, [replace(scan, sinogram=other)]),
        batch_key(job, [replace(scan, variance=np.ones_like(other))]),
        batch_key(job, [replace(scan, mask=other > 0.2)]),
        batch_key(job, [replace(scan, z_mm=1.0)]),
        batch_key(job, [replace(scan, geometry=scan.geometry.with_center(5.0))]),
        batch_key(job, [replace(scan, grid=replace(scan.grid, pixel_mm=1.1))]),
        batch_key(job_key(settings, None, device="cuda"), [scan]),
        batch_key(job_key(Settings(method="cgls", delta="2%"), None, device="cpu"), [scan]),
        batch_key(job_key(Settings(method="cgls", iterations=3), None, device="cpu"), [scan]),
        batch_key(job_key(settings, net, device="cpu"), [scan]),
    ]
    with torch.no_grad():
        net.weight[0, 0] += 1
    keys.append(batch_key(job_key(settings, net, device="cpu"), [scan]))
    assert len(set(keys)) == len(keys)
    assert batch_key(job, [scan]) == keys[0]


def test_what_was_kept_comes_back_and_what_was_changed_does_not(result, tmp_path: Path) -> None:
    pieces, key = Pieces(beside(tmp_path / "s")), "a" * 64
    assert pieces.recall(1, key) is None
    pieces.keep(1, key, [Piece(index=k, files=files_of(result, scan=True), record={"z_mm": k}) for k in range(2)])
    back = pieces.recall(1, key)
    assert back is not None
    assert [one["record"] for one in back] == [{"z_mm": 0}, {"z_mm": 1}]
    assert np.array_equal(np.load(pieces.path(1, "image")), result.image)
    assert pieces.recall(1, "b" * 64) is None
    assert pieces.recall(2, key) is None
    paths = list(pieces.folder.iterdir())
    assert len(paths) == 1 + 2 * len(files_of(result, scan=True)) >= 7
    for path in paths:
        sound = path.read_bytes()
        for broken in (sound[:-3], b"", sound[:-1] + bytes([sound[-1] ^ 1]), b"[1, 2]", b"\xff" * 40):
            path.write_bytes(broken)
            assert pieces.recall(1, key) is None
        path.write_bytes(sound)
    assert pieces.recall(1, key) == back
    (pieces.folder / "mine.txt").write_text("not ours")
    (pieces.folder / ".slice-0001.0123abcd.part.npy").write_text("cut off")
    pieces.sweep()
    assert len(list(pieces.folder.iterdir())) == len(paths) + 1
    pieces.remove()
    assert [path.name for path in pieces.folder.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_one_line(result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pieces = Pieces(tmp_path / "file" / "j")
    with pytest.raises(OutputError, match="cannot be written"):
        pieces.keep(1, "a" * 64, [Piece(index=0, files=files_of(result), record={})])
