"""What a reconstruction comes to, in a line for a person and as plain values for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.reconstruction.conclude import Conclusion, Missed
from ctrecon.support.rounded import at_least, at_most
from ctrecon.support.troubles import see

# No model error that is usual in CT (discretisation, scatter, hardening, gain) leaves more of the data unexplained.
_PLAUSIBLE = 0.03


def verdict(result: Conclusion) -> str:
    """What is proved of the image, or how far it is from delta and what to do, in a line."""
    delta, count, missed = result.problem.delta, result.iterations, result.missed
    unit = result.problem.scan.units.after
    after = f"after {count} iteration{'s' if count != 1 else ''}, {result.seconds:.1f} s"
    worth = "" if result.worth is None or not result.worth.said else f"; {result.worth.said}"
    if result.certificate is not None:
        said = f"certified {after}: residual {result.residual:.6g} <= delta {delta.value:.6g}{worth}"
        if result.structure is not None and result.structure.structured:
            said += f"; but {result.structure.said}"
        if result.below_zero is not None:
            said += f"; but {result.below_zero}"
        return said if result.doubts is None else f"{said}; but the scan itself is in doubt: {_doubt(result)}"
    if missed is None:
        return (
            f"not certified {after} ({result.outcome.reason}): the residual is {result.residual:.6g}, "
            f"delta {delta.value:.6g}; {_advice(result, result.residual)}; {see('delta-not-met')}"
        )
    if missed.certificate is not None:
        return (
            f"infeasible {after}: no image on this grid with 0 <= u <= {at_most(missed.most_attenuation)}{unit} meets "
            f"delta {at_most(delta.value, 6)}, which is proved; the smallest delta not excluded is "
            f"{at_most(missed.lower_bound, 6)}, the best residual found "
            f"there {missed.best_residual:.6g}{worth}; {_advice(result, missed.best_residual)}; {see('infeasible')}"
        )
    return (
        f"delta not met {after} ({result.outcome.reason}): the residual is {result.residual:.6g}, "
        f"{result.residual / delta.value:.3g} times delta; {_undecided(missed, delta.value, unit)}; "
        f"{_instead(result, missed)}; {see('delta-not-met')}"
    )


def _instead(result: Conclusion, missed: Missed) -> str:
    """What to try. Where an image that meets delta is known, the method missed it, so geometry and data are not blamed
    but for a fault that was seen.
    """
    other = "try another --method" if result.method == "fbp" else "try more --iterations or another --method"
    if missed.best_residual > result.problem.delta.value:
        advice = _advice(result, result.residual)
        return f"{other}; {advice}" if result.method == "fbp" else advice
    mendable = result.doubts is not None and result.doubts.findings[0].scan is not None
    return f"{other}; likely, {_doubt(result)}" if mendable else other


def _doubt(result: Conclusion) -> str:
    """The likeliest finding, and how to see and mend it."""
    assert result.doubts is not None
    said = str(result.doubts.findings[0])
    if result.doubts.mirror_images:
        said += " (or its mirror image: the data cannot tell which)"
    do = "see it" if result.doubts.findings[0].scan is None else "see and mend it"
    return f"{said}; {do} by `ctrecon diagnose`"


def _advice(result: Conclusion, residual: float) -> str:
    """What is likely wrong; a larger delta is offered only where usual errors of the model can explain the misfit."""
    if result.doubts is not None and result.doubts.findings[0].scan is not None:
        return f"likely, {_doubt(result)}"
    grid = result.problem.grid
    length = result.problem.scan.units.length
    finer = "" if grid is None else f"try pixels smaller than {max(grid.spacing_mm):.3g} {length} (--pixel-mm)"
    share = residual / _size(result)
    if result.doubts is not None:
        return "; ".join(part for part in (f"likely, {_doubt(result)}", finer) if part)
    known = "no known slip explains it (`ctrecon diagnose`)"
    if share <= _PLAUSIBLE:
        delta = f"--delta {residual * 1.01:.4g}"
        last = f"if an error of {share:.1%} of the norm of the data is what your scanner makes, {delta}"
        return "; ".join(part for part in (known, finer, last) if part)
    size = f"{share:.0%} of the norm of the data"
    most = f"{size} is more than noise and usual errors of a model leave: check geometry and data"
    return "; ".join(part for part in (most, known, finer) if part)


def _size(result: Conclusion) -> float:
    """``||f||`` in the norm of delta."""
    weights, f = result.problem.weights, result.problem.scan.sinogram.astype(np.float64)
    return float(np.sqrt((f**2 * (1.0 if weights is None else weights)).sum())) or 1.0


def _undecided(missed: Missed, delta: float, unit: str) -> str:
    most = missed.most_attenuation
    if missed.best_residual <= delta:
        box = f"0 <= u <= {at_least(most)}{unit}"
        return f"an image with {box} that meets delta was found by the solver (residual {missed.best_residual:.6g})"
    return (
        f"whether any image with 0 <= u <= {at_most(most)}{unit} meets delta is not decided: none is below "
        f"{at_most(missed.lower_bound, 6)}, "
        f"the best found has {missed.best_residual:.6g}"
    )


def facts(result: Conclusion, written: Mapping[str, Path]) -> dict[str, Any]:
    """The same as plain values, with the paths of what was ``written`` by what it is."""
    grid, operator = result.problem.grid, result.problem.operator
    return {
        "status": _status(result),
        "reason": result.outcome.reason,
        "method": result.method,
        "prior": None if result.settings is None else result.settings.prior,
        "delta": result.problem.delta.value,
        "norm": result.problem.delta.norm,
        "delta_from": result.problem.delta.how,
        "model_error": result.problem.delta.model_error,
        "discretisation": result.problem.delta.discretisation,
        "residual": result.residual,
        "says_nothing": [] if result.worth is None else list(result.worth.nothing),
        "says_little": [] if result.worth is None else list(result.worth.little),
        **({} if result.missed is None else _known(result.missed)),
        "iterations": result.iterations,
        "image": str(written["image"]) if "image" in written else None,
        "shape": list(result.image.shape),
        "pixel_mm": None if grid is None else grid.to_dict()["pixel_mm"],
        "unit": result.problem.scan.units.attenuation or None,
        "certificate": str(written["certificate"]) if "certificate" in written else None,
        "preview": str(written["preview"]) if "preview" in written else None,
        "operator": type(operator).__name__,
        "seconds": round(result.seconds, 3),
        "undecided_beyond_mm": result.problem.scan.undecided_beyond_mm,
        "structure": None if result.structure is None else result.structure.to_dict(),
        "doubts": None if result.doubts is None else result.doubts.to_dict(),
        "notes": list(result.problem.scan.notes),
    }


def _status(result: Conclusion) -> str:
    if result.certificate is not None:
        return "certified"
    return "infeasible" if result.missed is not None and result.missed.certificate is not None else "delta not met"


def _known(missed: Missed) -> dict[str, float]:
    return {
        "smallest_delta_not_excluded": missed.lower_bound,
        "best_residual_in_box": missed.best_residual,
        "most_attenuation": missed.most_attenuation,
    }
