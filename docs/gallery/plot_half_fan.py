"""
Half a fan
==========

A detector pushed aside sees only half of the object at a time, and over a whole turn all of it: twice the field of view
for the same detector. The offset is a number of the geometry; everything else is the same call.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct
from ctrecon.simulation.simulate import simulate

turn = np.linspace(0, 2 * np.pi, 144, endpoint=False)
fan = ct.FanBeam(
    angles_rad=turn, detector_count=64, detector_spacing_mm=2.0, detector_offset_mm=44.0,
    source_to_axis_mm=300.0, source_to_detector_mm=450.0,
)
grid = ct.Grid(rows=96, columns=96, pixel_mm=1.8)
whole = replace(fan, detector_count=128, detector_offset_mm=0.0)  # the detector that is not needed
truth = ct.simulate("chest", geometry=whole, grid=grid, seed=8).truth
simulated = simulate(truth, fan, grid, relative_noise=0.005, seed=8)
axis = (fan.detector_count - 1) / 2 - fan.detector_offset_mm / fan.detector_spacing_mm
print("the axis projects to cell", axis, "of", fan.detector_count)

result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)
print(result)
assert result.certified

# %%
# Left: rays on one side of the axis only, but for a narrow band about it. The data would fit another geometry
# badly, and ``ct.diagnose`` names the half fan where a file forgot to mention it.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
drawn = axes[0].imshow(simulated.scan.sinogram, cmap="gray", aspect="auto")
axes[0].axvline(axis, color="tab:orange", linewidth=1.5)
axes[0].set(title="data; the axis in orange", xlabel="detector cell", ylabel="view")
fig.colorbar(drawn, ax=axes[0], label="line integral")
for ax, image, title in zip(axes[1:], (truth, result.image), ("truth", "certified image"), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[1:], label="attenuation in 1/mm", shrink=0.8)
plt.show()
