"""
Rings, before and after
=======================

A detector cell that reads a little too much does so in every view: a vertical line in the sinogram, a ring in the
image. A correction takes the lines out of the data, before anything is reconstructed, and the scan keeps a note of it.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import ctrecon as ct
from ctrecon.corrections import corrected

simulated = ct.simulate("chest", beam="parallel", size=96, views=120, noise=0.005, seed=6)
scan = simulated.scan
offsets = np.zeros(scan.sinogram.shape[1])
offsets[[30, 40, 58, 70, 75]] = 0.05 * scan.sinogram.max() * np.array([1, -1, 1, 1, -1])
ringed = ct.Scan(scan.sinogram + offsets, scan.geometry, grid=scan.grid)
mended = corrected(ringed, "rings")
print(mended.notes[-1].partition(";")[0])


def filtered(scan):
    """Plain filtered back projection, which hides nothing."""
    return ct.operator(scan).fbp(torch.from_numpy(scan.sinogram).float()[None, None])[0, 0].numpy()


before, after = filtered(ringed), filtered(mended)
errors = [np.linalg.norm(image - simulated.truth) / np.linalg.norm(simulated.truth) for image in (before, after)]
print(f"error of the image: {errors[0]:.1%} before, {errors[1]:.1%} after")
assert errors[1] < errors[0]

# %%
# The same in one step is ``ct.reconstruct(scan, correct="rings")``, in a terminal ``--correct rings``. Left: the lines
# in the data. A cell far from the axis draws a large ring, a cell near it a small and strong one.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
drawn = axes[0].imshow(ringed.sinogram, cmap="gray", aspect="auto")
axes[0].set(title="the data, five cells off", xlabel="detector cell", ylabel="view")
fig.colorbar(drawn, ax=axes[0], label="line integral")
for ax, image, title in zip(axes[1:], (before, after), ("rings", "corrected"), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[1:], label="attenuation in 1/mm", shrink=0.8)
plt.show()
