"""What the limits of an interval certificate do by themselves: prove its range without the data, or limit nothing."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.certificates.verify import Json, Verdict
from ctrecon.support.arrays import Array
from ctrecon.support.rounded import at_most

LOOSE = 10.0
"""Where kappa is above so many times the TV of an image that explains the data, roughness hardly limits anything."""


def without_data(verdict: Verdict) -> bool:
    """Whether the same ``p`` prove nearly the same range with ``y = 0``: then the data hardly enter.

    Args:
        verdict: Of a valid interval certificate.

    Returns:
        Whether they do, to 0.1% of the range's width.
    """
    v, c = verdict.claims, verdict.arrays["functional"]
    lower = _by_limits(v, c, verdict.arrays["lower_p"])
    upper = -_by_limits(v, -c, verdict.arrays["upper_p"])
    room = 1e-3 * (v["upper"] - v["lower"])
    return bool(lower >= v["lower"] - room and upper <= v["upper"] + room)


def hardly_limited(verdict: Verdict) -> list[str]:
    """Why kappa limits hardly any image, of a range that leaves the sign open.

    Of a range that does not, a large kappa makes the statement the stronger.

    Args:
        verdict: Of a valid interval certificate.

    Returns:
        One clause, or none.
    """
    v = verdict.claims
    if v["lower"] > 0 or v["upper"] < 0:
        return []
    if v["kappa"] >= _roughest(v["functional"]["shape"], v["hi"] - v["lo"]):
        return ["kappa is above the TV of every image with these values, so that roughness is not limited at all"]
    if "member" not in verdict.arrays:
        return []
    own = _variation(verdict.arrays["member"])
    if own > 0 and v["kappa"] > LOOSE * own:
        times = at_most(v["kappa"] / own, 3)
        return [f"kappa is {times} times the TV of its member, so that roughness hardly limits anything"]
    return []


def _roughest(shape: list[int], room: float) -> float:
    """The largest TV of all images ``[rows, columns]`` whose values lie within ``room``: a chessboard has it."""
    rows, columns = shape
    return room * (math.sqrt(2) * (rows - 1) * (columns - 1) + rows - 1 + columns - 1)


def _variation(u: Array) -> float:
    steps = np.zeros((2, *u.shape))
    steps[0, :-1], steps[1, :, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    return float(np.sqrt(np.square(steps).sum(0)).sum())


def _by_limits(v: Json, c: Array, p: Array) -> float:
    """Below ``<c, u>`` for all images in the box with ``TV(u) <= kappa``, whatever the data (docs/guarantees.md)."""
    s = c.astype(np.float64)
    for axis in range(2):
        along, q = np.moveaxis(s, axis, 0), np.moveaxis(p[axis], axis, 0)
        along[1:] += q[:-1]
        along[:-1] -= q[:-1]
    steepest = float(np.sqrt(np.square(p).sum(0).max()))
    return float(np.minimum(v["lo"] * s, v["hi"] * s).sum() - v["kappa"] * steepest)
