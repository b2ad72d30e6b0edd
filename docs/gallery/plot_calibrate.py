"""
Views that stand elsewhere than stated
======================================

A stage that jitters moves every view a little, and no file says how. ``ct.calibrate`` finds the shifts from the data
alone, together with the image, and returns the scan with a geometry that states them view by view.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

grid = ct.Grid(rows=48, columns=48, pixel_mm=1.0)
stated = ct.ParallelBeam(angles_rad=np.arange(60) * np.pi / 60, detector_count=68)
jitter = np.random.default_rng(13).normal(0, 0.8, 60)  # mm, which are cells here
true = ct.VectorGeometry.of(stated).with_detector_shift(jitter)
simulated = ct.simulate("chest", geometry=true, grid=grid, noise=0.01, seed=13)
scan = ct.Scan(simulated.scan.sinogram, stated, grid=grid)  # what the file says

found = ct.calibrate(scan, rounds=3)
print(found)

# %%
# What the sine and cosine of the angle would explain only moves the object, and no data tell it. It is left out of
# the comparison, too.

angle = np.asarray(stated.angles_rad)
waves = np.stack([np.cos(angle), np.sin(angle)], axis=1)
seen = jitter - waves @ np.linalg.lstsq(waves, jitter, rcond=None)[0]
left = found.refined.shifts - seen
print(f"jitter {np.std(seen):.3f} cells rms, after calibration {np.std(left):.3f}")
assert np.std(left) < 0.3 * np.std(seen)

images = {name: ct.reconstruct(one, method="huber-tv", delta="1.5%").image
          for name, one in (("as stated", scan), ("calibrated", found.scan))}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, (title, image) in zip(axes, images.items(), strict=False):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[:2], label="attenuation in 1/mm", shrink=0.8)
axes[2].plot(seen, color="0.5", label="true")
axes[2].plot(found.refined.shifts, ".", color="tab:orange", label="found")
axes[2].set(title="shift of each view", xlabel="view", ylabel="cells")
axes[2].legend(frameon=False, ncols=2)
axes[2].spines[["top", "right"]].set_visible(False)
plt.show()
