"""
Is that spot in the data, or only in the picture?
=================================================

Two discs of the same contrast in one scan, one large and one small. The reconstruction shows both. An audit asks *all*
images that explain the scan how much contrast each disc can have: one of the two is proved, the other is not.
"""

import matplotlib.pyplot as plt
import numpy as np

import ctrecon as ct
from ctrecon.simulation.simulate import simulate, standard_scanner

rows, columns = np.mgrid[:64, :64]
truth = 0.010 * (np.hypot((columns - 31.5) / 26, (rows - 31.5) / 28) <= 1)
discs = {"large": (22, 32, 5.0), "small": (43, 32, 1.6)}  # column, row, radius in pixels
for column, row, radius in discs.values():
    truth[np.hypot(columns - column, rows - row) <= radius] += 0.004

geometry, grid = standard_scanner("fan", 64, 60)
simulated = simulate(truth.astype(np.float32), geometry, grid, relative_noise=0.01, seed=0)
result = ct.reconstruct(simulated.scan, delta=1.03 * simulated.delta, method="huber-tv")
audited = ct.audit(result, roi=list(discs.values()), kappa="120%", iterations=200)
print(audited)

# %%
# Each range is proved by vectors that anyone can check; it assumes a bound on the roughness, which the text above
# states. :doc:`/tutorial_audit` says what is assumed and what a range does not say.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=(1, 1.3))
drawn = axes[0].imshow(result.image, cmap="gray", vmin=0, vmax=truth.max())
for colour, (column, row, radius) in zip(("tab:green", "tab:orange"), discs.values(), strict=True):
    axes[0].add_patch(plt.Circle((column, row), radius + 2, fill=False, color=colour, linewidth=1.5))
axes[0].set(title="the reconstruction", xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes[0], label="attenuation in 1/mm", shrink=0.8)
for k, (colour, answer) in enumerate(zip(("tab:green", "tab:orange"), audited.answers, strict=True)):
    ends = 1e3 * answer.certificate.lower, 1e3 * answer.certificate.upper
    axes[1].plot(ends, [k, k], color=colour, linewidth=8, solid_capstyle="butt")
    axes[1].text(sum(ends) / 2, k + 0.18, answer.verdict, ha="center")
axes[1].axvline(0, color="black", linewidth=1)
axes[1].axvline(4, color="0.5", linestyle="--", linewidth=1)
axes[1].text(4.1, 1.55, "truth", color="0.4")
axes[1].set(yticks=[0, 1], yticklabels=list(discs), ylim=(-0.5, 1.8), xlabel="contrast in 0.001/mm",
            title="certified for every image that explains the scan")
axes[1].spines[["top", "right"]].set_visible(False)
plt.show()
