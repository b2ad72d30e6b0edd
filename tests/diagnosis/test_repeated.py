"""What a scan holds twice, has left out, or has rounded off: each is named, though an image explains it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes import SPEAKING
from ctrecon.diagnosis.causes.angle_gap import angle_gap
from ctrecon.diagnosis.causes.copies import copies
from ctrecon.diagnosis.causes.ends_meet import ends_meet
from ctrecon.diagnosis.causes.exchanged_cells import exchanged_cells
from ctrecon.diagnosis.causes.few_values import few_values
from ctrecon.diagnosis.causes.no_likeness import no_likeness
from ctrecon.diagnosis.causes.rings import rings
from ctrecon.diagnosis.causes.saturated import saturated
from ctrecon.diagnosis.causes.view_order import view_order
from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.suggestion import Cause
from ctrecon.measurement.scan import Scan

VIEWS, LEFT_OUT = 60, 6


@cache
def honest() -> Scan:
    return ct.simulate("chest", size=64, views=VIEWS, noise=0.01, seed=4).scan


@cache
def longer() -> np.ndarray:
    return ct.simulate("chest", size=64, views=VIEWS + LEFT_OUT, noise=0.01, seed=4).scan.sinogram


def repeated(f: np.ndarray, at: int) -> np.ndarray:
    f = f.copy()
    f[at] = f[at - 1]
    return f


def paired(f: np.ndarray) -> np.ndarray:
    return f.reshape(-1, 2, f.shape[1])[:, ::-1].reshape(f.shape)


def as_whole(f: np.ndarray) -> np.ndarray:
    return np.clip(f / f.max() * 60000, 0, 60000).astype(np.uint16)


def at_cell(f: np.ndarray, cell: int, share: float, *, from_: float | None = None) -> np.ndarray:
    along = np.linspace(share if from_ is None else from_, share, len(f))[:, None]
    return np.asarray(f.max() * along * (np.arange(f.shape[1]) == cell))


FAULTS: dict[str, tuple[Cause, str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "the last view twice": (copies, "lost-views", "view 59 repeats the view before", lambda f: repeated(f, 59)),
    "every second view twice": (copies, "lost-views", "30 views", lambda f: np.repeat(f[::2], 2, axis=0)),
    "bytes in the wrong order": (no_likeness, "no-likeness", "bytes", lambda f: as_whole(f).byteswap()),
    "a stuck cell": (copies, "bad-columns", "cell 30 repeats", lambda f: repeated(f.T, 30).T),
    "pairs of views exchanged": (view_order, "views-out-of-order", "exchanged in pairs", paired),
    "two cells exchanged": (
        exchanged_cells, "cells-out-of-order", "cells 30 and 41",
        lambda f: f[:, [*range(30), 41, *range(31, 41), 30, *range(42, f.shape[1])]],
    ),
    "five bits": (few_values, "few-values", "few bits", lambda f: np.round(f / f.max() * 32) / 32 * f.max()),
    "eight bits": (few_values, "few-values", "few bits", lambda f: np.round(np.clip(f / f.max(), 0, 1) * 255) / 255),
    "a cell that reads too much": (rings, "rings", "cell 30", lambda f: f + at_cell(f, 30, 0.03)),
    "a cell that drifts": (rings, "rings", "neighbours", lambda f: f + at_cell(f, 30, 0.1, from_=0.0)),
    "cells that differ": (
        rings, "rings", "from one to the next", lambda f: f * np.random.default_rng(2).normal(1, 0.05, f.shape[1])
    ),
    "a limit few rays reach": (
        saturated, "saturation", "many rays hold one", lambda f: np.minimum(f, np.sort(f, axis=None)[-7])
    ),
    "an arc left out": (
        angle_gap, "angles-left-out", "after view 19", lambda f: np.delete(longer(), np.s_[20 : 20 + LEFT_OUT], axis=0)
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_is_named_and_no_honest_scan_is(fault: str) -> None:
    cause, name, words, make = FAULTS[fault]
    assert cause in SPEAKING, "and so a sign in every reconstruction"
    assert not list(cause(honest()))
    bad = np.ascontiguousarray(make(honest().sinogram).astype(np.float32))
    found = next(iter(cause(dataclasses.replace(honest(), sinogram=bad))))
    assert found.cause == name
    assert words in found.words
    assert (found.scan is None) == (name in {"few-values", "no-likeness"})


def test_the_gap_is_as_wide_as_what_was_left_out() -> None:
    bad = FAULTS["an arc left out"][3](honest().sinogram)
    found = next(iter(angle_gap(dataclasses.replace(honest(), sinogram=bad))))
    assert found.scan is not None
    angles = np.asarray(found.scan.geometry.angles_rad)  # type: ignore[union-attr]
    step = 2 * math.pi / (VIEWS + LEFT_OUT)
    np.testing.assert_allclose(angles[20] - angles[19], (LEFT_OUT + 1) * step, atol=2 * step)
    np.testing.assert_allclose(np.delete(np.diff(angles), 19), step, rtol=0.05)


def test_ends_that_are_stated_to_meet_and_do_not_are_a_sign() -> None:
    """``linspace`` has both ends of a turn, a scanner one: no view is a step off, and a coarse image fits well."""
    angles = tuple(np.linspace(0, 2 * math.pi, VIEWS))
    stated = dataclasses.replace(honest().geometry, angles_rad=angles)  # type: ignore[type-var]
    bad = dataclasses.replace(honest(), geometry=stated)
    (found,) = ends_meet(bad)
    assert found.cause == "angles-end-included"
    assert found.scan is not None
    assert fit(found.scan).share < 0.88 * fit(bad).share
    f = honest().sinogram.copy()
    f[-1] = f[0] + 0.01 * np.random.default_rng(1).standard_normal(f.shape[1])  # measured there again
    for right in (honest(), dataclasses.replace(bad, sinogram=f)):
        assert not list(ends_meet(right))
    assert ends_meet in SPEAKING


def test_all_views_alike_are_a_cylinder_and_no_copies() -> None:
    alike = np.repeat(honest().sinogram[:1], VIEWS, axis=0)
    assert not list(copies(dataclasses.replace(honest(), sinogram=alike)))


def test_edges_of_what_is_round_about_the_axis_are_no_rings() -> None:
    """They lie at the same cells in all views, as a ring does."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    away = np.hypot(x, y)
    discs = (0.02 * (away < 0.7) + 0.02 * (away < 0.3)).astype(np.float32)
    scan = ct.simulate(discs, size=96, views=90, noise=0.003, seed=2).scan
    assert not list(rings(scan))
    f = scan.sinogram.copy()
    f[:, 70] += 0.03 * f.max()
    (found,) = rings(dataclasses.replace(scan, sinogram=f))
    assert found.scan is not None
    assert found.scan.mask is not None
    assert not found.scan.mask[:, 70].any()
    assert found.scan.mask.sum() >= 0.95 * f.size
