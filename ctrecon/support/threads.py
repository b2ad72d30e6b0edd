"""Split a loop over the processor's threads. The kernels release the interpreter lock.

Numbers too small to be normal (below 1e-38 in float32) are taken for 0 in such a loop: a projector in space took twenty
times as long over them, and an image that decays to 0, as MLEM's beside the object, is full of them.

A child of ``os.fork`` inherits pools of threads without their threads: whatever waits for them waits for ever, here and
in torch's own loops. So a child begins with one thread, as torch's DataLoader has it for its workers; one that asks
``torch.set_num_threads`` for more gets a pool of its own here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

_TINY, _HALF = np.finfo(np.float32).tiny, np.float32(0.5)


@lru_cache(maxsize=4)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """One pool for each number of workers in each ``process``."""
    return ThreadPoolExecutor(workers, thread_name_prefix="ctrecon", initializer=_flush)


def _flush() -> None:
    torch.set_flush_denormal(True)


@contextmanager
def _flushed() -> Iterator[None]:
    """The same for the caller's thread, which gets back the mode it had."""
    kept = bool(_TINY * _HALF > 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if kept:
            torch.set_flush_denormal(False)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def threads() -> int:
    """As many as torch uses, so that one setting rules all."""
    return torch.get_num_threads()


def split(count: int, work: Callable[[int, int], None], *, grain: int = 1, pieces: int | None = None) -> None:
    """Call ``work(start, stop)`` on pieces of ``range(count)``, on all threads; no piece below ``grain``.

    The pieces do not depend on timing, so results are the same in every run with the same thread count.
    """
    workers = min(threads(), max(1, count // grain))
    if workers == 1:
        with _flushed():
            work(0, count)
        return
    # Four pieces a thread: views and rows cost unequally, and a late thread should not hold up the rest.
    pieces = min(4 * workers if pieces is None else pieces, count)
    bounds = [count * k // pieces for k in range(pieces + 1)]
    pool = _pool(workers, os.getpid())
    jobs = [pool.submit(work, a, b) for a, b in pairwise(bounds)]
    for job in jobs:
        job.result()
