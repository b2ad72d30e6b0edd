"""Several processes that train one network: each on its own batch, their gradients averaged.

Started by ``torchrun``, on one machine or several; without it a training is alone. The processes hold the same weights
at all times, because they start from those of the first and take the same steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from ctrecon.errors import SettingError
from ctrecon.support.device import device_of


@dataclass(frozen=True)
class Processes:
    """How many processes train together, ``count``, and which of them runs here, ``rank``."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def share_weights(self, network: nn.Module) -> None:
        """Give every process the weights of the first.

        Args:
            network: The one that is trained, here.
        """
        if self.count > 1:
            for value in network.state_dict().values():
                torch.distributed.broadcast(value, 0)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes. With batches of one size, that is one large batch.

        Args:
            parameters: Of the network, in the same order everywhere.
        """
        if self.count == 1:
            return
        wanted = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in wanted]
        # One message instead of one per layer.
        flat = torch.cat([g.reshape(-1) for g in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [p.numel() for p in wanted])
        for p, mean in zip(wanted, parts, strict=True):
            p.grad = mean.reshape(p.shape)

    def mean(self, value: float, device: torch.device) -> float:
        """The mean of a number over the processes.

        Args:
            value: That of this process.
            device: Over which the processes speak.

        Returns:
            The same to the bit in all of them.
        """
        if self.count == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(number)
        return float(number) / self.count


ALONE = Processes()


def join(device: torch.device) -> Processes:
    """The processes that ``torchrun`` started. On a GPU they talk by NCCL, else by Gloo.

    Args:
        device: Of the training.

    Returns:
        Their number and which of them runs here; ``ALONE`` without torchrun.

    Raises:
        SettingError: Where torchrun's variables are not whole.
    """
    if "WORLD_SIZE" not in os.environ:
        return ALONE
    try:
        count = int(os.environ["WORLD_SIZE"])
        if count == 1:
            return ALONE
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return Processes(torch.distributed.get_rank(), count)
    except (ValueError, RuntimeError) as why:
        raise SettingError(f"the training processes cannot be joined ({why}); start them with torchrun") from None


def leave() -> None:
    """Say goodbye to the other processes, where there are any."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def local_device(name: str) -> torch.device:
    """``cpu``, ``cuda`` or ``cuda:1``; of several processes on one machine, ``cuda`` gives each its own GPU.

    Raises SettingError for a device that does not exist.
    """
    device = device_of(name)
    if device.type == "cuda" and ":" not in name:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    return device


class InHalfPrecision(nn.Module):
    """``network`` with its convolutions in bfloat16; weights, inputs and outputs stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.shape = getattr(network, "shape", None)

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            answer: Tensor = self.network(x, *others)
        return answer.float()
