"""The certificate of the pixels as a DICOM file stores them: 16 bits, in Hounsfield units.

Rounding can push the residual above delta, where every method stops as late as it may. Then the image takes a small
step down the energy and is rounded anew, until the decoded pixels meet delta.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.errors import InputError
from ctrecon.reconstruction.conclude import Conclusion
from ctrecon.reconstruction.problem import Problem
from ctrecon.reconstruction.step_down import MOST_STEPS, step_down
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class StoredReconstruction:
    """``stored`` (uint16, of the image's shape) and the reconstruction whose image, certificate and residual are those
    of the decoded pixels; its ``image`` is the float32 nearest to them, for pictures. ``steps``: how many were needed.
    """

    stored: npt.NDArray[np.uint16]
    result: Conclusion
    steps: int


def certify_stored(
    result: Conclusion, scale: HounsfieldScale, *, z_mm: float | None = None
) -> StoredReconstruction:
    """Round an image to Hounsfield units and certify what a reader decodes.

    An image that rounding lifts above delta is moved down a few steps. The certificate names no file, unlike one beside
    an image: it travels with the patient's images, and is to be as nameless as they are once de-identified. The hash of
    the data says enough.

    Args:
        result: What was reconstructed and proved.
        scale: Slope and intercept, in HU.
        z_mm: Where the slice stands, which the certificate then names; None of a volume, whose grid says it.

    Returns:
        The stored numbers, and the result with the decoded image; without certificate where that misses delta.

    Raises:
        InputError: Where the image is beyond the scale.
    """
    image = result.image
    for steps in range(MOST_STEPS + 1):
        try:
            stored = scale.store(image)
        except InputError:
            if steps == 0:
                raise
            break  # a step left the range of the series: what was found before stands
        decoded = scale.decode(stored)
        found = _certify(result.problem, decoded, z_mm)
        certificate = found if isinstance(found, FeasibleCertificate) else None
        best = StoredReconstruction(
            stored=stored,
            result=replace(
                result,
                outcome=replace(
                    result.outcome,
                    image=decoded.astype(np.float32),
                    reason=result.outcome.reason if certificate or not result.certified else _too_coarse(scale),
                ),
                certificate=certificate,
                residual=found.residual,
            ),
            steps=steps,
        )
        # An image that missed delta before it was rounded is left as the method made it.
        if certificate is not None or not result.certified:
            break
        lower = step_down(result.problem, image, found, attempt=steps + 1)
        if lower is None:
            break
        image = lower
    return best


def stored_part(result: Conclusion, scale: HounsfieldScale, z_mm: tuple[float, ...]) -> StoredReconstruction:
    """A slice or a volume as a series holds it.

    Args:
        result: What was reconstructed and proved.
        scale: Slope and intercept, in HU.
        z_mm: Where its slices stand.

    Returns:
        As ``certify_stored``.

    Raises:
        InputError: Where a volume would lose its certificate. Of a stack one slice may be without; of a volume there
            would be nothing left. Or the image is beyond the scale.
    """
    in_space = result.problem.scan.in_space
    found = certify_stored(result, scale, z_mm=None if in_space else z_mm[0])
    if in_space and result.certified and not found.result.certified:
        raise InputError(
            f"{result.problem.scan.source}: rounded to {scale.slope:g} HU, as DICOM stores it, the volume misses delta "
            f"({found.result.residual:.6g} > {result.problem.delta.value:.6g}); give -o NAME.npy, or a larger --delta"
        )
    return found


def _too_coarse(scale: HounsfieldScale) -> str:
    return f"met before the pixels were rounded to {scale.slope:g} HU"


def _certify(problem: Problem, decoded: Array, z_mm: float | None) -> FeasibleCertificate | NotCertified:
    return certify(
        decoded,
        problem.scan.sinogram,
        problem.scan.geometry,
        problem.scan.grid,
        problem.delta.value,
        weights=problem.weights,
        matrix=problem.scan.matrix,
        length_unit=problem.scan.length_unit,
        z_mm=z_mm,
    )
