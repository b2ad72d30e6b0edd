"""PSNR and SSIM as the challenge of LoDoPaB-CT defines them.

With the largest minus the smallest value of the true image as the range of the data, or ("FR") with 1, the full range
of the set's images (J. Leuschner et al., "Quantitative comparison of deep learning-based image reconstruction methods
for low-dose and sparse-angle CT applications", J. Imaging 7, 44, 2021). SSIM is that of scikit-image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from skimage.metrics import structural_similarity

from ctrecon.errors import SettingError
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Of one image: PSNR in dB and SSIM, by the true image's range and by the full range."""

    psnr: float
    ssim: float
    psnr_fr: float
    ssim_fr: float

    def to_dict(self) -> dict[str, float]:
        """For JSON.

        Returns:
            All fields by name.
        """
        return asdict(self)


def measures(image: Float64Array, truth: Float64Array, full_range: float) -> Measures:
    """How close an image is to the truth.

    Args:
        image: ``[rows, columns]``.
        truth: Of the same shape and unit.
        full_range: What the set calls 1, in that unit.

    Returns:
        PSNR and SSIM by both ranges.

    Raises:
        SettingError: For other shapes or a flat truth.
    """
    if image.shape != truth.shape:
        raise SettingError(f"the image has shape {list(image.shape)}, the truth {list(truth.shape)}")
    own = float(truth.max() - truth.min())
    if not own > 0:
        raise SettingError("the truth is constant: a PSNR has no peak to refer to")
    error = float(np.mean(np.square(image - truth)))
    (psnr, ssim), (psnr_fr, ssim_fr) = (
        (10 * float(np.log10(span**2 / error)), _ssim(image, truth, span)) for span in (own, full_range)
    )
    return Measures(psnr=psnr, ssim=ssim, psnr_fr=psnr_fr, ssim_fr=ssim_fr)


def _ssim(image: Float64Array, truth: Float64Array, span: float) -> float:
    return float(structural_similarity(truth, image, data_range=span))  # type: ignore[no-untyped-call]
