"""Checks ctrecon's certificates with numpy, scipy and the standard library alone.

This file stands by itself: copy it out, read it, run ``python verify.py recon.certificate.json``. It builds the
operator anew from the certificate and trusts nothing that the reconstruction computed. One line per certificate;
exit code 0 valid, 1 refused, 2 unreadable. The format and the proof of the bound: ``docs/guarantees.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]
Json = dict[str, Any]
Parts = Iterator[tuple[Array, Array]]  # consecutive pieces of A u, each with a bound on its errors

FORMAT = "ctrecon-certificate/1"
FILES = {"": ".certificate.json", "image": ".npy", "data": ".data.npy", "weights": ".weights.npy",
         "matrix": ".matrix.npz"}  # fmt: skip
LIMITS = (
    "This bounds the misfit between image and data, nothing else. What the operator maps to (nearly) zero is not seen "
    "by the data: images that differ from this one by such a part fit as well. Nor does it say that the data, the "
    "geometry, the weights or delta are right, or who wrote this file."
)
NORMS = {"2-norm": "||A u - f||", "whitened": "||W^(1/2) (A u - f)||", "max": "max |A u - f|"}
MAX_BYTES, MAX_VALUES, MAX_WORK = 1 << 23, 1 << 27, 1 << 35  # of a certificate; of an array; rays x image lines
U = 2.0**-53  # relative error of one operation in float64
TRIGONOMETRY = 8 * U  # how far the C library's sine and cosine may be off; good ones stay below U
TIE = 1e-9  # a ray at 45 degrees marches by rows

# What may stand where: a dict's exact keys, a list's items, a set's members, a range (whole numbers if its ends are).
LENGTH, COUNT, BOUND = (1e-9, 1e9), (1, MAX_VALUES), (0.0, 1e150)
FLOATS = {"sha256": str, "shape": [COUNT], "dtype": {"<f4", "<f8"}}
PARALLEL = {"geometry": {"parallel"}, "angles_rad": [(-1e6, 1e6)], "detector_count": (1, 1 << 16),
            "detector_spacing_mm": LENGTH, "detector_offset_mm": (-1e9, 1e9)}  # fmt: skip
FAN = {**PARALLEL, "geometry": {"fan"}, "source_to_axis_mm": LENGTH, "source_to_detector_mm": LENGTH}
GRID = {"rows": (1, 1 << 14), "columns": (1, 1 << 14), "pixel_mm": LENGTH}
MATRIX = {"sha256": str, "shape": [COUNT], "entries": COUNT}
FEASIBLE = {"format": {FORMAT}, "kind": {"feasible"}, "statement": str, "limits": {LIMITS}, "norm": set(NORMS),
            "delta": BOUND, "residual": BOUND, "residual_upper_bound": BOUND, "operator": dict, "data": FLOATS,
            "image": {**FLOATS, "unit": object, "pixel_mm": object}, "weights": object, "source": object,
            "made_with": dict, "certificate_sha256": str}  # fmt: skip


class Refused(Exception):  # noqa: N818 - a finding, not an error
    """Why a certificate does not hold, in one line."""


@dataclass(frozen=True)
class Verdict:
    """What was found. ``statement`` is the checker's own sentence, empty unless ``valid``."""

    valid: bool
    kind: str | None = None
    statement: str = ""
    reason: str = ""
    residual_upper_bound: float | None = None
    delta: float | None = None
    readable: bool = True


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
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path.name} is not a regular file")
    require(status.st_size <= most, f"{path.name} has {status.st_size} bytes, at most {most} belong there")
    with path.open("rb") as stream:
        raw = stream.read(status.st_size)  # room for as much as there is, not for as much as was claimed
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


@dataclass(frozen=True)
class Ball:
    """Real numbers known as ``mid`` with an error of at most ``rad``; every operation keeps that true."""

    mid: Array
    rad: Array

    @staticmethod
    def of(mid: Any, rad: Any = 0.0) -> Ball:
        # The factor covers the rounding of the radius itself, the last term underflow.
        return Ball(np.asarray(mid, dtype=np.float64), np.asarray(rad) * (1 + 16 * U) + 1e-300)

    def __add__(self, other: Ball) -> Ball:
        mid = self.mid + other.mid
        return Ball.of(mid, self.rad + other.rad + U * abs(mid))

    def __sub__(self, other: Ball) -> Ball:
        return self + Ball(-other.mid, other.rad)

    def __mul__(self, other: Ball) -> Ball:
        mid = self.mid * other.mid
        return Ball.of(mid, abs(self.mid) * other.rad + (abs(other.mid) + other.rad) * self.rad + U * abs(mid))

    def __truediv__(self, other: Ball) -> Ball:
        mid, room = self.mid / other.mid, abs(other.mid) - other.rad
        return Ball.of(mid, np.where(room > 0, (self.rad + abs(mid) * other.rad) / room + U * abs(mid), np.inf))


def rays(geometry: Json, views: slice) -> tuple[Ball, ...]:
    """A point on each ray and its direction, ``px, py, dx, dy``, each ``[views, detectors]``, in mm."""
    angles, count = geometry["angles_rad"][views], geometry["detector_count"]
    cos, sin = (Ball.of([[f(angle)] for angle in angles], TRIGONOMETRY) for f in (math.cos, math.sin))
    cell, zero = Ball.of(np.arange(count)[None, :] - (count - 1) / 2), Ball.of(np.zeros((len(angles), count)))
    s = cell * Ball.of(geometry["detector_spacing_mm"]) + Ball.of(geometry["detector_offset_mm"])
    if geometry["geometry"] == "parallel":
        return s * cos, s * sin, zero + sin, zero - cos
    near, far = Ball.of(geometry["source_to_axis_mm"]), Ball.of(geometry["source_to_detector_mm"])
    return zero + near * sin, zero - near * cos, s * cos - far * sin, s * sin + far * cos


def padded(line: Array) -> tuple[Array, Array]:
    """An image line with one zero before it and two after it, and the jumps between its neighbours."""
    wide = np.zeros(line.size + 3)
    wide[1:-2] = line
    return wide, np.diff(wide)


def march(lines: Array, start: Array, slope: Array) -> Array:
    """``sum_l g_l(start + slope l)`` per ray, ``g_l`` interpolating the padded line ``l`` linearly."""
    total = np.zeros(start.size)
    for index, line in enumerate(lines):
        wide, jumps = padded(line)
        z = np.minimum(np.maximum(start + slope * index, 0), line.size + 1)
        k = z.astype(np.intp)
        total += wide[k] + (z - k) * jumps[k]
    return total


def joseph(geometry: Json, grid: Json, image: Array) -> Parts:
    """``A u`` for Joseph's projector, in blocks of views."""
    pixel, one = Ball.of(grid["pixel_mm"]), Ball.of(1.0)
    halves = [Ball.of((side - 1) / 2) for side in image.shape]
    images = (np.ascontiguousarray(image.T), image)
    extremes = [np.sum([[abs(part).max() for part in padded(line)] for line in lines], axis=0) for lines in images]
    block = max(1, 8192 // geometry["detector_count"])
    for first in range(0, len(geometry["angles_rad"]), block):
        px, py, dx, dy = rays(geometry, slice(first, first + block))
        tie = Ball(abs(dy.mid), dy.rad) - Ball(abs(dx.mid), dx.rad) * Ball.of(1 - TIE, U)
        values, errors = np.zeros(tie.mid.shape), np.zeros(tie.mid.shape)
        for by_row in (False, True):
            rows = (tie.mid >= 0) == by_row
            x, y, a, b = (Ball(part.mid[rows], part.rad[rows]) for part in (px, py, dx, dy))
            m = a / b if by_row else b / a
            across = x - y * m if by_row else x * m - y
            start = across / pixel + halves[by_row] + m * halves[not by_row] + one
            square = one + m * m
            length = pixel * Ball.of(np.sqrt(square.mid), square.rad + U * np.sqrt(square.mid))
            n, (largest, jump) = len(images[by_row]), extremes[by_row]
            place = start.rad + n * m.rad + 2 * U * (abs(start.mid) + n * abs(m.mid))
            values[rows] = length.mid * march(images[by_row], start.mid, -m.mid)
            errors[rows] = length.mid * (jump * place + gamma(n + 16) * largest) + length.rad * largest
        # Where rounding cannot tell rows from columns, nothing is known.
        yield values.ravel(), np.where(abs(tie.mid) > tie.rad, errors, np.inf).ravel()


def product(matrix: scipy.sparse.csr_matrix, image: Array) -> Parts:
    """``A u`` for a stored matrix."""
    u = image.ravel().astype(np.float64)
    # Built from its parts: abs() of a matrix would first sort it in place, and its arrays are those of the file.
    size = scipy.sparse.csr_matrix((abs(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    yield matrix @ u, gamma(2 * int(np.diff(matrix.indptr).max()) + 2) * (size @ abs(u))


def pooling(factor: int, image: Array) -> Parts:
    """``A u`` for the means over squares of ``factor x factor`` pixels, each channel by itself, in blocks of rows."""
    columns, channels = image.shape[1] // factor, image.shape[2:]
    for first in range(0, len(image), 256 * factor):
        squares = image[first : first + 256 * factor].reshape(-1, factor, columns, factor, *channels)
        means, sizes = (part.mean(axis=(1, 3), dtype=np.float64).ravel() for part in (squares, abs(squares)))
        yield means, gamma(2 * factor**2 + 2) * sizes


def apply(operator: Json, image: Array, matrix: scipy.sparse.csr_matrix | None) -> Parts:
    """``A u`` for an operator that ``check_operator`` accepts."""
    if "grid" in operator:
        return joseph(operator["geometry"], operator["grid"], image)
    return pooling(operator["factor"], image) if matrix is None else product(matrix, image)


def residual(parts: Parts, data: Array, weights: Array | None, norm: str = "2-norm") -> tuple[float, float]:
    """The norm of ``A u - f`` as float64 computes it, and an upper bound on its true value."""
    f, w = data.ravel(), None if weights is None else weights.ravel()
    sizes, at = np.zeros(2), 0  # of the residual and of its error; squared but for "max"
    with np.errstate(all="ignore"):  # what overflows ends as inf or NaN, which no bound accepts
        for values, errors in parts:
            here = slice(at, at := at + values.size)
            r = values - f[here].astype(np.float64)
            e = (errors + U * abs(r)) * (1 + 1e-9)
            if norm == "max":
                sizes = np.maximum(sizes, [abs(r).max(), e.max()])  # unlike max(), keeps NaN
            else:
                weight = 1.0 if w is None else w[here].astype(np.float64)
                sizes += [np.dot(weight * r, r), np.dot(weight * e, e)]
    found, error = (sizes if norm == "max" else np.sqrt(sizes)).tolist()
    return found, (found + error) * (1 + gamma(f.size + 8)) + 1e-140


def load(claim: Json, path: Path, what: str) -> Array:
    """The array a certificate speaks of: its size is known before it is read, its hash before it is parsed."""
    count = math.prod(claim["shape"])
    require(count <= MAX_VALUES, f"the {what} would have {count} values, more than {MAX_VALUES}")
    array = parse_npy(read(path, count * int(claim["dtype"][2]) + 1024, claim["sha256"]), path.name)
    require([array.dtype.str, *array.shape] == [claim["dtype"], *claim["shape"]], f"{path.name} has another shape")
    require(bool(np.isfinite(array).all()), f"{path.name} holds values that are not finite")
    return array


def check_operator(operator: Json, image_shape: list[int], data_shape: list[int]) -> str:
    """Refuse an operator that cannot be or does not fit; its name in words."""
    if operator.get("projector") == "matrix":
        fits(operator, {"projector": {"matrix"}, "matrix": MATRIX}, "the operator")
        shape = [math.prod(data_shape), math.prod(image_shape)]
        require(operator["matrix"]["shape"] == shape, f"the matrix should have shape {shape}")
        return "the stored matrix"
    if operator.get("projector") == "pooling":
        fits(operator, {"projector": {"pooling"}, "factor": (1, 1 << 14)}, "the operator")
        shape = [operator["factor"] * side for side in data_shape[:2]] + data_shape[2:]
        require(len(shape) in (2, 3) and image_shape == shape, f"the image should have shape {shape}")
        return "the mean over {0} x {0} pixels, which does not see what differs within them".format(operator["factor"])
    geometry = operator.get("geometry")
    fan = isinstance(geometry, dict) and geometry.get("geometry") == "fan"
    fits(operator, {"projector": {"joseph"}, "geometry": FAN if fan else PARALLEL, "grid": GRID}, "the operator")
    measured = [len(operator["geometry"]["angles_rad"]), operator["geometry"]["detector_count"]]
    grid = [operator["grid"]["rows"], operator["grid"]["columns"]]
    require(measured == data_shape, f"the geometry measures {measured} values, the data have {data_shape}")
    require(grid == image_shape, f"the grid has {grid} pixels, the image {image_shape}")
    require(math.prod(measured) * max(grid) <= MAX_WORK, "the problem is too large to check in reasonable time")
    return f"Joseph's projector of the {'fan' if fan else 'parallel'}-beam geometry stated here"


def feasible_statement(certificate: Json, operator: str, unweighted: int) -> str:
    norm, delta = NORMS[certificate["norm"]], certificate["delta"]
    weights = f", W the stored weights, {unweighted} of them zero" if certificate["weights"] is not None else ""
    return (
        f"{norm} <= {delta!r} (proved: <= {certificate['residual_upper_bound']!r}) for the image u and "
        f"the {math.prod(certificate['data']['shape'])} values of the data f as stored, A {operator}{weights}."
    )


def feasible(certificate: Json, path: Callable[[str], Path]) -> Verdict:
    """``A u - f`` is at most ``delta`` in the norm stated, for the image as it stands in its file."""
    fits(certificate, FEASIBLE, "the certificate")
    operator, image, data = certificate["operator"], certificate["image"], certificate["data"]
    delta, stated = certificate["delta"], certificate["residual_upper_bound"]
    require(stated <= delta, f"residual_upper_bound {stated!r} is above delta {delta!r}")
    name = check_operator(operator, image["shape"], data["shape"])
    unit = ("1/mm", operator["grid"]["pixel_mm"]) if "grid" in operator else (None, None)
    require("factor" in operator or (image["unit"], image["pixel_mm"]) == unit, f"unit and pixel_mm must be {unit}")
    require((certificate["norm"] == "whitened") == (certificate["weights"] is not None), "the norm needs other weights")
    u, f, w, matrix = load(image, path("image"), "image"), load(data, path("data"), "data"), None, None
    if certificate["weights"] is not None:
        fits(certificate["weights"], FLOATS, "weights")
        w = load(certificate["weights"], path("weights"), "weights")
        require(w.shape == f.shape and bool((w >= 0).all()), "the weights do not fit the data or are negative")
    sentence = feasible_statement(certificate, name, 0 if w is None else int(np.sum(w == 0)))
    require(certificate["statement"] == sentence, "the statement does not say what the numbers say")
    if "matrix" in operator:
        claim = operator["matrix"]
        most = 16 * claim["entries"] + 8 * claim["shape"][0] + 8192
        matrix = parse_matrix(read(path("matrix"), most, claim["sha256"]))
        require([matrix.nnz, *matrix.shape] == [claim["entries"], *claim["shape"]], "the matrix has another shape")
    found, upper = residual(apply(operator, u, matrix), f, w, certificate["norm"])
    require(upper <= stated, f"the residual is {found!r} (proved: <= {upper!r}), not at most {stated!r}")
    require(abs(found - certificate["residual"]) <= 2 * (upper - found), f"the residual is {found!r}, not as stated")
    return Verdict(True, "feasible", sentence, "", upper, float(delta))


def check(path: str | Path, image: str | Path | None = None, data: str | Path | None = None) -> Verdict:
    """Check ``S.certificate.json`` with ``S.npy`` and ``S.data.npy`` beside it, or with the files given.

    Never raises for what a file holds. ``readable`` is False where a file is missing or cannot be read.
    """
    given, path, kind = {"image": image, "data": data}, Path(path), None

    def part(name: str) -> Path:
        return Path(given.get(name) or path.with_name(path.name.removesuffix(FILES[""]) + FILES[name]))

    try:
        require(path.name.endswith(FILES[""]), f"{path.name}: a certificate's name ends with {FILES['']}")
        certificate = parse_certificate(read(path, MAX_BYTES))
        kind = str(certificate.get("kind"))
        return feasible(certificate, part)
    except Exception as why:  # content that trips anything over is no certificate, and must not look like a crash
        text = why if isinstance(why, Refused | OSError) else f"malformed content ({type(why).__name__}: {why})"
        return Verdict(False, kind, reason=one_line(text), readable=not isinstance(why, OSError))


def one_line(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))[:600]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check certificates: exit code 0 valid, 1 refused, 2 unreadable.")
    parser.add_argument("certificate", nargs="+", type=Path, help="S.certificate.json, beside S.npy and S.data.npy")
    parser.add_argument("--image", type=Path, help="the image, where it is not S.npy")
    parser.add_argument("--data", type=Path, help="the data, where they are not S.data.npy")
    chosen, worst = parser.parse_args(arguments), 0
    for path in chosen.certificate:
        verdict = check(path, chosen.image, chosen.data)
        word, code = ("VALID", 0) if verdict.valid else ("REFUSED", 1) if verdict.readable else ("UNREADABLE", 2)
        print(f"{word} {one_line(path.name)}: {verdict.statement or verdict.reason}")
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
