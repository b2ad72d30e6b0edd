"""Training and reconstruction on a GPU: the same as on the CPU but for rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrecon.applications.superresolution.network import LowResNet, LowResNetShape
from ctrecon.applications.superresolution.path import SuperResolutionPool
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.training.data import PhantomSource, RandomNoise
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.path import PathPool

pytestmark = pytest.mark.gpu


def losses(device: str, steps: int = 4) -> list[float]:
    problem = replace(walnut_scanner(size=32, views=30), device=device)
    torch.manual_seed(0)
    network = UNet(UNetShape(widths=(8, 12, 16), blocks=(1, 1, 1))).to(device)
    pool = PathPool(problem, PhantomSource([family.sample for family in FAMILIES]), RandomNoise())
    trainer = Trainer(network, [pool], TrainingPlan(steps=steps, batch=2))
    return [at.loss for at in trainer.run()]


def test_the_first_steps_lose_as_much_as_on_the_cpu() -> None:
    there, here = losses("cuda"), losses("cpu")
    assert np.allclose(there, here, atol=0.2)
    assert not np.allclose(there, np.roll(here, 1) + 1, atol=0.2)


def test_half_precision_trains() -> None:
    problem = replace(walnut_scanner(size=32, views=30), device="cuda")
    pool = PathPool(problem, PhantomSource([FAMILIES[0].sample]), RandomNoise())
    plan = TrainingPlan(steps=4, batch=2, precision="bfloat16")
    network = UNet(UNetShape(widths=(8, 12, 16), blocks=(1, 1, 1))).cuda()
    assert all(np.isfinite(at.loss) for at in Trainer(network, [pool], plan).run())


def test_super_resolution_trains_there_as_here() -> None:
    images = [np.random.default_rng(k).random((96, 96), dtype=np.float32) for k in range(3)]
    found = {}
    for device in ("cuda", "cpu"):
        torch.manual_seed(0)
        network = LowResNet(LowResNetShape(width=8, blocks=1)).to(device)
        pool = SuperResolutionPool(images, 4, size=8, device=device)
        found[device] = [at.loss for at in Trainer(network, [pool], TrainingPlan(steps=4, batch=2)).run()]
    assert np.allclose(found["cuda"], found["cpu"], rtol=1e-2)
