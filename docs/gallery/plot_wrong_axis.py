"""
An axis in the wrong place, found
=================================

A scan whose file puts the rotation axis six cells aside gives an image with doubled edges. ``ct.diagnose`` tries the
slips that people make, and ranks them by how much of the contradiction in the data each one explains.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import torch

import ctrecon as ct

simulated = ct.simulate("head", size=80, views=72, noise=0.01, seed=7)
honest = simulated.scan
middle = (honest.sinogram.shape[1] - 1) / 2
wrong = replace(honest, geometry=honest.geometry.with_center(middle + 6))

found = ct.diagnose(wrong)
print(found)
first = found.findings[0]
assert first.cause == "axis"

# %%
# Every finding has the scan as it would be without the slip, which is reconstructed like any other. In a terminal:
# ``ctrecon diagnose scan.npz --apply -o mended.npz``.

def filtered(scan):
    """Plain filtered back projection, which hides nothing."""
    return ct.operator(scan).fbp(torch.from_numpy(scan.sinogram).float()[None, None])[0, 0].numpy()


images = {"as the file says": filtered(wrong), "as the diagnosis says": filtered(first.scan)}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, (title, image) in zip(axes, images.items(), strict=False):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[:2], label="attenuation in 1/mm", shrink=0.8)
axes[2].bar(["before", "after"], [first.before, first.after], color=["tab:red", "tab:green"], width=0.6)
axes[2].set(title=f"what the best image leaves: {first.cause}", ylabel="misfit as a share of the data")
axes[2].spines[["top", "right"]].set_visible(False)
plt.show()
