"""
Counts, and the delta that follows from them
============================================

A scanner that keeps its photon counts says how far each ray can be trusted. ``delta="auto"`` then needs no estimate:
each ray is weighted by its own variance, and delta is a quantile of what such noise amounts to.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct

doses = (3e3, 3e4, 3e5)
results = {}
for photons in doses:
    simulated = ct.simulate("chest", size=96, views=80, photons=photons, seed=4)
    results[photons] = ct.reconstruct(simulated.scan, delta="auto")
    delta = results[photons].certificate.delta
    print(f"{photons:9.0f} photons a ray: residual {results[photons].residual:.4g}, delta {delta:.4g}, whitened")

# %%
# In the whitened norm the noise of ``m`` rays has length about ``sqrt(m)``, whatever the dose; what changes with
# the dose is how much of the image it hides.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, (photons, result) in zip(axes, results.items(), strict=True):
    error = np.linalg.norm(result.image - simulated.truth) / np.linalg.norm(simulated.truth)
    drawn = ax.imshow(result.image, cmap="gray", vmin=0, vmax=simulated.truth.max())
    ax.set(title=f"{photons:.0f} photons, error {error:.1%}", xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="attenuation in 1/mm", shrink=0.8)
plt.show()
