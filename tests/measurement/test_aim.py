"""Where an image's residual should end that is the smoother the larger it is: a little below the true image's own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrecon.measurement.delta import Delta, delta_for
from ctrecon.measurement.noise_level import estimate_sigma
from ctrecon.measurement.without_zingers import without_zingers
from ctrecon.measurement.zingers import zingers
from ctrecon.operators.joseph import JosephOperator
from ctrecon.reconstruction.methods.huber_tv import huber_tv
from ctrecon.reconstruction.problem import prepare
from ctrecon.studies.paper import image_coverage
from ctrecon.studies.paper.coverage import counted, gaussian
from ctrecon.studies.paper.image_coverage import objects


def scans(count=3, size=32):
    """Small scans of as many families, with the residual of the true image and that image."""
    noises = (gaussian(0.002), gaussian(0.01), counted(1e5), gaussian(0.03))
    for k, one in enumerate(objects(count, sizes=[size], views=[30], seed=77)):
        scan = noises[k % len(noises)](one.clean, k)
        left = one.projected - scan.sinogram
        delta = delta_for(scan, "auto")
        if delta.norm == "whitened":
            left = left / np.sqrt(scan.variance)
        yield one, scan, delta, float(np.linalg.norm(left))


@pytest.mark.parametrize(("sizes", "views"), [([8, 10], [3, 4, 5]), ([8], [3, 4]), ([8, 10, 12], [3])])
def test_every_family_meets_every_beam_size_and_number_of_views_together(sizes, views):
    """After as many turns as there are of these; else a family would be judged by its beams."""
    kinds = 6 * 2 * len(sizes) * len(views)
    met = {(one.family, one.scanner, one.size, one.views) for one in objects(kinds, sizes=sizes, views=views, seed=1)}
    assert len(met) == kinds


def psnr(image, one):
    geometry, grid = one.clean.geometry, one.clean.grid
    # The truth is known by its projection alone, which 40 views of 48 pixels determine well enough to compare by.
    projected = JosephOperator(geometry, grid)(torch.from_numpy(image).double()[None, None])[0, 0].numpy()
    return -20 * math.log10(float(np.linalg.norm(projected - one.projected)))


def test_a_delta_that_was_given_is_what_a_method_aims_at():
    _, scan, auto, _ = next(scans(1))
    assert delta_for(scan, "1%").aims == (delta_for(scan, "1%").value,)
    assert auto.aims == (auto.aim, auto.value)
    assert auto.aim < auto.value
    noise = delta_for(scan, "auto", model_error="0")
    assert noise.aim < noise.value < auto.value
    assert noise.aim < auto.aim
    given = delta_for(scan, "auto", model_error="0.3")
    assert (given.value, given.aim) == (noise.value + 0.3, noise.aim + 0.3), "room that was asked for is room"
    assert Delta(value=1.0, norm="2-norm", how="", aim=2.0).aims == (1.0,)


def test_the_aim_is_nearer_to_the_true_residual_than_delta_is():
    ratios = np.array([(delta.aim / true, delta.value / true) for _, _, delta, true in scans(12, 64)])
    assert abs(np.log(ratios[:, 0])).mean() < 0.6 * abs(np.log(ratios[:, 1])).mean()
    assert 0.85 < ratios[:, 0].min()
    assert ratios[:, 0].max() < 1.15


@pytest.mark.long
def test_huber_tv_ends_at_the_aim_and_is_as_near_to_the_object_as_with_the_true_residual():
    """With delta itself, which has to be rather too large, it is further from it."""
    losses = []
    for one, scan, delta, true in scans():
        found = [huber_tv(prepare(scan, asked, device="cpu")) for asked in (
            delta, replace(delta, value=true, aim=None), replace(delta, aim=None)
        )]  # fmt: skip
        assert 0.985 * delta.aim < found[0].history[-1].residual <= delta.aim
        near = [psnr(outcome.image, one) for outcome in found]
        losses.append((near[1] - near[0], near[1] - near[2]))
    with_aim, with_delta = np.mean(losses, axis=0)
    assert with_aim < 0.3
    assert with_delta > with_aim + 0.3


def test_where_no_weight_leads_to_the_aim_delta_itself_is_met():
    _, scan, delta, _ = next(scans(1))
    impossible = replace(delta, aim=1e-4 * delta.value)
    outcome = huber_tv(prepare(scan, impossible, device="cpu"))
    assert 0.98 * delta.value < outcome.history[-1].residual <= delta.value


@pytest.mark.parametrize("struck", [False, True])
def test_edges_that_one_view_sees_end_on_are_no_zingers(struck):
    """They stand out like some; taken away, they would make the noise many times as strong as it is."""
    one = next(one for one in objects(8, sizes=[96], views=[120], seed=1007) if one.family == "polygons")
    scan = gaussian(0.002)(one.clean, 1)
    level = estimate_sigma(scan.sinogram, scan.geometry)[0].likely
    taken, found = zingers(scan.sinogram)
    assert found.sum() >= 5, "the test would show nothing"
    assert estimate_sigma(taken, scan.geometry)[0].likely > 1.5 * level
    if struck:
        values = scan.sinogram.copy()
        hit = np.random.default_rng(0).choice(values.size, 12, replace=False)
        values.flat[hit] += values.max()
        scan = replace(scan, sinogram=values)
        assert estimate_sigma(values, scan.geometry)[0].likely > 5 * level
    clean, said = without_zingers(scan)
    assert bool(said) == struck
    # What neighbours suggest is not quite what was there.
    assert estimate_sigma(clean.sinogram, scan.geometry)[0].likely < 2 * level


def test_what_an_estimated_delta_costs_is_counted(monkeypatch):
    """In dB against the true residual; by a delta twice as large, several."""
    one = next(iter(objects(1, sizes=[32], views=[30], seed=77)))
    monkeypatch.setattr(image_coverage, "NOISES", (("Gaussian, 1.0%", gaussian(0.01)),))
    [found] = image_coverage.measure_all(one, 0, losses=True)
    assert found.loss_db < 0.5
    monkeypatch.setattr(image_coverage, "delta_for", lambda *_, **__: Delta(
        value=2 * found.residual, norm="2-norm", how="too large"
    ))  # fmt: skip
    [wrong] = image_coverage.measure_all(one, 0, losses=True)
    assert wrong.loss_db > found.loss_db + 1
    row = next(image_coverage.shares([found, wrong]))
    assert (row.mean_loss_db, row.largest_loss_db) == (
        pytest.approx((found.loss_db + wrong.loss_db) / 2), wrong.loss_db
    )  # fmt: skip
    assert next(iter(image_coverage.measure_all(one, 0))).loss_db is None
