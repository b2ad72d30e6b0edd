"""A GPU whose memory ends in mid-descent: the CPU takes over, and says so; one that was asked for says what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stand_in_gpu import stand_in_gpu

import ctrecon as ct
from ctrecon.errors import OperatorError
from ctrecon.reconstruction.methods import cgls as method

DATA = np.random.default_rng(0).random((12, 16)).astype(np.float32)
SCAN = ct.Scan(sinogram=DATA, geometry=ct.ParallelBeam(angles_rad=tuple(np.arange(12) / 4), detector_count=16))
real = method.cgls_iterates


def runs_out(*args: object, data: torch.Tensor | None = None, **options: object) -> object:
    operands = [one for one in (*args, data) if isinstance(one, torch.Tensor)]
    if any(one.device.type == "cuda" for one in operands):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")
    return real(*args, **options)  # type: ignore[arg-type]


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU of its own")
    monkeypatch.setattr(method, "cgls_iterates", runs_out)
    with stand_in_gpu():
        yield


def test_the_cpu_takes_over(small_gpu: None) -> None:
    said = []
    result = ct.reconstruct(SCAN, method="cgls", delta=2.0, iterations=4, progress=lambda now: said.append(now.said))
    assert result.conclusion.problem.device.type == "cpu"
    note = "the GPU ran out of memory, so this was begun anew on the CPU"
    assert note in result.scan.notes
    assert f"note: {note}" in said


def test_a_gpu_that_was_asked_for_says_what_to_do(small_gpu: None) -> None:
    with pytest.raises(OperatorError, match="ran out of memory; use --device cpu, or fewer pixels"):
        ct.reconstruct(SCAN, method="cgls", delta=2.0, device="cuda")
