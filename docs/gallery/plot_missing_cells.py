"""
Cells that read nonsense, and lost views
========================================

A cell that reads nonsense says nothing about the object. A mask leaves such rays out, instead of guessing what
they would have been; the certificate is of the rays that count.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

simulated = ct.simulate("chest", size=64, views=140, noise=0.01, seed=10)
scan = simulated.scan
lost = np.zeros(scan.sinogram.shape, dtype=bool)
lost[:, 40:43] = True  # cells that read nonsense
lost[30:38] = True  # views that were not recorded
values = np.where(lost, np.random.default_rng(0).uniform(0, 0.5, lost.shape), scan.sinogram)

as_data = ct.Scan(values, scan.geometry, grid=scan.grid)
left_out = ct.Scan(values, scan.geometry, grid=scan.grid, mask=~lost)
print(f"{lost.mean():.1%} of the rays are missing; {left_out.usable_count} are used")

delta = 1.1 * simulated.delta
believed = ct.reconstruct(as_data, method="cgls", delta=delta)
result = ct.reconstruct(left_out, delta=delta)
print("all rays taken for data:", "certified" if believed.certified else "not certified")
print("bad rays left out:      ", "certified" if result.certified else "not certified")
assert result.certified
assert not believed.certified

# %%
# Cells and views that read the same number throughout are found without a mask; NaN in the data and masked arrays count
# as missing, too (:doc:`/units`).

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
drawn = axes[0].imshow(np.where(lost, np.nan, values), cmap="gray", aspect="auto")
axes[0].set_facecolor("tab:red")
axes[0].set(title="data; missing rays in red", xlabel="detector cell", ylabel="view")
fig.colorbar(drawn, ax=axes[0], label="line integral")
for ax, image, title in zip(axes[1:], (believed.image, result.image), ("taken for data", "left out"), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[1:], label="attenuation in 1/mm", shrink=0.8)
plt.show()
