"""Split a loop over the processor's threads. The kernels release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="ctrecon")


def split(count: int, work: Callable[[int, int], None], *, grain: int = 1) -> None:
    """Call ``work(start, stop)`` on pieces of ``range(count)``, as many as torch uses threads.

    The pieces do not depend on timing, so results are the same in every run with the same thread count.
    """
    workers = min(torch.get_num_threads(), max(1, count // grain))
    if workers == 1:
        work(0, count)
        return
    # Four pieces a thread: views and rows cost unequally, and a late thread should not hold up the rest.
    pieces = min(4 * workers, count)
    bounds = [count * k // pieces for k in range(pieces + 1)]
    jobs = [_pool(workers).submit(work, a, b) for a, b in pairwise(bounds)]
    for job in jobs:
        job.result()
