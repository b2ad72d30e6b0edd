"""
What do the data leave open? Other images of the same scan
==========================================================

One image looks like an answer. ``ct.members`` makes others that explain the same scan to within the same delta, each
with a certificate of its own: where they all agree the data speak, where they differ somebody chose.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

# Two thirds of half a turn: some edges are seen by no ray.
beam = ct.ParallelBeam(angles_rad=np.arange(50) * np.pi / 75, detector_count=72, detector_spacing_mm=1.0)
grid = ct.Grid(rows=48, columns=48, pixel_mm=1.0)
simulated = ct.simulate("head", geometry=beam, grid=grid, noise=0.02, seed=4)
result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)

members = ct.members(result, count=4, seed=1)
print(members)

# %%
# What is drawn last is the largest value less the smallest, per pixel, over all images that met delta. It is a lower
# bound of what the data leave open: more images can only widen it, and where it is small nothing is proved. For that
# there is the audit (:doc:`/tutorial_audit`).

found = members.found
shown = [("the reconstruction", result.image)] + [(one.name, one.image) for one in found.counted]
top = simulated.truth.max()
fig, axes = plt.subplots(2, 3, figsize=(9.5, 6.4), layout="constrained")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
for ax, (name, image) in zip(axes.flat, shown, strict=False):
    ax.imshow(image, cmap="gray", vmin=0, vmax=top)
    ax.set_title(name)
drawn = axes.flat[-1].imshow(found.range, cmap="magma", vmin=0)
axes.flat[-1].set_title("where they differ")
fig.colorbar(drawn, ax=axes[:, -1], label="attenuation in 1/mm", shrink=0.8)
plt.show()
