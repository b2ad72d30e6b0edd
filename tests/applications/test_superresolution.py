"""Laws of super-resolution: pooled again the enlarged image is the given one, whatever the network says."""


import numpy as np
import pytest
import torch
from superresolution_cases import Adversary, pooled, small_network

from ctrecon.applications.superresolution.enlarge import (
    energy_of,
    enlarge,
    enlarge_levels,
    fitted,
)
from ctrecon.applications.superresolution.network import EstimateDirection
from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.certificates.pooled import certify_pooled
from ctrecon.errors import InputError, SettingError
from ctrecon.networks.mirrored import Mirrored

# --- the descent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("direction", ["none", "random", "huge", "not finite"])
def test_every_direction_ends_at_the_data(scale, direction):
    network = {
        "none": None, "random": small_network(scale), "huge": Adversary(1e6), "not finite": Adversary(float("nan")),
    }[direction]  # fmt: skip
    data = torch.rand(2, 1, 7, 9)
    found = enlarge(data, scale, network)
    assert found.u.shape == (2, 1, 7 * scale, 9 * scale)
    misfits = torch.stack(found.misfits)
    # Up to the rounding of a residual that is carried along, and computed anew for the last step.
    assert bool((misfits[1:] <= misfits[:-1] + 1e-11).all()), "the energy never rises"
    largest = (torch.nn.functional.avg_pool2d(found.u, scale) - data).abs().max()
    assert largest < 1e-5
    # One pass of the same network is no answer to the data.
    if network is not None and direction == "random":
        energy = energy_of(data, scale)
        zero = torch.zeros_like(found.u)
        passed = EstimateDirection(network, energy)(energy.at(zero))
        assert (torch.nn.functional.avg_pool2d(passed, scale) - data).abs().max() > 1e-3


def test_the_network_decides_what_the_data_do_not():
    data = torch.rand(1, 1, 8, 8)
    one, other = enlarge(data, 4, small_network(seed=1)).u, enlarge(data, 4, small_network(seed=2)).u
    assert (one - other).abs().max() > 1e-3


def test_symmetric_networks_commute_with_turns_and_mirrors():
    network, x = small_network(), torch.rand(1, 3, 16, 24)
    for turn in (lambda t: t.flip(-1), lambda t: t.transpose(-1, -2), lambda t: torch.rot90(t, 1, (-2, -1))):
        # As the inputs of a problem are: data and gradient constant over squares.
        constant = torch.cat([x[:, :1], *(torch.rand(1, 2, 4, 6).repeat_interleave(4, 2).repeat_interleave(4, 3),)], 1)
        even = Mirrored(network)
        torch.testing.assert_close(even(turn(constant)), turn(even(constant)), rtol=0, atol=1e-5)
        assert (network(turn(constant)) - turn(network(constant))).abs().max() > 1e-3


# --- whole numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("highest", [255, 65535])
@pytest.mark.parametrize("kind", ["grey", "colour", "extremes", "flat"])
def test_whole_numbers_pool_back_exactly(highest, kind):
    rng = np.random.default_rng(1)
    levels = rng.integers(0, highest + 1, (6, 5, 3) if kind == "colour" else (6, 5)).astype(np.float64)
    if kind == "extremes":
        levels = np.where(levels > highest / 2, float(highest), 0.0)
    if kind == "flat":
        levels = np.full_like(levels, 7.0)
    u = enlarge_levels(levels, 4, small_network(), lowest=0, highest=highest)
    assert u.shape == (24, 20, *levels.shape[2:])
    assert u.min() >= 0
    assert u.max() <= highest
    np.testing.assert_array_equal(u, np.rint(u))
    np.testing.assert_array_equal(pooled(u, 4), levels)


def test_rounding_alone_would_not():
    f = np.random.default_rng(2).integers(0, 256, (9, 9)).astype(np.float64)
    u = f.repeat(4, 0).repeat(4, 1) + np.tile(np.linspace(-0.9, 0.9, 4), (36, 9))
    kept = fitted(u, f, 4, lowest=0, highest=255, whole=True)
    np.testing.assert_array_equal(pooled(kept, 4), f)
    inside = (f > 2) & (f < 253)
    assert np.abs(kept - u)[inside.repeat(4, 0).repeat(4, 1)].max() <= 1 + 1e-9
    assert np.abs(pooled(np.clip(np.rint(u + 0.3), 0, 255), 4) - f).max() > 0.2


def test_values_that_are_not_whole_stay_measured_values():
    levels = np.random.default_rng(3).normal(size=(5, 6)) * 40 - 900
    u = enlarge_levels(levels, 2, None, lowest=float(levels.min()), highest=float(levels.max()), whole=False)
    assert np.abs(pooled(u, 2) - levels).max() < 1e-3
    np.testing.assert_array_equal(u, u.astype(np.float32))


@pytest.mark.parametrize(
    ("levels", "match"),
    [
        (np.zeros((3, 4, 2)), "rows, columns"),
        (np.zeros((0, 4)), "rows, columns"),
        (np.full((3, 4), np.nan), "from 0 to 255"),
        (np.full((3, 4), 256.0), "from 0 to 255"),
        (np.broadcast_to(0.0, (2048, 2048)), "parts"),
    ],
)
def test_impossible_images_are_refused(levels, match):
    with pytest.raises(InputError, match=match):
        enlarge_levels(levels, 4, None, lowest=0, highest=255)
    with pytest.raises(SettingError, match="scale"):
        enlarge_levels(np.zeros((3, 4)), 1, None, lowest=0, highest=255)


# --- certificates ---------------------------------------------------------------------------------------------------


def test_the_certificate_is_of_the_largest_difference(tmp_path):
    rng = np.random.default_rng(4)
    data = rng.integers(0, 256, (5, 4, 3)).astype(np.float64)
    image = data.repeat(3, 0).repeat(3, 1)
    image[0, 0, 0] += 2.7  # one pixel of nine: its mean is off by 0.3
    certificate = certify_pooled(image, data, 3, 0.5)
    assert isinstance(certificate, FeasibleCertificate)
    assert certificate.residual == pytest.approx(0.3)
    assert verify.check(certificate.write(tmp_path / "a.npy")[""]).valid
    refused = certify_pooled(image, data, 3, 0.29)
    assert isinstance(refused, NotCertified)
    with pytest.raises(SettingError, match="tolerance"):
        certify_pooled(image, data, 3, 0.0)
    with pytest.raises(InputError):
        certify_pooled(image, data, 2, 0.5)
