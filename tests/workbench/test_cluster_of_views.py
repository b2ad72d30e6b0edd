"""A cone beam whose views are spread over Dask's workers: the bytes of one process, also where a worker is killed."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster

import ctrecon as ct
from ctrecon.errors import SettingError
from ctrecon.operators.volume.spread import back_project, project
from ctrecon.support import elsewhere
from ctrecon.workbench.products import Products
from ctrecon.workbench.stack.cluster import Cluster

LOCAL: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
# Dask leaves a socket to the collector of garbage, which comes at any time.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def scan() -> ct.Scan:
    return ct.simulate("ellipsoids", beam="cone", size=12, views=14, noise=0.02, seed=3).scan


def test_the_bytes_are_those_of_one_process(scan: ct.Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real scheduler and two workers, though in threads; the test with processes takes longer."""
    monkeypatch.setattr(elsewhere, "VIEWS", 4)
    used = []
    monkeypatch.setattr(Products, "close", lambda self: used.append(self) or setattr(self, "_client", None))
    one = ct.reconstruct(scan, method="cgls", delta="30%")
    with LocalCluster(**LOCAL, processes=False) as cluster:
        two = ct.reconstruct(scan, method="cgls", delta="30%", executor=Cluster(scheduler=cluster.scheduler_address))
    assert used
    assert two.certified
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.residual, two.residual)
    # What is asked of the result later is computed here, of a copy as well.
    operator = two.conclusion.problem.operator
    volume = torch.rand((1, *operator.domain_shape), generator=torch.Generator().manual_seed(1))
    assert torch.equal(operator(volume), pickle.loads(pickle.dumps(operator))(volume))


def test_one_image_is_not_shared() -> None:
    flat = ct.simulate("head", size=16, views=12, seed=1)
    with pytest.raises(SettingError, match="add --all-slices"):
        ct.reconstruct(flat, executor=Cluster(workers=1))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_a_worker_that_is_killed_loses_nothing(scan: ct.Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "VIEWS", 2)
    geometry, grid = scan.geometry, scan.with_grid().grid
    volume = np.random.default_rng(1).random(grid.shape, dtype=np.float32)
    blocks = [(geometry, grid, *block) for block in elsewhere.blocks(geometry.shape[0])]
    with LocalCluster(**LOCAL, host="127.0.0.1") as cluster, Client(cluster, set_as_default=False) as client:
        products = Products(client)
        exact = list(products.each(project, volume, blocks))
        for round_ in range(3):
            victims, killed = list(client.run(os.getpid).values())[: 1 + round_ % 2], list[int]()
            killer = threading.Thread(target=_kill, args=(victims, killed))
            killer.start()
            found = [data for _ in range(8) for data in products.each(project, volume, blocks)]
            killer.join()
            assert killed == victims
            assert all(np.array_equal(one, exact[k % len(exact)]) for k, one in enumerate(found))
            parts = [(*block[:2], exact[k], block[2]) for k, block in enumerate(blocks)]
            assert len(list(products.each(back_project, None, parts))) == len(blocks)


def _kill(processes: list[int], killed: list[int]) -> None:
    time.sleep(0.05)
    for process in processes:
        os.kill(process, signal.SIGKILL)
        killed.append(process)
