"""The supply of a training: the same under a seed, whoever makes it, and what it claims to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ctrecon.errors import InputError
from ctrecon.phantoms import FAMILIES
from ctrecon.phantoms.families.ellipses import Ellipses
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.training.cohorts import CohortPlan, Cohorts
from ctrecon.training.held_images import HeldImages, ImageGroup
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.noise import ScanNoise
from ctrecon.training.objects import HeldObject, object_split, read_objects
from ctrecon.training.phantom_supply import PhantomSupply
from ctrecon.training.starts import Starts, measured
from ctrecon.training.whole import Supply, TrainingData

SAMPLERS = [family.sample for family in FAMILIES]
ONE = walnut_scanner(size=32, views=24)


def disc(radius: float, value: float = 0.02, size: int = 128) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return (value * (x * x + y * y < radius**2)).astype(np.float32)


def cohorts(*, ahead: int = 0, workers: int = 0, seed: int = 0) -> list[Starts]:
    phantoms = PhantomSupply([Ellipses().sample], workers)
    held = HeldImages([ImageGroup([[disc(0.5)]], 1.0)], "cpu")
    plan = CohortPlan(seed=seed, count=6, slots=2, lifetime=1, phantoms=0.5)
    supply = Cohorts(plan, held, phantoms, ScanNoise(), measured, ahead=ahead, only=(ONE,))
    try:
        return [supply.make(np.random.default_rng()) for _ in range(3)]
    finally:
        supply.close()
        phantoms.close()


def same(a: Starts, b: Starts) -> bool:
    names = ("truth", "data", "weights", "delta", "smooth", "unexplained")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def test_a_cohort_depends_on_its_seed_and_number_alone() -> None:
    plain, ahead, other = cohorts(), cohorts(ahead=2), cohorts(seed=1)
    assert all(same(a, b) for a, b in zip(plain, ahead, strict=True))
    assert not same(plain[0], plain[1])
    assert not same(plain[0], other[0])


@pytest.mark.long
@pytest.mark.slow
def test_phantoms_drawn_in_other_processes_are_the_same() -> None:
    orders = []
    for workers in (0, 1):
        supply = PhantomSupply([Ellipses().sample], workers)
        orders.append(supply.order(ONE, 5, (0, 3)).get())
        supply.close()
    assert all(torch.equal(a, b) for a, b in zip(*orders, strict=True))
    assert len(orders[0][0]) == 5


def test_what_a_cohort_holds() -> None:
    made = cohorts()[0]
    residual = ONE.operator(made.truth) - made.data
    assert torch.allclose((made.weights * residual.square()).sum((1, 2, 3)).sqrt().double(), made.delta, rtol=1e-4)
    left = ONE.precondition(made.data - ONE.operator(made.smooth))
    assert torch.allclose(left, made.unexplained, atol=1e-5 * float(made.truth.max()))
    error = (made.smooth - made.truth).square().mean((1, 2, 3)) / made.truth.square().mean((1, 2, 3))
    assert float(error.max()) < 0.1
    # Phantoms come with exact sinograms, images with the operator's: so the phantoms' residual is more than noise.
    assert made.count == 6


def test_what_goes_wrong_in_the_thread_is_told() -> None:
    class Broken:
        def order(self, *_: object) -> None:
            raise InputError("no phantoms today")

    supply = Cohorts(CohortPlan(count=4), None, Broken(), ScanNoise(), measured, ahead=1, only=(ONE,))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="today"):
        supply.make(np.random.default_rng())
    supply.close()


def test_images_keep_their_mass_wherever_they_are_held() -> None:
    wide = np.zeros((64, 160), dtype=np.float32)
    wide[:, 48:112] = disc(0.5, 0.03, 64)
    held = HeldImages([ImageGroup([[disc(0.5)], [wide]], 1.0, zoom=(1.0, 1.0), masked=0.0)], "cpu")
    images = held.draw(40, (32, 32), np.random.default_rng(0))
    centred = (images > 0.5 * images.amax((1, 2, 3), keepdim=True)).float().mean((1, 2, 3))
    expected = np.pi * 0.5**2 / 4
    # The square image is always whole; from the wide one any square part may be seen, or none of its disc.
    whole = (centred - expected).abs() < 0.02
    assert 12 < int(whole.sum()) < 40
    peaks = images.amax((1, 2, 3))
    assert float(peaks.max()) <= 0.0302
    assert float(peaks.min()) >= 0.00019
    assert not torch.allclose(images[0] / peaks[0], images[1] / peaks[1])


def test_truncated_objects_are_always_masked() -> None:
    full = np.full((64, 64), 0.02, dtype=np.float32)
    group = ImageGroup([[full], [full]], 1.0, zoom=(0.5, 0.5), masked=0.0, truncated=(1,))
    images = HeldImages([group], "cpu").draw(60, (16, 16), np.random.default_rng(1))
    edge_empty = images[:, 0, 0, 7] == 0
    assert 15 < int(edge_empty.sum()) < 45
    never = HeldImages([ImageGroup([[full]], 1.0, zoom=(0.5, 0.5), masked=0.0)], "cpu")
    assert bool((never.draw(60, (16, 16), np.random.default_rng(1))[:, 0, 0, 7] > 0).all())


def test_objects_are_read_and_split_by_name(tmp_path: Path, data_dir: Path) -> None:
    found = {split: read_objects(data_dir / "ct_objects", split) for split in ("train", "validation")}
    names = {split: {one.name for one in objects} for split, objects in found.items()}
    assert not names["train"] & names["validation"]
    assert len(names["train"]) == 13
    assert len(names["validation"]) == 4
    assert object_split("torso_aflt_001") == object_split("torso_aflt_001b")
    cut = {one.name for objects in found.values() for one in objects if one.truncated}
    assert {"skull_fodicom", "lspine_fodicom", "abdomen_kits_00072", "chest_lungfcp_0001"} <= cut
    assert "headneck_cerr" not in cut
    bad = (np.zeros((3, 4)), np.zeros((1, 4, 4), dtype=complex), np.full((1, 2, 2), np.nan))
    for name, wrong in zip("abc", bad, strict=True):
        np.savez(tmp_path / f"{name}.npz", hu=wrong)
        with pytest.raises(InputError, match=rf"{name}\.npz"):
            read_objects(tmp_path)
        (tmp_path / f"{name}.npz").unlink()
    with pytest.raises(InputError, match="holds no objects"):
        read_objects(tmp_path)
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(InputError, match="cannot be read"):
        read_objects(tmp_path)


@pytest.mark.long
def test_a_training_on_all_of_it_repeats_under_its_seed() -> None:
    data = TrainingData(
        samplers=SAMPLERS, objects=[HeldObject("disc", [disc(0.6)], False)], pictures=[disc(0.4, 1.0)]
    )

    class Free(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, -1:] * (1 + self.gain)

    gains = []
    for seed in (0, 0, 1):
        supply = Supply(data, 2, torch.device("cpu"), seed=seed, only=(ONE,), starts=4)
        network = Free()
        losses = [at.loss for at in Trainer(network, [supply.pool], TrainingPlan(steps=30, batch=2)).run()]
        supply.close()
        assert np.isfinite(losses).all()
        gains.append(float(network.gain.detach()))
    assert gains[0] == gains[1] != gains[2]
    assert sum((data.phantom_share, *(group.share for group in data.groups()))) == pytest.approx(1)
