"""Volumes to train on: what is drawn, and that a step on them is taken."""

import numpy as np
import pytest
import torch

from ctrecon.networks.slices import SliceBySlice
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.phantoms.bodies import BODIES
from ctrecon.simulation.scanners_in_space import cone_scanner
from ctrecon.training.evaluate import score
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.objects import held_object
from ctrecon.training.path import PathPool
from ctrecon.training.volumes import VolumeStarts, draw_body

SAMPLERS = [BODIES[0].sample]


def thing():
    """Five slices with a disc that grows, 1/mm."""
    y, x = np.mgrid[-1:1:30j, -1:1:30j]
    return held_object("disc", [0.02 * (x * x + y * y < 0.3 + 0.1 * k).astype(np.float32) for k in range(5)])


@pytest.mark.parametrize("shares", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_starts_are_volumes_with_data_that_fit_them(shares):
    starts = VolumeStarts(SAMPLERS, [thing()], count=2, shares=shares, slices=4, size=24).make(np.random.default_rng(2))
    volume = starts.truth.shape[2:]
    assert starts.count == 2
    assert volume == starts.scanner.grid.shape
    assert (volume[0] == 4) == (shares[0] == 0)
    assert starts.data.shape[2:] == starts.scanner.geometry.shape
    assert float(starts.truth.min()) > -1e-6
    assert torch.isfinite(starts.smooth).all()
    # Smooth images explain far more than none; the truth meets delta by definition.
    left = (starts.scanner.operator(starts.smooth) - starts.data).flatten(1).norm(dim=1)
    assert (left < 0.5 * starts.data.flatten(1).norm(dim=1)).all()


def test_without_objects_no_slab_of_them_is_drawn():
    starts = VolumeStarts(SAMPLERS, [], count=1, shares=(0, 0.01, 1), slices=4, size=24).make(np.random.default_rng(0))
    assert starts.truth.shape[2] == 4


@pytest.mark.long
def test_a_network_of_three_slices_learns_from_volumes():
    torch.manual_seed(0)
    network = UNet(UNetShape(slices=3, widths=(4, 4, 4)))
    pool = PathPool(VolumeStarts(SAMPLERS, count=1, shares=(1, 0, 0), size=24), by_cost=True)
    trainer = Trainer(network, [pool], TrainingPlan(steps=3, batch=1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = [progress.loss for progress in trainer.run()]
    assert all(np.isfinite(losses))
    assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_volume_is_scored_at_its_certified_stop():
    scanner = cone_scanner(14, 20)
    truth, clean = draw_body(BODIES[0].sample, np.random.default_rng(1), scanner)
    noise = torch.from_numpy(np.random.default_rng(2).normal(0, 0.02, clean.shape).astype(np.float32))
    scored = score(UNet(UNetShape(slices=3, widths=(4, 4, 4))), scanner, truth, clean + noise * clean.max())
    assert bool(scored.certified.all())
    assert scored.image.shape == truth.shape
    assert SliceBySlice(UNet())(torch.zeros(1, 5, *truth.shape[2:])).shape == truth.shape
