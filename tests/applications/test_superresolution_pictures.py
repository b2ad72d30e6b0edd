"""Pictures and slices are enlarged by a command, certified as written, and refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from PIL import Image as PillowImage
from superresolution_cases import pooled, small_network

from ctrecon.applications.superresolution.enlarge import load_superresolution_network
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError, InputError, WeightsError
from ctrecon.io.pictures import Picture, put_picture, read_picture
from ctrecon.networks.dncnn import DnCNN, DnCNNShape
from ctrecon.networks.pretrained import save_network


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
    proved = json.loads(Path("slice.x3.certificate.json").read_text())["residual_upper_bound"]
    assert 0 < proved <= float(run.output.split("differ by at most ")[1].split()[0]), "no less than is proved"
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
