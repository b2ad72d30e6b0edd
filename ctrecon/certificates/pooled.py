"""The certificate of super-resolution: an image that, averaged over squares, is the given one, pixel by pixel.

A feasible certificate like that of ``feasible.py``, with the operator "pooling" and the norm "max".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrecon.certificates import feasible, verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.errors import InputError, SettingError

Array = npt.NDArray[Any]
UNIT = "grey levels"


def certify_pooled(
    image: Array, data: Array, scale: int, tolerance: float, *, unit: str = UNIT, source: Path | None = None
) -> FeasibleCertificate | NotCertified:
    """Prove ``max |A u - f| <= tolerance`` for ``image`` and ``data [rows, columns]`` or ``[rows, columns, channels]``.

    What float32 holds without loss is stored so, else float64. ``source`` is the file that the data came from.
    Raises SettingError for an impossible tolerance, InputError for arrays that do not fit.
    """
    if isinstance(tolerance, bool) or not 0 < tolerance <= verify.BOUND[1]:
        raise SettingError(f"the tolerance must be a finite number > 0, got {tolerance!r}")
    u, f = _smallest(image, "image"), _smallest(data, "data")
    operator = {"projector": "pooling", "factor": scale}
    try:
        name = verify.check_operator(operator, list(u.shape), list(f.shape))
    except verify.Refused as why:
        raise InputError(f"this problem cannot be certified: {why}") from None
    found, upper = verify.residual(verify.pooling(scale, u), f, None, "max")
    stated = upper * (1 + feasible.ROOM)
    if not stated <= tolerance:
        reason = f"a pixel, pooled again, differs by {found:.6g}, more than {tolerance:.6g}"
        return NotCertified(residual=found, residual_upper_bound=upper, delta=float(tolerance), reason=reason)
    files = {"image": feasible._npy(u), "data": feasible._npy(f)}
    values: dict[str, Any] = {
        "format": verify.FORMAT,
        "kind": "feasible",
        "limits": verify.LIMITS,
        "norm": "max",
        "delta": float(tolerance),
        "residual": found,
        "residual_upper_bound": stated,
        "operator": operator,
        "image": {**feasible._claim(u, files["image"]), "unit": unit, "pixel_mm": None},
        "data": feasible._claim(f, files["data"]),
        "weights": None,
        "source": None if source is None else feasible._source(source),
        "made_with": feasible._versions(),
    }
    values["statement"] = verify.feasible_statement(values, name, 0)
    return FeasibleCertificate(
        statement=values["statement"], delta=float(tolerance), residual=found, residual_upper_bound=stated,
        values=values, files={**files, "": verify.encode(values)},
    )


def _smallest(values: Array, what: str) -> Array:
    single = np.asarray(values, dtype=np.float32)
    return feasible._plain(single if bool((single == values).all()) else np.asarray(values, dtype=np.float64), what)
