"""Checks ctrecon's certificates with numpy, scipy and the standard library alone.

Copy it out, read it, run ``python verify.py recon.certificate.json``: it builds the operator anew from the certificate
and trusts nothing that the reconstruction computed. One line per certificate; exit code 0 valid, 1 refused, 2
unreadable. The formats and the proofs of the bounds: ``docs/guarantees.md``.

Longer than any other file here, and on purpose one file: who copies and reads it has all that decides.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]
Json = dict[str, Any]
Rows = tuple[Any, Any, Array, Array]  # which rows of A; a matrix M of them; bounds on sum |A_ij - M_ij|, sum |M_ij|

FORMAT = "ctrecon-certificate/1"
FILES = {"": ".certificate.json", "image": ".npy", "data": ".data.npy", "weights": ".weights.npy",
         "matrix": ".matrix.npy", "dual": ".dual.npy", "functional": ".functional.npy", "lower_y": ".lower-y.npy",
         "upper_y": ".upper-y.npy", "lower_p": ".lower-p.npy", "upper_p": ".upper-p.npy",
         "member": ".member.npy"}  # fmt: skip
MODEL = "Nor does it say that the data, the geometry, the weights or delta are right, or who wrote this file."
LIMITS = {
    "feasible": "This bounds the misfit between image and data, nothing else. What the operator maps to (nearly) zero "
    f"is not seen by the data: images that differ from this one by such a part fit as well. {MODEL}",
    "infeasible": f"This speaks of images on this grid and in this box, and not of why they miss the data. {MODEL}",
    "interval": f"That the object is within delta, kappa and the box is assumed: one outside may differ. {MODEL}",
}
STATEMENTS = {
    "feasible": "{norm} <= {delta!r} (proved: <= {residual_upper_bound!r}) for the image u and {rest}",
    "infeasible": "{norm} > {delta!r} (proved: >= {lower_bound!r}) for all images {lo!r} <= u <= {hi!r} and {rest}",
    "interval": "{lower!r} <= <c, u> <= {upper!r} for all images {lo!r} <= u <= {hi!r} with {norm} <= {delta!r} and "
    "TV(u) <= {kappa!r} (assumed of the object, not proved), c the stored functional and {rest}",
}
NORMS = {"2-norm": "||A u - f||", "whitened": "||W^(1/2) (A u - f)||", "max": "max |A u - f|"}
MAX_BYTES, MAX_VALUES = 1 << 23, 1 << 27  # of a certificate, of an array
MAX_WORK, MAX_MEMORY = 1 << 36, 5 << 29  # steps and bytes that a check may take, times the ``effort`` asked for
CROSSINGS = 1 << 16  # of rays and image lines held at a time
U, TIE = 2.0**-53, 1e-9  # relative error of an operation in float64; a ray at 45 degrees marches by rows

# What may stand where: a dict's exact keys, a list's items (one pattern for all, or one for each), a set's members, a
# range (whole numbers if its ends are).
LENGTH, COUNT, BOUND, NUMBER = (1e-9, 1e9), (1, MAX_VALUES), (0.0, 1e150), (-1e150, 1e150)
FLOATS = {"sha256": str, "shape": [COUNT], "dtype": {"<f4", "<f8"}}
DOUBLES = {**FLOATS, "dtype": {"<f8"}}
PARALLEL = {"geometry": {"parallel"}, "angles_rad": [(-1e6, 1e6)], "detector_count": (1, 1 << 16),
            "detector_spacing_mm": LENGTH, "detector_offset_mm": (-1e9, 1e9)}  # fmt: skip
FAN = {**PARALLEL, "geometry": {"fan"}, "source_to_axis_mm": LENGTH, "source_to_detector_mm": LENGTH}
ARC = {**FAN, "geometry": {"arc-fan"}, "source_angle_shift_rad": [(-1e6, 1e6)], "source_radius_shift_mm": [(-1e9, 1e9)]}
PLACE, UNIT = [(-1e9, 1e9), (-1e9, 1e9)], [(-1.001, 1.001), (-1.001, 1.001)]
VECTORS = {"geometry": {"vectors"}, "parallel": bool, "source": [PLACE], "detector_mm": [PLACE],
           "detector_axis": [UNIT], "detector_count": (1, 1 << 16), "detector_spacing_mm": LENGTH,
           "detector_radius_mm": (0.0, 1e9)}  # fmt: skip
PLACE_3D, UNIT_3D = [(-1e9, 1e9)] * 3, [(-1.001, 1.001)] * 3
SPACE = {**VECTORS, "geometry": {"vectors-in-space"}, "source": [PLACE_3D], "detector_mm": [PLACE_3D],
         "detector_axis": [UNIT_3D], "detector_column_axis": [UNIT_3D], "detector_rows": (1, 1 << 16),
         "detector_row_spacing_mm": LENGTH}  # fmt: skip
GEOMETRIES: dict[str, Json] = {"parallel": PARALLEL, "fan": FAN, "arc-fan": ARC, "vectors": VECTORS,
                               "vectors-in-space": SPACE}  # fmt: skip
GRID = {"rows": (1, 1 << 14), "columns": (1, 1 << 14), "pixel_mm": LENGTH}
PLACED = {**GRID, "pixel_mm": [LENGTH, LENGTH], "centre_mm": PLACE}  # from row to row, from column to column; (x, y)
VOXELS = {**PLACED, "centre_mm": PLACE_3D, "slices": (1, 1 << 14), "slice_mm": LENGTH}
MATRIX = {"projector": {"matrix"}, "shape": [COUNT], "entries": DOUBLES}
POOLING = {"projector": {"pooling"}, "factor": (1, 1 << 14)}
COMMON = {"format": {FORMAT}, "statement": str, "norm": {"2-norm", "whitened"}, "delta": BOUND, "operator": dict,
          "data": FLOATS, "weights": object, "source": object, "made_with": dict, "certificate_sha256": str}
KINDS: dict[str, Json] = {
    "feasible": {**COMMON, "norm": set(NORMS), "residual": BOUND, "residual_upper_bound": BOUND,
                 "image": {**FLOATS, "unit": object, "pixel_mm": object}},
    "infeasible": {**COMMON, "lo": NUMBER, "hi": NUMBER, "lower_bound": BOUND, "image_shape": [COUNT], "dual": DOUBLES},
    "interval": {**COMMON, "lo": NUMBER, "hi": NUMBER, "kappa": BOUND, "region": str, "lower": NUMBER, "upper": NUMBER,
                 "functional": DOUBLES, "lower_y": DOUBLES, "upper_y": DOUBLES, "lower_p": DOUBLES, "upper_p": DOUBLES,
                 "member": DOUBLES},
}  # fmt: skip


class Refused(Exception):  # noqa: N818 - a finding, not an error
    """Why a certificate does not hold, in one line."""


class Verdict(NamedTuple):
    """What was found. The checker's own sentence, the numbers that it proved, and the certificate's entries and arrays
    (all just checked) are empty unless ``valid``.
    """

    valid: bool
    kind: str | None = None
    statement: str = ""
    reason: str = ""
    proved: dict[str, float] = {}  # noqa: RUF012 - of a tuple, and never changed
    readable: bool = True
    claims: Json = {}  # noqa: RUF012
    arrays: dict[str, Array] = {}  # noqa: RUF012
    cause: Exception | None = None


class Problem(NamedTuple):
    """What the bounds speak of: the operator as the certificate has it, data and weights, the box ``lo <= u <= hi``."""

    operator: Json
    matrix: scipy.sparse.csr_matrix | None
    scan: tuple[Array, Array | None]
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
        each = pattern * len(value) if len(pattern) == 1 else pattern
        require(len(each) == len(value), f"{where} must hold {len(each)} numbers")
        for item, inner in zip(value, each, strict=True):
            fits(item, inner, where)
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
    certificate: Json = json.loads(raw)
    require(encode(certificate) == raw, "the certificate's bytes do not match its hash or encoding: it was changed")
    return certificate


def read(path: Path, most: int, sha256: str | None = None) -> bytes:
    """The bytes of a regular file, its size known before. Raises OSError; Refused if too large or of another hash."""
    if not path.is_file():
        raise OSError(f"there is no regular file {path.name}")
    require(path.stat().st_size <= most, f"{path.name} has {path.stat().st_size} bytes, at most {most} belong there")
    raw = path.read_bytes()  # room for as much as there is, not for as much as was claimed
    require(sha256 in (None, hashlib.sha256(raw).hexdigest()), f"{path.name} is not the file that was certified")
    return raw


def sparse(entries: Array, shape: Sequence[int]) -> scipy.sparse.csr_matrix:
    """The matrix of the ``entries [n, 3]``: row, column and value of each, no place twice."""
    places = entries[:, :2].astype(np.int64)
    good = (places == entries[:, :2]) & (places >= 0) & (places < np.array(shape))
    require(bool(good.all()), "the matrix has entries outside of its rows and columns")
    matrix = scipy.sparse.csr_matrix((entries[:, 2], (places[:, 0], places[:, 1])), shape=tuple(shape))
    require(matrix.nnz == len(entries), "the matrix has two entries in one place")
    return matrix


def gamma(n: int) -> float:
    return n * U / (1 - n * U)


def views(geometry: Json) -> int:
    return len(geometry["detector_mm" if geometry["geometry"].startswith("vectors") else "angles_rad"])


def free_rays(geometry: Json, view: int) -> tuple[tuple[Array, ...], float]:
    """``rays`` where source, detector and its axis are stated for each view."""
    (px, py), (cx, cy), (ux, uy) = (geometry[name][view] for name in ("source", "detector_mm", "detector_axis"))
    cells, spacing, radius = (geometry[f"detector_{name}"] for name in ("count", "spacing_mm", "radius_mm"))
    s = (np.arange(cells) - (cells - 1) / 2) * spacing
    size, nx, ny, ahead = cells * spacing + sum(map(abs, (px, py, cx, cy))) + radius, 0.0, 0.0, 0.0 * s
    if radius > 0:  # an arc, bent towards the source
        side = ux * (py - cy) - uy * (px - cx)
        require(abs(side) > 1e-9 * size, "the source stands in its own detector")
        nx, ny = (-uy, ux) if side > 0 else (uy, -ux)
        sine, cosine = (np.vectorize(f, [np.float64])(s / radius) for f in (math.sin, math.cos))
        s, ahead, size = radius * sine, radius * (1 - cosine), 4 * size
    x, y = cx + s * ux + ahead * nx, cy + s * uy + ahead * ny
    found = (x, y, size * px, size * py) if geometry["parallel"] else (px, py, x - px, y - py)
    return tuple(np.broadcast_arrays(*found)), 16 * U * size


def rays(geometry: Json, view: int) -> tuple[tuple[Array, ...], float]:
    """A point on each ray of a view and its direction, ``px, py, dx, dy [cells]``; how far each may be off."""
    if geometry["geometry"] == "vectors":
        return free_rays(geometry, view)
    t, cells, spacing = geometry["angles_rad"][view], geometry["detector_count"], geometry["detector_spacing_mm"]
    s = (np.arange(cells) - (cells - 1) / 2) * spacing + geometry["detector_offset_mm"]
    cos, sin, size = math.cos(t), math.sin(t), cells * spacing + abs(geometry["detector_offset_mm"])
    found: tuple[Any, Any, Any, Any] = s * cos, s * sin, size * sin, -size * cos
    if geometry["geometry"] != "parallel":
        near, far = geometry["source_to_axis_mm"], geometry["source_to_detector_mm"]
        turn = (far * np.vectorize(f, [np.float64])(s / far) for f in (math.cos, math.sin))
        (ahead, across), size = (far, s) if geometry["geometry"] == "fan" else turn, size + near + far
        found = near * sin, -near * cos, across * cos - ahead * sin, across * sin + ahead * cos
    if geometry["geometry"] == "arc-fan":  # the focal spot stands elsewhere, the cells do not
        turned, radius = t + geometry["source_angle_shift_rad"][view], near + geometry["source_radius_shift_mm"][view]
        px, py = radius * math.sin(turned), -radius * math.cos(turned)
        found = px, py, found[0] + found[2] - px, found[1] + found[3] - py
        size = (size + abs(radius)) * (4 + abs(turned) / 8)
    return np.broadcast_arrays(*found), 16 * U * size


def joseph(geometry: Json, grid: Json) -> Iterator[Rows]:
    """Joseph's projector, some rays at a time, for images padded by one pixel before and two after."""
    sides, cells, (cx, cy) = (grid["rows"], grid["columns"]), geometry["detector_count"], grid.get("centre_mm", (0, 0))
    tall, wide = grid["pixel_mm"] if "centre_mm" in grid else [grid["pixel_mm"]] * 2
    together = CROSSINGS // (cells * max(sides)) + 1
    for first in range(0, views(geometry), together):
        found = [rays(geometry, view) for view in range(first, min(first + together, views(geometry)))]
        px, py, *towards = (np.concatenate(part) for part in zip(*(ray for ray, _ in found), strict=True))
        ray, each = (px - cx, py - cy, *towards), np.repeat([off for _, off in found], cells)
        each += 16 * U * (abs(cx) + abs(cy))
        tie = abs(ray[3]) - abs(ray[2]) * (tall / wide) * (1 - TIE)
        for by_row in (False, True):
            lines, across = sides if by_row else sides[::-1]
            h, along = (tall, wide) if by_row else (wide, tall)  # from line to line, and along a line
            flat, steep, slack = max(1.0, along / h), h / along, 4 * U if tall == wide else 8 * U
            step, stride = (sides[1] + 3, 1) if by_row else (1, sides[1] + 3)  # from line to line, along a line
            chosen, line = np.flatnonzero((tie >= 0) == by_row), np.arange(lines, dtype=np.int32)
            for at in np.array_split(chosen, len(chosen) * lines // CROSSINGS + 1):
                x, y, a, b, off = (part[at] for part in (*ray, each))
                m = a / b if by_row else b / a
                slope = m * steep  # in pixels from line to line, at most 1
                start = (x - y * m if by_row else x * m - y) / along + (across + 1) / 2 + slope * (lines - 1) / 2
                length = h * np.sqrt(1 + m * m)
                # How far the slope, the crossings, the length and all of a row may be off.
                marched = np.maximum(abs(a) * steep, abs(b)) if by_row else np.maximum(abs(a), abs(b) * steep)
                r = (2.01 * off / (marched - off) + 2 * U) * flat
                q = (4 * off + (abs(x) + abs(y)) * (1.1 * r + 8 * U)) / along * flat
                q += 2 * (sum(sides) + 2) * (r * steep + slack)
                longer = h * (1.1 * r + 8 * U * flat)
                errors = lines * ((length + longer) * (2 * q + 8 * U) + longer) * (1 + 1e-9)
                # Where rounding cannot tell rows from columns.
                errors[abs(tie[at]) <= 3 * off * max(1.0, tall / wide)] = np.inf
                z = np.fmin(np.fmax(start[:, None] - slope[:, None] * line, 0), across + 1)  # numbers even of NaN
                k = z.astype(np.int32)
                values, columns = np.empty((*z.shape, 2)), np.empty((*z.shape, 2), dtype=np.int32)
                values[..., 0], values[..., 1] = (k + 1 - z) * length[:, None], (z - k) * length[:, None]
                columns[..., 0] = k * stride + (line + 1) * step
                columns[..., 1] = columns[..., 0] + stride
                parts = values.ravel(), columns.ravel(), 2 * lines * np.arange(len(at) + 1, dtype=np.int32)
                rows = scipy.sparse.csr_matrix(parts, shape=(len(at), (sides[0] + 3) * (sides[1] + 3)))
                yield at + first * cells, rows, errors, lines * length * (1 + 1e-9)


def rays_in_space(geometry: Json, view: int) -> tuple[Array, Array, float]:
    """A point on each ray of a view and its direction, ``[cells, 3]``, row by row; how far each may be off."""
    source, middle, u, v = (np.array(geometry[name][view], float)
                            for name in ("source", "detector_mm", "detector_axis", "detector_column_axis"))  # fmt: skip
    rows, columns, radius = geometry["detector_rows"], geometry["detector_count"], geometry["detector_radius_mm"]
    wide, tall = geometry["detector_spacing_mm"], geometry["detector_row_spacing_mm"]
    s, t = (np.arange(columns) - (columns - 1) / 2) * wide, (np.arange(rows) - (rows - 1) / 2) * tall
    size, n, ahead = columns * wide + rows * tall + abs(source).sum() + abs(middle).sum() + radius, 0 * u, 0 * s
    if radius > 0:  # an arc, bent towards the source
        n = np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
        side = float(np.dot(n, source - middle))
        require(abs(side) > 1e-9 * size, "the source stands in its own detector")
        sine, cosine = (np.vectorize(f, [np.float64])(s / radius) for f in (math.sin, math.cos))
        s, ahead, size, n = radius * sine, radius * (1 - cosine), 4 * size, n if side > 0 else -n
    cells = (middle + s[:, None] * u + ahead[:, None] * n)[None] + (t[:, None] * v)[:, None]
    cells = cells.reshape(-1, 3)
    found = (cells, size * source + 0 * cells) if geometry["parallel"] else (source + 0 * cells, cells - source)
    return *found, 32 * U * float(size)


class March(NamedTuple):
    """Rays of a view that cross the planes of one axis; ``sides`` are the two others, ``at`` the numbers of the rays.

    At plane ``m`` a ray is at ``starts[k] + m slopes[k]`` along ``sides[k]``, in voxels of a volume padded as images
    are, and ``length`` mm from the next. ``errors`` and ``lengths`` as of ``Rows``.
    """

    at: Array
    axis: int
    sides: tuple[int, int]
    starts: Array
    slopes: Array
    length: Array
    errors: Array
    lengths: Array


def marches_in_space(geometry: Json, grid: Json, crossings: int = 4 * CROSSINGS) -> Iterator[March]:
    """Where rays cross the planes across their main axis, the one by the most voxels; about ``crossings`` at a time."""
    (dy, dx), counts = grid["pixel_mm"], (grid["columns"], grid["rows"], grid["slices"])
    h, cells = (dx, dy, grid["slice_mm"]), geometry["detector_count"] * geometry["detector_rows"]
    for view in range(views(geometry)):
        points, towards, off = rays_in_space(geometry, view)
        points, off = points - np.array(grid["centre_mm"]), off + 16 * U * sum(map(abs, grid["centre_mm"]))
        steps = abs(towards) / np.array(h)
        by_y = np.minimum(steps[:, 1] - steps[:, 0] * (1 - TIE), steps[:, 1] - steps[:, 2] * (1 - TIE))
        by_x = steps[:, 0] - steps[:, 2] * (1 - TIE)
        main = np.where(by_y >= 0, 1, np.where(by_x >= 0, 0, 2))
        unsure = np.where(main == 1, abs(by_y) * min(h), np.minimum(abs(by_y), abs(by_x)) * min(h)) <= 3 * off
        for axis, sides in enumerate(((1, 2), (0, 2), (0, 1))):
            chosen, planes = np.flatnonzero(main == axis), counts[axis]
            for at in np.array_split(chosen, len(chosen) * planes // crossings + 1) if len(chosen) else []:
                marched, q, longer, square = towards[at, axis], 0.0, 0.0, 1.0
                starts, slopes = np.empty((2, len(at))), np.empty((2, len(at)))
                for k, side in enumerate(sides):
                    # The row index falls with y, the others grow; what may be off follows the same steps.
                    g, m, sign = h[side] / h[axis], towards[at, side] / marched, 1 - 2 * ((axis == 1) != (side == 1))
                    r = 1.01 * off * (1 + g) / (abs(marched) - off) + 4 * U * g
                    slope, p = sign * m / g, abs(points[at])
                    start = (points[at, side] - points[at, axis] * m) / h[side] * (1 - 2 * (side == 1))
                    starts[k], slopes[k] = start + (counts[side] + 1) / 2 - slope * (planes - 1) / 2, slope
                    q = q + (1.01 * off * (1 + g) + (p[:, axis] + planes * h[axis]) * r) / h[side]
                    q = q + 16 * U * ((p[:, side] + p[:, axis] * g) / h[side] + counts[side] + planes + 4)
                    longer, square = longer + 1.1 * h[axis] * r, square + m * m
                length = h[axis] * np.sqrt(square)
                longer = longer + 8 * U * length
                errors = planes * ((length + longer) * (2 * q + 16 * U) + longer) * (1 + 1e-9)
                errors[unsure[at]] = np.inf  # where rounding cannot tell which axis is the main one
                lengths = planes * length * (1 + 1e-9)
                yield March(at + view * cells, axis, sides, starts, slopes, length, errors, lengths)


def rows_in_space(march: March, grid: Json) -> scipy.sparse.csr_matrix:
    """The rows of A: in each plane the four next voxels."""
    counts = (grid["columns"], grid["rows"], grid["slices"])
    strides = (1, counts[0] + 3, (counts[0] + 3) * (counts[1] + 3))  # of x, y, z in a volume padded as images are
    planes = counts[march.axis]
    line = np.arange(planes, dtype=np.int32)
    columns, values = ((line + 1) * strides[march.axis])[None, :, None], np.ones(1)
    for side, start, slope in zip(march.sides, march.starts, march.slopes, strict=True):
        z = np.fmin(np.fmax(start[:, None] + slope[:, None] * line, 0), counts[side] + 1)
        k = z.astype(np.int32)
        pair = np.stack([k + 1 - z, z - k], axis=-1)
        places = k[..., None] * strides[side] + np.array([0, strides[side]], dtype=np.int32)
        columns = (columns[..., None] + places[..., None, :]).reshape(len(start), planes, -1)
        values = (values[..., None] * pair[..., None, :]).reshape(len(start), planes, -1)
    values = march.length[:, None, None] * values
    parts = values.ravel(), columns.ravel(), 4 * planes * np.arange(len(march.at) + 1, dtype=np.int64)
    return scipy.sparse.csr_matrix(parts, shape=(len(march.at), strides[2] * (counts[2] + 3)))


def joseph_in_space(geometry: Json, grid: Json) -> Iterator[Rows]:
    """``joseph`` in space."""
    for march in marches_in_space(geometry, grid):
        yield march.at, rows_in_space(march, grid), march.errors, march.lengths


def blocks(operator: Json, matrix: scipy.sparse.csr_matrix | None) -> Iterator[Rows]:
    """All rows of the operator, in blocks."""
    if matrix is None:
        march = joseph_in_space if "slices" in operator["grid"] else joseph
        return march(operator["geometry"], operator["grid"])
    lengths = abs(matrix) @ np.ones(matrix.shape[1]) * (1 + 1e-6)
    return iter([(np.arange(len(lengths)), matrix, np.zeros(len(lengths)), lengths)])


def apply(operator: Json, image: Array, matrix: scipy.sparse.csr_matrix | None) -> tuple[Array, Array]:
    """``A u`` for an operator that ``check_operator`` accepts, flat, and a bound on the error of each value."""
    if "factor" in operator:  # means over squares of pixels, each channel by itself
        k, columns = operator["factor"], image.shape[1] // operator["factor"]
        squares = image.reshape(-1, k, columns, k, *image.shape[2:])
        means, sizes = (part.mean(axis=(1, 3), dtype=np.float64).ravel() for part in (squares, abs(squares)))
        return means, gamma(2 * k**2 + 2) * sizes
    u = (np.pad(image, (1, 2)) if matrix is None else image).ravel().astype(np.float64)
    found = []
    for at, rows, errors, lengths in blocks(operator, matrix):
        off = (errors + gamma(int(np.diff(rows.indptr).max(initial=0)) + 2) * lengths) * abs(u).max()
        found.append((at, rows @ u, off))
    ray, values, errors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return values[np.argsort(ray)], errors[np.argsort(ray)]


def residual(product: tuple[Array, Array], data: Array, weights: Array | None, norm: str) -> tuple[float, float]:
    """The norm of ``A u - f`` as computed, from what ``apply`` gives, and an upper bound on its true value."""
    r = product[0] - data.ravel().astype(np.float64)
    e = (product[1] + U * abs(r)) * (1 + 1e-9)
    w = 1.0 if weights is None else weights.ravel().astype(np.float64)
    found, off = (float(abs(x).max() if norm == "max" else np.sqrt(np.dot(w * x, x))) for x in (r, e))
    return found, (found + off) * (1 + gamma(r.size + 8)) + 1e-140


def lower_end(problem: Problem, delta: float, kappa: float, c: Array, y: Array, p: Array) -> tuple[float, float]:
    """Below ``<c, u>`` for all images in the box within ``delta`` and ``kappa``.

    Args:
        problem: Operator, matrix, data and weights, box.
        delta: Bound of the (whitened) residual.
        kappa: Bound of the total variation.
        c: What is measured, of the shape of the image.
        y: Dual vector of the residual, of the shape of the data.
        p: Dual vector of the differences, ``[axes, *image shape]``.

    Returns:
        The bound as computed, and as proved with every rounding counted.
    """
    # The minimum over the box of <c + D^T p, u> + <y, W^(1/2) (A u - f)>, less delta ||y|| + kappa max |p|.
    f, t, given = problem.scan[0].ravel().astype(np.float64), c.astype(np.float64), abs(c).sum() + 2 * abs(p).sum()
    v = y.ravel() * (1.0 if problem.scan[1] is None else np.sqrt(problem.scan[1].ravel().astype(np.float64)))
    for axis in range(c.ndim):  # D^T: what comes from the pixel before, less what goes on
        along, q = np.moveaxis(t, axis, 0), np.moveaxis(p[axis], axis, 0)
        along[1:] += q[:-1]
        along[:-1] -= q[:-1]
    off, s = 0.0, np.zeros([side + 3 for side in c.shape] if problem.matrix is None else c.size).ravel()
    for at, rows, errors, lengths in blocks(problem.operator, problem.matrix):
        s += rows.T @ v[at]  # s becomes A^T v, off the sum of the errors of its entries
        off += np.dot(abs(v[at]), errors + gamma(len(errors) + 8) * lengths) + U * abs(s).sum()
    if problem.matrix is None:
        s = s.reshape([side + 3 for side in c.shape])[(slice(1, -2),) * c.ndim]
    s = s.ravel() + t.ravel()
    off += gamma(8) * (given + abs(s).sum())
    found = np.minimum(problem.lo * s, problem.hi * s).sum() - np.dot(v, f)
    off = max(abs(problem.lo), abs(problem.hi)) * (off + gamma(s.size + 8) * abs(s).sum())
    cost = delta * (np.sqrt(np.dot(y.ravel(), y.ravel())) + 1e-140)
    cost += kappa * (np.sqrt((p * p).sum(0).max()) + 1e-140)
    off += gamma(f.size + 16) * (np.dot(abs(v), abs(f)) + abs(found) + cost)
    return float(found - cost), float(found - cost - off * (1 + 1e-6) - 1e-140)


def misfit(problem: Problem, shape: Sequence[int], y: Array) -> tuple[float, float]:
    """Below ``||W^(1/2) (A u - f)||`` for all images in the box.

    Args:
        problem: Operator, matrix, data and weights, box.
        shape: Of the images.
        y: Dual vector, of the shape of the data, of any length but 0.

    Returns:
        The bound as computed, and as proved with every rounding counted.
    """
    ends = lower_end(problem, 0.0, 0.0, np.zeros(shape), -y, np.zeros((len(shape), *shape)))
    length = math.sqrt(np.dot(y.ravel(), y.ravel()))
    require(length > 0, "the dual vector is zero")
    return ends[0] / length, ends[1] / (length * (1 + gamma(y.size + 16)) + 1e-140)


def load(claim: Json, path: Path, what: str) -> Array:
    """The array a certificate speaks of: its size is known before it is read, its hash before it is parsed."""
    shape, size = tuple(claim["shape"]), math.prod(claim["shape"]) * int(claim["dtype"][2])
    require(math.prod(shape) <= MAX_VALUES, f"the {what} would have more than {MAX_VALUES} values")
    raw = read(path, size + 1024, claim["sha256"])
    header = f"{{'descr': '{claim['dtype']}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    start = 10 + int.from_bytes(raw[8:10], "little")
    plain = raw[:8] == b"\x93NUMPY\x01\x00" and raw[10:start].rstrip(b" \n") == header and len(raw) == start + size
    require(plain, f"{path.name} is not a plain .npy file of this type and shape")
    array = np.frombuffer(raw, claim["dtype"], offset=start).reshape(shape)
    require(bool(np.isfinite(array).all()), f"{path.name} holds values that are not finite")
    return array


def check_operator(operator: Json, shape: list[int], measured: list[int]) -> str:
    """Refuse an operator that cannot be or does not fit the shapes of image and data; its name in words."""
    if operator.get("projector") == "matrix":
        fits(operator, MATRIX, "the operator")
        fit = operator["shape"] == [math.prod(measured), math.prod(shape)] and operator["entries"]["shape"][1:] == [3]
        require(fit, f"the matrix does not fit an image {shape} and data {measured}")
        return "the stored matrix"
    if operator.get("projector") == "pooling":
        fits(operator, POOLING, "the operator")
        sides = [operator["factor"] * side for side in measured[:2]] + measured[2:]
        require(len(sides) in (2, 3) and shape == sides, f"the image should have shape {sides}")
        return "the mean over {0} x {0} pixels, which does not see what differs within them".format(operator["factor"])
    kind = str(dict(operator["geometry"])["geometry"])
    space = kind == "vectors-in-space"
    pixels = VOXELS if space else PLACED if "centre_mm" in operator["grid"] else GRID
    stated = GEOMETRIES.get(kind, PARALLEL)
    fits(operator, {"projector": {"joseph"}, "geometry": stated, "grid": pixels}, "the operator")
    sides = ["slices", "rows", "columns"] if space else ["rows", "columns"]
    geometry, grid = operator["geometry"], [operator["grid"][side] for side in sides]
    if geometry.get("parallel"):
        fits(geometry["source"], [UNIT_3D if space else UNIT], "source")
    sides = [views(geometry), *([geometry["detector_rows"]] if space else []), geometry["detector_count"]]
    fit = sides == measured and {len(part) for part in geometry.values() if isinstance(part, list)} == {sides[0]}
    require(fit and grid == shape, f"the geometry measures {sides} values of {grid} pixels, not {measured} of {shape}")
    free = f"geometry {'in space ' * space}stated here view by view"
    said = free if kind.startswith("vectors") else f"{kind}-beam geometry stated here"
    return f"Joseph's projector of the {said}"


def afford(operator: Json, shape: list[int], values: int, kind: str, effort: float = 1.0) -> None:
    """Refuse a check of too much work or memory before any of it is spent."""
    count, lines = (views(operator["geometry"]), max(shape)) if "grid" in operator else (1, 1)
    work, memory = values * lines + count * math.prod(shape), math.prod(shape) * (16 if kind == "feasible" else 72)
    times = max(work / MAX_WORK, (memory + 64 * values) / MAX_MEMORY)
    cost = f"{work:.2g} steps and {memory / 2**20:.0f} MiB, {times:.3g} times what is allowed"
    require(times <= effort, f"the check would take {cost}; allow it with --effort {math.ceil(times)}")


def statement(v: Json, operator: str, unweighted: int) -> str:
    """What the numbers of the certificate ``v`` say, in words."""
    values, weights = math.prod(v["data"]["shape"]), ""
    if v["weights"] is not None:
        weights = f", W the stored weights, {unweighted} of them zero, so {values - unweighted} values count"
    rest = f"the {values} values of the data f as stored, A {operator}{weights}."
    return STATEMENTS[v["kind"]].format(**{**v, "norm": NORMS[v["norm"]]}, rest=rest)


def belongs(v: Json, problem: Problem, u: Array) -> None:
    """Refuse an image ``u`` that is not proved to be one of those that the interval speaks of."""
    steps = np.zeros((2, *u.shape))
    steps[0, :-1], steps[1, :, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
    rough = np.sqrt((steps * steps).sum(0)).sum() * (1 + gamma(u.size + 8)) + u.size * 1e-140
    inside = v["lo"] <= u.min() and u.max() <= v["hi"] and rough <= v["kappa"]
    missed = residual(apply(problem.operator, u, problem.matrix), *problem.scan, v["norm"])[1]
    require(bool(inside and missed <= v["delta"]), "the member is not proved to be within delta, kappa and the box")


def prove(v: Json, problem: Problem, arrays: dict[str, Array]) -> dict[str, float]:
    """The numbers that hold, no weaker than those the certificate ``v`` states. Raises Refused."""
    if v["kind"] == "feasible":
        found, upper = residual(apply(problem.operator, arrays["image"], problem.matrix), *problem.scan, v["norm"])
        good = upper <= v["residual_upper_bound"] <= v["delta"] and abs(found - v["residual"]) <= 2 * (upper - found)
        proved = {"residual": found, "residual_upper_bound": upper}
    elif v["kind"] == "infeasible":
        proved = {"lower_bound": misfit(problem, v["image_shape"], arrays["dual"])[1]}
        good = proved["lower_bound"] >= v["lower_bound"] > v["delta"]
    else:
        c, ends = arrays["functional"], [arrays[name] for name in ("lower_y", "lower_p", "upper_y", "upper_p")]
        lower = lower_end(problem, v["delta"], v["kappa"], c, *ends[:2])[1]
        upper = -lower_end(problem, v["delta"], v["kappa"], -c, *ends[2:])[1]
        crossed = f"the ends cross, at least {lower!r} and at most {upper!r}: no image is within delta, kappa and box"
        require(not lower > upper, f"{crossed}, and nothing is said of none")
        good = v["lower"] <= lower and upper <= v["upper"] and v["lower"] <= v["upper"]
        if "member" in v:
            belongs(v, problem, arrays["member"])
        proved = {"lower": lower, "upper": upper}
    said = ", ".join(f"{name} is {value!r}, not {v[name]!r}" for name, value in proved.items())
    require(good, f"for delta {v['delta']!r} what is proved does not bear out what is stated: {said}")
    return {"delta": v["delta"], **proved}


def check_all(v: Json, path: Callable[[str], Path], effort: float) -> Verdict:
    """Check all that the certificate ``v`` claims, with the files that ``path`` finds. Raises Refused."""
    kind = str(v.get("kind"))
    require(kind in KINDS, f"the kind must be {' or '.join(KINDS)}")
    entries = {name: pattern for name, pattern in KINDS[kind].items() if name != "member" or name in v}  # optional
    if kind == "feasible" and isinstance(v.get("image"), dict) and "z_mm" in v["image"]:  # of a series, where it stands
        entries["image"] = {**entries["image"], "z_mm": NUMBER}
    fits(v, {**entries, "kind": {kind}, "limits": {LIMITS[kind]}}, "the certificate")
    operator, measured = v["operator"], v["data"]["shape"]
    shape = v["image_shape"] if kind == "infeasible" else v["image" if kind == "feasible" else "functional"]["shape"]
    name = check_operator(operator, shape, measured)
    afford(operator, shape, math.prod(measured), kind, effort)
    bound = len(shape) == 2 or (len(shape) == 3 and kind == "infeasible")
    require(kind == "feasible" or (bound and "factor" not in operator), "there is no such bound here")
    require((v["norm"] == "whitened") == (v["weights"] is not None), "the norm needs other weights")
    require(v.get("lo", 0) <= v.get("hi", 0), "lo is above hi")
    if kind == "feasible" and "factor" not in operator:
        # Whether lengths are mm or cells of the detector makes no difference to the proof; the unit says which.
        units, pixel = (("1/mm", "1/cell"), operator["grid"]["pixel_mm"]) if "grid" in operator else ((None,), None)
        require(v["image"]["unit"] in units, f"the unit must be {' or '.join(map(str, units))}")
        if pixel is not None:  # true is no number, though Python takes it for 1
            fits(v["image"]["pixel_mm"], PLACED["pixel_mm"] if isinstance(pixel, list) else LENGTH, "pixel_mm")
        require(v["image"]["pixel_mm"] == pixel, f"pixel_mm must be {pixel}")
    arrays: dict[str, Array] = {}
    for part, claim in [(part, v[part]) for part in FILES if v.get(part) is not None]:
        fits(claim, {**FLOATS, **(entries[part] if part != "weights" else {})}, part)
        expected = shape if part in ("image", "functional", "member") else measured
        expected = [2, *shape] if part.endswith("_p") else expected
        require(claim["shape"] == expected, f"{part} should have shape {expected}")
        arrays[part] = load(claim, path(part), part)
    w, matrix = arrays.get("weights"), None
    require(w is None or bool((w >= 0).all()), "some weights are negative")
    sentence = statement(v, name, 0 if w is None else int(np.sum(w == 0)))
    require(v["statement"] == sentence, "the statement does not say what the numbers say")
    if "entries" in operator:
        arrays["matrix"] = load(operator["entries"], path("matrix"), "matrix")
        matrix = sparse(arrays["matrix"], operator["shape"])
    problem = Problem(operator, matrix, (arrays["data"], w), v.get("lo", 0.0), v.get("hi", 0.0))
    return Verdict(True, kind, sentence, "", prove(v, problem, arrays), claims=v, arrays=arrays)


def check(
    path: str | Path, image: str | Path | None = None, data: str | Path | None = None, effort: float = 1.0
) -> Verdict:
    """Check a certificate with the files beside it. Never raises for what a file holds.

    Args:
        path: ``S.certificate.json``.
        image: The image's file; None for the one beside it.
        data: The data's file; None for the one beside it.
        effort: How many times the usual work and memory it may take.

    Returns:
        Whether it is valid; what it says and what was proved, or why it is refused.
    """
    given, path, kind = {"image": image, "data": data}, Path(path), None

    def beside(name: str) -> Path:
        return Path(given.get(name) or path.with_name(path.name.removesuffix(FILES[""]) + FILES[name]))

    try:
        require(path.name.endswith(FILES[""]), f"{path.name}: a certificate's name ends with {FILES['']}")
        certificate = parse_certificate(read(path, MAX_BYTES))
        kind = str(certificate.get("kind"))
        with np.errstate(all="ignore"):  # what overflows ends as inf or NaN, which no bound accepts
            return check_all(certificate, beside, effort)
    except Exception as why:  # content that trips anything over is no certificate, and must not look like a crash
        text = why if isinstance(why, Refused | OSError) else f"malformed content ({type(why).__name__}: {why})"
        return Verdict(False, kind, reason=one_line(text), readable=not isinstance(why, OSError), cause=why)


def one_line(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))[:600]


def main(arguments: Sequence[str] | None = None) -> int:
    names, effort = list(sys.argv[1:] if arguments is None else arguments), 1.0
    if names[:1] == ["--effort"] and len(names) > 1:
        names, effort = names[2:], float(names[1]) if names[1].isdigit() else 1.0
    worst = 0 if names else 2
    for path in map(Path, names):
        verdict = check(path, effort=effort)
        word, code = ("VALID", 0) if verdict.valid else ("REFUSED", 1) if verdict.readable else ("UNREADABLE", 2)
        print(f"{word} {one_line(path.name)}: {verdict.statement or verdict.reason}")
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
