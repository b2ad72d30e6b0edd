"""The paper's figures, as numbers: the toy in full, the others in a small form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.cli.objects import slice_object, walnut_object
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.studies.paper import toy
from ctrecon.studies.paper.claims import Figure, at_least, at_most
from ctrecon.studies.paper.fig1 import Blob, Setting, figure1, train
from ctrecon.studies.paper.fig2 import figure2
from ctrecon.studies.paper.fig3 import figure3
from ctrecon.studies.paper.fig4 import Curve, claims_of, curves
from ctrecon.studies.paper.toy import CORNERS, SCALED, Knowing, largest_rise, path


@pytest.fixture(autouse=True, scope="module")
def _each_toy_is_trained_once() -> Iterator[None]:
    """Figures 2 and 3 and the command train the same network under the same seed."""
    once = cache(toy.train)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("fig2", "fig3"):
            patch.setattr(f"ctrecon.studies.paper.{module}.train", once)
        yield


def test_a_claim_without_a_number_is_not_met() -> None:
    assert at_most("", 1.0, 1.0).met
    assert not at_most("", 1.1, 1.0).met
    assert at_least("", 1.0, 1.0).met
    assert not at_least("", 0.9, 1.0).met
    for number in (math.nan, math.inf):
        assert not at_most("", number, 1.0).met
        json.dumps(at_most("", number, 1.0).to_dict(), allow_nan=False)
    assert not at_least("", math.nan, 1.0).met
    assert not Figure(name="", settings={}, claims=[at_most("", 2, 1), at_most("", 0, 1)], table=[]).met


@pytest.mark.parametrize(
    ("make", "seed"),
    [pytest.param(make, seed, marks=pytest.mark.long) for make, seed in ((figure2, 0), (figure3, 0), (figure3, 1))],
)
def test_the_claims_of_the_toy(make: object, seed: int) -> None:
    # Not Figure 2 with any seed: (21) as printed is discontinuous at the solutions, and with seed 1 two paths crawl.
    figure, panels, _ = make(seed=seed)  # type: ignore[operator]
    assert [claim.claim for claim in figure.claims if not claim.met] == []
    assert len(panels) == 3


def test_an_untrained_network_meets_none_of_what_training_is_for() -> None:
    torch.manual_seed(1)
    iterates = path(Knowing(), CORNERS, SCALED)
    # The energy falls all the same: that is no merit of the network.
    assert largest_rise(iterates) <= 0
    assert float((iterates[-1].u.flatten(1) - torch.tensor([0.0, 5.0])).norm(dim=1).max()) > 1


@pytest.mark.long
def test_the_command_writes_picture_claims_and_paths(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["reproduce", "fig3", "--out", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["fig3.csv", "fig3.json", "fig3.png"]
    found = json.loads((tmp_path / "new" / "fig3.json").read_text())
    assert all(claim.keys() == {"claim", "number", "bar", "sense", "met"} for claim in found["claims"])
    (tmp_path / "file").write_text("")
    refused = CliRunner().invoke(cli, ["reproduce", "fig2", "--out", str(tmp_path / "file" / "x")])
    assert refused.exit_code == 2


@pytest.mark.long
def test_what_overfitting_erases_is_kept_by_dissipation(tmp_path: Path) -> None:
    """Figure 1 at 32 x 32 pixels. The bars of contrast are the paper's; a blob of nothing meets none."""
    problem = walnut_scanner(32, 40)
    truth = walnut_object(problem, 1)
    setting = Setting(one_shot_steps=200, direction_steps=200)
    blob = Blob(down=-10.0, right=9.0, radius=4.0)
    networks = train(problem, truth, setting, tmp_path)
    result = figure1(problem, truth, blob, setting, networks)
    by_claim = {claim.claim: claim for claim in result.figure.claims}
    for claim in ("one-shot network: share of the blob's contrast", "energy dissipation: share of the blob's contrast",
                  "energy dissipation: proved residual over delta"):
        assert by_claim[claim].met, by_claim[claim]
    files = sorted(p.name for p in tmp_path.iterdir())
    assert len(files) == 2

    def never(name: str, progress: object) -> None:
        raise AssertionError(f"{name} was trained again")

    again = train(problem, truth, setting, tmp_path, progress=never)
    for one, other in zip(networks, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    # Another object: its own checkpoints.
    train(problem, 1.01 * truth, replace(setting, one_shot_steps=1, direction_steps=1), tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.long
def test_the_curves_of_figure_4_in_a_small_form() -> None:
    problem = walnut_scanner(64, 60)
    network, _ = load_ct_network("ct-default")
    found = curves(network, problem, walnut_object(problem, 0), levels=(0.03,), strengths=(0.7,), iterations=25)
    assert [curve.network for curve in found] == [False, True, False, True]
    assert all(len(curve.psnr) == 26 for curve in found)
    for curve in found:
        assert all(b <= a for a, b in zip(curve.value, curve.value[1:], strict=False))
    claims = claims_of(found)
    assert [claim.claim for claim in claims if not claim.met] == []
    # The same claims the other way round: gradient descent is no energy dissipation.
    swapped = [replace(curve, network=not curve.network) for curve in (found[1], found[0], found[3], found[2])]
    assert len([claim for claim in claims_of(swapped) if not claim.met]) >= 3


def test_a_curve_that_peaks_late_or_ends_elsewhere_is_noticed() -> None:
    plain = {"level": 0.01, "energy": "e", "minimum": None, "minimizer_psnr": None}
    late = [float(k) for k in range(20)]
    falling = [1.0 / (1 + k) for k in range(20)]
    ours = Curve(network=True, psnr=late, value=falling, data_term=falling, **plain)  # type: ignore[arg-type]
    theirs = replace(ours, network=False)
    assert not claims_of([theirs, ours])[0].met
    regular = [replace(curve, minimum=0.049, minimizer_psnr=5.0) for curve in (theirs, ours)]
    assert not claims_of(regular)[3].met
    assert claims_of([replace(curve, minimum=0.05) for curve in regular])[3].met


def test_a_slice_of_ct_is_an_object_too(data_dir: Path) -> None:
    path = next((data_dir / "ct_slices" / "tcga_luad").glob("*/*"))
    found = slice_object(path, walnut_scanner(48, 12))
    assert found.shape == (1, 1, 48, 48)
    assert 0.015 < float(found.max()) < 0.1
