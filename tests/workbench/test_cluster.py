"""Batches on Dask: worker processes give the bytes of one process, also where one of them is killed in the midst."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from distributed import Client, LocalCluster, Security
from stacks import QUICK, npy_stack

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import SettingError
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.stack.cluster import Cluster

SETTINGS = Settings(method="fbp", delta="12%")
ROWS = 6


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_bytes_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real scheduler and two workers, though in threads; the test with processes takes longer."""
    monkeypatch.setattr("ctrecon.reconstruction.together._MOST", 2)
    scan = npy_stack(tmp_path, rows=4)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    ct.reconstruct_stack(scan, tmp_path / "one" / "v.zarr", SETTINGS, preview=False)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        ct.reconstruct_stack(
            scan, tmp_path / "two" / "v.zarr", SETTINGS, preview=False,
            executor=Cluster(scheduler=cluster.scheduler_address),
        )  # fmt: skip
    assert files_in(tmp_path / "two" / "v.zarr") == files_in(tmp_path / "one" / "v.zarr")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_a_worker_that_is_killed_loses_nothing_and_the_bytes_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrecon.reconstruction.together._MOST", 1)
    torch.set_num_threads(1)
    scan = npy_stack(tmp_path, rows=ROWS)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    ct.reconstruct_stack(scan, tmp_path / "one" / "v.zarr", SETTINGS, preview=False)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=0
    ) as cluster, Client(cluster, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
        journal, killed = tmp_path / "two" / ".v.zarr.journal", []

        def kill_once_a_batch_is_done() -> None:
            for _ in range(6000):
                if list(journal.glob("batch-*.json")):
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)
                    return
                time.sleep(0.01)

        killer = threading.Thread(target=kill_once_a_batch_is_done)
        killer.start()
        made = ct.reconstruct_stack(
            scan, tmp_path / "two" / "v.zarr", SETTINGS, preview=False,
            executor=Cluster(scheduler=cluster.scheduler_address),
        )  # fmt: skip
        killer.join()
    assert killed
    assert made.certified == made.planned == ROWS
    assert files_in(tmp_path / "two" / "v.zarr") == files_in(tmp_path / "one" / "v.zarr")


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="not both"):
        Cluster(workers=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SettingError, match="must be >= 1"):
        Cluster(workers=0)
    scan = npy_stack(tmp_path)
    done = CliRunner().invoke(cli, f"reconstruct {scan} -o {tmp_path}/v.npy --row 0 --workers 2 {QUICK}".split())
    assert done.exit_code == 2
    assert "add --all-slices" in done.output


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Dask's own port for pages, 8787, which another job has, or anything."""
    with socket.socket() as port:
        with contextlib.suppress(OSError):
            port.bind(("127.0.0.1", 8787))
            port.listen()
        yield port


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_else_can_tell_our_processes_what_to_do(taken: socket.socket) -> None:
    """A scheduler runs whatever it is sent: another user of the machine has no certificate, or another one."""
    with Cluster(workers=1).elsewhere() as products:
        address = products._client.scheduler.address
        assert products._client.submit(os.getpid).result() != os.getpid()
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(SettingError, match="it wants certificates"), Cluster(scheduler=address).elsewhere():
            pass
        with pytest.raises(OSError):
            Client(address.replace("tls", "tcp"), timeout="2s", set_as_default=False)
        with pytest.raises(OSError):
            Client(address, security=Security.temporary(), timeout="2s", set_as_default=False)
        pages = products._client.scheduler_info()["services"]["dashboard"]
        for path in ("/info/main/workers.html", "/json/identity.json", "/metrics"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{pages}{path}")
