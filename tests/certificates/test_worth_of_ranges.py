"""True statements about all images that say nothing, or little: empty ranges, and exclusions of little."""

import copy

import dual_cases
import numpy as np
import pytest
import stranger
from dual_cases import GRID, forged
from worth_cases import STATED, balancing, contrast, differences, interval, solving, weighed

from ctrecon.certificates import verify
from ctrecon.certificates.by_limits import hardly_limited
from ctrecon.certificates.infeasible import exclude
from ctrecon.certificates.interval import Dual, Empty, certify_interval, is_member


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
    kappa = 1.001 * float(np.hypot(*differences(truth)).sum())
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
    missed, rough = float(np.linalg.norm(A @ truth.ravel() - f.ravel())), float(np.hypot(*differences(truth)).sum())
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
        ({"y": 0.01, "kappa": 1e9}, "little", "not limited at all"),
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
        assert "decide" not in said


def test_a_kappa_that_limits_hardly_anything_is_said_where_the_sign_is_open(tmp_path):
    """Beside the TV of the member; where the sign is decided a large kappa makes the statement the stronger."""
    A, truth, f, _ = dual_cases.scan("parallel")
    delta, rough = (
        1.001 * float(np.linalg.norm(A @ truth.ravel() - f.ravel())), float(np.hypot(*differences(truth)).sum())
    )
    for times, loose in ((9.9, False), (10.2, True)):
        made = {"y": 0.01, "delta": delta, "kappa": times * rough, "lo": -9.0, "hi": 9.0, "member": truth}
        for old in tmp_path.iterdir():
            old.unlink()
        path = interval(tmp_path, contrast(), **made)
        found, _ = weighed(path)
        assert any("hardly limits anything" in one for one in found.little) is loose, found
    # A chessboard is the roughest image of its values: one step above its TV nothing is excluded.
    verdict = verify.check(path)
    board = 18.0 * (np.indices(GRID.shape).sum(axis=0) % 2) - 9
    most = float(np.hypot(*differences(board)).sum())
    for kappa, limited in ((most * (1 - 1e-9), True), (most * (1 + 1e-9), False)):
        said = hardly_limited(verdict._replace(claims={**verdict.claims, "kappa": kappa}))
        assert ("not limited at all" in "; ".join(said)) is not limited
    assert not hardly_limited(verdict._replace(claims={**verdict.claims, "kappa": 1e9, "lower": 1e-3}))


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


def test_a_geometry_that_the_checker_follows_and_no_scanner_has_is_said_to_be_so(tmp_path, monkeypatch):
    """An axis of half its length: the statement is true of these rays, so it is valid, and nobody's scan."""
    strange = copy.deepcopy(dual_cases.OPERATORS["vectors"])
    geometry = strange["geometry"]
    geometry["detector_axis"] = [[x / 2, y / 2] for x, y in geometry["detector_axis"]]
    monkeypatch.setitem(dual_cases.OPERATORS, "strange", strange)
    found, said = weighed(dual_cases.interval("strange")[0].write(tmp_path / "s.npy")[""])
    assert "no scanner has its geometry: u must have length 1" in found.little[0]
    assert "it says little: no scanner has its geometry" in said
    assert found.rays is None
    assert not any("no scanner" in why for why in weighed(
        dual_cases.interval("vectors")[0].write(tmp_path / "t.npy")[""]
    )[0].little)
