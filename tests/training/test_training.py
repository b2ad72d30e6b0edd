"""Training: it learns, it repeats under a seed, it resumes, and its data are what they claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrecon.descent.descend import descend
from ctrecon.descent.step import WholeAnswers
from ctrecon.descent.stopping import Discrepancy
from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError, WeightsError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.networks.direction import NetworkDirection
from ctrecon.networks.looks import LOOKS, Looks
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.scanners import SIZES, Scanner, random_scanner, walnut_scanner
from ctrecon.training.card import noisy
from ctrecon.training.data import ImageSource, Mixture, PhantomSource
from ctrecon.training.evaluate import score
from ctrecon.training.image_sets import patient_split, slices_of
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.noise import ScanNoise
from ctrecon.training.path import Lane, PathPool
from ctrecon.training.starts import SourceStarts

SMALL = UNetShape(widths=(8, 12, 16), blocks=(1, 1, 1))
PROBLEM = walnut_scanner(size=32, views=30)
SOURCE = PhantomSource([family.sample for family in FAMILIES])


def trainer(steps: int = 12, seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    plan = TrainingPlan(steps=steps, batch=2, seed=seed)
    return Trainer(UNet(SMALL), [PathPool(SourceStarts(PROBLEM, SOURCE, ScanNoise()))], plan)


def finish(one: Trainer) -> Trainer:
    for _ in one.run():
        pass
    return one


class OnePhantom:
    """Always the same object: what a network can learn by heart in seconds."""

    def draw(self, rng: np.random.Generator, problem: Scanner) -> tuple[torch.Tensor, torch.Tensor]:
        return PhantomSource([FAMILIES[0].sample]).draw(np.random.default_rng(5), problem)


@pytest.mark.long
def test_training_improves_the_certified_image() -> None:
    truth, clean = OnePhantom().draw(np.random.default_rng(), PROBLEM)
    data = noisy(clean, 0.02, seed=5)
    torch.manual_seed(0)
    noise = ScanNoise(low=0.015, high=0.03, poisson_share=0)
    pool = PathPool(SourceStarts(PROBLEM, OnePhantom(), noise))
    learned = Trainer(UNet(SMALL), [pool], TrainingPlan(steps=150, batch=2, learning_rate=3e-3))
    before = score(learned.network, PROBLEM, truth, data)
    finish(learned)
    learned.network.load_state_dict(learned.averaged)
    after = score(learned.network, PROBLEM, truth, data)
    assert bool(before.certified.all() & after.certified.all())
    assert float(after.psnr.mean()) > float(before.psnr.mean()) + 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    a, b, c = finish(trainer()), finish(trainer()), finish(trainer(seed=1))
    for name, value in a.averaged.items():
        assert torch.equal(value, b.averaged[name])
    assert any(not torch.equal(value, c.averaged[name]) for name, value in a.averaged.items())


def test_a_checkpoint_resumes_with_everything_but_the_pool(tmp_path: Path) -> None:
    first = trainer(steps=12)
    path = tmp_path / "run.training.safetensors"
    for progress in first.run():
        if progress.step == 6:
            break
    first.save(path)
    second = trainer(steps=12)
    second.resume(path)
    assert second.step == 6
    assert second.seconds == first.seconds
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])
        assert torch.equal(first.averaged[name], second.averaged[name])
    finish(second)
    assert second.step == 12
    # Resuming twice from one file gives the same weights: nothing but the file and the seed decides.
    third = trainer(steps=12)
    third.resume(path)
    finish(third)
    assert all(torch.equal(value, third.averaged[name]) for name, value in second.averaged.items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.training.safetensors"
    trainer().save(path)
    torch.manual_seed(0)
    plan = TrainingPlan(steps=3, batch=2)
    pool = PathPool(SourceStarts(PROBLEM, SOURCE, ScanNoise()))
    other = Trainer(UNet(replace(SMALL, widths=(8, 12, 20))), [pool], plan)
    with pytest.raises(WeightsError, match="another network"):
        other.resume(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot be read"):
        trainer().resume(path)


def test_the_pool_moves_along_the_path() -> None:
    rng = np.random.default_rng(0)
    noise = ScanNoise(low=0.001, high=0.002, poisson_share=0)
    pool = PathPool(SourceStarts(PROBLEM, SOURCE, noise, count=4), renew=0.0)
    network = UNet(SMALL)
    ages = set()
    for _ in range(10):
        pool.loss(network, 3, rng)
        starts, now = pool.lanes[0].starts, pool.lanes[0].states
        data, weights = starts.data[now.index], starts.weights[now.index]
        # What is carried along is what it says.
        assert torch.allclose(now.residual, PROBLEM.operator(now.u) - data, atol=1e-4 * float(data.abs().max()))
        assert torch.allclose(now.last_image, PROBLEM.operator(now.last_step), atol=1e-4 * float(data.abs().max()))
        discrepancy = inner(now.residual, weights * now.residual).sqrt()
        before = inner(data, weights * data).sqrt()
        # Only unfinished reconstructions stay, and every step lowered the residual.
        assert bool(((discrepancy > starts.delta[now.index]) | (now.age < LOOKS)).all())
        assert bool(((now.age == 0) | (discrepancy < before)).all())
        assert bool((now.u[now.age == 0] == 0).all())
        ages |= set(now.age.tolist())
    assert max(ages) >= 1


def test_states_are_those_of_the_descent() -> None:
    """The training's own step search, which looks at no number, takes the steps of the descent."""
    starts = SourceStarts(PROBLEM, SOURCE, ScanNoise(), count=5).make(np.random.default_rng(3))
    torch.manual_seed(1)
    network = UNet(SMALL)
    torch.nn.init.normal_(network.leave.weight, std=0.02)
    lane = Lane(starts, 5, np.random.default_rng(0), most_steps=9, renew=0.0)
    lane.states.index.copy_(torch.arange(5))
    lane.states.residual.copy_(-starts.data)
    energy = LeastSquares(PROBLEM.operator, starts.data, starts.weights)
    descent = Looks(NetworkDirection(network, energy, PROBLEM.precondition, starts.smooth))
    path = descend(
        energy, descent, torch.zeros_like(starts.truth), step=WholeAnswers(starts.delta.square() / 2),
        stop=(Discrepancy(starts.delta, whole=True),), least_iterations=3, most_iterations=3,
    )  # fmt: skip
    for k, at in enumerate(path):
        assert torch.allclose(lane.states.u, at.u, atol=2e-4 * float(starts.truth.max()))
        assert torch.all(lane.states.age == k)
        if k == 3:
            break
        lane.loss(network, k)
    assert k == 3
    assert float((at.u - starts.smooth).norm() / at.u.norm()) > 1e-3, "a law that two different images meet"


def test_noise_is_what_it_says() -> None:
    random = torch.Generator().manual_seed(1)
    clean = torch.rand(2, 1, 30, 200, generator=random) + 1
    data, weights = ScanNoise(low=0.01, high=0.01, poisson_share=0).draw(clean, random)
    for noisy_one, clean_one in zip(data, clean, strict=True):
        assert float((noisy_one - clean_one).norm() / clean_one.norm()) == pytest.approx(0.01, rel=0.1)
    assert float(weights.min()) == float(weights.max()) == 1
    for sigma, electronic in ((0.0, 0.0), (60.0, 1.0)):
        noise = ScanNoise(
            poisson_share=1, photons=(1e4, 1e4), electronic=electronic, electronic_sigma=sigma, uneven=0, depth=(3, 3)
        )
        data, weights = noise.draw(clean, random)
        assert torch.allclose(weights.amax((1, 2, 3)), torch.ones(2))
        for k in range(2):
            off = (data - clean)[k, 0]
            spread, true = off * weights[k, 0].sqrt(), clean[k, 0]
            # Whitened, all rays are equally noisy, whatever they counted.
            dim, bright = spread[true > 1.8].std(), spread[true < 1.2].std()
            assert float(dim / bright) == pytest.approx(1, rel=0.1)
            assert float(off[true > 1.8].std() / off[true < 1.2].std()) > 1.3


def test_gain_errors_are_the_same_in_all_views() -> None:
    random = torch.Generator().manual_seed(1)
    clean = torch.ones(8, 1, 400, 30)
    noise = ScanNoise(poisson_share=1, photons=(1e6, 1e6), electronic=0, uneven=1, gain_error=0.05)
    columns = (noise.draw(clean, random)[0] - clean).mean(2)[:, 0]
    even = (replace(noise, uneven=0).draw(clean, random)[0] - clean).mean(2)[:, 0]
    assert float(columns.std(1).mean()) > 5 * float(even.std(1).mean())


def test_images_keep_their_mass_and_are_never_twice_the_same() -> None:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    disc = (x * x + y * y < 0.25).astype(np.float32)
    source = ImageSource([disc], zoom=(1.0, 1.0))
    rng = np.random.default_rng(2)
    images = [source.draw(rng, PROBLEM)[0] for _ in range(4)]
    for image in images:
        assert image.shape == (1, 1, 32, 32)
        share = float(image.sum() / image.max()) / 32**2
        assert share == pytest.approx(disc.mean(), rel=0.03)
    assert not torch.allclose(images[0], images[1])


def test_a_mixture_draws_by_shares() -> None:
    class Constant:
        def __init__(self, value: float) -> None:
            self.value = value

        def draw(self, rng: np.random.Generator, problem: object) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.full((1, 1, 2, 2), self.value), torch.zeros(1, 1, 1, 1)

    mixture = Mixture(((3.0, Constant(0.0)), (1.0, Constant(1.0))))
    rng = np.random.default_rng(3)
    drawn = [float(mixture.draw(rng, PROBLEM)[0].mean()) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.07)


def test_scanners_are_many_and_sound() -> None:
    rng = np.random.default_rng(0)
    scanners = [random_scanner(rng) for _ in range(200)]
    views = np.array([one.geometry.shape[0] for one in scanners])
    assert {type(one.geometry) for one in scanners} == {ParallelBeam, FanBeam, ArcFanBeam}
    assert views.min() >= 30
    assert views.min() < 60
    assert views.max() > 360
    assert np.mean((views >= 60) & (views <= 360)) > 0.8
    assert {one.grid.rows for one in scanners} == set(SIZES)
    turns = [np.ptp(one.geometry.angles_rad) for one in scanners if not isinstance(one.geometry, ParallelBeam)]
    assert 0.05 < np.mean(np.array(turns) < 5) < 0.3
    for one in scanners:
        # The image and the detector are of one scale: nearly the whole disc inside the image is seen.
        assert field_of_view_mm(one.geometry) > 0.7 * one.grid.columns


def test_plans_are_validated() -> None:
    nan, inf = float("nan"), float("inf")
    for bad in ({"steps": 0}, {"batch": 0}, {"minutes": 0.0}, {"minutes": inf}, {"learning_rate": nan}):
        with pytest.raises(SettingError):
            TrainingPlan(**bad)
    plan = TrainingPlan(steps=100)
    assert plan.rate(0.02) > plan.rate(0.5) > plan.rate(0.99) > plan.rate(1.0) == 0


def test_no_patient_is_in_two_splits(data_dir: Path) -> None:
    folder = data_dir / "ct_slices" / "tcga_luad"
    patients = {split: [p.name for p in folder.iterdir() if patient_split(p.name) == split]
                for split in ("train", "validation", "test")}
    assert all(len(names) >= 3 for names in patients.values())
    test = [image for _, image in slices_of(folder, "test")]
    assert len(test) >= 20
    assert all(image.min() >= 0 and 0.01 < np.percentile(image, 90) < 0.06 for image in test)
