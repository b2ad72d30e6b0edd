"""What a person reads of a certificate claims no more than is proved, and the author's words stay the author's."""

import json
import re

import dual_cases
import numpy as np
import pytest
from certificate_cases import problem, written
from click.testing import CliRunner
from dual_cases import GRID, forged
from worth_cases import STATED, contrast, feasible, interval, solving

from ctrecon.certificates import verify
from ctrecon.certificates.words import in_words, still_decided
from ctrecon.certificates.worth import worth
from ctrecon.cli.main import cli


def words_of(path):
    verdict = verify.check(path)
    return in_words(verdict, worth(verdict))


def test_the_sign_holds_up_to_the_kappa_that_is_said(tmp_path):
    """Of a decided range: at that kappa the same duals still prove the sign, a little above they do not."""
    truth, zero = dual_cases.scan("parallel", noise=0.0)[1], np.full((2, *GRID.shape), 1e-3)
    c = contrast() * np.sign(truth[3, 4] - truth[0, 0])
    y, f = solving(c), dual_cases.scan("parallel", noise=0.0)[2]
    path = interval(tmp_path, c, y=y, p=zero, delta=1e-6, kappa=4.0, noise=0.0)
    verdict = verify.check(path)
    assert verdict.proved["lower"] > 0
    kappa = still_decided(verdict)
    assert kappa > 4.0
    stated = verify.Problem(STATED, None, (f, None), 0.0, 1.0)
    for factor, holds in ((1 - 1e-5, True), (1 + 1e-4, False)):
        end = verify.lower_end(stated, 1e-6, kappa * factor, c, y, zero)[1]
        assert (end > 0) is holds
    assert "if the object is no rougher than TV = 4" in in_words(verdict, worth(verdict))[0]


def test_numbers_in_words_claim_no_more_than_is_proved(tmp_path):
    """Ends are rounded outwards; what was assumed, and how far the sign holds, inwards."""
    numbers = r"TV <= (\S+) and values from (\S+) to (\S+) shows less than (\S+) or more than (\S+);"
    made = verify.check(interval(tmp_path, contrast(), y=0.01))
    for seed in range(20):
        kappa, lo, hi, lower, upper = (0.3 + np.random.default_rng(seed).random(5) / 10).tolist()
        proved = {"lower": -lower, "upper": upper}
        claims = {**made.claims, **proved, "kappa": kappa, "lo": -lo, "hi": 1 + hi}
        verdict = made._replace(proved=proved, claims=claims)
        kappa, lo, hi, lower, upper = map(float, re.search(numbers, in_words(verdict, worth(verdict))[0]).groups())
        assert lower <= verdict.proved["lower"] <= verdict.proved["upper"] <= upper
        assert kappa <= verdict.claims["kappa"]
        assert verdict.claims["lo"] <= lo <= hi <= verdict.claims["hi"]


def test_a_label_is_its_authors_and_what_is_measured_is_read_from_the_functional(tmp_path):
    path = interval(tmp_path, contrast(), y=0.01)
    forged(path, lambda v: v.update(region="tumour\x1b[31m, certain\n" + "x" * 5000))
    said = words_of(path)[-1]
    assert "the mean over 1 pixel about column 4.0, row 3.0, less that over 1 pixel around per unit of length" in said
    assert "the file's author calls it" in said
    assert said.isprintable()
    assert len(said) < 600
    path = interval(tmp_path, contrast() * 2, y=0.01)
    assert "no difference of two means" in words_of(path)[-1]


def test_the_command_says_it_all(tmp_path):
    _, data, _, _ = problem("fan")
    path = feasible(tmp_path, delta=1.001 * float(np.linalg.norm(data)))
    result = CliRunner().invoke(cli, ["verify", str(path)])
    assert result.exit_code == 0  # nothing true is refused
    assert "explains the data" not in result.output
    assert "true, but it says nothing: the image 0 meets delta as well" in result.output
    facts = json.loads(CliRunner().invoke(cli, ["verify", str(path), "--json"]).output)
    assert facts["says_nothing"] == ["the image 0 meets delta as well"]
    assert facts["delta_of_data"] == pytest.approx(1.001, rel=1e-4)


def test_what_does_not_hold_is_worth_nothing(tmp_path):
    path = written("fan", tmp_path)[""]
    path.with_name("scan.npy").unlink()
    with pytest.raises(ValueError, match="does not hold"):
        worth(verify.check(path))
