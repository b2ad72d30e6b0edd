"""What a volume costs as a whole process, and its certificate: ``pytest tests/benchmarks --benchmark-enable``.

128 voxels a side, 180 views, by the clock, stated as a ratio to ``python -c "import torch"``; and the product of a
certificate by compiled code beside the checker's own, of 48 voxels a side.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from volumes import cone

import ctrecon as ct
from ctrecon.certificates import verify
from ctrecon.certificates.in_space import product_in_space
from ctrecon.certificates.parts import operator_claim
from ctrecon.cli.main import cli


def seconds_of(*arguments: str) -> float:
    """By the clock, of one run of this Python."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


@pytest.mark.timeout(3600)
def test_volume_as_a_whole_process(
    full: bool, benchmark: Any, record: Callable[[tuple[str, ...], float], None], tmp_path: Path
) -> None:
    if not full:
        pytest.skip("only its time matters")
    path = tmp_path / "cone.npz"
    line = f"simulate --beam cone --phantom trunk --size 128 --views 180 --noise 1% --seed 4 -o {path}"
    assert CliRunner().invoke(cli, line.split()).exit_code == 0
    job = ("-m", "ctrecon.cli.main", "reconstruct", str(path), "--overwrite", "-o", str(tmp_path / "u.npy"))
    # Once, after a first run that compiles.
    record(("volume", "reconstruct"), benchmark.pedantic(lambda: seconds_of(*job), rounds=1, warmup_rounds=1))
    record(("volume", "import torch"), min(seconds_of("-c", "import torch") for _ in range(3)))


def test_certificate_by_compiled_code(
    full: bool, benchmark: Any, record: Callable[[tuple[str, ...], float], None]
) -> None:
    side, views = (48, 90) if full else (8, 6)
    geometry = cone(views, detector_count=64, detector_rows=64, detector_spacing_mm=2.0, detector_row_spacing_mm=2.0)
    operator, _ = operator_claim(geometry, ct.Grid(rows=side, columns=side, slices=side, slice_mm=1.0), None)
    volume = np.random.default_rng(0).random((side, side, side))
    product_in_space(operator, volume)
    seconds = {}
    for what, apply in (("checker", verify.apply), ("compiled", None)):
        began = time.perf_counter()
        found = product_in_space(operator, volume) if apply is None else apply(operator, volume, None)
        seconds[what] = time.perf_counter() - began
        assert np.isfinite(found[0]).all()
    benchmark.pedantic(lambda: product_in_space(operator, volume), rounds=1)
    if full:
        for what, value in seconds.items():
            record(("certificate", what), value)
