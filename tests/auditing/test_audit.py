"""``ctrecon audit``: regions from text and files, verdicts, certificates that verify, the map, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner

from ctrecon.auditing.regions import Ring, disc, disc_mm, masked, read_mask
from ctrecon.auditing.tiles import tile_up
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.grid import Grid

SIDE = 40
RING = ("--gap", 1, "--ring", 3)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args], catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A certified image of a disc of contrast 0.01 at column 24, row 14 and one of 0.0015 at 14, 24."""
    folder = tmp_path_factory.mktemp("audit")
    row, column = np.mgrid[:SIDE, :SIDE]
    truth = 0.01 * (np.hypot(row - 19.5, column - 19.5) <= 16)
    truth[np.hypot(column - 24, row - 14) <= 3.2] += 0.01
    truth[np.hypot(column - 14, row - 24) <= 1.5] += 0.0015
    np.save(folder / "truth.npy", truth.astype(np.float32))
    scan, image = folder / "scan.npz", folder / "truth.npy"
    result = run("simulate", "--image", image, "--size", SIDE, "--views", 40, "--noise", "2%", "-o", scan)
    assert result.exit_code == 0, result.output
    result = run("reconstruct", scan, "--delta", "2.1%", "--method", "cgls", "--no-preview", "-o", folder / "u.npy")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_disc_in_the_data_and_one_that_is_not_decided(folder):
    args = (folder / "u.npy", "--roi", "24,14,3.2", "--roi", "14,24,1.5", *RING, "--kappa", folder / "truth.npy")
    facts = json.loads(run("audit", *args, "--json").output)
    large, small = facts["regions"]
    truth = np.load(folder / "truth.npy").astype(float)
    assert large["verdict"] == "in the data"
    assert small["verdict"] == "the data do not decide"
    for answer, place in ((large, (24, 14, 3.2)), (small, (14, 24, 1.5))):
        c = disc(*place, truth.shape, Ring(gap=1, width=3)).functional
        assert answer["lower"] <= (c * truth).sum() <= answer["upper"]
        assert answer["converged"]
        width = answer["upper"] - answer["lower"]
        assert answer["found"][1] - answer["found"][0] >= 0.98 * width
        assert answer["lower"] <= answer["found"][0] <= answer["found"][1] <= answer["upper"]
    assert facts["kappa_from"] == "the TV of truth.npy"
    certificates = [answer["certificate"] for answer in facts["regions"]]
    assert [Path(c).name.split(".")[1] for c in certificates] == ["disc-24-14-3p2", "disc-14-24-1p5"]
    checked = run("verify", *certificates, folder / "u.npy")
    assert checked.exit_code == 0
    said = [line.split(": ", 1)[1].split(":")[0] for line in checked.output.splitlines() if "in words" in line]
    whether = "whether each of its structures is real is not said"
    feasible = f"the image explains the data to within delta; {whether}"
    if_so = "in the data, if the object is no rougher than TV = 1.436"
    assert said == [if_so, "not decided", feasible]
    assert "say little" not in checked.output  # an image within all limits is stored with either
    # One byte of a dual, and the certificate is refused.
    dual = folder / "u.disc-24-14-3p2.lower-y.npy"
    raw = bytearray(dual.read_bytes())
    raw[-1] ^= 1
    dual.write_bytes(raw)
    assert run("verify", certificates[0]).exit_code == 1


def test_what_is_assumed_and_the_verdict_stand_in_the_answer(folder):
    result = run("audit", folder / "u.certificate.json", "--roi-mm", "1,1,1", *RING, "--iterations", 50)
    assert result.exit_code == 0, result.output
    condition = "if the object is no rougher than TV = "
    smoothest = "times the smoothest image found that meets delta"
    for words in (condition, smoothest, "0 <= u <= 0.1 1/mm", "verdict", "certified for every such image"):
        assert words in result.output


@pytest.mark.long
def test_a_larger_kappa_or_box_gives_a_wider_range(folder):
    def ends(*more):
        args = (folder / "u.npy", "--roi", "24,14,3.2", *RING, *more, "--json", "--overwrite")
        answer = json.loads(run("audit", *args).output)["regions"][0]
        return answer["lower"], answer["upper"]

    narrow, wide = ends("--kappa", "60%", "--hi", 0.03), ends("--kappa", "90%", "--hi", 0.03)
    assert wide[0] < narrow[0]
    assert narrow[1] < wide[1]


@pytest.mark.long
def test_too_small_a_kappa_leaves_no_image(folder):
    result = run("audit", folder / "u.npy", "--roi", "24,14,3.2", *RING, "--kappa", "5%", "--json")
    assert result.exit_code == 3
    facts = json.loads(result.stdout)
    assert facts["status"] == "no such image"
    assert "raise --kappa" in facts["error"]
    assert not list(folder.glob("u.disc*"))


@pytest.mark.long
def test_the_map_agrees_with_the_regions(folder):
    args = (folder / "u.npy", "--scan", "--radius", 3.2, *RING, "--kappa", folder / "truth.npy", "--iterations", 400)
    facts = json.loads(run("audit", *args, "--json").output)["scan"]
    values, listed = np.load(facts["values"]), json.loads(Path(facts["tiles"]).read_text())
    truth = np.load(folder / "truth.npy").astype(float)
    assert Path(facts["map"]).read_bytes().startswith(b"\x89PNG")
    assert values.shape == truth.shape
    assert facts["discs"] == len(listed["tiles"]) > 20
    assert 0 < facts["decided"] < facts["discs"]
    for tile in listed["tiles"]:
        region = disc(tile["column"], tile["row"], 3.2, truth.shape, Ring(gap=1, width=3))
        # The truth is in the set, so it keeps what is certified.
        assert tile["sign"] * (region.functional * truth).sum() >= tile["bound"]
        assert (tile["verdict"] == "in the data") is (tile["bound"] > 0)
        # Neighbours share the pixels where they touch.
        own = values[round(tile["row"]), round(tile["column"])]
        assert own == tile["sign"] * max(tile["bound"], 0.0)


def test_regions_are_where_they_are_said_to_be():
    region = disc(3, 8, 1.0, (12, 20), Ring(gap=1, width=2))
    assert {tuple(at) for at in np.argwhere(region.inside).tolist()} == {(8, 3), (7, 3), (9, 3), (8, 2), (8, 4)}
    c = region.functional
    assert c[region.inside].sum() == pytest.approx(1)
    assert c.sum() == pytest.approx(0, abs=1e-14)
    grid = Grid(rows=12, columns=20, pixel_mm=0.5)
    same = disc_mm(float(grid.x_mm[3]), float(grid.y_mm[8]), 0.5, grid, Ring(gap=1, width=2))
    assert np.array_equal(same.inside, region.inside)
    as_mask = masked(region.inside, "one.npy", Ring(gap=1, width=2))
    assert not (as_mask.inside & as_mask.around).any()
    distance = np.hypot(*np.meshgrid(np.arange(20) - 3, np.arange(12) - 8))
    assert as_mask.around[(distance > 3) & (distance < 3.9)].all()


def test_labels_are_safe_and_of_one_region_only():
    one, other = disc(8.5, 9, 3, (40, 40), Ring()), disc(8, 5.9, 3, (40, 40), Ring())
    assert one.label != other.label
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:14, 10:14] = True
    assert masked(mask, "../../Müller's tumour?.nii.gz", Ring()).label == "mask-M-ller-s-tumour"


def test_masks_from_files(tmp_path):
    mask = np.zeros((12, 20), dtype=np.uint8)
    mask[2:5, 3:6] = 1
    for name, values in (("a.npy", mask), ("b.npy", mask.astype(bool)), ("c.npy", mask.astype(np.float32))):
        np.save(tmp_path / name, values)
        assert np.array_equal(read_mask(tmp_path / name, mask.shape), mask != 0)
    for name, values in (("a.nii.gz", mask), ("b.nii", mask[None])):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / name))
        assert np.array_equal(read_mask(tmp_path / name, mask.shape), mask != 0)
    turned = SimpleITK.GetImageFromArray(mask[None])
    turned.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    SimpleITK.WriteImage(turned, str(tmp_path / "turned.nii.gz"))
    fine = SimpleITK.GetImageFromArray(mask)
    fine.SetSpacing((0.5, 0.5))
    SimpleITK.WriteImage(fine, str(tmp_path / "fine.nii.gz"))
    assert read_mask(tmp_path / "fine.nii.gz", mask.shape, (0.5, 0.5)).sum() == 9
    with pytest.raises(InputError, match=r"pixels of 0\.5 x 0\.5 mm, the image of 0\.7 x 0\.7 mm"):
        read_mask(tmp_path / "fine.nii.gz", mask.shape, (0.7, 0.7))
    np.save(tmp_path / "nan.npy", np.where(mask, np.nan, 0.0))
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "mask.txt").write_text("1")
    for name, shape, words in (
        ("turned.nii.gz", (12, 20), "turned or mirrored"), ("a.nii.gz", (20, 12), "voxels"),
        ("a.npy", (20, 12), "shape"), ("nan.npy", (12, 20), "NaN"),
        ("text.nii.gz", (12, 20), "NIfTI"), ("mask.txt", (12, 20), "is a .npy"), ("none.npy", (12, 20), "no such mask"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_mask(tmp_path / name, shape)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "say what to audit"),
        (("--roi", "1,1,5"), "does not lie in the image"),
        (("--roi", "20,20,-1"), "radius > 0"),
        (("--roi", "nan,20,1"), "radius > 0"),
        (("--roi-mm", "20,20"), "X,Y,RADIUS in mm"),
        (("--roi", "20,20,0.1", "--gap", "-1"), "--gap"),
        (("--roi", "20,20,2", "--ring", "0"), "--ring"),
        (("--roi", "20,20,2", "--kappa", "rough"), "--kappa is a number"),
        (("--roi", "20,20,2", "--kappa", "-3"), "kappa must be"),
        (("--roi", "20,20,2", "--kappa", "{other}"), "give an image of the same"),
        (("--roi", "20,20,2", "--hi", "-1"), "--lo and --hi"),
        (("--roi", "20,20,2", "--radius", "4"), "of --scan"),
        (("--scan", "--radius", "30"), "no disc of radius"),
        (("--roi", "gone.npy"), "no such mask"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_code_2(made, args, words, tmp_path):
    np.save(tmp_path / "other.npy", np.ones((5, 7)))
    args = [arg.format(other=tmp_path / "other.npy") for arg in args]
    before = sorted(made.iterdir())
    result = run("audit", made / "u.npy", *args)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert sorted(made.iterdir()) == before


def test_an_image_whose_certificate_does_not_hold_is_not_audited(folder):
    raw = bytearray((folder / "u.npy").read_bytes())
    raw[-1] ^= 1
    (folder / "u.npy").write_bytes(raw)
    for name, words in (("u.npy", "refused"), ("truth.npy", "no certificate"), ("scan.npz", "give a certified image")):
        result = run("audit", folder / name, "--roi", "20,20,2")
        assert result.exit_code == 2
        assert words in result.output


def test_tiles_cover_the_image_and_stay_inside():
    ring = Ring()
    found = tile_up((60, 80), 4.0, ring)
    covered = sum(region.inside.astype(int) for _, _, region in found)
    reach = 4 + ring.reach(4.0)
    middle = covered[int(reach) : -int(reach), int(reach) : -int(reach)]
    assert covered.max() <= 2
    assert (middle > 0).mean() > 0.8
    with pytest.raises(SettingError, match="finite number"):
        tile_up((60, 80), float("nan"), ring)
