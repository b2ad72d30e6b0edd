"""What a GPU must not be asked for: on torch's meta device no number exists, so whatever looks at one fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.operators.base import LinearOperator
from ctrecon.training import path
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.noise import ScanNoise
from ctrecon.training.path import Lane
from ctrecon.training.starts import Starts


class Dense(LinearOperator):
    """A stored matrix on the device."""

    def __init__(self, device: str) -> None:
        super().__init__((1, 16, 16), (1, 6, 10))
        self._rows = torch.zeros(60, 256, device=device)
        self._norm = 1.0

    def _forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self._rows.T).view(-1, 1, 6, 10)

    def _adjoint(self, y: Tensor) -> Tensor:
        return (y.flatten(1) @ self._rows).view(-1, 1, 16, 16)


@dataclass
class Stand:
    operator: LinearOperator

    def precondition(self, y: Tensor) -> Tensor:
        return self.operator.adjoint(y)


@dataclass
class OneLane:
    lane: Lane
    share: float = 1.0

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        return self.lane.loss(network, 3)


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Lane:
    monkeypatch.setattr(path, "generator", lambda rng, device: None)

    def images(n: int) -> Tensor:
        return torch.zeros(n, 1, 16, 16, device="meta")

    scans = torch.zeros(7, 1, 6, 10, device="meta")
    delta = torch.zeros(7, dtype=torch.float64, device="meta")
    starts = Starts(Stand(Dense("meta")), images(7), scans, scans, delta, images(7), images(7))  # type: ignore[arg-type]
    return Lane(starts, 4, np.random.default_rng(0), most_steps=5, renew=0.1)


def there() -> UNet:
    return UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1))).to("meta")


def test_a_step_looks_at_no_number_and_mixes_no_devices(lane: Lane) -> None:
    trainer = Trainer(there(), [OneLane(lane)], TrainingPlan(steps=5, batch=4))
    for _ in range(2):
        trainer._one_step()
    assert lane.states.u.device.type == trainer._mean_loss.device.type == "meta"


def test_noise_looks_at_no_number() -> None:
    noisy, weights = ScanNoise().draw(torch.zeros(3, 1, 6, 10, device="meta"), None)  # type: ignore[arg-type]
    assert noisy.shape == weights.shape == (3, 1, 6, 10)


def test_the_stand_in_notices(lane: Lane) -> None:
    """Otherwise the tests above would pass whatever is asked."""
    with pytest.raises(RuntimeError, match="meta"):
        bool((lane.states.age > 1).any())
    with pytest.raises(RuntimeError, match="meta"):
        float(lane.states.u.sum())
    with pytest.raises(RuntimeError, match="device"):
        lane.starts.delta * torch.ones(7)
