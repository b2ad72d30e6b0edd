"""Which device a name means, and which one is taken where none was named."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ctrecon.errors import SettingError
from ctrecon.support.troubles import see

CPU = torch.device("cpu")


class Place(NamedTuple):
    """A device, and a sentence for the user where it is not the one that could be expected."""

    device: torch.device
    note: str | None = None


def device_of(name: str) -> torch.device:
    """The device that the user named.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``.

    Returns:
        A device that works.

    Raises:
        SettingError: There is no such device, or it cannot compute.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingError(f"there is no device {name!r}; use cpu or cuda") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise SettingError(f"--device {name} is not supported; use cpu or cuda")
    if not gpu_is_listed():
        raise SettingError(f"there is no GPU for --device {name}; use cpu, or {see('gpu')}")
    if (trouble := _trouble_with(device)) is not None:
        raise SettingError(f"--device {name} cannot be used ({trouble}); use cpu, or {see('gpu')}")
    return device


def automatic_device() -> Place:
    """A GPU where there is one that works, else the CPU; a GPU that does not work is named in the note."""
    if not gpu_is_listed():
        return Place(CPU)
    device = torch.device("cuda")
    trouble = _trouble_with(device)
    return Place(device) if trouble is None else Place(CPU, f"the GPU cannot be used ({trouble}); the CPU is")


def gpu_is_listed() -> bool:
    """Whether torch sees a GPU, working or not. Asked here alone, so that one test can change the answer."""
    return torch.cuda.is_available()


def free_bytes(device: torch.device) -> int:
    """What is free of a GPU's memory."""
    return int(torch.cuda.mem_get_info(device)[0])


def _trouble_with(device: torch.device) -> str | None:
    """Why a device that torch lists cannot add two numbers; None where it can."""
    # A driver too old, a GPU in exclusive use, no kernels for this GPU: torch says so at the first use, and not before.
    try:
        worked = float(torch.ones(2, device=device).sum()) == 2.0
    except (RuntimeError, AssertionError) as why:
        return in_a_line(why)
    return None if worked else "it computes 1 + 1 wrongly"


def in_a_line(why: BaseException) -> str:
    """The first line of what torch says of an error: the rest tells developers of torch how to find it."""
    return next(iter(str(why).strip().splitlines()), type(why).__name__).rstrip(".")
