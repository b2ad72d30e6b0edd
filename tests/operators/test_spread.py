"""What other processes compute has the bytes of one process, whoever computes which block of views, in any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backwards import Backwards
from geometries import EXAMPLES, short

from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.classical.spread import SpreadBackProjection
from ctrecon.errors import GeometryError
from ctrecon.geometry.grid import Grid
from ctrecon.operators.volume.joseph import VolumeJosephOperator
from ctrecon.operators.volume.spread import SpreadVolumeOperator
from ctrecon.support import elsewhere
from ctrecon.support.elsewhere import blocks

SPACE = {name: made for cases in EXAMPLES.values() for name, made in cases.items() if len(made().shape) == 3}
in_space = pytest.mark.parametrize("name", SPACE)
GRID = Grid(rows=11, columns=9, slices=5, pixel_mm=(2.1, 2.5), slice_mm=0.9, centre_mm=(1.3, -0.7, 0.4))
LEVEL = Grid(rows=11, columns=9, slices=5, pixel_mm=2.1, slice_mm=0.9)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(elsewhere, "VIEWS", 3)


@in_space
def test_projector_and_adjoint_are_the_same_bytes(name):
    here, there = VolumeJosephOperator(short(SPACE[name](), 8), GRID), Backwards()
    spread = SpreadVolumeOperator(here, there)
    generator = torch.Generator().manual_seed(5)
    for dtype in (torch.float32, torch.float64):
        u = torch.randn((2, *here.domain_shape), generator=generator, dtype=dtype)
        f = torch.randn((2, *here.range_shape), generator=generator, dtype=dtype)
        assert torch.equal(spread(u), here(u))
        assert torch.equal(spread.adjoint(f), here.adjoint(f))
        # Not because nothing depends on the blocks: added up otherwise the last bits differ.
        assert not torch.equal(sum(here.adjoint(f * mask) for mask in _every_second(f)), here.adjoint(f))
    assert there.pieces == 2 * 2 * 2 * len(blocks(here.geometry.shape[0])) > 8
    there.open = False
    assert torch.equal(spread(u), here(u)), "without anybody elsewhere it is computed here"


def _every_second(data):
    mask = torch.zeros_like(data)
    mask[:, :, ::2] = 1
    return mask, 1 - mask


@in_space
def test_filtered_back_projection_too(name):
    geometry = short(SPACE[name](), 8)
    try:
        here = FeldkampBackProjection(geometry, LEVEL)
    except GeometryError:
        pytest.skip(f"{name} has no formula")
    there = Backwards()
    spread = SpreadBackProjection(here, there)
    f = torch.randn((2, 1, *geometry.shape), generator=torch.Generator().manual_seed(5))
    assert torch.equal(spread(f), here(f))
    assert there.pieces == 2 * len(blocks(geometry.shape[0]))
    assert np.ptp(here(f).numpy()) > 0


def test_blocks_are_all_views_once():
    for views in (1, 3, 4, 200):
        assert [v for first, end in blocks(views) for v in range(first, end)] == list(range(views))
