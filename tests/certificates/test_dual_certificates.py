"""Laws of the certificates of all images: honest ones hold, another construction agrees, changes are refused."""

import io
import json

import dense
import dual_cases
import numpy as np
import pytest
from certificate_cases import CASES, written
from dual_cases import GRID, OPERATORS, forged

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import prove
from ctrecon.certificates.infeasible import NotExcluded, exclude


def certificates(folder):
    """One of each, with the second construction's verdict on stated numbers."""
    for whitened in (False, True):
        found, _, bound = dual_cases.infeasible(1, whitened=whitened)
        yield found.write(folder / f"no{whitened}.npy"), {"lower_bound": bound}
    for case in OPERATORS:
        found, _, (lower, upper), _ = dual_cases.interval(case, 2, whitened=case == "fan")
        yield found.write(folder / f"{case}.npy"), {"lower": lower, "upper": upper}


def test_honest_ones_hold_and_prove_what_the_second_construction_finds(tmp_path):
    for paths, expected in certificates(tmp_path):
        verdict = verify.check(paths[""])
        assert verdict.valid, verdict.reason
        for name, value in expected.items():
            assert verdict.proved[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
        below = [verdict.proved[name] <= value for name, value in expected.items() if name != "upper"]
        assert all(below), "rounding is taken off, not on"
        assert verdict.proved.get("upper", np.inf) >= expected.get("upper", -np.inf)


def test_both_constructions_draw_the_line_at_the_same_place(tmp_path):
    """A number stated a little stronger than the dense one is refused, a little weaker holds."""
    for paths, expected in certificates(tmp_path):
        for name, value in expected.items():
            weaker = -1 if name != "upper" else 1
            step = 1e-7 * max(abs(value), 1)
            assert verify.check(forged(paths[""], lambda v, n=name, x=value + weaker * step: v.update({n: x}))).valid
            assert not verify.check(
                forged(paths[""], lambda v, n=name, x=value - weaker * step: v.update({n: x}))
            ).valid
            forged(paths[""], lambda v, n=name, x=value + weaker * step: v.update({n: x}))


@pytest.mark.parametrize("case", OPERATORS)
def test_the_operator_is_the_dense_one(case):
    A = dense.matrix(OPERATORS[case])
    image = np.random.default_rng(3).normal(size=GRID.shape)
    values, errors = verify.apply(OPERATORS[case], image, None)
    assert np.abs(values - A @ image.ravel()).max() < 1e-11
    assert errors.max() < 1e-9
    other = dense.matrix(OPERATORS["fan" if case == "arc-fan" else "arc-fan"])
    if other.shape == A.shape:
        assert np.abs(other @ image.ravel() - values).max() > 1e-3


def test_an_arc_detector_certifies_images_too(tmp_path):
    A, truth, f, _ = dual_cases.scan("arc-fan")
    misfit = float(np.linalg.norm(A @ truth.ravel() - f.ravel()))
    found = prove(truth, f, OPERATORS["arc-fan"], "2-norm", misfit * (1 + 1e-6), unit="1/mm")
    paths = found.write(tmp_path / "u.npy")
    assert verify.check(paths[""]).valid
    # Every number of the geometry matters.
    for name, change in (("detector_offset_mm", 0.01), ("source_to_axis_mm", 0.05), ("source_to_detector_mm", 0.05)):
        other = {**OPERATORS["arc-fan"], "geometry": {**dual_cases.ARC, name: dual_cases.ARC[name] + change}}
        assert not hasattr(prove(truth, f, other, "2-norm", misfit * (1 + 1e-6), unit="1/mm"), "files")
    for name in ("source_angle_shift_rad", "source_radius_shift_mm"):
        other = {**OPERATORS["arc-fan"], "geometry": {**dual_cases.ARC, name: dual_cases.ARC[name][::-1]}}
        assert not hasattr(prove(truth, f, other, "2-norm", misfit * (1 + 1e-6), unit="1/mm"), "files")


def test_no_admissible_image_is_outside_of_an_interval():
    for seed in range(5):
        found, _, (lower, upper), truth = dual_cases.interval(seed=seed)
        v, c = found.values, np.load(io.BytesIO(found.files["functional"]))
        assert dense.total_variation(truth) <= v["kappa"]
        assert lower <= float((c * truth).sum()) <= upper


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(delta=v["delta"] * 1.2) if "kappa" in v else v.update(delta=v["lower_bound"]),
        lambda v: v.update(kappa=v["kappa"] * 1.2) if "kappa" in v else v.update(lower_bound=v["lower_bound"] * 1.01),
        lambda v: v.update(lo=v["lo"] - 0.5), lambda v: v.update(hi=v["hi"] + 0.5), lambda v: v.update(lo=9.0, hi=-9.0),
        lambda v: v.update(norm="max"), lambda v: v.update(kind="feasible"), lambda v: v.update(limits=""),
        lambda v: v.update(weights=v["data"]), lambda v: v.update(extra=1),
        lambda v: v["operator"]["geometry"]["angles_rad"].append(0.0), lambda v: v["operator"].update(grid={}),
        lambda v: v.update(operator={"projector": "pooling", "factor": 1}),
        lambda v: v["functional"].update(shape=[9, 7]) if "kappa" in v else v.update(image_shape=[9, 7]),
        lambda v: v.update(lower_y=v["upper_y"]) if "kappa" in v else v.update(dual=v["data"]),
    ],
)  # fmt: skip
def test_false_claims_with_all_hashes_right_are_refused(change, tmp_path):
    for i, found in enumerate((dual_cases.infeasible(4)[0], dual_cases.interval(seed=4)[0])):
        path = found.write(tmp_path / f"s{i}.npy")[""]
        assert verify.check(path).valid
        verdict = verify.check(forged(path, change))
        assert not verdict.valid
        assert verdict.reason.isprintable()


@pytest.mark.parametrize("change", [
    lambda v: v["geometry"]["angles_rad"].reverse(), lambda v: v["geometry"].update(detector_offset_mm=0.4),
    lambda v: v["geometry"].update(source_to_axis_mm=23.0), lambda v: v["grid"].update(pixel_mm=0.7),
])  # fmt: skip
def test_another_geometry_is_refused(change, tmp_path):
    """A good dual vector proves little of other rays. (One drawn at random may prove more, and truly.)"""
    path = dual_cases.infeasible(4)[0].write(tmp_path / "s.npy")[""]
    assert "what is proved" in verify.check(forged(path, lambda v: change(v["operator"]))).reason


def test_a_dual_vector_that_proves_too_little_gives_no_certificate():
    found, _, bound = dual_cases.infeasible(5)
    arrays = {name: np.load(io.BytesIO(found.files[name])) for name in ("dual", "data")}
    given = (arrays["data"], dual_cases.FAN, GRID)
    box = {"lo": 0.0, "hi": 1.0, "shape": GRID.shape}
    for dual, delta in ((arrays["dual"], bound * 1.001), (0 * arrays["dual"], 1e-9), (-arrays["dual"], 1e-3)):
        assert isinstance(exclude(dual, *given, delta, **box), NotExcluded)
    assert exclude(3 * arrays["dual"], *given, bound * 0.999, **box).lower_bound == pytest.approx(bound)


# --- corruptions ----------------------------------------------------------------------------------------------------


def corrupted(paths, rng):
    """One random change of one file: a bit, or a digit of the certificate. Gives back what undoes it."""
    path = list(paths.values())[rng.integers(len(paths))]
    raw = path.read_bytes()
    changed = bytearray(raw)
    if path == paths[""] and rng.random() < 0.5:
        digits = [i for i, byte in enumerate(raw) if chr(byte).isdigit()]
        at = digits[rng.integers(len(digits))]
        changed[at] = ord("0") + (changed[at] - ord("0") + int(rng.integers(1, 10))) % 10
    else:
        changed[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
    path.write_bytes(changed)
    return path, raw


def trial(count, folder):
    """``count`` honest certificates of all kinds, each corrupted once: how many hold, how many corruptions do."""
    makers = [lambda seed, f: dual_cases.infeasible(seed, whitened=bool(seed % 2))[0].write(f / "s.npy"),
              lambda seed, f: dual_cases.interval(list(OPERATORS)[seed % 3], seed)[0].write(f / "s.npy"),
              lambda seed, f: written(CASES[seed % len(CASES)], f)]  # fmt: skip
    rng = np.random.default_rng(11)
    held = refused = 0
    for k in range(count):
        for old in folder.iterdir():
            old.unlink()
        paths = makers[k % 3](k // 3, folder)
        held += verify.check(paths[""]).valid
        path, raw = corrupted(paths, rng)
        refused += not verify.check(paths[""]).valid
        path.write_bytes(raw)
    return held, refused


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_honest_ones_pass_and_corrupted_ones_are_refused(count, tmp_path):
    assert trial(count, tmp_path) == (count, count)


def test_numbers_changed_with_the_hash_made_right_are_refused_or_weaker(tmp_path):
    """Random changes of each number that the proof uses, said consistently: never does a stronger claim hold."""
    rng = np.random.default_rng(12)
    found, _, _ = dual_cases.infeasible(6)
    path = found.write(tmp_path / "s.npy")[""]
    original = path.read_bytes()
    values = json.loads(original)
    for name, stronger in (("lower_bound", 1), ("hi", 1), ("lo", -1)):
        for _ in range(10):
            path.write_bytes(original)
            moved = values[name] + stronger * float(rng.uniform(0.01, 2))
            assert not verify.check(forged(path, lambda v, n=name, x=moved: v.update({n: x}))).valid
