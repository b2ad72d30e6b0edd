"""Loops over threads, and what a forked child inherits of them: nothing that it would wait for."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from ctrecon.support.threads import split

# Each child is given this long; without the fork's care it would wait for ever.
PATIENCE_S = 120

# Products of every kind before the fork, on two threads; afterwards the same again, in the child.
BEGIN = """
import multiprocessing, os, sys, warnings
import numpy as np, torch
warnings.simplefilter("ignore")
torch.set_num_threads(2)
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import sparse_operator

beam = ParallelBeam(angles_rad=np.arange(40) * np.pi / 40, detector_count=64)
grid = Grid(rows=48, columns=48)
A, B, fbp = JosephOperator(beam, grid), sparse_operator(beam, grid), FilteredBackProjection(beam, grid)

def work(seed=0):
    x = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(seed))
    f = A(x)
    large = torch.rand(600, 600) @ torch.rand(600, 600)
    return float((fbp(f) + A.adjoint(f) + B.adjoint(B(x))).sum()) + 0 * float(large.sum())

expected = work()
"""
FORKS = {
    "os.fork": """
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(theirs, repr(work()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert abs(float(os.read(ours, 100)) / expected - 1) < 1e-5
    """,
    "multiprocessing": """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map(work, [0, 0, 0])
        assert all(abs(result / expected - 1) < 1e-5 for result in results)
    """,
    "DataLoader": """
        class Scans(torch.utils.data.Dataset):
            def __len__(self):
                return 6
            def __getitem__(self, k):
                if k >= 6:
                    raise IndexError
                return torch.tensor(work(), dtype=torch.float64)
        loader = torch.utils.data.DataLoader(Scans(), batch_size=2, num_workers=2, multiprocessing_context="fork")
        values = torch.cat(list(loader))
        assert len(values) == 6 and bool(((values / expected - 1).abs() < 1e-5).all())
    """,
    "more threads in the child": """
        child = os.fork()
        if child == 0:
            assert torch.get_num_threads() == 1
            from ctrecon.support import threads
            threads.threads = lambda: 2
            done = []
            threads.split(10, lambda a, b: done.append(b - a))
            os._exit(0 if sum(done) == 10 and len(done) > 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
    """,
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because this one's threads belong to the other tests."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, "-c", code], timeout=PATIENCE_S, capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture(scope="module")
def forked() -> tuple[list[str], str]:
    """Which forks worked, one after the other in one process, and what it said of the one that did not."""
    code = "".join(f"{textwrap.dedent(text)}\nprint({how!r}, flush=True)\n" for how, text in FORKS.items())
    try:
        done = run(BEGIN + code)
    except subprocess.TimeoutExpired as waited:
        return (waited.stdout or b"").decode().splitlines(), f"no end after {PATIENCE_S} s"
    return done.stdout.splitlines(), done.stderr


@pytest.mark.sampled(1)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("how", FORKS)
def test_a_child_works_after_a_fork(how: str, forked: tuple[list[str], str]) -> None:
    worked, said = forked
    assert how in worked, said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_pool_that_lost_its_threads_would_be_noticed() -> None:
    broken = """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        pool.submit(int).result()
        child = os.fork()
        if child == 0:
            try:
                pool.submit(int).result(timeout=2)
            except TimeoutError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """
    done = run("import os\n" + textwrap.dedent(broken))
    assert done.returncode == 0, done.stderr


def test_pieces_cover_a_loop_once_and_their_errors_arrive() -> None:
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for count in (0, 1, 7, 100):
            seen: list[int] = []
            split(count, lambda a, b, seen=seen: seen.extend(range(a, b)))
            assert sorted(seen) == list(range(count))
        with pytest.raises(ZeroDivisionError):
            split(9, lambda a, b: 1 // 0)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("flushes", [False, True])
def test_numbers_below_the_normal_ones_are_0_in_a_loop_and_the_caller_keeps_its_mode(threads, flushes):
    """Or a product in space of an image that MLEM made took twenty times as long."""
    small, seen, before = torch.tensor([1e-40]), [], torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flushes)
    try:
        split(8, lambda a, b: seen.append(float(small / 2)))
        assert seen
        assert set(seen) == {0.0}
        assert (float(small / 2) == 0) is flushes
        with pytest.raises(ZeroDivisionError):
            split(1, lambda a, b: 1 // 0)
        assert (float(small / 2) == 0) is flushes
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
