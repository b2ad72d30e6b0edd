"""Collects the best time of each benchmark and prints the ratios that matter, all from the same run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SECONDS = pytest.StashKey[dict[tuple[str, ...], float]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SECONDS] = {}


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether times are taken (``--benchmark-enable``); without, everything runs once and small, to see it works."""
    return not request.config.getoption("benchmark_disable") or bool(request.config.getoption("benchmark_enable"))


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[tuple[str, ...], float], None]:
    """``record(("case", "what"), seconds)`` for times that were taken otherwise."""
    return request.config.stash[SECONDS].__setitem__


@pytest.fixture
def clock(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """``clock(("case", "what"), function)``."""

    def run(key: tuple[str, ...], function: Callable[[], object]) -> None:
        benchmark.pedantic(function, rounds=7, iterations=1, warmup_rounds=1)
        if benchmark.stats is not None:
            request.config.stash[SECONDS][key] = benchmark.stats.stats.min

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seconds = config.stash[SECONDS]
    if not seconds:
        return
    write = terminalreporter.write_line
    terminalreporter.section("ratios of best times in this run")

    def ratio(text: str, above: tuple[str, ...], below: tuple[str, ...], bar: str, factor: float = 1.0) -> None:
        if above in seconds and below in seconds:
            value = seconds[above] / seconds[below] * factor
            times = f"{1e3 * seconds[above]:.2f} ms / {1e3 * seconds[below]:.2f} ms"
            write(f"{text:<66}{value:7.2f}   ({bar}; {times})")

    for what in ("A", "A^T"):
        ratio(f"512 x 512, 360 parallel views: ASTRA on the CPU / chosen, {what}", ("512", "astra", what),
              ("512", "chosen", what), "at least 7" if what == "A" else "at least 4")
        ratio(f"  sparse / chosen, {what}", ("512", "sparse", what), ("512", "chosen", what), "for comparison")
        ratio(f"164 x 164, 120 fan views: chosen / streaming the matrix, {what}", ("164", "chosen", what),
              ("164", "stream"), "below 2.5")
        ratio(f"  sparse / streaming the matrix, {what}", ("164", "sparse", what), ("164", "stream"), "for comparison")
        for case in ("164", "512"):
            ratio(f"{case}: one by one / an image of a batch of 16, chosen, {what}", (case, "chosen", what),
                  (case, "chosen 16", what), "at least 2.5", 16)
        ratio(f"48 x 48, 30 fan views: joseph / sparse, {what}", ("48", "joseph", what), ("48", "sparse", what),
              "above 1, or sparse should not be chosen here")
    ratio("512 x 512: one pass of ct-default / chosen, A of 360 parallel views", ("512", "pass"),
          ("512", "chosen", "A"), "the pass at most 150 ms on two cores")
    ratio("164 x 164, 120 fan views, FBP: one by one / an image of 16", ("164", "fbp"), ("164", "fbp 16"), "", 16)
    many = "stack of 16, 512 x 512, 360 views"
    ratio("a process for each slice / a slice of a stack of 16 of 512 x 512, fbp", (many, "a process for each"),
          (many, "a slice"), "at least 3, processor time")
    for what, bar in (("A", "at least 4"), ("A^T", "at least 8"), ("FDK", "at least 3")):
        for by, goal in (("by the clock", bar), ("processor time", "for comparison")):
            ratio(f"circular cone: RTK / ctrecon, {what}, {by}", ("cone", "rtk", what, by),
                  ("cone", "ctrecon", what, by), goal)
    for what, goal in (("reconstruct", "below 2.4"), ("without preview", "for comparison")):
        for by in ("by the clock", "processor time"):
            ratio(f"164 x 164, 120 fan views, {what} / import torch, {by}", ("process", what, by),
                  ("process", "import torch", by), goal if by == "by the clock" else "for comparison")
    ratio("a volume of 128 voxels a side, 180 views: whole process / import torch", ("volume", "reconstruct"),
          ("volume", "import torch"), "bar 60 s")
    ratio("certificate of 48 voxels a side: the checker's product / compiled", ("certificate", "checker"),
          ("certificate", "compiled"), "for comparison")
