"""Table 1 of the paper: fourfold super-resolution of photographs, by three methods and a few variants.

The truth is the luminance of ITU-R BT.601 in its range of 16 to 235, as MATLAB's ``rgb2ycbcr`` and so the literature
have it, over 255; images are cropped to whole squares. With luminance from 0 to 255 every PSNR would be 1.32 dB lower:
only the former reproduces the paper's gradient descent, which no method stands behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from ctrecon.applications.superresolution.enlarge import ITERATIONS, energy_of, enlarge
from ctrecon.applications.superresolution.network import EstimateDirection
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import ConstantStep
from ctrecon.errors import InputError
from ctrecon.networks.mirrored import Mirrored
from ctrecon.support.arrays import Float64Array
from ctrecon.support.statistics import Estimate, estimate

Method = Callable[[Tensor, int], Tensor]

PAPER_GAIN_DB = {"Set5": 4.35, "Set14": 3.00, "BSD100": 2.03, "Urban100": 2.64}
"""Of the paper's energy dissipation over its gradient descent, fourfold. Gradient descent ends at nearest up-sampling,
which depends on the pictures and the evaluation alone: so gains compare where PSNRs do not."""

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """Means over the images of one set. ``shaved``: without a border of ``scale`` pixels. ``misfit``: ||Au - f||^2.

    ``interval``: that of ``psnr``, by a bootstrap over images, each of another object; ``gain``: of the difference to
    the first method, image by image.
    """

    images: str
    count: int
    method: str
    psnr: float
    ssim: float
    psnr_shaved: float
    ssim_shaved: float
    misfit: float
    interval: Estimate
    gain: Estimate

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"interval": self.interval.to_dict(), "gain": self.gain.to_dict()}


def methods_of(network: nn.Module, baseline: nn.Module | None) -> dict[str, Method]:
    """The columns of the table. The baseline is asked once, at zero; without one, the network's own first answer."""
    methods: dict[str, Method] = {f"gradient descent, {ITERATIONS} iterations": _gradient}
    if baseline is not None:
        methods["baseline network, one pass"] = lambda f, scale: one_pass(baseline, f, scale)
    methods["dissipating network, one pass"] = lambda f, scale: one_pass(network, f, scale)
    methods[f"energy dissipation, {ITERATIONS} iterations"] = lambda f, scale: enlarge(f, scale, network).u
    averaged = Mirrored(network)
    methods["energy dissipation, averaged over 8 symmetries"] = lambda f, scale: enlarge(f, scale, averaged).u
    return methods


def _gradient(data: Tensor, scale: int) -> Tensor:
    energy = energy_of(data, scale)
    start = torch.zeros((data.shape[0], *energy.operator.domain_shape)).to(data)
    # Half of 1 / L: with 1 / L itself, average pooling would be fitted in one step.
    step = ConstantStep(0.5 / energy.lipschitz)
    *_, last = descend(energy, NegativeGradient(), start, step=step, most_iterations=ITERATIONS)
    return last.u


def one_pass(network: nn.Module, data: Tensor, scale: int) -> Tensor:
    """The network's answer at zero, as it is."""
    energy = energy_of(data, scale)
    with torch.no_grad():
        start = torch.zeros((data.shape[0], *energy.operator.domain_shape)).to(data)
        return start + EstimateDirection(network, energy)(energy.at(start))


def luminance(path: Path, scale: int) -> Tensor:
    """``[1, 1, rows, columns]`` of 16/255 to 235/255, cropped to multiples of ``scale``, float32."""
    with PillowImage.open(path) as image:
        rgb = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    y = (16 + rgb @ np.array([65.481, 128.553, 24.966])) / 255
    rows, columns = (side - side % scale for side in y.shape)
    if min(rows, columns) < 4 * scale:
        raise InputError(f"{path.name} is too small: {y.shape[0]} x {y.shape[1]} pixels")
    return torch.from_numpy(y[:rows, :columns].astype(np.float32))[None, None]


def table(folders: Sequence[Path], methods: dict[str, Method], scale: int) -> Iterator[SetRow]:
    """Every method on every folder of images. Raises InputError for a folder without any."""
    for folder in folders:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
        if not paths:
            raise InputError(f"{folder} holds no images ({', '.join(PICTURES)})")
        truths = [luminance(path, scale) for path in paths]
        first: Float64Array | None = None
        for name, method in methods.items():
            each = np.array([_scores(method, truth, scale) for truth in truths])
            first = each if first is None else first
            scores, objects = each.mean(axis=0).tolist(), range(len(truths))
            keys = ("psnr", "ssim", "psnr_shaved", "ssim_shaved", "misfit")
            yield SetRow(
                images=folder.name, count=len(truths), method=name, **dict(zip(keys, scores, strict=True)),
                interval=estimate(each[:, 0].tolist(), objects),
                gain=estimate((each[:, 0] - first[:, 0]).tolist(), objects),
            )


def _scores(method: Method, truth: Tensor, scale: int) -> list[float]:
    energy = energy_of(torch.nn.functional.avg_pool2d(truth, scale), scale)
    u = method(energy.data, scale)
    misfit = 2 * float(energy.at(u).value)
    image, true = u[0, 0].double().numpy(), truth[0, 0].double().numpy()
    inner = (slice(scale, -scale),) * 2
    return [*quality(image, true), *quality(image[inner], true[inner]), misfit]


def quality(image: Float64Array, true: Float64Array) -> tuple[float, float]:
    """PSNR in dB for a peak of 1, and SSIM as Z. Wang et al. define it (2004: Gaussian window, sigma 1.5)."""
    shown = np.clip(image, 0, 1)
    error = float(np.mean((shown - true) ** 2))
    measure: Any = structural_similarity
    ssim = measure(
        shown, true, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return 10 * float(np.log10(1 / max(error, 1e-20))), float(ssim)
