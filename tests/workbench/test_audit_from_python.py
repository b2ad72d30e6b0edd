"""``ct.audit``: of a result in memory or on disk, heard while it works, the same as the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli

PARALLEL = ct.ParallelBeam(
    angles_rad=tuple(np.linspace(0, np.pi, 40, endpoint=False)), detector_count=36, detector_spacing_mm=1.0
)


@pytest.fixture(scope="module")
def result() -> ct.Reconstruction:
    scan = ct.simulate("head", geometry=PARALLEL, grid=ct.Grid(rows=32, columns=32, pixel_mm=1.0), noise=0.02).scan
    return ct.reconstruct(scan, delta="3%", device="cpu")


@pytest.mark.long
def test_of_a_result_in_memory(result: ct.Reconstruction, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    found = ct.audit(result, roi=(16, 16, 4), iterations=200, progress=lambda now: heard.append(str(now)))
    assert capfd.readouterr() == ("", "")
    (answer,) = found.answers
    assert answer.certificate.lower <= answer.contrast <= answer.certificate.upper
    assert found.written == {}
    assert len(heard) >= 2
    assert heard[0].startswith("region 1 of 1: iteration  50 of 200   range from ")
    assert answer.verdict.lower() in str(found).lower()


@pytest.mark.long
def test_regions_in_every_form_are_the_same_question(result: ct.Reconstruction, tmp_path: Path) -> None:
    mask = np.zeros((32, 32), dtype=bool)
    mask[14:19, 14:19] = True
    np.save(tmp_path / "m.npy", mask)
    found = ct.audit(result, roi=[mask, tmp_path / "m.npy", "16,16,3", (16, 16, 3.0)], iterations=50)
    ranges = [(a.certificate.lower, a.certificate.upper) for a in found.answers]
    assert ranges[0] == ranges[1]
    assert ranges[2] == ranges[3]
    assert ranges[0] != ranges[2]
    assert len({a.region.label for a in found.answers}) == 4


def test_from_python_as_from_the_command_line(result: ct.Reconstruction, tmp_path: Path) -> None:
    image = result.save(tmp_path / "head.npy", preview=False)["image"]
    options = ["--roi", "16,16,4", "--iterations", "100"]
    told = CliRunner().invoke(cli, ["audit", str(image), *options, "--json"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    facts = json.loads(told.output)
    written = Path(facts["regions"][0]["certificate"])
    assert ct.verify(written)
    said = CliRunner().invoke(cli, ["audit", str(image), *options, "--overwrite"], catch_exceptions=False).output
    assert "region 1 of 1: iteration  50 of 100" in said
    before = written.read_bytes()
    with pytest.raises(ct.errors.OutputError, match="overwrite"):
        ct.audit(image, roi=(16, 16, 4), iterations=100, save=True)
    mine = ct.audit(result, roi=(16, 16, 4), iterations=100, save=image, overwrite=True)
    ours = {k: v for k, v in mine.to_dict()["regions"][0].items() if k != "seconds"}
    assert ours == {k: v for k, v in facts["regions"][0].items() if k != "seconds"}
    assert json.loads(before)["lower"] == json.loads(written.read_bytes())["lower"]
    assert ct.verify(written)


def test_what_cannot_be_audited_says_why(result: ct.Reconstruction) -> None:
    with pytest.raises(ct.errors.SettingError, match="say what to audit"):
        ct.audit(result)
    with pytest.raises(ct.errors.SettingError, match=r"save='S\.npy'"):
        ct.audit(result, roi=(16, 16, 4), save=True)
    with pytest.raises(ct.errors.SettingError, match="shape of the image"):
        ct.audit(result, roi=np.ones((3, 3)))
    for tensor in (torch.ones(32, 32), torch.ones(32, 32, device="meta"), [torch.ones(32, 32)]):
        with pytest.raises(ct.errors.SettingError, match=r"a mask is a NumPy array .* got Tensor of shape \(32, 32\)"):
            ct.audit(result, roi=tensor)
    small = ct.simulate("head", size=16, views=8, noise=0.02).scan
    missed = ct.reconstruct(small, delta=1e-6, method="cgls", iterations=2)
    with pytest.raises(ct.errors.InputError, match="not certified, so there is nothing to audit"):
        ct.audit(missed, roi=(8, 8, 3))
