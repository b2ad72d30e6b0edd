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
from ctrecon.training.data import PhantomSource
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.noise import ScanNoise
from ctrecon.training.objects import HeldObject
from ctrecon.training.path import Lane, PathPool
from ctrecon.training.starts import SourceStarts, Starts
from ctrecon.training.whole import Supply, TrainingData

pytestmark = pytest.mark.gpu


SAMPLERS = [family.sample for family in FAMILIES]
SMALL = UNetShape(widths=(8, 12, 16), blocks=(1, 1, 1))


def starts(device: str) -> SourceStarts:
    problem = replace(walnut_scanner(size=32, views=30), device=device)
    return SourceStarts(problem, PhantomSource(SAMPLERS), ScanNoise())


def moved(made: Starts, device: str) -> Starts:
    parts = {name: value.to(device) for name, value in vars(made).items() if isinstance(value, torch.Tensor)}
    return replace(made, scanner=starts(device).scanner, **parts)


def test_a_lane_loses_as_much_as_on_the_cpu() -> None:
    made = starts("cpu").make(np.random.default_rng(0))
    found = {}
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        network = UNet(SMALL).to(device)
        lane = Lane(moved(made, device), 5, np.random.default_rng(0), most_steps=9, renew=0.0)
        lane.states.index.copy_(torch.arange(5))
        lane.states.residual.copy_(-lane.starts.data[:5])
        found[device] = [float(lane.loss(network, k)) for k in range(3)]
    assert np.allclose(found["cuda"], found["cpu"], atol=0.05)
    assert not np.allclose(found["cuda"], np.roll(found["cpu"], 1) + 1, atol=0.05)


def test_starts_made_there_are_as_good() -> None:
    for device in ("cpu", "cuda"):
        made = starts(device).make(np.random.default_rng(0))
        error = ((made.smooth - made.truth).square().mean((1, 2, 3)) / made.truth.square().mean((1, 2, 3))).sqrt()
        assert float(error.max()) < 0.4, device
        assert made.truth.device.type == device


def test_a_step_waits_for_nothing() -> None:
    problem = starts("cuda")
    network = UNet(SMALL).cuda()
    trainer = Trainer(network, [PathPool(problem)], TrainingPlan(steps=100, batch=2, precision="bfloat16"))
    for at in trainer.run():
        if at.step == 12:
            break
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            trainer._one_step()
        with pytest.raises(RuntimeError, match="synchron"):
            float(trainer._mean_loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_cohorts_made_in_a_thread_train() -> None:
    rng = np.random.default_rng(0)
    grain = HeldObject("grain", [0.02 * rng.random((64, 64), dtype=np.float32)], False)
    data = TrainingData(samplers=SAMPLERS, objects=[grain])
    supply = Supply(data, 2, torch.device("cuda"), workers=1, starts=6, patient=False)
    try:
        plan = TrainingPlan(steps=60, batch=2, precision="bfloat16")
        losses = [at.loss for at in Trainer(UNet(SMALL).cuda(), [supply.pool], plan).run()]
    finally:
        supply.close()
    assert np.isfinite(losses).all()
    assert losses[-1] < -5


def test_super_resolution_trains_there_as_here() -> None:
    images = [np.random.default_rng(k).random((96, 96), dtype=np.float32) for k in range(3)]
    found = {}
    for device in ("cuda", "cpu"):
        torch.manual_seed(0)
        network = LowResNet(LowResNetShape(width=8, blocks=1)).to(device)
        pool = SuperResolutionPool(images, 4, size=8, device=device)
        found[device] = [at.loss for at in Trainer(network, [pool], TrainingPlan(steps=4, batch=2)).run()]
    assert np.allclose(found["cuda"], found["cpu"], rtol=1e-2)
