"""The state of a job in a file: the same again, whole or not there, never that of another job."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from cores import THREADS
from volumes import noisy

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import SettingError
from ctrecon.io.write import write_scan
from ctrecon.reconstruction import checkpoint_file
from ctrecon.reconstruction.checkpoint_file import CheckpointFile, remove_checkpoint
from ctrecon.support.progress import Progress

CPU = torch.device("cpu")
KILLED = """
import os, signal, sys
from ctrecon.cli.main import cli
from ctrecon.reconstruction import checkpoint_file
checkpoint_file.SECONDS = checkpoint_file._SHARE = 0.0
calls, real = [], checkpoint_file.CheckpointFile._write

def cut(*given):
    real(*given)
    calls.append(0)
    if len(calls) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint_file.CheckpointFile._write = cut
cli(sys.argv[2:])
"""


def kept(path: Path, key: str = "a", said: list[str] | None = None) -> CheckpointFile:
    return CheckpointFile(path, lambda: key, say=(lambda text: None) if said is None else said.append, seconds=0)


def state() -> dict[str, Any]:
    u = torch.rand(1, 1, 3, 4)
    numbers = [1, 0.1, float("inf"), True, None, "text", (torch.tensor([True, False]), [torch.arange(3)])]
    return {"u": u, "same": u, "part of it": u[..., 1:, ::2], "numbers": numbers, "empty": {}}


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    path, before = tmp_path / ".v.journal" / "c.safetensors", state()
    assert kept(path).recall(CPU) is None
    kept(path).offer(lambda: before)
    found = kept(path).recall(CPU)
    assert list(found) == list(before)
    assert torch.equal(found["u"], before["u"])
    assert found["u"] is found["same"], "what was one is one again"
    assert torch.equal(found["part of it"], before["part of it"])
    assert found["numbers"][:6] == before["numbers"][:6]
    assert found["numbers"][6][0].dtype == torch.bool
    remove_checkpoint(path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_asked_before_it_is_time(tmp_path: Path) -> None:
    CheckpointFile(tmp_path / "c.safetensors", lambda: "a", seconds=1000).offer(lambda: pytest.fail("asked"))


@pytest.mark.parametrize("how", ["another key", "a bit", "cut short", "no safetensors", "another header"])
def test_what_is_not_this_jobs_state_is_not_gone_on_from(tmp_path: Path, how: str) -> None:
    path, said = tmp_path / "c.safetensors", list[str]()
    kept(path).offer(state)
    raw = path.read_bytes()
    changed = {
        "another key": raw, "a bit": raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:], "cut short": raw[:-5],
        "no safetensors": b"hello", "another header": raw.replace(b"ctrecon-checkpoint/1", b"ctrecon-checkpoint/9"),
    }  # fmt: skip
    path.write_bytes(changed[how])
    assert kept(path, "b" if how == "another key" else "a", said).recall(CPU) is None
    assert len(said) == 1
    assert "begins anew" in said[0]
    path.write_bytes(raw)
    assert kept(path).recall(CPU) is not None


def test_a_place_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "file").touch()
    place = kept(tmp_path / "file" / "c.safetensors", "a", said)
    place.offer(state)
    place.offer(state)
    assert len(said) == 1
    assert "the job goes on" in said[0]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cone") / "scan.npz"
    write_scan(path, noisy()[0])
    return path


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_9_of_a_cone_and_again_gives_the_same_bytes(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(THREADS))
    torch.set_num_threads(THREADS)
    line = ["reconstruct", str(scan), "--method", "cgls", "--delta", "8%", "--no-preview", "-o"]
    child = subprocess.run(
        [sys.executable, "-c", KILLED, "2", *line, str(tmp_path / "v.npy")], capture_output=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".v.npy.journal"], "nothing half-written"
    done = CliRunner().invoke(cli, [*line, str(tmp_path / "v.npy")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "goes on from where an earlier run was cut off" in done.output
    assert not (tmp_path / ".v.npy.journal").exists()
    alone = CliRunner().invoke(cli, [*line, str(tmp_path / "alone.npy")], catch_exceptions=False)
    assert "goes on" not in alone.output
    for part in (".npy", ".data.npy"):
        assert (tmp_path / f"v{part}").read_bytes() == (tmp_path / f"alone{part}").read_bytes()


def test_from_python_a_job_goes_on_and_leaves_nothing(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_file, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_file, "_SHARE", 0.0)
    place, heard = tmp_path / "job.safetensors", list[Progress]()

    def cut(now: Progress) -> None:
        if now.stage == "descent" and now.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ct.reconstruct(scan, method="cgls", delta="8%", checkpoint=place, progress=cut)
    assert place.is_file()
    found = ct.reconstruct(scan, method="cgls", delta="8%", checkpoint=place, progress=heard.append)
    assert next(one.done for one in heard if one.stage == "descent") == 4, "three are not done again"
    assert np.array_equal(found.image, ct.reconstruct(scan, method="cgls", delta="8%").image)
    assert not place.exists()


def test_what_no_file_holds_is_refused_in_one_line(scan: Path, tmp_path: Path) -> None:
    place = tmp_path / "job.safetensors"
    with pytest.raises(SettingError, match="of your own may remember what no file holds; drop checkpoint"):
        ct.reconstruct(scan, delta="8%", direction=lambda point: -point.gradient, checkpoint=place)
    with pytest.raises(SettingError, match=r"must end in \.safetensors"):
        ct.reconstruct(scan, delta="8%", checkpoint=tmp_path / "job")
