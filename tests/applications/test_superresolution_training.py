"""Table 1 of the paper on a folder, and the training of a network for super-resolution."""


import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from superresolution_cases import photograph, small_network

from ctrecon.applications.superresolution.enlarge import load_superresolution_network
from ctrecon.applications.superresolution.network import LowResNet, LowResNetShape
from ctrecon.applications.superresolution.path import Patches, SuperResolutionPool
from ctrecon.errors import InputError
from ctrecon.studies.paper.table1 import luminance, methods_of, quality, table
from ctrecon.training.dncnn_start import dncnn_b
from ctrecon.training.held_out import read_training_images
from ctrecon.training.loop import Trainer, TrainingPlan


def test_table_1_of_a_folder(tmp_path):
    folder = tmp_path / "Set2"
    folder.mkdir()
    for i in range(2):
        PillowImage.fromarray((255 * photograph(seed=i)).astype(np.uint8)).save(folder / f"{i}.png")
    rows = {row.method: row for row in table([folder], methods_of(small_network(), small_network(seed=1)), 4)}
    assert len(rows) == 5
    descended, passed = rows["energy dissipation, 15 iterations"], rows["dissipating network, one pass"]
    assert descended.misfit < passed.misfit / 100
    assert all(row.images == "Set2" and row.count == 2 for row in rows.values())
    # Constant squares are what gradient descent from zero ends at, whose PSNR is known.
    truth = luminance(folder / "0.png", 4)
    low = torch.nn.functional.avg_pool2d(truth, 4)
    flat = low.repeat_interleave(4, 2).repeat_interleave(4, 3)[0, 0].double().numpy()
    single = {row.method: row for row in table([folder], methods_of(small_network(), None), 4)}
    assert single["gradient descent, 15 iterations"].psnr < 60
    found, ssim = quality(flat, truth[0, 0].double().numpy())
    assert found == pytest.approx(10 * np.log10(1 / np.mean((flat - truth[0, 0].double().numpy()) ** 2)))
    assert 0 < ssim < 1
    with pytest.raises(InputError, match="no images"):
        list(table([tmp_path], methods_of(small_network(), None), 4))


@pytest.mark.long
def test_energy_dissipation_beats_one_pass_on_set5(data_dir):
    network = load_superresolution_network("superres-default", 4)
    methods = {name: method for name, method in methods_of(network, None).items() if "symmetries" not in name}
    rows = {row.method: row for row in table([data_dir / "images" / "Set5"], methods, 4)}
    descended, passed = rows["energy dissipation, 15 iterations"], rows["dissipating network, one pass"]
    assert descended.psnr > passed.psnr > rows["gradient descent, 15 iterations"].psnr + 3
    assert descended.ssim > passed.ssim
    assert descended.misfit < passed.misfit / 100


def test_the_papers_start_is_a_denoiser(data_dir, tmp_path):
    network = dncnn_b(data_dir / "weights" / "dncnn_b_gray_blind.mat")
    truth = torch.from_numpy(photograph(96, 96))[None, None]
    truth = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
    noisy = truth + 25 / 255 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        cleaned = network(torch.cat([torch.zeros_like(noisy), torch.zeros_like(noisy), noisy], dim=1))
    assert (cleaned - truth).square().mean() < (noisy - truth).square().mean() / 5
    (tmp_path / "other.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match="DnCNN-B"):
        dncnn_b(tmp_path / "other.mat")


def test_copies_of_test_images_are_not_trained_on(tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    train.mkdir()
    test.mkdir()
    for i in range(3):
        photo = photograph(80, 112, seed=i) * np.linspace(0.2 + 0.3 * i, 1, 112, dtype=np.float32)
        PillowImage.fromarray((255 * photo).astype(np.uint8)).save(train / f"{i}.png")
    with PillowImage.open(train / "1.png") as image:
        image.resize((70, 50)).transpose(PillowImage.Transpose.ROTATE_90).save(test / "other name.png")
    assert read_training_images([train]).left_out == 0
    found = read_training_images([train], [test])
    assert (len(found.images), found.left_out) == (2, 1)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("most_steps", [1, 8])
def test_training_lowers_the_loss_and_repeats(most_steps):
    def trained(steps):
        torch.manual_seed(3)
        network = LowResNet(LowResNetShape(width=16, blocks=1))
        pool = SuperResolutionPool([photograph(64, 80)], 4, size=8, states=8, most_steps=most_steps)
        trainer = Trainer(network, [pool], TrainingPlan(steps=steps, batch=4, seed=1, learning_rate=3e-3))
        losses = [at.loss for at in trainer.run()]
        return losses, trainer.averaged

    losses, weights = trained(60)
    assert losses[-1] < 0.95 * losses[0]
    again, same = trained(60)
    assert again == losses
    assert all(torch.equal(weights[key], same[key]) for key in weights)


def test_patches_need_images_of_their_size():
    rng = np.random.default_rng(0)
    patches = Patches([photograph()], 32)
    drawn = torch.stack([patches.draw(rng) for _ in range(8)])
    assert drawn.shape == (8, 1, 32, 32)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn[0] - drawn[1]).abs().max() > 0.01
    with pytest.raises(InputError, match="128 x 128"):
        Patches([photograph()], 128)
