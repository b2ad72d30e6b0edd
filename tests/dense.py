"""A second construction of the operators and bounds, dense and in other words than the checker's.

Each ray is walked pixel by pixel: what pixel (row, column) gets is the ray's length per line times the hat function of
its distance, along the line, to the crossing with the line of pixel centres.
"""

import numpy as np


def arc_fan_rays(values):
    """Source and cell of each ray of the certificate's ``geometry``, as complex numbers x + i y, ``[views, cells]``."""
    t = np.array(values["angles_rad"])[:, None]
    g = (np.arange(values["detector_count"]) - (values["detector_count"] - 1) / 2) * values["detector_spacing_mm"]
    g = (g + values["detector_offset_mm"]) / values["source_to_detector_mm"]
    nominal = -1j * values["source_to_axis_mm"] * np.exp(1j * t)
    cell = nominal + 1j * values["source_to_detector_mm"] * np.exp(1j * t) * np.exp(-1j * g)
    turned = t + np.array(values["source_angle_shift_rad"])[:, None]
    radius = values["source_to_axis_mm"] + np.array(values["source_radius_shift_mm"])[:, None]
    return -1j * radius * np.exp(1j * turned) + 0 * g, cell


def free_rays(values):
    """The same of a geometry that states each view."""
    source, middle, axis = (
        (np.array(values[name]) @ [1, 1j])[:, None] for name in ("source", "detector_mm", "detector_axis")
    )
    s = (np.arange(values["detector_count"]) - (values["detector_count"] - 1) / 2) * values["detector_spacing_mm"]
    radius = values["detector_radius_mm"]
    if radius:
        # The cells lie on a circle about a point on the source's side; z e^(i g) turns by g.
        side = np.sign((np.conj(axis) * (source - middle)).imag)
        centre = middle + side * 1j * radius * axis
        cell = centre + (middle - centre) * np.exp(1j * side * s / radius)
    else:
        cell = middle + s * axis
    return (cell, source + 0 * cell) if values["parallel"] else (source + 0 * cell, cell - source)


def rays(values):
    """A point of each ray and its direction, as complex numbers, ``[views, cells]``."""
    if values["geometry"] == "vectors":
        return free_rays(values)
    if values["geometry"] == "arc-fan":
        source, cell = arc_fan_rays(values)
        return source, cell - source
    t = np.array(values["angles_rad"])[:, None]
    s = (np.arange(values["detector_count"]) - (values["detector_count"] - 1) / 2) * values["detector_spacing_mm"]
    s = s + values["detector_offset_mm"]
    if values["geometry"] == "parallel":
        return s * np.exp(1j * t), -1j * np.exp(1j * t) + 0 * s
    source = -1j * values["source_to_axis_mm"] * np.exp(1j * t) + 0 * s
    return source, (s + 1j * values["source_to_detector_mm"]) * np.exp(1j * t)


def matrix(operator):
    """The dense matrix of a certificate's operator, ``[data, pixels]``."""
    if operator["projector"] == "matrix":
        raise ValueError("that one is dense already")
    grid = operator["grid"]
    rows, columns, (x0, y0) = grid["rows"], grid["columns"], grid.get("centre_mm", (0.0, 0.0))
    dy, dx = np.broadcast_to(grid["pixel_mm"], 2)
    x = (x0 + (np.arange(columns) - (columns - 1) / 2) * dx)[None, :]
    y = (y0 + ((rows - 1) / 2 - np.arange(rows)) * dy)[:, None]
    result = []
    for point, way in zip(*(part.ravel() for part in rays(operator["geometry"])), strict=True):
        if abs(way.imag) / dy >= abs(way.real) / dx * (1 - 1e-9):
            apart = (x - (point.real + (y - point.imag) * way.real / way.imag)) / dx
            length = dy * abs(way) / abs(way.imag)
        else:
            apart = (y - (point.imag + (x - point.real) * way.imag / way.real)) / dy
            length = dx * abs(way) / abs(way.real)
        result.append((length * np.maximum(1 - np.abs(apart), 0)).ravel())
    return np.array(result)


def differences(rows, columns):
    """``D [2 pixels, pixels]``: the differences along rows, then along columns."""
    down, right = (np.eye(n, k=1) - np.eye(n) for n in (rows, columns))
    down[-1], right[-1] = 0, 0
    return np.vstack([np.kron(down, np.eye(columns)), np.kron(np.eye(rows), right)])


def total_variation(image):
    both = (differences(*image.shape) @ image.ravel()).reshape(2, -1)
    return float(np.hypot(*both).sum())


def misfit_bound(A, f, w, lo, hi, y):
    s = A.T @ (np.sqrt(w) * y)
    return float(((y * np.sqrt(w) * f).sum() - np.maximum(lo * s, hi * s).sum()) / np.linalg.norm(y))


def lower_end(A, f, w, lo, hi, delta, kappa, c, y, p):
    s = c.ravel() + A.T @ (np.sqrt(w) * y) + differences(*c.shape).T @ p.ravel()
    steepest = np.hypot(p[0], p[1]).max()
    ends = np.minimum(lo * s, hi * s).sum()
    return float(ends - (y * np.sqrt(w) * f).sum() - delta * np.linalg.norm(y) - kappa * steepest)
