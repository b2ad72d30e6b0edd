"""How close an image is to the truth."""

from __future__ import annotations

import torch
from torch import Tensor

from ctrecon.errors import SettingError


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """``10 log10(peak^2 / MSE)``, where ``peak`` is the truth's largest value minus its smallest one.

    Args:
        image: ``[batch, ...]``.
        truth: Of the same shape.

    Returns:
        In dB, float64 ``[batch]``; infinite for equal images.

    Raises:
        SettingError: For other shapes or a flat truth.
    """
    if image.shape != truth.shape:
        raise SettingError(f"the image has shape {list(image.shape)}, the truth {list(truth.shape)}")
    u, t = image.double().flatten(1), truth.double().flatten(1)
    peak = t.amax(1) - t.amin(1)
    if bool((peak <= 0).any()):
        raise SettingError("the truth is constant: a PSNR has no peak to refer to")
    return 10 * torch.log10(peak**2 / (u - t).square().mean(1))
