"""What the checker computes differs from the truth by no more than it says: many digits, and fractions."""

import math
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scipy.sparse
from certificate_cases import GEOMETRIES, projected

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import NotCertified, certify
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam


def exact_rays(geometry):
    """A point of each ray and its direction, by the formulas of ``docs/guarantees.md`` in many digits."""
    mp = mpmath.mpf
    for view in range(geometry.shape[0]):
        for i in range(geometry.detector_count):
            t = (mp(i) - mp(geometry.detector_count - 1) / 2) * mp(geometry.detector_spacing_mm)
            if geometry.kind == "vectors":
                stated = geometry.source[view], geometry.detector_mm[view], geometry.detector_axis[view]
                (qx, qy), (cx, cy), (ux, uy) = ((mp(a), mp(b)) for a, b in stated)
                radius, ahead = mp(geometry.detector_radius_mm), mp(0)
                if radius:
                    sign = 1 if ux * (qy - cy) > uy * (qx - cx) else -1
                    t, ahead = radius * mpmath.sin(t / radius), sign * radius * (1 - mpmath.cos(t / radius))
                x, y = cx + t * ux - ahead * uy, cy + t * uy + ahead * ux
                yield (x, y, qx, qy) if geometry.parallel else (qx, qy, x - qx, y - qy)
                continue
            angle = mp(geometry.angles_rad[view])
            c, s = mpmath.cos(angle), mpmath.sin(angle)
            t += mp(geometry.detector_offset_mm)
            if geometry.kind == "parallel":
                yield t * c, t * s, s, -c
            else:
                near, far = mp(geometry.source_to_axis_mm), mp(geometry.source_to_detector_mm)
                yield near * s, -near * c, t * c - far * s, t * s + far * c


def exact_projection(geometry, grid, image):
    """``docs/guarantees.md`` in 50 digits, written for this test: ``[views, detectors]`` of mpmath numbers."""
    mp = mpmath.mpf
    (tall, wide), (rows, columns) = map(mp, grid.spacing_mm), grid.shape
    x0, y0 = map(mp, grid.centre_mm)
    result = []
    for px, py, dx, dy in exact_rays(geometry):
        by_row = abs(dy) / tall >= abs(dx) / wide * (1 - mp(10) ** -9)
        total = mp(0)
        for line in range(rows if by_row else columns):
            if by_row:
                y = y0 + (mp(rows - 1) / 2 - line) * tall
                x = (px + (y - py) * dx / dy - x0) / wide + mp(columns - 1) / 2
                values = image[line]
            else:
                x = x0 + (line - mp(columns - 1) / 2) * wide
                x = mp(rows - 1) / 2 - (py + (x - px) * dy / dx - y0) / tall
                values = image[:, line]
            k = int(mpmath.floor(x))
            for pixel_index, weight in ((k, k + 1 - x), (k + 1, x - k)):
                if 0 <= pixel_index < len(values):
                    total += weight * mp(float(values[pixel_index]))
        slope = dx / dy if by_row else dy / dx
        result.append(total * (tall if by_row else wide) * mpmath.sqrt(1 + slope**2))
    return result


@pytest.mark.parametrize("case", GEOMETRIES)
def test_the_bound_holds_against_fifty_digits(case):
    geometry, grid = GEOMETRIES[case]
    rng = np.random.default_rng(5)
    image = rng.normal(size=grid.shape)
    data = rng.normal(size=geometry.shape)
    with mpmath.workdps(50):
        exact = exact_projection(geometry, grid, image)
        truth = mpmath.sqrt(sum((a - mpmath.mpf(float(f))) ** 2 for a, f in zip(exact, data.ravel(), strict=True)))
        values, errors = projected(geometry, grid, image)
        off = [abs(mpmath.mpf(float(v)) - a) for v, a in zip(values, exact, strict=True)]
        assert all(o <= mpmath.mpf(float(e)) for o, e in zip(off, errors, strict=True))
        found, upper = verify.residual((values, errors), data, None, "2-norm")
        assert truth <= mpmath.mpf(upper)
        assert abs(truth - mpmath.mpf(found)) <= mpmath.mpf(upper) - mpmath.mpf(found)
    # The bound says something: it is small, and a detector off by a millionth of a pixel is outside of it.
    assert errors.max() < 1e-9
    moved = replace(grid, centre_mm=tuple(place + 1e-6 for place in grid.centre_mm))
    others = projected(geometry, moved, image)[0]
    assert (np.abs(others - values) > errors).mean() > 0.5


def test_the_bound_of_a_matrix_holds_against_fractions():
    rng = np.random.default_rng(6)
    dense = np.where(rng.random((12, 30)) < 0.6, rng.normal(size=(12, 30)), 0) * 10.0 ** rng.integers(-6, 6, (12, 1))
    image, weights = rng.normal(size=(5, 6)), rng.random((3, 4))
    exact = [sum((Fraction(a) * Fraction(u) for a, u in zip(row, image.ravel().tolist(), strict=True)), Fraction(0))
             for row in dense.tolist()]  # fmt: skip
    # The data cancel the image to the last bits: the relative error of the residual is then large, the bound must be.
    data = np.array([float(value) for value in exact]).reshape(3, 4)
    squares = [Fraction(w) * (a - Fraction(f)) ** 2 for w, a, f in
               zip(weights.ravel().tolist(), exact, data.ravel().tolist(), strict=True)]  # fmt: skip
    found, upper = verify.residual(verify.apply({}, image, scipy.sparse.csr_matrix(dense)), data, weights, "2-norm")
    assert sum(squares) <= Fraction(upper) ** 2
    assert upper < 1e-6
    assert Fraction(found) ** 2 != sum(squares)  # the plain float64 residual is no proof


def test_a_ray_that_rounding_cannot_place_is_not_certified():
    # tan = 1 - 1e-9 up to rounding: rows or columns?
    angle = math.atan2(1, 1 - 1e-9)
    for view in [*np.nextafter(angle, [0, 1]).tolist(), angle]:
        geometry = ParallelBeam(angles_rad=(view,), detector_count=3)
        errors = projected(geometry, Grid(rows=3, columns=3), np.ones((3, 3)))[1]
        assert np.isinf(errors).all()
        image, data = np.zeros((3, 3)), np.zeros((1, 3))
        found = certify(image, data, geometry, Grid(rows=3, columns=3), 1.0)
        assert isinstance(found, NotCertified)
