"""What a small reconstruction costs as a whole process: ``pytest tests/benchmarks --benchmark-enable``.

By the clock, which is what a user waits, and in processor time of the child, so that other jobs on the machine hardly
count; each as a ratio to ``python -c "import torch"``, which no reconstruction can do without. Compiled modules are
kept, as on a user's machine, whatever the environment of the tests says.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli

RUNS = 3
CLI = ("-m", "ctrecon.cli.main")


def processor_seconds(*arguments: str) -> float:
    """Of one run of this Python."""
    return seconds(*arguments)[0]


def seconds(*arguments: str) -> tuple[float, float]:
    """Processor time of one run of this Python, and how long it took by the clock."""
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - began


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory, full: bool) -> Path:
    path = tmp_path_factory.mktemp("small") / "scan.npz"
    size, views = (164, 120) if full else (24, 12)
    line = f"simulate --phantom chest --size {size} --views {views} --noise 1% --seed 7 -o {path}"
    assert CliRunner().invoke(cli, line.split()).exit_code == 0
    return path


@pytest.mark.long
@pytest.mark.parametrize("what", ["reconstruct", "without preview", "import torch"])
def test_small_job(
    what: str, full: bool, benchmark: Any, record: Callable[[tuple[str, ...], float], None],
    request: pytest.FixtureRequest,
) -> None:
    if what != "reconstruct" and not full:
        pytest.skip("only the times of these matter")
    arguments = ["-c", "import torch"]
    if what != "import torch":
        path: Path = request.getfixturevalue("scan")
        arguments = [*CLI, "reconstruct", str(path), "--overwrite", "-o", str(path.with_name("u.npy"))]
        arguments += ["--no-preview"] if what == "without preview" else []
    found: list[tuple[float, float]] = []
    # The first run is not counted: it compiles what is kept from then on.
    benchmark.pedantic(lambda: found.append(seconds(*arguments)), rounds=RUNS, warmup_rounds=1)
    if full:
        for by, each in zip(("processor time", "by the clock"), zip(*found[-RUNS:], strict=True), strict=True):
            record(("process", what, by), statistics.median(each))
