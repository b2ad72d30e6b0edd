"""
A geometry of one's own
=======================

A scanner need not go round in a circle. ``VectorGeometry`` takes, view by view, where the source and the middle of the
detector stand and which way the cells run: here a source on an ellipse, and a detector that faces it.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
source = np.stack([260 * np.sin(turn), -160 * np.cos(turn)], axis=1)  # mm, x to the right and y upwards
facing = -source / np.linalg.norm(source, axis=1, keepdims=True)
scanner = ct.VectorGeometry(
    source=source.tolist(), detector_mm=(120 * facing).tolist(),
    detector_axis=np.stack([facing[:, 1], -facing[:, 0]], axis=1).tolist(),
    detector_count=128, detector_spacing_mm=1.8,
)
grid = ct.Grid(rows=80, columns=80, pixel_mm=1.2)
simulated = ct.simulate("head", geometry=scanner, grid=grid, noise=0.01, seed=9)

result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)
print(result)
assert result.certified

# %%
# No formula for filtered back projection fits such an orbit; the descent needs none, only the projector and its
# adjoint. A file states such a scanner as :doc:`/units` says.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
axes[0].plot(*source.T, ".", color="tab:orange", markersize=4, label="source")
axes[0].plot(*(120 * facing).T, ".", color="tab:blue", markersize=4, label="middle of the detector")
half = 48
axes[0].fill([-half, half, half, -half], [-half, -half, half, half], color="0.85", label="image")
axes[0].set(title="where they stand", xlabel="x in mm", ylabel="y in mm", aspect="equal", ylim=(-180, 330))
axes[0].legend(loc="upper center", frameon=False, fontsize=8)
for ax, image, title in zip(axes[1:], (simulated.truth, result.image), ("truth", "certified image"), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[1:], label="attenuation in 1/mm", shrink=0.8)
plt.show()
