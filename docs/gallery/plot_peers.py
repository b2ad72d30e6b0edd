"""
Beside other programs
=====================

The same scan by ASTRA's SIRT, by scikit-image's filtered back projection, and by methods of this library. All are
judged alike: the residual by one projector, the error by the truth, which only a simulation knows.
"""

import astra
import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.transform import iradon

import ctrecon as ct

grid = ct.Grid(rows=81, columns=81, pixel_mm=2.0)
angles = np.arange(45) * np.pi / 45
scanner = ct.ParallelBeam(angles_rad=angles, detector_count=115, detector_spacing_mm=2.0)
simulated = ct.simulate("chest", geometry=scanner, grid=grid, noise=0.015, seed=16)
scan, delta = simulated.scan, 1.02 * simulated.delta
f = scan.sinogram.astype(np.float32)


def sirt(iterations):
    """In units of the pixel, as ASTRA counts."""
    beam = astra.create_proj_geom("parallel", 1.0, 115, angles)
    projector = astra.create_projector("line", beam, astra.create_vol_geom(81, 81))
    data, found = astra.data2d.create("-sino", beam, f), astra.data2d.create("-vol", astra.create_vol_geom(81, 81))
    task = astra.astra_dict("SIRT")
    task |= {"ProjectorId": projector, "ProjectionDataId": data, "ReconstructionDataId": found}
    algorithm = astra.algorithm.create(task)
    astra.algorithm.run(algorithm, iterations)
    image = astra.data2d.get(found) / grid.square_mm
    astra.clear()
    return image


# In scikit-image the axis is the middle of a pixel, so an odd number of cells and pixels compares.
filtered = iradon(f.T, np.rad2deg(angles), output_size=81, filter_name="cosine") / grid.square_mm
images = {
    "scikit-image, FBP": filtered, "ASTRA, SIRT": sirt(60),
    "here, total variation": ct.reconstruct(scan, delta=delta, method="huber-tv").image,
    "here, network": ct.reconstruct(scan, delta=delta).image,
}

# %%
# A picture beside the truth is the least of it: only the last two come with a proof that they explain the scan. One
# scan ranks no methods; :doc:`/methods` has tables over many.

A, truth = ct.operator(scan), simulated.truth
fig, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    left = np.linalg.norm(A(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy() - f)
    error = np.linalg.norm(image - truth) / np.linalg.norm(truth)
    print(f"{name:>22}: ||Au - f|| = {left:.3f} ({left / delta:.2f} delta), error {error:.1%}")
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=truth.max())
    ax.set_title(f"{name}\nerror {error:.1%}, residual {left / delta:.2f} delta", fontsize=9)
    ax.set(xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
