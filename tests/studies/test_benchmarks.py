"""The comparison: everyone gets the same data, and stored scores are used for the same data only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.networks.mirrored import Mirrored
from ctrecon.networks.pretrained import save_network
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.phantoms import FAMILIES
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.studies.benchmarks import Counts, Gaussian, TestSet, compare, images_as_set
from ctrecon.training.data import PhantomSource

PROBLEM = walnut_scanner(size=32, views=30)
NETWORK = UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))


@pytest.fixture(scope="module")
def two_phantoms() -> TestSet:
    rng = np.random.default_rng(0)
    drawn = [PhantomSource([FAMILIES[0].sample]).draw(rng, PROBLEM) for _ in range(2)]
    return TestSet(name="two", truth=torch.cat([t for t, _ in drawn]), clean=torch.cat([s for _, s in drawn]))


@pytest.mark.long
def test_a_row_holds_every_score_and_reuses_only_those_of_the_same_data(two_phantoms: TestSet) -> None:
    (row,) = compare(NETWORK, PROBLEM, [two_phantoms], [Gaussian(0.02)])
    facts = row.to_dict()
    assert set(facts["mean_psnr_db"]) == {"energy", "one_shot", "huber_tv", "cgls", "fbp"}
    assert facts["all_certified"]
    # The fresh network walks to its Huber-TV image; the oracle's choice of weight is at least about as good.
    assert facts["mean_psnr_db"]["huber_tv"] > facts["mean_psnr_db"]["energy"] - 0.3
    assert facts["mean_psnr_db"]["huber_tv"] > facts["mean_psnr_db"]["fbp"]
    marked = {method: [99.0, 99.0] for method in ("huber_tv", "cgls", "fbp")}
    known = {("two", "2.0%", row.data_sha256): marked}
    (again,) = compare(NETWORK, PROBLEM, [two_phantoms], [Gaussian(0.02)], known=known)
    assert again.mean("huber_tv") == 99
    assert again.psnr["energy"] == row.psnr["energy"]
    (other,) = compare(NETWORK, PROBLEM, [two_phantoms], [Gaussian(0.02)], seed=2, known=known)
    assert other.mean("huber_tv") < 99


@pytest.mark.long
def test_counts_are_weighted_for_everyone(two_phantoms: TestSet) -> None:
    noise = Counts(1e4)
    assert noise.name == "1e4 photons"
    data, weights = noise.draw(two_phantoms.clean, 0)
    assert weights is not None
    squares = (weights * (data - two_phantoms.clean).square()).flatten(1).mean(1)
    assert torch.allclose(squares, torch.ones(2), atol=0.15)
    (row,) = compare(NETWORK, PROBLEM, [two_phantoms], [noise])
    assert all(row.certified)
    assert row.mean("huber_tv") > row.mean("energy") - 0.3
    assert row.mean("huber_tv") > row.mean("cgls")


def test_images_are_cut_to_the_field_of_view() -> None:
    made = images_as_set("ones", [np.ones((100, 140), np.float32)], PROBLEM)
    assert made.truth.shape == (1, 1, 32, 32)
    assert float(made.truth[0, 0, 0, 0]) == 0
    assert float(made.truth[0, 0, 16, 16]) == pytest.approx(1)


def test_mirror_images_get_mirrored_answers() -> None:
    network = Mirrored(UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1))))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    x = torch.randn(1, 5, 16, 24)
    for axes in ((-1,), (-2,), (-2, -1)):
        assert torch.allclose(network(x.flip(axes)).flip(axes), network(x), atol=1e-5)
        assert not torch.allclose(network.network(x.flip(axes)).flip(axes), network.network(x), atol=1e-5)


@pytest.mark.long
def test_the_command_prints_and_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families = FAMILIES[::2]
    monkeypatch.setattr("ctrecon.phantoms.FAMILIES", families)
    weights, table = tmp_path / "net.safetensors", tmp_path / "table.json"
    save_network(weights, NETWORK, NETWORK.state_dict(), {})
    args = ["benchmark", "--prior", str(weights), "--phantoms", "1", "--noise", "2%", "--size", "16", "--views", "12"]
    result = CliRunner().invoke(cli, [*args, "-o", str(table)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n| phantoms: ") == len(families) > 1
    assert len(json.loads(table.read_text())) == len(families)
    again = CliRunner().invoke(cli, [*args, "--reuse", str(table)], catch_exceptions=False)
    assert again.stdout == result.stdout
    assert "oracle" not in again.stderr
    bad = CliRunner().invoke(cli, [*args, "--reuse", str(weights)])
    assert bad.exit_code == 2
