"""A GPU that is listed may not work; what was not asked for never fails where the CPU would do."""

from __future__ import annotations

import pytest
import torch

from ctrecon.errors import SettingError
from ctrecon.support import device
from ctrecon.support.device import CPU, automatic_device, device_of


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "CPU", "meta", "mps", "cpu:0:1"])
def test_what_does_not_exist_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingError, match="use cpu or cuda"):
        device_of(name)
    assert device_of("cpu") == CPU


def test_without_a_gpu_the_cpu_is_taken_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert automatic_device() == (CPU, None)
    with pytest.raises(SettingError, match="no GPU for --device cuda; use cpu"):
        device_of("cuda")


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, torch.OutOfMemoryError])
def test_a_gpu_that_is_listed_but_does_not_work(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("CUDA error: no kernel image is available for execution on the device\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch, "ones", broken)
    where, note = automatic_device()
    assert where == CPU
    assert note == (
        "the GPU cannot be used (CUDA error: no kernel image is available for execution on the device); the CPU is"
    )
    with pytest.raises(SettingError, match=r"cuda cannot be used \(CUDA error: no kernel image .*\); use cpu"):
        device_of("cuda")


def test_a_gpu_that_computes_wrongly_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch, "ones", lambda *_, **__: torch.zeros(2))
    assert automatic_device().device == CPU
    monkeypatch.setattr(device.torch, "ones", lambda *_, **__: torch.full((2,), 1.0))
    assert automatic_device() == (torch.device("cuda"), None)
