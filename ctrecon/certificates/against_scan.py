"""Is a certificate about this scan? Its data, weights and operator beside those of the scan, value by value.

The checker proves a sentence about the data that lie beside a certificate; that these were measured is not in it. Here
they are compared with a scan that was read again. The image's grid is a choice of whoever reconstructed, and is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctrecon.certificates.parts import geometry_claim, operator_claim
from ctrecon.certificates.verify import Verdict
from ctrecon.errors import GeometryError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

ROUNDING = 1e-6
"""Of the largest value: what another machine's logarithms and interpolation may differ by. Noise is far above."""

AGREES = f"value by value, to {ROUNDING:g} of the largest"
"""How closely, in words."""


def difference(verdict: Verdict, scan: Scan) -> str:
    """What of a valid certificate is not the scan's.

    Args:
        verdict: The checker's, valid, with the certificate's entries and arrays.
        scan: As it was reconstructed: with its corrections, centre and chosen views.

    Returns:
        A clause with the values of the first difference; "" where all agrees.

    Raises:
        ValueError: For a certificate that does not hold.
    """
    if not verdict.valid:
        raise ValueError("a certificate that does not hold is of no scan; see its reason")
    arrays = verdict.arrays
    return (
        _values("data", arrays["data"], scan.sinogram)
        or _weights(arrays.get("weights"), scan)
        or _operator(verdict.claims["operator"], scan)
    )


def _values(what: str, certified: Array, own: Array) -> str:
    if certified.shape != own.shape:
        here, there = (" x ".join(map(str, shape)) for shape in (certified.shape, own.shape))
        return f"its {what} are {here} (views x cells), those of the scan {there}"
    f, g = certified.astype(np.float64), own.astype(np.float64)
    off = np.abs(f - g)
    count = int(np.count_nonzero(off > ROUNDING * float(np.abs(g).max())))
    if not count:
        return ""
    at = np.unravel_index(int(off.argmax()), off.shape)
    view, cell = (int(k) for k in at[:2])
    return (
        f"{count} of its {f.size} {what} differ from the scan's, most in view {view}, cell {cell}: {f[at]:.6g} in the "
        f"certificate, {g[at]:.6g} in the scan"
    )


def _weights(certified: Array | None, scan: Scan) -> str:
    if certified is None:
        # It speaks of the 2-norm, in which every value counts alike.
        return "" if scan.mask is None else "it counts all rays, and some are missing from the scan"
    if scan.variance is None and scan.mask is None:
        return "it weighs the rays, and the scan has no variances to weigh them by"
    fault = ""
    for whitened in (True, False):  # by their variances, or only those that are missing by 0
        own = scan.weights(whitened=whitened)
        if own is not None:
            fault = fault or _values("weights", certified, own)
            if not _values("weights", certified, own):
                return ""
    return fault


def _operator(claimed: Mapping[str, Any], scan: Scan) -> str:
    if scan.matrix is not None:
        own, _ = operator_claim(None, None, scan.matrix)
        return "" if own == claimed else "its operator is not the matrix that the scan brings"
    if "geometry" not in claimed or scan.geometry is None:
        return "its operator is a stored matrix, and the scan has a geometry"
    try:
        own = geometry_claim(scan.geometry)
    except GeometryError as why:
        return f"the scan's geometry cannot be certified ({why})"
    return _geometry(claimed["geometry"], own)


def _geometry(claimed: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """The first entry that differs. Lengths count in cells of the detector, all else as it is."""
    if claimed["geometry"] != own["geometry"]:
        return f"its geometry is {claimed['geometry']}, that of the scan {own['geometry']}"
    for name in sorted(own):
        a, b = claimed[name], own[name]
        if isinstance(b, str | bool):
            fault = "" if a == b else f"{a} and {b}"
        else:
            unit = float(own["detector_spacing_mm"]) if name.endswith("_mm") or name == "source" else 1.0
            fault = _numbers(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), unit)
        if fault:
            return f"its geometry differs from that of the scan in {name}: {fault}"
    return ""


def _numbers(a: Array, b: Array, unit: float) -> str:
    if a.shape != b.shape:
        return f"{len(a)} and {len(b)} views"
    off = np.abs(a - b)
    if not bool((off > ROUNDING * np.maximum(np.abs(b), unit)).any()):
        return ""
    if a.ndim == 0:
        return f"{float(a):.8g} and {float(b):.8g}"
    at = np.unravel_index(int(off.argmax()), off.shape)
    return f"{a[at]:.8g} and {b[at]:.8g} in view {int(at[0])}"

