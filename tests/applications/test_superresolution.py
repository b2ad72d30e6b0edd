"""Laws of super-resolution: pooled again the enlarged image is the given one, whatever the network says."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from click.testing import CliRunner
from PIL import Image as PillowImage

from ctrecon.applications.superresolution.enlarge import (
    energy_of,
    enlarge,
    enlarge_levels,
    fitted,
    load_superresolution_network,
)
from ctrecon.applications.superresolution.network import EstimateDirection, LowResNet, LowResNetShape
from ctrecon.applications.superresolution.path import Patches, SuperResolutionPool
from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.certificates.pooled import certify_pooled
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError, InputError, SettingError, WeightsError
from ctrecon.io.pictures import Picture, put_picture, read_picture
from ctrecon.networks.dncnn import DnCNN, DnCNNShape
from ctrecon.networks.mirrored import Mirrored
from ctrecon.networks.pretrained import save_network
from ctrecon.studies.paper.table1 import luminance, methods_of, quality, table
from ctrecon.training.dncnn_start import dncnn_b
from ctrecon.training.held_out import read_training_images
from ctrecon.training.loop import Trainer, TrainingPlan


def small_network(scale=4, seed=0):
    """Never trained, and with an answer that is far from any data."""
    torch.manual_seed(seed)
    network = LowResNet(LowResNetShape(scale=scale, width=8, blocks=1))
    torch.nn.init.normal_(network.leave.weight, std=0.05)
    return network.eval().requires_grad_(False)


class Adversary(torch.nn.Module):
    """Answers with nonsense: huge values, or none at all."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return torch.full_like(x[:, :1], self.value) + 3 * x[:, :1].roll(1, -1)


def pooled(u, scale):
    rows, columns = u.shape[0] // scale, u.shape[1] // scale
    return u.reshape(rows, scale, columns, scale, *u.shape[2:]).mean(axis=(1, 3))


def photograph(rows=40, columns=56, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns] / 24
    image = 0.5 + 0.25 * np.sin(3 * x + y) + 0.2 * (np.hypot(x - 1, y - 0.8) < 0.5) + 0.02 * rng.normal(size=x.shape)
    return np.clip(image, 0, 1).astype(np.float32)


# --- the descent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("direction", ["none", "random", "huge", "not finite"])
def test_every_direction_ends_at_the_data(scale, direction):
    network = {
        "none": None, "random": small_network(scale), "huge": Adversary(1e6), "not finite": Adversary(float("nan")),
    }[direction]  # fmt: skip
    data = torch.rand(2, 1, 7, 9)
    found = enlarge(data, scale, network)
    assert found.u.shape == (2, 1, 7 * scale, 9 * scale)
    misfits = torch.stack(found.misfits)
    # Up to the rounding of a residual that is carried along, and computed anew for the last step.
    assert bool((misfits[1:] <= misfits[:-1] + 1e-11).all()), "the energy never rises"
    largest = (torch.nn.functional.avg_pool2d(found.u, scale) - data).abs().max()
    assert largest < 1e-5
    # One pass of the same network is no answer to the data.
    if network is not None and direction == "random":
        energy = energy_of(data, scale)
        zero = torch.zeros_like(found.u)
        passed = EstimateDirection(network, energy)(energy.at(zero))
        assert (torch.nn.functional.avg_pool2d(passed, scale) - data).abs().max() > 1e-3


def test_the_network_decides_what_the_data_do_not():
    data = torch.rand(1, 1, 8, 8)
    one, other = enlarge(data, 4, small_network(seed=1)).u, enlarge(data, 4, small_network(seed=2)).u
    assert (one - other).abs().max() > 1e-3


def test_symmetric_networks_commute_with_turns_and_mirrors():
    network, x = small_network(), torch.rand(1, 3, 16, 24)
    for turn in (lambda t: t.flip(-1), lambda t: t.transpose(-1, -2), lambda t: torch.rot90(t, 1, (-2, -1))):
        # As the inputs of a problem are: data and gradient constant over squares.
        constant = torch.cat([x[:, :1], *(torch.rand(1, 2, 4, 6).repeat_interleave(4, 2).repeat_interleave(4, 3),)], 1)
        even = Mirrored(network)
        torch.testing.assert_close(even(turn(constant)), turn(even(constant)), rtol=0, atol=1e-5)
        assert (network(turn(constant)) - turn(network(constant))).abs().max() > 1e-3


# --- whole numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("highest", [255, 65535])
@pytest.mark.parametrize("kind", ["grey", "colour", "extremes", "flat"])
def test_whole_numbers_pool_back_exactly(highest, kind):
    rng = np.random.default_rng(1)
    levels = rng.integers(0, highest + 1, (6, 5, 3) if kind == "colour" else (6, 5)).astype(np.float64)
    if kind == "extremes":
        levels = np.where(levels > highest / 2, float(highest), 0.0)
    if kind == "flat":
        levels = np.full_like(levels, 7.0)
    u = enlarge_levels(levels, 4, small_network(), lowest=0, highest=highest)
    assert u.shape == (24, 20, *levels.shape[2:])
    assert u.min() >= 0
    assert u.max() <= highest
    np.testing.assert_array_equal(u, np.rint(u))
    np.testing.assert_array_equal(pooled(u, 4), levels)


def test_rounding_alone_would_not():
    f = np.random.default_rng(2).integers(0, 256, (9, 9)).astype(np.float64)
    u = f.repeat(4, 0).repeat(4, 1) + np.tile(np.linspace(-0.9, 0.9, 4), (36, 9))
    kept = fitted(u, f, 4, lowest=0, highest=255, whole=True)
    np.testing.assert_array_equal(pooled(kept, 4), f)
    inside = (f > 2) & (f < 253)
    assert np.abs(kept - u)[inside.repeat(4, 0).repeat(4, 1)].max() <= 1 + 1e-9
    assert np.abs(pooled(np.clip(np.rint(u + 0.3), 0, 255), 4) - f).max() > 0.2


def test_values_that_are_not_whole_stay_measured_values():
    levels = np.random.default_rng(3).normal(size=(5, 6)) * 40 - 900
    u = enlarge_levels(levels, 2, None, lowest=float(levels.min()), highest=float(levels.max()), whole=False)
    assert np.abs(pooled(u, 2) - levels).max() < 1e-3
    np.testing.assert_array_equal(u, u.astype(np.float32))


@pytest.mark.parametrize(
    ("levels", "match"),
    [
        (np.zeros((3, 4, 2)), "rows, columns"),
        (np.zeros((0, 4)), "rows, columns"),
        (np.full((3, 4), np.nan), "from 0 to 255"),
        (np.full((3, 4), 256.0), "from 0 to 255"),
        (np.broadcast_to(0.0, (2048, 2048)), "parts"),
    ],
)
def test_impossible_images_are_refused(levels, match):
    with pytest.raises(InputError, match=match):
        enlarge_levels(levels, 4, None, lowest=0, highest=255)
    with pytest.raises(SettingError, match="scale"):
        enlarge_levels(np.zeros((3, 4)), 1, None, lowest=0, highest=255)


# --- certificates ---------------------------------------------------------------------------------------------------


def test_the_certificate_is_of_the_largest_difference(tmp_path):
    rng = np.random.default_rng(4)
    data = rng.integers(0, 256, (5, 4, 3)).astype(np.float64)
    image = data.repeat(3, 0).repeat(3, 1)
    image[0, 0, 0] += 2.7  # one pixel of nine: its mean is off by 0.3
    certificate = certify_pooled(image, data, 3, 0.5)
    assert isinstance(certificate, FeasibleCertificate)
    assert certificate.residual == pytest.approx(0.3)
    assert verify.check(certificate.write(tmp_path / "a.npy")[""]).valid
    refused = certify_pooled(image, data, 3, 0.29)
    assert isinstance(refused, NotCertified)
    with pytest.raises(SettingError, match="tolerance"):
        certify_pooled(image, data, 3, 0.0)
    with pytest.raises(InputError):
        certify_pooled(image, data, 2, 0.5)


# --- pictures and commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_come_back_whole(bits, shape, suffix, tmp_path):
    levels = np.random.default_rng(5).integers(0, 2**bits, shape).astype(np.float64)
    picture = Picture(levels=levels, lowest=0, highest=2**bits - 1, bits=bits)
    put_picture(tmp_path / f"a{suffix}", levels, picture, 1)
    back = read_picture(tmp_path / f"a{suffix}")
    assert (back.bits, back.note) == (bits, "")
    np.testing.assert_array_equal(back.levels, levels)


def test_transparency_palettes_and_nonsense(tmp_path):
    PillowImage.new("RGBA", (4, 4), (9, 8, 7, 100)).save(tmp_path / "a.png")
    assert "transparency" in read_picture(tmp_path / "a.png").note
    PillowImage.new("RGB", (4, 4), (9, 8, 7)).quantize(4).save(tmp_path / "p.png")
    assert read_picture(tmp_path / "p.png").levels[0, 0].tolist() == [9, 8, 7]
    (tmp_path / "n.png").write_bytes(b"\x89PNG\r\n\x1a\n not at all")
    (tmp_path / "n.nii").write_bytes(b"nothing")
    for name in ("n.png", "n.nii", "absent.png"):
        with pytest.raises(InputError):
            read_picture(tmp_path / name)


@pytest.fixture
def prior(tmp_path) -> Path:
    network = small_network()
    save_network(tmp_path / "prior.safetensors", network, network.state_dict(), {"scale": 4})
    return tmp_path / "prior.safetensors"


def test_the_command_writes_what_verify_accepts(prior, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(6).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    PillowImage.fromarray(levels).save("photo.png")
    run = CliRunner().invoke(cli, ["superres", "photo.png", "--prior", str(prior), "--json"], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    facts = json.loads(run.output)
    assert (facts["status"], facts["image"], facts["shape"]) == ("certified", "photo.x4.png", [36, 28, 3])
    assert facts["largest_difference"] == 0
    shown = np.asarray(PillowImage.open("photo.x4.png"), dtype=np.float64)
    np.testing.assert_array_equal(pooled(shown, 4), levels)
    np.testing.assert_array_equal(np.load("photo.x4.npy", allow_pickle=False), shown)
    assert CliRunner().invoke(cli, ["verify", "photo.x4.npy"]).exit_code == 0
    # and neither the picture nor the values can be changed behind its back
    shown[3, 4, 1] += 1 if shown[3, 4, 1] < 255 else -1
    PillowImage.fromarray(shown.astype(np.uint8)).save("photo.x4.png")
    assert CliRunner().invoke(cli, ["verify", "photo.x4.npy"]).exit_code == 1
    np.save("photo.x4.npy", shown.astype(np.float32))
    assert CliRunner().invoke(cli, ["verify", "photo.x4.certificate.json"]).exit_code == 1


def test_a_slice_of_nifti_is_enlarged_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(7).integers(-1024, 3000, (6, 8)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing((0.6, 0.9))
    SimpleITK.WriteImage(image, "slice.nii")
    run = CliRunner().invoke(cli, ["superres", "slice.nii", "--scale", "3", "--prior", "none"], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    back = read_picture(Path("slice.x3.nii"))
    np.testing.assert_array_equal(pooled(back.levels, 3), values)
    assert back.spacing_mm == pytest.approx((0.3, 0.2))
    assert CliRunner().invoke(cli, ["verify", "slice.x3.npy"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photo.png", "--scale", "3"], "not 3"),
        (["photo.png", "-o", "out.jpg"], ".png"),
        (["photo.png", "-o", "photo.png"], "replace"),
        (["photo.png", "--tolerance", "0"], "tolerance"),
        (["photo.png", "--tolerance", "nan"], "tolerance"),
        (["absent.png"], "no file"),
        (["photo.png", "-o", "absent/out.png"], "absent"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, prior, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PillowImage.new("L", (6, 5), 40).save("photo.png")
    before = sorted(tmp_path.iterdir())
    run = CliRunner().invoke(cli, ["superres", *arguments, "--prior", str(prior)])
    assert run.exit_code == 2
    assert said in run.output
    assert len(run.output.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_networks_for_something_else_are_refused(tmp_path):
    other = DnCNN(DnCNNShape(inputs=3, depth=3, width=4))
    save_network(tmp_path / "d.safetensors", other, other.state_dict(), {"scale": 2})
    assert isinstance(load_superresolution_network(str(tmp_path / "d.safetensors"), 2), DnCNN)
    with pytest.raises(WeightsError, match="enlarges by 2"):
        load_superresolution_network(str(tmp_path / "d.safetensors"), 4)
    with pytest.raises(CtreconError):
        load_superresolution_network("ct-default", 4)


# --- Table 1 and training -------------------------------------------------------------------------------------------


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
