"""Small scans whose certificates speak of all images: infeasible ones, and intervals."""

import json

import dense
import numpy as np

from ctrecon.certificates import verify
from ctrecon.certificates.infeasible import InfeasibleCertificate, exclude
from ctrecon.certificates.parts import Certificate, geometry_claim, seal
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.vector_geometry import VectorGeometry

GRID = Grid(rows=7, columns=9, pixel_mm=0.6)
PARALLEL = ParallelBeam(angles_rad=tuple((np.pi * np.arange(8) / 8 + 0.1).tolist()), detector_count=9,
                        detector_spacing_mm=0.7, detector_offset_mm=0.1)  # fmt: skip
FAN = FanBeam(angles_rad=tuple((2 * np.pi * np.arange(9) / 9).tolist()), detector_count=8, detector_spacing_mm=1.4,
              source_to_axis_mm=20.0, source_to_detector_mm=33.0)  # fmt: skip
ARC = {**FAN.to_dict(), "geometry": "arc-fan", "detector_offset_mm": -0.3,
       "source_angle_shift_rad": np.linspace(-2e-2, 3e-2, 9).tolist(),
       "source_radius_shift_mm": np.linspace(0.5, -0.4, 9).tolist()}  # fmt: skip
OPERATORS = {name: {"projector": "joseph", "geometry": values, "grid": GRID.to_dict()}
             for name, values in {"parallel": PARALLEL.to_dict(), "fan": FAN.to_dict(), "arc-fan": ARC}.items()}
PLACED = Grid(rows=7, columns=9, pixel_mm=(0.5, 0.7), centre_mm=(0.2, -0.4))
FREE = VectorGeometry.of(FAN).with_axis_shift(0.2 * np.random.default_rng(4).normal(size=(9, 2)))
OPERATORS["vectors"] = {"projector": "joseph", "geometry": geometry_claim(FREE), "grid": PLACED.to_dict()}


def scan(case, seed=0, *, noise=0.05, whitened=False):
    """The dense matrix, truth, data and weights of ``OPERATORS[case]``."""
    rng = np.random.default_rng(seed)
    A = dense.matrix(OPERATORS[case])
    truth = rng.random(GRID.shape)
    geometry = OPERATORS[case]["geometry"]
    shape = (verify.views(geometry), geometry["detector_count"])
    f = (A @ truth.ravel() + noise * rng.normal(size=len(A))).reshape(shape)
    weights = rng.random(shape) * 3 if whitened else None
    if weights is not None:
        weights[2, 3:5] = 0
    return A, truth, f, weights


def infeasible(seed=0, *, whitened=False, case="fan"):
    """A certificate that data of much noise are explained by no image from 0 to 1, by a crude dual vector."""
    A, _, f, weights = scan(case, seed, noise=2.0, whitened=whitened)
    w = np.ones(f.size) if weights is None else weights.ravel()
    root = np.sqrt(w)
    u = np.clip(np.linalg.lstsq(A * root[:, None], f.ravel() * root, rcond=None)[0], 0, 1)
    L = np.linalg.norm(A * root[:, None], 2) ** 2
    for _ in range(300):
        u = np.clip(u - A.T @ (w * (A @ u - f.ravel())) / L, 0, 1)
    y = (root * (f.ravel() - A @ u)).reshape(f.shape)
    bound = dense.misfit_bound(A, f.ravel(), w, 0.0, 1.0, y.ravel())
    geometry = {"fan": FAN, "parallel": PARALLEL}[case]
    found = exclude(y, f, geometry, GRID, 0.9 * bound, lo=0.0, hi=1.0, shape=GRID.shape, weights=weights)
    assert isinstance(found, InfeasibleCertificate)
    return found, A, bound


def interval(case="fan", seed=0, *, whitened=False):
    """A true, if wide, interval by random dual vectors; and the dense numbers of its two ends."""
    A, truth, f, weights = scan(case, seed, whitened=whitened)
    rng = np.random.default_rng(seed + 100)
    w = np.ones(f.size) if weights is None else weights.ravel()
    delta = float(np.linalg.norm(np.sqrt(w) * (A @ truth.ravel() - f.ravel()))) * 1.01
    kappa = dense.total_variation(truth) * 1.01
    c = rng.normal(size=GRID.shape) / truth.size
    y, p = ([0.01 * rng.normal(size=shape) for _ in range(2)] for shape in (f.shape, (2, *GRID.shape)))
    ends = [dense.lower_end(A, f.ravel(), w, -0.5, 1.5, delta, kappa, sign * c, y[i].ravel(), p[i])
            for i, sign in enumerate((1, -1))]  # fmt: skip
    stated = {"lower": ends[0] - 1e-9, "upper": -ends[1] + 1e-9}
    numbers = {"norm": "2-norm" if weights is None else "whitened", "delta": delta, "kappa": kappa, "lo": -0.5,
               "hi": 1.5, "region": "a test", **stated}  # fmt: skip
    arrays = {"data": f, "functional": c, "lower_y": y[0], "upper_y": y[1], "lower_p": p[0], "upper_p": p[1]}
    if weights is not None:
        arrays["weights"] = weights
    values, files = seal("interval", numbers, OPERATORS[case], arrays, shape=list(GRID.shape))
    found = Certificate(statement=values["statement"], delta=delta, values=values, files=files)
    return found, A, (ends[0], -ends[1]), truth


def forged(path, change):
    """Change entries of a certificate, and make its statement and its own hash right again."""
    values = json.loads(path.read_bytes())
    change(values)
    weights, beside = None, path.with_name(path.name.replace(".certificate.json", ".weights.npy"))
    if beside.exists():
        weights = np.load(beside)
    shape = values["functional"]["shape"] if "functional" in values else values["image_shape"]
    try:
        name = verify.check_operator(values["operator"], shape, values["data"]["shape"])
        values["statement"] = verify.statement(values, name, 0 if weights is None else int((weights == 0).sum()))
    except (verify.Refused, KeyError, TypeError):
        pass  # the checker is to find that itself
    path.write_bytes(verify.encode(values))
    return path
