"""True statements that say nothing, or little: each kind is found and said, and honest ones are not suspected."""

import json
import re

import dual_cases
import numpy as np
import pytest
import stranger
from certificate_cases import CASES, problem, written
from click.testing import CliRunner
from dual_cases import GRID, OPERATORS, forged

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify
from ctrecon.certificates.infeasible import exclude
from ctrecon.certificates.interval import Dual, Empty, certify_interval, is_member
from ctrecon.certificates.words import in_words, still_decided
from ctrecon.certificates.worth import worth
from ctrecon.cli.main import cli


def weighed(path):
    """The worth of the certificate at ``path``, which must hold, and its lines for a person."""
    verdict = verify.check(path)
    assert verdict.valid, verdict.reason
    return worth(verdict), "\n".join(in_words(verdict))


def feasible(folder, case="fan", *, delta=None, **changes):
    image, data, kept, residual = problem(case)
    image, data = changes.pop("image", image), changes.pop("data", data)
    made = certify(image, data, delta=residual * 1.01 if delta is None else delta, **{**kept, **changes})
    return made.write(folder / "s.npy", overwrite=True)[""]


STATED = OPERATORS["parallel"]


def interval(folder, c, *, y=0.0, p=0.0, member=None, delta=5.0, kappa=4.0, lo=0.0, hi=1.0, noise=0.05):
    """A range of the scan ``dual_cases.scan("parallel")`` by ``y`` and ``p``, at the upper end by what is opposite."""
    _, _, f, _ = dual_cases.scan("parallel", noise=noise)
    stated = verify.Problem(STATED, None, (f, None), lo, hi)
    ends = [Dual(y=sign * y + np.zeros(f.shape), p=sign * p + np.zeros((2, *GRID.shape))) for sign in (1, -1)]
    made = certify_interval(stated, "2-norm", delta, kappa, c, *ends, region="x", member=member)
    return made.write(folder / "s.npy", overwrite=True)[""]


def solving(c):
    """``y`` with ``A^T y = -c``: it proves a range by the data alone, ``delta ||y||`` to either side."""
    A = dual_cases.dense.matrix(STATED)
    return np.linalg.lstsq(A.T, -c.ravel(), rcond=None)[0].reshape(8, 9)


def balancing(c):
    """``p`` with ``D^T p = -c``: it proves a range by kappa alone."""
    D = dual_cases.dense.differences(*GRID.shape)
    return np.linalg.lstsq(D.T, -c.ravel(), rcond=None)[0].reshape(2, *GRID.shape)


def contrast():
    c = np.zeros(GRID.shape)
    c[3, 4], c[0, 0] = 1.0, -1.0
    return c


# --- honest ones ----------------------------------------------------------------------------------------------------


def test_honest_certificates_are_not_suspected(tmp_path):
    for case in CASES:
        (tmp_path / case).mkdir()
        found, said = weighed(written(case, tmp_path / case)[""])
        assert (found.nothing, found.little) == ((), ()), case
        assert 0 < found.share < 0.5
        assert "explains the data" in said
        assert f"delta is {100 * found.share:.3g}% of the " in said
    for whitened in (False, True):
        found, said = weighed(dual_cases.infeasible(1, whitened=whitened)[0].write(tmp_path / f"n{whitened}.npy")[""])
        assert (found.nothing, found.little) == ((), ())
        assert "no image of 7 x 9 pixels with values from 0 to 1 per unit of length explains" in said


def test_the_share_is_that_of_the_norm_the_certificate_uses(tmp_path):
    image, data, kept, _ = problem("whitened")
    made = certify(image, data, delta=7.0, **kept)
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    w = kept["weights"].astype(np.float64)
    assert found.share == pytest.approx(7.0 / np.sqrt((w * data**2).sum()))
    assert found.counted == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert f"{found.counted:.0f} of {data.size} values count" in said


# --- a statement about one image ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("delta above the data", "image 0 meets delta"), ("weights of zero", "image 0 meets delta"),
        ("tiny weights", "image 0 meets delta"), ("data of zero", "image 0 meets delta"),
        ("rays past the image", "image 0 meets delta"), ("an operator of zeros", "image 0 meets delta"),
    ],
)  # fmt: skip
def test_what_the_image_zero_meets_says_nothing(name, words, tmp_path):
    image, data, kept, _ = problem("fan")
    size = float(np.linalg.norm(data))
    if name == "delta above the data":
        path = feasible(tmp_path, delta=1.001 * size)
    elif name in ("weights of zero", "tiny weights"):
        path = feasible(tmp_path, weights=np.full(data.shape, 1e-12 * (name == "tiny weights"), dtype=np.float32))
    elif name == "data of zero":
        path = feasible(tmp_path, image=0 * image, data=0 * data, delta=1e-3)
    elif name == "rays past the image":
        geometry, grid = kept["geometry"], kept["grid"]
        far = type(geometry)(**{**vars(geometry), "detector_offset_mm": 1e3})
        path = certify(image, data, far, grid, size * 1.001).write(tmp_path / "s.npy", overwrite=True)[""]
    else:
        image, data, kept, _ = problem("matrix")
        none = {**kept, "matrix": 1e-300 * kept["matrix"].astype(np.float64)}
        made = certify(image, data, delta=float(np.linalg.norm(data.astype(float))) * 1.001, **none)
        path = made.write(tmp_path / "s.npy", overwrite=True)[""]
    found, said = weighed(path)
    assert words in "; ".join(found.nothing)
    assert "true, but it says nothing" in said
    assert "explains the data" not in said
    assert found.share >= 1 - 1e-9


def test_just_below_the_data_it_says_little_and_its_share(tmp_path):
    image, data, _, _ = problem("fan")
    found, said = weighed(feasible(tmp_path, delta=0.999 * float(np.linalg.norm(data))))
    assert not found.nothing
    assert "delta is more than half of the data" in found.little
    assert f"delta is 99.9% of the norm of the data: {data.size} values for {image.size} pixels" in said


def test_one_dominating_ray_is_counted(tmp_path):
    image, data, kept, _ = problem("fan")
    weights = np.full(data.shape, 1e-6)
    weights[2, 8] = 1e6
    made = certify(image, data, delta=1e3, **{**kept, "weights": weights})
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    assert found.counted == pytest.approx(1, abs=1e-3)
    assert "let 1 of 136 values count" in said


def test_data_computed_from_the_image_are_noticed(tmp_path):
    image, _, kept, _ = problem("offset")
    stated = {"projector": "joseph", "geometry": kept["geometry"].to_dict(), "grid": kept["grid"].to_dict()}
    exact = verify.apply(stated, image, None)[0].reshape(kept["geometry"].shape)
    for name, data in (("float64", exact), ("float32", exact.astype(np.float32))):
        found, said = weighed(certify(image, data, delta=1e-2, **kept).write(tmp_path / f"{name}.npy")[""])
        assert "computed from it" in said
        assert found.little


def test_few_values_leave_most_of_an_image_open(tmp_path):
    image, data, kept, _ = problem("fan")
    weights = np.zeros(data.shape)
    weights[3, 5:11] = 1.0
    made = certify(image, data, delta=0.5 * float(np.linalg.norm(data[3, 5:11])), **{**kept, "weights": weights})
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    assert f"6 values are little for {image.size} pixels" in said
    assert found.little


# --- statements about all images ------------------------------------------------------------------------------------


def test_crossing_ends_are_refused_in_their_own_words(tmp_path):
    """The attack of the issue: delta of an honest certificate set to 0, statement and hash made right again."""
    c = contrast()
    A, _, f, _ = dual_cases.scan("parallel")
    silent = np.linalg.svd(A.T)[2][63:]  # what no image projects to: noise alone
    away = sum(n * (n @ f.ravel()) for n in silent).reshape(f.shape)
    stated = verify.Problem(STATED, None, (f, None), 0.0, 1.0)
    zero = np.zeros((2, *GRID.shape))
    lower, upper = Dual(y=solving(c) - 9 * away, p=zero), Dual(y=-solving(c) - 9 * away, p=zero)
    made = certify_interval(stated, "2-norm", 0.5, 4.0, c, lower, upper, region="x")
    path = made.write(tmp_path / "s.npy")[""]
    assert verify.check(path).valid
    forged(path, lambda v: v.update(delta=0.0))
    verdict = verify.check(path)
    assert not verdict.valid
    assert "the ends cross" in verdict.reason
    assert "no image is within delta" in verdict.reason
    with pytest.raises(ValueError, match="cross"):
        stranger.check(path)
    empty = certify_interval(stated, "2-norm", 0.01, 4.0, c, lower, upper, region="x")
    assert isinstance(empty, Empty)
    assert empty.lower > empty.upper


def test_a_member_shows_that_the_range_is_of_something(tmp_path):
    A, truth, f, _ = dual_cases.scan("parallel")
    delta = float(np.linalg.norm(A @ truth.ravel() - f.ravel())) * 1.001
    kappa = 1.001 * float(np.hypot(*_differences(truth)).sum())
    good = {"y": 0.01, "delta": delta, "kappa": kappa}
    _, said = weighed(interval(tmp_path, contrast(), member=truth, **good))
    assert "is not shown" not in said
    assert (tmp_path / "s.member.npy").is_file()
    for limits in ({"delta": 0.9 * delta}, {"kappa": 0.9 * kappa}, {"lo": 0.5}, {"hi": 0.5}):
        assert (tmp_path / "s.npy").exists() is False
        for old in tmp_path.iterdir():
            old.unlink()
        path = interval(tmp_path, contrast(), member=truth, **{**good, **limits})
        found, said = weighed(path)
        assert "that any image is within delta, kappa and these values is not shown" in found.little, limits
        assert not (tmp_path / "s.member.npy").exists()
    # One stored all the same, for narrower limits, is refused.
    for old in tmp_path.iterdir():
        old.unlink()
    path = interval(tmp_path, contrast(), member=truth, **good)
    raw = path.read_bytes()
    for limits in ({"delta": 0.99 * delta}, {"kappa": 0.99 * kappa}):
        forged(path, lambda v, limits=limits: v.update(**limits, lower=-10.0, upper=10.0))
        assert "the member is not proved" in verify.check(path).reason
        path.write_bytes(raw)


def test_a_member_needs_room_for_another_machine():
    A, truth, f, _ = dual_cases.scan("parallel")
    stated = verify.Problem(STATED, None, (f, None), 0.0, 1.0)
    missed, rough = float(np.linalg.norm(A @ truth.ravel() - f.ravel())), float(np.hypot(*_differences(truth)).sum())
    assert is_member(stated, "2-norm", missed * (1 + 1e-8), rough * (1 + 1e-8), truth)
    assert not is_member(stated, "2-norm", missed * (1 + 1e-11), rough * 2, truth)
    assert not is_member(stated, "2-norm", missed * 2, rough * (1 + 1e-11), truth)


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"c": np.zeros(GRID.shape)}, "nothing", "0 in every image"),
        ({}, "nothing", "limits on the values alone"),
        ({"p": "balancing", "kappa": 0.1}, "nothing", "no value of the data"),
        ({"y": 0.01, "delta": 1e4}, "nothing", "image 0 meets delta"),
        ({"y": "solving", "c": abs(contrast()), "lo": 0.4, "delta": 0.01}, "little", "it is no contrast"),
        ({"y": 0.01, "lo": 0.5, "hi": 0.5}, "little", "leave one image"),
        ({"y": 0.01, "lo": 0.2}, "little", "leave out 0"),
        ({"y": 0.01, "kappa": 1e-9}, "little", "images of a single value only"),
        ({"y": 0.01, "hi": 1e-3}, "little", "no ray reaches half"),
        ({"y": 0.01}, "little", "is not shown"),
    ],
)  # fmt: skip
def test_ranges_of_nothing_and_of_little(change, where, words, tmp_path):
    c = change.get("c", contrast())
    made = {"solving": solving, "balancing": balancing}
    given = {key: made[value](c) if isinstance(value, str) else value for key, value in change.items() if key != "c"}
    path = interval(tmp_path, c, **given)
    found, said = weighed(path)
    assert words in "; ".join(getattr(found, where)), found
    assert words in said
    if where == "nothing":
        assert "in the data" not in said
        assert "do not decide" not in said


def test_a_region_that_no_ray_sees_is_said_to_be_unseen(tmp_path):
    """Its range is of smoothness and box; a mask, or a detector that is too narrow, leaves such regions."""
    _, _, f, _ = dual_cases.scan("parallel")
    A = dual_cases.dense.matrix(STATED)
    c = contrast()
    rays = (A != 0)[:, np.flatnonzero(c.ravel() > 0)].any(axis=1).reshape(f.shape)
    for weights, unseen in ((np.ones(f.shape), False), (np.where(rays, 0.0, 1.0), True)):
        stated = verify.Problem(STATED, None, (f, weights), 0.0, 1.0)
        ends = [Dual(y=np.full(f.shape, sign * 0.01), p=np.zeros((2, *GRID.shape))) for sign in (1, -1)]
        made = certify_interval(stated, "whitened", 0.5, 4.0, c, *ends, region="x")
        found, said = weighed(made.write(tmp_path / "s.npy", overwrite=True)[""])
        assert ("no ray passes through the region" in found.little) is unseen
        assert ("no ray passes through the region" in said) is unseen


def test_a_grid_of_any_kind_has_a_worth(tmp_path):
    """Pixels that are not square, and a grid beside the axis, are stated as lists."""
    rng = np.random.default_rng(0)
    f = 2 + rng.random((9, 8))
    grid = dual_cases.PLACED
    made = exclude(f, f, dual_cases.FAN, grid, 1e-2, shape=grid.shape, lo=0.0, hi=1e-3)
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    assert "no ray reaches half" in "; ".join(found.little)
    assert "per unit of length" in said


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"lo": 0.5, "hi": 0.5}, "leave one image"), ({"lo": 0.9}, "leave out 0"), ({"hi": 1e-3}, "no ray reaches half")],
)
def test_exclusions_that_say_little(limits, words, tmp_path):
    A, _, f, _ = dual_cases.scan("fan")
    box = {"lo": 0.0, "hi": 1.0, **limits}
    u = np.clip(np.full(63, 0.5), box["lo"], box["hi"])
    y = f - (A @ u).reshape(f.shape)
    made = exclude(y, f, dual_cases.FAN, GRID, 1e-2, shape=GRID.shape, **box)
    found, _ = weighed(made.write(tmp_path / "s.npy")[""])
    assert words in "; ".join(found.little)


def test_an_exclusion_for_no_delta_says_little(tmp_path):
    made, _, _ = dual_cases.infeasible(2)
    path = made.write(tmp_path / "s.npy")[""]
    forged(path, lambda v: v.update(delta=0.0))
    assert "rounding of data" in weighed(path)[1]


# --- what a person reads --------------------------------------------------------------------------------------------


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
    assert "if the object is no rougher than TV = 4" in in_words(verdict)[0]


def test_numbers_in_words_claim_no_more_than_is_proved(tmp_path):
    """Ends are rounded outwards; what was assumed, and how far the sign holds, inwards."""
    numbers = r"TV <= (\S+) and values from (\S+) to (\S+) shows less than (\S+) or more than (\S+);"
    made = verify.check(interval(tmp_path, contrast(), y=0.01))
    for seed in range(20):
        kappa, lo, hi, lower, upper = (0.3 + np.random.default_rng(seed).random(5) / 10).tolist()
        proved = {"lower": -lower, "upper": upper}
        claims = {**made.claims, **proved, "kappa": kappa, "lo": -lo, "hi": 1 + hi}
        verdict = made._replace(proved=proved, claims=claims)
        kappa, lo, hi, lower, upper = map(float, re.search(numbers, in_words(verdict)[0]).groups())
        assert lower <= verdict.proved["lower"] <= verdict.proved["upper"] <= upper
        assert kappa <= verdict.claims["kappa"]
        assert verdict.claims["lo"] <= lo <= hi <= verdict.claims["hi"]


def test_a_label_is_its_authors_and_what_is_measured_is_read_from_the_functional(tmp_path):
    path = interval(tmp_path, contrast(), y=0.01)
    forged(path, lambda v: v.update(region="tumour\x1b[31m, certain\n" + "x" * 5000))
    said = in_words(verify.check(path))[-1]
    assert "the mean over 1 pixel about column 4.0, row 3.0, less that over 1 others per unit of length" in said
    assert "the file's author calls it" in said
    assert said.isprintable()
    assert len(said) < 600
    path = interval(tmp_path, contrast() * 2, y=0.01)
    assert "no difference of two means" in in_words(verify.check(path))[-1]


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


def _differences(u):
    down, right = np.zeros_like(u), np.zeros_like(u)
    down[:-1], right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return down, right
