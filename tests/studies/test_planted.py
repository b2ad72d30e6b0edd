"""The study of planted lesions: objects that can be, lesions that are there, and counts that are counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.errors import SettingError
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.studies import planted
from ctrecon.studies.planted import CONTRASTS, KINDS, METHODS, NOISES, Planted, cases, plant, table
from ctrecon.studies.roughness import Rough, met
from ctrecon.studies.roughness import table as rough_table


def test_a_hundred_lesions_are_of_all_kinds_and_the_same_each_time():
    all_of_them = cases()
    assert len(all_of_them) == 100
    assert cases() == all_of_them
    others = cases(first_seed=50)
    assert not {case.key for case in others} & {case.key for case in all_of_them}
    assert not np.array_equal(plant(others[0])[0].truth, plant(all_of_them[0])[0].truth)
    assert len({case.key for case in all_of_them}) == 100
    for name, wanted in (("family", [kind.name for kind in KINDS]), ("contrast", CONTRASTS), ("noise", NOISES),
                         ("method", METHODS)):  # fmt: skip
        counts = [sum(getattr(case, name) == value for case in all_of_them) for value in wanted]
        assert min(counts) > 60 / len(wanted), (name, counts)
    with pytest.raises(SettingError):
        cases(0)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("number", [1, 22, 27])
def test_a_lesion_is_in_the_object_where_it_is_said_to_be(number):
    case = cases()[number]
    made, lesion = plant(case)
    assert made.truth.min() >= -1e-7
    grid = made.scan.grid
    scale = planted._radius_mm(made) / grid.square_mm
    rows, columns = np.ogrid[: grid.rows, : grid.columns]
    column = (grid.columns - 1) / 2 + lesion.center[0] * scale
    row = (grid.rows - 1) / 2 - lesion.center[1] * scale
    inside = (columns - column) ** 2 + (rows - row) ** 2 < (0.7 * lesion.semi_axes[0] * scale) ** 2
    body = next(kind for kind in KINDS if kind.name == case.family).sample(np.random.default_rng(7000 + number))
    bare = body.scaled(planted._radius_mm(made), WATER_MU_PER_MM).image(grid)
    there = float((made.truth - bare)[inside].mean()) / WATER_MU_PER_MM
    assert abs(there) == pytest.approx(case.contrast, rel=0.01)


@pytest.mark.long
def test_one_lesion_from_end_to_end_by_the_command(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(planted, "SIZE", 32)
    monkeypatch.setattr(planted, "ITERATIONS", 50)
    monkeypatch.setattr(planted, "METHODS", ("huber-tv",))
    out = tmp_path / "l.jsonl"
    done = CliRunner().invoke(cli, ["reproduce", "lesions", "--count", "1", "-o", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    row = Planted(**json.loads(out.read_text()))
    assert row.lower < row.upper
    assert row.holds or not row.within
    assert "1 of 1" in done.output or "0 of 1" in done.output


def test_the_table_counts():
    def found(contrast, lower, upper, kappa=0.9):
        return Planted(
            key="k", family="head", method="energy", contrast=contrast, noise=0.01, truth=0.01, image=0.01,
            lower=lower, upper=upper, kappa_of_truth=kappa, delta_of_truth=0.9, in_box=True,
        )  # fmt: skip

    rows = [found(0.1, -0.01, 0.02), found(0.1, 0.005, 0.02), found(0.9, 0.02, 0.03, kappa=1.1)]
    text = "\n".join(table(rows))
    assert "2 of 3" in text
    assert "of the 2 whose truth meets the limits the range holds it in 2" in text
    assert "decided although the range misses the truth: 1" in text


def test_roughness_is_counted_by_family():
    def one(family, learned):
        return Rough(key=family, family=family, size=64, views=60, noise=0.01, norm="2-norm", share=0.02,
                     smooth=(1.1, 1.2), learned=learned)  # fmt: skip

    rows = [one("head", 1.0), one("walnut", 3.0)]
    assert [met(row, learned=True) for row in rows] == [True, False]
    text = "\n".join(rough_table(rows))
    assert "learned: 1 of 2" in text
    assert "walnut 0 of 1" in text
