"""The study of how rough the truth is: its cases, one of its scans, and that it goes on where it stopped."""

import json

import pytest
from click.testing import CliRunner
from full_disk import files_end_at

from ctrecon.cli.main import cli
from ctrecon.cli.resumed import part_of, resumed
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.phantoms import FAMILIES
from ctrecon.studies.roughness import NOISES, VIEWS, Case, cases, measure, within


def test_every_family_noise_and_number_of_views_is_in_the_study():
    found = list(cases(2))
    assert len({case.key for case in found}) == len(found)
    for names, values in (("family", {f.name for f in FAMILIES}), ("noise", set(NOISES)), ("views", set(VIEWS))):
        assert {getattr(case, names) for case in found} == values
    assert {case.beam for case in found} == {"fan", "parallel"}


@pytest.mark.long
@pytest.mark.sampled(1)
@pytest.mark.parametrize("noise", [0.02, 1e4])
def test_a_noisier_scan_hides_more_of_the_truth(noise):
    network = load_ct_network("ct-default")[0]
    found = measure(Case(family="head", beam="fan", size=32, views=20, noise=noise, seed=0), network)
    assert found.norm == ("whitened" if noise > 1 else "2-norm")
    assert 0 < found.share < 0.2
    assert found.smooth[0] < found.smooth[1]  # a larger delta leaves a smoother image
    assert found.smooth[0] > found.learned * 0.9
    assert json.dumps(found.to_dict())


def test_the_share_within_a_factor_counts_the_scans():
    assert within([0.9, 1.0, 1.1, 1.2], 1.1) == 0.75


def test_a_study_goes_on_where_it_stopped(tmp_path):
    path, done = tmp_path / "rows.jsonl", []

    def run(case):
        done.append(case)
        return {"key": str(case), "square": case**2}

    cases_ = {str(k): k for k in range(6)}
    assert len(resumed(path, cases_, run, 4)) == 4
    assert len(resumed(path, cases_, run)) == 6
    assert done == list(range(6))
    assert [json.loads(line)["square"] for line in path.read_text().splitlines()] == [k**2 for k in range(6)]
    whole = path.read_bytes()
    last = len(whole.splitlines()[-1])
    for cut, again in ((1, 0), (5, 1), (last, 1), (last + 1, 1)):  # a line that lacks its end alone is whole
        done.clear()
        path.write_bytes(whole[:-cut])
        assert len(resumed(path, cases_, run)) == 6
        assert (len(done), path.read_bytes()) == (again, whole)
    for foreign in ("no rows", '{"key": "0"', '{"key": 1}\n', "[]\n", "\n\n"):
        path.write_text(foreign)
        with pytest.raises(InputError, match="holds no results of this study"):
            resumed(path, cases_, run)
        assert path.read_text() == foreign


def test_a_row_that_does_not_fit_on_the_disk_is_not_half_there(tmp_path):
    path, cases_ = tmp_path / "rows.jsonl", {str(k): k for k in range(6)}
    with files_end_at(130), pytest.raises(OutputError, match=r"rows\.jsonl: cannot be written: the file would be"):
        resumed(path, cases_, lambda k: {"key": str(k), "long": "x" * 30})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["0", "1"]
    assert len(resumed(path, cases_, lambda k: {"key": str(k)})) == 6


def test_parts_are_all_of_it_and_nothing_twice():
    parts = [part_of(range(10), f"{k}/3") for k in (1, 2, 3)]
    assert sorted(i for part in parts for i in part) == list(range(10))
    for bad in ("0/3", "4/3", "a/b", "3"):
        with pytest.raises(SettingError, match="--part"):
            part_of(range(10), bad)
    result = CliRunner().invoke(cli, ["reproduce", "roughness", "--part", "5/2", "-o", "x.jsonl"])
    assert result.exit_code == 2
