"""
A stack that is interrupted, and goes on
========================================

A scan of many detector rows becomes one volume on disk, batch by batch, each slice certified. What is done is kept:
after an interrupt, a crash or ``kill -9`` the same call goes on where it was, and writes the same bytes.
"""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

import ctrecon as ct

# A cone that grows upwards, and a rod aside: exact line integrals, 24 detector rows.
places, angles = (np.arange(32) - 15.5) * 2.0, np.arange(24) * np.pi / 24


def disc(radius, x, y):
    """Chords of a disc about (x, y), for all views and cells."""
    off = places - (x * np.cos(angles) + y * np.sin(angles))[:, None]
    return 2 * np.sqrt(np.maximum(radius**2 - off**2, 0))


rows = [0.02 * disc(10 + 0.7 * k, 0, 0) + 0.02 * disc(4, 5, 3) for k in range(24)]
scan = np.stack(rows, axis=1) + np.random.default_rng(0).normal(0, 0.004, (24, 24, 32))
folder = Path(tempfile.mkdtemp())
np.save(folder / "scan.npy", scan.astype(np.float32))
(folder / "scan.json").write_text(
    json.dumps({"geometry": "parallel", "angles_rad": angles.tolist(), "detector_spacing_mm": 2.0})
)
settings, volume = ct.Settings(method="fbp", delta="8%"), folder / "volume.tif"


def give_up(k, record):
    """Somebody presses Ctrl-C when the first batch is there."""
    raise KeyboardInterrupt


first = ct.reconstruct_stack(folder / "scan.npy", volume, settings, preview=False, watch=give_up)
print("interrupted:", first.interrupted, "- the volume is there:", volume.exists())

again = ct.reconstruct_stack(folder / "scan.npy", volume, settings, preview=False)
print(f"{again.taken_over} slices were taken over; {again.certified} of {again.planned} are certified")
assert again.taken_over > 0
assert again.certified == again.planned

# %%
# In a terminal: ``ctrecon reconstruct scan.npy -o volume.zarr``, the same command again after whatever happened
# (:doc:`/tutorial_stacks`).

u = tifffile.imread(volume)
print("volume [slices, rows, columns]:", u.shape)
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
planes = {"slice 2": u[2], "slice 21": u[21], "from the front": u[::-1, u.shape[1] // 2]}
for ax, (title, plane) in zip(axes, planes.items(), strict=True):
    drawn = ax.imshow(plane, cmap="gray", vmin=0, vmax=0.045)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
