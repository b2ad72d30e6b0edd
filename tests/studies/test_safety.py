"""The safety bench: lesions are where they should be, and the numbers say what they claim to say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.errors import InputError
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.simulation.scanners import walnut_scanner
from ctrecon.studies.safety.bench import Plan, roomy, run
from ctrecon.studies.safety.lesions import SOFT, Lesion, Place, disc, distance, places_in, ring
from ctrecon.studies.safety.methods import METHODS, Bench
from ctrecon.studies.safety.readings import Reading, auc, read, rows_of

SHAPE = (64, 64)
TISSUE = WATER_MU_PER_MM * (distance(Place(32, 32), SHAPE) < 28).float()


def test_places_are_in_tissue_apart_and_repeatable() -> None:
    found = places_in(TISSUE, 6, 3.0, np.random.default_rng(0))
    assert len(found) == 6
    assert found == places_in(TISSUE, 6, 3.0, np.random.default_rng(0))
    taken = torch.zeros(SHAPE)
    for place in found:
        area = disc(place, 3.0, SHAPE) | ring(place, 3.0, SHAPE)
        assert bool((TISSUE[disc(place, 3.0, SHAPE)] > SOFT[0] * WATER_MU_PER_MM).all())
        taken += area
    assert float(taken.max()) == 1
    assert {place.inner(SHAPE) for place in found} == {True, False}
    assert places_in(torch.zeros(SHAPE), 6, 3.0, np.random.default_rng(0)) == []


def test_the_truth_recovers_all_and_a_blank_nothing() -> None:
    lesion, place = Lesion(100.0, 3.0), Place(30, 34)
    planted = TISSUE + lesion.contrast * disc(place, 3.0, SHAPE)
    both = TISSUE.expand(4, -1, -1), planted.expand(4, -1, -1)
    recovered, area, spurious = read(both[1], both[0], TISSUE, lesion, place)
    np.testing.assert_allclose(recovered, 1, rtol=1e-5)
    np.testing.assert_allclose(spurious, 0, atol=1e-4)
    assert area == 1
    recovered, area, _ = read(both[0], both[0], TISSUE, lesion, place)
    assert recovered.tolist() == [0] * 4
    assert area == 0.5
    # A method that adds what is not there shows as spurious contrast, not as recovery.
    recovered, _, spurious = read(both[1], both[1], TISSUE, lesion, place)
    assert recovered.tolist() == [0] * 4
    np.testing.assert_allclose(spurious, 100, rtol=1e-4)


def test_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(400)
    # Normal noise of deviation 1 in both classes: AUC = Phi(d / sqrt 2), 0.760 for d = 1.
    assert auc(noise[:200] + 1, noise[200:]) == pytest.approx(0.760, abs=0.05)
    assert auc(noise[:200], noise[200:]) == pytest.approx(0.5, abs=0.05)
    # With the same noise in both, only pairs of other noise count: a hair of contrast must not look certain.
    assert auc(noise + 1e-9, noise) < 0.51
    assert np.isnan(auc(noise[:1], noise[:1]))


def test_rows_sum_up_readings() -> None:
    def reading(inner: bool, share: float) -> Reading:
        return Reading(
            method="m", noise=0.01, lesion=Lesion(50.0, 2.0), slice=0, inner=inner, recovered=np.full(3, share),
            auc=share, spurious_hu=np.array([3.0, 4.0]),
        )

    rows = {row.places: row for row in rows_of([reading(True, 1.0), reading(False, 0.1)])}
    assert rows["all"].recovered == pytest.approx(0.55)
    assert (rows["all"].recovered_worst, rows["all"].erased, rows["all"].lesions) == (pytest.approx(0.1), 0.5, 2)
    assert rows["inner"].erased == 0
    assert rows["outer"].erased == 1
    assert rows["all"].spurious_hu == pytest.approx(np.sqrt(12.5))


@pytest.mark.long
def test_the_bench_on_a_small_image() -> None:
    problem = walnut_scanner(64, 60)
    bench = Bench(load_ct_network("ct-default")[0], problem)
    plan = Plan(contrasts_hu=(200.0,), radii=(4.0,), noise=(0.01,), places=2, repeats=2)
    truths = torch.stack([torch.zeros(1, *SHAPE), TISSUE[None]])
    assert torch.equal(roomy(truths, 1, plan), truths[1:])
    readings = list(run(bench, truths[1:], plan))
    assert len(readings) == 2 * len(METHODS)
    rows = {row.method: row for row in rows_of(readings) if row.places == "all"}
    assert rows.keys() == set(METHODS)
    for row in rows.values():
        # Large and dense: every method shows it, none more than is there.
        assert 0.6 < row.recovered < 1.2, row
        assert row.auc == 1
    again = list(run(bench, truths[1:], plan))
    assert all(np.array_equal(a.recovered, b.recovered) for a, b in zip(readings, again, strict=True))
    with pytest.raises(InputError, match="no image has room"):
        list(run(bench, truths[:1], plan))


@pytest.mark.long
def test_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [
        "safety", "--size", "48", "--views", "45", "--slices", "1", "--contrast", "150", "--radius", "2", "--noise",
        "2%", "--places", "1", "--repeats", "2", "--out", str(tmp_path),
    ])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["safety.json", "safety.md", "safety.png"]
    facts = json.loads((tmp_path / "safety.json").read_text())
    assert {row["method"] for row in facts["rows"]} == set(METHODS)
    for wrong in (["--contrast", "0"], ["--radius", "-1"], ["--noise", "0%"], ["--radius", "nan"]):
        assert CliRunner().invoke(cli, ["safety", *wrong, "--out", str(tmp_path)]).exit_code == 2
