"""
A first reconstruction
======================

A scan of a phantom with noise, the image, and the proof that it explains the data.
"""

# The ten lines
import ctrecon as ct

simulated = ct.simulate("head", size=128, views=90, noise=0.01, seed=1)
scan = simulated.scan                             # yours: ct.read_scan("scan.h5")
result = ct.reconstruct(scan, delta="auto")
print(result)
print(f"||Au - f|| = {result.residual:.3f}, certified: {result.certified}")
print(f"image {result.image.shape} in 1/mm, pixels of {scan.grid.pixel_mm:.2f} mm")

figure = result.show()

# %%
# ``delta="auto"`` estimated from the sinogram how far noise alone takes the data from ``Au``. The network stopped as
# soon as the image was that close. Here the truth is known, so the error can be seen, too;
# a scanner's data do not tell it.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
top = simulated.truth.max()
for ax, image, title in zip(axes, (simulated.truth, result.image), ("truth", "certified image"), strict=False):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=top)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[:2], label="attenuation in 1/mm", shrink=0.8)
error = axes[2].imshow(result.image - simulated.truth, cmap="RdBu", vmin=-0.1 * top, vmax=0.1 * top)
axes[2].set(title="their difference", xticks=[], yticks=[])
fig.colorbar(error, ax=axes[2], label="1/mm", shrink=0.8)
plt.show()

# %%
# :doc:`/tutorial` goes on from here: saving, checking and repeating; :doc:`/units` says what rows, angles and lengths
# mean.
