"""
Two reconstructions of one scan: which of them is right?
========================================================

``ct.compare`` looks for the places where two images differ most, and asks of each whether the data decide. An image
whose contrast lies outside of the certified range is wrong there, if the object is within the limits that are asked of
it; where both lie inside, the data leave it open.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

simulated = ct.simulate("head", size=64, views=60, noise=0.01, seed=12)
right = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)

# Somebody's other image of the same scan: a bright spot that is not there, and no certificate.
other = right.image.copy()
rows, columns = np.mgrid[:64, :64]
other[np.hypot(columns - 35.5, rows - 38.5) <= 4] += 0.6 * simulated.truth.max()

folder = Path(tempfile.mkdtemp())
np.save(folder / "other.npy", other)
compared = ct.compare(right, folder / "other.npy", discs=2, iterations=300, radius=4.0)
print(compared)

# %%
# The verdict is about images, not about programs: any ``.npy`` of the same grid can be compared with a certified one.

worst = compared.found.disputed[0]
print(f"at column {worst.column:.1f}, row {worst.row:.1f}: {worst.verdict}")
top = simulated.truth.max()
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, image, title in zip(axes, (right.image, other), ("A, certified", "B, somebody's"), strict=False):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=top)
    ax.add_patch(plt.Circle((worst.column, worst.row), 6, fill=False, color="tab:orange", linewidth=1.5))
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[:2], label="attenuation in 1/mm", shrink=0.8)
ends = 1e3 * worst.certificate.lower, 1e3 * worst.certificate.upper
axes[2].plot(ends, [0, 0], color="tab:orange", linewidth=8, solid_capstyle="butt", label="certified range")
for contrast, name, marker in zip(worst.contrasts, "AB", "os", strict=True):
    axes[2].plot(1e3 * contrast, 0, marker, color="black", markerfacecolor="white", markersize=9, label=name)
axes[2].set(title="contrast in the circle", xlabel="0.001/mm", yticks=[], ylim=(-1, 1))
axes[2].legend(frameon=False)
axes[2].spines[["top", "right", "left"]].set_visible(False)
plt.show()
