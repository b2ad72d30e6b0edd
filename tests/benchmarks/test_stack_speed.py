"""Slices a second of a stack, over a process for each slice: ``pytest tests/benchmarks --benchmark-enable``.

Processor time of the children, in one run: 16 rows of 512 x 512 pixels and 360 views by ``fbp``, half of them as a
process each. The bar is three times as many.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stacks import npy_stack
from test_small_job import CLI, processor_seconds

BAR = 3.0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_stack_is_three_times_as_fast_as_a_process_for_each_slice(
    full: bool, benchmark: Any, record: Callable[[tuple[str, ...], float], None], tmp_path: Path
) -> None:
    rows, cells, views = (16, 512, 360) if full else (2, 16, 8)
    scan = npy_stack(tmp_path, rows=rows, cells=cells, views=views)
    line = [*CLI, "reconstruct", str(scan), "--method", "fbp", "--delta", "12%", "--no-preview", "--overwrite"]
    line += ["--size", str(cells)]

    def stack() -> float:
        return processor_seconds(*line, "-o", str(tmp_path / "v.zarr")) / rows

    together = benchmark.pedantic(stack, rounds=1, warmup_rounds=0)
    if not full:
        return
    alone = [processor_seconds(*line, "--row", str(row), "-o", str(tmp_path / "u.npy")) for row in (0, 5, 10)]
    each = sum(alone) / len(alone)
    record(("stack of 16, 512 x 512, 360 views", "a slice"), together)
    record(("stack of 16, 512 x 512, 360 views", "a process for each"), each)
    assert each >= BAR * together
