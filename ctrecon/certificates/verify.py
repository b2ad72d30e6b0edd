"""Checks ctrecon's certificates with numpy, scipy and the standard library alone.

This file stands by itself: copy it out, read it, run ``python verify.py recon.certificate.json``. It builds the
operator anew from the certificate and trusts nothing that the reconstruction computed. One line per certificate;
exit code 0 valid, 1 refused, 2 unreadable. The formats and the proofs of the bounds: ``docs/guarantees.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]
Json = dict[str, Any]
Parts = Iterator[tuple[Any, Array, Array]]  # which entries of A u, their values, a bound on the error of each
Rows = tuple[Any, Any, Array, Array]  # which rows of A; a matrix M of them; bounds on sum |A_ij - M_ij|, sum |M_ij|

FORMAT = "ctrecon-certificate/1"
FILES = {"": ".certificate.json", "image": ".npy", "data": ".data.npy", "weights": ".weights.npy",
         "matrix": ".matrix.npz", "dual": ".dual.npy", "functional": ".functional.npy", "lower_y": ".lower-y.npy",
         "upper_y": ".upper-y.npy", "lower_p": ".lower-p.npy", "upper_p": ".upper-p.npy"}  # fmt: skip
MODEL = "Nor does it say that the data, the geometry, the weights or delta are right, or who wrote this file."
LIMITS = {
    "feasible": "This bounds the misfit between image and data, nothing else. What the operator maps to (nearly) zero "
    f"is not seen by the data: images that differ from this one by such a part fit as well. {MODEL}",
    "infeasible": "This speaks of images on this pixel grid and within this box, nothing else. It does not say why "
    f"they cannot explain the data. {MODEL}",
    "interval": "This speaks of images within delta, kappa and the box. That the object is one of them is assumed, not "
    f"proved: what is rougher than kappa may lie outside of the range. {MODEL}",
}
STATEMENTS = {
    "feasible": "{norm} <= {delta!r} (proved: <= {residual_upper_bound!r}) for the image u and {rest}",
    "infeasible": "{norm} > {delta!r} (proved: >= {lower_bound!r}) for all images {lo!r} <= u <= {hi!r} and {rest}",
    "interval": "{lower!r} <= <c, u> <= {upper!r} for all images {lo!r} <= u <= {hi!r} with {norm} <= {delta!r} and "
    "TV(u) <= {kappa!r} (assumed of the object, not proved), c the stored functional and {rest}",
}
NORMS = {"2-norm": "||A u - f||", "whitened": "||W^(1/2) (A u - f)||", "max": "max |A u - f|"}
MAX_BYTES, MAX_VALUES, MAX_WORK = 1 << 23, 1 << 27, 1 << 35  # of a certificate; of an array; rays x image lines
CROSSINGS = 1 << 16  # of rays and image lines held at a time
U = 2.0**-53  # relative error of one operation in float64
TIE = 1e-9  # a ray at 45 degrees marches by rows

# What may stand where: a dict's exact keys, a list's items, a set's members, a range (whole numbers if its ends are).
LENGTH, COUNT, BOUND, NUMBER = (1e-9, 1e9), (1, MAX_VALUES), (0.0, 1e150), (-1e150, 1e150)
FLOATS = {"sha256": str, "shape": [COUNT], "dtype": {"<f4", "<f8"}}
DOUBLES = {**FLOATS, "dtype": {"<f8"}}
PARALLEL = {"geometry": {"parallel"}, "angles_rad": [(-1e6, 1e6)], "detector_count": (1, 1 << 16),
            "detector_spacing_mm": LENGTH, "detector_offset_mm": (-1e9, 1e9)}  # fmt: skip
FAN = {**PARALLEL, "geometry": {"fan"}, "source_to_axis_mm": LENGTH, "source_to_detector_mm": LENGTH}
ARC = {**FAN, "geometry": {"arc-fan"}, "source_angle_shift_rad": [(-1e6, 1e6)], "source_radius_shift_mm": [(-1e9, 1e9)]}
GEOMETRIES = {"parallel": PARALLEL, "fan": FAN, "arc-fan": ARC}
GRID = {"rows": (1, 1 << 14), "columns": (1, 1 << 14), "pixel_mm": LENGTH}
MATRIX = {"sha256": str, "shape": [COUNT], "entries": COUNT}
COMMON = {"format": {FORMAT}, "statement": str, "norm": {"2-norm", "whitened"}, "delta": BOUND, "operator": dict,
          "data": FLOATS, "weights": object, "source": object, "made_with": dict, "certificate_sha256": str}
BOX = {**COMMON, "lo": NUMBER, "hi": NUMBER}
KINDS = {
    "feasible": {**COMMON, "norm": set(NORMS), "residual": BOUND, "residual_upper_bound": BOUND,
                 "image": {**FLOATS, "unit": object, "pixel_mm": object}},
    "infeasible": {**BOX, "lower_bound": BOUND, "image_shape": [COUNT], "dual": DOUBLES},
    "interval": {**BOX, "kappa": BOUND, "region": str, "lower": NUMBER, "upper": NUMBER, "functional": DOUBLES,
                 "lower_y": DOUBLES, "upper_y": DOUBLES, "lower_p": DOUBLES, "upper_p": DOUBLES},
}  # fmt: skip


class Refused(Exception):  # noqa: N818 - a finding, not an error
    """Why a certificate does not hold, in one line."""


@dataclass(frozen=True)
class Verdict:
    """What was found. The checker's own sentence and the numbers that it proved are empty unless ``valid``."""

    valid: bool
    kind: str | None = None
    statement: str = ""
    reason: str = ""
    proved: dict[str, float] = field(default_factory=dict)
    readable: bool = True


@dataclass(frozen=True)
class Problem:
    """What the bounds speak of: the operator as the certificate has it, data, weights, the box ``lo <= u <= hi``."""

    operator: Json
    matrix: scipy.sparse.csr_matrix | None
    data: Array
    weights: Array | None
    lo: float
    hi: float


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


def fits(value: Any, pattern: Any, where: str) -> None:
    """Raise Refused unless ``value`` is of the ``pattern``."""
    if isinstance(pattern, dict):
        require(isinstance(value, dict) and set(value) == set(pattern), f"{where} must hold {', '.join(pattern)}")
        for name, inner in pattern.items():
            fits(value[name], inner, name)
    elif isinstance(pattern, list):
        require(isinstance(value, list) and len(value) > 0, f"{where} must be a list")
        for item in value:
            fits(item, pattern[0], where)
    elif isinstance(pattern, set):
        require(isinstance(value, str) and value in pattern, f"{where} must be {' or '.join(sorted(pattern))}")
    elif isinstance(pattern, tuple):
        sort: Any = int if isinstance(pattern[0], int) else int | float
        good = isinstance(value, sort) and not isinstance(value, bool) and pattern[0] <= value <= pattern[1]
        require(good, f"{where} must be a {'whole ' * (sort is int)}number from {pattern[0]:g} to {pattern[1]:g}")
    else:
        require(isinstance(value, pattern), f"{where} must be a {pattern.__name__}")


def encode(certificate: Json) -> bytes:
    """The one encoding of a certificate. Its own hash is taken with 64 zeros in the hash's place."""
    text = json.dumps({**certificate, "certificate_sha256": "0" * 64}, sort_keys=True, indent=1, allow_nan=False) + "\n"
    return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1).encode()


def parse_certificate(raw: bytes) -> Json:
    """The certificate, if ``raw`` is exactly its encoding: no other byte string means the same."""
    try:
        certificate: Json = json.loads(raw)
        require(encode(certificate) == raw, "the certificate's bytes do not match its hash or encoding: it was changed")
        return certificate
    except (ValueError, TypeError, RecursionError):
        raise Refused("the certificate is not a JSON object as ctrecon writes it") from None


def read(path: Path, most: int, sha256: str | None = None) -> bytes:
    """The bytes of a regular file, its size known before. Raises OSError; Refused if too large or of another hash."""
    if not path.is_file():
        raise OSError(f"there is no regular file {path.name}")
    size = path.stat().st_size
    require(size <= most, f"{path.name} has {size} bytes, at most {most} belong there")
    with path.open("rb") as stream:
        raw = stream.read(size)  # room for as much as there is, not for as much as was claimed
    require(sha256 in (None, hashlib.sha256(raw).hexdigest()), f"{path.name} is not the file that was certified")
    return raw


def parse_npy(raw: bytes, name: str) -> Array:
    """An .npy file of version 1.0, little-endian, rows first, without a byte too few or too many."""
    start = 10 + int.from_bytes(raw[8:10], "little")
    form = rb"\{'descr': '(<[fi][48])', 'fortran_order': False, 'shape': \((\d{1,10}(?:, \d{1,10}){0,3}),?\), \} *\n"
    header = re.fullmatch(form, raw[10:start])
    if raw[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise Refused(f"{name} is not a plain .npy file")
    dtype, shape = np.dtype(header[1].decode()), tuple(int(side) for side in header[2].split(b","))
    require(0 < math.prod(shape) * dtype.itemsize == len(raw) - start, f"{name} is not as long as its header says")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def parse_matrix(raw: bytes) -> scipy.sparse.csr_matrix:
    """Compressed rows from an uncompressed .npz of indptr, indices, data and shape."""
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        entries = archive.infolist()
        plain = sorted(e.filename for e in entries) == ["data.npy", "indices.npy", "indptr.npy", "shape.npy"]
        require(plain and all(e.compress_type == 0 for e in entries), "the matrix file is not four plain arrays")
        part = {entry.filename[:-4]: parse_npy(archive.read(entry), entry.filename) for entry in entries}
    integral = all(part[name].dtype.kind == "i" and part[name].ndim == 1 for name in ("indptr", "indices", "shape"))
    require(integral and part["data"].dtype.kind == "f", "the matrix arrays have the wrong types")
    values = part["data"].astype(np.float64)
    require(bool(np.isfinite(values).all()), "the matrix holds values that are not finite")
    matrix = scipy.sparse.csr_matrix((values, part["indices"], part["indptr"]), shape=part["shape"].tolist())
    matrix.check_format(full_check=True)
    require(matrix.nnz == values.size, "the matrix holds values outside its rows")
    return matrix


def gamma(n: int) -> float:
    return n * U / (1 - n * U)


def rays(geometry: Json, view: int) -> tuple[tuple[Array, ...], float]:
    """A point on each ray of a view and its direction, ``px, py, dx, dy [cells]``; how far each may be off."""
    t, cells, spacing = geometry["angles_rad"][view], geometry["detector_count"], geometry["detector_spacing_mm"]
    s = (np.arange(cells) - (cells - 1) / 2) * spacing + geometry["detector_offset_mm"]
    cos, sin, size = math.cos(t), math.sin(t), cells * spacing + abs(geometry["detector_offset_mm"])
    found: tuple[Any, Any, Any, Any] = s * cos, s * sin, size * sin, -size * cos
    if geometry["geometry"] != "parallel":
        near, far = geometry["source_to_axis_mm"], geometry["source_to_detector_mm"]
        ahead, across, size = far, s, size + near + far
        if geometry["geometry"] == "arc-fan":
            ahead, across = (far * np.vectorize(f, [np.float64])(s / far) for f in (math.cos, math.sin))
        found = near * sin, -near * cos, across * cos - ahead * sin, across * sin + ahead * cos
    if geometry["geometry"] == "arc-fan":  # the focal spot stands elsewhere, the cells do not
        turned, radius = t + geometry["source_angle_shift_rad"][view], near + geometry["source_radius_shift_mm"][view]
        px, py = radius * math.sin(turned), -radius * math.cos(turned)
        found = px, py, found[0] + found[2] - px, found[1] + found[3] - py
        size = 4 * (size + abs(radius)) * (1 + abs(turned))
    return np.broadcast_arrays(*found), 16 * U * size


def joseph(geometry: Json, grid: Json) -> Iterator[Rows]:
    """Joseph's projector, some rays of a view at a time, for images padded by one pixel before and two after."""
    sides, h, cells = (grid["rows"], grid["columns"]), grid["pixel_mm"], geometry["detector_count"]
    for view in range(len(geometry["angles_rad"])):
        ray, off = rays(geometry, view)
        tie = abs(ray[3]) - abs(ray[2]) * (1 - TIE)
        for by_row in (False, True):
            lines, across = sides if by_row else sides[::-1]
            step, stride = (sides[1] + 3, 1) if by_row else (1, sides[1] + 3)  # from line to line, along a line
            chosen, line = np.flatnonzero((tie >= 0) == by_row), np.arange(lines, dtype=np.int32)
            for at in np.array_split(chosen, len(chosen) * lines // CROSSINGS + 1):
                x, y, a, b = (part[at] for part in ray)
                m = a / b if by_row else b / a
                start = (x - y * m if by_row else x * m - y) / h + (across + 1) / 2 + m * (lines - 1) / 2
                length = h * np.sqrt(1 + m * m)
                # How far the slope, the crossings, the length and all of a row may be off.
                r = 2.01 * off / (np.maximum(abs(a), abs(b)) - off) + 2 * U
                q = (4 * off + (abs(x) + abs(y)) * (1.1 * r + 8 * U)) / h + 2 * (sum(sides) + 2) * (r + 4 * U)
                longer = h * (1.1 * r + 8 * U)
                errors = lines * ((length + longer) * (2 * q + 8 * U) + longer) * (1 + 1e-9)
                # Where rounding cannot tell rows from columns, nothing is known.
                errors = np.where(abs(tie[at]) > 3 * off, errors, np.inf)
                z = start[:, None] - m[:, None] * line
                z = np.fmin(np.fmax(z, 0), across + 1)  # of NaN, too
                k = z.astype(np.int32)
                values, columns = np.empty((*z.shape, 2)), np.empty((*z.shape, 2), dtype=np.int32)
                values[..., 1] = length[:, None] * (z - k)
                values[..., 0] = length[:, None] - values[..., 1]
                columns[..., 0] = k * stride + (line + 1) * step
                columns[..., 1] = columns[..., 0] + stride
                parts = values.ravel(), columns.ravel(), 2 * lines * np.arange(len(at) + 1, dtype=np.int32)
                rows = scipy.sparse.csr_matrix(parts, shape=(len(at), (sides[0] + 3) * (sides[1] + 3)))
                yield at + view * cells, rows, errors, lines * length * (1 + 1e-9)


def blocks(operator: Json, matrix: scipy.sparse.csr_matrix | None) -> Iterator[Rows]:
    """All rows of the operator, in blocks."""
    if matrix is None:
        return joseph(operator["geometry"], operator["grid"])
    # Built from its parts: abs() of a matrix would first sort it in place, and its arrays are those of the file.
    size = scipy.sparse.csr_matrix((abs(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    lengths = size @ np.ones(matrix.shape[1]) * (1 + 1e-6)
    return iter([(slice(None), matrix, np.zeros(len(lengths)), lengths)])


def apply(operator: Json, image: Array, matrix: scipy.sparse.csr_matrix | None) -> Parts:
    """``A u`` for an operator that ``check_operator`` accepts."""
    if "factor" in operator:  # means over squares of pixels, each channel by itself
        k, columns = operator["factor"], image.shape[1] // operator["factor"]
        squares = image.reshape(-1, k, columns, k, *image.shape[2:])
        means, most = (part.mean(axis=(1, 3), dtype=np.float64).ravel() for part in (squares, abs(squares)))
        yield slice(None), means, gamma(2 * k**2 + 2) * most
        return
    u = (np.pad(image, (1, 2)) if matrix is None else image).ravel().astype(np.float64)
    for at, rows, errors, lengths in blocks(operator, matrix):
        rounding = gamma(int(np.diff(rows.indptr).max(initial=0)) + 2)
        yield at, rows @ u, (errors + rounding * lengths) * abs(u).max()


def residual(parts: Parts, data: Array, weights: Array | None, norm: str = "2-norm") -> tuple[float, float]:
    """The norm of ``A u - f`` as float64 computes it, and an upper bound on its true value."""
    f, w = data.ravel(), None if weights is None else weights.ravel()
    both = np.zeros(2)  # the residual and its error; squared but for "max"
    with np.errstate(all="ignore"):  # what overflows ends as inf or NaN, which no bound accepts
        for at, values, errors in parts:
            r = values - f[at].astype(np.float64)
            e = (errors + U * abs(r)) * (1 + 1e-9)
            if norm == "max":
                both = np.maximum(both, [abs(r).max(initial=0), e.max(initial=0)])  # unlike max(), keeps NaN
            else:
                weight = 1.0 if w is None else w[at].astype(np.float64)
                both += [np.dot(weight * r, r), np.dot(weight * e, e)]
    found, error = (both if norm == "max" else np.sqrt(both)).tolist()
    return found, (found + error) * (1 + gamma(f.size + 8)) + 1e-140


def lower_end(problem: Problem, delta: float, kappa: float, c: Array, y: Array, p: Array) -> tuple[float, float]:
    """Below ``<c, u>`` for all images in the box within ``delta`` and ``kappa``: as computed, and as proved.

    The minimum of ``<c + D^T p, u> + <y, W^(1/2) (A u - f)>`` over the box less ``delta ||y|| + kappa max |p|``.
    """
    f, t, given = problem.data.ravel().astype(np.float64), c.astype(np.float64), abs(c).sum() + 2 * abs(p).sum()
    v = y.ravel() * (1.0 if problem.weights is None else np.sqrt(problem.weights.ravel().astype(np.float64)))
    for along, q in ((t, p[0]), (t.T, p[1].T)):  # D^T: what comes from the pixel before, less what goes on
        along[1:] += q[:-1]
        along[:-1] -= q[:-1]
    off, s = 0.0, np.zeros([side + 3 for side in c.shape] if problem.matrix is None else c.size).ravel()
    with np.errstate(all="ignore"):  # as above
        for at, rows, errors, lengths in blocks(problem.operator, problem.matrix):
            s += rows.T @ v[at]  # s becomes A^T v, off the sum of the errors of its entries
            terms = len(errors) if problem.matrix is None else int(np.bincount(rows.indices).max())  # of one entry
            off += np.dot(abs(v[at]), errors + gamma(terms + 8) * lengths) + U * abs(s).sum()
        if problem.matrix is None:
            s = s.reshape([side + 3 for side in c.shape])[1:-2, 1:-2]
        s = s.ravel() + t.ravel()
        off += gamma(8) * (given + abs(s).sum())
        found = np.minimum(problem.lo * s, problem.hi * s).sum() - np.dot(v, f)
        off = max(abs(problem.lo), abs(problem.hi)) * (off + gamma(s.size + 8) * abs(s).sum())
        length, steepest = np.sqrt(np.dot(y.ravel(), y.ravel())), np.sqrt((p * p).sum(0).max())
        cost = delta * (length + 1e-140) + kappa * (steepest + 1e-140)
        off += gamma(f.size + 16) * (np.dot(abs(v), abs(f)) + abs(found) + cost)
        return float(found - cost), float(found - cost - off * (1 + 1e-6) - 1e-140)


def misfit(problem: Problem, shape: Sequence[int], y: Array) -> tuple[float, float]:
    """Below the norm of ``A u - f`` for all images of that shape in the box: as computed, and as proved."""
    ends = lower_end(problem, 0.0, 0.0, np.zeros(shape), -y, np.zeros((2, *shape)))
    length = math.sqrt(np.dot(y.ravel(), y.ravel()))
    require(length > 0, "the dual vector is zero")
    return ends[0] / length, ends[1] / (length * (1 + gamma(y.size + 16)) + 1e-140)


def load(claim: Json, path: Path, what: str) -> Array:
    """The array a certificate speaks of: its size is known before it is read, its hash before it is parsed."""
    count = math.prod(claim["shape"])
    require(count <= MAX_VALUES, f"the {what} would have {count} values, more than {MAX_VALUES}")
    array = parse_npy(read(path, count * int(claim["dtype"][2]) + 1024, claim["sha256"]), path.name)
    require([array.dtype.str, *array.shape] == [claim["dtype"], *claim["shape"]], f"{path.name} has another shape")
    require(bool(np.isfinite(array).all()), f"{path.name} holds values that are not finite")
    return array


def check_operator(operator: Json, shape: list[int], measured: list[int]) -> str:
    """Refuse an operator that cannot be or does not fit the shapes of image and data; its name in words."""
    if operator.get("projector") == "matrix":
        fits(operator, {"projector": {"matrix"}, "matrix": MATRIX}, "the operator")
        sides = [math.prod(measured), math.prod(shape)]
        require(operator["matrix"]["shape"] == sides, f"the matrix should have shape {sides}")
        return "the stored matrix"
    if operator.get("projector") == "pooling":
        fits(operator, {"projector": {"pooling"}, "factor": (1, 1 << 14)}, "the operator")
        sides = [operator["factor"] * side for side in measured[:2]] + measured[2:]
        require(len(sides) in (2, 3) and shape == sides, f"the image should have shape {sides}")
        return "the mean over {0} x {0} pixels, which does not see what differs within them".format(operator["factor"])
    kind = str(dict(operator["geometry"])["geometry"])
    fits(operator, {"projector": {"joseph"}, "geometry": GEOMETRIES.get(kind, PARALLEL), "grid": GRID}, "the operator")
    geometry, grid = operator["geometry"], [operator["grid"]["rows"], operator["grid"]["columns"]]
    sides = [len(geometry["angles_rad"]), geometry["detector_count"]]
    lists = [len(value) for value in geometry.values() if isinstance(value, list)]
    fit = sides == measured and set(lists) == {sides[0]}
    require(fit, f"the geometry measures {sides} values, the data have {measured}")
    require(grid == shape, f"the grid has {grid} pixels, the image {shape}")
    require(math.prod(sides) * max(grid) <= MAX_WORK, "the problem is too large to check in reasonable time")
    return f"Joseph's projector of the {kind}-beam geometry stated here"


def statement(v: Json, operator: str, unweighted: int) -> str:
    """What the numbers of the certificate ``v`` say, in words."""
    weights = f", W the stored weights, {unweighted} of them zero" if v["weights"] is not None else ""
    rest = f"the {math.prod(v['data']['shape'])} values of the data f as stored, A {operator}{weights}."
    return STATEMENTS[v["kind"]].format(**{**v, "norm": NORMS[v["norm"]]}, rest=rest)


def prove(v: Json, problem: Problem, arrays: dict[str, Array]) -> dict[str, float]:
    """The numbers that hold, no weaker than those the certificate ``v`` states. Raises Refused."""
    if v["kind"] == "feasible":
        parts = apply(problem.operator, arrays["image"], problem.matrix)
        found, upper = residual(parts, problem.data, problem.weights, v["norm"])
        stated = f"{v['residual']!r} (proved: <= {v['residual_upper_bound']!r}) and delta {v['delta']!r}"
        ordered = upper <= v["residual_upper_bound"] <= v["delta"] and abs(found - v["residual"]) <= 2 * (upper - found)
        require(ordered, f"the residual is {found!r} (proved: <= {upper!r}), which contradicts {stated}")
        return {"delta": v["delta"], "residual_upper_bound": upper}
    if v["kind"] == "infeasible":
        _, bound = misfit(problem, v["image_shape"], arrays["dual"])
        stated = f"{v['lower_bound']!r} and delta {v['delta']!r}"
        require(bound >= v["lower_bound"] > v["delta"], f"what is proved is {bound!r}, which contradicts {stated}")
        return {"delta": v["delta"], "lower_bound": bound}
    limits, c = (v["delta"], v["kappa"]), arrays["functional"]
    lower = lower_end(problem, *limits, c, arrays["lower_y"], arrays["lower_p"])[1]
    upper = -lower_end(problem, *limits, -c, arrays["upper_y"], arrays["upper_p"])[1]
    stated = f"{v['lower']!r} to {v['upper']!r}"
    good = v["lower"] <= lower and upper <= v["upper"] and v["lower"] <= v["upper"]
    require(good, f"what is proved is {lower!r} to {upper!r}, which contradicts {stated}")
    return {"delta": v["delta"], "kappa": v["kappa"], "lower": lower, "upper": upper}


def check_all(v: Json, path: Callable[[str], Path]) -> Verdict:
    """Check all that the certificate ``v`` claims, with the files that ``path`` finds. Raises Refused."""
    kind = str(v.get("kind"))
    require(kind in KINDS, f"the kind must be {' or '.join(KINDS)}")
    fits(v, {**KINDS[kind], "kind": {kind}, "limits": {LIMITS[kind]}}, "the certificate")
    operator, measured = v["operator"], v["data"]["shape"]
    shape = v["image_shape"] if kind == "infeasible" else v["image" if kind == "feasible" else "functional"]["shape"]
    name = check_operator(operator, shape, measured)
    require(kind == "feasible" or (len(shape) == 2 and "factor" not in operator), "there is no such bound here")
    require((v["norm"] == "whitened") == (v["weights"] is not None), "the norm needs other weights")
    unit = ("1/mm", operator["grid"]["pixel_mm"]) if "grid" in operator else (None, None)
    image = v.get("image") if "factor" not in operator else None
    require(image is None or (image["unit"], image["pixel_mm"]) == unit, f"unit and pixel_mm must be {unit}")
    require(v.get("lo", 0) <= v.get("hi", 0), "lo is above hi")
    arrays: dict[str, Array] = {}
    for part in [part for part in FILES if v.get(part) is not None]:
        fits(v[part], KINDS[kind][part] if part != "weights" else FLOATS, part)
        expected = [2, *shape] if part.endswith("_p") else shape if part in ("image", "functional") else measured
        require(v[part]["shape"] == expected, f"{part} should have shape {expected}")
        arrays[part] = load(v[part], path(part), part)
    w, matrix = arrays.get("weights"), None
    require(w is None or bool((w >= 0).all()), "some weights are negative")
    sentence = statement(v, name, 0 if w is None else int(np.sum(w == 0)))
    require(v["statement"] == sentence, "the statement does not say what the numbers say")
    if "matrix" in operator:
        claim = operator["matrix"]
        most = 16 * claim["entries"] + 8 * claim["shape"][0] + 8192
        matrix = parse_matrix(read(path("matrix"), most, claim["sha256"]))
        require([matrix.nnz, *matrix.shape] == [claim["entries"], *claim["shape"]], "the matrix has another shape")
    problem = Problem(operator, matrix, arrays["data"], w, v.get("lo", 0.0), v.get("hi", 0.0))
    return Verdict(True, kind, sentence, "", prove(v, problem, arrays))


def check(path: str | Path, image: str | Path | None = None, data: str | Path | None = None) -> Verdict:
    """Check ``S.certificate.json`` with the files beside it, or with ``image`` and ``data`` where they are given.

    Never raises for what a file holds. ``readable`` is False where a file is missing or cannot be read.
    """
    given, path, kind = {"image": image, "data": data}, Path(path), None

    def beside(name: str) -> Path:
        return Path(given.get(name) or path.with_name(path.name.removesuffix(FILES[""]) + FILES[name]))

    try:
        require(path.name.endswith(FILES[""]), f"{path.name}: a certificate's name ends with {FILES['']}")
        certificate = parse_certificate(read(path, MAX_BYTES))
        kind = str(certificate.get("kind"))
        return check_all(certificate, beside)
    except Exception as why:  # content that trips anything over is no certificate, and must not look like a crash
        text = why if isinstance(why, Refused | OSError) else f"malformed content ({type(why).__name__}: {why})"
        return Verdict(False, kind, reason=one_line(text), readable=not isinstance(why, OSError))


def one_line(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))[:600]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check certificates: exit code 0 valid, 1 refused, 2 unreadable.")
    parser.add_argument("certificate", nargs="+", type=Path, help="S.certificate.json, beside S.npy and S.data.npy")
    worst = 0
    for path in parser.parse_args(arguments).certificate:
        verdict = check(path)
        word, code = ("VALID", 0) if verdict.valid else ("REFUSED", 1) if verdict.readable else ("UNREADABLE", 2)
        print(f"{word} {one_line(path.name)}: {verdict.statement or verdict.reason}")
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
