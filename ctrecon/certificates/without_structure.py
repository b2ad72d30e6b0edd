"""Whether an image of a single value explains the data as well: then delta leaves every structure of an image open."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from ctrecon.certificates.parts import geometry_claim
from ctrecon.certificates.verify import Verdict, apply, sparse
from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.support.arrays import Array

SOME_VIEWS = 8
"""Of these a few per cent of all data are known; they settle nearly every question of what cannot explain them."""
_MORE_VIEWS = 64


def of_one_value(verdict: Verdict) -> bool:
    """Whether the best image of one value meets delta, but for rounding.

    What it leaves of some views is no more than what it leaves of all, so that mostly a few are looked at.

    Args:
        verdict: Of a valid feasible certificate.

    Returns:
        Whether it does; False where nothing is known of the operator.
    """
    v = verdict.claims
    if "grid" not in v["operator"] and "matrix" not in verdict.arrays:
        return False
    counts = [len(verdict.arrays["data"])]
    if "grid" in v["operator"]:
        counts = [*(count for count in (SOME_VIEWS, _MORE_VIEWS) if count < counts[0]), *counts]
    return all(_left(verdict, count) <= v["delta"] for count in counts)


def _left(verdict: Verdict, count: int) -> float:
    """The misfit of the image of one value that fits ``count`` of the views best."""
    operator, matrix, data, weights = some_views(verdict, count)
    flat = apply(operator, np.ones(verdict.claims["image"]["shape"]), matrix)[0]
    root = 1.0 if weights is None else np.sqrt(weights.ravel().astype(np.float64))
    scale = float(np.max(np.abs(root * data.ravel()), initial=0.0)) or 1.0  # so that squares do not overflow
    flat, f = root * flat, root * data.ravel().astype(np.float64) / scale
    most = float(np.abs(flat).max()) or 1.0
    flat = flat / most
    left = f - flat * (float(flat @ f) / max(float(flat @ flat), 1e-300))
    if verdict.claims["norm"] == "max":
        return scale * float(np.abs(left).max())
    return scale * float(np.linalg.norm(left))


def some_views(
    verdict: Verdict, count: int
) -> tuple[dict[str, Any], scipy.sparse.csr_matrix | None, Array, Array | None]:
    """Operator, matrix, data and weights of so many of the views, evenly spread; of a matrix all rows.

    Args:
        verdict: Of a valid certificate of a geometry or a matrix.
        count: How many, or as many as there are.

    Returns:
        As the checker takes them.
    """
    operator, data, weights = verdict.claims["operator"], verdict.arrays["data"], verdict.arrays.get("weights")
    if "grid" not in operator:
        return operator, sparse(verdict.arrays["matrix"], operator["shape"]), data, weights
    if count >= len(data):
        return operator, None, data, weights
    some = np.unique(np.linspace(0, len(data) - 1, count).round().astype(int))
    geometry, _ = geometry_from_dict(operator["geometry"])
    operator = {**operator, "geometry": geometry_claim(geometry.views(some.tolist()))}
    return operator, None, data[some], None if weights is None else weights[some]
