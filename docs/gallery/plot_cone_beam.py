"""
A cone beam
===========

A volume is an image with three axes: the same call, one certificate for all of it. The body has exact line integrals,
so the scan is not made by the operator that it is reconstructed with.
"""

import matplotlib.pyplot as plt

import ctrecon as ct

simulated = ct.simulate("trunk", beam="cone", size=24, views=24, noise=0.02, seed=5)
scan = simulated.scan
print("data [views, rows, columns]:", scan.sinogram.shape)

result = ct.reconstruct(scan, delta=1.3 * simulated.delta, method="huber-tv")
volume = result.image
print("volume [slices, rows, columns]:", volume.shape, "certified:", result.certified)
assert result.certified

# %%
# Slice 0 lies lowest. Three planes through the middle:

planes = {
    "axial": volume[volume.shape[0] // 2],
    "coronal": volume[::-1, volume.shape[1] // 2],
    "sagittal": volume[::-1, :, volume.shape[2] // 2],
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (name, plane) in zip(axes, planes.items(), strict=True):
    drawn = ax.imshow(plane, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()

# %%
# :doc:`/tutorial_volumes` has the projector in space, prior weights for volumes, and files of volumes.
