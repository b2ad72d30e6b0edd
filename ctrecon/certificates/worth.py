"""What a true statement is worth: delta beside the data, and the cases in which it says nothing or little.

A certificate that the checker finds valid may still speak of nothing: of a delta that the image 0 meets, of weights
that see no data, of a functional that is 0. Nothing of this is refused, since it is true; here it is found and said.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ctrecon.certificates.by_limits import hardly_limited, without_data
from ctrecon.certificates.parts import Certificate
from ctrecon.certificates.rays import FEW_VIEWS, counting_rays, different_rays, seen_by_few
from ctrecon.certificates.rows import rank, unseen_columns
from ctrecon.certificates.unmeasured import said_of
from ctrecon.certificates.verify import Json, Verdict, apply, blocks, residual
from ctrecon.certificates.without_structure import SOME_VIEWS, of_one_value, some_views
from ctrecon.errors import GeometryError
from ctrecon.geometry.as_json import geometry_from_dict, grid_from_dict
from ctrecon.support.arrays import Array, BoolArray, Float64Array

# Real data leave a residual of 1e-3 of their norm and more; float32 arithmetic alone leaves 1e-6.
EXACT = 1e-5
NOTHING = "true, but it says nothing"
"""How a statement that is worth nothing is said to be so."""

# A larger share of pixels that hardly a view sees leaves most of the image open.
MOST_PIXELS = 0.5
_FITTED = (
    "the data are this image's own projection but for rounding: computed from it, or fitted with all their noise"
)

# Fewer of the values than this share carry the weight: then most rays may miss the image by anything.
FEW = 0.02
# Fewer values than this share of the pixels: they leave more than so much of the image's dimensions open.
FEW_FOR_PIXELS = 0.05


@dataclass(frozen=True, kw_only=True)
class Worth:
    """``share``: delta over the norm of the data, as the certificate weighs them (inf where that is 0).

    ``counted``: as many values of equal weight are worth what the ``values`` are as weighted, ``(sum w)^2 / sum w^2``.
    ``pixels``: of the image that they are of. ``rays``: how many different rays through it the values are of; None
    where the operator has none.
    ``nothing`` and ``little``: why the statement says nothing, or little, one clause each.
    """

    share: float
    counted: float
    values: int
    pixels: int
    rays: int | None = None
    nothing: tuple[str, ...] = ()
    little: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """Why the statement says nothing, or little, as one clause; "" where it says as much as it seems to."""
        if self.nothing:
            return f"{NOTHING}: {'; '.join(self.nothing)}"
        return f"it says little: {'; '.join(self.little)}" if self.little else ""


def worth_of(certificate: Certificate) -> Worth:
    """What the statement of a certificate that was just made is worth, from its own files in memory.

    Args:
        certificate: As it was made, with its files.

    Returns:
        As ``worth`` finds it.
    """
    v = certificate.values
    parts = {name: raw for name, raw in certificate.files.items() if name in v or name == "matrix"}
    arrays = {name: np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False) for name, raw in parts.items()}
    return worth(Verdict(True, v["kind"], certificate.statement, claims=dict(v), arrays=arrays))


def worth(verdict: Verdict) -> Worth:
    """What the statement of a valid certificate is worth.

    Args:
        verdict: The checker's, valid, with the certificate's entries and arrays.

    Returns:
        Delta as a share of the data, how many values count, and why the statement is worth nothing or little.

    Raises:
        ValueError: For a certificate that does not hold.
    """
    if not verdict.valid:
        raise ValueError("a certificate that does not hold is worth nothing; see its reason")
    verdict, strange = _of_a_scanner(verdict)
    v = verdict.claims
    f = verdict.arrays["data"].ravel().astype(np.float64)
    weights = verdict.arrays.get("weights")
    w = np.ones(f.size) if weights is None else weights.ravel().astype(np.float64)
    size = float(np.abs(f).max()) if v["norm"] == "max" else _length(np.sqrt(w) * f)
    nothing: list[str] = []
    little: list[str] = list(strange)
    counted = _counted(w)
    holds_zero = v.get("lo", 0.0) <= 0 <= v.get("hi", 0.0)
    if size <= v["delta"]:
        (nothing if holds_zero else little).append("the image 0 meets delta as well")
    elif 2 * v["delta"] > size and verdict.kind != "infeasible":
        little.append("delta is more than half of the norm of the data")
    elif verdict.kind != "infeasible" and v["norm"] != "max" and (few := _all_but_few(w, f, 2 * v["delta"])):
        values = np.count_nonzero(w)
        little.append(f"without {few} of its {values} values delta is more than half of the norm of the data")
    if counted < FEW * f.size:
        little.append(f"its weights make {f.size} values worth {counted:.3g} of equal weight")
    rays = different_rays(v["operator"], verdict.arrays.get("matrix"), counting_rays(verdict))
    find: dict[str, Callable[[Verdict, float], _Found]]
    find = {"feasible": partial(_feasible, rays=rays), "infeasible": _infeasible, "interval": _interval}
    more_nothing, more_little = find[str(verdict.kind)](verdict, size)
    return Worth(
        share=v["delta"] / size if size > 0 else math.inf,
        counted=counted,
        values=f.size,
        pixels=_pixels(v),
        rays=rays,
        nothing=(*nothing, *more_nothing),
        little=(*little, *more_little),
    )


def _of_a_scanner(verdict: Verdict) -> tuple[Verdict, list[str]]:
    """The verdict as it is; or, where the checker can follow its rays and no scanner has them, without its geometry."""
    v = verdict.claims
    if "geometry" in v["operator"]:
        try:
            geometry_from_dict(v["operator"]["geometry"])
            grid_from_dict(v["operator"]["grid"])
        except GeometryError as why:
            operator = {"projector": v["operator"]["projector"]}
            return verdict._replace(claims={**v, "operator": operator}), [f"no scanner has its geometry: {why}"]
    return verdict, []


def _pixels(v: Json) -> int:
    part = {"feasible": "image", "interval": "functional"}.get(str(v["kind"]))
    return math.prod(v["image_shape"] if part is None else v[part]["shape"])


_Found = tuple[list[str], list[str]]


def _feasible(verdict: Verdict, size: float, rays: int | None) -> _Found:
    v = verdict.claims
    pooled = "factor" in v["operator"]  # an enlarged image is made to give back its data
    if pooled:
        return [], []
    little = [_FITTED] if v["residual"] < EXACT * size else []
    if size > v["delta"] and of_one_value(verdict):
        little.append("an image of a single value meets delta as well")
    counts = counting_rays(verdict)
    weights = verdict.arrays.get("weights")
    values = verdict.arrays["data"].size if weights is None else int(np.count_nonzero(weights))
    what = "values are" if rays is None or values <= rays else "different rays are"
    values = values if rays is None else min(values, rays)
    pixels = verdict.arrays["image"].size
    if values < FEW_FOR_PIXELS * pixels:
        little.append(f"{values} {what} little for {pixels} pixels: most of the image is left open")
    unseen = seen_by_few(v["operator"], counts)
    if unseen > MOST_PIXELS:
        little.append(f"{100 * unseen:.0f}% of the pixels are seen by fewer than {FEW_VIEWS:.0%} of the views")
    if "matrix" in verdict.arrays:
        little += _of_rows(verdict.arrays["matrix"], (counts.size, pixels), counts)
    return [], little + said_of(v["operator"], np.asarray(counts.reshape(len(counts), -1).any(axis=1)))


def _of_rows(entries: Array, shape: tuple[int, int], counts: BoolArray) -> list[str]:
    unseen, found = unseen_columns(entries, shape[1], counts), rank(entries, shape, counts)
    little = [f"{100 * unseen:.0f}% of the pixels are in no row"] if unseen > MOST_PIXELS else []
    if found is not None and found < FEW_FOR_PIXELS * shape[1]:
        little.append(f"its rows are sums of {found}, for {shape[1]} pixels: most of the image is left open")
    return little


def _all_but_few(w: Float64Array, f: Float64Array, most: float) -> int:
    """The fewest values without which the norm is at most so much; 0 where they are none, or more than a few."""
    with np.errstate(over="ignore", under="ignore"):
        power = np.cumsum(np.sort((w * f * f)[w > 0]))
        left = power.size - int(np.searchsorted(power, most * most, side="right"))
    return left if left <= FEW * power.size else 0


def _infeasible(verdict: Verdict, size: float) -> _Found:
    little = _of_the_box(verdict)
    if verdict.claims["delta"] < EXACT * size:
        little.append("delta is no more than the rounding of data, which any noise exceeds")
    y = verdict.arrays["dual"].ravel()
    held = _counted(np.square(y.astype(np.float64) / np.abs(y).max()))
    if held < FEW * y.size:
        little.append(f"its proof rests on {held:.3g} of {y.size} values")
    return [], little


def _interval(verdict: Verdict, size: float) -> _Found:
    v, arrays = verdict.claims, verdict.arrays
    c, lo, hi = arrays["functional"], v["lo"], v["hi"]
    nothing: list[str] = []
    little = _of_the_box(verdict)
    least, most = float(np.minimum(lo * c, hi * c).sum()), float(np.maximum(lo * c, hi * c).sum())
    room = 1e-9 * float(np.abs(c).sum()) * max(abs(lo), abs(hi))
    if not c.any():
        nothing.append("what is measured is 0 in every image, whatever the data")
    elif v["lower"] <= least + room and most - room <= v["upper"]:
        nothing.append("the limits on the values alone give this range")
    elif not (arrays["lower_y"].any() or arrays["upper_y"].any()):
        nothing.append("the proof uses no value of the data")
    elif without_data(verdict):
        nothing.append("the limits on values and roughness alone give this range")
    elif lo < hi and _without_structure(v, float(c.sum()), room):
        little.append("images of a single value have this sign already, so that it is no contrast")
    if lo < hi and v["kappa"] < 1e-6 * (hi - lo):
        little.append("kappa leaves room for images of a single value only")
    little += hardly_limited(verdict)
    little += _unseen(verdict)
    if v["delta"] < EXACT * size:
        little.append("delta is no more than the rounding of data, which any noise exceeds")
    known = "geometry" in v["operator"] or "matrix" in arrays
    if "member" in arrays and known and _computed_from(verdict, arrays["member"]):
        little.append(_FITTED.replace("this image", "its member"))
    if "member" not in arrays:
        little.append("that any image is within delta, kappa and these values is not shown")
    return nothing, little


def _without_structure(v: Json, total: float, room: float) -> bool:
    """Whether all images of one value show one sign, or one of them as much as the end of a decided range near 0."""
    sign = 1.0 if v["lower"] > 0 else -1.0
    ends = sorted((sign * v["lo"] * total, sign * v["hi"] * total))
    near = v["lower"] if v["lower"] > 0 else -v["upper"]
    return bool(ends[0] > room or ends[1] < -room or (0 < near <= ends[1] and ends[1] > room))


def _computed_from(verdict: Verdict, image: Array) -> bool:
    """Whether the data are the projection of ``image`` but for rounding, by a few of the views."""
    operator, matrix, data, w = some_views(verdict, SOME_VIEWS)
    size = _length((1.0 if w is None else np.sqrt(w.astype(np.float64))) * data.astype(np.float64))
    return residual(apply(operator, image, matrix), data, w, "2-norm")[0] < EXACT * size


def _unseen(verdict: Verdict) -> list[str]:
    """Whether no ray that counts passes through what is measured: then smoothness and box decide, not the data."""
    c, weights = verdict.arrays["functional"], verdict.arrays.get("weights")
    if "grid" not in verdict.claims["operator"]:
        return []
    counts = np.ones(verdict.arrays["data"].size) if weights is None else (weights > 0).ravel().astype(np.float64)
    padded = tuple(side + 3 for side in c.shape)
    length = np.zeros(math.prod(padded))
    for at, rows, _, _ in blocks(verdict.claims["operator"], None):
        length += rows.T @ counts[at]
    seen = length.reshape(padded)[1:-2, 1:-2] > 0
    parts = (("the region", c > 0), ("the surroundings", c < 0))
    return [f"no ray passes through {name}" for name, part in parts if part.any() and not (seen & part).any()]


def _of_the_box(verdict: Verdict) -> list[str]:
    v = verdict.claims
    lo, hi = v["lo"], v["hi"]
    if lo == hi:
        return ["its limits on the values leave one image"]
    found = [] if lo <= 0 <= hi else ["its limits on the values leave out 0, which is air"]
    grid: dict[str, Any] | None = v["operator"].get("grid")
    if grid is not None:
        built = grid_from_dict(grid)
        longest = math.hypot(*built.size_mm, (built.slices or 0) * (built.slice_mm or 0.0))
        most = float(verdict.arrays["data"].flat[int(np.abs(verdict.arrays["data"]).argmax())])
        if 2 * (max(hi, 0.0) if most > 0 else max(-lo, 0.0)) * longest < abs(most):
            found.append("within its limits on the values no ray reaches half of the largest value of the data")
    return found


def _counted(w: Float64Array) -> float:
    most = float(w.max())
    if most == 0:
        return 0.0
    share = w / most  # so that squares neither overflow nor vanish
    return float(share.sum() ** 2 / np.square(share).sum())


def _length(values: Float64Array) -> float:
    most = float(np.abs(values).max())
    return most * float(np.linalg.norm(values / most)) if most > 0 else 0.0
