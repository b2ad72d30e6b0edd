"""
A certificate, and what becomes of it when somebody changes a pixel
===================================================================

The certificate of an image is checked from the pixels, the data and the scanner alone, by a program that shares nothing
with the solver. One pixel changed after the fact is noticed, whoever changed it.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

simulated = ct.simulate("chest", size=96, views=80, noise=0.01, seed=2)
result = ct.reconstruct(simulated.scan, delta=1.05 * simulated.delta)

folder = Path(tempfile.mkdtemp())
result.save(folder / "chest.npy", preview=False)
verdict = ct.verify(folder / "chest.certificate.json")
print(verdict)
assert verdict.valid

# %%
# Now somebody paints a nodule into the image that was saved.

forged = result.image.copy()
rows, columns = np.ogrid[:96, :96]
forged[(rows - 40) ** 2 + (columns - 30) ** 2 < 9] += 0.5 * forged.max()
np.save(folder / "chest.npy", forged)

caught = ct.verify(folder / "chest.certificate.json")
print(caught)
assert not caught.valid

# %%
# The same in a terminal is ``ctrecon verify chest.certificate.json``, with exit code 1.

fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, image, said in zip(axes, (result.image, forged), (verdict, caught), strict=True):
    drawn = ax.imshow(image, cmap="gray", vmin=0, vmax=result.image.max())
    ax.set(title="valid" if said.valid else "refused", xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
