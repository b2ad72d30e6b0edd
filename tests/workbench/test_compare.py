"""Two reconstructions of one scan: the data decide against what no image within the limits shows, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ctrecon as ct
from ctrecon.certificates import verify
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.outputs.report.content import gather
from ctrecon.outputs.report.scale import choose_scale
from ctrecon.outputs.report.words import say_audit, verdict_of

DISC = {"radius": 3.0, "gap": 1.0, "ring": 3.0, "iterations": 150, "kappa": "130%"}


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a certified image, another by another method, and one with a bright disc that is not there."""
    folder = tmp_path_factory.mktemp("compare")
    scan = ct.simulate("head", size=24, views=30, noise=0.01).scan
    one = ct.reconstruct(scan, method="huber-tv", delta="3%")
    two = ct.reconstruct(scan, method="cgls", delta="3.2%")
    one.save(folder / "one.npy", preview=False)
    two.save(folder / "two.npy", preview=False)
    rows, columns = np.ogrid[:24, :24]
    lie = one.image + np.float32(0.05) * ((rows - 12) ** 2 + (columns - 12) ** 2 <= 9)
    np.save(folder / "lie.npy", lie.astype(np.float32))
    return folder, scan, one, two


@pytest.fixture(scope="module")
def found_wrong(made):
    folder, *_ = made
    return ct.compare(folder / "one.npy", folder / "lie.npy", discs=2, save=True, **DISC)


@pytest.mark.long
def test_the_data_decide_against_what_is_not_there(made, found_wrong):
    (folder, *_), found = made, found_wrong
    first = found.found.disputed[0]
    assert first.wrong == ("B",)
    assert first.verdict == "the data decide: B is wrong here, if the object is within the limits"
    assert first.decided
    assert not first.certificate.lower <= first.contrasts[1] <= first.certificate.upper
    assert "if the object is no rougher than TV = " in str(found)
    assert "that it is of this scan and on this grid is on trust" in str(found)
    listed = json.loads(found.written["list"].read_text())
    assert [disc["wrong"] for disc in listed["discs"]] == [list(disc.wrong) for disc in found.found.disputed]
    for k in range(1, len(found.found.disputed) + 1):
        assert verify.check(found.written[f"versus-lie-{k}"]).valid
    assert found.written["picture"].name == "one.versus-lie.png"
    with pytest.raises(OutputError, match="overwrite"):
        ct.compare(folder / "one.npy", folder / "lie.npy", discs=1, save=True, **DISC)


@pytest.mark.long
def test_the_other_way_round_it_is_a_that_is_wrong_and_a_report_of_the_lie_would_say_so(made, found_wrong):
    folder, _, _, _ = made
    found = ct.compare(folder / "lie.npy", folder / "one.npy", discs=1, **DISC)
    assert found.found.disputed[0].wrong == ("A",)
    content = gather(folder / "one.npy")  # with what was found wrong before
    region = next(audit for audit in content.audits if ".versus-lie-1." in audit.name)
    assert not region.contradicts
    wrong = type(region)(**{**vars(region), "value": region.upper + 0.01})
    assert wrong.contradicts
    assert verdict_of(wrong) == "this image is wrong here"
    scale = choose_scale(content.image, content.grid, None)
    assert "it is wrong, if the object is within them" in say_audit(wrong, scale)


def test_two_images_within_the_limits_are_never_called_wrong(made):
    """Both are members of the set that the ranges are about, so any verdict against one would be a false proof."""
    _, _, one, two = made
    found = ct.compare(one, two, discs=4, **{**DISC, "kappa": 10.0})
    assert found.found.disputed
    assert not any(disc.wrong for disc in found.found.disputed)
    assert f"the data decide in 0 of the {len(found.found.disputed)} discs" in str(found)
    # That the data do not decide is said where the solver found images as far apart as the two are, and only there.
    assert {disc.verdict for disc in found.found.disputed if disc.open} == {"the data do not decide"}
    assert "times B, " in str(found)  # whose delta is the larger
    assert "this image" not in str(found)
    unknown = replace(found.found.disputed[0], open=False)
    assert unknown.verdict == "not decided; more --iterations may decide it"


def test_the_truth_is_never_called_wrong_where_the_limits_hold(made):
    folder, *_ = made
    truth = ct.simulate("head", size=24, views=30, noise=0.01).truth
    np.save(folder / "truth.npy", truth.astype(np.float32))
    tv = np.hypot(*(np.pad(np.diff(truth, axis=k), [(0, 1 - k), (0, k)]) for k in (0, 1))).sum()
    heard = []
    given = {**DISC, "kappa": float(tv) * 1.001}
    found = ct.compare(folder / "one.npy", folder / "truth.npy", discs=3, progress=heard.append, **given)
    assert (heard[-1].stage, heard[-1].unit, heard[-1].done) == ("compare", "disc", len(found.found.disputed))
    assert not any("B" in disc.wrong for disc in found.found.disputed)


def test_only_two_of_one_scan_are_compared(made, tmp_path):
    folder, scan, one, _ = made
    other = ct.reconstruct(ct.simulate("head", size=24, views=30, noise=0.01, seed=5).scan, method="cgls", delta="3%")
    with pytest.raises(InputError, match="certified for other data"):
        ct.compare(one, other)
    moved = ct.reconstruct(scan, method="cgls", delta="40%", center=12.0)
    with pytest.raises(InputError, match="other geometry or grid"):
        ct.compare(one, moved)
    missed = ct.reconstruct(scan.every(2), method="fbp", delta="0.1%")
    assert not missed.certified
    with pytest.raises(InputError, match="other data"):
        ct.compare(one, missed)
    np.save(tmp_path / "small.npy", np.zeros((5, 5), dtype=np.float32))
    with pytest.raises(InputError, match="compare on one grid"):
        ct.compare(one, tmp_path / "small.npy")
    with pytest.raises(InputError, match="neither"):
        ct.compare(folder / "lie.npy", folder / "lie.npy")
    with pytest.raises(SettingError, match="in memory"):
        ct.compare(one, folder / "lie.npy", save=True)


@pytest.mark.long
def test_the_command_says_what_python_says_and_draws_it(made, monkeypatch):
    folder, _, _, _ = made
    monkeypatch.chdir(folder)
    words = ("--radius", 3, "--gap", 1, "--ring", 3, "--iterations", 150, "--kappa", "130%", "--discs", 1)
    said = run("compare", "one.npy", "lie.npy", *words, "--overwrite")
    assert said.exit_code == 0, said.output
    assert "the data decide: B is wrong here" in said.output
    facts = json.loads(run("compare", "one.npy", "lie.npy", *words, "--overwrite", "--json").output)
    assert facts["discs"][0]["wrong"] == ["B"]
    with Image.open(folder / facts["written"]["picture"]) as picture:
        assert picture.size == (1550, 640)
    empty = (*words[:-4], "--kappa", "0.001", "--discs", 1)
    nothing = run("compare", "one.npy", "lie.npy", *empty, "--json", "--overwrite")
    assert nothing.exit_code == 3
    assert json.loads(nothing.output)["status"] == "no such image"
    assert Path("one.versus-lie.png").is_file()
