"""
Super-resolution that keeps to its pixels
=========================================

A camera with large pixels sees the means over squares of a finer picture. A network says what the fine picture looks
like, and the energy sees to it that none of the means is changed.
"""

import matplotlib.pyplot as plt
import torch

from ctrecon.applications.superresolution.enlarge import enlarge, load_superresolution_network

y, x = torch.meshgrid(torch.linspace(0, 2, 96), torch.linspace(0, 2, 96), indexing="ij")
scene = 0.45 + 0.3 * ((x - 1) ** 2 + (y - 0.9) ** 2 < 0.5).float() - 0.35 * ((x + 0.4 * y - 1.1).abs() < 0.05).float()
small = torch.nn.functional.avg_pool2d(scene[None, None], 4)

network = load_superresolution_network("superres-default", scale=4)
pictures = {"given, 24 x 24": small, "interpolated": enlarge(small, 4).u, "network": enlarge(small, 4, network).u}
for name in ("interpolated", "network"):
    u = pictures[name]
    error = float((u - scene).square().mean().sqrt())
    broken = float((torch.nn.functional.avg_pool2d(u, 4) - small).abs().max())
    print(f"{name:>12}: error {error:.4f}, largest change of a mean {broken:.1e}")
    assert broken < 1e-5

# %%
# Both have the given means to the last digits, so the data cannot tell them apart: what is finer than a square of the
# given picture is the network's well-founded guess. ``ctrecon superres photo.png`` does this with files, and writes a
# certificate (:doc:`/tutorial_superres`).

fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (title, image) in zip(axes, {**pictures, "truth": scene[None, None]}.items(), strict=True):
    drawn = ax.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=0.85)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="brightness", shrink=0.8)
plt.show()
