"""Scans with certificates of every kind, and ways to tamper with them."""

import json
import math

import numpy as np
import scipy.sparse

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, certify
from ctrecon.certificates.parts import geometry_claim
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.vector_geometry import VectorGeometry
from ctrecon.operators.sparse import joseph_matrix

HALF_TURN = tuple((math.pi * np.arange(9) / 9).tolist())
TURN = tuple((2 * math.pi * np.arange(8) / 8).tolist())  # holds all the 45 degree ties
GEOMETRIES = {
    "parallel": (ParallelBeam(angles_rad=HALF_TURN, detector_count=14), Grid(rows=12, columns=12)),
    "ties": (ParallelBeam(angles_rad=TURN, detector_count=16), Grid(rows=12, columns=12)),
    "offset": (
        ParallelBeam(angles_rad=HALF_TURN, detector_count=15, detector_spacing_mm=0.3, detector_offset_mm=0.17),
        Grid(rows=11, columns=13, pixel_mm=0.31),
    ),
    "fan": (
        FanBeam(angles_rad=TURN, detector_count=17, detector_spacing_mm=0.5, detector_offset_mm=-0.2,
                source_to_axis_mm=30.0, source_to_detector_mm=45.0),
        Grid(rows=9, columns=14, pixel_mm=0.4),
    ),
    "source inside": (
        FanBeam(angles_rad=HALF_TURN, detector_count=11, detector_spacing_mm=2.0, source_to_axis_mm=2.0,
                source_to_detector_mm=5.0),
        Grid(rows=12, columns=10),
    ),
    "free arc": (
        VectorGeometry.of(ArcFanBeam(angles_rad=TURN, detector_count=17, detector_spacing_mm=0.5,
                                     detector_offset_mm=-0.2, source_to_axis_mm=30.0, source_to_detector_mm=45.0))
        .with_axis_shift(0.3 * np.random.default_rng(1).normal(size=(8, 2))),
        Grid(rows=9, columns=14, pixel_mm=(0.55, 0.3), centre_mm=(0.7, -1.1)),
    ),
    "free fan": (
        VectorGeometry.of(FanBeam(angles_rad=HALF_TURN, detector_count=17, detector_spacing_mm=0.5,
                                  source_to_axis_mm=30.0, source_to_detector_mm=45.0))
        .with_detector_turn(0.2 * np.random.default_rng(2).normal(size=9)),
        Grid(rows=12, columns=11, pixel_mm=0.4),
    ),
    "free parallel": (
        VectorGeometry.of(ParallelBeam(angles_rad=HALF_TURN, detector_count=14))
        .with_detector_shift(np.random.default_rng(3).normal(size=9)),
        Grid(rows=16, columns=9, pixel_mm=(0.6, 1.2), centre_mm=(-0.5, 0.25)),
    ),
}  # fmt: skip
CASES = [*GEOMETRIES, "whitened", "matrix"]


def problem(case, seed=0):
    """Image, data and the keywords of ``certify``; the data are the image's own line integrals plus noise."""
    rng = np.random.default_rng(seed)
    geometry, grid = GEOMETRIES.get(case, GEOMETRIES["offset"])
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.05)
    matrix = joseph_matrix(geometry, grid, np.float64)
    kept = {"geometry": geometry, "grid": grid}
    if case == "matrix":
        matrix = scipy.sparse.random(40, image.size, 0.2, "csr", dtype=np.float32, rng=rng)
        kept = {"geometry": None, "grid": None, "matrix": matrix}
    exact = matrix.astype(np.float64) @ image.ravel().astype(np.float64)
    data = (exact + 0.01 * rng.normal(size=exact.size)).reshape(-1, 8 if case == "matrix" else geometry.detector_count)
    if case in ("fan", "matrix"):
        data = data.astype(np.float32)
    weights = None
    if case == "whitened":
        weights = rng.random(data.shape, dtype=np.float32) * 100
        weights[1, 2:5] = 0
        kept["weights"] = weights
    misfit = np.sqrt(1 if weights is None else weights.astype(np.float64)) * (exact.reshape(data.shape) - data)
    return image, data, kept, float(np.linalg.norm(misfit))


def written(case, folder):
    image, data, kept, residual = problem(case)
    certificate = certify(image, data, delta=residual * (1 + 1e-5), **kept)
    assert isinstance(certificate, FeasibleCertificate)
    return certificate.write(folder / "scan.npy", overwrite=True)


def forge(path, change):
    """Change entries of a certificate and make its own hash right again."""
    values = json.loads(path.read_bytes())
    change(values)
    path.write_bytes(verify.encode(values))
    return path


def projected(geometry, grid, image):
    """``A u`` and the bound on the error of each value, by the checker."""
    return verify.apply({"geometry": geometry_claim(geometry), "grid": grid.to_dict()}, image, None)


def restate(values):
    """Make the statement fit the numbers again, so that only the numbers can be at fault."""
    name = verify.check_operator(values["operator"], values["image"]["shape"], values["data"]["shape"])
    values["statement"] = verify.statement(values, name, 0)
