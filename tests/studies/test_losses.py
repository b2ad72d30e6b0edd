"""The study of what an estimated delta costs an image: its scans, one of them, and what it makes of many."""

import json

import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.measurement.delta import Delta
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.phantoms import FAMILIES
from ctrecon.studies.paper import losses as study
from ctrecon.studies.paper.image_coverage import NOISES, object_at, objects
from ctrecon.studies.paper.losses import Loss, losses, measure

SMALL = {"sizes": [32], "views": [30]}


def test_an_object_by_its_number_is_the_same_as_in_turn():
    several = list(objects(8, sizes=[16, 24], views=[8, 12], seed=5))
    assert len({(one.family, one.size, one.views, one.scanner) for one in several}) == 8
    one = object_at(7, sizes=[16, 24], views=[8, 12], seed=5)
    assert (one.family, one.size, one.views) == (several[7].family, several[7].size, several[7].views)
    assert (one.truth == several[7].truth).all()


def test_as_many_scans_as_there_are_pairs_hold_every_family_in_every_noise():
    scans = len(FAMILIES) * len(NOISES)
    assert len({(k % len(FAMILIES), k % len(NOISES)) for k in range(scans)}) == scans


@pytest.mark.long
def test_a_delta_that_is_too_large_costs_the_method_that_ends_at_it(monkeypatch):
    """Against the true residual; the learned method ends below delta anyway."""
    network = load_ct_network("ct-default")[0]
    found = measure(2, network, seed=77, **SMALL)
    assert 0.95 < found.over < 1.3
    assert found.huber_tv < 0.5
    assert found.learned < 0.5
    monkeypatch.setattr(study, "delta_for", lambda *_: Delta(
        value=3 * found.over, norm="2-norm", how="too large"
    ))  # fmt: skip
    wrong = measure(2, network, seed=77, **SMALL)
    assert wrong.over > 2 * found.over
    assert wrong.huber_tv > found.huber_tv + 1
    assert abs(wrong.learned) < 1.5


def test_losses_are_averaged_with_an_interval_over_objects_and_the_worst_stands_beside():
    def row(k, tv, noise="a"):
        return Loss(
            key=f"0 {k}", noise=noise, family="head", scanner="fan", size=48, views=30 + 60 * (k % 2),
            over=1.0 + k / 10, huber_tv=tv, learned=0.1,
        )  # fmt: skip

    found = {part.of: part for part in losses([row(0, -0.4), row(1, 0.2), row(2, 0.8), row(3, 0.2, "b")])}
    assert list(found) == ["all", "a", "b", "head", "fan", "48 pixels", "30 views", "90 views"]
    assert found["all"].huber_tv.startswith("+0.20 (")
    assert "n.s." in found["all"].huber_tv
    assert found["all"].largest_huber_tv == 0.8
    assert found["all"].median_over == pytest.approx(1.15)
    assert found["all"].learned == "+0.10 (+0.10 to +0.10)"
    assert found["90 views"].scans == 2
    assert "no interval" in found["b"].huber_tv


def test_the_command_goes_on_where_it_stopped(tmp_path, monkeypatch):
    path, done = tmp_path / "losses.jsonl", []

    def stand_in(k, network, *, seed):
        done.append(k)
        return Loss(
            key=f"{seed} {k}", noise="a", family="head", scanner="fan", size=48, views=30, over=1.0, huber_tv=k / 10,
            learned=0.0,
        )  # fmt: skip

    monkeypatch.setattr(study, "measure", stand_in)
    words = ["reproduce", "losses", "--scans", "4", "--seed", "3", "-o", str(path)]
    assert CliRunner().invoke(cli, [*words, "--most", "3"]).exit_code == 0
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert done == [0, 1, 2, 3]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == [f"3 {k}" for k in range(4)]
    assert "| all | 4 | 1.000 | +0.15 (" in result.output
    assert "| 0.30 |" in result.output
