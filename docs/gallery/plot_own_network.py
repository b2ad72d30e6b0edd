"""
A network of one's own, certified
=================================

A network that mends filtered images, as one trains it anywhere, knows nothing of the data once it has been trained.
Given as a direction it says where to go, and the descent sees to it that what comes out explains the scan.
"""

import matplotlib.pyplot as plt
import torch

import ctrecon as ct

grid = ct.Grid(rows=64, columns=64, pixel_mm=2.5)
scanner = ct.ParallelBeam(angles_rad=torch.arange(24) * torch.pi / 24, detector_count=92, detector_spacing_mm=2.5)
made = [ct.simulate("chest", geometry=scanner, grid=grid, noise=0.003, seed=seed) for seed in range(25)]
A = ct.operator(made[0].scan)
filtered = A.fbp(torch.stack([torch.from_numpy(one.scan.sinogram).float()[None] for one in made]))
truths = torch.stack([torch.from_numpy(one.truth).float()[None] for one in made])

torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 5, padding=2), torch.nn.ReLU(),
    torch.nn.Conv2d(16, 16, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 1, 5, padding=2),
)


def mended(image):
    """In units of 1/50 per mm, about which the values lie."""
    return image + network(50 * image) / 50


optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
for _ in range(150):
    some = torch.randint(1, 25, (4,))  # number 0 is kept for the test
    loss = (50 * (mended(filtered[some]) - truths[some])).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# The direction: from where the image is to where the network would have it.

with torch.no_grad():
    once = mended(filtered[:1])
test, delta = made[0], 1.05 * made[0].delta
result = ct.reconstruct(test.scan, delta=delta, direction=lambda point: once - point.u)
f = torch.from_numpy(test.scan.sinogram).float()[None, None]
alone = float((A(once) - f).norm())
print(f"delta {delta:.4g}: network alone leaves {alone:.4g}, as a direction {result.residual:.4g}")
assert result.certified
assert alone > delta

# %%
# A network of the shape that this library trains is given as ``prior``, with its weights in a file
# (:doc:`/training`).

pictures = {
    "filtered back projection": filtered[0, 0].numpy(),
    f"network alone: residual {alone / delta:.1f} delta": once[0, 0].numpy(),
    "as a direction: certified": result.image, "truth": test.truth,
}
fig, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
for ax, (title, image) in zip(axes, pictures.items(), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=test.truth.max())
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
