"""
An energy of one's own
======================

The descent knows nothing of tomography: an energy is one function of an image. Here a blurred photograph with broken
pixels, which squares would believe more than all others, and a misfit with heavy tails does not.
"""

import matplotlib.pyplot as plt
import torch
from torch.nn.functional import conv2d, conv_transpose2d, pad

from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.energies.base import Energy
from ctrecon.energies.chain import Chain
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.operators.base import LinearOperator


class GaussianBlur(LinearOperator):
    """Out of focus, and a sensor that sees the middle."""

    def __init__(self, size, sigma, radius):
        super().__init__((1, size, size), (1, size - 2 * radius, size - 2 * radius))
        bell = torch.exp(-torch.arange(-radius, radius + 1) ** 2 / (2 * sigma**2))
        self.kernel = (torch.outer(bell, bell) / bell.sum() ** 2)[None, None]

    def _forward(self, x):
        return conv2d(x, self.kernel.to(x))

    def _adjoint(self, y):
        return conv_transpose2d(y, self.kernel.to(y))


class StudentT(Energy):
    """Half the log-likelihood of noise with heavy tails."""

    def __init__(self, f, scale):
        self.f, self.scale = f, scale

    def value(self, image):
        return torch.log1p(((image - self.f) / self.scale) ** 2).flatten(1).sum(1)


torch.manual_seed(0)
A = GaussianBlur(size=64, sigma=1.5, radius=5)
x, y = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="xy")
scene = (0.2 + 0.6 * (x**2 + y**2 < 0.5) - 0.4 * ((x.abs() < 0.15) & (y < 0.4) & (y > -0.5)))[None, None]
photo = A(scene) + 0.01 * torch.randn(1, *A.range_shape)
photo[torch.rand_like(photo) < 0.01] = 1.0  # broken

energies = {
    "squares": 5e3 * LeastSquares(A, photo) + 15.0 * HuberTV(0.02),
    "heavy tails": Chain(StudentT(photo, 0.02), A) + 15.0 * HuberTV(0.02),
}
start = pad(photo, (5, 5, 5, 5), mode="replicate")
pictures = {"photograph": photo}
for name, energy in energies.items():
    *path, end = descend(energy, NegativeGradient(), start, most_iterations=200)
    values = torch.tensor([float(iterate.point.value) for iterate in (*path, end)])
    assert bool((values.diff() <= 0).all())  # the energy never rises
    pictures[name] = end.u
    print(f"{name}: root mean square error {float((end.u - scene).square().mean().sqrt()):.3f}")

# %%
# Gradients, slopes and curvatures were derived from ``value`` alone. :doc:`/tutorial_own_energy` goes on.

fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (title, image) in zip(axes, {**pictures, "truth": scene}.items(), strict=True):
    drawn = ax.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="brightness", shrink=0.8)
plt.show()
