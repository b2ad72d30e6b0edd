"""A checker written from ``docs/guarantees.md`` alone gives the verdicts of the project's own."""

from pathlib import Path

import dual_cases
import numpy as np
import pytest
import stranger
from certificate_cases import CASES, written
from dual_cases import OPERATORS, forged

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import prove


def everything(folder):
    """Paths of certificates of every kind, operator and norm."""
    for case in CASES:
        (folder / case).mkdir()
        yield written(case, folder / case)[""]
    for whitened in (False, True):
        yield dual_cases.infeasible(7, whitened=whitened)[0].write(folder / f"no{whitened}.npy")[""]
        for case in OPERATORS:
            yield dual_cases.interval(case, 7, whitened=whitened)[0].write(folder / f"{case}{whitened}.npy")[""]
    image = np.random.default_rng(7).random((6, 8, 3))
    small = image.reshape(3, 2, 4, 2, 3).mean((1, 3)) + 1e-4
    pooled = prove(image, small, {"projector": "pooling", "factor": 2}, "max", 2e-4)
    yield pooled.write(folder / "pooled.npy")[""]


def test_the_limits_stand_in_the_documentation():
    page = " ".join((Path(__file__).resolve().parents[2] / "docs" / "guarantees.md").read_text().split())
    for kind, text in verify.LIMITS.items():
        assert text in page, kind


def believes(path):
    try:
        return bool(stranger.check(path))
    except (ValueError, TypeError, KeyError, OSError):
        return False


def test_the_documentation_is_enough_to_check_every_certificate(tmp_path):
    for path in everything(tmp_path):
        verdict = verify.check(path)
        assert verdict.valid, verdict.reason
        assert stranger.check(path) == verdict.statement


def test_what_the_stranger_refuses_is_refused(tmp_path):
    """Numbers changed by a little or a lot, statement and hash made right again: neither believes what the other does
    not. (Changes below 1e-9 of the bound the stranger cannot tell from the rounding that it does not follow.)
    """
    held = refused = 0
    for path in everything(tmp_path):
        values, raw = verify.parse_certificate(path.read_bytes()), path.read_bytes()
        if values["kind"] == "feasible":
            continue
        for name in ("delta", "lo", "hi", "kappa", "lower", "upper", "lower_bound"):
            for factor in (0.5, 1 - 1e-4, 1 + 1e-4, 2.0) if name in values else ():
                changed = {name: values[name] * factor}
                forged(path, lambda v, changed=changed: v.update(changed))
                valid = verify.check(path).valid
                assert valid == believes(path), (path.name, name, factor)
                held, refused = held + valid, refused + (not valid)
                path.write_bytes(raw)
    assert held > 50
    assert refused > 50


def points(value, of=None, prefix=()):
    """Where in a certificate whole numbers stand, or all numbers that are ``of`` one value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from points(inner, of, (*prefix, key))
        elif type(inner) is int if of is None else type(inner) in (int, float) and inner == of:
            yield (*prefix, key)


def forged_at(path, place, other):
    """A certificate with another value in one place, or what a function makes of it, and the right hash."""
    values = verify.parse_certificate(path.read_bytes())
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = other(inner[place[-1]]) if callable(other) else other
    path.write_bytes(verify.encode(values))


def test_a_whole_number_with_a_point_is_refused_by_both_and_a_real_one_without_one_by_neither(tmp_path):
    pointed = ones = 0
    for path in everything(tmp_path):
        raw = path.read_bytes()
        for place in points(verify.parse_certificate(raw)):
            path.write_bytes(raw)
            forged_at(path, place, float)
            assert verify.check(path).valid == believes(path) == (place[-1] in ("hi", "lo", "delta", "kappa")), place
            pointed += 1
        path.write_bytes(raw)
        for place in points(verify.parse_certificate(raw), 1):  # true is no number, though Python takes it for 1
            path.write_bytes(raw)
            forged_at(path, place, True)
            assert not verify.check(path).valid, place
            ones += 1
        path.write_bytes(raw)
    assert pointed > 100
    assert ones > 10
    path = dual_cases.interval("fan", 7)[0].write(tmp_path / "whole.npy")[""]
    forged(path, lambda v: v.update(delta=100, kappa=1000, lower=-1000, upper=1000))
    assert verify.check(path).valid
    assert believes(path)


@pytest.mark.parametrize("case", ["offset", "whitened", "matrix"])
def test_neither_believes_other_files(case, tmp_path):
    paths = written(case, tmp_path)
    for path in paths.values():
        raw = path.read_bytes()
        for changed in (raw + b"\0", raw[:-1], raw.replace(raw[-9:-8], bytes([raw[-9] ^ 1])), b""):
            path.write_bytes(changed)
            assert not verify.check(paths[""]).valid
            assert not believes(paths[""])
        path.write_bytes(raw)
    assert believes(paths[""])
