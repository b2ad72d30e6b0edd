"""Missing rays: one convention, from every source, filled alike, never counted."""

from __future__ import annotations

import json
import math

import h5py
import numpy as np
import pytest
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.io.write import write_scan
from ctrecon.measurement.counts import line_integrals
from ctrecon.measurement.dead import stuck_lines
from ctrecon.measurement.delta import delta_for
from ctrecon.measurement.filling import filling
from ctrecon.measurement.mask import as_mask, in_words, mask_of_lines
from ctrecon.measurement.scan import Scan

VIEWS, CELLS = 40, 48
ANGLES = np.arange(VIEWS) * 2 * math.pi / VIEWS
FAN = FanBeam(
    angles_rad=tuple(ANGLES), detector_count=CELLS, detector_spacing_mm=1.0, source_to_axis_mm=90.0,
    source_to_detector_mm=140.0,
)  # fmt: skip
PARALLEL = ParallelBeam(angles_rad=tuple(ANGLES / 2), detector_count=CELLS)


def bump(geometry=FAN):
    """A smooth sinogram: a Gauss curve off the axis."""
    angles = np.asarray(geometry.angles_rad)[:, None]
    return np.exp(-(((np.arange(CELLS) - CELLS / 2 + 0.5 - 8 * np.cos(angles)) / 6) ** 2))


def lines(columns=(), views=()):
    return mask_of_lines("x", (VIEWS, CELLS), columns, views)


MASKS = {
    "a column": lines([20]),
    "three columns": lines([20, 21, 22]),
    "columns at the border": lines([0, CELLS - 1]),
    "a view": lines((), [7]),
    "the first and the last view": lines((), [0, VIEWS - 1]),
    "a column and a view": lines([5], [0]),
    "single rays": np.random.default_rng(0).random((VIEWS, CELLS)) > 0.02,
}


@pytest.mark.parametrize("geometry", [FAN, PARALLEL, None], ids=["fan", "parallel", "matrix"])
@pytest.mark.parametrize("name", MASKS)
def test_filling_is_linear_keeps_constants_and_touches_nothing_that_was_measured(name, geometry):
    mask = MASKS[name]
    for positive in (False, True):
        fill = filling(mask, geometry, positive=positive)
        assert sorted(fill.missing) == np.flatnonzero(~mask).tolist()
        np.testing.assert_allclose(fill.matrix.sum(axis=1), 1, atol=1e-12)
        assert np.abs(fill.matrix[:, np.flatnonzero(~mask)]).sum() == 0, "no missing ray is looked at"
        if positive:
            assert fill.matrix.data.min() >= 0
    f = 0.5 + bump(geometry or FAN)
    found = fill(np.where(mask, f, np.nan))
    np.testing.assert_array_equal(found[mask], f[mask])
    assert np.abs(found - f).max() < 0.2
    assert np.abs(np.where(mask, f, 0) - f).max() > 0.4, "zeros would not do"


def test_the_first_view_of_a_turn_follows_the_last():
    f, mask = bump(), MASKS["the first and the last view"]
    around = filling(mask, FAN)(f)
    alone = filling(mask, None)(f)
    assert np.abs(around - f).max() < np.abs(alone - f).max()


SOURCES = {
    "mask": lambda f, m: Scan(np.where(m, f, 7.0), FAN, mask=m),
    "mask of numbers": lambda f, m: Scan(np.where(m, f, 1e35), FAN, mask=m.astype(np.uint8)),
    "NaN": lambda f, m: Scan(np.where(m, f, np.nan), FAN),
    "infinite": lambda f, m: Scan(np.where(m, f, np.inf), FAN),
    "masked array": lambda f, m: Scan(np.ma.masked_array(np.where(m, f, 3.0), mask=~m), FAN),
    "NaN variance": lambda f, m: Scan(np.where(m, f, 3.0), FAN, variance=np.where(m, 1.0, np.nan)),
    "mask and NaN": lambda f, m: Scan(np.where(m, f, np.nan), FAN, mask=m),
}


@pytest.mark.parametrize("source", SOURCES)
def test_however_it_is_said_the_scan_is_the_same(source):
    mask, f = MASKS["a column and a view"] & MASKS["single rays"], bump()
    found = SOURCES[source](f, mask)
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_allclose(found.sinogram, filling(mask, FAN)(f), atol=1e-12)
    assert found.usable_count == mask.sum()
    weights = found.weights(whitened=False)
    np.testing.assert_array_equal(weights > 0, mask)
    kept = found.every(3)
    np.testing.assert_array_equal(kept.mask, mask[::3])
    np.testing.assert_array_equal(found.with_center(20.0).mask, mask)


def test_a_mask_that_lacks_nothing_is_none_and_one_that_lacks_all_is_refused():
    assert Scan(bump(), FAN, mask=np.ones((VIEWS, CELLS), bool)).mask is None
    for bad, words in (
        (np.zeros((VIEWS, CELLS), bool), "is it inverted"),
        (np.ones((CELLS, VIEWS), bool), r"mask has shape \(48, 40\)"),
        (np.full((VIEWS, CELLS), 2), "0 .missing. and 1 .usable. alone"),
        (np.full((VIEWS, CELLS), "a"), "truth values or 0 and 1"),
    ):
        with pytest.raises(InputError, match=words):
            Scan(bump(), FAN, mask=bad)
    with pytest.raises(InputError, match="bad_columns must be numbers from 0 to 47, got 48"):
        lines([48])


def test_words_name_lines_and_count_the_rest():
    mask = lines([31], [4, 9])
    mask[0, :3] = False
    assert in_words(mask) == "column 31, views 4 and 9 and 3 single rays"
    assert in_words(lines(range(10))) == "10 columns (0, 1, 2, 3, 4, 5, ...)"
    assert in_words(as_mask("x", np.ones((2, 2)), (2, 2))) == "none"


# Files


@pytest.mark.parametrize("kind", ["npz of ours", "npz", "npz of truth values", "h5", "sidecar", "npy beside"])
def test_a_mask_comes_with_every_file(tmp_path, kind):
    mask, f = lines([20], [3, 4]), bump()
    path = tmp_path / "s.npz"
    stated = FAN.to_dict()
    angles = {"angles_rad": ANGLES, "detector_spacing_mm": 1.0, "source_to_axis_mm": 90.0,
              "source_to_detector_mm": 140.0}  # fmt: skip
    if kind == "npz of ours":
        write_scan(path, Scan(f, FAN, mask=mask))
    elif kind == "npz":
        np.savez(path, sinogram=f, mask=mask.astype(np.int8), **angles)
    elif kind == "npz of truth values":
        np.savez(path, sinogram=f, mask=mask, **angles)
    elif kind == "h5":
        path = tmp_path / "s.h5"
        with h5py.File(path, "w") as file:
            file["sinogram"], file["mask"] = f, mask
        path.with_suffix(".json").write_text(json.dumps(stated))
    elif kind == "sidecar":
        path = tmp_path / "s.npy"
        np.save(path, f)
        path.with_suffix(".json").write_text(json.dumps({**stated, "bad_columns": [20], "bad_views": [3, 4]}))
    else:
        path = tmp_path / "s.npy"
        np.save(path, f)
        np.save(tmp_path / "m.npy", mask.astype(np.uint8))
        arrays = {"sinogram": "s.npy", "mask": "m.npy"}
        path.with_suffix(".json").write_text(json.dumps({**stated, "arrays": arrays}))
    found = read_scan(path)
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_allclose(found.sinogram[mask], f[mask])
    if kind == "sidecar":
        assert any("by s.json: 134 of 1920 rays are missing" in note for note in found.notes)
        for bad in ("3", [1.5], [True], [CELLS]):
            path.with_suffix(".json").write_text(json.dumps({**stated, "bad_columns": bad}))
            with pytest.raises(InputError, match=r"s\.json: .?bad_columns"):
                read_scan(path)


# Dead cells


def counts(photons, sigma=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(photons * np.exp(-3 * bump())) + sigma * rng.standard_normal((VIEWS, CELLS))


@pytest.mark.parametrize("sigma", [0.0, 5.0])
@pytest.mark.parametrize("photons", [1e3, 1e6])
def test_what_is_dead_in_counts_is_found_and_nothing_else(photons, sigma):
    alive, rng = counts(photons, sigma), np.random.default_rng(1)
    assert line_integrals(alive, photons, electronic_sigma=sigma).mask is None
    dead = alive.copy()
    dead[:, 30] = sigma * rng.standard_normal(VIEWS)
    dead[11] = sigma * rng.standard_normal(CELLS)
    dead[3, 4] = 0
    found = line_integrals(dead, photons, electronic_sigma=sigma)
    expected = lines([30], [11])
    expected[3, 4] = False
    np.testing.assert_array_equal(found.mask, expected)
    assert "column 30, view 11 and 1 single ray" in found.notes[0]


def test_starved_rays_behind_metal_are_not_dead():
    f = 3 * bump()
    f[:, 22:25] += 12  # a rod at the axis: three cells without a photon in all views, darker than neighbours by exp(12)
    f[:, 20:27] += 3
    found = line_integrals(np.random.default_rng(0).poisson(2e3 * np.exp(-f)), 2e3)
    assert found.mask is None or found.mask[:, 22:25].mean() > 0.5 or found.mask[:, :20].all()
    assert found.mask is None or found.mask[:, :20].all()


def test_dead_cells_of_the_white_field_are_missing_and_too_many_an_error():
    white, dark = np.full(CELLS, 1e4), np.zeros(CELLS)
    white[7], dark[9] = 0, 2e4  # dead, hot
    readings = counts(1e4)
    found = line_integrals(np.where(np.arange(CELLS) == 9, 2e4, readings), white, dark)
    np.testing.assert_array_equal(found.mask, lines([7, 9]))
    white[::2] = 0
    with pytest.raises(InputError, match="not above the dark field"):
        line_integrals(readings, white, dark)


def test_cells_that_say_one_number_are_stuck_and_air_is_not():
    f = bump()
    f[:, :6] = f[:, -6:] = 0  # nothing but air there
    assert stuck_lines(f).all()
    f[:, 20], f[9] = 0.3, 0.0
    np.testing.assert_array_equal(stuck_lines(f), lines([20], [9]))


# Delta


@pytest.mark.sampled(4)
@pytest.mark.parametrize("known", [True, False], ids=["variances", "sinogram alone"])
@pytest.mark.parametrize("name", MASKS)
def test_delta_counts_usable_rays_alone(name, known):
    """What stands where a ray is missing means nothing to delta, and the noise is that of the others."""
    rng, mask = np.random.default_rng(5), MASKS[name]
    f = bump() + 0.01 * rng.standard_normal((VIEWS, CELLS))
    variance = np.full(f.shape, 1e-4) if known else None
    whole = delta_for(Scan(f, FAN, variance=variance), "auto", model_error="0").value
    found = delta_for(Scan(np.where(mask, f, 50.0), FAN, variance=variance, mask=mask), "auto", model_error="0").value
    assert found == pytest.approx(whole * math.sqrt(mask.mean()), rel=0.02 if known else 0.2)
    assert delta_for(Scan(f, FAN, mask=mask), "10%").value == pytest.approx(0.1 * np.linalg.norm(f[mask]))


def test_a_matrix_scan_has_a_mask_too():
    matrix = sparse.random(VIEWS * CELLS, 16, 0.3, format="csr", rng=np.random.default_rng(4))
    mask = MASKS["a view"]
    scan = Scan(bump(), matrix=matrix, mask=mask)
    assert scan.weights(whitened=True)[7].sum() == 0


def test_in_space_every_row_is_filled_by_itself():
    f = np.stack([bump(), 2 + bump(PARALLEL), 5 - bump()], axis=1)
    mask = np.random.default_rng(0).random(f.shape) > 0.03
    mask[:, 1, 20], mask[7] = False, False
    fill = filling(mask, FAN)
    np.testing.assert_allclose(fill.matrix.sum(axis=1), 1)
    found = fill(np.where(mask, f, np.nan))
    np.testing.assert_array_equal(found[mask], f[mask])
    assert np.abs(found - f).max() < 0.5
    mask[:, 2] = False  # all of a row: as the next one
    np.testing.assert_allclose(filling(mask, FAN)(f)[:, 2], filling(mask, FAN)(f)[:, 1])
    mask[:] = True
    mask[7], mask[:, 1, 20], mask[0, 0, 0] = False, False, False
    assert in_words(mask) == "column (1, 20), view 7 and 1 single ray"
    f[:, 1, 20] = 0.25
    assert np.argwhere(~stuck_lines(f)).tolist() == [[view, 1, 20] for view in range(VIEWS)]
