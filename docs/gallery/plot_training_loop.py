"""
The projector inside one's own training loop
============================================

An operator is a ``torch.nn.Module`` with an exact adjoint: a layer like any other. Here a small network learns to mend
filtered images of a few views, with the misfit to the data in its loss. Nothing else of this library is needed.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import ctrecon as ct
from ctrecon.operators.choose import choose_operator

grid = ct.Grid(rows=48, columns=48, pixel_mm=1.0)
scanner = ct.ParallelBeam(angles_rad=np.arange(16) * np.pi / 16, detector_count=70)
A = choose_operator(scanner, grid)
A = (2.0 / float(A.norm())) * A  # of norm 2, which steps of about 1 suit


def blobs(count):
    """Discs at random: images [count, 1, 48, 48], in units of 0.01/mm."""
    centre = torch.rand(count, 5, 2, 1, 1) * 32 + 8
    radius = torch.rand(count, 5, 1, 1) * 6 + 3
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    inside = (y - centre[:, :, 0]) ** 2 + (x - centre[:, :, 1]) ** 2 < radius**2
    return inside.float().sum(1, keepdim=True)


torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Conv2d(2, 24, 3, padding=1), torch.nn.ReLU(),
    torch.nn.Conv2d(24, 24, 3, padding=1), torch.nn.ReLU(),
    torch.nn.Conv2d(24, 1, 3, padding=1),
)


def reconstructed(f):
    """Four steps down the misfit, each mended by the network."""
    u = torch.zeros(len(f), 1, 48, 48)
    for _ in range(4):
        u = u + network(torch.cat((u, A.T(f - A(u))), dim=1))
    return u


optimiser, losses = torch.optim.Adam(network.parameters(), lr=3e-3), []
for _ in range(120):
    truth = blobs(4)
    f = A(truth)
    u = reconstructed(f)
    loss = (u - truth).square().mean() + 0.1 * (A(u) - f).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.3g} -> {losses[-1]:.3g}")
assert losses[-1] < 0.2 * losses[0]

# %%
# :doc:`/tutorial_layer` goes on: second derivatives, half precision, and how such a network becomes a certified method.

with torch.no_grad():
    truth = blobs(1)
    pictures = {"truth": truth, "16 views, mended": reconstructed(A(truth))}
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for ax, (name, image) in zip(axes, pictures.items(), strict=False):
    ax.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=float(truth.max()))
    ax.set(title=name, xticks=[], yticks=[])
axes[2].semilogy(losses)
axes[2].set(title="loss", xlabel="step")
plt.show()
