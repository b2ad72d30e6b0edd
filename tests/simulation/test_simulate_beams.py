"""A beam that nobody knows is refused, and a cone is simulated like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError
from ctrecon.simulation.simulate import BEAMS, standard_scanner


@pytest.mark.parametrize("beam", ["arc", "Fan", "", "cone "])
def test_another_beam_is_not_taken_for_parallel(beam: str) -> None:
    with pytest.raises(CtreconError, match="there is no beam"):
        standard_scanner(beam, 16, 12)
    if beam:
        with pytest.raises(CtreconError, match="there is no beam"):
            ct.simulate("head", beam=beam, size=16, views=12)


@pytest.mark.parametrize("beam", BEAMS)
def test_the_truth_has_the_delta_that_is_said(beam: str) -> None:
    made = ct.simulate("head", beam=beam, size=24, views=20, noise=0.02, seed=3)
    operator = ct.operator(made.scan)
    residual = operator(torch.as_tensor(made.truth)[None, None])[0, 0].numpy() - made.scan.sinogram
    assert float(np.linalg.norm(residual)) == pytest.approx(made.delta, rel=1e-4)
    assert made.truth.min() >= 0
    assert made.truth.max() > 0.015


def test_a_cone_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "cone.npz"
    asked = ["simulate", "--beam", "cone", "--size", "16", "--views", "12", "-o", str(out), "--json"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    scan = ct.read_scan(out)
    assert scan.sinogram.shape == (12, told["detector_rows"], told["detectors"])
    assert np.load(told["truth"]).shape == (16, 16, 16)
    asked = ["simulate", "--beam", "cone", "--phantom", "chest", "-o", str(tmp_path / "x.npz")]
    refused = CliRunner().invoke(cli, asked)
    assert refused.exit_code != 0
    assert "there is no phantom 'chest'; use ellipsoids, head, trunk" in refused.output
