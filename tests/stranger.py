"""A certificate's checker written from docs/guarantees.md alone, without a look at the project's own.

Float64 without a bound on rounding, so to 1e-9; and without the limits that protect from hostile files.
``python stranger.py S.certificate.json ...`` runs it by itself.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, vstack

ARRAYS = {
    "image": "npy", "data": "data.npy", "weights": "weights.npy", "matrix": "matrix.npy", "dual": "dual.npy",
    "functional": "functional.npy", "lower_y": "lower-y.npy", "upper_y": "upper-y.npy", "lower_p": "lower-p.npy",
    "upper_p": "upper-p.npy", "member": "member.npy",
}  # fmt: skip
BY_KIND = {
    "feasible": {"residual_upper_bound", "residual", "image"},
    "infeasible": {"lower_bound", "image_shape", "dual", "lo", "hi"},
    "interval": {
        "lo", "hi", "kappa", "lower", "upper", "region", "functional", "lower_y", "upper_y", "lower_p", "upper_p",
    },
}  # fmt: skip
ALL = {
    "format", "kind", "statement", "limits", "norm", "delta", "operator", "data", "weights", "source", "made_with",
    "certificate_sha256",
}  # fmt: skip


def demand(fact, what):
    if not fact:
        raise ValueError(what)


def whole(*numbers):
    demand(all(type(n) is int for n in numbers), "a whole number has no point")


def sha(blob):
    return hashlib.sha256(blob).hexdigest()


def array(stem, what, said):
    """The array that the entry ``said`` describes, from the bytes of its file."""
    blob = Path(f"{stem}.{ARRAYS[what]}").read_bytes()
    demand(sha(blob) == said["sha256"], f"{what}: hash")
    demand(blob[:8] == b"\x93NUMPY\x01\x00", f"{what}: not .npy 1.0")
    start = 10 + int.from_bytes(blob[8:10], "little")
    shape = tuple(said["shape"])
    whole(*shape)
    dtype = said["dtype"]
    demand(dtype in (("<f4", "<f8") if what in ("image", "data", "weights") else ("<f8",)), f"{what}: {dtype}")
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    demand(blob[10:start].decode().strip() == header, f"{what}: header")
    values = np.frombuffer(blob[start:], dtype).reshape(shape).astype(np.float64)
    demand(np.isfinite(values).all(), f"{what}: not finite")
    return values


def points(g):
    """A point of each ray and its direction: px, py, dx, dy, each ``[views, cells]``."""
    if g["geometry"] == "vectors":
        (qx, qy), (cx, cy), (ux, uy) = (
            np.array(g[name]).T[:, :, None] for name in ("source", "detector_mm", "detector_axis")
        )
        s = ((np.arange(g["detector_count"]) - (g["detector_count"] - 1) / 2) * g["detector_spacing_mm"])[None, :]
        r, sign = g["detector_radius_mm"], np.where(ux * (qy - cy) > uy * (qx - cx), 1, -1)
        along, ahead = (r * np.sin(s / r), r * (1 - np.cos(s / r))) if r > 0 else (s, 0 * s)
        x, y = cx + along * ux - sign * ahead * uy, cy + along * uy + sign * ahead * ux
        return (x, y, qx + 0 * x, qy + 0 * x) if g["parallel"] else (qx + 0 * x, qy + 0 * x, x - qx, y - qy)
    t, n = np.array(g["angles_rad"])[:, None], g["detector_count"]
    s = ((np.arange(n) - (n - 1) / 2) * g["detector_spacing_mm"] + g["detector_offset_mm"])[None, :]
    sin, cos = np.sin(t), np.cos(t)
    if g["geometry"] == "parallel":
        return s * cos, s * sin, sin + 0 * s, -cos + 0 * s
    R, D = g["source_to_axis_mm"], g["source_to_detector_mm"]
    if g["geometry"] == "fan":
        return R * sin + 0 * s, -R * cos + 0 * s, s * cos - D * sin, s * sin + D * cos
    demand(g["geometry"] == "arc-fan", "geometry")
    gamma = s / D
    cx = R * sin + D * (np.sin(gamma) * cos - np.cos(gamma) * sin)
    cy = -R * cos + D * (np.sin(gamma) * sin + np.cos(gamma) * cos)
    turn = t + np.array(g["source_angle_shift_rad"])[:, None]
    away = R + np.array(g["source_radius_shift_mm"])[:, None]
    px, py = away * np.sin(turn) + 0 * s, -away * np.cos(turn) + 0 * s
    return px, py, cx - px, cy - py


def joseph(geometry, grid):
    """The sparse matrix of Joseph's method, view by view."""
    R, C, h = grid["rows"], grid["columns"], grid["pixel_mm"]
    hy, hx = h if isinstance(h, list) else (h, h)
    ox, oy = grid.get("centre_mm", (0, 0))
    whole(R, C, geometry["detector_count"])
    blocks = []
    for px, py, dx, dy in zip(*points(geometry), strict=True):
        by_rows = abs(dy) >= abs(dx) * (hy / hx) * (1 - 1e-9)
        px, py = px - ox, py - oy
        with np.errstate(all="ignore"):
            m = np.where(by_rows, dx / dy, dy / dx)
        lines = np.arange(max(R, C))[:, None]
        z = np.where(
            by_rows,
            (px - m * py) / hx + (C - 1) / 2 + m * hy / hx * ((R - 1) / 2 - lines),
            (R - 1) / 2 - (py - m * px) / hy + m * hx / hy * ((C - 1) / 2 - lines),
        )
        count, length = np.where(by_rows, R, C), np.where(by_rows, C, R)
        first = np.floor(np.clip(z, -2, max(R, C) + 1)).astype(int)
        ray = np.broadcast_to(np.arange(px.size), z.shape)
        block = csr_matrix((px.size, R * C))
        for near in (first, first + 1):
            hat = np.where(by_rows, hy, hx) * np.sqrt(1 + m * m) * (1 - abs(z - near))
            keep = (lines < count) & (near >= 0) & (near < length) & (hat > 0)
            pixel = np.where(by_rows, lines * C + near, near * C + lines)
            block = block + csr_matrix((hat[keep], (ray[keep], pixel[keep])), shape=block.shape)
        blocks.append(block)
    return vstack(blocks).tocsr()


def operator(stem, said, pixels, data):
    """The matrix ``[data, pixels]``."""
    if said["projector"] == "joseph":
        A = joseph(said["geometry"], said["grid"])
    elif said["projector"] == "matrix":
        whole(*said["shape"])
        row, column, value = array(stem, "matrix", said["entries"]).T
        demand((row == row.astype(int)).all() and (column == column.astype(int)).all(), "matrix: whole numbers")
        demand(len(set(zip(row, column, strict=True))) == len(row), "matrix: a place twice")
        A = csr_matrix((value, (row.astype(int), column.astype(int))), shape=tuple(said["shape"]))
    else:
        demand(said["projector"] == "pooling", "projector")
        k, (R, C, *rest) = said["factor"], data
        whole(k)
        channels = int(np.prod(rest, dtype=int))
        r, c, b, i, j = np.indices((R, C, channels, k, k)).reshape(5, -1)
        columns = ((k * r + i) * (k * C) + k * c + j) * channels + b
        A = csr_matrix((np.full(r.size, 1 / k**2), ((r * C + c) * channels + b, columns)))
    demand(A.shape == (np.prod(data), pixels), f"operator {A.shape} for {data} from {pixels}")
    return A


def differences(u):
    down, right = np.zeros_like(u), np.zeros_like(u)
    down[:-1], right[:, :-1] = u[1:] - u[:-1], u[:, 1:] - u[:, :-1]
    return down, right


def differences_transposed(p):
    s = np.zeros_like(p[0])
    s[1:] += p[0, :-1]
    s[:-1] -= p[0, :-1]
    s[:, 1:] += p[1, :, :-1]
    s[:, :-1] -= p[1, :, :-1]
    return s


def sentence(c, M, zero):
    g = c["operator"]
    name = {"parallel": "parallel-beam", "fan": "fan-beam", "arc-fan": "arc-fan-beam"}
    if g["projector"] == "matrix":
        A = "the stored matrix"
    elif g["projector"] == "joseph":
        kind = g["geometry"]["geometry"]
        said = f"{name[kind]} geometry stated here" if kind != "vectors" else "geometry stated here view by view"
        A = f"Joseph's projector of the {said}"
    else:
        A = f"the mean over {g['factor']} x {g['factor']} pixels, which does not see what differs within them"
    norm = {"2-norm": "||A u - f||", "max": "max |A u - f|", "whitened": "||W^(1/2) (A u - f)||"}[c["norm"]]
    tail = f"the {M} values of the data f as stored, A {A}"
    some = f", W the stored weights, {zero} of them zero, so {M - zero} values count."
    tail += some if c["norm"] == "whitened" else "."
    if c["kind"] == "feasible":
        return f"{norm} <= {c['delta']} (proved: <= {c['residual_upper_bound']}) for the image u and {tail}"
    if c["kind"] == "infeasible":
        proved = f"{norm} > {c['delta']} (proved: >= {c['lower_bound']})"
        return f"{proved} for all images {c['lo']} <= u <= {c['hi']} and {tail}"
    assumed = f"{norm} <= {c['delta']} and TV(u) <= {c['kappa']} (assumed of the object, not proved)"
    box = f"for all images {c['lo']} <= u <= {c['hi']} with {assumed}"
    return f"{c['lower']} <= <c, u> <= {c['upper']} {box}, c the stored functional and {tail}"


def check(path, slack=1e-9):
    """The statement of a true certificate; raises ValueError (or what Python raises) for any other."""
    text = Path(path).read_bytes()
    stem = str(path).removesuffix(".certificate.json")
    c = json.loads(text)
    again = json.dumps(c, sort_keys=True, indent=1, allow_nan=False) + "\n"
    demand(again.encode("ascii") == text, "not its own encoding")
    found = re.search(rb'"certificate_sha256": "([0-9a-f]{64})"', text)
    demand(found and sha(text[: found.start(1)] + b"0" * 64 + text[found.end(1) :]).encode() == found[1], "own hash")
    free = {"member"} if c["kind"] == "interval" else set()
    demand(c["format"] == "ctrecon-certificate/1" and set(c) - free == ALL | BY_KIND[c["kind"]], "entries")
    norms = ("2-norm", "whitened", "max") if c["kind"] == "feasible" else ("2-norm", "whitened")
    demand(c["norm"] in norms and 0 <= c["delta"] <= 1e150, "norm or delta")
    f = array(stem, "data", c["data"])
    w = np.ones(f.shape)
    demand((c["weights"] is None) == (c["norm"] != "whitened"), "weights")
    if c["weights"]:
        w = array(stem, "weights", c["weights"])
        demand(w.shape == f.shape and w.min() >= 0, "weights")
    demand(c["statement"] == sentence(c, f.size, int((w == 0).sum())), "statement")
    image = {"feasible": lambda: c["image"]["shape"], "infeasible": lambda: c["image_shape"],
             "interval": lambda: c["functional"]["shape"]}[c["kind"]]()  # fmt: skip
    whole(*image)
    if c["operator"]["projector"] == "joseph":
        grid = c["operator"]["grid"]
        demand(list(image) == [grid["rows"], grid["columns"]], "image's shape")
    A = operator(stem, c["operator"], int(np.prod(image)), f.shape)
    root = np.sqrt(w).ravel()
    def near(a, b):
        return a <= b + slack * (abs(a) + abs(b))

    if c["kind"] == "feasible":
        u = array(stem, "image", c["image"])
        r = root * (A @ u.ravel() - f.ravel())
        residual = abs(r).max() if c["norm"] == "max" else np.linalg.norm(r)
        demand(near(residual, c["residual_upper_bound"]) and c["residual_upper_bound"] <= c["delta"], "residual")
        demand(near(residual, c["residual"]) and near(c["residual"], residual), "residual, for information")
        return c["statement"]
    lo, hi = c["lo"], c["hi"]
    demand(-1e150 <= lo <= hi <= 1e150, "box")
    if c["kind"] == "infeasible":
        y = array(stem, "dual", c["dual"]).ravel()
        s = A.T @ (root * y)
        bound = ((y * root) @ f.ravel() - np.maximum(lo * s, hi * s).sum()) / np.linalg.norm(y)
        demand(near(c["lower_bound"], bound) and c["lower_bound"] > c["delta"], "lower bound")
        return c["statement"]
    functional = array(stem, "functional", c["functional"])
    ends = []
    for end, sign in (("lower", 1), ("upper", -1)):
        y, p = (array(stem, f"{end}_{what}", c[f"{end}_{what}"]) for what in "yp")
        demand(y.shape == f.shape and p.shape == (2, *functional.shape), "shape of a dual")
        s = sign * functional + (A.T @ (root * y.ravel())).reshape(functional.shape) + differences_transposed(p)
        bound = np.minimum(lo * s, hi * s).sum() - (y.ravel() * root) @ f.ravel()
        bound -= c["delta"] * np.linalg.norm(y) + c["kappa"] * np.hypot(*p).max()
        demand(near(sign * c[end], bound), f"{end} end: {sign * bound} proved, {c[end]} claimed")
        ends.append(sign * bound)
    demand(c["lower"] <= c["upper"] and near(*ends), "ends cross")
    if "member" in c:
        u = array(stem, "member", c["member"])
        demand(u.shape == functional.shape and lo <= u.min() and u.max() <= hi, "member: box")
        demand(near(np.linalg.norm(root * (A @ u.ravel() - f.ravel())), c["delta"]), "member: delta")
        demand(near(np.hypot(*differences(u)).sum(), c["kappa"]), "member: kappa")
    return c["statement"]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            print("true   ", name, check(name))
        except (ValueError, KeyError, OSError, TypeError, AttributeError) as why:
            print("REFUSED", name, repr(why))
