"""Methods of others: they learn on the data of ours, do not depend on units, and are certified by nobody's word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.commands import benchmark
from ctrecon.cli.main import cli
from ctrecon.errors import SettingError, WeightsError
from ctrecon.networks.pretrained import load_ct_network, save_network
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.phantoms import FAMILIES
from ctrecon.phantoms.families.ellipses import Ellipses
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.studies.benchmarks import Gaussian, TestSet, compare
from ctrecon.studies.peers.learned_primal_dual import LearnedPrimalDual, LearnedPrimalDualShape
from ctrecon.studies.peers.peer import PEERS, PeerNetwork, load_peer, reconstructed
from ctrecon.studies.peers.pool import PeerSupply
from ctrecon.studies.peers.post_processing import PostProcessing, PostProcessingShape
from ctrecon.studies.peers.scores import peer_scores
from ctrecon.support.metrics import psnr
from ctrecon.training.data import PhantomSource
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.whole import Supply, TrainingData

SCANNER = walnut_scanner(size=24, views=20)
DATA = TrainingData(samplers=[Ellipses().sample])


def direction() -> UNet:
    return UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))


def small(kind: str) -> PeerNetwork:
    torch.manual_seed(0)
    return {
        "learned-primal-dual": lambda: LearnedPrimalDual(LearnedPrimalDualShape(iterations=2, width=8)),
        "fbp-unet": lambda: PostProcessing(PostProcessingShape(widths=(8, 8, 8), blocks=(1, 1, 1))),
    }[kind]()


@pytest.fixture(scope="module")
def phantoms() -> TestSet:
    rng = np.random.default_rng(0)
    drawn = [PhantomSource([FAMILIES[0].sample]).draw(rng, SCANNER) for _ in range(2)]
    return TestSet(name="two", truth=torch.cat([t for t, _ in drawn]), clean=torch.cat([s for _, s in drawn]))


@pytest.mark.parametrize("kind", PEERS)
def test_a_unit_of_attenuation_does_not_matter(kind: str, phantoms: TestSet) -> None:
    peer = small(kind)
    for parameter in peer.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    one, other = (reconstructed(peer, SCANNER, unit * phantoms.clean) for unit in (1.0, 50.0))
    assert torch.allclose(50 * one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
    assert not torch.allclose(one, reconstructed(peer, SCANNER, phantoms.clean.flip(0)), rtol=1e-3)


def test_the_gradient_goes_through_the_operator(phantoms: TestSet) -> None:
    peer = small("learned-primal-dual")
    start = SCANNER.precondition(phantoms.clean)
    peer(phantoms.clean, SCANNER.operator, start).square().sum().backward()
    # The first dual step acts on the image through the adjoint alone.
    assert float(peer.dual[0].layers[0].weight.grad.abs().max()) > 0
    data = phantoms.clean.clone().requires_grad_(True)
    peer(data, SCANNER.operator, start).sum().backward()
    assert float(data.grad.abs().max()) > 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", PEERS)
def test_a_peer_learns_on_the_scans_of_the_directions_in_their_order(kind: str) -> None:
    ours = Supply(DATA, 2, torch.device("cpu"), seed=3, only=(SCANNER,), starts=4)
    theirs = PeerSupply(DATA, 2, torch.device("cpu"), seed=3, only=(SCANNER,), starts=4)
    for supply in (ours, theirs):
        rng = np.random.default_rng(0)
        while not supply.pool.lanes:
            supply.pool.loss(direction() if supply is ours else small(kind), 2, rng)
    a, b = ours.pool.lanes[0].starts, theirs.pool.lanes[0].starts
    assert torch.equal(a.data, b.data)
    assert torch.equal(a.truth, b.truth)
    peer = small(kind)
    before = psnr(reconstructed(peer, SCANNER, b.data), b.truth)
    list(Trainer(peer, [theirs.pool], TrainingPlan(steps=60, batch=2, learning_rate=3e-3)).run())
    after = psnr(reconstructed(peer, SCANNER, b.data), b.truth)
    assert float((after - before).mean()) > 0.3


def test_certified_is_what_certify_says_of_the_image(phantoms: TestSet, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = Gaussian(0.02).draw(phantoms.clean, 1)
    far = peer_scores(small("fbp-unet"), SCANNER, phantoms.truth, data)
    assert far.verdict == "no"
    assert min(far.misfit) > 1
    monkeypatch.setattr("ctrecon.studies.peers.scores.reconstructed", lambda *_: phantoms.truth.clone())
    near = peer_scores(small("fbp-unet"), SCANNER, phantoms.truth, data)
    assert near.misfit == pytest.approx([1, 1])
    noise = torch.randn(phantoms.truth.shape, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(
        "ctrecon.studies.peers.scores.reconstructed", lambda *_: phantoms.truth + 1e-2 * noise * phantoms.truth.max()
    )
    assert max(peer_scores(small("fbp-unet"), SCANNER, phantoms.truth, data).misfit) > 1


def test_weights_of_peers_and_of_directions_are_not_taken_for_each_other(tmp_path: Path) -> None:
    peer, other = tmp_path / "peer.safetensors", tmp_path / "direction.safetensors"
    save_network(peer, small("fbp-unet"), small("fbp-unet").state_dict(), {})
    ours = direction()
    save_network(other, ours, ours.state_dict(), {})
    assert load_peer(peer)[0].kind == "fbp-unet"
    with pytest.raises(WeightsError, match="fbp-unet"):
        load_ct_network(peer)
    with pytest.raises(WeightsError, match="learned-primal-dual"):
        load_peer(other)
    with pytest.raises(SettingError, match="one image"):
        PostProcessingShape(inputs=2)


@pytest.mark.long
def test_two_commands_from_training_to_the_table(tmp_path: Path, phantoms: TestSet) -> None:
    weights = tmp_path / "peer.safetensors"
    line = ["train-peer", "learned-primal-dual", "--scanner", "walnut", "--size", "16", "--steps", "2", "--batch", "1",
            "--validation", "1", "--threads", "1", "-o", str(weights)]  # fmt: skip
    result = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = weights.with_suffix(".md").read_text()
    assert "`ctrecon train-peer learned-primal-dual " in card, card
    assert "Learned primal-dual" in card
    more = CliRunner().invoke(cli, [*line[:-1], str(tmp_path / "unet.safetensors"), "--start", str(weights)])
    assert more.exit_code == 0, more.output
    other = CliRunner().invoke(cli, ["train-peer", "fbp-unet", *line[2:-1], str(tmp_path / "x.safetensors"),
                                     "--start", str(weights)])  # fmt: skip
    assert other.exit_code == 2
    assert "not of fbp-unet" in other.output
    (row,) = compare(
        direction(), SCANNER, [phantoms], [Gaussian(0.02)], peers={"lpd": load_peer(weights)[0]},
        known=Anything({method: [9.0, 9.0] for method in ("huber_tv", "cgls", "fbp")}),
    )  # fmt: skip
    facts = row.to_dict()
    assert facts["mean_psnr_db"]["lpd"] < facts["mean_psnr_db"]["energy"]
    assert facts["peers"]["lpd"]["certified"] == [False, False]
    assert json.dumps(facts)
    header, rule, line = *benchmark._header(["lpd"]).splitlines(), benchmark._line(row)
    assert header.count("|") == rule.count("|") == line.count("|")
    assert line.endswith(f"{min(row.peers['lpd'].misfit):.2f} to {max(row.peers['lpd'].misfit):.2f} | no |")


class Anything(dict):
    """Knows the scores of whatever is asked."""

    def __init__(self, scores: dict[str, list[float]]) -> None:
        super().__init__()
        self.scores = scores

    def get(self, key: object, default: object = None) -> dict[str, list[float]]:
        return self.scores
