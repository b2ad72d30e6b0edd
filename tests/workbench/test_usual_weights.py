"""Which weights serve where none are named: those of volumes for a cone, those of images else; and it is said."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from volumes import noisy

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.io.write import write_scan
from ctrecon.networks.pretrained import load_ct_network, usual_ct_weights
from ctrecon.networks.slices import slices_seen
from ctrecon.reconstruction import run as running
from ctrecon.reconstruction.methods import METHODS, load_method, settings_of
from ctrecon.reconstruction.settings import Settings


class Blurs(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.7 * x[:, 2:3]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def load(name: str) -> tuple[torch.nn.Module, dict[str, object]]:
        names.append(name)
        return Blurs(), {}

    monkeypatch.setattr(running, "load_ct_network", load)
    return names


def test_a_cone_gets_those_of_volumes_and_everything_says_so(tmp_path: Path, loaded: list[str]) -> None:
    write_scan(tmp_path / "scan.npz", noisy()[0])
    line = f"reconstruct {tmp_path}/scan.npz --delta 20% --looks 1 --iterations 1 --no-preview -o {tmp_path}/v.npy"
    done = CliRunner().invoke(cli, [*line.split(), "--report", f"{tmp_path}/v.html", "--json"], catch_exceptions=False)
    assert loaded == ["ct-volume"]
    assert json.loads(done.output)["prior"] == "ct-volume"
    assert json.loads((tmp_path / "v.history.json").read_text())["settings"]["prior"] == "ct-volume"
    assert "ct-volume" in (tmp_path / "v.html").read_text()


def test_an_image_gets_those_of_images(loaded: list[str]) -> None:
    said: list[str] = []
    found = ct.reconstruct(
        ct.simulate("head", size=16, views=12), delta="20%", iterations=1, progress=lambda now: said.append(now.said)
    )
    assert loaded == ["ct-default"]
    assert found.settings.prior == "ct-default"
    assert "note: the network's weights are ct-default" in said
    assert dataclasses.replace(found.settings, prior=None) == Settings(delta="20%", iterations=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("in_space", [False, True])
def test_only_a_method_that_asks_a_network_is_given_weights(method: str, in_space: bool) -> None:
    found = Settings(method=method).of_scan(in_space=in_space).prior
    asks = "prior" in settings_of(load_method(method))
    assert found == (usual_ct_weights(in_space=in_space) if asks else None)


def test_weights_that_are_named_stay() -> None:
    for in_space in (False, True):
        assert Settings(prior="ct-default").of_scan(in_space=in_space).prior == "ct-default"


def test_those_of_volumes_see_neighbouring_slices() -> None:
    assert slices_seen(load_ct_network(usual_ct_weights(in_space=True))[0]) > 1
    assert slices_seen(load_ct_network(usual_ct_weights(in_space=False))[0]) == 1
